//! HTTP and `cems explain` on a real database that was filled through the store.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use cems::config::central::Tokens;
use cems::domain::alert::{Alert, AlertKind};
use cems::domain::average::{StoredScan, Terms, average_scans, average_windows};
use cems::domain::correction::Unwatched;
use cems::domain::evaluation::evaluate;
use cems::domain::exceedance::{judge, rules_for};
use cems::domain::flag::Flag;
use cems::domain::limit::AveragingPeriod;
use cems::domain::plant::{Outlet, Plant};
use cems::domain::regime::HJ75_2017;
use cems::domain::scan::{Reading, Scan};
use cems::domain::window::Window;
use cems::mqtt::record::{Body, Epoch, Hash, Record};
use cems::shutdown::Shutdown;
use cems::store::average::Averages;
use cems::store::partition::{Partitioned, Partitions};
use cems::store::provenance::Provenances;
use cems::store::scan::{NewScan, Then};
use cems::store::session::Session;
use cems::store::verdict::{self, NewVerdict, VerdictKey};
use cems::store::{self, alert, average, delivery};
use cems::telemetry::Reporting;
use cems::web;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde_json::Value;
use tokio::sync::watch;

use crate::support::centre::seed;
use crate::support::database::{TestDatabase, database};
use crate::support::servers::own_postgres;
use crate::support::wait::wait_until;

const KILN: &str = "demo-cement-kiln";
/// 12:00 in Jiaozuo.
const HOUR: &str = "2026-01-10T04:00:00Z";
const LIMIT: Duration = Duration::from_secs(20);

/// A served database with the demonstration plant.
struct World {
    database: TestDatabase,
    plant: Arc<Plant>,
    address: SocketAddr,
    http: reqwest::Client,
    shutdown: Shutdown,
}

impl Drop for World {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl World {
    async fn new() -> World {
        let database = database().await;
        let mut client = database.client().await;
        seed(&mut client, &[]).await;
        let plant = Arc::new(store::plant::load(&client).await.unwrap());
        let shutdown = Shutdown::new();
        let address = serve(database.url(), &plant, &shutdown).await;
        // A second installation only says that there is one already.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        World { database, plant, address, http: reqwest::Client::new(), shutdown }
    }

