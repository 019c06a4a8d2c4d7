//! The law as the centre uses it: the lists that stay short, worked out for each outlet and kept (the frame), and marks, reviews and
//! checks, which grow without end and are fetched for some outlets and a time.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio_postgres::{Client, Row};

use super::law::{BEFORE_HOURS, LONG_LISTS, add};
use super::plant::{Error, LOAD_ATTEMPTS, catalogue, revision};
use crate::domain::alerting::{Alerting, Watched};
use crate::domain::judgement::By;
use crate::domain::law::{Law, OutletLaw};
use crate::domain::mark::{Mark, Review};
use crate::domain::plant::Plant;
use crate::domain::quality::Check;
use crate::domain::quota::{Quota, Target};
use crate::domain::times::Times;
use crate::store::session::{Failure, bounded, query};

/// The law without what grows without end.
#[derive(Debug, Default)]
pub struct Frames {
    /// The plant's revision that it belongs to.
    pub revision: i64,
    by_outlet: BTreeMap<Arc<str>, OutletLaw>,
    ids: HashMap<(&'static str, String), i32>,
    pub quotas: Vec<Quota>,
    pub targets: Vec<Target>,
    pub alerting: Alerting,
    /// By outlet.
    watched: HashMap<i32, Arc<Watched>>,
}

/// Nothing is watched at an outlet that the frames do not know yet; its plant is moments older.
static UNWATCHED: std::sync::LazyLock<Watched> = std::sync::LazyLock::new(Watched::default);

impl Frames {
    /// What is watched at an outlet.
    pub fn watched(&self, outlet_id: i32) -> &Watched {
        self.watched.get(&outlet_id).map_or(&UNWATCHED, |watched| watched)
    }

    /// The frame of an outlet; of one that nothing is known about, an empty one.
    pub fn of(&self, outlet: &str) -> OutletLaw {
        self.by_outlet.get(outlet).cloned().unwrap_or_default()
    }

    /// How far a state of the outlet may look back, minutes.
    pub fn look_back_minutes(&self, outlet: &str) -> u32 {
        let rules = self.by_outlet.get(outlet).map_or(&[][..], |law| &law.source_rules);
        rules.iter().map(crate::domain::source_state::SourceRule::look_back_minutes).max().unwrap_or(0)
    }

    /// The number by which tables know a judge: of a rule its own, of an entry of a list minus the entry's. `None` for an entry that is
    /// not stored.
    pub fn number(&self, by: &By<'_>) -> Option<i32> {
        match by {
            By::Rule(rule) => Some(rule.id),
            By::Order(order) => self.entry("order", &order.code),
            By::Furnace(rule) => self.entry("furnace", &rule.code),
            By::Assessment(assessment) => self.entry("assessment", &assessment.code),
        }
    }

