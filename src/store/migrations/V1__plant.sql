-- What is known about plants and rules. Times are half-open: valid_from <= t < valid_to, no valid_to is "until further
-- notice". Nothing that a calculation used is changed later: new values are new rows. Every value is checked before it
-- comes here; the constraints are the second line of defence. Overlaps are kept out without an extension: a number n is
-- the range [n,n], which GiST can compare.

CREATE TABLE pollutant (
    code       text PRIMARY KEY CHECK (code ~ '^[a-z][0-9]{5}$'),
    symbol     text NOT NULL,
    name_en    text NOT NULL,
    name_zh    text NOT NULL,
    role       text NOT NULL CHECK (role IN ('pollutant', 'oxygen', 'temperature', 'static-pressure',
               'ambient-pressure', 'moisture', 'velocity', 'flow', 'other')),
    unit       text NOT NULL,
    molar_mass float8 CHECK (molar_mass > 0 AND molar_mass < 1e4)
);
COMMENT ON TABLE pollutant IS 'Factor codes of HJ 212-2017 table B.2';
COMMENT ON COLUMN pollutant.role IS 'What the factor is to the calculations';
COMMENT ON COLUMN pollutant.unit IS 'As HJ 212 transports it; a channel may have another one of its role';
COMMENT ON COLUMN pollutant.molar_mass IS 'g/mol, as the pollutant is expressed (NOx as NO2, NMHC as C)';

CREATE TABLE rule (
    id         int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code       text NOT NULL,
    valid_from timestamptz NOT NULL,
    valid_to   timestamptz CHECK (valid_to > valid_from),
    name       text NOT NULL,
    document   text NOT NULL,
    mark       text NOT NULL CHECK (mark IN ('V', 'V2', 'M', '?')),
    kind       text NOT NULL CHECK (kind IN ('violation', 'assessment', 'order')),
    division   text NOT NULL CHECK (division ~ '^[0-9]{0,6}$'),
    industry   text NOT NULL,
    process    text NOT NULL,
    pollutant  text NOT NULL REFERENCES pollutant,
    limit_mg_m3 float8 NOT NULL CHECK (limit_mg_m3 > 0 AND limit_mg_m3 < 'Infinity'),
    period     text NOT NULL,
    reference_oxygen_percent float8 CHECK (reference_oxygen_percent BETWEEN 0 AND 20.9),
    excess_air float8 CHECK (excess_air >= 1 AND excess_air < 'Infinity'),
    comparison text NOT NULL CHECK (comparison IN ('full-value', 'rounded')),
    early_warning_ratio float8 NOT NULL CHECK (early_warning_ratio > 0 AND early_warning_ratio < 'Infinity'),
    UNIQUE (code, valid_from),
    CHECK (reference_oxygen_percent IS NULL OR excess_air IS NULL)
);
COMMENT ON TABLE rule IS 'Limits, one row a version; each is judged by itself, never merged with another';
COMMENT ON COLUMN rule.document IS 'The document and the place in it';
COMMENT ON COLUMN rule.mark IS 'V read in the document, V2 second hand, M from memory, ? doubtful';
COMMENT ON COLUMN rule.division IS 'Prefix of the administrative division; empty is everywhere';
COMMENT ON COLUMN rule.industry IS 'Prefix of the GB/T 4754 code; empty is every industry';
COMMENT ON COLUMN rule.reference_oxygen_percent IS 'Per cent by volume; null with null excess_air is no conversion';
COMMENT ON COLUMN rule.excess_air IS 'Excess-air coefficient';
COMMENT ON COLUMN rule.early_warning_ratio IS 'Multiple of the limit above which a single scan is an early warning';

CREATE TABLE enterprise (
    id       int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code     text NOT NULL UNIQUE CHECK (length(code) = 18),
    name     text NOT NULL,
    industry text NOT NULL,
    division text NOT NULL CHECK (division ~ '^[0-9]{6}$'),
    contact  text NOT NULL
);
COMMENT ON COLUMN enterprise.code IS 'Unified social credit code (GB 32100)';
COMMENT ON COLUMN enterprise.industry IS 'GB/T 4754';
COMMENT ON COLUMN enterprise.division IS 'Administrative division (GB/T 2260)';

