//! The law's lists in the store: added to, never changed; only an open entry may end. Saved with the plant, in its transaction.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio_postgres::{GenericClient, Transaction};

use super::affected::name_windows;
use super::due::hold_lanes;
use super::plant::{Counts, Error, Refusal};
use crate::domain::alerting::Alerting;
use crate::domain::history::{Dated, History};
use crate::domain::law::Law;
use crate::domain::times::Times;
use crate::store::session::bounded;

/// A load for a time also takes marks and checks of so many hours before it: caps count a calendar year, due times the last
/// check.
pub(super) const BEFORE_HOURS: i64 = 400 * 24;
/// Lists that grow with time and are loaded for a time.
pub(super) const LONG_LISTS: [&str; 3] = ["mark", "review", "check"];

/// One entry on its way into or out of its row.
#[derive(Debug, Clone, PartialEq)]
struct Entry {
    list: &'static str,
    /// What its versions share.
    subject: String,
    outlet: Option<String>,
    times: Times,
    /// Everything but `times`.
    body: Value,
    /// Whether a subject may have several versions, one after another.
    has_versions: bool,
}

/// What a save does to the lists.
#[derive(Debug, Default)]
pub(super) struct Changes {
    added: Vec<Value>,
    ended: Vec<Value>,
    counts: BTreeMap<&'static str, Counts>,
}

impl Changes {
    /// The figures that a caller sees.
    pub fn counts(&self) -> &BTreeMap<&'static str, Counts> {
        &self.counts
    }
}

/// Every list of `law` as entries.
fn entries(law: &Law) -> Result<Vec<Entry>, serde_json::Error> {
    let mut all = Lists::default();
    let year_start =
        |year: i16| jiff::civil::date(year, 1, 1).at(0, 0, 0, 0).in_tz("UTC").map(|zoned| zoned.timestamp());
    for rule in &law.source_rules {
        all.versioned("source_rule", (rule.outlet.clone(), Some(&rule.outlet)), rule.times, rule)?;
    }
    for marking in &law.markings {
        all.single("marking", (marking.code.clone(), None), marking.times, marking)?;
    }
    for mark in &law.marks {
        all.single("mark", (mark.code.clone(), Some(&mark.outlet)), mark.times, mark)?;
    }
    for review in &law.reviews {
        let times = Times { from: review.at, until: None };
        all.single("review", (format!("{} {}", review.mark, review.at), None), times, review)?;
    }
    for exemption in &law.exemptions {
        all.single("exemption", (exemption.code.clone(), None), exemption.times, exemption)?;
    }
    for plan in &law.check_plans {
        let subject = format!("{} {} {}", plan.outlet, plan.analyser, plan.kind);
        all.versioned("check_plan", (subject, Some(&plan.outlet)), plan.times, plan)?;
    }
    for check in &law.checks {
        let times = Times { from: check.at, until: None };
        let subject = format!("{} {} {} {}", check.outlet, check.analyser, check.kind, check.at);
        all.single("check", (subject, Some(&check.outlet)), times, check)?;
    }
    for rule in &law.efficiencies {
        all.single("efficiency", (rule.code.clone(), None), rule.times, rule)?;
    }
    for line in &law.lines {
        let times = Times { from: Timestamp::UNIX_EPOCH, until: None };
        all.single("line", (line.code.clone(), None), times, line)?;
    }
    for order in &law.orders {
        all.single("order", (order.code.clone(), None), order.times, order)?;
    }
    for assessment in &law.assessments {
        all.single("assessment", (assessment.code.clone(), None), assessment.times, assessment)?;
    }
    for furnace in &law.furnaces {
        all.single("furnace", (furnace.code.clone(), Some(&furnace.outlet)), furnace.times, furnace)?;
    }
    for quota in &law.quotas {
        all.single("quota", (quota.code.clone(), None), quota.times, quota)?;
    }
    for target in &law.targets {
        let from = year_start(target.year).unwrap_or(Timestamp::UNIX_EPOCH);
        all.single("target", (target.code.clone(), None), Times { from, until: None }, target)?;
    }
    alerting(&mut all, &law.alerting)?;
    Ok(all.0)
}

fn alerting(all: &mut Lists, alerting: &Alerting) -> Result<(), serde_json::Error> {
    for rule in &alerting.rules {
        all.versioned("alert_rule", (rule.code.clone(), rule.scope.outlet.as_ref()), rule.times, rule)?;
    }
    for team in &alerting.teams {
        all.versioned("team", (team.code.clone(), None), team.times, team)?;
    }
    for person in &alerting.people {
        all.versioned("person", (person.code.clone(), None), person.times, person)?;
    }
    for shift in &alerting.shifts {
        all.versioned("shift", (shift.code.clone(), None), shift.times, shift)?;
    }
    for holiday in &alerting.holidays {
        let times = Times { from: Timestamp::UNIX_EPOCH, until: None };
        all.single("holiday", (holiday.date.to_string(), None), times, holiday)?;
    }
    for swap in &alerting.swaps {
        all.single("swap", (swap.code.clone(), None), swap.times, swap)?;
    }
    for ladder in &alerting.ladders {
        all.versioned("ladder", (ladder.team.clone(), None), ladder.times, ladder)?;
    }
    Ok(())
}