    fn outlet(&self, code: &str) -> Arc<Outlet> {
        Arc::clone(self.plant.outlet(code).unwrap())
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let response = self.http.get(format!("http://{}{path}", self.address)).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// `cems explain` on this database: exit code, standard output, standard error.
    fn explain(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_cems"))
            .args(["explain", "--database", self.database.url()])
            .args(arguments)
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }
}

async fn serve(database: &str, plant: &Arc<Plant>, shutdown: &Shutdown) -> SocketAddr {
    let (_line, plant) = watch::channel(Arc::clone(plant));
    let zone = TimeZone::get("Asia/Shanghai").unwrap();
    let (_line, frames) = watch::channel(Arc::default());
    let (reporting, database, tokens) = (Reporting::default(), database.to_owned(), Tokens::Writes);
    let state = web::State { reporting, database, plant, frames, zone, tokens };
    web::start(SocketAddr::from(([127, 0, 0, 1], 0)), state, shutdown.clone()).await.unwrap()
}

/// One scan a second: SO2 60 at O2 13.5, the rest steady. The first 45 minutes of the hour only.
fn scans(outlet: &Outlet, start: Timestamp, seconds: i64) -> Vec<StoredScan> {
    let value = |code: &str| match code {
        "a21026" => 60.0,
        "a19001" => 13.5,
        "a21002" => 20.0,
        "a34013" => 2.0,
        "a01012" => 110.0,
        "a01013" => -0.4,
        "a01014" => 10.0,
        "a01011" => 12.0,
        other => panic!("{other}"),
    };
    let readings: Vec<Reading> = outlet
        .channels
        .iter()
        .map(|channel| Reading { value: Some(value(channel.code.as_str())), flag: Flag::Normal })
        .collect();
    (0..seconds)
        .map(|second| StoredScan { at: start + second.seconds(), readings: readings.clone() })
        .collect()
}

/// Stores scans as a gateway's records would arrive.
async fn store_scans(world: &World, outlet: &Outlet, scans: &[StoredScan]) {
    let mut session = Session::new(world.database.url());
    let (epoch, cfg) = (Epoch::new(), Hash::of(b"test"));
    let gateway = world.plant.gateway("gw-demo").unwrap().id;
    let number = Provenances::default().number(&mut session, &(gateway, epoch.0, cfg.0)).await.unwrap();
    let times = scans.iter().map(|scan| scan.at);
    Partitions::default().ensure(&mut session, Partitioned::Scan, times).await.unwrap();
    let mut prev = Hash::ZERO;
    let mut rows = Vec::new();
    for (seq, scan) in (0_u64..).zip(scans) {
        let mut readings: Vec<_> = outlet
            .channels
            .iter()
            .zip(&scan.readings)
            .map(|(channel, reading)| (channel.code, *reading))
            .collect();
        readings.sort_by_key(|(code, _)| *code);
        let body = Body::Scan(Scan { outlet: outlet.code.to_string(), at: scan.at, readings });
        let record = Record { gateway: "gw-demo".to_owned(), epoch, seq, prev, cfg, body };
        let hash = Hash::of(&record.encode());
        let evaluated = evaluate(outlet, scan.at, &scan.readings, &HJ75_2017, &mut Unwatched);
        rows.push(NewScan {
            outlet_id: outlet.id,
            source_id: 1,
            method: 1,
            measured_at: scan.at,
            received_at: scan.at + 300.milliseconds(),
            provenance_id: number,
            seq: seq as i64,
            hash: hash.0,
            prev: prev.0,
            flag: scan.readings.iter().map(|reading| reading.flag.letter()).collect(),
            checked: None,
            measured: scan.readings.iter().map(|reading| reading.value.unwrap_or(f64::NAN)).collect(),
            corrected: evaluated.channels.iter().map(|value| value.corrected.unwrap_or(f64::NAN)).collect(),
        });
        prev = hash;
    }
    assert_eq!(
        store::scan::store(&mut session, &rows.iter().collect::<Vec<_>>(), &[], Then::Commit).await.unwrap(),
        None,
        "all are new"
    );
}

/// Stores the minutes and the hour of these scans with the hour's verdicts, as the centre does.
async fn store_averages(world: &World, outlet: &Outlet, scans: &[StoredScan]) {
    let zone = TimeZone::get("Asia/Shanghai").unwrap();
    let hour = Window::containing(AveragingPeriod::Hour, scans[0].at, &zone);
    let mut session = Session::new(world.database.url());
    Partitions::default()
        .ensure(&mut session, Partitioned::AverageWide, [hour.start].into_iter())
        .await
        .unwrap();
    let client = session.client().await.unwrap();
    let mut minutes = BTreeMap::new();
    let mut rows = Vec::new();
    let row = |window, channels| Averages { of: (outlet.id, 1), window, revision: 1, channels };
    for part in hour.parts(&zone).into_iter().filter(|part| scans.iter().any(|scan| part.contains(scan.at))) {
        let channels = average_scans(part, outlet, scans, &HJ75_2017);
        minutes.insert(part.start, channels.clone());
        rows.push(row(part, channels));
    }
    let channels = average_windows(hour, outlet, &minutes, Terms::plain(&HJ75_2017, 60));
    let mut verdicts = Vec::new();
    for position in 0..outlet.channels.len() {
        for rule in rules_for(outlet, position, hour) {
            let verdict = judge(rule, outlet, (hour, position), &channels, &mut Unwatched);
            let number = VerdictKey::position_of(Some(position));
            let key = VerdictKey { of: (outlet.id, 1), position: number, window: hour, rule_id: rule.id };
            verdicts.push(NewVerdict { key, revision: 1, verdict, remark: None });
        }
    }
    average::store(client, &rows, hour.end).await.unwrap();
    average::store(client, &[row(hour, channels)], hour.end).await.unwrap();
    verdict::store(client, &verdicts).await.unwrap();
}

/// The hour of the worked example, stored.
async fn worked_example() -> (World, Arc<Outlet>) {
    let world = World::new().await;
    let kiln = world.outlet(KILN);
    let scans = scans(&kiln, HOUR.parse().unwrap(), 45 * 60);
    store_scans(&world, &kiln, &scans).await;
    store_averages(&world, &kiln, &scans).await;
    (world, kiln)
}

fn of_channel<'v>(list: &'v Value, channel: &str) -> &'v Value {
    list.as_array().unwrap().iter().find(|one| one["channel"] == channel).unwrap()
}

