-- Scans are the ground truth: written once, never changed. Everything below them is derived and can be made again.

-- Which gateway, which spool (epoch) and which configuration a record came from: one short number in each row.
CREATE TABLE provenance (
    id         integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    gateway_id integer NOT NULL REFERENCES gateway (id),
    epoch      uuid    NOT NULL,
    cfg        bytea   NOT NULL CHECK (length(cfg) = 32),
    UNIQUE (gateway_id, epoch, cfg)
);

CREATE TABLE source (
    id   smallint PRIMARY KEY,
    code text NOT NULL UNIQUE
);
COMMENT ON TABLE source IS 'Who made a number: computed from registers by a gateway of ours, or reported by a data logger.';
INSERT INTO source VALUES (1, 'registers'), (2, 'logger');

CREATE TABLE method (
    id   smallint PRIMARY KEY,
    name text NOT NULL UNIQUE
);
COMMENT ON TABLE method IS 'The procedure (regime) and its version that made a figure.';
INSERT INTO method VALUES (1, 'HJ75-2017/1');

CREATE TABLE scan (
    outlet_id     integer     NOT NULL,
    source_id     smallint    NOT NULL,
    method        smallint    NOT NULL,
    measured_at   timestamptz NOT NULL,
    received_at   timestamptz NOT NULL,
    seq           bigint      NOT NULL,
    provenance_id integer     NOT NULL,
    flag          text        NOT NULL,
    checked       text,
    hash          bytea       NOT NULL CHECK (length(hash) = 32),
    prev          bytea       NOT NULL CHECK (length(prev) = 32),
    measured      float8[]    NOT NULL CHECK ('Infinity'::float8 > ALL (measured) AND '-Infinity'::float8 < ALL (measured)),
    corrected     float8[]    NOT NULL CHECK ('Infinity'::float8 > ALL (corrected) AND '-Infinity'::float8 < ALL (corrected)),
    PRIMARY KEY (outlet_id, source_id, measured_at)
) PARTITION BY RANGE (measured_at);
COMMENT ON TABLE scan IS 'All channels of an outlet at one tick; arrays and flags in the order of channel.position (position 0 first). One partition a day (UTC).';
COMMENT ON COLUMN scan.measured IS 'In the unit and basis of the channel at that time; NULL: no value. Never NaN or infinite.';
COMMENT ON COLUMN scan.flag IS 'One HJ 212-2017 letter a channel as recorded; - where the record has no such channel.';
COMMENT ON COLUMN scan.checked IS 'The same after validation; NULL when it is no different.';
COMMENT ON COLUMN scan.corrected IS 'mg/m3 at the outlet''s reference oxygen as judged on arrival; NULL where not applicable.';
COMMENT ON COLUMN scan.hash IS 'SHA-256 of the record''s bytes, which can be rebuilt from this row.';
COMMENT ON COLUMN scan.prev IS 'Hash of the gateway''s previous record (the chain).';

CREATE TABLE event (
    gateway_id    integer     NOT NULL REFERENCES gateway (id),
    provenance_id integer     NOT NULL REFERENCES provenance (id),
    epoch         uuid        NOT NULL,
    seq           bigint      NOT NULL,
    at            timestamptz NOT NULL,
    received_at   timestamptz NOT NULL,
    event         text        NOT NULL,
    detail        text        NOT NULL,
    hash          bytea       NOT NULL,
    prev          bytea       NOT NULL,
    PRIMARY KEY (gateway_id, epoch, seq)
);
COMMENT ON COLUMN event.detail IS 'JSON object of texts, exactly as in the record.';

CREATE TABLE quarantine (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received_at timestamptz NOT NULL,
    topic       text        NOT NULL,
    gateway     text        NOT NULL,
    epoch       text,
    seq_first   bigint,
    seq_last    bigint,
    reason      text        NOT NULL,
    payload     bytea       NOT NULL,
    digest      bytea       NOT NULL CHECK (length(digest) = 32),
    state       text        NOT NULL DEFAULT 'kept' CHECK (state IN ('kept', 'stored', 'discarded')),
    UNIQUE (gateway, digest)
);
COMMENT ON TABLE quarantine IS 'What could not be accepted: whole bytes and the reason. The same bytes again add no row.';

