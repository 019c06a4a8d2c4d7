-- A batch at full speed touches two thousand minutes: named one by one they cost more than a quarter of ingest. Now one row names
-- all outlets of a lane whose window of that time is due. Rows are still only appended by ingest; a closer deletes a row when all that it
-- names is computed, and leaves what is not.
ALTER TABLE due ADD COLUMN outlets integer[];
UPDATE due SET outlets = ARRAY[outlet_id];
ALTER TABLE due ALTER COLUMN outlets SET NOT NULL, DROP COLUMN outlet_id;
COMMENT ON COLUMN due.outlets IS 'outlet.id, all of this lane.';
