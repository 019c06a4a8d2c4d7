//! Which windows a change of the law's lists touches: they become due in the transaction that saves the change. What a jurisdiction
//! changes for all its outlets (exemptions, marking rules, limits) holds for what is computed from then on; `cems recompute` gives it
//! to the past.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;
use tokio_postgres::Transaction;

use super::plant::Error;
use crate::domain::law::Law;
use crate::domain::order::Scope;
use crate::store::session::bounded;

/// Whose windows of which time.
#[derive(Debug, Default)]
struct Touched {
    outlets: Vec<Option<String>>,
    enterprises: Vec<Option<String>>,
    from: Vec<Timestamp>,
    until: Vec<Option<Timestamp>>,
}

impl Touched {
    fn add(
        &mut self,
        (outlet, enterprise): (Option<&str>, Option<&str>),
        from: Timestamp,
        until: Option<Timestamp>,
    ) {
        self.outlets.push(outlet.map(str::to_owned));
        self.enterprises.push(enterprise.map(str::to_owned));
        self.from.push(from);
        self.until.push(until);
    }
}

/// A row of a save: what `law::compare` makes.
struct Row<'r>(&'r Value);

impl<'r> Row<'r> {
    fn text(&self, key: &str) -> Option<&'r str> {
        self.0.get(key)?.as_str()
    }

    fn time(&self, key: &str) -> Option<Timestamp> {
        self.text(key)?.parse().ok()
    }
}

/// Makes the windows due that `added` and `ended` entries touch.
pub(super) async fn name_windows(
    transaction: &Transaction<'_>,
    (added, ended): (&[Value], &[Value]),
    given: &Law,
    now: Timestamp,
) -> Result<(), Error> {
    let mut touched = Touched::default();
    let mut reviewed: Vec<&str> = Vec::new();
    for row in added.iter().map(Row) {
        let Some(from) = row.time("valid_from") else { continue };
        match row.text("list") {
            // An exemption counts claimed time to the end of the year: hours after the mark may lose theirs.
            Some("mark") => touched.add((row.text("outlet"), None), from, year_after(row.time("valid_to"))),
            Some("source_rule" | "furnace" | "check_plan") => {
                touched.add((row.text("outlet"), None), from, row.time("valid_to"));
            }
            // Until the next check, which is not known here.
            Some("check") => touched.add((row.text("outlet"), None), from, None),
            Some("review") => reviewed.extend(row.0.get("body").and_then(|body| body.get("mark")?.as_str())),
            Some("order") => of_order(&row, given, from, &mut touched),
            Some(_) | None => {}
        }
    }
    // No figure depends on who is told.
    for row in ended.iter().map(Row).filter(|row| row.text("list") != Some("alert_rule")) {
        if let (Some(outlet), Some(end)) = (row.text("outlet"), row.time("valid_to")) {
            touched.add((Some(outlet), None), end, None);
        }
    }
    for row in bounded(transaction.query(MARKS, &[&reviewed])).await? {
        touched.add((row.try_get(0)?, None), row.try_get(1)?, year_after(row.try_get(2)?));
    }
    if touched.from.is_empty() {
        return Ok(());
    }
    let Touched { outlets, enterprises, from, until } = touched;
    bounded(transaction.execute(WINDOWS, &[&outlets, &enterprises, &from, &until, &now])).await?;
    bounded(transaction.execute(QUARTERS, &[&outlets, &enterprises, &from, &now])).await?;
    Ok(())
}

fn year_after(until: Option<Timestamp>) -> Option<Timestamp> {
    until.and_then(|until| until.checked_add(jiff::SignedDuration::from_hours(366 * 24)).ok())
}

fn of_order(row: &Row<'_>, given: &Law, from: Timestamp, touched: &mut Touched) {
    let orders: BTreeMap<&str, &Scope> =
        given.orders.iter().map(|order| (order.code.as_str(), &order.scope)).collect();
    let until = row.time("valid_to");
    match row.text("subject").and_then(|code| orders.get(code)) {
        Some(Scope::Outlet(code)) => touched.add((Some(code), None), from, until),
        Some(Scope::Enterprise(code)) => touched.add((None, Some(code)), from, until),
        Some(Scope::Line(name)) => {
            let lines = given.lines.iter().filter(|line| line.code == *name);
            for outlet in lines.flat_map(|line| &line.outlets) {
                touched.add((Some(outlet), None), from, until);
            }
        }
        None => {}
    }
}

/// Marks that were reviewed, with the time that a correction gives them as well.
const MARKS: &str = "WITH reviewed AS (SELECT outlet, valid_from, valid_to FROM law_entry WHERE list = 'mark' AND subject = ANY ($1)) \
    SELECT m.outlet, m.valid_from, m.valid_to FROM law_entry m JOIN reviewed o ON o.outlet = m.outlet AND m.valid_from < o.valid_to \
    AND m.valid_to > o.valid_from WHERE m.list = 'mark' UNION SELECT m.outlet, least(m.valid_from, min((r.body #>> '{decision,corrected,times,from}')::timestamptz)), \
    greatest(m.valid_to, max((r.body #>> '{decision,corrected,times,until}')::timestamptz)) \
    FROM law_entry m JOIN law_entry r ON r.list = 'review' AND r.body->>'mark' = m.subject \
    WHERE m.list = 'mark' AND m.subject = ANY ($1) GROUP BY m.outlet, m.valid_from, m.valid_to";

/// A mark that distrusts an instrument is felt as long as states look back: at most two days and an hour.
const WINDOWS: &str = "WITH t AS (SELECT DISTINCT o.id, t.low, coalesce(t.high + interval '50 hours', 'infinity') AS high \
    FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[]) AS t (outlet, enterprise, low, high) \
    LEFT JOIN enterprise e ON e.code = t.enterprise JOIN outlet o ON o.code = t.outlet OR o.enterprise_id = e.id) \
    INSERT INTO due (lane, outlets, source_id, period, start, due_at) \
    SELECT DISTINCT (a.outlet_id % 16)::smallint, ARRAY[a.outlet_id], a.source_id, a.period, a.start, $5::timestamptz FROM t \
    JOIN average_long a ON a.outlet_id = t.id AND a.source_id = 1 AND a.period = 4 AND a.start > t.low - interval '1 hour' AND a.start < t.high \
    UNION SELECT DISTINCT (w.outlet_id % 16)::smallint, ARRAY[w.outlet_id], w.source_id, w.period, w.start, $5::timestamptz FROM t \
    JOIN average_wide w ON w.outlet_id = t.id AND w.source_id = 1 AND w.period IN (1, 2, 3) AND w.start > t.low - interval '1 hour' \
    AND w.start < t.high";

const QUARTERS: &str = "INSERT INTO reckoning_due (outlet_id, since, due_at) SELECT o.id, min(t.low), $4::timestamptz \
    FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS t (outlet, enterprise, low) \
    LEFT JOIN enterprise e ON e.code = t.enterprise JOIN outlet o ON o.code = t.outlet OR o.enterprise_id = e.id GROUP BY o.id";
