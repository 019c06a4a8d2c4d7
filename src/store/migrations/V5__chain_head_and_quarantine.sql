-- How far each chain has come, and how much is in quarantine.

-- Noted by the centres a few seconds after the COMMIT, so each row is a lower bound: what it names was stored.
CREATE TABLE chain_head (
    gateway_id integer     NOT NULL REFERENCES gateway (id),
    epoch      uuid        NOT NULL,
    records    bigint      NOT NULL CHECK (records >= 0),
    kept       bigint      NOT NULL CHECK (kept >= 0),
    last_seq   bigint,
    head       bytea       CHECK (length(head) = 32),
    last_at    timestamptz,
    noted_at   timestamptz NOT NULL,
    PRIMARY KEY (gateway_id, epoch),
    CHECK ((last_seq IS NULL) = (head IS NULL) AND (last_seq IS NULL) = (last_at IS NULL))
) WITH (fillfactor = 70);
COMMENT ON TABLE chain_head IS 'What was stored of each chain, at least: deleting its newest rows does not go unnoticed';
COMMENT ON COLUMN chain_head.records IS 'Rows of scan and event that were stored, at least';
COMMENT ON COLUMN chain_head.kept IS 'Rows of quarantine that were kept under this epoch, at least';
COMMENT ON COLUMN chain_head.head IS 'Hash of the stored record with the highest sequence number, last_seq';
COMMENT ON COLUMN chain_head.last_at IS 'The time that this record is about';

-- Records and bytes of state 'kept', by gateway: what the cap is compared with, without counting. The trigger keeps it right
-- whoever changes the table.
CREATE TABLE quarantine_level (
    gateway text   PRIMARY KEY,
    records bigint NOT NULL,
    bytes   bigint NOT NULL
) WITH (fillfactor = 70);
COMMENT ON TABLE quarantine_level IS 'How much of each gateway is kept in quarantine, for the cap';
INSERT INTO quarantine_level (gateway, records, bytes)
SELECT gateway, count(*), sum(length(payload)) FROM quarantine WHERE state = 'kept' GROUP BY gateway;

CREATE FUNCTION quarantine_count() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' AND OLD.state = 'kept' THEN
        UPDATE quarantine_level SET records = records - 1, bytes = bytes - length(OLD.payload) WHERE gateway = OLD.gateway;
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.state = 'kept' THEN
        INSERT INTO quarantine_level AS l (gateway, records, bytes) VALUES (NEW.gateway, 1, length(NEW.payload))
        ON CONFLICT (gateway) DO UPDATE SET records = l.records + 1, bytes = l.bytes + excluded.bytes;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER counted AFTER INSERT OR DELETE OR UPDATE OF state, gateway, payload ON quarantine
    FOR EACH ROW EXECUTE FUNCTION quarantine_count();

CREATE INDEX quarantine_by_gateway ON quarantine (gateway, id);

-- What people did with quarantined records, and who. Rows are only added.
CREATE TABLE quarantine_change (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    quarantine_id bigint      NOT NULL REFERENCES quarantine (id),
    at            timestamptz NOT NULL,
    what          text        NOT NULL CHECK (what IN ('stored', 'refused', 'discarded')),
    by_whom       text        NOT NULL CHECK (by_whom <> ''),
    reason        text        NOT NULL CHECK (reason <> '')
);
CREATE INDEX quarantine_change_of ON quarantine_change (quarantine_id);
COMMENT ON TABLE quarantine_change IS 'Retries and discards of quarantined records';
COMMENT ON COLUMN quarantine_change.what IS 'stored: a retry stored it; refused: a retry was refused once more; discarded: somebody decided that it is worth nothing';
COMMENT ON COLUMN quarantine_change.reason IS 'Of a refusal the new reason, of a discard why';

CREATE FUNCTION quarantine_change_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of quarantine_change are never changed or removed';
END $$;
CREATE TRIGGER only_grows BEFORE UPDATE OR DELETE ON quarantine_change
    FOR EACH ROW EXECUTE FUNCTION quarantine_change_only_grows();
