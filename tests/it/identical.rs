//! One set of scans, four ways: live pipeline over two centres (shuffled and late), recomputation, and offline replay give
//! the same figures to the last bit.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use cems::central::recompute::recompute;
use cems::clock;
use cems::domain::average::{ChannelAverage, StoredScan};
use cems::domain::flag::{Flag, Status};
use cems::domain::judgement::Ground;
use cems::domain::law::OutletLaw;
use cems::domain::limit::AveragingPeriod;
use cems::domain::plant::{ChannelCode, Outlet};
use cems::domain::regime::HJ75_2017;
use cems::domain::replay::Replay;
use cems::domain::scan::Reading;
use cems::domain::window::Window;
use cems::store::average::latest;
use cems::store::frame;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::support::centre::Webhook;
use crate::support::centre::{Centre, notify, seed};
use crate::support::database::database;
use crate::support::servers::broker;
use crate::support::wait::wait_until;
use crate::support::world::{LIMIT, Sender, kiln};

const QUICK: &str = "[windows]\ndebounce_ms = 300\nsettle_ms = 300\n";
const PERIODS: [AveragingPeriod; 6] = [
    AveragingPeriod::Minute,
    AveragingPeriod::FiveMinutes,
    AveragingPeriod::TenMinutes,
    AveragingPeriod::HalfHour,
    AveragingPeriod::Hour,
    AveragingPeriod::Day,
];

type Figures = BTreeMap<(AveragingPeriod, Timestamp), Vec<ChannelAverage>>;

/// Numbers that look like measurements and have all their digits; the same at every run.
struct Dice(u64);