-- Windows that must be (re)computed. Ingest only appends; a closer deletes only the ids that it read.
CREATE TABLE due (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    lane      smallint    NOT NULL,
    outlet_id integer     NOT NULL,
    source_id smallint    NOT NULL,
    period    smallint    NOT NULL,
    start     timestamptz NOT NULL,
    due_at    timestamptz NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
CREATE INDEX due_by_time ON due (lane, period, due_at);

CREATE TABLE period (
    id   smallint PRIMARY KEY,
    name text NOT NULL UNIQUE
);
INSERT INTO period VALUES (0, 'minute'), (1, '5-minute'), (2, '10-minute'), (3, '30-minute'), (4, 'hour'), (5, 'day'),
    (6, 'month'), (7, 'quarter'), (8, 'year');

-- Periods shorter than an hour: one row for all channels of an outlet.
CREATE TABLE average_wide (
    outlet_id  integer     NOT NULL,
    source_id  smallint    NOT NULL,
    period     smallint    NOT NULL,
    revision   integer     NOT NULL,
    start      timestamptz NOT NULL,
    made_at    timestamptz NOT NULL,
    method     smallint    NOT NULL,
    status     text        NOT NULL,
    flag       text        NOT NULL,
    valid      text        NOT NULL,
    n_valid    smallint[]  NOT NULL,
    n_expected smallint[]  NOT NULL,
    measured   float8[]    NOT NULL CHECK ('Infinity'::float8 > ALL (measured) AND '-Infinity'::float8 < ALL (measured)),
    standard   float8[]    NOT NULL CHECK ('Infinity'::float8 > ALL (standard) AND '-Infinity'::float8 < ALL (standard)),
    dry        float8[]    NOT NULL CHECK ('Infinity'::float8 > ALL (dry) AND '-Infinity'::float8 < ALL (dry)),
    corrected  float8[]    NOT NULL CHECK ('Infinity'::float8 > ALL (corrected) AND '-Infinity'::float8 < ALL (corrected)),
    minimum    float8[]    NOT NULL,
    maximum    float8[]    NOT NULL,
    mass_mg    bigint[]    NOT NULL,
    PRIMARY KEY (outlet_id, source_id, period, start, revision)
) PARTITION BY RANGE (start);
COMMENT ON COLUMN average_wide.status IS 'One letter a channel: HJ 76-2017 App. B, with s, e, x for St, Sd, Md.';
COMMENT ON COLUMN average_wide.flag IS 'One letter a channel: N or D by the 75 % rule of HJ 212-2017 C.16 to C.18; - where nothing was due (a minute between two values of a slow channel).';
COMMENT ON COLUMN average_wide.valid IS 'One character a channel: 1 statistically valid, 0 not.';

-- An hour and longer: one row a channel.
CREATE TABLE average_long (
    outlet_id  integer     NOT NULL,
    source_id  smallint    NOT NULL,
    position   smallint    NOT NULL,
    period     smallint    NOT NULL,
    revision   integer     NOT NULL,
    start      timestamptz NOT NULL,
    made_at    timestamptz NOT NULL,
    method     smallint    NOT NULL,
    status     text        NOT NULL,
    flag       text        NOT NULL,
    valid      boolean     NOT NULL,
    n_valid    integer     NOT NULL,
    n_expected integer     NOT NULL,
    measured   float8,
    standard   float8,
    dry        float8,
    corrected  float8,
    minimum    float8,
    maximum    float8,
    mass_mg    bigint,
    PRIMARY KEY (outlet_id, source_id, position, period, start, revision)
);
CREATE INDEX average_long_by_window ON average_long (outlet_id, source_id, period, start);

CREATE TABLE verdict_row (
    outlet_id  integer     NOT NULL,
    source_id  smallint    NOT NULL,
    position   smallint    NOT NULL,
    period     smallint    NOT NULL,
    revision   integer     NOT NULL,
    rule_id    integer     NOT NULL,
    start      timestamptz NOT NULL,
    outcome    text        NOT NULL CHECK (outcome IN ('met', 'exceeded', 'not-judged: not valid', 'not-judged: not convertible')),
    corrected  float8,
    limit_mg_m3 float8     NOT NULL,
    ratio_over float8,
    PRIMARY KEY (outlet_id, source_id, position, period, start, rule_id, revision)
);

-- One state row a watched thing; locked in key order before it moves.
CREATE TABLE episode_state (
    outlet_id integer     NOT NULL,
    position  smallint    NOT NULL,
    rule_id   integer     NOT NULL,
    kind      text        NOT NULL,
    subject   text        NOT NULL,
    last_at   timestamptz,
    PRIMARY KEY (outlet_id, position, rule_id, kind, subject)
);
COMMENT ON TABLE episode_state IS 'outlet_id 0, position -1, rule_id 0: not applicable. subject: analyser or gateway name, else empty.';

CREATE TABLE episode_row (
    id            bigint GENERATED ALWAYS AS IDENTITY,
    outlet_id     integer     NOT NULL,
    position      smallint    NOT NULL,
    rule_id       integer     NOT NULL,
    kind          text        NOT NULL,
    subject       text        NOT NULL,
    opened_at     timestamptz NOT NULL,
    closed_at     timestamptz,
    last_above_at timestamptz NOT NULL,
    peak          float8,
    limit_mg_m3   float8,
    state         text        NOT NULL CHECK (state IN ('open', 'closed', 'historical', 'withdrawn')),
    noticed_at    timestamptz NOT NULL,
    reason        text,
    PRIMARY KEY (outlet_id, id)
);
COMMENT ON COLUMN episode_row.reason IS 'Why it was last revised or withdrawn; all changes are in episode_change.';
CREATE UNIQUE INDEX episode_one_open ON episode_row (outlet_id, position, rule_id, kind, subject) WHERE closed_at IS NULL;
CREATE INDEX episode_by_time ON episode_row (outlet_id, opened_at);

-- What became of episodes when figures changed later.
CREATE TABLE episode_change (
    outlet_id  integer     NOT NULL,
    episode_id bigint      NOT NULL,
    at         timestamptz NOT NULL,
    what       text        NOT NULL CHECK (what IN ('revised', 'withdrawn')),
    reason     text        NOT NULL,
    opened_at  timestamptz NOT NULL,
    closed_at  timestamptz
);
CREATE INDEX episode_change_of ON episode_change (outlet_id, episode_id);

-- What people are told. Written in the same transaction as the episode; sent by workers, at least once.
CREATE TABLE alert (
    id         uuid        PRIMARY KEY,
    outlet_id  integer     NOT NULL,
    episode_id bigint      NOT NULL,
    kind       text        NOT NULL,
    created_at timestamptz NOT NULL,
    body       jsonb       NOT NULL
);
CREATE INDEX alert_by_time ON alert (created_at);

CREATE TABLE delivery (
    alert_id     uuid        NOT NULL REFERENCES alert (id),
    channel_id   integer     NOT NULL REFERENCES notify_channel (id),
    state        text        NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'dead')),
    attempts     integer     NOT NULL DEFAULT 0,
    next_at      timestamptz NOT NULL,
    delivered_at timestamptz,
    PRIMARY KEY (alert_id, channel_id)
);
CREATE INDEX delivery_waiting ON delivery (channel_id, next_at) WHERE state = 'waiting';

