-- Who is told what: rules of alerting, teams, people, duty and ladders are lists of law_entry; here is what happens to an alert.

ALTER TABLE law_entry DROP CONSTRAINT law_entry_list_check;
ALTER TABLE law_entry ADD CONSTRAINT law_entry_list_check CHECK (list IN ('source_rule', 'marking', 'mark', 'review', 'exemption',
    'check_plan', 'check', 'efficiency', 'line', 'order', 'assessment', 'furnace', 'quota', 'target',
    'alert_rule', 'team', 'person', 'shift', 'holiday', 'swap', 'ladder'));

-- Channels. Secrets never stand here: settings name them, the centre's environment holds them.
ALTER TABLE notify_channel DROP CONSTRAINT notify_channel_check, DROP CONSTRAINT notify_channel_kind_check;
ALTER TABLE notify_channel
    ADD CONSTRAINT notify_channel_kind_check CHECK (kind IN ('webhook', 'log', 'smtp', 'dingtalk', 'wecom', 'feishu', 'http', 'alertmanager')),
    ADD COLUMN settings jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN broadcast boolean NOT NULL DEFAULT true;
COMMENT ON COLUMN notify_channel.settings IS 'What its kind needs besides, as the document has it; names of secrets, never secrets';
COMMENT ON COLUMN notify_channel.broadcast IS 'Gets every alert by itself; else only what teams and people are sent by it';

-- Episodes have levels; a warning that came true is the history of the exceedance.
ALTER TABLE episode_state ADD COLUMN above_since timestamptz;
COMMENT ON COLUMN episode_state.above_since IS 'Above the line since then, but not yet for as long as its rule asks';
CREATE INDEX episode_state_waiting ON episode_state (kind) WHERE above_since IS NOT NULL;
ALTER TABLE episode_row ADD COLUMN level smallint NOT NULL DEFAULT 1 CHECK (level BETWEEN 1 AND 255), ADD COLUMN follows bigint;
COMMENT ON COLUMN episode_row.follows IS 'The early warning or forecast of the same outlet, channel and rule that came true by it';
-- What is open is counted every second for who is told what is active.
CREATE INDEX episode_open ON episode_row (id) WHERE closed_at IS NULL;
ALTER TABLE episode_change DROP CONSTRAINT episode_change_what_check;
ALTER TABLE episode_change ADD CONSTRAINT episode_change_what_check CHECK (what IN ('revised', 'withdrawn', 'worsened', 'came-true'));

ALTER TABLE alert ADD COLUMN phase text NOT NULL DEFAULT 'begun' CHECK (phase IN ('begun', 'worsened', 'revised', 'withdrawn')),
    ADD COLUMN routed_at timestamptz;
UPDATE alert SET routed_at = created_at;
CREATE INDEX alert_to_route ON alert (created_at) WHERE routed_at IS NULL;
CREATE INDEX alert_of_episode ON alert (outlet_id, episode_id);
COMMENT ON COLUMN alert.routed_at IS 'When its teams were found; NULL: they are still to be';

-- One line of escalation an episode and audience.
CREATE TABLE handling (
    outlet_id       integer     NOT NULL,
    episode_id      bigint      NOT NULL,
    audience        text        NOT NULL CHECK (audience IN ('enterprise', 'bureau', 'platform')),
    alert_id        uuid        NOT NULL REFERENCES alert (id),
    since           timestamptz NOT NULL,
    step            integer     NOT NULL DEFAULT 0,
    next_at         timestamptz,
    acknowledged_at timestamptz,
    acknowledged_by text,
    assigned_to     text,
    closed_at       timestamptz,
    closed_by       text,
    reason_code     text,
    action_code     text,
    PRIMARY KEY (outlet_id, episode_id, audience)
) WITH (fillfactor = 80);
CREATE INDEX handling_due ON handling (next_at) WHERE next_at IS NOT NULL;
COMMENT ON TABLE handling IS 'How far an episode''s ladder has been walked for an audience, and who has it';
COMMENT ON COLUMN handling.since IS 'The steps are counted from here: begun, or worsened';
COMMENT ON COLUMN handling.next_at IS 'When the next step is due; NULL: nobody more is told';