#[derive(Default)]
struct Lists(Vec<Entry>);

impl Lists {
    fn single(
        &mut self,
        list: &'static str,
        (subject, outlet): (String, Option<&String>),
        times: Times,
        entry: &impl Serialize,
    ) -> Result<(), serde_json::Error> {
        let body = without_times(serde_json::to_value(entry)?);
        self.0.push(Entry { list, subject, outlet: outlet.cloned(), times, body, has_versions: false });
        Ok(())
    }

    fn versioned(
        &mut self,
        list: &'static str,
        subject: (String, Option<&String>),
        times: Times,
        entry: &impl Serialize,
    ) -> Result<(), serde_json::Error> {
        self.single(list, subject, times, entry)?;
        if let Some(entry) = self.0.last_mut() {
            entry.has_versions = true;
        }
        Ok(())
    }
}

fn without_times(mut body: Value) -> Value {
    if let Value::Object(columns) = &mut body {
        columns.remove("times");
    }
    body
}

type Subject = (String, String);

/// What `given` adds to what is stored of the same subjects, or every contradiction.
pub(super) async fn compare(
    client: &impl GenericClient,
    given: &Law,
) -> Result<Result<Changes, Vec<Refusal>>, Error> {
    let given = entries(given).map_err(|error| unreadable("body", error.to_string()))?;
    let stored = stored_of(client, &given).await?;
    let mut by_subject: BTreeMap<(&str, &str), Vec<&Entry>> = BTreeMap::new();
    for entry in &given {
        by_subject.entry((entry.list, &entry.subject)).or_default().push(entry);
    }
    let mut changes = Changes::default();
    let mut refusals = Vec::new();
    for ((list, subject), versions) in by_subject {
        let none = History::default();
        let known = stored.get(&(list.to_owned(), subject.to_owned())).unwrap_or(&none);
        let told = one_subject(known, &versions, &mut changes);
        refusals
            .extend(told.into_iter().map(|reason| Refusal { subject: format!("{list} {subject}"), reason }));
    }
    Ok(if refusals.is_empty() { Ok(changes) } else { Err(refusals) })
}

/// Adds to `changes` what is new; gives the reasons why it may not be.
fn one_subject(known: &History<Value>, versions: &[&Entry], changes: &mut Changes) -> Vec<String> {
    let Some(first) = versions.first() else { return Vec::new() };
    let moved = known.iter().find(|known| known.from != first.times.from).filter(|_| !first.has_versions);
    if let Some(moved) = moved {
        let reason = format!(
            "it is stored with the beginning {}, given with {}; entries never change: give it a new code",
            moved.from, first.times.from
        );
        return vec![reason];
    }
    let dated = |entry: &&Entry| Dated {
        from: entry.times.from,
        until: entry.times.until,
        value: entry.body.clone(),
    };
    let newer = match History::new(versions.iter().map(dated).collect()) {
        Ok(newer) => newer,
        Err(overlap) => return vec![overlap.to_string()],
    };
    let continuation = match known.continued_by(&newer) {
        Ok(continuation) => continuation,
        Err(contradictions) => return contradictions.iter().map(ToString::to_string).collect(),
    };
    let counts = changes.counts.entry(first.list).or_default();
    counts.added += continuation.added.len();
    counts.changed += continuation.ended.len();
    let restated =
        continuation.ended.iter().filter(|(from, _)| newer.iter().any(|entry| entry.from == *from));
    counts.unchanged += newer.iter().count() - continuation.added.len() - restated.count();
    let row = |from: Timestamp, until: Option<Timestamp>, body: Option<&Value>| {
        json!({
            "list": first.list, "subject": first.subject, "outlet": first.outlet, "valid_from": from,
            "valid_to": until, "body": body,
        })
    };
    changes
        .added
        .extend(continuation.added.iter().map(|entry| row(entry.from, entry.until, Some(&entry.value))));
    changes.ended.extend(continuation.ended.iter().map(|(from, until)| row(*from, Some(*until), None)));
    Vec::new()
}

async fn stored_of(
    client: &impl GenericClient,
    given: &[Entry],
) -> Result<BTreeMap<Subject, History<Value>>, Error> {
    let lists: Vec<&str> = given.iter().map(|entry| entry.list).collect();
    let subjects: Vec<&str> = given.iter().map(|entry| entry.subject.as_str()).collect();
    let sql = "SELECT DISTINCT e.list, e.subject, e.valid_from, e.valid_to, e.body FROM law_entry e \
               JOIN unnest($1::text[], $2::text[]) AS g(list, subject) ON g.list = e.list AND g.subject = e.subject";
    let mut stored: BTreeMap<Subject, Vec<Dated<Value>>> = BTreeMap::new();
    for row in bounded(client.query(sql, &[&lists, &subjects])).await? {
        let dated = Dated { from: row.try_get(2)?, until: row.try_get(3)?, value: row.try_get(4)? };
        stored.entry((row.try_get(0)?, row.try_get(1)?)).or_default().push(dated);
    }
    let history = |(subject, values): (Subject, Vec<Dated<Value>>)| {
        let owner = format!("{} {}", subject.0, subject.1);
        let overlap = |source| Error::Overlap { table: "law_entry", owner, source };
        Ok((subject, History::new(values).map_err(overlap)?))
    };
    stored.into_iter().map(history).collect()
}