CREATE TABLE delivery_attempt (
    alert_id   uuid        NOT NULL,
    channel_id integer     NOT NULL,
    at         timestamptz NOT NULL,
    took_ms    integer     NOT NULL,
    outcome    text        NOT NULL
);
CREATE INDEX delivery_attempt_of ON delivery_attempt (alert_id, channel_id);

-- When each outlet and analyser last gave a live reading, and each gateway a sign of life. Noted every few seconds.
CREATE TABLE heard (
    outlet_id integer     NOT NULL,
    analyser  text        NOT NULL,
    at        timestamptz NOT NULL,
    PRIMARY KEY (outlet_id, analyser)
) WITH (fillfactor = 70);
COMMENT ON COLUMN heard.analyser IS 'Empty: the outlet itself, any scan.';

CREATE TABLE gateway_heard (
    gateway_id integer PRIMARY KEY REFERENCES gateway (id),
    at         timestamptz NOT NULL,
    status     jsonb
);

-- What users, Grafana and auditors read. Codes are the public ones.
CREATE VIEW reading AS
SELECT o.code AS outlet, c.code AS channel, s.code AS source, x.measured_at, x.received_at,
       x.measured[c.position + 1] AS measured, x.corrected[c.position + 1] AS corrected,
       coalesce(nullif(substr(coalesce(x.checked, x.flag), c.position + 1, 1), ''), '-') AS flag,
       coalesce(nullif(substr(x.flag, c.position + 1, 1), ''), '-') AS device_flag
