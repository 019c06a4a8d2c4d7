//! Pollutants, rules and plant in a real PostgreSQL: repeatable, append-only, whole or not at all.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use cems::config::catalogue::{self, Catalogue};
use cems::config::kind::Source;
use cems::config::seeds;
use cems::domain::plant::{Outlet, Plant};
use cems::store::plant::{Error, load, load_catalogue, load_notify, revision, save};
use cems::store::{connect, migrate};
use jiff::Timestamp;
use tokio_postgres::Client;

use crate::support::database::TestDatabase;

/// A fresh database with migrated tables, and a connection to it.
struct Migrated {
    client: Client,
    database: TestDatabase,
}

impl Deref for Migrated {
    type Target = Client;
    fn deref(&self) -> &Client {
        &self.client
    }
}

impl DerefMut for Migrated {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}

async fn database() -> Migrated {
    let database = crate::support::database::database().await;
    let mut client = connect::connect(database.url(), "cems tests").await.unwrap();
    migrate::migrate(&mut client).await.unwrap();
    Migrated { client, database }
}

fn built_in() -> Vec<Source> {
    vec![seeds::pollutants(), seeds::rules(), seeds::demonstration()]
}

fn parsed(sources: &[Source]) -> Catalogue {
    catalogue::parse(sources).unwrap_or_else(|problems| panic!("{problems}"))
}

/// The built-in files with a replacement in each place where `from` stands.
fn edited(from: &str, to: &str) -> Catalogue {
    let mut sources = built_in();
    let mut found = false;
    for source in &mut sources {
        found |= source.text.contains(from);
        source.text = source.text.replace(from, to);
    }
    assert!(found, "{from:?} is not in the built-in files");
    parsed(&sources)
}

