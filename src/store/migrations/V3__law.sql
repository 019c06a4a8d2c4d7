-- The law's lists: how states are told apart, marks and reviews, exemptions, checks, orders, assessments, quotas, targets.
-- Rows are only added; the one thing that may change is that an open entry ends. The body is the entry as documents have it,
-- without its times; the constraint of uniqueness and the code keep entries of one subject apart.

CREATE TABLE law_entry (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    list       text NOT NULL CHECK (list IN ('source_rule', 'marking', 'mark', 'review', 'exemption', 'check_plan', 'check',
               'efficiency', 'line', 'order', 'assessment', 'furnace', 'quota', 'target')),
    subject    text NOT NULL,
    outlet     text,
    valid_from timestamptz NOT NULL,
    valid_to   timestamptz CHECK (valid_to > valid_from),
    body       jsonb NOT NULL CHECK (jsonb_typeof(body) = 'object'),
    revision   bigint NOT NULL,
    stored_at  timestamptz NOT NULL,
    UNIQUE (list, subject, valid_from)
);
CREATE INDEX ON law_entry (list, valid_from);
CREATE INDEX ON law_entry (revision);
COMMENT ON TABLE law_entry IS 'Lists that say how figures are used; rows are never removed, and only an open end may be closed';
COMMENT ON COLUMN law_entry.subject IS 'What the entry is about within its list: a code, or the names that its versions share';
COMMENT ON COLUMN law_entry.outlet IS 'Code of the outlet, where the list is about outlets';
COMMENT ON COLUMN law_entry.body IS 'The entry without its times, as JSON';
COMMENT ON COLUMN law_entry.revision IS 'plant_revision.revision of the save that added or ended it';

CREATE FUNCTION law_entry_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'rows of law_entry are never removed; add an entry that says what holds now';
    END IF;
    IF OLD.valid_to IS NOT NULL
       OR (OLD.id, OLD.list, OLD.subject, OLD.outlet, OLD.valid_from, OLD.body, OLD.stored_at)
          IS DISTINCT FROM (NEW.id, NEW.list, NEW.subject, NEW.outlet, NEW.valid_from, NEW.body, NEW.stored_at) THEN
        RAISE EXCEPTION 'rows of law_entry never change; only an open one may end';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER only_grows BEFORE UPDATE OR DELETE ON law_entry FOR EACH ROW EXECUTE FUNCTION law_entry_only_grows();

CREATE VIEW mark AS
SELECT subject AS code, outlet, body->>'channel' AS channel,
       coalesce(body->'claim'->>'state', body->'claim'->>'instrument') AS claim,
       valid_from, valid_to, body->>'author' AS author, body->>'reason' AS reason,
       (body->>'made_at')::timestamptz AS made_at, body->>'attachment' AS attachment
FROM law_entry WHERE list = 'mark';
COMMENT ON VIEW mark IS 'What enterprises say about their data; reviews are in the view review';

CREATE VIEW review AS
SELECT body->>'mark' AS mark, valid_from AS reviewed_at, body->>'by' AS reviewer,
       CASE jsonb_typeof(body->'decision') WHEN 'string' THEN body->>'decision' ELSE 'corrected' END AS decision,
       body->>'reason' AS reason
FROM law_entry WHERE list = 'review';
COMMENT ON VIEW review IS 'What the bureau says of marks; the newest one of a mark counts';