FROM scan x
JOIN outlet o ON o.id = x.outlet_id
JOIN channel c ON c.outlet_id = x.outlet_id
JOIN source s ON s.id = x.source_id;

CREATE VIEW average AS
SELECT o.code AS outlet, c.code AS channel, p.name AS period, a.start,
       CASE a.source_id WHEN 1 THEN 'computed' ELSE 'reported' END AS origin,
       a.measured, a.standard, a.dry, a.corrected, a.minimum AS min, a.maximum AS max, a.n_valid, a.n_expected,
       CASE a.status WHEN 's' THEN 'St' WHEN 'e' THEN 'Sd' WHEN 'x' THEN 'Md' ELSE a.status END AS status,
       a.flag, a.valid, a.mass_mg / 1e6::numeric AS mass_kg, m.name AS method, a.revision
FROM (
    SELECT l.outlet_id, l.source_id, l.position, l.period, l.start, l.revision, l.method, l.status, l.flag, l.valid, l.n_valid,
           l.n_expected, l.measured, l.standard, l.dry, l.corrected, l.minimum, l.maximum, l.mass_mg
    FROM average_long l
    WHERE NOT EXISTS (SELECT 1 FROM average_long n
        WHERE n.outlet_id = l.outlet_id AND n.source_id = l.source_id AND n.position = l.position AND n.period = l.period
          AND n.start = l.start AND n.revision > l.revision)
    UNION ALL
    SELECT w.outlet_id, w.source_id, c.position, w.period, w.start, w.revision, w.method,
           substr(w.status, c.position + 1, 1), substr(w.flag, c.position + 1, 1), substr(w.valid, c.position + 1, 1) = '1',
           w.n_valid[c.position + 1], w.n_expected[c.position + 1], w.measured[c.position + 1], w.standard[c.position + 1],
           w.dry[c.position + 1], w.corrected[c.position + 1], w.minimum[c.position + 1], w.maximum[c.position + 1],
           w.mass_mg[c.position + 1]
    FROM average_wide w
    JOIN channel c ON c.outlet_id = w.outlet_id AND c.position < length(w.status)
    WHERE NOT EXISTS (SELECT 1 FROM average_wide n
        WHERE n.outlet_id = w.outlet_id AND n.source_id = w.source_id AND n.period = w.period AND n.start = w.start
          AND n.revision > w.revision)
) a
JOIN outlet o ON o.id = a.outlet_id
JOIN channel c ON c.outlet_id = a.outlet_id AND c.position = a.position
JOIN period p ON p.id = a.period
JOIN method m ON m.id = a.method;

CREATE VIEW verdict AS
SELECT o.code AS outlet, c.code AS channel, p.name AS period, v.start, r.code AS rule, r.kind,
       r.reference_oxygen_percent AS reference_oxygen, v.corrected, v.limit_mg_m3 AS "limit", v.outcome AS verdict, v.ratio_over
FROM verdict_row v
JOIN outlet o ON o.id = v.outlet_id
JOIN channel c ON c.outlet_id = v.outlet_id AND c.position = v.position
JOIN period p ON p.id = v.period
JOIN rule r ON r.id = v.rule_id
WHERE NOT EXISTS (SELECT 1 FROM verdict_row n
    WHERE n.outlet_id = v.outlet_id AND n.source_id = v.source_id AND n.position = v.position AND n.period = v.period
      AND n.start = v.start AND n.rule_id = v.rule_id AND n.revision > v.revision);

CREATE VIEW episode AS
SELECT e.id, o.code AS outlet, c.code AS channel, r.code AS rule, e.kind, e.subject, e.opened_at, e.closed_at, e.peak,
       e.limit_mg_m3 AS "limit", e.state, e.reason
FROM episode_row e
LEFT JOIN outlet o ON o.id = e.outlet_id
LEFT JOIN channel c ON c.outlet_id = e.outlet_id AND c.position = e.position
LEFT JOIN rule r ON r.id = e.rule_id;

CREATE VIEW quarantined AS
SELECT q.received_at, q.gateway, q.reason, encode(substr(q.payload, 1, 200), 'escape') AS sample, q.state, q.id
FROM quarantine q;
