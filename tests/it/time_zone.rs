//! The machine's time zone is nobody's business: hours and days begin where the jurisdiction says, whatever TZ the program runs under
//! and whatever zone the database is set to.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use cems::domain::limit::AveragingPeriod;
use cems::domain::window::Window;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tokio_postgres::Client;

use crate::support::centre::seed;
use crate::support::database::{TestDatabase, database};
use crate::support::servers::{Folder, Own, broker, folder, free_port};
use crate::support::wait::wait_until;
use crate::support::world::{LIMIT, Sender, kiln};

/// Behind, at, and ahead of UTC; one with summer time, one that skipped a whole day once.
const ZONES: [&str; 4] = ["UTC", "Asia/Shanghai", "America/New_York", "Pacific/Apia"];
const KILN: &str = "demo-cement-kiln";

fn cems(zone: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cems"));
    command.env("TZ", zone);
    command
}

/// Both forms of the rows, and the ledger.
fn replayed(case: &Path, zone: &str, folder: &Path) -> Vec<u8> {
    let expected: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(case.join("expected.json")).unwrap()).unwrap();
    let more = expected["arguments"].as_array().unwrap().iter().map(|argument| argument.as_str().unwrap());
    let ledger = folder.join("ledger.json");
    let mut all = Vec::new();
    for form in ["json", "csv"] {
        let output = cems(zone)
            .args([
                "replay",
                "--plant",
                "plant.toml",
                "--readings",
                "readings.csv",
                "--out",
                form,
                "--ledger",
            ])
            .arg(&ledger)
            .args(more.clone())
            .current_dir(case)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        all.extend(output.stdout);
        all.extend(fs::read(&ledger).unwrap());
    }
    all
}

#[test]
fn a_replay_is_the_same_to_the_last_byte_under_every_time_zone() {
    let folder = tempfile::tempdir().unwrap();
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut bytes = 0;
    for case in fs::read_dir(cases).unwrap() {
        let case = case.unwrap().path();
        let [first, others @ ..] = ZONES.map(|zone| replayed(&case, zone, folder.path()));
        bytes += first.len();
        for (zone, other) in ZONES[1..].iter().zip(others) {
            assert!(first == other, "{}: {zone} differs from {}", case.display(), ZONES[0]);
        }
    }
    assert!(bytes > 100_000, "{bytes}");
}

/// A centre as a process of its own under a time zone, with a database that is set to it too.
struct Centre {
    process: Child,
    http: u16,
    sender: Sender,
    client: Client,
    database: TestDatabase,
    _broker: Own<cems::embedded::Mosquitto>,
    _folder: Folder,
}

impl Centre {
    async fn start(zone: &str) -> Centre {
        let (database, broker, folder) = (database().await, broker().await, folder());
        let mut client = database.client().await;
        let name: String = client.query_one("SELECT current_database()::text", &[]).await.unwrap().get(0);
        client.batch_execute(&format!("ALTER DATABASE {name} SET timezone TO '{zone}'")).await.unwrap();
        seed(&mut client, &[]).await;
        let http = free_port();
        let config: PathBuf = folder.path().join("central.toml");
        let text = format!(
            "schema = \"central/1\"\n[central]\n[database]\nurl = \"{}\"\n[mqtt]\nurl = \"mqtt://127.0.0.1:{}\"\n\
             [http]\nlisten = \"127.0.0.1:{http}\"\n[windows]\ndebounce_ms = 200\nsettle_ms = 200\n",
            database.url(),
            broker.port()
        );
        fs::write(&config, text).unwrap();
        let process =
            cems(zone).args(["central", "--config"]).arg(&config).stderr(Stdio::null()).spawn().unwrap();
        let sender = Sender::connect(broker.port()).await;
        let centre = Centre { process, http, sender, client, database, _broker: broker, _folder: folder };
        wait_until(LIMIT, "the centre to be ready", || async {
            let text = centre.get("/readyz").await;
            if text.starts_with("{\"ready\":true") { Ok(()) } else { Err(text) }
        })
        .await;
        centre
    }

    async fn get(&self, path: &str) -> String {
        let http = cems::central::notify::webhook::client().unwrap();
        match http.get(format!("http://127.0.0.1:{}{path}", self.http)).send().await {
            Ok(answer) => answer.text().await.unwrap(),
            Err(error) => error.to_string(),
        }
    }