/// Rounded for comparison with numbers worked out by hand.
fn decimals(value: &Value, places: usize) -> String {
    format!("{:.places$}", value.as_f64().unwrap_or_else(|| panic!("no number: {value}")))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hour_is_answered_with_the_verdict_of_each_rule() {
    let (world, _kiln) = worked_example().await;
    let path = format!(
        "/api/v1/outlets/{KILN}/averages?period=hour&from=2026-01-10T12:00:00%2B08:00&to=2026-01-10T05:00:00Z"
    );
    let (status, body) = world.get(&path).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!((&body["from"], &body["period"]), (&HOUR.into(), &"hour".into()));
    assert_eq!(body["averages"].as_array().unwrap().len(), 8, "one a channel");
    let so2 = of_channel(&body["averages"], "a21026");
    assert_eq!((&so2["start"], &so2["end"]), (&HOUR.into(), &"2026-01-10T05:00:00Z".into()));
    assert_eq!(
        (&so2["measured"], &so2["dry"], &so2["corrected"]),
        (&60.0.into(), &60.0.into(), &88.0.into())
    );
    assert_eq!((&so2["n_valid"], &so2["n_expected"], &so2["valid"]), (&45.into(), &60.into(), &true.into()));
    assert_eq!(
        (&so2["flag"], &so2["status"], &so2["origin"]),
        (&"N".into(), &"N".into(), &"computed".into())
    );
    assert_eq!((&so2["method"], &so2["revision"]), (&"HJ75-2017/1".into(), &1.into()));
    // 3600 x 12.6 m2 x 12 m/s = 544320 m3/h; x 273/383 x (100500 - 400)/101325 x 0.9 = 344972.2; x 60 mg/m3 = 20.698 kg.
    assert_eq!(decimals(&so2["mass_kg"], 2), "20.70");
    let verdicts: Vec<(&str, &str, String)> = so2["verdicts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (one["rule"].as_str().unwrap(), one["verdict"].as_str().unwrap(), decimals(&one["corrected"], 1))
        })
        .collect();
    let expected = [
        ("gb4915-2013-kiln-so2", "met"),
        ("gb4915-2013-kiln-special-so2", "met"),
        ("hdq-2024-5-cement-kiln-so2", "exceeded"),
        ("jiaozuo-2019-cement-kiln-so2", "exceeded"),
    ];
    assert_eq!(verdicts, expected.map(|(rule, verdict)| (rule, verdict, "88.0".to_owned())));
    let jiaozuo = &so2["verdicts"][3];
    assert_eq!((&jiaozuo["limit"], &jiaozuo["reference_oxygen"]), (&35.0.into(), &10.0.into()));
    assert_eq!((&jiaozuo["comparison"], &jiaozuo["kind"]), (&"full-value".into(), &"assessment".into()));
    assert_eq!(decimals(&jiaozuo["ratio_over"], 2), "1.51");
    assert_eq!(so2["verdicts"][0]["ratio_over"], Value::Null);
    // Wide rows: minutes.
    let path = format!("/api/v1/outlets/{KILN}/averages?period=minute&from={HOUR}&to=2026-01-10T04:02:00Z");
    let (_, body) = world.get(&path).await;
    assert_eq!(body["averages"].as_array().unwrap().len(), 16);
    assert_eq!(of_channel(&body["averages"], "a21026")["n_expected"], 60);
    assert_eq!(of_channel(&body["averages"], "a19001")["verdicts"], Value::Array(Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn scans_come_in_pages_without_gap_or_repetition() {
    let (world, _kiln) = worked_example().await;
    let mut path = format!("/api/v1/outlets/{KILN}/scans?from={HOUR}&to=2026-01-10T04:00:25Z&limit=10");
    let mut times = Vec::new();
    let mut pages = 0;
    loop {
        let (status, body) = world.get(&path).await;
        assert_eq!(status, 200, "{body}");
        pages += 1;
        let scans = body["scans"].as_array().unwrap();
        times.extend(scans.iter().map(|scan| scan["at"].as_str().unwrap().to_owned()));
        let so2 = &scans[0]["readings"]["a21026"];
        assert_eq!(
            (&so2["measured"], &so2["corrected"], &so2["flag"]),
            (&60.0.into(), &88.0.into(), &"N".into())
        );
        assert_eq!(scans[0]["readings"]["a19001"]["corrected"], Value::Null);
        match body["next"].as_str() {
            Some(next) => next.clone_into(&mut path),
            None => break,
        }
    }
    let start: Timestamp = HOUR.parse().unwrap();
    let expected: Vec<String> = (0..25_i64).map(|second| (start + second.seconds()).to_string()).collect();
    assert_eq!((times, pages), (expected, 3));
    let (status, body) =
        world.get(&format!("/api/v1/outlets/{KILN}/scans?from={HOUR}&to=2026-01-12T04:00:00Z")).await;
    assert_eq!((status, &body["field"]), (400, &"to".into()), "a day at most");
    let (status, body) = world.get(&format!("/api/v1/outlets/{KILN}/scans")).await;
    assert_eq!((status, &body["scans"]), (200, &Value::Array(Vec::new())), "the last five minutes");
}

#[tokio::test(flavor = "multi_thread")]
async fn outlets_show_live_values_rules_and_state() {
    let world = World::new().await;
    let kiln = world.outlet(KILN);
    let now = Timestamp::from_second(cems::clock::now().as_second() - 2).unwrap();
    store_scans(&world, &kiln, &scans(&kiln, now, 1)).await;
    let (status, body) = world.get("/api/v1/outlets").await;
    assert_eq!(status, 200, "{body}");
    let codes: Vec<&str> =
        body["outlets"].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["demo-carbon-roasting", KILN, "demo-glass-furnace"]);
    let shown = &body["outlets"][1];
    assert_eq!((&shown["state"], &shown["live_at"]), (&"reporting".into(), &now.to_string().into()));
    assert_eq!(body["outlets"][0]["state"], "no-data");
    let so2 = shown["channels"].as_array().unwrap().iter().find(|one| one["code"] == "a21026").unwrap();
    assert_eq!((&so2["unit"], &so2["analyser"]), (&"mg/m3".into(), &"gas".into()));
    assert_eq!((&so2["range"], &so2["live"]["corrected"]), (&serde_json::json!([0.0, 300.0]), &88.0.into()));
    let rules = shown["rules"].as_array().unwrap();
    let jiaozuo = rules.iter().find(|rule| rule["code"] == "jiaozuo-2019-cement-kiln-so2").unwrap();
    assert_eq!((&jiaozuo["limit"], &jiaozuo["period"]), (&35.0.into(), &"hour".into()));
    assert!(rules.iter().all(|rule| !rule["code"].as_str().unwrap().contains("carbon")), "{rules:?}");
    let (_, first) = world.get("/api/v1/outlets?limit=2").await;
    let (_, second) = world.get(first["next"].as_str().unwrap()).await;
    assert_eq!(
        (&second["outlets"][0]["code"], &second["next"]),
        (&"demo-glass-furnace".into(), &Value::Null)
    );
    let page =
        world.http.get(format!("http://{}/", world.address)).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("88.0") && page.contains("reporting") && page.contains("35 at 10 % O2"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_are_shown_as_delivered_with_every_attempt() {
    let world = World::new().await;
    let mut session = Session::new(world.database.url());
    let client = session.client().await.unwrap();
    let start: Timestamp = HOUR.parse().unwrap();
    for minute in 0..5_i64 {
        let at = start + minute.minutes();
        let kind = if minute == 3 { AlertKind::SilentOutlet } else { AlertKind::EarlyWarning };
        let mut told = Alert::new(kind, at, at);
        told.corrected = Some(88.0);
        // Two at the same time: pages must not lose one.
        alert::put(client, &told, (1, minute), start + (minute / 2).minutes()).await.unwrap();
    }
    let channel = delivery::channels(client).await.unwrap()[0].id;
    let due = delivery::claim(client, &[(channel, 1)], (start, start + 1.hour())).await.unwrap();
    let outcome = delivery::Outcome::Again(start + 2.hours(), "503 from the receiver".to_owned());
    let (at, status) = (start, Some(503));
    let attempt = delivery::Attempt { of: &[&due[0]], at, took_ms: 12, status, outcome, note: None };
    delivery::attempted(client, &[attempt]).await.unwrap();
    let span = format!("from={HOUR}&to=2026-01-10T05:00:00Z");
    let mut path = format!("/api/v1/alerts?{span}&limit=2");
    let mut found = Vec::new();
    loop {
        let (status, body) = world.get(&path).await;
        assert_eq!(status, 200, "{body}");
        found.extend(body["alerts"].as_array().unwrap().clone());
        match body["next"].as_str() {
            Some(next) => next.clone_into(&mut path),
            None => break,
        }
    }
    let mut ids: Vec<&str> = found.iter().map(|one| one["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((found.len(), ids.len()), (5, 5));
    assert!(found.iter().all(|one| one["body"]["corrected"] == 88.0 && one["body"]["id"] == one["id"]));
    let tried = found.iter().find(|one| one["id"] == due[0].alert_id.as_str()).unwrap();
    let delivery = &tried["deliveries"][0];
    assert_eq!((&delivery["state"], &delivery["attempts"]), (&"waiting".into(), &1.into()));
    assert_eq!(delivery["tried"][0]["outcome"], "503 from the receiver");
    assert_eq!(delivery["next_at"], "2026-01-10T06:00:00Z");
    let (_, body) = world.get(&format!("/api/v1/alerts?{span}&kind=silent-outlet")).await;
    assert_eq!(body["alerts"].as_array().unwrap().len(), 1);
    let (status, _) = world.get(&format!("/api/v1/episodes?{span}&state=open")).await;
    assert_eq!(status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_shows_the_way_from_reading_to_verdict() {
    let (world, _kiln) = worked_example().await;
    let arguments = ["--outlet", KILN, "--at", "2026-01-10T12:00:06.5+08:00", "--channel", "a21026"];
    let (code, text, errors) = world.explain(&[&arguments[..], &["--json"]].concat());
    assert_eq!((code, errors.as_str()), (0, ""), "{text}");
    let told: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(told["differences"], Value::Array(Vec::new()));
    assert_eq!(
        (&told["scan"]["at"], &told["scan"]["exact"]),
        (&"2026-01-10T04:00:06Z".into(), &false.into())
    );
    let record = &told["scan"]["record"];
    assert_eq!((&record["gateway"], &record["seq"]), (&"gw-demo".into(), &6.into()));
    assert_eq!(record["hash_agrees"], true);
    let so2 = &told["channels"][0];
    assert_eq!((&so2["channel"], &so2["reading"]["measured"]), (&"a21026".into(), &60.0.into()));
    // 60 x (21 - 10)/(21 - 13.5) = 88
    let step = so2["reading"]["steps"].as_array().unwrap().last().unwrap();
    assert_eq!((&step["name"], &step["result"]), (&"corrected".into(), &88.0.into()));
    assert_eq!(step["clause"], "HJ 212-2017 App. D eq. (28)");
    assert_eq!(step["inputs"][1], serde_json::json!({"name": "O2", "value": 13.5, "unit": "%"}));
    let minute = &so2["minute"]["figures"];
    assert_eq!(
        (&minute["n_valid"], &minute["n_expected"], &minute["n_needed"]),
        (&60.into(), &60.into(), &12.into())
    );
    let hour = &so2["hour"]["figures"];
    assert_eq!(
        (&hour["n_valid"], &hour["n_needed"], &hour["corrected"]),
        (&45.into(), &45.into(), &88.0.into())
    );
    let verdicts = so2["verdicts"].as_array().unwrap();
    assert_eq!(verdicts.len(), 4);
    let jiaozuo = verdicts.iter().find(|one| one["rule"] == "jiaozuo-2019-cement-kiln-so2").unwrap();
    assert_eq!((&jiaozuo["limit"], &jiaozuo["verdict"]), (&35.0.into(), &"exceeded".into()));
    // 88/35 - 1
    assert_eq!((decimals(&jiaozuo["ratio_over"], 2).as_str(), &jiaozuo["mark"]), ("1.51", &"V".into()));
    assert!(jiaozuo["document"].as_str().unwrap().contains("Jiaozuo"));
    let (code, text, _) = world.explain(&arguments);
    assert_eq!(code, 0);
    assert!(text.contains("stored figures agree") && text.contains("EXCEEDED"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_tells_of_a_changed_row_and_of_wrong_arguments() {
    let (world, kiln) = worked_example().await;
    let at = ["--outlet", KILN, "--at", HOUR];
    // Somebody with the password of the database makes the hour look better. The store has no function for that.
    let client = world.database.client().await;
    let position = kiln.channels.iter().position(|channel| channel.code.as_str() == "a21026").unwrap();
    let change = "UPDATE average_long SET measured = 20, dry = 20, corrected = 29 WHERE position = $1";
    assert_eq!(client.execute(change, &[&(position as i16)]).await.unwrap(), 1);
    let change = "UPDATE scan SET measured[$1] = 20 WHERE measured_at = $2";
    let start: Timestamp = HOUR.parse().unwrap();
    assert_eq!(client.execute(change, &[&(position as i32 + 1), &start]).await.unwrap(), 1);
    let (code, text, _) = world.explain(&at);
    assert_eq!(code, 0);
    assert!(text.contains("STORED FIGURES DIFFER"), "{text}");
    assert!(text.contains("hour 2026-01-10T04:00:00Z a21026 corrected: stored 29, recomputed"), "{text}");
    assert!(text.contains("IT IS NOT WHAT THE GATEWAY RECORDED"), "{text}");
    let (code, _, errors) = world.explain(&["--outlet", "kiln", "--at", HOUR]);
    assert!(code == 2 && errors.contains(KILN), "{errors}");
    let (code, _, errors) = world.explain(&[&at[..], &["--channel", "a99999"]].concat());
    assert!(code == 2 && errors.contains("a21026"), "{errors}");
    let (code, _, errors) = world.explain(&["--outlet", KILN, "--at", "noon"]);
    assert!(code == 2 && errors.contains("RFC 3339"), "{errors}");
    let (code, text, _) = world.explain(&["--outlet", KILN, "--at", "2026-01-01T00:00:00Z"]);
    assert!(code == 0 && text.contains("no scan at 2026-01-01T00:00:00Z"), "{text}");
    let nowhere = Command::new(env!("CARGO_BIN_EXE_cems"))
        .args(["explain", "--database", "postgres://cems@127.0.0.1:1/cems"])
        .args(at)
        .output()
        .unwrap();
    assert_eq!(nowhere.status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_hangs_is_a_503_and_its_return_is_seen() {
    let postgres = own_postgres().await;
    let url = postgres.create_database("cems").await.unwrap();
    let mut client = crate::support::database::connect(&url).await;
    seed(&mut client, &[]).await;
    let plant = Arc::new(store::plant::load(&client).await.unwrap());
    let shutdown = Shutdown::new();
    let address = serve(&url, &plant, &shutdown).await;
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::new();
    let status = || async {
        let asked = http.get(format!("http://{address}/api/v1/outlets")).send();
        tokio::time::timeout(LIMIT, asked).await.expect("the API hangs").unwrap().status().as_u16()
    };
    assert_eq!(status().await, 200);
    postgres.pause();
    assert_eq!(status().await, 503);
    let alive = http.get(format!("http://{address}/healthz")).send().await.unwrap();
    assert_eq!(alive.status(), 200);
    postgres.resume();
    wait_until(LIMIT, "the API to answer again", || async {
        let status = status().await;
        if status == 200 { Ok(()) } else { Err(status) }
    })
    .await;
    shutdown.cancel();
}
