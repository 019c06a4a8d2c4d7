//! Rules of alerting, teams, people and duty: from documents into a real PostgreSQL and back, the rules that every database starts
//! with, and `cems roster` as a user runs it.

use std::fmt::Write as _;
use std::fs;
use std::process::{Command, Output};

use cems::clock;
use cems::config::catalogue;
use cems::config::check_files;
use cems::config::kind::Source;
use cems::domain::alert::{Alert, AlertKind, Place};
use cems::domain::alerting::{AlertRule, Alerting, Audience, Desk, Lines, Scoped};
use cems::store::{frame, migrate};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio_postgres::Client;

use crate::support::database::{TestDatabase, database};

const MIGRATION: &str = include_str!("../../src/store/migrations/V8__alerting.sql");
const DOCS: &str = include_str!("../../docs/alerting.md");
const LISTS: &str = include_str!("../../src/config/law/tests/alerting.toml");
const PLANT: &str = include_str!("../../src/config/catalogue/tests/plant.toml");
const RULES: &str = include_str!("../../src/config/catalogue/tests/rules.toml");
const WORKS: &str = "91410811DEM000001F";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The rules that the migration inserts, in its order.
fn defaults() -> Vec<AlertRule> {
    let (_, after) = MIGRATION.split_once("jsonb_array_elements('").unwrap();
    let (json, _) = after.split_once("'::jsonb").unwrap();
    let mut rules: Vec<Value> = serde_json::from_str(&json.replace("''", "'")).unwrap();
    for rule in &mut rules {
        rule["times"] = serde_json::json!({ "from": "1970-01-01T00:00:00Z", "until": null });
    }
    rules.into_iter().map(|rule| serde_json::from_value(rule).unwrap()).collect()
}

/// A default as a row of the table in docs/alerting.md.
fn row(rule: &AlertRule) -> String {
    let list = |numbers: Vec<String>| if numbers.is_empty() { "-".to_owned() } else { numbers.join(", ") };
    let mut levels = list(rule.levels.iter().map(ToString::to_string).collect());
    if let Some(lines) = Lines::of(rule.kind).filter(|_| !rule.levels.is_empty()) {
        levels = format!("{levels} {}", lines.unit());
    }
    let counts = list(rule.counts.iter().map(ToString::to_string).collect());
    let names: Vec<&str> = rule.audiences.iter().map(|audience| audience.name()).collect();
    let told = match rule.others_after_s {
        0 => names.join(" and "),
        later => format!("{} after {later} s", names.join(", ")),
    };
    let mut severity = rule.kind.severity(1).name().to_owned();
    for level in 2..=8 {
        let (before, now) = (rule.kind.severity(level - 1), rule.kind.severity(level));
        if before != now {
            write!(severity, "; {} from level {level}", now.name()).unwrap();
        }
    }
    let (hold, clear) = (rule.hold_s, rule.clear_s);
    format!("| `{}` | {levels} | {counts} | {hold} | {clear} | {told} | {severity} |", rule.code)
}

#[test]
fn the_default_rules_cover_every_kind_and_are_those_of_the_docs() {
    let defaults = defaults();
    for kind in AlertKind::ALL {
        let of_kind: Vec<&AlertRule> = defaults.iter().filter(|rule| rule.kind == kind).collect();
        let [rule] = of_kind.as_slice() else { panic!("{}: {} rules", kind.name(), of_kind.len()) };
        assert_eq!(rule.code, kind.name());
        assert!(rule.enabled && rule.severity.is_none() && !rule.audiences.is_empty());
        let in_order = Lines::of(kind).map_or(rule.levels.is_empty(), |lines| lines.in_order(&rule.levels));
        assert!(in_order && rule.counts.is_sorted(), "{}", kind.name());
    }
    assert_eq!(defaults.len(), AlertKind::ALL.len());
    let (_, table) = DOCS.split_once("<!-- default rules -->\n").unwrap();
    let (table, _) = table.split_once("<!-- end of default rules -->").unwrap();
    let in_docs: Vec<&str> = table.lines().filter(|line| line.starts_with("| `")).collect();
    let expected: Vec<String> = defaults.iter().map(row).collect();
    assert_eq!(in_docs, expected, "the table of docs/alerting.md is:\n{}", expected.join("\n"));
}

