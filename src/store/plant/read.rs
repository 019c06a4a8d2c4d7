//! The stored catalogue, in a handful of queries that travel together.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use futures_util::{TryStreamExt as _, try_join};
use jiff::Timestamp;
use tokio_postgres::types::{FromSql, ToSql};
use tokio_postgres::{GenericClient, Row};

use super::Error;
use crate::config::catalogue::{Analyser, Catalogue, Datum, NotifyChannel, NotifyKind, OutletEntry, Site};
use crate::config::notify::Settings;
use crate::domain::history::{Dated, History};
use crate::domain::law::Law;
use crate::domain::limit::{AveragingPeriod, Comparison, Kind, Reference, Rule};
use crate::domain::plant::{
    ChannelCode, ChannelSettings, CutoffPolicy, Enterprise, Expression, Gateway, MoistureBasis,
    OutletSettings, StateBasis, Unit,
};
use crate::domain::pollutant::{Factor, Pollutant, Role};
use crate::store::session::bounded;

/// Reads everything. Within a transaction it is of one moment; outside see `load_catalogue`.
pub(in crate::store) async fn catalogue(client: &impl GenericClient) -> Result<Catalogue, Error> {
    let read = async |sql: &'static str| bounded(client.query(sql, &[])).await;
    let (pollutants, rules, enterprises, gateways, outlets) = try_join!(
        read("SELECT * FROM pollutant ORDER BY code COLLATE \"C\""),
        read("SELECT * FROM rule ORDER BY code COLLATE \"C\", valid_from"),
        read("SELECT * FROM enterprise ORDER BY code COLLATE \"C\""),
        read("SELECT id, name FROM gateway ORDER BY name COLLATE \"C\""),
        read(
            "SELECT o.*, e.code AS enterprise FROM outlet o JOIN enterprise e ON e.id = o.enterprise_id \
             ORDER BY o.code COLLATE \"C\""
        ),
    )?;
    let (settings, analysers, servings) = try_join!(
        read("SELECT * FROM outlet_setting ORDER BY outlet_id, valid_from"),
        read("SELECT * FROM analyser ORDER BY outlet_id, name COLLATE \"C\", valid_from"),
        read(
            "SELECT s.outlet_id, s.valid_from, s.valid_to, g.name FROM serving s JOIN gateway g ON g.id = s.gateway_id \
             ORDER BY s.outlet_id, s.valid_from"
        ),
    )?;
    let mut names = Names::default();
    let channels = channels(client, &mut names).await?;
    let mut parts = Parts {
        settings: grouped(settings, "outlet_setting", setting)?,
        analysers: grouped(analysers, "analyser", |columns| Ok((names.name(columns)?, analyser(columns)?)))?,
        channels,
        served_by: grouped(servings, "serving", |columns| names.name(columns))?,
    };
    Ok(Catalogue {
        pollutants: each(&pollutants, "pollutant", pollutant)?,
        rules: each(&rules, "rule", rule)?,
        enterprises: each(&enterprises, "enterprise", enterprise)?,
        gateways: each(&gateways, "gateway", |columns| {
            Ok(Gateway { id: columns.get("id")?, name: columns.get::<&str>("name")?.into() })
        })?,
        outlets: each(&outlets, "outlet", |columns| parts.outlet(columns))?,
        notify: notify(client).await?,
        // Marks and checks are many: they are loaded by themselves, for a time.
        law: Law::default(),
    })
}

/// Notification channels, by name.
pub(super) async fn notify(client: &impl GenericClient) -> Result<Vec<NotifyChannel>, Error> {
    let rows = bounded(client.query("SELECT * FROM notify_channel ORDER BY name COLLATE \"C\"", &[])).await?;
    each(&rows, "notify_channel", |columns| {
        Ok(NotifyChannel {
            id: columns.get("id")?,
            name: columns.get("name")?,
            kind: columns.word("kind", &NotifyKind::ALL.map(|kind| (kind.name(), kind)))?,
            url: columns.get("url")?,
            settings: columns.settings()?,
            broadcast: columns.get("broadcast")?,
            enabled: columns.get("enabled")?,
        })
    })
}

