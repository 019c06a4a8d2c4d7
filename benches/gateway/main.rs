//! What a gateway costs on its box: `cargo bench --bench gateway`. One real `cems gateway` process with its spool on a disk, analysers
//! played here (`slaves`), a mosquitto of its own, and a centre played here that receipts everything (`centre`), so that the spool
//! empties as it does in service.
//!
//! Processor time is that of the whole process over the measured seconds, in percent of one core. A scan counts as captured when it
//! arrived with every value of every channel. CEMS_BENCH_PARTS chooses among `points` and `outlets`; CEMS_BENCH_SECONDS says how
//! long to measure.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a bench that meets the unexpected is to fail loudly"
)]

/// Who takes the records.
mod centre;
/// Analysers that cost next to nothing.
mod slaves;

#[path = "../support/mod.rs"]
mod support;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cems::clock;
use cems::config::gateway::WhenFull;
use cems::embedded::{Access, Mosquitto, erase};
use cems::gateway::spool::room::Need;
use cems::gateway::spool::{Settings, Spool};
use cems::mqtt::record::Hash;
use jiff::{SignedDuration, Timestamp};

use crate::centre::Centre;
use crate::slaves::Slaves;
use crate::support::figures::{Goal, percentile, table, tell};
use crate::support::plant;
use crate::support::process::{self, memory};

const GATEWAY: &str = "gw-bench";
/// Before anything is measured: connections stand, caches are warm.
const WARM_UP: SignedDuration = SignedDuration::from_secs(10);
/// After the last measured tick its scan is under way for no longer.
const ARRIVAL: Duration = Duration::from_secs(3);
/// Between two ticks, so that no scan is counted by half.
const BEFORE_TICK: SignedDuration = SignedDuration::from_millis(50);

/// What a gateway has to do.
struct Load {
    name: &'static str,
    outlets: usize,
    /// Outlets that one analyser serves, from registers of its own for each. Each analyser is a Modbus TCP server of its own.
    outlets_of_analyser: usize,
    /// Points of each outlet: 32-bit floating point first, then 16-bit whole numbers behind them, scaled by 0.1.
    floats: u16,
    words: u16,
    period: SignedDuration,
    /// Percent of one core.
    cpu: f64,
}

/// A hundred analysers with a thousand points each, every second, as four outlets of 250 channels: 175 f32 (concentrations) and 75 u16
/// (temperatures, pressures, states) each. 100,000 readings a second.
const POINTS: Load = Load {
    name: "100x1000_points",
    outlets: 400,
    outlets_of_analyser: 4,
    floats: 175,
    words: 75,
    period: SignedDuration::from_secs(1),
    cpu: 7.0,
};

/// Two hundred stacks with an analyser each: twelve f32 and four u16, every two seconds.
const OUTLETS: Load = Load {
    name: "200_outlets",
    outlets: 200,
    outlets_of_analyser: 1,
    floats: 12,
    words: 4,
    period: SignedDuration::from_secs(2),
    cpu: 2.0,
};

impl Load {
    fn channels(&self) -> u16 {
        self.floats + self.words
    }

    /// The gateway's configuration with the analysers behind these ports.
    fn configuration(&self, folder: &Path, broker: u16, ports: &[u16]) -> String {
        let mut text = format!(
            "schema = \"gateway/1\"\n[gateway]\nname = \"{GATEWAY}\"\ndata_dir = \"{}\"\n[mqtt]\nurl = \"mqtt://127.0.0.1:{broker}\"\n",
            folder.display()
        );
        for (index, port) in ports.iter().enumerate() {
            write!(text, "[[analyser]]\nname = \"gas-{index}\"\nlink = \"tcp://127.0.0.1:{port}\"\nunit = 1\ntimeout_ms = 400\n")
                .unwrap();
        }
        for outlet in 0..self.outlets {
            let period = self.period.as_millis();
            write!(text, "[[outlet]]\ncode = \"{}\"\nperiod_ms = {period}\n", plant::outlet(outlet)).unwrap();
            for channel in 0..self.channels() {
                self.channel(&mut text, outlet, channel);
            }
        }
        text
    }

    fn channel(&self, text: &mut String, outlet: usize, channel: u16) {
        let (factor, ..) = plant::CHANNELS.get(usize::from(channel % 16)).unwrap();
        let number = channel / 16 + 1;
        let analyser = outlet / self.outlets_of_analyser;
        let first =
            u16::try_from(outlet % self.outlets_of_analyser).unwrap() * (2 * self.floats + self.words);
        write!(text, "[[outlet.channel]]\ncode = \"{factor}-{number}\"\nanalyser = \"gas-{analyser}\"\n")
            .unwrap();
        if channel < self.floats {
            write!(text, "register = {}\ntype = \"f32\"\norder = \"ABCD\"\n", first + channel * 2).unwrap();
        } else {
            write!(text, "register = {}\ntype = \"u16\"\nscale = 0.1\n", first + channel + self.floats)
                .unwrap();
        }
    }
}

/// A running `cems gateway`; it ends with this.
struct Gateway(Child);

impl Gateway {
    fn start(config: &Path) -> Gateway {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cems"));
        // What it logs is shown unless it is ordinary.
        command.args(["gateway", "--config"]).arg(config).env("CEMS_LOG", "warn").stdin(Stdio::null());
        Gateway(command.spawn().unwrap())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _ended = self.0.wait();
    }
}