    /// Minus the number of a list's entry.
    pub fn entry(&self, list: &'static str, code: &str) -> Option<i32> {
        self.ids.get(&(list, code.to_owned())).copied()
    }
}

const NUMBERED: [&str; 5] = ["order", "furnace", "assessment", "efficiency", "quota"];

/// Plant and frames as of one moment.
///
/// # Errors
/// The database, or rows that this version cannot read.
pub async fn load(client: &Client) -> Result<(Plant, Frames), Error> {
    for _attempt in 0..LOAD_ATTEMPTS {
        let before = revision(client).await?;
        let plant = catalogue(client).await;
        let lists = short_lists(client).await;
        if revision(client).await? != before {
            continue;
        }
        let (plant, (law, ids)) = (plant?.into_plant()?, lists?);
        let by_outlet = law.by_outlet(&plant);
        let watched = law.alerting.watch(&plant);
        return Ok((
            plant,
            Frames {
                revision: before,
                by_outlet,
                ids,
                quotas: law.quotas,
                targets: law.targets,
                alerting: law.alerting,
                watched,
            },
        ));
    }
    Err(Error::Restless)
}

type Numbers = HashMap<(&'static str, String), i32>;

async fn short_lists(client: &Client) -> Result<(Law, Numbers), Error> {
    let sql = "SELECT list, valid_from, valid_to, body, subject, id FROM law_entry WHERE list <> ALL ($1) \
               ORDER BY list, subject COLLATE \"C\", valid_from";
    let (mut law, mut ids) = (Law::default(), Numbers::new());
    for row in bounded(client.query(sql, &[&LONG_LISTS.to_vec()])).await? {
        let list: &str = row.try_get(0)?;
        if let Some(numbered) = NUMBERED.into_iter().find(|numbered| *numbered == list) {
            let id = i32::try_from(row.try_get::<_, i64>(5)?).unwrap_or(i32::MAX);
            ids.insert((numbered, row.try_get(4)?), -id);
        }
        let body = with_times(row.try_get(3)?, Times { from: row.try_get(1)?, until: row.try_get(2)? });
        add(&mut law, list, body)?;
    }
    Ok((law, ids))
}

fn with_times(mut body: Value, times: Times) -> Value {
    if let Value::Object(columns) = &mut body {
        columns.insert("times".to_owned(), json!(times));
    }
    body
}

/// What is fetched for outlets and a time.
#[derive(Debug, Default)]
struct Lists {
    marks: Vec<Mark>,
    reviews: Vec<Review>,
    checks: Vec<Check>,
}

/// The law of some outlets for `[from, until)`: their frames with marks, reviews and checks. Marks and checks that are more than 400
/// days older cannot matter.
///
/// # Errors
/// [`Failure`] when the database does not answer, or rows are unreadable.
pub async fn laws<'o>(
    client: &Client,
    frames: &Frames,
    outlets: impl IntoIterator<Item = &'o str>,
    (from, until): (Timestamp, Timestamp),
) -> Result<BTreeMap<String, OutletLaw>, Failure> {
    let mut lists: BTreeMap<String, Lists> =
        outlets.into_iter().map(|code| (code.to_owned(), Lists::default())).collect();
    let codes: Vec<&str> = lists.keys().map(String::as_str).collect();
    let earliest = from.checked_sub(SignedDuration::from_hours(BEFORE_HOURS)).unwrap_or(from);
    let sql = "WITH m AS (SELECT list, outlet, subject, valid_from, valid_to, body FROM law_entry WHERE outlet = ANY ($1) \
               AND list IN ('mark', 'check') AND ((valid_to > $2 OR valid_from >= $2) AND valid_from < $3 \
               OR list = 'mark' AND EXISTS (SELECT 1 FROM law_entry r WHERE r.list = 'review' AND r.body->>'mark' = law_entry.subject \
               AND (r.body #>> '{decision,corrected,times,from}')::timestamptz < $3 \
               AND (r.body #>> '{decision,corrected,times,until}')::timestamptz > $2))) \
               SELECT list, outlet, valid_from, valid_to, body FROM m UNION ALL \
               SELECT r.list, m.outlet, r.valid_from, r.valid_to, r.body FROM m JOIN law_entry r ON r.list = 'review' \
               AND r.body->>'mark' = m.subject WHERE m.list = 'mark'";
    for row in query(client, sql, &[&codes, &earliest, &until]).await? {
        let Some(of) = lists.get_mut(row.get::<_, &str>(1)) else { continue };
        match row.get(0) {
            "mark" => of.marks.push(entry(&row)?),
            "review" => of.reviews.push(entry(&row)?),
            _ => of.checks.push(entry(&row)?),
        }
    }
    Ok(lists
        .into_iter()
        .map(|(code, lists)| {
            let law = frames.of(&code).with(&lists.marks, &lists.reviews, &lists.checks);
            (code, law)
        })
        .collect())
}

fn entry<T: DeserializeOwned>(row: &Row) -> Result<T, Failure> {
    let body = with_times(row.get(4), Times { from: row.get(2), until: row.get(3) });
    serde_json::from_value(body).map_err(|error| {
        Failure::Refused(format!(
            "a stored entry of the law's lists is unreadable: {error}; run the version that wrote it"
        ))
    })
}

/// Of each check of these outlets' analysers the last good one before `now`, and what came after it: what decides whether an analyser is
/// out of control then.
///
/// # Errors
/// [`Failure`] when the database does not answer, or rows are unreadable.
pub async fn last_checks(client: &Client, outlets: &[&str], now: Timestamp) -> Result<Vec<Check>, Failure> {
    let earliest = now.checked_sub(SignedDuration::from_hours(BEFORE_HOURS)).unwrap_or(now);
    let sql = "SELECT list, outlet, valid_from, valid_to, body FROM (SELECT list, outlet, valid_from, valid_to, body, \
               max(valid_from) FILTER (WHERE body->>'result' = 'passed') OVER (PARTITION BY outlet, body->>'analyser', body->>'kind') AS good \
               FROM law_entry WHERE outlet = ANY ($1) AND list = 'check' AND valid_from >= $2 AND valid_from <= $3) c \
               WHERE good IS NULL OR valid_from >= good";
    query(client, sql, &[&outlets, &earliest, &now]).await?.iter().map(entry).collect()
}