-- What people did. Rows are only added.
CREATE TABLE episode_action (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    outlet_id  integer     NOT NULL,
    episode_id bigint      NOT NULL,
    audience   text        NOT NULL,
    at         timestamptz NOT NULL,
    what       text        NOT NULL CHECK (what IN ('told', 'seen', 'acknowledged', 'assigned', 'commented', 'closed', 'link-refused')),
    by_whom    text        NOT NULL CHECK (by_whom <> ''),
    via        text        NOT NULL CHECK (via IN ('api', 'cli', 'link', 'centre')),
    detail     jsonb       NOT NULL DEFAULT '{}'
);
CREATE INDEX episode_action_of ON episode_action (outlet_id, episode_id);
CREATE FUNCTION episode_action_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of episode_action are never changed or removed';
END $$;
CREATE TRIGGER only_grows BEFORE UPDATE OR DELETE ON episode_action FOR EACH ROW EXECUTE FUNCTION episode_action_only_grows();
COMMENT ON TABLE episode_action IS 'Who did what about an episode: acknowledgements, assignments, comments, closings, refused links';

-- Deliveries to people and groups, besides those to broadcast channels.
ALTER TABLE delivery DROP CONSTRAINT delivery_pkey, DROP CONSTRAINT delivery_state_check;
ALTER TABLE delivery ADD COLUMN recipient text NOT NULL DEFAULT '', ADD COLUMN audience text, ADD COLUMN team text, ADD COLUMN person text,
    ADD COLUMN language text NOT NULL DEFAULT 'zh', ADD COLUMN step integer NOT NULL DEFAULT 0,
    ADD COLUMN address integer NOT NULL DEFAULT 0, ADD COLUMN fail_over_at timestamptz,
    ADD COLUMN created_at timestamptz NOT NULL DEFAULT now(), ADD COLUMN urgency smallint NOT NULL DEFAULT 1, ADD COLUMN link_id uuid,
    ADD CONSTRAINT delivery_state_check CHECK (state IN ('waiting', 'delivered', 'dead', 'failed-over', 'cancelled')),
    ADD PRIMARY KEY (alert_id, channel_id, recipient, step);
DROP INDEX delivery_waiting;
CREATE INDEX delivery_waiting ON delivery (channel_id, urgency DESC, next_at) WHERE state = 'waiting';
CREATE INDEX delivery_fail_over ON delivery (fail_over_at) WHERE fail_over_at IS NOT NULL;
COMMENT ON COLUMN delivery.recipient IS 'What the channel calls whom it reaches; empty: the channel itself';
COMMENT ON COLUMN delivery.urgency IS 'Severity, 0 notice to 3 critical: the gravest go first';
COMMENT ON COLUMN delivery.address IS 'Which of the person''s addresses, from 0';
COMMENT ON COLUMN delivery.fail_over_at IS 'When the person''s next address is tried instead';
ALTER TABLE delivery_attempt ADD COLUMN recipient text NOT NULL DEFAULT '', ADD COLUMN step integer NOT NULL DEFAULT 0,
    ADD COLUMN status integer;
COMMENT ON COLUMN delivery_attempt.status IS 'HTTP or SMTP status, where there was one';

-- Which centre serves a channel with a rate limit, and when it sent lately.
CREATE TABLE channel_state (
    channel_id    integer PRIMARY KEY REFERENCES notify_channel (id),
    owner         uuid,
    leased_until  timestamptz,
    sent          timestamptz[] NOT NULL DEFAULT '{}',
    failing_since timestamptz,
    failure       text,
    probe_at      timestamptz
) WITH (fillfactor = 70);

-- Nobody is told of what is silenced, or under planned maintenance; episodes go on all the same.
CREATE TABLE silence (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind       text        NOT NULL CHECK (kind IN ('silence', 'maintenance')),
    outlet     text,
    enterprise text,
    division   text,
    alert_kind text,
    rule       text,
    gateway    text,
    silent_from timestamptz NOT NULL,
    silent_until timestamptz NOT NULL CHECK (silent_until > silent_from),
    author     text        NOT NULL CHECK (author <> ''),
    reason     text        NOT NULL CHECK (reason <> ''),
    made_at    timestamptz NOT NULL,
    ended_at   timestamptz,
    ended_by   text,
    CHECK ((ended_at IS NULL) = (ended_by IS NULL))
);
CREATE INDEX silence_by_time ON silence (silent_until);
COMMENT ON TABLE silence IS 'Silences and planned maintenance; a row only ends early, with a name';

