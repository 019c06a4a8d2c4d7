//! Four hundred gateways drop off for three hours and come back all at once with what they kept. Time is compressed: they are silent for
//! a few seconds, and what they bring is of three hours of the past, a scan in five minutes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use cems::clock;
use cems::config::kind::Source;
use cems::domain::plant::ChannelCode;
use cems::domain::scan::Scan;
use cems::mqtt::connection::{Acknowledge, Delivery, Notice, Outbox, Settings, connect};
use cems::mqtt::record::{Body, Epoch, Hash, Record};
use cems::shutdown::Shutdown;
use jiff::{SignedDuration, Timestamp};

use crate::support::wait::wait_until;
use crate::support::world::{World, normal, world_of};

const GATEWAYS: usize = 400;
/// Of them, the first so many exceeded a limit for an hour.
const EXCEEDED: usize = 37;
const SCANS: i64 = 36;
const LIMIT: Duration = Duration::from_secs(90);

fn gateway(number: usize) -> String {
    format!("gw-{number:03}")
}

fn outlet(number: usize) -> String {
    format!("kiln-{number:03}")
}

/// So many kilns with a gateway each, and one more; sulphur dioxide and oxygen.
fn plant() -> Source {
    let from = "from = \"2020-01-01T00:00:00+08:00\"";
    let mut text = "schema = \"plant/1\"\n[[enterprise]]\ncode = \"91410811DEM000001F\"\nname = \"Demo\"\nindustry = \"C3011\"\n\
                    division = \"410811\"\ncontact = \"Nobody\"\n"
        .to_owned();
    for number in 0..=GATEWAYS {
        write!(
            text,
            "[[outlet]]\ncode = \"{code}\"\nname = \"Kiln\"\nenterprise = \"91410811DEM000001F\"\nlongitude = 113.2\n\
             latitude = 35.2\nstack_height_m = 90\n[[outlet.setting]]\n{from}\nprocess = \"cement-kiln\"\n\
             reference_oxygen_percent = 10\n[[outlet.analyser]]\nname = \"gas\"\n{from}\nmaker = \"D\"\nmodel = \"D\"\n\
             serial_number = \"1\"\nprinciple = \"D\"\n[[outlet.channel]]\ncode = \"a21026\"\n{from}\nanalyser = \"gas\"\n\
             unit = \"mg/m3\"\nrange = [0, 3000]\nmoisture_basis = \"dry\"\nstate_basis = \"standard\"\nperiod_ms = 300000\n\
             [[outlet.channel]]\ncode = \"a19001\"\n{from}\nanalyser = \"gas\"\nunit = \"%\"\nrange = [0, 25]\n\
             moisture_basis = \"dry\"\nperiod_ms = 300000\n[[gateway]]\nname = \"{gateway}\"\n[[gateway.serves]]\n\
             outlet = \"{code}\"\n{from}\n",
            code = outlet(number),
            gateway = gateway(number)
        )
        .unwrap();
    }
    Source { file: "storm.toml".to_owned(), text }
}

/// All gateways, by one connection.
struct Herd {
    outbox: Outbox,
    _notices: tokio::sync::mpsc::Receiver<Notice>,
    chains: Vec<(Epoch, u64, Hash)>,
    shutdown: Shutdown,
}

impl Herd {
    async fn connect(port: u16) -> Herd {
        let settings = Settings {
            host: "127.0.0.1".to_owned(),
            port,
            tls: None,
            client_id: "herd".to_owned(),
            credentials: None,
            inflight: 2000,
            will: None,
            subscriptions: Vec::new(),
            acknowledge: Acknowledge::OnArrival,
            keep_alive: Duration::from_secs(5),
        };
        let shutdown = Shutdown::new();
        let mut notices = connect(settings, shutdown.clone());
        loop {
            if let Notice::Connected(outbox) = notices.recv().await.unwrap() {
                let chains = (0..=GATEWAYS).map(|_| (Epoch::new(), 0, Hash::ZERO)).collect();
                return Herd { outbox, _notices: notices, chains, shutdown };
            }
        }
    }

    /// One message of a gateway with these scans: time and sulphur dioxide at 10 % oxygen.
    async fn send(&mut self, number: usize, lane: &str, scans: &[(Timestamp, f64)]) {
        let (epoch, seq, prev) = &mut self.chains[number];
        let first = *seq;
        let mut lines = Vec::new();
        for (at, so2) in scans {
            let readings: BTreeMap<ChannelCode, _> = [("a21026", *so2), ("a19001", 10.0)]
                .map(|(code, value)| (ChannelCode::new(code).unwrap(), normal(value)))
                .into();
            let scan = Scan { outlet: outlet(number), at: *at, readings: readings.into_iter().collect() };
            let record = Record {
                gateway: gateway(number),
                epoch: *epoch,
                seq: *seq,
                prev: *prev,
                cfg: Hash::of(b"test"),
                body: Body::Scan(scan),
            };
            let bytes = record.encode();
            (*seq, *prev) = (*seq + 1, Hash::of(&bytes));
            lines.push(bytes);
        }
        let properties =
            [("epoch", epoch.to_string()), ("first", first.to_string()), ("last", (*seq - 1).to_string())]
                .map(|(name, value)| (name.to_owned(), value));
        let topic = format!("cems/v1/{}/{lane}", gateway(number));
        let sent = self.outbox.publish(&topic, Delivery::AtLeastOnce, lines.join(&b'\n'), properties.into());
        sent.await.unwrap();
    }

