//! The statements that add and change rows: one of each a table, fed with rows as a JSON array.

use serde_json::Value;
use tokio_postgres::Transaction;

use super::Error;
use super::compare::Changes;
use crate::store::session::bounded;

/// Rows a statement: bounds the message and the time-out's work.
const CHUNK: usize = 5000;

/// The tables, in an order in which each finds what it refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Table {
    Pollutant,
    Rule,
    Enterprise,
    Gateway,
    Outlet,
    Setting,
    Analyser,
    Channel,
    ChannelSetting,
    Serving,
    Notify,
}

/// Changes first: an open row must end before its successor may begin.
pub(super) async fn write(transaction: &Transaction<'_>, changes: Changes) -> Result<(), Error> {
    for (table, rows) in changes.tables {
        if let Some(sql) = table.change() {
            run(transaction, sql, rows.changed).await?;
        }
        run(transaction, table.add(), rows.added).await?;
    }
    Ok(())
}

async fn run(transaction: &Transaction<'_>, sql: &str, mut rows: Vec<Value>) -> Result<(), Error> {
    while !rows.is_empty() {
        let rest = rows.split_off(rows.len().min(CHUNK));
        bounded(transaction.execute(sql, &[&Value::Array(rows)])).await?;
        rows = rest;
    }
    Ok(())
}