/// What a document has to write to say a default again, one that documents accept.
#[test]
fn a_document_may_say_every_default_again() {
    let texts =
        |names: Vec<&str>| names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
    let mut text = "schema = \"plant/1\"\n".to_owned();
    for rule in defaults() {
        let audiences = texts(rule.audiences.iter().map(|audience| audience.name()).collect());
        write!(text, "[[alert_rule]]\ncode = {:?}\nkind = {:?}\nlevels = {:?}\ncounts = {:?}\nhold_s = {}\nclear_s = {}\naudiences = [{audiences}]\n\
             others_after_s = {}\nfrom = \"1970-01-01T00:00:00Z\"\n",
            rule.code, rule.kind.name(), rule.levels, rule.counts, rule.hold_s, rule.clear_s, rule.others_after_s).unwrap();
    }
    let source = Source { file: "defaults".to_owned(), text };
    let parsed = catalogue::parse(&[source]).unwrap_or_else(|problems| panic!("{problems}"));
    let mut expected = defaults();
    expected.sort_by(|a, b| a.code.cmp(&b.code));
    assert_eq!(parsed.law.alerting.rules, expected);
}

/// The example of the docs.
fn example() -> String {
    let (_, after) = DOCS.split_once("```toml\n").unwrap();
    after.split_once("```").unwrap().0.to_owned()
}

fn cems(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cems"))
        .env_remove("CEMS__DATABASE__URL")
        .args(arguments)
        .output()
        .unwrap()
}