CREATE TABLE api_token (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text        NOT NULL UNIQUE CHECK (name <> ''),
    hash       bytea       NOT NULL UNIQUE CHECK (length(hash) = 32),
    scopes     text[]      NOT NULL,
    enterprise text,
    division   text        NOT NULL DEFAULT '',
    made_at    timestamptz NOT NULL,
    made_by    text        NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    revoked_by text,
    used_at    timestamptz
);
COMMENT ON TABLE api_token IS 'Tokens of the API: SHA-256 of each, never the token';
COMMENT ON COLUMN api_token.enterprise IS 'Unified social credit code: it sees and does nothing that is not of this enterprise';

-- Links in messages: what each may do, and whether it has done it.
CREATE TABLE alert_link (
    id         uuid        PRIMARY KEY,
    outlet_id  integer     NOT NULL,
    episode_id bigint      NOT NULL,
    alert_id   uuid        NOT NULL REFERENCES alert (id),
    audience   text        NOT NULL,
    person     text        NOT NULL,
    made_at    timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    seen_at    timestamptz,
    used_at    timestamptz,
    used_for   text
);
CREATE INDEX alert_link_of ON alert_link (outlet_id, episode_id);
CREATE TABLE signing_key (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    key      bytea   NOT NULL CHECK (length(key) = 32),
    made_at  timestamptz NOT NULL
);
COMMENT ON TABLE signing_key IS 'Signs links in messages; made by the first centre that needs it';