impl Dice {
    fn throw(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Two hours and a half of the kiln, a scan every two seconds with gaps, calibrations and silent analysers in it.
fn scans(start: Timestamp) -> Vec<(Timestamp, Vec<(&'static str, Reading)>)> {
    let mut dice = Dice(20_261_121);
    let mut scans = Vec::new();
    for tick in 0..4500_i64 {
        if dice.throw() < 0.03 || (1200..1500).contains(&tick) {
            continue;
        }
        let mut readings = kiln(20.0 + 30.0 * dice.throw(), 8.0 + 12.0 * dice.throw());
        for (_, reading) in &mut readings {
            reading.value = reading.value.map(|value| value * (0.95 + 0.1 * dice.throw()));
            if dice.throw() < 0.01 {
                *reading = Reading::NO_ANSWER;
            } else if (600..700).contains(&tick) {
                reading.flag = Flag::Calibration;
            }
        }
        scans.push((start + SignedDuration::from_secs(tick * 2), readings));
    }
    scans
}

/// A source that stops when oxygen is high and starts up after it, marks of the enterprise, an exemption.
fn law_of(start: Timestamp) -> String {
    let at = |minutes: i64| start + SignedDuration::from_mins(minutes);
    let mark = |code: &str, claim: &str, (from, until): (i64, i64), more: &str| {
        format!(
            "[[mark]]\ncode = \"{code}\"\noutlet = \"demo-cement-kiln\"\nclaim = \"{claim}\"\nfrom = \"{}\"\nuntil = \"{}\"\n\
             author = \"Shift leader\"\nreason = \"Log\"\nmade_at = \"{}\"\n{more}",
            at(from),
            at(until),
            at(until)
        )
    };
    let marks = [
        mark("repair", "maintenance", (100, 112), "channel = \"a21026\"\n"),
        mark("stop", "stopped", (90, 130), ""),
    ];
    format!(
        "schema = \"plant/1\"\n[[source_rule]]\noutlet = \"demo-cement-kiln\"\ndocument = \"Permit\"\nfrom = \"2020-01-01T00:00:00+08:00\"\n\
         [[source_rule.state]]\nstate = \"stopped\"\n[[source_rule.state.test]]\nchannel = \"a19001\"\nabove = 13.9\nrelease = 13.0\nminutes = 2\n\
         [[source_rule.state]]\nstate = \"start-up\"\nafter = \"stopped\"\nafter_minutes = 120\n[[source_rule.state.test]]\nchannel = \"a21026\"\n\
         above = 1\n[[marking]]\ncode = \"cement\"\ndocument = \"Test\"\nindustry = \"C30\"\ndeadline_hours = 240\neffect = \"at-once\"\n\
         from = \"2020-01-01T00:00:00+08:00\"\n{}",
        marks.concat()
    )
}

/// By position of the outlet.
fn stored(outlet: &Outlet, at: Timestamp, readings: &[(&'static str, Reading)]) -> StoredScan {
    let mut positions = vec![Reading::ABSENT; outlet.channels.len()];
    for (code, reading) in readings {
        positions[outlet.position(ChannelCode::new(code).unwrap()).unwrap()] = *reading;
    }
    StoredScan { at, readings: positions }
}

fn replayed(
    outlet: &Outlet,
    (zone, law): (&TimeZone, &OutletLaw),
    scans: &[(Timestamp, Vec<(&'static str, Reading)>)],
) -> Figures {
    let mut figures = Figures::new();
    let mut sink = |window: Window, averages: &[ChannelAverage]| {
        if PERIODS.contains(&window.period) {
            figures.insert((window.period, window.start), averages.to_vec());
        }
    };
    let mut replay = Replay::new(Ground { outlet, law, regime: &HJ75_2017, zone }, &PERIODS);
    for (at, readings) in scans {
        assert!(replay.scan(stored(outlet, *at, readings), &mut sink));
    }
    replay.finish(&mut sink);
    figures
}

async fn in_the_store(
    client: &tokio_postgres::Client,
    outlet: &Outlet,
    span: (Timestamp, Timestamp),
) -> Figures {
    let mut figures = Figures::new();
    for period in PERIODS {
        let found = latest(client, period, &[((outlet.id, 1), span.0, span.1)]).await.unwrap();
        for (start, (_, channels)) in found.into_values().flatten() {
            figures.insert((period, start), channels);
        }
    }
    figures
}

/// Equal to the last bit, also where -0 would equal 0.
fn bits(figures: &Figures) -> String {
    let exact = |figure: Option<f64>| figure.map(f64::to_bits);
    let mut text = String::new();
    for ((period, start), channels) in figures {
        for one in channels {
            let numbers = [one.measured, one.standard, one.dry, one.corrected, one.min, one.max].map(exact);
            let counts = (one.n_valid, one.n_expected, one.status, one.flag, one.valid, one.mass_mg);
            writeln!(text, "{} {start} {numbers:?} {counts:?}", period.name()).unwrap();
        }
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn live_recomputed_and_replayed_figures_are_the_same_to_the_last_bit() {
    let (database, broker, webhook) = (database().await, broker().await, Webhook::listen().await);
    let mut client = database.client().await;
    let zone = TimeZone::get("Asia/Shanghai").unwrap();
    // Two days ago, an hour before midnight, so that two days are touched and both are over.
    let today = Window::containing(AveragingPeriod::Day, clock::now(), &zone).start;
    let start = today - SignedDuration::from_hours(49);
    seed(&mut client, &[notify(&webhook), ("law.toml", law_of(start))]).await;
    let shared = "shared = true\n";
    let one = Centre::start_with(database.url(), broker.port(), shared, QUICK).await;
    let two = Centre::start_with(database.url(), broker.port(), shared, QUICK).await;
    wait_until(LIMIT, "both centres to be ready", || async {
        let ready = one.reporting.readiness.all_ready() && two.reporting.readiness.all_ready();
        if ready { Ok(()) } else { Err("not yet") }
    })
    .await;
    let (plant, frames) = frame::load(&client).await.unwrap();
    let outlet = plant.outlet("demo-cement-kiln").unwrap().clone();
    let scans = scans(start);
    let mut sender = Sender::connect(broker.port()).await;
    let mut lines: Vec<Vec<u8>> = scans.iter().map(|(at, readings)| sender.record(*at, readings)).collect();
    // Shuffled in blocks of two hundred, the last block first; a receipt names numbers, so each message keeps its range.
    let blocks: Vec<(u64, Vec<Vec<u8>>)> =
        lines.chunks_mut(200).enumerate().map(|(i, block)| (i as u64 * 200, block.to_vec())).collect();
    let mut order: Vec<usize> = (0..blocks.len()).collect();
    let mut dice = Dice(7);
    for i in (1..order.len()).rev() {
        order.swap(i, (dice.throw() * (i + 1) as f64) as usize);
    }
    for index in order {
        sender.publish("backfill", blocks[index].0, &blocks[index].1).await;
    }
    sender.receipted(0..sender.seq).await;
    wait_until(LIMIT * 3, "every window that is over", || async {
        let sql = "SELECT count(*) FROM due WHERE due_at < now() + interval '1 minute'";
        let waiting: i64 = client.query_one(sql, &[]).await.unwrap().get(0);
        if waiting == 0 { Ok(()) } else { Err(waiting) }
    })
    .await;
    let span = (start - SignedDuration::from_hours(24), start + SignedDuration::from_hours(30));
    let live = in_the_store(&client, &outlet, span).await;
    let laws = frame::laws(&client, &frames, ["demo-cement-kiln"], span).await.unwrap();
    let law = &laws["demo-cement-kiln"];
    let replayed = replayed(&outlet, (&zone, law), &scans);
    let has = |status: Status| live.values().flatten().any(|average| average.status == status);
    assert!(
        has(Status::SourceStopped) && has(Status::StartUp) && has(Status::Maintenance),
        "the law is felt"
    );
    assert!(
        live.len() > 150 && live.keys().any(|(period, _)| *period == AveragingPeriod::Day),
        "{}",
        live.len()
    );
    assert!(bits(&live) == bits(&replayed), "live and replayed figures differ");

    let span_again = (outlet.id, start, start + SignedDuration::from_hours(3));
    let done = recompute(database.url(), zone.clone(), span_again).await.unwrap();
    assert_eq!(done.revisions, 0, "{done:?}");
    let recomputed = in_the_store(&client, &outlet, span).await;
    assert!(bits(&recomputed) == bits(&live), "recomputed figures differ");
    one.stop().await;
    two.stop().await;
}
