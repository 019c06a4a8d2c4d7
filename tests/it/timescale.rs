//! Hypertables. What needs TimescaleDB runs where the test server has it (`CEMS_TEST_DATABASE` names one that preloads it) and says so
//! where it has not; refusals run where it has not.

use std::collections::BTreeSet;
use std::process::Output;
use std::time::Duration;

use cems::central::recompute::recompute;
use cems::clock;
use cems::config::central::{Retention, Timescale};
use cems::config::seeds;
use cems::store::migrate::{self, MigrateError};
use cems::store::partition::{Partitioned, Partitions, drop_old};
use cems::store::session::Session;
use cems::store::storage::compression::see_to;
use cems::store::storage::{Storage, StorageError};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tokio_postgres::Client;

use crate::migrate::{migrated, migrator};
use crate::support::database::{TestDatabase, database};
use crate::support::schema::{difference, lines};
use crate::support::wait::wait_until;
use crate::support::world::{LIMIT, Sender, kiln, world_in};

/// Whether the server preloads TimescaleDB.
async fn is_there(client: &Client) -> bool {
    let sql = "SELECT current_setting('timescaledb.max_background_workers', true) IS NOT NULL";
    client.query_one(sql, &[]).await.unwrap().get(0)
}

/// Whether its licence setting allows no compression (the server's, not to be changed by a session).
async fn is_apache(client: &Client) -> bool {
    let sql = "SELECT current_setting('timescaledb.license', true) IS DISTINCT FROM 'timescale'";
    client.query_one(sql, &[]).await.unwrap().get(0)
}

/// A database on a server with TimescaleDB; else says that the test is skipped.
async fn with_timescale(test: &str) -> Option<(TestDatabase, Client)> {
    let database = database().await;
    let client = database.client().await;
    if is_there(&client).await {
        return Some((database, client));
    }
    println!("skipped: {test}: this PostgreSQL server has no TimescaleDB; name one by CEMS_TEST_DATABASE");
    None
}

fn text(output: &Output) -> (Option<i32>, String) {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code(), format!("{out}{err}"))
}

/// All lines but those that tell how the tables are kept.
async fn same(client: &Client) -> BTreeSet<String> {
    lines(client, &[]).await.into_iter().filter(|line| !line.starts_with("kind ")).collect()
}