-- The rules that every database starts with; others are added beside them, or versions of them (docs/alerting.md).
INSERT INTO law_entry (list, subject, valid_from, body, revision, stored_at)
SELECT 'alert_rule', body->>'code', '1970-01-01T00:00:00Z', body, 0, now() FROM jsonb_array_elements('[
  {"code": "early-warning", "kind": "early-warning", "scope": {"outlet": null, "enterprise": null, "division": ""}, "enabled": true, "levels": [], "hold_s": 0, "clear_s": 60, "counts": [], "audiences": ["enterprise", "bureau"], "others_after_s": 900, "severity": null},
  {"code": "hour-to-date", "kind": "hour-to-date", "scope": {"outlet": null, "enterprise": null, "division": ""}, "enabled": true, "levels": [0.8, 0.9], "hold_s": 0, "clear_s": 900, "counts": [], "audiences": ["enterprise"], "others_after_s": 0, "severity": null},
  {"code": "hour-forecast", "kind": "hour-forecast", "scope": {"outlet": null, "enterprise": null, "division": ""}, "enabled": true, "levels": [], "hold_s": 0, "clear_s": 600, "counts": [], "audiences": ["enterprise", "bureau"], "others_after_s": 900, "severity": null},
  {"code": "exceedance", "kind": "exceedance", "scope": {"outlet": null, "enterprise": null, "division": ""}, "enabled": true, "levels": [0.5, 2.0], "hold_s": 0, "clear_s": 0, "counts": [1, 3, 6], "audiences": ["enterprise", "bureau"], "others_after_s": 0, "severity": null},
  {"code": "not-convertible", "kind": "not-convertible", "scope": {"outlet": null, "enterprise": null, "division": ""}, "enabled": true, "levels": [], "hold_s": 0, "clear_s": 60, "counts": [], "audiences": ["enterprise", "bureau"], "others_after_s": 0, "severity": null},
  {"code": "assessment-at-risk", "kind": "assessment-at-risk", "scope": {"outlet": null, "enterprise": null, "division": ""}, "enabled": true, "levels": [], "hold_s": 0, "clear_s": 86400, "counts": [], "audiences": ["enterprise", "bureau"], "others_after_s": 0, "severity": null},
  {"code": "silent-analyser", "kind": "silent-analyser", "scope": {"outlet": null, "enterprise": null, "division": ""}, "enabled": true, "levels": [], "hold_s": 0, "clear_s": 0, "counts": [], "audiences": ["enterprise", "bureau"], "others_after_s": 1800, "severity": null},
  {"code": "silent-outlet", "kind": "silent-outlet", "scope": {"outlet": null, "enterprise": null, "division": ""}, "enabled": true, "levels": [], "hold_s": 0, "clear_s": 0, "counts": [], "audiences": ["enterprise", "bureau"], "others_after_s": 1800, "severity": null},
  {"code": "silent-gateway", "kind": "silent-gateway", "scope": {"outlet": null, "enterprise": null, "division": ""}, "enabled": true, "levels": [], "hold_s": 0, "clear_s": 0, "counts": [], "audiences": ["enterprise", "bureau"], "others_after_s": 1800, "severity": null},
  {"code": "silent-gateways", "kind": "silent-gateways", "scope": {"outlet": null, "enterprise": null, "division": ""}, "enabled": true, "levels": [], "hold_s": 0, "clear_s": 0, "counts": [], "audiences": ["platform", "bureau"], "others_after_s": 0, "severity": null},
  {"code": "link-down", "kind": "link-down", "scope": {"outlet": null, "enterprise": null, "division": ""}, "enabled": true, "levels": [], "hold_s": 0, "clear_s": 0, "counts": [], "audiences": ["platform", "bureau"], "others_after_s": 900, "severity": null},
  {"code": "analyser-fault", "kind": "analyser-fault", "scope": {"outlet": null, "enterprise": null, "division": ""}, "enabled": true, "levels": [], "hold_s": 120, "clear_s": 120, "counts": [], "audiences": ["enterprise", "bureau"], "others_after_s": 3600, "severity": null},
  {"code": "calibration-overdue", "kind": "calibration-overdue", "scope": {"outlet": null, "enterprise": null, "division": ""}, "enabled": true, "levels": [], "hold_s": 0, "clear_s": 0, "counts": [], "audiences": ["enterprise", "bureau"], "others_after_s": 0, "severity": null},
  {"code": "capture-forecast", "kind": "capture-forecast", "scope": {"outlet": null, "enterprise": null, "division": ""}, "enabled": true, "levels": [90.0, 75.0], "hold_s": 0, "clear_s": 86400, "counts": [], "audiences": ["enterprise", "bureau"], "others_after_s": 0, "severity": null},
  {"code": "efficiency-at-risk", "kind": "efficiency-at-risk", "scope": {"outlet": null, "enterprise": null, "division": ""}, "enabled": true, "levels": [], "hold_s": 0, "clear_s": 86400, "counts": [], "audiences": ["enterprise", "bureau"], "others_after_s": 0, "severity": null},
  {"code": "conflict", "kind": "conflict", "scope": {"outlet": null, "enterprise": null, "division": ""}, "enabled": true, "levels": [], "hold_s": 0, "clear_s": 0, "counts": [], "audiences": ["bureau", "platform"], "others_after_s": 0, "severity": null},
  {"code": "quarantine", "kind": "quarantine", "scope": {"outlet": null, "enterprise": null, "division": ""}, "enabled": true, "levels": [], "hold_s": 0, "clear_s": 0, "counts": [], "audiences": ["platform"], "others_after_s": 0, "severity": null},
  {"code": "quarantine-full", "kind": "quarantine-full", "scope": {"outlet": null, "enterprise": null, "division": ""}, "enabled": true, "levels": [], "hold_s": 0, "clear_s": 0, "counts": [], "audiences": ["platform"], "others_after_s": 0, "severity": null},
  {"code": "lost-range", "kind": "lost-range", "scope": {"outlet": null, "enterprise": null, "division": ""}, "enabled": true, "levels": [], "hold_s": 0, "clear_s": 0, "counts": [], "audiences": ["enterprise", "bureau"], "others_after_s": 0, "severity": null},
  {"code": "quota", "kind": "quota", "scope": {"outlet": null, "enterprise": null, "division": ""}, "enabled": true, "levels": [], "hold_s": 0, "clear_s": 0, "counts": [], "audiences": ["enterprise", "bureau"], "others_after_s": 0, "severity": null},
  {"code": "gateway-clock", "kind": "gateway-clock", "scope": {"outlet": null, "enterprise": null, "division": ""}, "enabled": true, "levels": [2.0, 30.0], "hold_s": 120, "clear_s": 120, "counts": [], "audiences": ["enterprise", "platform"], "others_after_s": 0, "severity": null},
  {"code": "gateway-spool", "kind": "gateway-spool", "scope": {"outlet": null, "enterprise": null, "division": ""}, "enabled": true, "levels": [80.0, 90.0, 95.0], "hold_s": 0, "clear_s": 60, "counts": [], "audiences": ["enterprise", "platform"], "others_after_s": 0, "severity": null},
  {"code": "gateway-certificate", "kind": "gateway-certificate", "scope": {"outlet": null, "enterprise": null, "division": ""}, "enabled": true, "levels": [30.0, 7.0, 1.0], "hold_s": 0, "clear_s": 0, "counts": [], "audiences": ["enterprise", "platform"], "others_after_s": 0, "severity": null},
  {"code": "database", "kind": "database", "scope": {"outlet": null, "enterprise": null, "division": ""}, "enabled": true, "levels": [], "hold_s": 0, "clear_s": 0, "counts": [], "audiences": ["platform"], "others_after_s": 0, "severity": null},
  {"code": "backlog", "kind": "backlog", "scope": {"outlet": null, "enterprise": null, "division": ""}, "enabled": true, "levels": [300.0, 1800.0], "hold_s": 0, "clear_s": 60, "counts": [], "audiences": ["platform"], "others_after_s": 0, "severity": null},
  {"code": "channel-down", "kind": "channel-down", "scope": {"outlet": null, "enterprise": null, "division": ""}, "enabled": true, "levels": [], "hold_s": 120, "clear_s": 0, "counts": [], "audiences": ["platform"], "others_after_s": 0, "severity": null},
  {"code": "duty-gap", "kind": "duty-gap", "scope": {"outlet": null, "enterprise": null, "division": ""}, "enabled": true, "levels": [], "hold_s": 0, "clear_s": 0, "counts": [], "audiences": ["platform"], "others_after_s": 0, "severity": null},
  {"code": "self-test", "kind": "self-test", "scope": {"outlet": null, "enterprise": null, "division": ""}, "enabled": true, "levels": [], "hold_s": 0, "clear_s": 0, "counts": [], "audiences": ["platform"], "others_after_s": 0, "severity": null}
]'::jsonb) AS body;

