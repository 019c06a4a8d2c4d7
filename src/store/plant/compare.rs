//! What a catalogue adds to the stored one, and where it contradicts it. Nothing here touches the database.

/// Rules: versions of one code.
mod rules;

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::write::Table;
use crate::config::catalogue::{Catalogue, OutletEntry};
use crate::domain::history::{Dated, History};
use crate::domain::plant::Enterprise;
use crate::domain::pollutant::Pollutant;

/// One contradiction between a catalogue and what is stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{subject}: {reason}")]
pub struct Refusal {
    /// Which entry: `outlet demo-kiln, channel a21026`.
    pub subject: String,
    /// The rule, what is stored and what was given, the remedy.
    pub reason: String,
}

/// What a save did to one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Counts {
    pub added: usize,
    pub changed: usize,
    pub unchanged: usize,
}

/// What a save did, by table name.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Saved(pub BTreeMap<&'static str, Counts>);

impl Saved {
    /// Whether anything is different from before.
    pub fn changes_anything(&self) -> bool {
        self.0.values().any(|counts| counts.added + counts.changed > 0)
    }
}

impl fmt::Display for Saved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<16}{:>8}{:>9}{:>11}", "", "added", "changed", "unchanged")?;
        for (table, counts) in &self.0 {
            write!(f, "\n{table:<16}{:>8}{:>9}{:>11}", counts.added, counts.changed, counts.unchanged)?;
        }
        Ok(())
    }
}

/// Rows to write, as JSON objects whose keys are the columns of the statements in `write`.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub added: Vec<Value>,
    pub changed: Vec<Value>,
    unchanged: usize,
}

/// Everything to write.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub tables: BTreeMap<Table, Rows>,
    refusals: Vec<Refusal>,
}

/// What `given` adds to `stored`, or every contradiction.
pub(super) fn compare(stored: &Catalogue, given: &Catalogue) -> Result<Changes, Vec<Refusal>> {
    let mut changes = Changes::default();
    pollutants(stored, given, &mut changes);
    rules::rules(stored, given, &mut changes);
    enterprises(stored, given, &mut changes);
    gateways(stored, given, &mut changes);
    let known: HashMap<&str, &OutletEntry> =
        stored.outlets.iter().map(|outlet| (&*outlet.code, outlet)).collect();
    for outlet in &given.outlets {
        changes.outlet(known.get(&*outlet.code).copied(), outlet);
    }
    notify(stored, given, &mut changes);
    if changes.refusals.is_empty() { Ok(changes) } else { Err(changes.refusals) }
}

impl Changes {
    /// The figures that a caller sees.
    pub fn counted(&self) -> Saved {
        let counts = |rows: &Rows| Counts {
            added: rows.added.len(),
            changed: rows.changed.len(),
            unchanged: rows.unchanged,
        };
        Saved(self.tables.iter().map(|(table, rows)| (table.name(), counts(rows))).collect())
    }

    fn rows(&mut self, table: Table) -> &mut Rows {
        self.tables.entry(table).or_default()
    }

    fn refuse(&mut self, subject: String, reason: String) {
        self.refusals.push(Refusal { subject, reason });
    }

    /// An entry without times: added, changed by `row`, or as it was.
    fn entry<T: PartialEq>(&mut self, table: Table, known: Option<&T>, given: &T, row: Value) {
        let rows = self.rows(table);
        match known {
            None => rows.added.push(row),
            Some(known) if known == given => rows.unchanged += 1,
            Some(_) => rows.changed.push(row),
        }
    }

    /// A history. `row` makes the key columns, and with a value all others too.
    fn history<T: Clone + PartialEq>(
        &mut self,
        table: Table,
        subject: &str,
        (known, given): (&History<T>, &History<T>),
        row: impl Fn(Option<&T>) -> Value,
    ) {
        let continuation = match known.continued_by(given) {
            Ok(continuation) => continuation,
            Err(contradictions) => {
                for contradiction in contradictions {
                    self.refuse(subject.to_owned(), contradiction.to_string());
                }
                return;
            }
        };
        let rows = self.rows(table);
        let restated = |from: &Timestamp| given.iter().any(|dated| dated.from == *from);
        let ended_here = continuation.ended.iter().filter(|(from, _)| restated(from)).count();
        rows.unchanged += given.iter().count() - continuation.added.len() - ended_here;
        for Dated { from, until, value } in &continuation.added {
            rows.added.push(with_times(row(Some(value)), *from, *until));
        }
        for (from, until) in continuation.ended {
            rows.changed.push(with_times(row(None), from, Some(until)));
        }
    }