CREATE TABLE outlet (
    id             int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code           text NOT NULL UNIQUE CHECK (code ~ '^[A-Za-z0-9._-]{1,64}$'),
    name           text NOT NULL,
    enterprise_id  int NOT NULL REFERENCES enterprise,
    longitude      float8 NOT NULL CHECK (longitude BETWEEN -180 AND 180),
    latitude       float8 NOT NULL CHECK (latitude BETWEEN -90 AND 90),
    datum          text NOT NULL CHECK (datum IN ('CGCS2000', 'WGS84')),
    stack_height_m float8 NOT NULL CHECK (stack_height_m > 0 AND stack_height_m < 'Infinity')
);
COMMENT ON TABLE outlet IS 'Permitted discharge points';
COMMENT ON COLUMN outlet.longitude IS 'Degrees, east positive';
COMMENT ON COLUMN outlet.latitude IS 'Degrees, north positive';

CREATE TABLE outlet_setting (
    outlet_id  int NOT NULL REFERENCES outlet,
    valid_from timestamptz NOT NULL,
    valid_to   timestamptz CHECK (valid_to > valid_from),
    process    text NOT NULL,
    reference_oxygen_percent float8 CHECK (reference_oxygen_percent BETWEEN 0 AND 20.9),
    oxygen_of_air_percent    float8 NOT NULL CHECK (oxygen_of_air_percent BETWEEN 20 AND 21),
    oxygen_cutoff_percent    float8 NOT NULL CHECK (oxygen_cutoff_percent < oxygen_of_air_percent),
    cutoff_policy            text NOT NULL CHECK (cutoff_policy IN ('not-convertible', 'no-conversion', 'cap')),
    ambient_pressure_pa      float8 NOT NULL CHECK (ambient_pressure_pa BETWEEN 3e4 AND 1.2e5),
    moisture_fraction        float8 CHECK (moisture_fraction >= 0 AND moisture_fraction < 1),
    area_m2                  float8 CHECK (area_m2 > 0 AND area_m2 < 'Infinity'),
    velocity_coefficient     float8 NOT NULL CHECK (velocity_coefficient > 0 AND velocity_coefficient < 'Infinity'),
    PRIMARY KEY (outlet_id, valid_from),
    EXCLUDE USING gist (int4range(outlet_id, outlet_id, '[]') WITH &&, tstzrange(valid_from, valid_to) WITH &&)
);
COMMENT ON TABLE outlet_setting IS 'What the calculations of an outlet need besides its channels';
COMMENT ON COLUMN outlet_setting.process IS 'What feeds the outlet, as rules name it';
COMMENT ON COLUMN outlet_setting.oxygen_cutoff_percent IS 'Per cent by volume; above it a concentration is not convertible';
COMMENT ON COLUMN outlet_setting.ambient_pressure_pa IS 'Pascal, where no channel measures it';
COMMENT ON COLUMN outlet_setting.moisture_fraction IS 'Volume fraction 0..1, where no channel measures it';
COMMENT ON COLUMN outlet_setting.area_m2 IS 'Duct area at the velocity probe, square metres';
COMMENT ON COLUMN outlet_setting.velocity_coefficient IS 'Kv of HJ 212-2017 eq. (29)';

CREATE TABLE analyser (
    outlet_id     int NOT NULL REFERENCES outlet,
    name          text NOT NULL,
    valid_from    timestamptz NOT NULL,
    valid_to      timestamptz CHECK (valid_to > valid_from),
    maker         text NOT NULL,
    model         text NOT NULL,
    serial_number text NOT NULL,
    principle     text NOT NULL,
    range_note    text,
    PRIMARY KEY (outlet_id, name, valid_from)
);
COMMENT ON TABLE analyser IS 'Instruments; one name keeps its place in the outlet while instruments change';

