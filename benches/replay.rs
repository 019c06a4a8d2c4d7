//! How long averaging takes, without files and database: `cargo bench --bench replay`. One line a figure.
#![expect(clippy::unwrap_used, reason = "a bench that meets the unexpected is to fail loudly")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Duration;

use cems::clock::monotonic;
use cems::config::catalogue;
use cems::config::kind::Source;
use cems::config::seeds;
use cems::domain::average::{ChannelAverage, StoredScan, Terms, average_scans, average_windows};
use cems::domain::correction::Unwatched;
use cems::domain::flag::Flag;
use cems::domain::judgement::Ground;
use cems::domain::law::OutletLaw;
use cems::domain::limit::AveragingPeriod;
use cems::domain::plant::Outlet;
use cems::domain::regime::HJ75_2017;
use cems::domain::replay::{Closed, ClosedQuarter, Replay, Sink, rows};
use cems::domain::scan::Reading;
use cems::domain::validity::Overlay;
use cems::domain::window::Window;
use jiff::Timestamp;
use jiff::tz::TimeZone;

const CHANNELS: [(&str, &str, &str, f64); 16] = [
    ("a34013", "mg/m3", "wet actual", 5.0),
    ("a21026", "mg/m3", "dry standard", 30.0),
    ("a21002", "mg/m3", "dry standard", 60.0),
    ("a21005", "mg/m3", "dry standard", 50.0),
    ("a21024", "mg/m3", "dry standard", 20.0),
    ("a21003", "ppm", "dry standard", 20.0),
    ("a21004", "ppm", "dry standard", 2.0),
    ("a21001", "mg/m3", "dry standard", 3.0),
    ("a21028", "mg/m3", "dry standard", 3.0),
    ("a24088", "mg/m3", "dry standard", 3.0),
    ("a19001", "%", "dry standard", 10.0),
    ("a01012", "C", "", 120.0),
    ("a01013", "kPa", "", 1.2),
    ("a01014", "%", "", 10.0),
    ("a01011", "m/s", "", 12.0),
    ("a01006", "kPa", "", 100.0),
];
const OUTLETS: u32 = 5000;
const FIRST: i64 = 1_735_660_800;

/// A kiln with sixteen channels, one reading a minute, and the built-in rules.
fn kiln() -> Outlet {
    let from = "from = \"2020-01-01T00:00:00+08:00\"";
    let mut text = format!(
        "schema = \"plant/1\"\n[[enterprise]]\ncode = \"91410811DEM000001F\"\nname = \"Demo\"\nindustry = \"C3011\"\n\
         division = \"410811\"\ncontact = \"Nobody\"\n[[outlet]]\ncode = \"kiln\"\nname = \"Kiln\"\nenterprise = \
         \"91410811DEM000001F\"\nlongitude = 113.2\nlatitude = 35.2\nstack_height_m = 90\n[[outlet.setting]]\n{from}\nprocess = \
         \"cement-kiln\"\nreference_oxygen_percent = 10\narea_m2 = 7.5\n[[outlet.analyser]]\nname = \"gas\"\n{from}\nmaker = \"D\"\n\
         model = \"D\"\nserial_number = \"1\"\nprinciple = \"D\"\n"
    );
    for (code, unit, bases, _) in CHANNELS {
        let bases = bases.split_once(' ').map_or(String::new(), |(moisture, state)| {
            format!("moisture_basis = \"{moisture}\"\nstate_basis = \"{state}\"\n")
        });
        let head =
            format!("[[outlet.channel]]\ncode = \"{code}\"\n{from}\nanalyser = \"gas\"\nunit = \"{unit}\"\n");
        text.push_str(&head);
        text.push_str("range = [-1000, 1000]\nperiod_ms = 60000\n");
        text.push_str(&bases);
    }
    let plant = Source { file: "bench.toml".to_owned(), text };
    let plant = catalogue::parse(&[plant, seeds::rules()]).unwrap().into_plant().unwrap();
    Outlet::clone(plant.outlets.first().unwrap())
}