/// Waits for a moment of the wall clock.
async fn until(moment: Timestamp) {
    let left = moment.duration_since(clock::now());
    tokio::time::sleep(Duration::try_from(left).unwrap_or_default()).await;
}

/// The first whole period after this.
fn tick_after(moment: Timestamp, period: SignedDuration) -> Timestamp {
    let period = i64::try_from(period.as_millis()).unwrap();
    Timestamp::from_millisecond((moment.as_millisecond() / period + 1) * period).unwrap()
}

fn measured_time() -> SignedDuration {
    let seconds = std::env::var("CEMS_BENCH_SECONDS").ok().and_then(|text| text.parse().ok());
    SignedDuration::from_secs(seconds.unwrap_or(40))
}

/// Folder of spools: a real disk, as a gateway has.
fn disk() -> PathBuf {
    let at = std::env::var("CEMS_BENCH_FOLDER").unwrap_or_else(|_| "target".to_owned());
    std::fs::create_dir_all(&at).unwrap();
    std::path::absolute(at).unwrap()
}

/// What a gateway that is gone left in its spool.
fn records_in(folder: &Path) -> u64 {
    let settings = Settings {
        folder: folder.to_owned(),
        gateway: GATEWAY.to_owned(),
        cfg: Hash::ZERO,
        cache_bytes: 8 << 20,
        capacity_bytes: 1 << 30,
        when_full: WhenFull::Thin,
        need: Need::of([]),
    };
    Spool::open(&settings, Hash::ZERO).unwrap().records()
}

async fn measure(load: &Load) {
    let place = tempfile::Builder::new().prefix("cems-bench-").tempdir().unwrap();
    let folder = tempfile::Builder::new().prefix("bench-gateway-").tempdir_in(disk()).unwrap();
    let mut broker = Mosquitto::start(place.path(), Access::Open).await.unwrap();
    let slaves = Slaves::start(
        load.outlets / load.outlets_of_analyser,
        load.outlets_of_analyser,
        (load.floats, load.words),
    )
    .await;
    let centre = Centre::start(broker.port(), GATEWAY).await;
    let config = folder.path().join("gateway.toml");
    let text = load.configuration(&folder.path().join("spool"), broker.port(), slaves.ports());
    std::fs::write(&config, text).unwrap();
    let gateway = Gateway::start(&config);
    let pid = gateway.0.id();

    let from = tick_after(clock::now() + WARM_UP, load.period);
    let ticks = i32::try_from(measured_time().as_millis() / load.period.as_millis()).unwrap();
    let to = from + load.period * ticks;
    until(from - BEFORE_TICK).await;
    println!("  {}: process {pid} is measured", load.name);
    let (cpu, requests, switches) = (process::cpu(pid), slaves.requests(), process::switches(pid));
    until(to - BEFORE_TICK).await;
    let seconds = to.duration_since(from).as_secs_f64();
    let cpu = (process::cpu(pid) - cpu) / seconds * 100.0;
    let (requests, switches) = (slaves.requests() - requests, process::switches(pid) - switches);
    let (resident, peak) = (memory(pid, "VmRSS"), memory(pid, "VmHWM"));
    tokio::time::sleep(ARRIVAL).await;

    drop(gateway);
    let held = records_in(&folder.path().join("spool"));
    assert!(held < 1000, "the spool did not empty: {held} records are left");
    let arrived = centre.arrived(from, to);
    let expected = load.outlets as f64 * f64::from(ticks);
    let whole = arrived.readings.iter().filter(|valid| **valid == usize::from(load.channels())).count();
    let named = |figure: &str| format!("gateway_{figure}_{}", load.name);
    tell(&named("cpu_percent"), cpu, "% of a core", Goal::AtMost(load.cpu));
    tell(&named("rss_mib"), resident, "MiB", Goal::AtMost(60.0));
    tell(&named("peak_rss_mib"), peak, "MiB, at the start", Goal::None);
    tell(&named("capture_percent"), whole as f64 / expected * 100.0, "%", Goal::AtLeast(100.0));
    tell(&named("to_centre_p50_ms"), percentile(&arrived.latencies, 50), "ms after tick", Goal::None);
    tell(&named("to_centre_p99_ms"), percentile(&arrived.latencies, 99), "ms after tick", Goal::None);
    println!(
        "  {whole} whole scans of {} that arrived and {expected} expected, {} channels each; a second: {:.1} requests, {:.0} switches \
         of threads, {:.1} messages; {} records came twice, {} never, {} were left in the spool",
        arrived.readings.len(),
        load.channels(),
        requests as f64 / seconds,
        switches / seconds,
        arrived.messages as f64 / seconds,
        arrived.repeats,
        centre.missing(),
        held,
    );
    centre.stop().await;
    broker.stop().await;
    drop(broker);
    erase(place.path()).unwrap();
}

#[tokio::main]
async fn main() {
    let wanted = std::env::var("CEMS_BENCH_PARTS").unwrap_or_else(|_| "points,outlets".to_owned());
    for (part, load) in [("points", POINTS), ("outlets", OUTLETS)] {
        if wanted.split(',').any(|one| one == part) {
            measure(&load).await;
        }
    }
    table();
}