fn printed(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// A database, documents in a folder, and `cems seed` of them.
struct Seeded {
    database: TestDatabase,
    folder: tempfile::TempDir,
}

impl Seeded {
    async fn new() -> Seeded {
        Seeded { database: database().await, folder: tempfile::tempdir().unwrap() }
    }

    /// `cems seed` of these documents, whose texts are named by what they are.
    fn seed(&self, documents: &[(&str, &str)]) -> Output {
        let mut arguments = vec!["seed".to_owned(), "--json".to_owned()];
        for (name, text) in documents {
            let file = self.folder.path().join(format!("{name}.toml"));
            fs::write(&file, text).unwrap();
            arguments.push(file.to_str().unwrap().to_owned());
        }
        arguments.extend(["--database".to_owned(), self.database.url().to_owned()]);
        cems(&arguments.iter().map(String::as_str).collect::<Vec<&str>>())
    }

    fn seed_lists(&self, lists: &str) -> Output {
        let pollutants = include_str!("../../src/config/catalogue/tests/pollutants.toml");
        self.seed(&[("pollutants", pollutants), ("rules", RULES), ("plant", PLANT), ("lists", lists)])
    }

    fn roster(&self, arguments: &[&str]) -> Output {
        let database = ["--database", self.database.url()];
        cems(&[&["roster", "show"], arguments, &database[..]].concat())
    }
}

fn parsed(lists: &str) -> Alerting {
    let source = |file: &str, text: &str| Source { file: file.to_owned(), text: text.to_owned() };
    let pollutants = include_str!("../../src/config/catalogue/tests/pollutants.toml");
    let sources =
        [source("p", pollutants), source("r", RULES), source("plant", PLANT), source("lists", lists)];
    catalogue::parse(&sources).unwrap_or_else(|problems| panic!("{problems}")).law.alerting
}

async fn rows(client: &Client) -> Vec<String> {
    let rows = client.query("SELECT e::text FROM law_entry e ORDER BY id", &[]).await.unwrap();
    let revision = client.query_one("SELECT revision::text FROM plant_revision", &[]).await.unwrap();
    rows.iter().chain([&revision]).map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn every_database_starts_with_the_default_rules() {
    let database = database().await;
    let mut client = database.client().await;
    migrate::migrate(&mut client).await.unwrap();
    let (_plant, frames) = frame::load(&client).await.unwrap();
    let mut expected = defaults();
    expected.sort_by(|a, b| a.code.cmp(&b.code));
    assert_eq!(frames.alerting, Alerting { rules: expected, ..Alerting::default() });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_loaded_is_what_was_seeded_and_seeding_twice_changes_nothing() {
    let seeded = Seeded::new().await;
    let told: Value = serde_json::from_str(&printed(&seeded.seed_lists(LISTS))).unwrap();
    assert_eq!(
        (&told["alert_rule"]["added"], &told["alert_rule"]["changed"]),
        (&3.into(), &1.into()),
        "{told}"
    );
    for (list, added) in
        [("team", 3), ("person", 3), ("shift", 2), ("holiday", 2), ("swap", 1), ("ladder", 1)]
    {
        assert_eq!(told[list]["added"], added, "{told}");
    }
    let client = seeded.database.client().await;
    let (_plant, frames) = frame::load(&client).await.unwrap();
    // The default that has a new version ends where that begins; the others stand.
    let mut expected = parsed(LISTS);
    let mut rules = defaults();
    let exceedance = rules.iter_mut().find(|rule| rule.code == "exceedance").unwrap();
    exceedance.times.until = Some(at("2026-06-30T16:00:00Z"));
    rules.extend(expected.rules);
    rules.sort_by(|a, b| (&a.code, a.times).cmp(&(&b.code, b.times)));
    expected.rules = rules;
    assert_eq!(frames.alerting, expected);
    let place = Scoped { outlet: "kiln", enterprise: WORKS, division: "410811" };
    let levels =
        |kind, place, when| frames.alerting.rule(kind, place, at(when)).map(|rule| rule.levels.clone());
    let hour = |place, when| levels(AlertKind::HourToDate, place, when);
    assert_eq!(hour(place, "2026-11-21T00:00:00Z"), Some(vec![0.7, 0.85]));
    assert_eq!(hour(place, "2025-11-21T00:00:00Z"), Some(vec![0.8, 0.9]));
    assert_eq!(hour(Scoped { outlet: "mill", ..place }, "2026-11-21T00:00:00Z"), Some(vec![0.8, 0.9]));
    assert_eq!(
        levels(AlertKind::GatewayCertificate, place, "2026-11-21T00:00:00Z"),
        None,
        "switched off there"
    );
    let before = rows(&client).await;
    let again: Value = serde_json::from_str(&printed(&seeded.seed_lists(LISTS))).unwrap();
    assert_eq!((&again["shift"]["added"], &again["shift"]["unchanged"]), (&0.into(), &2.into()), "{again}");
    assert_eq!(rows(&client).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn new_versions_end_the_open_ones_and_ends_are_kept() {
    let seeded = Seeded::new().await;
    printed(&seeded.seed_lists(LISTS));
    let next = "[[shift]]\ncode = \"works-day\"\nteam = \"works\"\ndays = [\"workday\", \"restday\"]\nhours = [\"08:00\", \"20:00\"]\n\
                people = [\"head\"]\nfrom = \"2026-12-01T00:00:00+08:00\"\n\
                [[ladder]]\nteam = \"works\"\nfrom = \"2026-12-01T00:00:00+08:00\"\n[[ladder.step]]\nafter_minutes = 5\nwho = [\"duty\"]\n";
    let leaves = LISTS.replace(
        "name = \"Early\"\nfrom = \"2026-01-01T00:00:00+08:00\"\n",
        "name = \"Early\"\nfrom = \"2026-01-01T00:00:00+08:00\"\nuntil = \"2026-12-01T00:00:00+08:00\"\n",
    );
    let told: Value = serde_json::from_str(&printed(&seeded.seed_lists(&format!("{leaves}{next}")))).unwrap();
    for (list, added) in [("shift", 1), ("ladder", 1), ("person", 0)] {
        assert_eq!(
            (&told[list]["added"], &told[list]["changed"]),
            (&added.into(), &1.into()),
            "{list}: {told}"
        );
    }
    let client = seeded.database.client().await;
    let (_plant, frames) = frame::load(&client).await.unwrap();
    let (lists, zone) = (&frames.alerting, TimeZone::get("Asia/Shanghai").unwrap());
    let team = lists.team("works", at("2026-11-30T00:00:00Z")).unwrap();
    let who = |when: &str| {
        let duty = lists.on_duty(team, at(when), &zone);
        duty.people.iter().map(|person| person.code.clone()).collect::<Vec<_>>().join("+")
    };
    assert_eq!(
        (who("2026-11-30T02:00:00Z"), who("2026-12-01T02:00:00Z")),
        ("early".to_owned(), "head".to_owned())
    );
    assert_eq!(lists.person("early", at("2026-12-01T02:00:00Z")), None);
    let steps =
        |when: &str| lists.steps("works", at(when)).iter().map(|step| step.after_minutes).collect::<Vec<_>>();
    assert_eq!((steps("2026-11-30T00:00:00Z"), steps("2026-12-02T00:00:00Z")), (vec![0, 10], vec![5]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_stores_nothing() {
    let seeded = Seeded::new().await;
    printed(&seeded.seed_lists(LISTS));
    let client = seeded.database.client().await;
    let before = rows(&client).await;
    let new = "[[person]]\ncode = \"new\"\nname = \"New\"\nfrom = \"2026-01-01T00:00:00Z\"\n[[person.address]]\nchannel = \"desk-log\"\n";
    for (from, to, words) in [
        // What is stored says otherwise.
        ("people = [\"late\"]", "people = [\"late\", \"early\"]", "shift works-night"),
        ("name = \"Head of the desk\"", "name = \"Deputy\"", "person head"),
        ("reason = \"Leave\"", "reason = \"Illness\"", "swap leave-1"),
        ("worked = true", "worked = false", "holiday 2026-10-10"),
        ("counts = [1, 3, 6]", "counts = [1, 4]", "alert_rule exceedance"),
        // The documents are wrong by themselves.
        ("hours = [\"20:00\", \"08:00\"]", "hours = [\"21:00\", \"07:00\"]", "nobody on duty on"),
        ("team = \"works\"\ndays", "team = \"mill\"\ndays", "the code of a team"),
        ("to = \"13800000001\"", "to = \"1 3 8\"", "without spaces"),
    ] {
        assert!(LISTS.contains(from), "{from}");
        let output = seeded.seed_lists(&format!("{}{new}", LISTS.replacen(from, to, 1)));
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{to}: {output:?}");
        assert!(told.contains(words), "{to}: {told}");
        assert_eq!(rows(&client).await, before, "{to}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_of_the_docs_is_the_roster_that_is_shown() {
    let seeded = Seeded::new().await;
    let example = example();
    let file = Source { file: "example.toml".to_owned(), text: example.clone() };
    let summary = check_files(&[file]).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(
        summary[0].holds,
        "1 enterprise, 2 notifies, 1 alert rule, 4 teams, 5 persons, 3 shifts, 2 holidays, 1 swap, 1 ladder"
    );
    printed(&seeded.seed(&[("example", &example)]));
    // Saturday at 03:00: the night of Friday, and nobody stands in yet.
    let shown = printed(&seeded.roster(&["--at", "2026-11-21T03:00:00+08:00"]));
    assert_eq!(shown, include_str!("people/roster.txt"));
    let json = printed(&seeded.roster(&["--at", "2026-11-21T23:50:00+08:00", "--team", "works", "--json"]));
    assert_eq!(json, include_str!("people/roster.json"));
    let unknown = seeded.roster(&["--at", "2026-11-21T03:00:00+08:00", "--team", "mill"]);
    assert_eq!(unknown.status.code(), Some(2));
    let told = String::from_utf8(unknown.stderr).unwrap();
    assert!(told.ends_with("known then: cement-desk, duty-desk, platform, works\n"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_that_came_later_is_shown_with_who_is_called_instead() {
    let seeded = Seeded::new().await;
    let leaves = example().replace(
        "name = \"Shift leader 1\"\n",
        "name = \"Shift leader 1\"\nuntil = \"2026-11-22T00:00:00+08:00\"\n",
    );
    printed(&seeded.seed(&[("example", &leaves)]));
    // Sunday by day: who had it has left.
    let shown = printed(&seeded.roster(&["--at", "2026-11-22T09:00:00+08:00", "--team", "works"]));
    let gap = "  GAP: nobody on duty until Sun 2026-11-22 20:00; called instead\n    works-head       Head of environment\n";
    assert!(shown.contains(gap), "{shown}");
    assert!(shown.contains("  gap from Sat 2026-11-28 08:00 until Sat 2026-11-28 20:00\n"), "{shown}");
}

#[test]
fn help_is_complete() {
    assert_eq!(printed(&cems(&["roster", "show", "--help"])), include_str!("people/help.txt"));
    assert!(printed(&cems(&["--help"])).contains("roster"));
}

/// So many enterprises with a team, two shifts and three people each, as a document.
fn province(enterprises: usize) -> String {
    let mut text = "schema = \"plant/1\"\n[[notify]]\nname = \"sms\"\nkind = \"log\"\n".to_owned();
    let from = "from = \"2026-01-01T00:00:00+08:00\"\n";
    for number in 0..enterprises {
        let code = credit_code(number);
        write!(text, "[[enterprise]]\ncode = \"{code}\"\nname = \"Works {number}\"\nindustry = \"C3011\"\ndivision = \"4108{:02}\"\ncontact = \"?\"\n\
             [[team]]\ncode = \"t-{number}\"\nname = \"T\"\naudience = \"enterprise\"\nenterprise = \"{code}\"\nleads = [\"p-{number}-2\"]\n{from}",
            number % 100).unwrap();
        for person in 0..3 {
            write!(text, "[[person]]\ncode = \"p-{number}-{person}\"\nname = \"P\"\n{from}[[person.address]]\nchannel = \"sms\"\nto = \"13800000000\"\n").unwrap();
        }
        for (person, hours) in [(0, "[\"08:00\", \"20:00\"]"), (1, "[\"20:00\", \"08:00\"]")] {
            write!(text, "[[shift]]\ncode = \"s-{number}-{person}\"\nteam = \"t-{number}\"\ndays = [\"workday\", \"restday\"]\nhours = {hours}\n\
                 people = [\"p-{number}-{person}\"]\n{from}").unwrap();
        }
    }
    for day in 1..=20 {
        write!(text, "[[holiday]]\ndate = \"2026-10-{day:02}\"\nname = \"H\"\nworked = {}\n", day % 2 == 0)
            .unwrap();
    }
    text
}

/// A code with its check character (GB 32100).
fn credit_code(number: usize) -> String {
    const ALPHABET: &str = "0123456789ABCDEFGHJKLMNPQRTUWXY";
    let body = format!("91410811{number:09}");
    let (sum, _) = body.chars().fold((0, 1), |(sum, weight), letter| {
        (sum + ALPHABET.find(letter).unwrap() * weight, weight * 3 % 31)
    });
    format!("{body}{}", ALPHABET.chars().nth((31 - sum % 31) % 31).unwrap())
}

#[test]
fn a_province_is_checked_and_asked_in_seconds() {
    let begun = clock::monotonic();
    let parsed = catalogue::parse(&[Source { file: "province".to_owned(), text: province(3000) }]);
    let lists = parsed.unwrap_or_else(|problems| panic!("{problems}")).law.alerting;
    let checked = begun.elapsed();
    let zone = TimeZone::get("Asia/Shanghai").unwrap();
    let now = at("2026-11-21T03:00:00+08:00");
    let begun = clock::monotonic();
    let desk = Desk::new(&lists);
    let mut called = 0;
    for number in 0..10_000 {
        let mut alert = Alert::new(AlertKind::Exceedance, now, now);
        let enterprise_code = credit_code(number % 3000);
        alert.outlet = Some(Place { enterprise_code, division: "410811".to_owned(), ..Place::default() });
        for audience in Audience::ALL {
            for team in desk.teams_for(&alert, audience, now) {
                called += desk.answering(team, now, &zone).people.len();
            }
        }
    }
    let asked = begun.elapsed();
    eprintln!("checked in {checked:?}, 10,000 alerts in {asked:?}");
    assert_eq!(called, 10_000);
    // Far more than it takes, also where much else runs.
    assert!(SignedDuration::try_from(asked).unwrap() < SignedDuration::from_secs(20), "{asked:?}");
    assert!(SignedDuration::try_from(checked).unwrap() < SignedDuration::from_secs(120), "{checked:?}");
}