    fn outlet(&mut self, known: Option<&OutletEntry>, given: &OutletEntry) {
        let subject = format!("outlet {}", given.code);
        if let Some(known) = known.filter(|known| known.enterprise != given.enterprise) {
            self.refuse(
                subject.clone(),
                format!(
                    "an outlet stays with its enterprise; stored {}, given {}: give the outlet a new code",
                    known.enterprise, given.enterprise
                ),
            );
        }
        let head = |outlet: &OutletEntry| (outlet.name.clone(), outlet.site.clone());
        let row = json!({
            "code": &*given.code, "name": given.name, "enterprise": given.enterprise,
            "longitude": given.site.longitude, "latitude": given.site.latitude,
            "datum": given.site.datum.name(), "stack_height_m": given.site.stack_height_m,
        });
        self.entry(Table::Outlet, known.map(head).as_ref(), &head(given), row);
        self.settings(known, given, &subject);
        self.analysers(known, given, &subject);
        self.channels(known, given, &subject);
        let nobody = History::default();
        let served = known.map_or(&nobody, |known| &known.served_by);
        self.history(
            Table::Serving,
            &format!("{subject}, gateway"),
            (served, &given.served_by),
            |gateway| json!({"outlet": &*given.code, "gateway": gateway.map(|name| &**name)}),
        );
    }

    fn settings(&mut self, known: Option<&OutletEntry>, given: &OutletEntry, subject: &str) {
        let nothing = History::default();
        let known = known.map_or(&nothing, |known| &known.settings);
        self.history(Table::Setting, &format!("{subject}, setting"), (known, &given.settings), |settings| {
            let Some(settings) = settings else { return json!({"outlet": &*given.code}) };
            json!({
                "outlet": &*given.code, "process": settings.process,
                "reference_oxygen_percent": settings.reference_oxygen_percent,
                "oxygen_of_air_percent": settings.oxygen_of_air_percent,
                "oxygen_cutoff_percent": settings.oxygen_cutoff_percent,
                "cutoff_policy": settings.cutoff_policy.name(),
                "ambient_pressure_pa": settings.ambient_pressure_pa,
                "moisture_fraction": settings.moisture_fraction, "area_m2": settings.area_m2,
                "velocity_coefficient": settings.velocity_coefficient,
            })
        });
    }

    fn analysers(&mut self, known: Option<&OutletEntry>, given: &OutletEntry, subject: &str) {
        let nothing = History::default();
        for (name, versions) in &given.analysers {
            let known = known
                .and_then(|known| known.analysers.iter().find(|(known, _)| known == name))
                .map_or(&nothing, |(_, versions)| versions);
            let subject = format!("{subject}, analyser {name}");
            self.history(Table::Analyser, &subject, (known, versions), |analyser| {
                let Some(analyser) = analyser else {
                    return json!({"outlet": &*given.code, "name": &**name});
                };
                json!({
                    "outlet": &*given.code, "name": &**name, "maker": analyser.maker, "model": analyser.model,
                    "serial_number": analyser.serial_number, "principle": analyser.principle,
                    "range_note": analyser.range_note,
                })
            });
        }
    }

    fn channels(&mut self, known: Option<&OutletEntry>, given: &OutletEntry, subject: &str) {
        let nothing = History::default();
        let mut next = known.map_or(0, |known| known.channels.len());
        for (code, versions) in &given.channels {
            let known = known.and_then(|known| known.channels.iter().find(|(known, _)| known == code));
            let rows = self.rows(Table::Channel);
            if known.is_some() {
                rows.unchanged += 1;
            } else {
                rows.added.push(json!({
                    "outlet": &*given.code, "position": next, "code": code.as_str(), "pollutant": code.factor(),
                }));
                next += 1;
            }
            let known = known.map_or(&nothing, |(_, versions)| versions);
            let subject = format!("{subject}, channel {code}");
            self.history(Table::ChannelSetting, &subject, (known, versions), |settings| {
                let Some(settings) = settings else {
                    return json!({"outlet": &*given.code, "code": code.as_str()});
                };
                json!({
                    "outlet": &*given.code, "code": code.as_str(), "analyser": &*settings.analyser,
                    "unit": settings.unit.name(), "moisture_basis": settings.moisture_basis.name(),
                    "state_basis": settings.state_basis.name(), "expression": settings.expression.name(), "range_low": settings.range.0,
                    "range_high": settings.range.1, "period_ms": settings.period_ms, "decimals": settings.decimals,
                })
            });
        }
    }
}

