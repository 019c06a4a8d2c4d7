//! `cems migrate` as it really goes: killed at any moment, and run while a centre works.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use cems::clock;
use cems::config::kind::Source;
use cems::domain::scan::Reading;
use cems::store::storage::Storage;
use jiff::SignedDuration;
use tokio::process::{Child, Command};
use tokio_postgres::Client;

use crate::support::database::{TestDatabase, database};
use crate::support::schema::{difference, lines};
use crate::support::wait::wait_until;
use crate::support::world::{Sender, World, normal, whole_second, world_of};

const LIMIT: Duration = Duration::from_secs(30);

/// `cems migrate` on a database.
pub fn migrator(url: &str, storage: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cems"));
    command.args(["migrate", "--database", url, "--timescale", storage]).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What it did, within a limit.
pub async fn migrated(url: &str, storage: &str) -> Output {
    tokio::time::timeout(LIMIT, migrator(url, storage).output()).await.expect("cems migrate ends").unwrap()
}

/// How a migrator ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The process, by SIGKILL.
    Process,
    /// Its session, by the server's administrator.
    Session,
}

/// When it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// When so many migrations are committed.
    After(i64),
    /// So long after its start.
    At(Duration),
}

/// The texts of the migrations, in order.
fn migrations() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/migrations");
    let mut files: Vec<(i64, String)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let number = name[1..].split("__").next().unwrap().parse().unwrap();
            (number, std::fs::read_to_string(&path).unwrap())
        })
        .collect();
    files.sort();
    files.into_iter().map(|(_, text)| text).collect()
}

/// Number of committed migrations; 0 when there is no such table yet.
async fn committed(client: &Client) -> i64 {
    client.query_one("SELECT count(*) FROM migration", &[]).await.map_or(0, |row| row.get(0))
}

async fn sessions(client: &Client) -> i64 {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'cems migrate'";
    client.query_one(sql, &[]).await.unwrap().get(0)
}

/// What was noted of the migrations, but for the times.
async fn history(client: &Client) -> Vec<(i32, String, String)> {
    let rows = client.query("SELECT version, name, checksum FROM migration ORDER BY version", &[]).await;
    rows.unwrap().iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
}

/// True when the migrator was still at work.
async fn end(child: &mut Child, client: &Client, end: End, moment: Moment) -> bool {
    match moment {
        Moment::At(time) => {
            let _still_working = tokio::time::timeout(time, child.wait()).await;
        }
        Moment::After(number) => {
            while child.try_wait().unwrap().is_none() && sessions(client).await + committed(client).await == 0
            {
            }
            while child.try_wait().unwrap().is_none() && committed(client).await < number {}
        }
    }
    let working = child.try_wait().unwrap().is_none();
    match end {
        End::Process => child.kill().await.unwrap(),
        End::Session => {
            let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() \
                AND application_name = 'cems migrate'";
            client.execute(sql, &[]).await.unwrap();
        }
    }
    let status = tokio::time::timeout(LIMIT, child.wait()).await.expect("it ends").unwrap();
    wait_until(LIMIT, "the end of its session", || async {
        let left = sessions(client).await;
        if left == 0 { Ok(()) } else { Err(left) }
    })
    .await;
    // Killed, or it says that it failed; or it was done, or had no session yet that could be ended.
    assert!(matches!(status.code(), None | Some(0 | 1)), "{status:?}");
    working && status.code() != Some(0)
}

/// What the database is after each migration, and how it comes out at the end.
struct Expected {
    after: Vec<BTreeSet<String>>,
    history: Vec<(i32, String, String)>,
    took: Duration,
}

async fn expected() -> Expected {
    let plain = database().await;
    let client = plain.client().await;
    let mut after = vec![lines(&client, &["migration"]).await];
    for text in migrations() {
        client.batch_execute(&text).await.unwrap();
        after.push(lines(&client, &["migration"]).await);
    }
    let undisturbed = database().await;
    let started = clock::monotonic();
    let output = migrated(undisturbed.url(), "off").await;
    let took = started.elapsed();
    assert!(output.status.success(), "{output:?}");
    let client = undisturbed.client().await;
    let found = lines(&client, &["migration"]).await;
    assert!(found == after[after.len() - 1], "{:#?}", difference(&found, &after[after.len() - 1]));
    Expected { after, history: history(&client).await, took }
}