impl Table {
    /// Its name in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Table::Pollutant => "pollutant",
            Table::Rule => "rule",
            Table::Enterprise => "enterprise",
            Table::Gateway => "gateway",
            Table::Outlet => "outlet",
            Table::Setting => "outlet_setting",
            Table::Analyser => "analyser",
            Table::Channel => "channel",
            Table::ChannelSetting => "channel_setting",
            Table::Serving => "serving",
            Table::Notify => "notify_channel",
        }
    }

    const fn add(self) -> &'static str {
        match self {
            Table::Pollutant => {
                "INSERT INTO pollutant SELECT * FROM jsonb_populate_recordset(NULL::pollutant, $1)"
            }
            Table::Rule => {
                "INSERT INTO rule (code, valid_from, valid_to, name, document, mark, kind, division, industry, process, \
                 pollutant, limit_mg_m3, period, reference_oxygen_percent, excess_air, comparison, early_warning_ratio) \
                 SELECT code, valid_from, valid_to, name, document, mark, kind, division, industry, process, pollutant, \
                 limit_mg_m3, period, reference_oxygen_percent, excess_air, comparison, early_warning_ratio \
                 FROM jsonb_populate_recordset(NULL::rule, $1)"
            }
            Table::Enterprise => {
                "INSERT INTO enterprise (code, name, industry, division, contact) \
                 SELECT code, name, industry, division, contact FROM jsonb_populate_recordset(NULL::enterprise, $1)"
            }
            Table::Gateway => {
                "INSERT INTO gateway (name) SELECT name FROM jsonb_populate_recordset(NULL::gateway, $1)"
            }
            Table::Outlet => {
                "INSERT INTO outlet (code, name, enterprise_id, longitude, latitude, datum, stack_height_m) \
                 SELECT r.code, r.name, e.id, r.longitude, r.latitude, r.datum, r.stack_height_m \
                 FROM jsonb_to_recordset($1) AS r(code text, name text, enterprise text, longitude float8, \
                 latitude float8, datum text, stack_height_m float8) JOIN enterprise e ON e.code = r.enterprise"
            }
            Table::Setting => {
                "INSERT INTO outlet_setting SELECT o.id, r.valid_from, r.valid_to, r.process, \
                 r.reference_oxygen_percent, r.oxygen_of_air_percent, r.oxygen_cutoff_percent, r.cutoff_policy, \
                 r.ambient_pressure_pa, r.moisture_fraction, r.area_m2, r.velocity_coefficient \
                 FROM jsonb_to_recordset($1) AS r(outlet text, valid_from timestamptz, valid_to timestamptz, \
                 process text, reference_oxygen_percent float8, oxygen_of_air_percent float8, \
                 oxygen_cutoff_percent float8, cutoff_policy text, ambient_pressure_pa float8, \
                 moisture_fraction float8, area_m2 float8, velocity_coefficient float8) \
                 JOIN outlet o ON o.code = r.outlet"
            }
            Table::Analyser => {
                "INSERT INTO analyser SELECT o.id, r.name, r.valid_from, r.valid_to, r.maker, r.model, r.serial_number, \
                 r.principle, r.range_note FROM jsonb_to_recordset($1) AS r(outlet text, name text, \
                 valid_from timestamptz, valid_to timestamptz, maker text, model text, serial_number text, \
                 principle text, range_note text) JOIN outlet o ON o.code = r.outlet"
            }
            Table::Channel => {
                "INSERT INTO channel SELECT o.id, r.position, r.code, r.pollutant \
                 FROM jsonb_to_recordset($1) AS r(outlet text, position int, code text, pollutant text) \
                 JOIN outlet o ON o.code = r.outlet"
            }
            Table::ChannelSetting => {
                "INSERT INTO channel_setting SELECT c.outlet_id, c.position, r.valid_from, r.valid_to, r.analyser, \
                 r.unit, r.moisture_basis, r.state_basis, r.expression, r.range_low, r.range_high, r.period_ms, r.decimals \
                 FROM jsonb_to_recordset($1) AS r(outlet text, code text, valid_from timestamptz, \
                 valid_to timestamptz, analyser text, unit text, moisture_basis text, state_basis text, \
                 expression text, range_low float8, range_high float8, period_ms int, decimals int2) \
                 JOIN outlet o ON o.code = r.outlet JOIN channel c ON c.outlet_id = o.id AND c.code = r.code"
            }
            Table::Serving => {
                "INSERT INTO serving SELECT o.id, r.valid_from, r.valid_to, g.id \
                 FROM jsonb_to_recordset($1) AS r(outlet text, valid_from timestamptz, valid_to timestamptz, \
                 gateway text) JOIN outlet o ON o.code = r.outlet JOIN gateway g ON g.name = r.gateway"
            }
            Table::Notify => {
                "INSERT INTO notify_channel (name, kind, url, settings, broadcast, enabled) \
                 SELECT name, kind, url, settings, broadcast, enabled FROM jsonb_populate_recordset(NULL::notify_channel, $1)"
            }
        }
    }

    /// `None` where nothing ever changes: a gateway's name, a channel's code and position.
    const fn change(self) -> Option<&'static str> {
        Some(match self {
            Table::Pollutant => {
                "UPDATE pollutant p SET symbol = r.symbol, name_en = r.name_en, name_zh = r.name_zh, \
                 molar_mass = r.molar_mass FROM jsonb_populate_recordset(NULL::pollutant, $1) r WHERE p.code = r.code"
            }
            Table::Rule => {
                "UPDATE rule x SET valid_to = r.valid_to, name = r.name, document = r.document, mark = r.mark, \
                 early_warning_ratio = r.early_warning_ratio FROM jsonb_populate_recordset(NULL::rule, $1) r \
                 WHERE x.code = r.code AND x.valid_from = r.valid_from"
            }
            Table::Enterprise => {
                "UPDATE enterprise e SET name = r.name, contact = r.contact \
                 FROM jsonb_populate_recordset(NULL::enterprise, $1) r WHERE e.code = r.code"
            }
            Table::Outlet => {
                "UPDATE outlet o SET name = r.name, longitude = r.longitude, latitude = r.latitude, datum = r.datum, \
                 stack_height_m = r.stack_height_m FROM jsonb_populate_recordset(NULL::outlet, $1) r \
                 WHERE o.code = r.code"
            }
            Table::Setting => {
                "UPDATE outlet_setting s SET valid_to = r.valid_to FROM jsonb_to_recordset($1) \
                 AS r(outlet text, valid_from timestamptz, valid_to timestamptz) JOIN outlet o ON o.code = r.outlet \
                 WHERE s.outlet_id = o.id AND s.valid_from = r.valid_from"
            }
            Table::Analyser => {
                "UPDATE analyser a SET valid_to = r.valid_to FROM jsonb_to_recordset($1) \
                 AS r(outlet text, name text, valid_from timestamptz, valid_to timestamptz) \
                 JOIN outlet o ON o.code = r.outlet \
                 WHERE a.outlet_id = o.id AND a.name = r.name AND a.valid_from = r.valid_from"
            }
            Table::Gateway | Table::Channel => return None,
            Table::ChannelSetting => {
                "UPDATE channel_setting s SET valid_to = r.valid_to FROM jsonb_to_recordset($1) \
                 AS r(outlet text, code text, valid_from timestamptz, valid_to timestamptz) \
                 JOIN outlet o ON o.code = r.outlet JOIN channel c ON c.outlet_id = o.id AND c.code = r.code \
                 WHERE s.outlet_id = c.outlet_id AND s.position = c.position AND s.valid_from = r.valid_from"
            }
            Table::Serving => {
                "UPDATE serving s SET valid_to = r.valid_to FROM jsonb_to_recordset($1) \
                 AS r(outlet text, valid_from timestamptz, valid_to timestamptz) JOIN outlet o ON o.code = r.outlet \
                 WHERE s.outlet_id = o.id AND s.valid_from = r.valid_from"
            }
            Table::Notify => {
                "UPDATE notify_channel n SET kind = r.kind, url = r.url, settings = r.settings, broadcast = r.broadcast, \
                 enabled = r.enabled \
                 FROM jsonb_populate_recordset(NULL::notify_channel, $1) r WHERE n.name = r.name"
            }
        })
    }
}