/// One row, whose table is known for messages.
struct Columns<'r> {
    table: &'static str,
    row: &'r Row,
}

impl<'r> Columns<'r> {
    fn get<T: FromSql<'r>>(&self, column: &'static str) -> Result<T, Error> {
        Ok(self.row.try_get(column)?)
    }

    /// What a channel of notification needs besides its address.
    fn settings(&self) -> Result<Settings, Error> {
        let found: serde_json::Value = self.get("settings")?;
        let text = found.to_string();
        let unreadable = |_error| Error::Unreadable { table: self.table, column: "settings", found: text };
        serde_json::from_value(found).map_err(unreadable)
    }

    /// A word of ours, or the error that says which one it is not.
    fn word<T: Copy>(&self, column: &'static str, words: &[(&'static str, T)]) -> Result<T, Error> {
        let found: &str = self.get(column)?;
        let known = words.iter().find(|(word, _)| *word == found).map(|(_, value)| *value);
        known.ok_or_else(|| Error::Unreadable { table: self.table, column, found: found.to_owned() })
    }

    fn dated<T>(&self, value: T) -> Result<Dated<T>, Error> {
        let from: Timestamp = self.get("valid_from")?;
        Ok(Dated { from, until: self.get("valid_to")?, value })
    }
}

fn each<T>(
    rows: &[Row],
    table: &'static str,
    mut turn: impl FnMut(&Columns<'_>) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    rows.iter().map(|row| turn(&Columns { table, row })).collect()
}

type Grouped<T> = HashMap<i32, Vec<Dated<T>>>;

/// Dated rows by outlet.
fn grouped<T>(
    rows: Vec<Row>,
    table: &'static str,
    mut turn: impl FnMut(&Columns<'_>) -> Result<T, Error>,
) -> Result<Grouped<T>, Error> {
    let mut groups: Grouped<T> = HashMap::new();
    for row in rows {
        let columns = Columns { table, row: &row };
        let value = turn(&columns)?;
        groups.entry(columns.get("outlet_id")?).or_default().push(columns.dated(value)?);
    }
    Ok(groups)
}

type ChannelVersions = (ChannelCode, Vec<Dated<ChannelSettings>>);

/// Takes row by row: all of them at once would take more than what is made of them.
async fn by_row(
    client: &impl GenericClient,
    (table, sql): (&'static str, &'static str),
    mut take: impl FnMut(&Columns<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let none: [&(dyn ToSql + Sync); 0] = [];
    let rows = bounded(client.query_raw(sql, none)).await?;
    tokio::pin!(rows);
    let reading = async {
        while let Some(row) = rows.try_next().await? {
            if let Err(error) = take(&Columns { table, row: &row }) {
                return Ok::<_, tokio_postgres::Error>(Err(error));
            }
        }
        Ok(Ok(()))
    };
    bounded(reading).await?
}

/// Channels by outlet, in the order of their positions.
async fn channels(
    client: &impl GenericClient,
    names: &mut Names,
) -> Result<HashMap<i32, Vec<ChannelVersions>>, Error> {
    let mut groups: HashMap<i32, Vec<ChannelVersions>> = HashMap::new();
    let sql = "SELECT outlet_id, position, code FROM channel ORDER BY outlet_id, position";
    by_row(client, ("channel", sql), |columns| {
        let found: &str = columns.get("code")?;
        let group = groups.entry(columns.get("outlet_id")?).or_default();
        let position: i32 = columns.get("position")?;
        let unreadable = |column, found: &dyn ToString| Error::Unreadable {
            table: "channel",
            column,
            found: found.to_string(),
        };
        let code = ChannelCode::new(found).ok_or_else(|| unreadable("code", &found))?;
        // Positions count from 0 without a gap, or the arrays of scans would be read wrongly.
        if usize::try_from(position).ok() != Some(group.len()) {
            return Err(unreadable("position", &position));
        }
        // Nearly always one, of many thousands.
        group.push((code, Vec::with_capacity(1)));
        Ok(())
    })
    .await?;
    let sql = "SELECT * FROM channel_setting ORDER BY outlet_id, position, valid_from";
    by_row(client, ("channel_setting", sql), |columns| {
        let (outlet, position): (i32, i32) = (columns.get("outlet_id")?, columns.get("position")?);
        let versions = usize::try_from(position)
            .ok()
            .and_then(|position| groups.get_mut(&outlet)?.get_mut(position))
            .map(|(_, versions)| versions);
        let value = channel_settings(columns, names)?;
        if let Some(versions) = versions {
            versions.push(columns.dated(value)?);
        }
        Ok(())
    })
    .await?;
    Ok(groups)
}

/// Names that many rows share, kept once.
#[derive(Default)]
struct Names(HashSet<Arc<str>>);

impl Names {
    fn of(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.0.get(text) {
            return Arc::clone(known);
        }
        let name: Arc<str> = text.into();
        self.0.insert(Arc::clone(&name));
        name
    }

    fn name(&mut self, columns: &Columns<'_>) -> Result<Arc<str>, Error> {
        Ok(self.of(columns.get("name")?))
    }
}

/// What belongs to outlets, by their id; taken out as outlets are made.
struct Parts {
    settings: Grouped<OutletSettings>,
    analysers: Grouped<(Arc<str>, Analyser)>,
    channels: HashMap<i32, Vec<ChannelVersions>>,
    served_by: Grouped<Arc<str>>,
}

impl Parts {
    fn outlet(&mut self, columns: &Columns<'_>) -> Result<OutletEntry, Error> {
        let id: i32 = columns.get("id")?;
        let code: Arc<str> = columns.get::<&str>("code")?.into();
        let mut analysers: BTreeMap<Arc<str>, Vec<Dated<Analyser>>> = BTreeMap::new();
        for Dated { from, until, value: (name, value) } in self.analysers.remove(&id).unwrap_or_default() {
            analysers.entry(name).or_default().push(Dated { from, until, value });
        }
        let channels = self.channels.remove(&id).unwrap_or_default();
        let settings = self.settings.remove(&id).unwrap_or_default();
        let served_by = self.served_by.remove(&id).unwrap_or_default();
        Ok(OutletEntry {
            id,
            name: columns.get("name")?,
            enterprise: columns.get("enterprise")?,
            site: Site {
                longitude: columns.get("longitude")?,
                latitude: columns.get("latitude")?,
                datum: columns.word("datum", &Datum::ALL.map(|datum| (datum.name(), datum)))?,
                stack_height_m: columns.get("stack_height_m")?,
            },
            settings: history("outlet_setting", &code, settings)?,
            analysers: analysers
                .into_iter()
                .map(|(name, versions)| Ok((name, history("analyser", &code, versions)?)))
                .collect::<Result<_, Error>>()?,
            channels: channels
                .into_iter()
                .map(|(channel, versions)| Ok((channel, history("channel_setting", &code, versions)?)))
                .collect::<Result<_, Error>>()?,
            served_by: history("serving", &code, served_by)?,
            code,
        })
    }
}

fn history<T>(table: &'static str, owner: &str, values: Vec<Dated<T>>) -> Result<History<T>, Error> {
    History::new(values).map_err(|source| Error::Overlap { table, owner: owner.to_owned(), source })
}

fn units() -> [(&'static str, Unit); 10] {
    Unit::ALL.map(|unit| (unit.name(), unit))
}

fn pollutant(columns: &Columns<'_>) -> Result<Pollutant, Error> {
    let factor = Factor {
        code: columns.get("code")?,
        symbol: columns.get("symbol")?,
        role: columns.word("role", &Role::ALL.map(|role| (role.name(), role)))?,
        molar_mass: columns.get("molar_mass")?,
    };
    let unit = columns.word("unit", &units())?;
    Ok(Pollutant { factor, name_en: columns.get("name_en")?, name_zh: columns.get("name_zh")?, unit })
}

fn rule(columns: &Columns<'_>) -> Result<Rule, Error> {
    let periods = AveragingPeriod::ALL.map(|period| (period.name(), period));
    let comparisons = Comparison::ALL.map(|comparison| (comparison.name(), comparison));
    let oxygen: Option<f64> = columns.get("reference_oxygen_percent")?;
    let air: Option<f64> = columns.get("excess_air")?;
    let limit = columns.dated(columns.get("limit_mg_m3")?)?;
    Ok(Rule {
        id: columns.get("id")?,
        code: columns.get("code")?,
        name: columns.get("name")?,
        document: columns.get("document")?,
        kind: columns.word("kind", &Kind::ALL.map(|kind| (kind.name(), kind)))?,
        mark: columns.get("mark")?,
        division: columns.get("division")?,
        industry: columns.get("industry")?,
        process: columns.get("process")?,
        factor: columns.get("pollutant")?,
        limit,
        period: columns.word("period", &periods)?,
        reference: oxygen
            .map(Reference::OxygenPercent)
            .or(air.map(Reference::ExcessAir))
            .unwrap_or(Reference::None),
        comparison: columns.word("comparison", &comparisons)?,
        early_warning_ratio: columns.get("early_warning_ratio")?,
    })
}

fn enterprise(columns: &Columns<'_>) -> Result<Enterprise, Error> {
    Ok(Enterprise {
        code: columns.get("code")?,
        name: columns.get("name")?,
        industry: columns.get("industry")?,
        division: columns.get("division")?,
        contact: columns.get("contact")?,
    })
}

fn setting(columns: &Columns<'_>) -> Result<OutletSettings, Error> {
    let policies = CutoffPolicy::ALL.map(|policy| (policy.name(), policy));
    Ok(OutletSettings {
        process: columns.get("process")?,
        reference_oxygen_percent: columns.get("reference_oxygen_percent")?,
        oxygen_of_air_percent: columns.get("oxygen_of_air_percent")?,
        oxygen_cutoff_percent: columns.get("oxygen_cutoff_percent")?,
        cutoff_policy: columns.word("cutoff_policy", &policies)?,
        ambient_pressure_pa: columns.get("ambient_pressure_pa")?,
        moisture_fraction: columns.get("moisture_fraction")?,
        area_m2: columns.get("area_m2")?,
        velocity_coefficient: columns.get("velocity_coefficient")?,
    })
}

fn analyser(columns: &Columns<'_>) -> Result<Analyser, Error> {
    Ok(Analyser {
        maker: columns.get("maker")?,
        model: columns.get("model")?,
        serial_number: columns.get("serial_number")?,
        principle: columns.get("principle")?,
        range_note: columns.get("range_note")?,
    })
}

fn channel_settings(columns: &Columns<'_>, names: &mut Names) -> Result<ChannelSettings, Error> {
    let period_ms: i32 = columns.get("period_ms")?;
    let decimals: i16 = columns.get("decimals")?;
    let unreadable = |column, found: String| Error::Unreadable { table: columns.table, column, found };
    Ok(ChannelSettings {
        analyser: names.of(columns.get("analyser")?),
        unit: columns.word("unit", &units())?,
        moisture_basis: columns
            .word("moisture_basis", &MoistureBasis::ALL.map(|basis| (basis.name(), basis)))?,
        state_basis: columns.word("state_basis", &StateBasis::ALL.map(|basis| (basis.name(), basis)))?,
        expression: columns
            .word("expression", &Expression::ALL.map(|expression| (expression.name(), expression)))?,
        range: (columns.get("range_low")?, columns.get("range_high")?),
        period_ms: u32::try_from(period_ms)
            .map_err(|_negative| unreadable("period_ms", period_ms.to_string()))?,
        decimals: u8::try_from(decimals).map_err(|_negative| unreadable("decimals", decimals.to_string()))?,
    })
}
