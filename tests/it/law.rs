//! The law's lists in a real PostgreSQL: repeatable, append-only, saved with the plant or not at all.

use cems::config::catalogue::{self, Catalogue};
use cems::config::kind::Source;
use cems::config::seeds;
use cems::domain::alert::AlertKind;
use cems::domain::law::Law;
use cems::store::plant::{Error, load_catalogue, revision, save};
use cems::store::{connect, law, migrate};
use jiff::Timestamp;
use tokio_postgres::Client;

use crate::support::database::{TestDatabase, database};

const LAW: &str = include_str!("../../src/config/law/tests/law.toml");

async fn migrated() -> (Client, TestDatabase) {
    let database = database().await;
    let mut client = connect::connect(database.url(), "cems tests").await.unwrap();
    migrate::migrate(&mut client).await.unwrap();
    (client, database)
}

fn parsed(law: &str) -> Catalogue {
    let source = |file: &str, text: &str| Source { file: file.to_owned(), text: text.to_owned() };
    let sources = [
        source("pollutants", include_str!("../../src/config/catalogue/tests/pollutants.toml")),
        source("rules", include_str!("../../src/config/catalogue/tests/rules.toml")),
        source("plant", include_str!("../../src/config/catalogue/tests/plant.toml")),
        source("law", law),
    ];
    catalogue::parse(&sources).unwrap_or_else(|problems| panic!("{problems}"))
}

/// Everything but the rules of alerting that every database starts with.
fn without_defaults(mut law: Law) -> Law {
    let defaults = law.alerting.rules.len();
    law.alerting.rules.retain(|rule| rule.code != rule.kind.name());
    assert_eq!(defaults - law.alerting.rules.len(), AlertKind::ALL.len());
    law
}