fn with_times(mut row: Value, from: Timestamp, until: Option<Timestamp>) -> Value {
    if let Value::Object(columns) = &mut row {
        columns.insert("valid_from".to_owned(), json!(from));
        columns.insert("valid_to".to_owned(), json!(until));
    }
    row
}

fn pollutants(stored: &Catalogue, given: &Catalogue, changes: &mut Changes) {
    let known: HashMap<&str, &Pollutant> =
        stored.pollutants.iter().map(|pollutant| (pollutant.factor.code.as_str(), pollutant)).collect();
    for pollutant in &given.pollutants {
        let factor = &pollutant.factor;
        let known = known.get(factor.code.as_str()).copied();
        if let Some(known) = known {
            let old = (known.factor.role.name(), known.unit.name(), known.factor.molar_mass);
            let new = (factor.role.name(), pollutant.unit.name(), factor.molar_mass);
            let told_later = known.factor.molar_mass.is_none() && (old.0, old.1) == (new.0, new.1);
            if old != new && !told_later {
                changes.refuse(
                    format!("pollutant {}", factor.code),
                    format!(
                        "role, unit and molar mass stay, since figures were made with them; stored {old:?}, given {new:?}: \
                         give the pollutants as they are stored together with these files"
                    ),
                );
            }
        }
        let row = json!({
            "code": factor.code, "symbol": factor.symbol, "name_en": pollutant.name_en, "name_zh": pollutant.name_zh,
            "role": factor.role.name(), "unit": pollutant.unit.name(), "molar_mass": factor.molar_mass,
        });
        changes.entry(Table::Pollutant, known, pollutant, row);
    }
}

fn enterprises(stored: &Catalogue, given: &Catalogue, changes: &mut Changes) {
    let known: HashMap<&str, &Enterprise> =
        stored.enterprises.iter().map(|enterprise| (enterprise.code.as_str(), enterprise)).collect();
    for enterprise in &given.enterprises {
        let known = known.get(enterprise.code.as_str()).copied();
        if let Some(known) = known {
            let old = (&known.industry, &known.division);
            let new = (&enterprise.industry, &enterprise.division);
            if old != new {
                changes.refuse(
                    format!("enterprise {}", enterprise.code),
                    format!(
                        "industry and division decide which rules applied, so they stay; stored {old:?}, given {new:?}: \
                         restore them"
                    ),
                );
            }
        }
        let row = json!({
            "code": enterprise.code, "name": enterprise.name, "industry": enterprise.industry,
            "division": enterprise.division, "contact": enterprise.contact,
        });
        changes.entry(Table::Enterprise, known, enterprise, row);
    }
}

fn gateways(stored: &Catalogue, given: &Catalogue, changes: &mut Changes) {
    for gateway in &given.gateways {
        let known = stored.gateways.iter().find(|known| known.name == gateway.name).map(|known| &known.name);
        changes.entry(Table::Gateway, known, &gateway.name, json!({"name": &*gateway.name}));
    }
}

fn notify(stored: &Catalogue, given: &Catalogue, changes: &mut Changes) {
    for channel in &given.notify {
        let known = stored.notify.iter().find(|known| known.name == channel.name);
        let figures = |channel: &crate::config::catalogue::NotifyChannel| {
            let told = (channel.broadcast, channel.enabled);
            (channel.kind.name(), channel.url.clone(), channel.settings.clone(), told)
        };
        let row = json!({
            "name": channel.name, "kind": channel.kind.name(), "url": channel.url,
            "settings": channel.settings, "broadcast": channel.broadcast, "enabled": channel.enabled,
        });
        changes.entry(Table::Notify, known.map(figures).as_ref(), &figures(channel), row);
    }
}