CREATE TABLE channel (
    outlet_id int NOT NULL REFERENCES outlet,
    position  int NOT NULL CHECK (position BETWEEN 0 AND 999),
    code      text NOT NULL,
    pollutant text NOT NULL REFERENCES pollutant,
    PRIMARY KEY (outlet_id, position),
    UNIQUE (outlet_id, code)
);
COMMENT ON TABLE channel IS 'Measured quantities of an outlet; rows are never removed and positions never change';
COMMENT ON COLUMN channel.position IS 'Index into the arrays of every scan of the outlet, from 0';
COMMENT ON COLUMN channel.code IS 'Factor code, with a suffix for a second measurement of the same factor';

CREATE TABLE channel_setting (
    outlet_id      int NOT NULL,
    position       int NOT NULL,
    valid_from     timestamptz NOT NULL,
    valid_to       timestamptz CHECK (valid_to > valid_from),
    analyser       text NOT NULL,
    unit           text NOT NULL,
    moisture_basis text NOT NULL CHECK (moisture_basis IN ('wet', 'dry')),
    state_basis    text NOT NULL CHECK (state_basis IN ('standard', 'actual')),
    expression     text NOT NULL CHECK (expression IN ('as-named', 'as-no')),
    range_low      float8 NOT NULL CHECK (range_low > '-Infinity'),
    range_high     float8 NOT NULL CHECK (range_high > range_low AND range_high < 'Infinity'),
    period_ms      int NOT NULL CHECK (period_ms > 0),
    decimals       int2 NOT NULL CHECK (decimals BETWEEN 0 AND 9),
    PRIMARY KEY (outlet_id, position, valid_from),
    FOREIGN KEY (outlet_id, position) REFERENCES channel,
    EXCLUDE USING gist (int4range(outlet_id, outlet_id, '[]') WITH &&, int4range(position, position, '[]') WITH &&,
                        tstzrange(valid_from, valid_to) WITH &&)
);
COMMENT ON TABLE channel_setting IS 'How to read a channel''s values';
COMMENT ON COLUMN channel_setting.analyser IS 'Name of the outlet''s analyser';
COMMENT ON COLUMN channel_setting.range_low IS 'Lower end of the measuring range, in the unit';
COMMENT ON COLUMN channel_setting.range_high IS 'Upper end of the measuring range, in the unit';
COMMENT ON COLUMN channel_setting.period_ms IS 'Milliseconds between scans that carry the channel';
COMMENT ON COLUMN channel_setting.decimals IS 'For display only';

CREATE TABLE gateway (
    id   int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE CHECK (name ~ '^[a-z0-9-]{1,64}$' AND name <> 'central')
);
COMMENT ON COLUMN gateway.name IS 'Equal to its MQTT user name';

CREATE TABLE serving (
    outlet_id  int NOT NULL REFERENCES outlet,
    valid_from timestamptz NOT NULL,
    valid_to   timestamptz CHECK (valid_to > valid_from),
    gateway_id int NOT NULL REFERENCES gateway,
    PRIMARY KEY (outlet_id, valid_from),
    EXCLUDE USING gist (int4range(outlet_id, outlet_id, '[]') WITH &&, tstzrange(valid_from, valid_to) WITH &&)
);
COMMENT ON TABLE serving IS 'Which gateway speaks for an outlet, one at a time; late data of an earlier one still counts';

CREATE TABLE notify_channel (
    id      int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name    text NOT NULL UNIQUE,
    kind    text NOT NULL CHECK (kind IN ('webhook', 'log')),
    url     text,
    enabled boolean NOT NULL,
    CHECK ((kind = 'webhook') = (url IS NOT NULL))
);
COMMENT ON TABLE notify_channel IS 'Where alerts go';
COMMENT ON COLUMN notify_channel.url IS 'What a webhook posts to';

CREATE TABLE plant_revision (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    revision bigint NOT NULL
);
INSERT INTO plant_revision (revision) VALUES (0);
COMMENT ON TABLE plant_revision IS 'Grows with every save that changes anything above: readers see that they must load again';