    /// Everything that follows from the scans, and what users are shown of it.
    async fn figures(&self, zone: &str, days: (Timestamp, Timestamp)) -> String {
        wait_until(LIMIT * 3, "every window that is over", || async {
            let sql = "SELECT count(*) FROM due WHERE due_at < now() + interval '1 minute'";
            let waiting: i64 = self.client.query_one(sql, &[]).await.unwrap().get(0);
            if waiting == 0 { Ok(()) } else { Err(waiting) }
        })
        .await;
        self.client.batch_execute("SET timezone TO 'UTC'").await.unwrap();
        let mut text = String::new();
        for (table, order) in [
            (
                "(SELECT outlet, channel, source, measured_at, measured, corrected, flag, device_flag FROM reading)",
                "measured_at, channel",
            ),
            // A revision more or less is a matter of which window was looked at first.
            (
                "(SELECT outlet, channel, period, start, origin, measured, standard, dry, corrected, min, max, n_valid, n_expected, status, flag, \
              valid, mass_kg FROM average)",
                "period, start, channel",
            ),
            ("verdict", "period, start, channel, rule"),
        ] {
            let sql = format!("SELECT to_jsonb(t)::text FROM {table} t ORDER BY {order}");
            for row in self.client.query(&sql, &[]).await.unwrap() {
                writeln!(text, "{}", row.get::<_, &str>(0)).unwrap();
            }
        }
        let (from, to) = days;
        for period in ["hour", "day", "month"] {
            let path = format!("/api/v1/outlets/{KILN}/averages?period={period}&from={from}&to={to}");
            let body = self.get(&path).await;
            assert!(body.contains("\"averages\":["), "{body}");
            text.push_str(&body.replace(&self.http.to_string(), "PORT"));
        }
        let at = (to - SignedDuration::from_hours(24) + SignedDuration::from_mins(20)).to_string();
        let output = cems(zone)
            .args(["explain", "--outlet", KILN, "--at", &at, "--database", self.database.url()])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("corrected"), "{output:?}");
        // When it came and what number it has is of this database.
        let own = ["received", "epoch", "hash", "prev", "provenance"];
        let explained = String::from_utf8(output.stdout).unwrap();
        for line in explained.lines().filter(|line| !own.iter().any(|word| line.contains(word))) {
            writeln!(text, "{line}").unwrap();
        }
        text
    }
}

impl Drop for Centre {
    fn drop(&mut self) {
        let _ended_already = self.process.kill();
        let _ended_already = self.process.wait();
    }
}

/// A scan every half a minute around a day's and a month's beginning in the jurisdiction.
fn scans(day: Timestamp, month: Timestamp) -> Vec<Timestamp> {
    let around = |moment: Timestamp| (-120..120).map(move |i| moment + SignedDuration::from_secs(30 * i));
    let mut all: Vec<Timestamp> = around(day).chain(around(month)).collect();
    all.sort_unstable();
    all.dedup();
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_centre_makes_the_same_windows_and_figures_under_every_time_zone() {
    let zone = TimeZone::get("Asia/Shanghai").unwrap();
    let today = Window::containing(AveragingPeriod::Day, cems::clock::now(), &zone).start;
    let day = Window::containing(AveragingPeriod::Day, today - SignedDuration::from_hours(30), &zone).start;
    let month = Window::containing(AveragingPeriod::Month, day - SignedDuration::from_hours(30), &zone).start;
    let ticks = scans(day, month);
    let mut all = Vec::new();
    for zone in ZONES {
        let mut centre = Centre::start(zone).await;
        let line = |sender: &mut Sender, (index, at): (usize, &Timestamp)| {
            sender.record(*at, &kiln(20.0 + (index * 37 % 101) as f64 / 3.0, 9.0 + (index % 13) as f64 / 7.0))
        };
        let lines: Vec<Vec<u8>> =
            ticks.iter().enumerate().map(|tick| line(&mut centre.sender, tick)).collect();
        for (index, chunk) in lines.chunks(100).enumerate() {
            centre.sender.publish("backfill", index as u64 * 100, chunk).await;
        }
        assert!(centre.sender.receipted(0..lines.len() as u64).await.is_empty());
        let from = day - SignedDuration::from_hours(24);
        all.push(centre.figures(zone, (from, day + SignedDuration::from_hours(24))).await);
    }
    let start = |of: Timestamp| format!("\"start\": \"{}", of.to_string().trim_end_matches('Z'));
    for boundary in [day, month] {
        let hours = |moment: Timestamp| {
            all[0].lines().any(|line| line.contains("\"hour\"") && line.contains(&start(moment)))
        };
        assert!(hours(boundary) && hours(boundary - SignedDuration::from_hours(1)), "{boundary}");
    }
    assert!(all[0].lines().any(|line| line.contains("\"period\": \"day\"") && line.contains(&start(day))));
    for (zone, other) in ZONES.iter().zip(&all).skip(1) {
        let differs = all[0].lines().zip(other.lines()).find(|(one, other)| one != other);
        assert!(all[0] == *other, "{zone} differs from {}: {differs:#?}", ZONES[0]);
    }
}