    /// A sign of life of every gateway from `first` on.
    async fn all_speak(&mut self, from: usize) {
        let at = this_moment();
        for number in from..=GATEWAYS {
            self.send(number, "live", &[(at, 10.0)]).await;
        }
    }
}

impl Drop for Herd {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// The gateways from `first` on give a sign of life every second until a query gives this number.
async fn until(world: &World, herd: &mut Herd, first: usize, (sql, wanted): (&str, i64)) {
    let started = clock::monotonic();
    loop {
        herd.all_speak(first).await;
        let found = world.count(sql).await;
        if found == wanted {
            return;
        }
        assert!(started.elapsed() < LIMIT, "{found} instead of {wanted}: {sql}");
        let second = clock::now().as_second();
        wait_until(LIMIT, "the next second", || async {
            if clock::now().as_second() > second { Ok(()) } else { Err(second) }
        })
        .await;
    }
}

/// In whole milliseconds, as records have it; no two scans of an outlet are of the same one.
fn this_moment() -> Timestamp {
    Timestamp::from_millisecond(clock::now().as_millisecond()).unwrap()
}

async fn heard(world: &World) -> i64 {
    world.count("SELECT count(*) FROM gateway_heard").await
}

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_gateways_away_for_hours_are_one_alert_and_their_past_pages_nobody() {
    let world = world_of(plant(), "[silence]\nafter_s = 6\ncheck_ms = 200\n").await;
    let mut herd = Herd::connect(world.broker.port()).await;
    herd.all_speak(0).await;
    wait_until(LIMIT, "signs of life of all", || async {
        let found = heard(&world).await;
        if found == GATEWAYS as i64 + 1 { Ok(()) } else { Err(found) }
    })
    .await;

    // All but the last fall silent.
    let open = "SELECT count(*) FROM episode WHERE kind = 'silent-gateways' AND state = 'open'";
    until(&world, &mut herd, GATEWAYS, (open, 1)).await;
    wait_until(LIMIT, "the alert", || async {
        let told = world.webhook.of_kind("silent-gateways").len();
        if told == 1 { Ok(()) } else { Err(told) }
    })
    .await;
    let outage = &world.webhook.of_kind("silent-gateways")[0];
    let summary = outage["summary"].as_str().unwrap();
    assert!(summary.starts_with("400 gateways with 400 outlets fell silent together"), "{summary}");

    // They come back with three hours of the past, ended an hour and more ago; the first 37 exceeded the limit in its first hour.
    let hour = clock::now().as_second() / 3600 * 3600 - 5 * 3600;
    let hour = Timestamp::from_second(hour).unwrap();
    let scans = |number: usize| -> Vec<(Timestamp, f64)> {
        let at = |index: i64| hour + SignedDuration::from_secs(index * 300);
        let value = |index: i64| if number < EXCEEDED && index < 12 { 500.0 } else { 10.0 };
        (0..SCANS).map(|index| (at(index), value(index))).collect()
    };
    let before = world.webhook.alerts().len();
    for number in 0..GATEWAYS {
        // Newest first, as gateways do.
        for part in scans(number).chunks(12).rev() {
            herd.send(number, "backfill", part).await;
        }
        if number == GATEWAYS / 2 {
            // In the middle of it, somebody is above a limit just now.
            let at = this_moment();
            herd.send(GATEWAYS, "live", &[(at, 500.0)]).await;
        }
    }
    let sent = clock::now();
    let (told_at, _) = wait_until(LIMIT, "the early warning", || async {
        let alerts = world.webhook.alerts();
        let warned = alerts.iter().find(|(_, body)| body["kind"] == "early-warning").cloned();
        warned.ok_or(alerts.len())
    })
    .await;
    let took = told_at.duration_since(sent).as_secs_f64();
    println!(
        "the early warning came {took:.3} s after the last message of the storm was handed to the broker"
    );
    assert!(took < 2.0, "{took} s");
    let hours = "SELECT count(*) FROM average WHERE period = 'hour' AND channel = 'a21026' AND n_valid = 12";
    until(&world, &mut herd, 0, (hours, 3 * GATEWAYS as i64)).await;
    let historical =
        "SELECT count(DISTINCT outlet) FROM episode WHERE kind = 'exceedance' AND state = 'historical'";
    until(&world, &mut herd, 0, (historical, EXCEEDED as i64)).await;
    let other = "SELECT count(*) FROM episode WHERE kind = 'exceedance' AND state <> 'historical'";
    assert_eq!(world.count(other).await, 0);
    until(&world, &mut herd, 0, (open, 0)).await;
    let kinds: Vec<String> = world.webhook.alerts()[before..]
        .iter()
        .map(|(_, body)| body["kind"].as_str().unwrap().to_owned())
        .collect();
    assert!(kinds.iter().all(|kind| kind == "early-warning"), "nobody is paged for history: {kinds:?}");
    let of_the_live_one =
        |(_, body): &(Timestamp, serde_json::Value)| body["outlet"]["code"] == outlet(GATEWAYS);
    assert!(world.webhook.alerts()[before..].iter().all(of_the_live_one));
    assert_eq!(world.webhook.of_kind("silent-gateways").len(), 1, "one alert for all");
    assert_eq!(world.webhook.of_kind("silent-gateway").len(), 0, "and none for each");
    world.centre.stop().await;
}