fn plant_file(text: &str) -> Catalogue {
    let text = format!("schema = \"plant/1\"\n{text}");
    parsed(&[Source { file: "plant".to_owned(), text }])
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Every table with its rows as text.
async fn dump(client: &Client) -> BTreeMap<String, Vec<String>> {
    let tables = client
        .query("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY 1", &[])
        .await
        .unwrap();
    let mut dump = BTreeMap::new();
    for table in tables {
        let table: String = table.get(0);
        let rows = client.query(&format!("SELECT t::text FROM {table} t ORDER BY 1"), &[]).await.unwrap();
        dump.insert(table, rows.iter().map(|row| row.get(0)).collect());
    }
    dump
}

/// The same plant as if it came from files: without the keys of the store.
fn without_ids(plant: &Plant) -> Plant {
    let mut plant = plant.clone();
    for outlet in &mut plant.outlets {
        let mut copy = Outlet::clone(outlet);
        copy.id = 0;
        for rule in &mut copy.rules {
            Arc::make_mut(rule).id = 0;
        }
        *outlet = Arc::new(copy);
    }
    for gateway in &mut plant.gateways {
        Arc::make_mut(gateway).id = 0;
    }
    plant
}

async fn refused(client: &mut Client, catalogue: &Catalogue) -> Vec<String> {
    let before = dump(client).await;
    let Err(Error::Refused(refusals)) = save(client, catalogue).await else { panic!("not refused") };
    assert_eq!(dump(client).await, before, "a refused catalogue stores nothing");
    refusals.0.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn migrating_again_changes_nothing() {
    let mut client = database().await;
    let before = dump(&client).await;
    let again = migrate::migrate(&mut client).await.unwrap();
    assert!(again.applied.is_empty() && again.version >= 1, "{again:?}");
    assert_eq!(dump(&client).await, before);
}

#[tokio::test]
async fn what_is_loaded_is_what_was_saved() {
    let mut client = database().await;
    let given = parsed(&built_in());
    save(&mut client, &given).await.unwrap();
    let loaded = load(&client).await.unwrap();
    assert!(loaded.outlets.iter().all(|outlet| outlet.id > 0 && outlet.rules.iter().all(|rule| rule.id > 0)));
    assert_eq!(without_ids(&loaded), given.clone().into_plant().unwrap());
    assert_eq!(load_notify(&client).await.unwrap().len(), given.notify.len());
    let again = load_catalogue(&client).await.unwrap();
    assert_eq!(again.pollutants, given.pollutants);
    assert_eq!(again.enterprises, given.enterprises);
    assert_eq!(again.rules.len(), given.rules.len());
}

#[tokio::test]
async fn saving_twice_changes_nothing() {
    let mut client = database().await;
    let given = parsed(&built_in());
    let first = save(&mut client, &given).await.unwrap();
    assert!(
        first.0.values().all(|counts| counts.added > 0 && counts.changed + counts.unchanged == 0),
        "{first}"
    );
    let before = dump(&client).await;
    let known = revision(&client).await.unwrap();
    let second = save(&mut client, &given).await.unwrap();
    assert!(!second.changes_anything(), "{second}");
    for (table, counts) in &second.0 {
        assert_eq!(counts.unchanged, first.0[table].added, "{table}");
    }
    assert_eq!(dump(&client).await, before);
    assert_eq!(revision(&client).await.unwrap(), known);
}

#[tokio::test]
async fn contradictions_are_refused_and_nothing_is_stored() {
    let mut client = database().await;
    save(&mut client, &parsed(&built_in())).await.unwrap();
    for (from, to, subject) in [
        ("molar_mass = 64.06", "molar_mass = 64.0", "pollutant a21026"),
        ("limit = 35\n", "limit = 36\n", "rule jiaozuo-2019-cement-kiln-so2"),
        ("division = \"410811\"", "division = \"410802\"", "enterprise 91410811DEM000001F"),
        ("industry = \"C3041\"", "industry = \"C3042\"", "enterprise 91410882DEM000002D"),
        ("area_m2 = 12.6", "area_m2 = 12.7", "outlet demo-cement-kiln, setting"),
        ("range = [0, 600]", "range = [0, 500]", "outlet demo-glass-furnace, channel a21002"),
        ("model = \"DEMO-D1\"", "model = \"DEMO-D2\"", "outlet demo-carbon-roasting, analyser dust"),
        ("reference_oxygen_percent = 8\n", "reference_oxygen_percent = 9\n", "rule gb26453-2022-furnace-pm"),
    ] {
        let told = refused(&mut client, &edited(from, to)).await;
        assert!(
            told.iter().any(|line| line.starts_with(&format!("{subject}: "))),
            "{from} -> {to}: {told:#?}"
        );
    }
    // Added entries of a refused catalogue are not stored either, and all contradictions are told.
    let mut sources = built_in();
    sources[2].text =
        sources[2].text.replace("area_m2 = ", "area_m2 = 1").replace("demo-carbon-roasting", "new");
    let told = refused(&mut client, &parsed(&sources)).await;
    assert_eq!(told.len(), 2, "{told:#?}");
}

#[tokio::test]
async fn words_may_be_corrected() {
    let mut client = database().await;
    save(&mut client, &parsed(&built_in())).await.unwrap();
    for (from, to, table, count) in [
        ("name_en = \"Oxygen\"", "name_en = \"Dioxygen\"", "pollutant", 1),
        ("table 2, in force", "table 3, in force", "rule", 3),
        ("Nobody: demonstration", "Nobody", "enterprise", 3),
        ("latitude = 35.21", "latitude = 35.22", "outlet", 1),
        ("kind = \"log\"", "kind = \"webhook\"\nurl = \"http://localhost/alert\"", "notify_channel", 1),
    ] {
        let known = revision(&client).await.unwrap();
        let given = edited(from, to);
        let saved = save(&mut client, &given).await.unwrap();
        for (name, counts) in &saved.0 {
            assert_eq!(
                (counts.added, counts.changed),
                (0, if *name == table { count } else { 0 }),
                "{name}: {from}"
            );
        }
        assert_eq!(without_ids(&load(&client).await.unwrap()), given.into_plant().unwrap());
        assert_eq!(revision(&client).await.unwrap(), known + 1);
        save(&mut client, &parsed(&built_in())).await.unwrap();
    }
}

const ENTERPRISE: &str = r#"
[[enterprise]]
code = "91410811DEM000001F"
name = "Demo"
industry = "C3011"
division = "410811"
contact = "Nobody"
"#;

fn outlet(channels: &str) -> String {
    format!(
        r#"{ENTERPRISE}
[[outlet]]
code = "kiln"
name = "Kiln"
enterprise = "91410811DEM000001F"
longitude = 113.2
latitude = 35.2
stack_height_m = 90
[[outlet.setting]]
from = "2020-01-01T00:00:00Z"
process = "cement-kiln"
[[outlet.analyser]]
name = "gas"
from = "2020-01-01T00:00:00Z"
maker = "Demo"
model = "G1"
serial_number = "1"
principle = "NDIR"
{channels}"#
    )
}

fn channel(code: &str, from: &str, high: u32) -> String {
    format!(
        "[[outlet.channel]]\ncode = \"{code}\"\nfrom = \"{from}\"\nanalyser = \"gas\"\nunit = \"mg/m3\"\n\
         moisture_basis = \"dry\"\nstate_basis = \"standard\"\nrange = [0, {high}]\n"
    )
}

#[tokio::test]
async fn channels_keep_their_positions_for_ever() {
    let mut client = database().await;
    let (so2, nox, dust) = (
        channel("a21026", "2020-01-01T00:00:00Z", 300),
        channel("a21002", "2020-01-01T00:00:00Z", 300),
        channel("a34013", "2021-01-01T00:00:00Z", 50),
    );
    save(&mut client, &plant_file(&outlet(&format!("{so2}{nox}")))).await.unwrap();
    // Another order, one channel less, one more.
    let saved = save(&mut client, &plant_file(&outlet(&format!("{dust}{so2}")))).await.unwrap();
    assert_eq!((saved.0["channel"].added, saved.0["channel"].unchanged), (1, 1));
    let plant = load(&client).await.unwrap();
    let codes: Vec<&str> = plant.outlet("kiln").unwrap().channels.iter().map(|c| c.code.as_str()).collect();
    assert_eq!(codes, ["a21026", "a21002", "a34013"]);
}

#[tokio::test]
async fn new_versions_end_the_open_ones() {
    let mut client = database().await;
    let old = channel("a21026", "2020-01-01T00:00:00Z", 300);
    let new = channel("a21026", "2024-01-01T00:00:00Z", 100);
    save(&mut client, &plant_file(&outlet(&old))).await.unwrap();
    // Whether the file repeats the old version or not.
    for text in [new.clone(), format!("{old}{new}"), old.clone()] {
        save(&mut client, &plant_file(&outlet(&text))).await.unwrap();
        let plant = load(&client).await.unwrap();
        let settings = &plant.outlet("kiln").unwrap().channels[0].settings;
        assert_eq!(settings.iter().count(), 2);
        assert_eq!(settings.at(time("2023-12-31T23:59:59Z")).unwrap().range, (0.0, 300.0));
        assert_eq!(settings.at(time("2024-01-01T00:00:00Z")).unwrap().range, (0.0, 100.0));
    }
    let between = channel("a21026", "2022-01-01T00:00:00Z", 200);
    let told = refused(&mut client, &plant_file(&outlet(&between))).await;
    assert!(told[0].starts_with("outlet kiln, channel a21026: the entry from 2022"), "{told:?}");
}

#[tokio::test]
async fn an_outlet_moves_to_another_gateway() {
    let mut client = database().await;
    let with_gateway = |name: &str, from: &str| {
        let channels = channel("a21026", "2020-01-01T00:00:00Z", 300);
        let serves = format!("[[gateway.serves]]\noutlet = \"kiln\"\nfrom = \"{from}\"\n");
        plant_file(&format!("{}[[gateway]]\nname = \"{name}\"\n{serves}", outlet(&channels)))
    };
    save(&mut client, &with_gateway("gw-old", "2020-01-01T00:00:00Z")).await.unwrap();
    let saved = save(&mut client, &with_gateway("gw-new", "2025-01-01T00:00:00Z")).await.unwrap();
    assert_eq!((saved.0["serving"].added, saved.0["serving"].changed), (1, 1));
    let plant = load(&client).await.unwrap();
    let kiln = plant.outlet("kiln").unwrap();
    let (before, after) = (time("2024-12-31T23:59:59Z"), time("2025-01-01T00:00:00Z"));
    // The old gateway's backfill still counts for its time, and only for that.
    assert!(kiln.served_by("gw-old", before) && !kiln.served_by("gw-old", after));
    assert!(kiln.served_by("gw-new", after) && !kiln.served_by("gw-new", before));
    assert_eq!(plant.gateways.len(), 2);
    let told = refused(&mut client, &with_gateway("gw-new", "2022-01-01T00:00:00Z")).await;
    assert!(told[0].starts_with("outlet kiln, gateway: "), "{told:?}");
}

#[tokio::test]
async fn saves_side_by_side_leave_one_plant() {
    let first = database().await;
    let url = first.database.url();
    let (mut one, mut two) =
        (connect::connect(url, "one").await.unwrap(), connect::connect(url, "two").await.unwrap());
    let given = parsed(&built_in());
    let (a, b) = tokio::join!(save(&mut one, &given), save(&mut two, &given));
    assert!(a.unwrap().changes_anything() != b.unwrap().changes_anything());
    assert_eq!(without_ids(&load(&first).await.unwrap()), given.into_plant().unwrap());
}

#[tokio::test]
async fn a_province_loads_within_a_second() {
    const OUTLETS: usize = 5000;
    let mut client = database().await;
    let mut given = parsed(&built_in());
    let model = given.outlets[0].clone();
    let channels: Vec<_> = (0..2)
        .flat_map(|copy| {
            model.channels.iter().map(move |(code, settings)| {
                let code = if copy == 0 { code.to_string() } else { format!("{code}-{copy}") };
                (cems::domain::plant::ChannelCode::new(&code).unwrap(), settings.clone())
            })
        })
        .collect();
    given.outlets = (0..OUTLETS)
        .map(|number| {
            let mut outlet = model.clone();
            outlet.code = format!("outlet-{number:05}").into();
            outlet.channels.clone_from(&channels);
            outlet
        })
        .collect();
    let started = cems::clock::monotonic();
    save(&mut client, &given).await.unwrap();
    let saved = started.elapsed();
    let started = cems::clock::monotonic();
    let plant = load(&client).await.unwrap();
    let loaded = started.elapsed();
    println!("{OUTLETS} outlets x {} channels: saved in {saved:?}, loaded in {loaded:?}", channels.len());
    assert_eq!(plant.outlets.len(), OUTLETS);
    assert!(plant.outlets.iter().all(|outlet| outlet.channels.len() == 16 && !outlet.rules.is_empty()));
    // Unoptimised and beside other tests: ten times what a release build may take.
    assert!(loaded.as_secs() < 10, "{loaded:?}");
}
