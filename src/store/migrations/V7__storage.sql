-- How scan and average_wide are kept. They are born as partitioned tables; `cems migrate` may make them again as hypertables of
-- TimescaleDB while they are empty, and notes it here. What is noted and what the tables are must agree.

CREATE TABLE storage (
    only_row   boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    kind       text        NOT NULL CHECK (kind IN ('partitions', 'hypertables')),
    decided_at timestamptz NOT NULL
);
COMMENT ON TABLE storage IS 'How scan and average_wide are kept; one row';
INSERT INTO storage (kind, decided_at) VALUES ('partitions', now());

COMMENT ON TABLE scan IS 'All channels of an outlet at one tick; arrays and flags in the order of channel.position (position 0 first). One partition or chunk a day (UTC).';