-- An enterprise may silence what its own people are told, never what the bureau is told.
ALTER TABLE silence ADD COLUMN audience text CHECK (audience IN ('enterprise', 'bureau', 'platform'));
COMMENT ON COLUMN silence.audience IS 'Only these are not told; NULL: nobody is';

-- Episodes are named by their number alone, in addresses and commands.
CREATE INDEX episode_by_id ON episode_row (id);

-- What happened to alerts, in the order of commits, for those who follow it. A reader that has seen a number has seen all below it:
-- numbers are given at the very end of a transaction, one transaction after another.
CREATE TABLE alert_news (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         timestamptz NOT NULL,
    what       text        NOT NULL CHECK (what IN ('alert', 'seen', 'acknowledged', 'assigned', 'commented', 'closed', 'silenced', 'silence-ended')),
    outlet_id  integer,
    episode_id bigint,
    audience   text,
    alert_id   uuid,
    silence_id bigint,
    by_whom    text
);
CREATE INDEX alert_news_by_time ON alert_news (at);
COMMENT ON TABLE alert_news IS 'Feeds /api/v1/events; kept for a week';
CREATE FUNCTION alert_becomes_news() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(7226371, 8);
    INSERT INTO alert_news (at, what, outlet_id, episode_id, alert_id) VALUES (NEW.created_at, 'alert', NEW.outlet_id, NEW.episode_id, NEW.id);
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER becomes_news AFTER INSERT ON alert DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION alert_becomes_news();
CREATE FUNCTION action_becomes_news() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(7226371, 8);
    INSERT INTO alert_news (at, what, outlet_id, episode_id, audience, by_whom)
        VALUES (NEW.at, NEW.what, NEW.outlet_id, NEW.episode_id, NEW.audience, NEW.by_whom);
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER becomes_news AFTER INSERT ON episode_action DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.what NOT IN ('told', 'link-refused')) EXECUTE FUNCTION action_becomes_news();
CREATE FUNCTION silence_becomes_news() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(7226371, 8);
    INSERT INTO alert_news (at, what, audience, silence_id, by_whom) VALUES (coalesce(NEW.ended_at, NEW.made_at),
        CASE WHEN NEW.ended_at IS NULL THEN 'silenced' ELSE 'silence-ended' END, NEW.audience, NEW.id, coalesce(NEW.ended_by, NEW.author));
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER becomes_news AFTER INSERT OR UPDATE ON silence DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION silence_becomes_news();