async fn one_row(client: &Client) {
    let sql = "INSERT INTO average_wide VALUES (1, 1, 0, 1, date_trunc('minute', now()), now(), 1, '', '', '', '{}', '{}', '{}', '{}', \
        '{}', '{}', '{}', '{}', '{}')";
    client.batch_execute(sql).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn on_without_timescale_is_refused_and_changes_nothing() {
    let database = database().await;
    let mut client = database.client().await;
    if is_there(&client).await {
        println!("skipped: on_without_timescale: this PostgreSQL server has TimescaleDB");
        return;
    }
    let empty = lines(&client, &[]).await;
    let (code, told) = text(&migrated(database.url(), "on").await);
    assert_eq!(code, Some(2), "{told}");
    // Rule, what was found, remedy.
    let words =
        ["database.timescale is \"on\"", "timescaledb", "shared_preload_libraries", "\"auto\" or \"off\""];
    assert!(words.iter().all(|word| told.contains(word)), "{told}");
    assert_eq!(lines(&client, &[]).await, empty, "not even the migrations were applied");

    let (code, told) = text(&migrated(database.url(), "auto").await);
    assert!(code == Some(0) && told.contains("kept in plain partitions"), "{told}");
    let before = lines(&client, &[]).await;
    assert_eq!(text(&migrated(database.url(), "on").await).0, Some(2));
    let refused = migrate::migrate_to(&mut client, Timescale::On).await.unwrap_err();
    assert!(matches!(refused, MigrateError::Storage(StorageError::NotOffered { .. })), "{refused:?}");
    assert_eq!(lines(&client, &[]).await, before);
    assert_eq!(Storage::of(&client).await.unwrap(), Storage::Partitions);
    // A row in the tables is the nearer reason.
    let mut session = Session::new(database.url());
    Partitions::default()
        .ensure(&mut session, Partitioned::AverageWide, [clock::now()].into_iter())
        .await
        .unwrap();
    one_row(&client).await;
    let (code, told) = text(&migrated(database.url(), "on").await);
    assert!(code == Some(2) && told.contains("keeps its rows in plain partitions"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_centre_that_is_to_have_timescale_and_cannot_does_not_start() {
    let database = database().await;
    let client = database.client().await;
    if is_there(&client).await {
        println!("skipped: a_centre_that_is_to_have_timescale: this PostgreSQL server has TimescaleDB");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("central.toml");
    let text_of = |storage: &str| {
        format!(
            "schema = \"central/1\"\n[central]\n[database]\nurl = \"{}\"\ntimescale = \"{storage}\"\n[mqtt]\nurl = \"mqtt://127.0.0.1:1\"\n",
            database.url()
        )
    };
    std::fs::write(&file, text_of("on")).unwrap();
    let run = |command: &str| {
        let mut cems = tokio::process::Command::new(env!("CARGO_BIN_EXE_cems"));
        cems.args([command, "--config"]).arg(&file).kill_on_drop(true);
        async move { tokio::time::timeout(Duration::from_secs(30), cems.output()).await.unwrap().unwrap() }
    };
    for command in ["central", "migrate"] {
        let (code, told) = text(&run(command).await);
        assert!(code == Some(2) && told.contains("database.timescale is \"on\""), "{command}: {told}");
    }
    assert!(lines(&client, &[]).await.is_empty(), "nothing was made");
    std::fs::write(&file, text_of("perhaps")).unwrap();
    for command in ["central", "migrate"] {
        let (code, told) = text(&run(command).await);
        assert!(code == Some(2) && told.contains("database.timescale"), "{command}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_noted_of_the_storage_must_be_true() {
    let database = database().await;
    let mut client = database.client().await;
    migrate::migrate(&mut client).await.unwrap();
    client.batch_execute("UPDATE storage SET kind = 'hypertables'").await.unwrap();
    let (code, told) = text(&migrated(database.url(), "auto").await);
    assert!(code == Some(1) && told.contains("table storage says"), "{told}");
    client.batch_execute("DELETE FROM storage").await.unwrap();
    assert!(matches!(Storage::of(&client).await, Err(StorageError::Unclear { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_tables_become_hypertables_and_partitions_again_with_all_that_belongs_to_them() {
    let Some((database, mut client)) = with_timescale("empty_tables_become_hypertables").await else {
        return;
    };
    migrate::migrate(&mut client).await.unwrap();
    let mut session = Session::new(database.url());
    Partitions::default().ensure_ahead(&mut session, clock::now()).await.unwrap();
    let extras = "GRANT SELECT, INSERT ON scan TO pg_monitor WITH GRANT OPTION; GRANT SELECT (outlet_id) ON average_wide TO PUBLIC; \
        GRANT SELECT ON reading TO pg_monitor; CREATE VIEW mine WITH (security_barrier = true) AS \
        SELECT a.corrected FROM reading r JOIN average a USING (outlet), scan; \
        CREATE INDEX scan_mine ON scan (received_at); CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; \
        CREATE TRIGGER watched BEFORE UPDATE ON scan FOR EACH ROW EXECUTE FUNCTION f()";
    client.batch_execute(extras).await.unwrap();
    let before = same(&client).await;
    for (storage, told, kind) in [
        ("on", "hypertables of TimescaleDB", "r"),
        ("off", "plain partitions", "p"),
        ("auto", "hypertables", "r"),
    ] {
        let (code, said) = text(&migrated(database.url(), storage).await);
        assert!(code == Some(0) && said.contains(told), "{said}");
        let after = same(&client).await;
        assert!(before == after, "{storage}: {:#?}", difference(&before, &after));
        let kinds =
            "SELECT count(*) FROM pg_class WHERE relname IN ('scan', 'average_wide') AND relkind::text = $1";
        assert_eq!(client.query_one(kinds, &[&kind]).await.unwrap().get::<_, i64>(0), 2);
    }
    // What would be lost or broken without a word keeps the tables as they are; only `auto` does not mind.
    client.batch_execute("CREATE MATERIALIZED VIEW heavy AS SELECT count(*) FROM scan").await.unwrap();
    let before = lines(&client, &[]).await;
    let (code, said) = text(&migrated(database.url(), "off").await);
    assert!(code == Some(2) && said.contains("materialized view heavy"), "{said}");
    client.batch_execute("DROP MATERIALIZED VIEW heavy; CREATE POLICY mine ON average_wide").await.unwrap();
    let (code, said) = text(&migrated(database.url(), "off").await);
    assert!(code == Some(2) && said.contains("policy mine"), "{said}");
    client.batch_execute("DROP POLICY mine ON average_wide").await.unwrap();
    let mut after = lines(&client, &[]).await;
    after.extend(before.iter().filter(|line| line.contains("heavy")).cloned());
    assert!(before == after, "{:#?}", difference(&before, &after));
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_with_rows_stay_what_they_are() {
    for (made, other) in [("on", "off"), ("off", "on")] {
        let Some((database, client)) = with_timescale("tables_with_rows_stay_what_they_are").await else {
            return;
        };
        assert_eq!(text(&migrated(database.url(), made).await).0, Some(0));
        let mut session = Session::new(database.url());
        let now = clock::now();
        Partitions::default()
            .ensure(&mut session, Partitioned::AverageWide, [now].into_iter())
            .await
            .unwrap();
        one_row(&client).await;
        let before = lines(&client, &[]).await;
        let (code, told) = text(&migrated(database.url(), other).await);
        assert!(code == Some(2) && told.contains("a table with rows stays what it is"), "{told}");
        for still in [made, "auto"] {
            assert_eq!(text(&migrated(database.url(), still).await).0, Some(0));
        }
        assert_eq!(lines(&client, &[]).await, before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_tables_that_is_killed_is_whole_or_not_at_all() {
    let Some((whole, client)) = with_timescale("a_change_of_the_tables_that_is_killed").await else { return };
    let plain = database().await;
    for (database, storage) in [(&plain, "off"), (&whole, "off"), (&whole, "on")] {
        assert_eq!(text(&migrated(database.url(), storage).await).0, Some(0));
    }
    let (partitions, hypertables) = (lines(&plain.client().await, &[]).await, lines(&client, &[]).await);
    assert_ne!(partitions, hypertables);
    let mut random = fastrand::Rng::with_seed(28);
    let (mut undone, mut within) = (0, 0);
    for round in 0..10 {
        let database = database().await;
        let mut client = database.client().await;
        migrate::migrate(&mut client).await.unwrap();
        let mut child = migrator(database.url(), "on").spawn().unwrap();
        // The change begins with a lock, and takes some 300 ms from there.
        let held = "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = to_regclass('scan') AND mode = 'AccessExclusiveLock' AND granted)";
        while child.try_wait().unwrap().is_none()
            && !client.query_one(held, &[]).await.unwrap().get::<_, bool>(0)
        {}
        let _ended =
            tokio::time::timeout(Duration::from_millis(300).mul_f64(random.f64()), child.wait()).await;
        within += usize::from(client.query_one(held, &[]).await.unwrap().get::<_, bool>(0));
        if round % 2 == 0 {
            child.kill().await.unwrap();
        } else {
            let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() \
                AND application_name = 'cems migrate'";
            client.execute(sql, &[]).await.unwrap();
            child.wait().await.unwrap();
        }
        wait_until(LIMIT, "the end of its session", || async {
            let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'cems migrate'";
            let left: i64 = client.query_one(sql, &[]).await.unwrap().get(0);
            if left == 0 { Ok(()) } else { Err(left) }
        })
        .await;
        let found = lines(&client, &[]).await;
        undone += usize::from(found == partitions);
        assert!(found == partitions || found == hypertables, "{:#?}", difference(&found, &partitions));
        let (code, told) = text(&migrated(database.url(), "on").await);
        assert_eq!(code, Some(0), "{told}");
        assert_eq!(lines(&client, &[]).await, hypertables);
    }
    println!("{undone} of 10 were killed before their end, {within} with the tables locked");
    assert!(undone >= 3 && within >= 3, "only {undone} and {within} of 10");
}

/// Records of one hour, twelve a minute, of these minutes.
fn minutes(sender: &mut Sender, hour: Timestamp, minutes: std::ops::Range<i64>) -> Vec<Vec<u8>> {
    let seconds = (minutes.start * 60..minutes.end * 60).step_by(5);
    seconds.map(|second| sender.record(hour + SignedDuration::from_secs(second), &kiln(30.0, 10.0))).collect()
}

async fn send(sender: &mut Sender, first: u64, lines: &[Vec<u8>]) -> Vec<u64> {
    for (index, chunk) in lines.chunks(100).enumerate() {
        sender.publish("backfill", first + index as u64 * 100, chunk).await;
    }
    sender.receipted(first..first + lines.len() as u64).await
}

async fn compress_all(client: &Client) {
    let sql = "SELECT count(compress_chunk(c)) FROM unnest(ARRAY['scan', 'average_wide']) t, show_chunks(t::regclass) c";
    assert!(client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) >= 2);
    let sql = "SELECT count(*) FROM timescaledb_information.chunks WHERE NOT is_compressed";
    assert_eq!(client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0), 0);
}

async fn cems(arguments: &[&str]) -> (Option<i32>, String) {
    let output =
        tokio::process::Command::new(env!("CARGO_BIN_EXE_cems")).args(arguments).output().await.unwrap();
    text(&output)
}

#[tokio::test(flavor = "multi_thread")]
async fn late_records_into_compressed_chunks_are_stored_once_averaged_and_verified() {
    let Some((database, client)) = with_timescale("late_records_into_compressed_chunks").await else {
        return;
    };
    assert_eq!(text(&migrated(database.url(), "on").await).0, Some(0));
    if is_apache(&database.client().await).await {
        println!("skipped: late_records_into_compressed_chunks: the Apache edition has no compression");
        return;
    }
    let world =
        world_in(database, seeds::demonstration(), "[windows]\ndebounce_ms = 300\nsettle_ms = 300\n").await;
    wait_until(LIMIT, "the policies", || async {
        let storage = world.centre.reporting.readiness.parts().get("storage").map(|part| part.detail.clone());
        let arranged = storage.as_ref().is_some_and(|told| told.contains("compressed after 9 days"));
        if arranged { Ok(()) } else { Err(storage) }
    })
    .await;
    let hour = Timestamp::from_second((clock::now().as_second() / 3600 - 30 * 24) * 3600).unwrap();
    let hour_is = async |n_valid: i32| {
        wait_until(LIMIT, "the hour", || async {
            let sql = "SELECT n_valid, corrected FROM average WHERE channel = 'a21026' AND period = 'hour'";
            let row = client.query_opt(sql, &[]).await.unwrap();
            let found = row.map(|row| (row.get::<_, i32>(0), row.get::<_, Option<f64>>(1)));
            let due = world.count("SELECT count(*) FROM due WHERE due_at <= now() + interval '5 s'").await;
            if found == Some((n_valid, Some(30.0))) && due == 0 { Ok(()) } else { Err((found, due)) }
        })
        .await;
    };
    let mut sender = Sender::connect(world.broker.port()).await;
    let mut sent = minutes(&mut sender, hour, 0..25);
    sent.extend(minutes(&mut sender, hour, 35..60));
    assert_eq!(send(&mut sender, 0, &sent).await, [0; 0]);
    hour_is(50).await;
    compress_all(&client).await;

    // The same again, between and behind them new ones, and one that says something else of a stored tick.
    let known = sent.len() as u64;
    assert_eq!(send(&mut sender, 0, &sent).await, [0; 0]);
    let late = minutes(&mut sender, hour, 25..35);
    let conflict = sender.record(hour, &kiln(29.0, 10.0));
    let all: Vec<Vec<u8>> = late.into_iter().chain([conflict]).collect();
    assert_eq!(send(&mut sender, known, &all).await, [sender.seq - 1]);
    hour_is(60).await;
    assert_eq!(send(&mut sender, known, &all).await, [sender.seq - 1]);
    assert_eq!(world.count("SELECT count(*) FROM scan").await, 720);
    assert_eq!(world.count("SELECT count(*) FROM quarantine").await, 1);
    let partial = "SELECT count(*) FROM ONLY _timescaledb_catalog.chunk c WHERE status & 8 <> 0";
    println!("{} chunks hold late rows beside compressed ones", world.count(partial).await);

    compress_all(&client).await;
    assert_eq!(world.count("SELECT count(*) FROM scan").await, 720);
    let outlet =
        client.query_one("SELECT id FROM outlet WHERE code = 'demo-cement-kiln'", &[]).await.unwrap();
    let span = (outlet.get(0), hour, hour + SignedDuration::from_hours(1));
    let zone = TimeZone::get("Asia/Shanghai").unwrap();
    let done = recompute(world.database.url(), zone, span).await.unwrap();
    assert_eq!((done.minutes, done.revisions), (60, 0), "{done:?}");
    let url = world.database.url().to_owned();
    let (database, centre) = (world.database, world.centre);
    centre.stop().await;
    let (code, told) = cems(&["verify", "--gateway", "gw-demo", "--database", &url]).await;
    assert_eq!(code, Some(0), "{told}");
    let at = (hour + SignedDuration::from_mins(30)).to_string();
    let (code, told) =
        cems(&["explain", "--outlet", "demo-cement-kiln", "--at", &at, "--database", &url]).await;
    assert!(code == Some(0) && told.contains("a21026"), "{told}");
    // A superuser's hand in a compressed chunk is found.
    let edit = "UPDATE scan SET measured[1] = measured[1] + 1 WHERE measured_at = (SELECT min(measured_at) FROM scan)";
    assert_eq!(client.execute(edit, &[]).await.unwrap(), 1);
    assert_eq!(cems(&["verify", "--gateway", "gw-demo", "--database", &url]).await.0, Some(3));
    drop(database);
}

#[tokio::test(flavor = "multi_thread")]
async fn old_chunks_go_and_policies_follow_the_configuration() {
    let Some((database, client)) = with_timescale("old_chunks_go").await else { return };
    assert_eq!(text(&migrated(database.url(), "on").await).0, Some(0));
    let mut session = Session::new(database.url());
    let now: Timestamp = "2026-11-25T12:00:00Z".parse().unwrap();
    let mut partitions = Partitions::default();
    partitions.ensure_ahead(&mut session, now).await.unwrap();
    let chunks = "SELECT count(*) FROM timescaledb_information.chunks WHERE hypertable_name = $1";
    let count = async |table: &str| client.query_one(chunks, &[&table]).await.unwrap().get::<_, i64>(0);
    assert_eq!(count("scan").await, 0, "nothing is made ahead");
    let hash = "sha256('')";
    for days in [0, 399, 400, 401, 402, 500] {
        let at = now - SignedDuration::from_hours(24 * days);
        let sql = format!(
            "INSERT INTO scan VALUES (1, 1, 1, '{at}', '{at}', 1, 1, '', NULL, {hash}, {hash}, '{{}}', '{{}}')"
        );
        client.batch_execute(&sql).await.unwrap();
    }
    for days in [0, 1000, 1200] {
        let at = now - SignedDuration::from_hours(24 * days);
        let sql = format!(
            "INSERT INTO average_wide VALUES (1, 1, 0, 1, '{at}', '{at}', 1, '', '', '', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', \
             '{{}}', '{{}}', '{{}}')"
        );
        client.batch_execute(&sql).await.unwrap();
    }
    let dropped = drop_old(&mut session, Retention::default(), now).await.unwrap();
    assert_eq!(dropped[..2], ["scan_20250713", "scan_20251019"]);
    assert!(dropped.len() == 3 && dropped[2].starts_with("average_wide_2023"), "{dropped:?}");
    assert_eq!(drop_old(&mut session, Retention::default(), now).await.unwrap(), [""; 0]);
    assert_eq!((count("scan").await, count("average_wide").await), (4, 2));

    if is_apache(&client).await {
        let told = see_to(&mut session, 9).await.unwrap();
        assert!(told.contains("Apache edition (no compression)"), "said, and all the rest goes on: {told}");
        return;
    }
    let policies = async || {
        let sql = "SELECT config ->> 'compress_after' FROM timescaledb_information.jobs WHERE proc_name = 'policy_compression'";
        let rows = client.query(sql, &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect::<Vec<String>>()
    };
    for (days, expected, told) in [
        (9, vec!["9 days"; 2], "compressed after 9 days"),
        (9, vec!["9 days"; 2], "compressed after 9 days"),
        (30, vec!["30 days"; 2], "compressed after 30 days"),
        (0, vec![], "never compressed"),
        (12, vec!["12 days"; 2], "compressed after 12 days"),
    ] {
        assert!(see_to(&mut session, days).await.unwrap().contains(told));
        assert_eq!(policies().await, expected);
    }
    // And they do it, to what is old enough and nothing else.
    let jobs = "SELECT job_id FROM timescaledb_information.jobs WHERE proc_name = 'policy_compression'";
    for job in client.query(jobs, &[]).await.unwrap() {
        client.batch_execute(&format!("CALL run_job({})", job.get::<_, i32>(0))).await.unwrap();
    }
    let sql = "SELECT count(*) FILTER (WHERE is_compressed), bool_and(is_compressed = (range_end <= now() - interval '12 days')) \
        FROM timescaledb_information.chunks";
    let row = client.query_one(sql, &[]).await.unwrap();
    assert!(row.get::<_, i64>(0) >= 3 && row.get::<_, bool>(1), "{row:?}");
}