async fn rows(client: &Client) -> Vec<String> {
    let rows = client.query("SELECT e::text FROM law_entry e ORDER BY id", &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[tokio::test]
async fn what_is_loaded_is_what_was_saved_and_saving_twice_changes_nothing() {
    let (mut client, _database) = migrated().await;
    let given = parsed(LAW);
    let saved = save(&mut client, &given).await.unwrap();
    assert_eq!((saved.0["mark"].added, saved.0["order"].added), (2, 3));
    assert_eq!(without_defaults(load_catalogue(&client).await.unwrap().law), given.law);
    let (before, known) = (rows(&client).await, revision(&client).await.unwrap());
    let again = save(&mut client, &given).await.unwrap();
    assert!(!again.changes_anything() && again.0["mark"].unchanged == 2, "{again}");
    assert_eq!((rows(&client).await, revision(&client).await.unwrap()), (before, known));
}

#[tokio::test]
async fn entries_never_change_and_a_refused_file_stores_nothing() {
    let (mut client, _database) = migrated().await;
    save(&mut client, &parsed(LAW)).await.unwrap();
    let before = rows(&client).await;
    for (from, to, subject) in [
        ("reason = \"A ring fell\"", "reason = \"Nothing fell\"", "mark m-1"),
        ("author = \"Contractor\"", "author = \"Nobody\"", "mark m-2"),
        ("from = \"2026-11-21T12:00", "from = \"2026-11-21T11:00", "mark m-1"),
        ("by = \"Bureau\"", "by = \"The plant\"", "review m-1 2026-11-23T01:00:00Z"),
        ("result = \"passed\"", "result = \"failed\"", "check kiln gas span-drift 2026-11-20T01:00:00Z"),
        ("tonnes = 62.5", "tonnes = 63", "quota permit-so2-2026"),
        ("hours_per_year = 60", "hours_per_year = 61", "exemption waste-60h"),
        ("every_hours = 168", "every_hours = 200", "check_plan kiln gas span-drift"),
        ("until = \"2026-11-23", "until = \"2026-11-22", "order red-stop"),
    ] {
        // A new entry of a refused file is not stored either.
        let new = "\n[[line]]\ncode = \"new\"\nenterprise = \"91410811DEM000001F\"\noutlets = [\"kiln\"]\n";
        let given = parsed(&format!("{}{new}", LAW.replace(from, to)));
        let Err(Error::Refused(refusals)) = save(&mut client, &given).await else { panic!("accepted: {to}") };
        assert_eq!(refusals.0.len(), 1, "{refusals}");
        assert_eq!(refusals.0[0].subject, subject);
        assert_eq!(rows(&client).await, before, "{to}");
    }
    for sql in [
        "UPDATE law_entry SET body = '{}'",
        "DELETE FROM law_entry",
        "UPDATE law_entry SET valid_to = valid_from + interval '1 day'",
    ] {
        assert!(client.execute(sql, &[]).await.is_err(), "{sql}");
    }
    assert_eq!(rows(&client).await, before);
}

#[tokio::test]
async fn a_new_version_ends_the_open_one_and_changes_are_told() {
    let (mut client, _database) = migrated().await;
    save(&mut client, &parsed(LAW)).await.unwrap();
    let known = revision(&client).await.unwrap();
    let daily = "[[check_plan]]\noutlet = \"kiln\"\nanalyser = \"gas\"\nkind = \"span-drift\"\nevery_hours = 24\n\
                 document = \"New\"\nfrom = \"2026-06-01T00:00:00Z\"\n";
    let saved = save(&mut client, &parsed(&format!("schema = \"plant/1\"\n{daily}"))).await.unwrap();
    assert_eq!((saved.0["check_plan"].added, saved.0["check_plan"].changed), (1, 1));
    let plans = law::load(&client, None).await.unwrap().check_plans;
    assert_eq!(plans[0].times.until, Some(at("2026-06-01T00:00:00Z")));
    assert_eq!((plans[1].every_hours, plans[1].times.until), (24, None));
    assert_eq!(revision(&client).await.unwrap(), known + 1);
    // What is reckoned from the plan on is reckoned again.
    let sql = "SELECT count(*) FROM reckoning_due WHERE since = '2026-06-01T00:00:00Z'";
    let due: i64 = client.query_one(sql, &[]).await.unwrap().get(0);
    assert_eq!(due, 1);
}

#[tokio::test]
async fn a_load_for_a_time_leaves_out_old_marks_and_keeps_the_short_lists() {
    let (mut client, _database) = migrated().await;
    let given = parsed(LAW);
    save(&mut client, &given).await.unwrap();
    let later =
        law::load(&client, Some((at("2029-01-01T00:00:00Z"), at("2029-01-02T00:00:00Z")))).await.unwrap();
    assert_eq!((later.marks.len(), later.orders.len(), later.quotas.len()), (0, 3, 1));
    let earlier =
        law::load(&client, Some((at("2026-11-21T00:00:00Z"), at("2026-11-22T00:00:00Z")))).await.unwrap();
    assert_eq!((earlier.marks.len(), earlier.reviews.len(), earlier.checks.len()), (1, 1, 1));
    let same_year =
        law::load(&client, Some((at("2026-12-31T00:00:00Z"), at("2027-01-01T00:00:00Z")))).await.unwrap();
    assert_eq!(without_defaults(same_year), given.law);
}

#[tokio::test]
async fn the_views_are_for_people() {
    let (mut client, _database) = migrated().await;
    save(&mut client, &parsed(LAW)).await.unwrap();
    let mark =
        client.query_one("SELECT code, outlet, channel, claim, author FROM mark WHERE code = 'm-2'", &[]);
    let mark = mark.await.unwrap();
    let texts: Vec<String> = (0..5).map(|column| mark.get(column)).collect();
    assert_eq!(texts, ["m-2", "kiln", "a21026", "maintenance", "Contractor"]);
    let review = client.query_one("SELECT mark, reviewer, decision FROM review", &[]).await.unwrap();
    let texts: Vec<String> = (0..3).map(|column| review.get(column)).collect();
    assert_eq!(texts, ["m-1", "Bureau", "corrected"]);
}

#[tokio::test]
async fn the_built_in_lists_are_saved() {
    let (mut client, _database) = migrated().await;
    let given =
        catalogue::parse(&[seeds::pollutants(), seeds::rules(), seeds::sectors(), seeds::targets()]).unwrap();
    save(&mut client, &given).await.unwrap();
    let loaded = law::load(&client, None).await.unwrap();
    assert_eq!((loaded.targets.len(), loaded.assessments.len()), (8, 12));
    assert_eq!(without_defaults(loaded), given.law);
}