async fn is_finished(database: &TestDatabase, expected: &Expected, what: &str) {
    let output = migrated(database.url(), "off").await;
    assert!(output.status.success(), "{what}: {output:?}");
    let client = database.client().await;
    let found = lines(&client, &["migration"]).await;
    let last = &expected.after[expected.after.len() - 1];
    assert!(found == *last, "{what}: {:#?}", difference(&found, last));
    assert_eq!(history(&client).await, expected.history, "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_that_is_killed_leaves_nothing_half_applied_and_the_next_run_finishes_it() {
    let expected = expected().await;
    let count = expected.history.len();
    let mut random = fastrand::Rng::with_seed(20_261_125);
    let at = |part: f64| Moment::At(expected.took.mul_f64(part));
    // Between any two of them, and at random.
    let between = (0..=count as i64).map(Moment::After).chain([at(random.f64()), at(random.f64())]);
    let rounds: Vec<(Moment, End)> =
        between.flat_map(|moment| [(moment, End::Process), (moment, End::Session)]).collect();
    let (mut stopped, mut places) = (0, BTreeSet::new());
    let database = database().await;
    let client = database.client().await;
    for (moment, how) in rounds.iter().copied() {
        client.batch_execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public").await.unwrap();
        let what = format!("{how:?} {moment:?}");
        let mut child = migrator(database.url(), "off").spawn().unwrap();
        let was_stopped = end(&mut child, &client, how, moment).await;
        let applied = committed(&client).await;
        let found = lines(&client, &["migration"]).await;
        let whole = &expected.after[usize::try_from(applied).unwrap()];
        assert!(found == *whole, "{what}, after {applied}: {:#?}", difference(&found, whole));
        if was_stopped {
            stopped += 1;
            places.insert(applied);
        }
        is_finished(&database, &expected, &what).await;
    }
    println!("{stopped} of {} migrators were stopped, after {places:?} of {count} migrations", rounds.len());
    assert!(stopped >= count && places.len() >= 4, "{stopped} were stopped, after {places:?}");
}

const CHANNELS: [(&str, &str, &str); 16] = [
    ("a34013", "mg/m3", "wet actual"),
    ("a21026", "mg/m3", "dry standard"),
    ("a21002", "mg/m3", "dry standard"),
    ("a21005", "mg/m3", "dry standard"),
    ("a21024", "mg/m3", "dry standard"),
    ("a21003", "ppm", "dry standard"),
    ("a21004", "ppm", "dry standard"),
    ("a21001", "mg/m3", "dry standard"),
    ("a21028", "mg/m3", "dry standard"),
    ("a24088", "mg/m3", "dry standard"),
    ("a19001", "%", "dry"),
    ("a01012", "C", ""),
    ("a01013", "kPa", ""),
    ("a01014", "%", ""),
    ("a01011", "m/s", ""),
    ("a01006", "kPa", ""),
];
const OUTLETS: usize = 50;
/// Seconds of load: every second a scan of each outlet, 800 readings.
const SECONDS: usize = 12;

/// Kilns with sixteen channels each, behind one gateway.
fn kilns() -> Source {
    let from = "from = \"2020-01-01T00:00:00+08:00\"";
    let mut text = "schema = \"plant/1\"\n[[enterprise]]\ncode = \"91410811DEM000001F\"\nname = \"Demo\"\nindustry = \"C3011\"\n\
        division = \"410811\"\ncontact = \"Nobody\"\n"
        .to_owned();
    for number in 0..OUTLETS {
        write!(
            text,
            "[[outlet]]\ncode = \"kiln-{number}\"\nname = \"Kiln\"\nenterprise = \"91410811DEM000001F\"\nlongitude = 113.2\n\
             latitude = 35.2\nstack_height_m = 90\n[[outlet.setting]]\n{from}\nprocess = \"cement-kiln\"\nreference_oxygen_percent = 10\n\
             area_m2 = 7.5\n[[outlet.analyser]]\nname = \"gas\"\n{from}\nmaker = \"D\"\nmodel = \"D\"\nserial_number = \"1\"\n\
             principle = \"D\"\n"
        )
        .unwrap();
        for (code, unit, bases) in CHANNELS {
            let channel = "[[outlet.channel]]\nanalyser = \"gas\"\nrange = [-1000, 1000]\n";
            writeln!(text, "{channel}code = \"{code}\"\nunit = \"{unit}\"\n{from}").unwrap();
            for (key, word) in ["moisture_basis", "state_basis"].iter().zip(bases.split_whitespace()) {
                writeln!(text, "{key} = \"{word}\"").unwrap();
            }
        }
    }
    text.push_str("[[gateway]]\nname = \"gw-demo\"\n");
    for number in 0..OUTLETS {
        writeln!(text, "[[gateway.serves]]\noutlet = \"kiln-{number}\"\n{from}").unwrap();
    }
    Source { file: "kilns.toml".to_owned(), text }
}

/// Runs `cems migrate` again and again; gives how often.
async fn again_and_again(url: String, storage: &'static str, done: cems::shutdown::Shutdown) -> usize {
    let mut runs = 0;
    while !done.is_cancelled() {
        let output = migrated(&url, storage).await;
        assert!(output.status.success(), "{output:?}");
        assert!(!String::from_utf8_lossy(&output.stdout).contains("applied"), "{output:?}");
        runs += 1;
    }
    runs
}

/// A message of five scans ten times a second, each waited for until its receipt; gives the slowest.
async fn load(sender: &mut Sender, world: &World) -> Duration {
    let codes: Vec<&'static str> =
        (0..OUTLETS).map(|n| &*Box::leak(format!("kiln-{n}").into_boxed_str())).collect();
    let start = whole_second();
    let mut pace = tokio::time::interval(Duration::from_millis(100));
    let mut slowest = Duration::ZERO;
    for round in 0..SECONDS * 10 {
        pace.tick().await;
        let at = start + SignedDuration::from_secs(round as i64 / 10);
        let first = sender.seq;
        let mut messages = Vec::new();
        for outlet in &codes[round % 10 * 5..round % 10 * 5 + 5] {
            sender.outlet = outlet;
            let value = |position: usize| normal(5.0 + position as f64 + round as f64 / 1000.0);
            let readings: Vec<(&str, Reading)> = CHANNELS
                .iter()
                .enumerate()
                .map(|(position, (code, _, _))| (*code, value(position)))
                .collect();
            messages.push(sender.record(at, &readings));
        }
        let sent = clock::monotonic();
        sender.publish("live", first, &messages).await;
        assert_eq!(sender.receipted(first..sender.seq).await, [0; 0], "nothing goes to quarantine");
        slowest = slowest.max(sent.elapsed());
        let readiness = &world.centre.reporting.readiness;
        assert!(readiness.all_ready(), "{:?}", readiness.parts());
    }
    slowest
}

#[tokio::test(flavor = "multi_thread")]
async fn migrating_again_and_again_under_load_disturbs_nobody() {
    let world = world_of(kilns(), "").await;
    let before = lines(&world.client, &[]).await.into_iter().filter(|line| !line.starts_with("rows "));
    let before: BTreeSet<String> = before.collect();
    let mut sender = Sender::connect(world.broker.port()).await;
    let done = cems::shutdown::Shutdown::new();
    let url = world.database.url().to_owned();
    let storage = match Storage::of(&world.client).await.unwrap() {
        Storage::Partitions => "off",
        Storage::Hypertables { .. } => "on",
    };
    let migrators = [0; 2].map(|_| tokio::spawn(again_and_again(url.clone(), storage, done.clone())));
    let slowest = load(&mut sender, &world).await;
    done.cancel();
    let mut runs = 0;
    for migrator in migrators {
        runs += migrator.await.unwrap();
    }
    println!("{runs} migrations under load; the slowest receipt took {} ms", slowest.as_millis());
    assert!(runs >= 10, "only {runs} migrations under load");
    assert_eq!(world.count("SELECT count(*) FROM scan").await, (OUTLETS * SECONDS) as i64);
    let seen = "SELECT count(DISTINCT (outlet_id, measured_at)) FROM scan WHERE flag = repeat('N', 16)";
    assert_eq!(world.count(seen).await, (OUTLETS * SECONDS) as i64);
    assert_eq!(world.count("SELECT count(*) FROM quarantine").await, 0);
    let after = lines(&world.client, &[]).await.into_iter().filter(|line| !line.starts_with("rows "));
    let after: BTreeSet<String> = after.collect();
    assert!(before == after, "{:#?}", difference(&before, &after));
    world.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_somebody_dropped_is_made_again_and_nothing_goes_to_quarantine() {
    let world = world_of(kilns(), "").await;
    if Storage::of(&world.client).await.unwrap() != Storage::Partitions {
        println!("skipped: a_partition_that_somebody_dropped: the tests run on hypertables");
        return;
    }
    let mut sender = Sender::connect(world.broker.port()).await;
    sender.outlet = "kiln-0";
    let at = whole_second() - SignedDuration::from_hours(26);
    for round in 0..3 {
        let at = at + SignedDuration::from_secs(round);
        let line = sender.record(at, &[("a21026", normal(1.0))]);
        sender.publish("backfill", round as u64, &[line]).await;
        assert_eq!(sender.receipted(round as u64..round as u64 + 1).await, [0; 0]);
        assert_eq!(world.count("SELECT count(*) FROM scan").await, 1);
        let day = at.strftime("%Y%m%d");
        world.client.batch_execute(&format!("DROP TABLE scan_{day}")).await.unwrap();
    }
    assert_eq!(world.count("SELECT count(*) FROM quarantine").await, 0);
    world.centre.stop().await;
}