/// Writes what [`compare`] found; entries end before their successors begin.
pub(super) async fn write(
    transaction: &Transaction<'_>,
    changes: Changes,
    given: &Law,
    stored_at: Timestamp,
) -> Result<(), Error> {
    const ROW: &str = "jsonb_to_recordset($1) AS r(list text, subject text, outlet text, valid_from timestamptz, \
                       valid_to timestamptz, body jsonb)";
    if changes.added.is_empty() && changes.ended.is_empty() {
        return Ok(());
    }
    hold_lanes(transaction).await?;
    if !changes.ended.is_empty() {
        let sql = format!(
            "UPDATE law_entry e SET valid_to = r.valid_to, revision = p.revision + 1 FROM {ROW}, plant_revision p \
             WHERE (e.list, e.subject, e.valid_from) = (r.list, r.subject, r.valid_from)"
        );
        bounded(transaction.execute(&sql, &[&Value::Array(changes.ended.clone())])).await?;
    }
    let sql = format!(
        "INSERT INTO law_entry (list, subject, outlet, valid_from, valid_to, body, revision, stored_at) \
         SELECT r.list, r.subject, r.outlet, r.valid_from, r.valid_to, r.body, p.revision + 1, $2 \
         FROM {ROW}, plant_revision p"
    );
    for chunk in changes.added.chunks(5000) {
        bounded(transaction.execute(&sql, &[&Value::Array(chunk.to_vec()), &stored_at])).await?;
    }
    name_windows(transaction, (&changes.added, &changes.ended), given, stored_at).await
}

/// The lists, whole, or for `[from, until)` without the marks, reviews and checks that cannot matter then (what is more
/// than 400 days older).
///
/// # Errors
/// The database, or rows that this version cannot read.
pub async fn load(client: &impl GenericClient, time: Option<(Timestamp, Timestamp)>) -> Result<Law, Error> {
    let before = SignedDuration::from_hours(BEFORE_HOURS);
    let earliest = time.and_then(|(from, _)| from.checked_sub(before).ok());
    let latest = time.map(|(_, until)| until);
    let sql = "SELECT list, valid_from, valid_to, body FROM law_entry \
               WHERE list <> ALL ($1) OR (($2::timestamptz IS NULL OR valid_to > $2 OR valid_from >= $2) \
               AND ($3::timestamptz IS NULL OR list = 'review' OR valid_from < $3)) \
               ORDER BY list, subject COLLATE \"C\", valid_from";
    let long: Vec<&str> = LONG_LISTS.to_vec();
    let mut law = Law::default();
    for row in bounded(client.query(sql, &[&long, &earliest, &latest])).await? {
        let list: &str = row.try_get(0)?;
        let times = Times { from: row.try_get(1)?, until: row.try_get(2)? };
        let mut body: Value = row.try_get(3)?;
        if let Value::Object(columns) = &mut body {
            columns.insert("times".to_owned(), json!(times));
        }
        add(&mut law, list, body)?;
    }
    Ok(law)
}

pub(super) fn add(law: &mut Law, list: &str, body: Value) -> Result<(), Error> {
    fn push<T: DeserializeOwned>(entries: &mut Vec<T>, body: Value) -> Result<(), Error> {
        entries.push(serde_json::from_value(body).map_err(|error| unreadable("body", error.to_string()))?);
        Ok(())
    }
    match list {
        "source_rule" => push(&mut law.source_rules, body),
        "marking" => push(&mut law.markings, body),
        "mark" => push(&mut law.marks, body),
        "review" => push(&mut law.reviews, body),
        "exemption" => push(&mut law.exemptions, body),
        "check_plan" => push(&mut law.check_plans, body),
        "check" => push(&mut law.checks, body),
        "efficiency" => push(&mut law.efficiencies, body),
        "line" => push(&mut law.lines, body),
        "order" => push(&mut law.orders, body),
        "assessment" => push(&mut law.assessments, body),
        "furnace" => push(&mut law.furnaces, body),
        "quota" => push(&mut law.quotas, body),
        "target" => push(&mut law.targets, body),
        "alert_rule" => push(&mut law.alerting.rules, body),
        "team" => push(&mut law.alerting.teams, body),
        "person" => push(&mut law.alerting.people, body),
        "shift" => push(&mut law.alerting.shifts, body),
        "holiday" => push(&mut law.alerting.holidays, body),
        "swap" => push(&mut law.alerting.swaps, body),
        "ladder" => push(&mut law.alerting.ladders, body),
        other => Err(unreadable("list", other.to_owned())),
    }
}

fn unreadable(column: &'static str, found: String) -> Error {
    Error::Unreadable { table: "law_entry", column, found }
}
