-- The law's lists in use: verdicts of orders, furnaces and assessments beside those of rules; substitutes, capture rates and
-- transmission efficiency; periods that were submitted and must not change.

ALTER TABLE verdict_row DROP CONSTRAINT verdict_row_outcome_check;
ALTER TABLE verdict_row ADD CONSTRAINT verdict_row_outcome_check CHECK (outcome IN ('met', 'exceeded', 'not-met',
    'not-judged: not valid', 'not-judged: not convertible', 'not-judged: exempt', 'not-judged: not in force'));
ALTER TABLE verdict_row ADD COLUMN remark text;
COMMENT ON COLUMN verdict_row.rule_id IS 'rule.id; negative: minus law_entry.id of an order, a furnace rule or an assessment';
COMMENT ON COLUMN verdict_row.position IS '-1: the outlet as a whole';
COMMENT ON COLUMN verdict_row.corrected IS 'What was compared: mg/m3 at the rule''s reference; of an order or a furnace in the unit of what it measures; of an assessment per cent';
COMMENT ON COLUMN verdict_row.remark IS 'Exemptions, contested marks, an instrument out of control, what was counted';

CREATE INDEX verdict_row_by_window ON verdict_row (outlet_id, source_id, period, start);

CREATE OR REPLACE VIEW verdict AS
SELECT o.code AS outlet, c.code AS channel, p.name AS period, v.start, coalesce(r.code, l.subject) AS rule,
       coalesce(r.kind, CASE l.list WHEN 'order' THEN 'order' WHEN 'assessment' THEN 'assessment' ELSE 'violation' END) AS kind,
       coalesce(r.reference_oxygen_percent, (l.body #>> '{demand,limit,reference_oxygen_percent}')::float8) AS reference_oxygen,
       v.corrected, v.limit_mg_m3 AS "limit", v.outcome AS verdict, v.ratio_over, v.remark
FROM verdict_row v
JOIN outlet o ON o.id = v.outlet_id
LEFT JOIN channel c ON c.outlet_id = v.outlet_id AND c.position = v.position
JOIN period p ON p.id = v.period
LEFT JOIN rule r ON r.id = v.rule_id
LEFT JOIN law_entry l ON v.rule_id < 0 AND l.id = -v.rule_id
WHERE NOT EXISTS (SELECT 1 FROM verdict_row n
    WHERE n.outlet_id = v.outlet_id AND n.source_id = v.source_id AND n.position = v.position AND n.period = v.period
      AND n.start = v.start AND n.rule_id = v.rule_id AND n.revision > v.revision);

CREATE OR REPLACE VIEW episode AS
SELECT e.id, o.code AS outlet, c.code AS channel, coalesce(r.code, l.subject) AS rule, e.kind, e.subject, e.opened_at, e.closed_at,
       e.peak, e.limit_mg_m3 AS "limit", e.state, e.reason
FROM episode_row e
LEFT JOIN outlet o ON o.id = e.outlet_id
LEFT JOIN channel c ON c.outlet_id = e.outlet_id AND c.position = e.position
LEFT JOIN rule r ON r.id = e.rule_id
LEFT JOIN law_entry l ON e.rule_id < 0 AND l.id = -e.rule_id;

CREATE INDEX law_entry_review ON law_entry ((body->>'mark')) WHERE list = 'review';
CREATE INDEX law_entry_outlet ON law_entry (outlet, list);

-- Quarters that must be reckoned again: substitutes, capture rates, efficiency. Appended only; a reckoner deletes the ids it read.
CREATE TABLE reckoning_due (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    outlet_id integer     NOT NULL,
    since     timestamptz NOT NULL,
    due_at    timestamptz NOT NULL
);
CREATE INDEX reckoning_due_by_time ON reckoning_due (due_at);

CREATE TABLE reckoned (
    outlet_id integer     PRIMARY KEY,
    at        timestamptz NOT NULL
);
COMMENT ON TABLE reckoned IS 'When each outlet''s quarters were last reckoned: silent ones have no day that changes';

CREATE TABLE substitute_row (
    outlet_id   integer     NOT NULL,
    position    smallint    NOT NULL,
    start       timestamptz NOT NULL,
    revision    integer     NOT NULL,
    made_at     timestamptz NOT NULL,
    method      text        NOT NULL,
    situation   text        CHECK (situation IN ('table-5', 'table-6')),
    mass_mg     bigint,
    from_hour   timestamptz,
    look_back   integer,
    looked_back integer,
    gap_hours   integer,
    provisional boolean     NOT NULL,
    PRIMARY KEY (outlet_id, position, start, revision)
);
COMMENT ON TABLE substitute_row IS 'Masses that stand in for missing hourly ones (HJ 75-2017 tables 5 and 6); beside what was measured, never over it';
COMMENT ON COLUMN substitute_row.mass_mg IS 'NULL: the hour has no substitute any more';
COMMENT ON COLUMN substitute_row.from_hour IS 'The hour whose mass it is';

CREATE TABLE capture_row (
    outlet_id          integer     NOT NULL,
    position           smallint    NOT NULL,
    start              timestamptz NOT NULL,
    revision           integer     NOT NULL,
    made_at            timestamptz NOT NULL,
    hours              bigint      NOT NULL,
    stopped            bigint      NOT NULL,
    invalid            bigint      NOT NULL,
    without_substitute bigint      NOT NULL,
    provisional        boolean     NOT NULL,
    PRIMARY KEY (outlet_id, position, start, revision)
);
COMMENT ON TABLE capture_row IS 'Valid capture rate of a quarter: (hours - stopped - invalid) / (hours - stopped)';

CREATE TABLE efficiency_row (
    outlet_id   integer     NOT NULL,
    rule_id     integer     NOT NULL,
    period      smallint    NOT NULL,
    start       timestamptz NOT NULL,
    revision    integer     NOT NULL,
    made_at     timestamptz NOT NULL,
    expected    bigint      NOT NULL,
    transmitted bigint      NOT NULL,
    valid       bigint      NOT NULL,
    passes      boolean,
    provisional boolean     NOT NULL,
    PRIMARY KEY (outlet_id, rule_id, period, start, revision)
);
COMMENT ON TABLE efficiency_row IS 'Transmission efficiency of a month or quarter: hours of all pollutants; transmitted in time, and valid of those';
COMMENT ON COLUMN efficiency_row.rule_id IS 'Minus law_entry.id of the efficiency rule';

-- Submitted periods. Hours and longer whose start lies in one do not change until it is reopened.
CREATE TABLE period_lock (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    outlet_id     integer     NOT NULL REFERENCES outlet,
    locked_from   timestamptz NOT NULL,
    locked_until  timestamptz NOT NULL CHECK (locked_until > locked_from),
    locked_at     timestamptz NOT NULL,
    locked_by     text        NOT NULL CHECK (locked_by <> ''),
    reason        text        NOT NULL CHECK (reason <> ''),
    reopened_at   timestamptz,
    reopened_by   text,
    reopen_reason text,
    CHECK ((reopened_at IS NULL) = (reopened_by IS NULL) AND (reopened_at IS NULL) = (reopen_reason IS NULL))
);
CREATE INDEX period_lock_outlet ON period_lock (outlet_id, locked_from);

CREATE FUNCTION period_lock_only_reopens() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'rows of period_lock are never removed; reopen the period with a reason';
    END IF;
    IF OLD.reopened_at IS NOT NULL
       OR (OLD.id, OLD.outlet_id, OLD.locked_from, OLD.locked_until, OLD.locked_at, OLD.locked_by, OLD.reason)
          IS DISTINCT FROM (NEW.id, NEW.outlet_id, NEW.locked_from, NEW.locked_until, NEW.locked_at, NEW.locked_by, NEW.reason) THEN
        RAISE EXCEPTION 'rows of period_lock never change; a locked period may only be reopened, once';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER only_reopens BEFORE UPDATE OR DELETE ON period_lock FOR EACH ROW EXECUTE FUNCTION period_lock_only_reopens();

-- What a locked window would be now, where that differs from what was submitted.
CREATE TABLE locked_row (
    outlet_id  integer     NOT NULL,
    source_id  smallint    NOT NULL,
    position   smallint    NOT NULL,
    period     smallint    NOT NULL,
    start      timestamptz NOT NULL,
    seen_at    timestamptz NOT NULL,
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
    PRIMARY KEY (outlet_id, source_id, position, period, start)
);

CREATE VIEW locked_difference AS
SELECT o.code AS outlet, c.code AS channel, p.name AS period, d.start, d.seen_at, a.corrected AS submitted_corrected,
       d.corrected, a.dry AS submitted_dry, d.dry, a.n_valid AS submitted_n_valid, d.n_valid, a.valid AS submitted_valid, d.valid,
       a.mass_kg AS submitted_mass_kg, d.mass_mg / 1e6::numeric AS mass_kg
FROM locked_row d
JOIN outlet o ON o.id = d.outlet_id
JOIN channel c ON c.outlet_id = d.outlet_id AND c.position = d.position
JOIN period p ON p.id = d.period
LEFT JOIN average a ON a.outlet = o.code AND a.channel = c.code AND a.period = p.name AND a.start = d.start AND a.origin = 'computed';
COMMENT ON VIEW locked_difference IS 'Windows of submitted periods that would be other now; nothing is changed until the period is reopened';

CREATE VIEW substitute AS
SELECT o.code AS outlet, c.code AS channel, s.start, s.mass_mg / 1e6::numeric AS mass_kg, s.method, s.situation, s.from_hour,
       s.look_back, s.looked_back, s.gap_hours, s.provisional, s.revision
FROM substitute_row s
JOIN outlet o ON o.id = s.outlet_id
JOIN channel c ON c.outlet_id = s.outlet_id AND c.position = s.position
WHERE s.mass_mg IS NOT NULL AND NOT EXISTS (SELECT 1 FROM substitute_row n
    WHERE n.outlet_id = s.outlet_id AND n.position = s.position AND n.start = s.start AND n.revision > s.revision);

CREATE VIEW capture AS
SELECT o.code AS outlet, c.code AS channel, r.start, r.hours, r.stopped, r.invalid,
       trunc((r.hours - r.stopped - r.invalid) * 100.0 / nullif(r.hours - r.stopped, 0), 2) AS rate_percent,
       r.without_substitute, r.provisional, r.revision
FROM capture_row r
JOIN outlet o ON o.id = r.outlet_id
JOIN channel c ON c.outlet_id = r.outlet_id AND c.position = r.position
WHERE NOT EXISTS (SELECT 1 FROM capture_row n
    WHERE n.outlet_id = r.outlet_id AND n.position = r.position AND n.start = r.start AND n.revision > r.revision);

CREATE VIEW efficiency AS
SELECT o.code AS outlet, l.subject AS rule, p.name AS period, e.start, e.expected, e.transmitted, e.valid,
       trunc(e.valid * 100.0 / nullif(e.expected, 0), 2) AS efficiency_percent, e.passes, e.provisional, e.revision
FROM efficiency_row e
JOIN outlet o ON o.id = e.outlet_id
JOIN period p ON p.id = e.period
JOIN law_entry l ON l.id = -e.rule_id
WHERE NOT EXISTS (SELECT 1 FROM efficiency_row n
    WHERE n.outlet_id = e.outlet_id AND n.rule_id = e.rule_id AND n.period = e.period AND n.start = e.start AND n.revision > e.revision);

-- Hourly masses, measured and substituted apart: the ledger is their sum. Of an hour with a substitute nothing measured counts.
CREATE VIEW emission AS
SELECT o.code AS outlet, e.code AS enterprise, e.division, c.pollutant, c.code AS channel, m.start, m.measured_mg, m.substituted_mg
FROM (SELECT outlet_id, position, start,
       CASE WHEN s.mass_mg IS NULL THEN a.mass_mg ELSE 0 END AS measured_mg, coalesce(s.mass_mg, 0) AS substituted_mg
      FROM (SELECT DISTINCT ON (outlet_id, position, start) outlet_id, position, start, mass_mg
      FROM average_long WHERE source_id = 1 AND period = 4 ORDER BY outlet_id, position, start, revision DESC) a
FULL JOIN (SELECT DISTINCT ON (outlet_id, position, start) outlet_id, position, start, mass_mg
      FROM substitute_row ORDER BY outlet_id, position, start, revision DESC) s USING (outlet_id, position, start)
      WHERE coalesce(a.mass_mg, s.mass_mg) IS NOT NULL) m
JOIN outlet o ON o.id = m.outlet_id
JOIN enterprise e ON e.id = o.enterprise_id
JOIN channel c ON c.outlet_id = m.outlet_id AND c.position = m.position;