fn scan(minute: u32, random: &mut fastrand::Rng) -> StoredScan {
    let mut reading = |mean: f64| {
        let value = (mean * 100.0 * (1.0 + 0.1 * random.f64())).round() / 100.0;
        Reading { value: Some(value), flag: Flag::Normal }
    };
    StoredScan {
        at: Timestamp::from_second(FIRST + 60 * i64::from(minute)).unwrap(),
        readings: CHANNELS.iter().map(|(_, _, _, mean)| reading(*mean)).collect(),
    }
}

fn tell(what: &str, took: Duration, windows: u32) {
    let each = took.as_secs_f64() * 1e6 / f64::from(windows);
    println!("{what}: {:.2} s, {each:.2} us a channel and window ({windows})", took.as_secs_f64());
}

/// Counts windows and verdicts.
struct Count<'o>(&'o Outlet, u32, usize);
impl<'p> Sink<'p> for Count<'p> {
    fn closed(&mut self, closed: Closed<'_, 'p>) {
        self.1 += 16;
        if closed.window.period >= AveragingPeriod::Hour {
            self.2 += rows(self.0, &closed, &HJ75_2017).map(|(_, row)| row.verdicts.len()).sum::<usize>();
        }
    }
    fn quarter(&mut self, quarter: ClosedQuarter) {
        self.2 += black_box(quarter).channels.len();
    }
}

/// A year of one outlet, all periods, verdicts on hours and longer.
fn year(outlet: &Outlet, zone: &TimeZone) {
    let mut random = fastrand::Rng::with_seed(1);
    let mut sink = Count(outlet, 0, 0);
    let mut took = Duration::ZERO;
    let law = OutletLaw::default();
    let ground = Ground { outlet, law: &law, regime: &HJ75_2017, zone };
    let mut replay = Replay::new(ground, &[AveragingPeriod::Year]);
    for day in 0..365 {
        let scans: Vec<StoredScan> = (0..1440).map(|minute| scan(day * 1440 + minute, &mut random)).collect();
        let start = monotonic();
        for scan in scans {
            assert!(replay.scan(scan, &mut sink));
        }
        took += start.elapsed();
    }
    let start = monotonic();
    replay.finish(&mut sink);
    took += start.elapsed();
    let Count(_, windows, verdicts) = sink;
    tell("one outlet-year of 1-minute data x 16 channels, all windows", took, windows);
    println!("  {verdicts} verdicts");
}

/// The hour of every outlet of a province, from sixty minute rows each.
fn hour(outlet: &Outlet, zone: &TimeZone) {
    let mut random = fastrand::Rng::with_seed(2);
    let minutes: BTreeMap<Timestamp, Vec<ChannelAverage>> = (0..60)
        .map(|minute| {
            let scan = scan(minute, &mut random);
            let window = Window::containing(AveragingPeriod::Minute, scan.at, zone);
            (window.start, average_scans(window, outlet, &[scan], &HJ75_2017))
        })
        .collect();
    let window = Window::containing(AveragingPeriod::Hour, Timestamp::from_second(FIRST).unwrap(), zone);
    let law = OutletLaw::default();
    let ground = Ground { outlet, law: &law, regime: &HJ75_2017, zone };
    let start = monotonic();
    for _outlet in 0..OUTLETS {
        let averages = average_windows(window, outlet, black_box(&minutes), Terms::plain(&HJ75_2017, 60));
        let judged = ground.judge(window, &averages, (&minutes, Overlay::NONE), &mut Unwatched);
        let closed = Closed { window, averages: &averages, judged: &judged };
        rows(outlet, &closed, &HJ75_2017).for_each(|row| drop(black_box(row)));
    }
    tell(
        "closing and judging an hour, 5000 outlets x 16 channels from 60 minute rows",
        start.elapsed(),
        OUTLETS * 16,
    );
}

fn main() {
    let zone = TimeZone::get("Asia/Shanghai").unwrap();
    let outlet = kiln();
    hour(&outlet, &zone);
    year(&outlet, &zone);
}
