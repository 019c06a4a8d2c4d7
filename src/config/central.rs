//! The centre's configuration, `schema = "central/1"`.
//!
//! ```toml
//! schema = "central/1"
//! [central]
//! zone = "Asia/Shanghai"              # the jurisdiction's: where days begin
//! public_url = "https://cems.example" # optional: links in alerts
//! [database]
//! url = "postgresql://cems@127.0.0.1/cems"   # or "embedded"
//! [mqtt]
//! url = "mqtt://127.0.0.1:1883"       # or mqtts:// with a table [mqtt.tls], or "embedded"
//! user = "central"                    # password: CEMS__MQTT__PASSWORD
//! [http]
//! listen = "127.0.0.1:8080"
//! [alerting]                          # optional: how alerts leave, see `alerting`
//! tokens = "writes"                   # who needs a token; "always" where other machines can listen
//! ```

/// How alerts leave.
mod alerting;
/// Heartbeats and tests.
mod trust;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::config::broker::{self, Tls};
use crate::config::check::{self, any_text, boolean, milliseconds, seconds, small, text};
use crate::config::document::{Document, Overlay, Section};
use crate::config::problem::Problems;

pub use alerting::{Alerting, HostPattern};
pub use trust::{Heartbeat, SelfTest};

/// The centre's configuration, checked.
#[derive(Clone)]
pub struct Central {
    /// The jurisdiction's zone: where days begin.
    pub zone: TimeZone,
    /// Where people open the console; for links in alerts.
    pub public_url: Option<String>,
    /// Where embedded servers keep their data.
    pub data_dir: PathBuf,
    /// PostgreSQL URL; `None`: embedded.
    pub database: Option<String>,
    pub timescale: Timescale,
    pub mqtt: Mqtt,
    pub listen: SocketAddr,
    pub tokens: Tokens,
    pub silence: Silence,
    pub windows: Windows,
    /// Between looks at the quotas.
    pub quotas_every: Duration,
    pub quarantine: Quarantine,
    pub retention: Retention,
    pub alerting: Alerting,
    pub heartbeat: Heartbeat,
    pub self_test: SelfTest,
}

/// What of HTTP needs a token of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tokens {
    /// What changes something.
    Writes,
    /// Everything but health, figures and the pages of links.
    Always,
}

impl Tokens {
    /// The words for it.
    pub const WORDS: [(&'static str, Tokens); 2] = [("writes", Tokens::Writes), ("always", Tokens::Always)];

    /// Where nothing is said: whoever can read a loopback address can read this machine.
    pub const fn usual(listen: SocketAddr) -> Tokens {
        if listen.ip().is_loopback() { Tokens::Writes } else { Tokens::Always }
    }
}

/// Whether new tables are to be hypertables of TimescaleDB. Tables with rows stay what they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timescale {
    /// Where the server preloads TimescaleDB.
    Auto,
    On,
    Off,
}

impl Timescale {
    /// The words for it.
    pub const WORDS: [(&'static str, Timescale); 3] =
        [("auto", Timescale::Auto), ("on", Timescale::On), ("off", Timescale::Off)];
}

/// How the centre reaches the broker.
#[derive(Clone)]
pub struct Mqtt {
    /// Host and port; `None`: embedded.
    pub broker: Option<(String, u16)>,
    /// How the way to it is protected; `None`: not at all.
    pub tls: Option<Tls>,
    pub user: Option<String>,
    /// Never shown.
    pub password: Option<String>,
    /// Several centres share the work.
    pub shared: bool,
    pub inflight: u16,
}

/// When missing data becomes an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silence {
    pub after: Duration,
    /// How often signs of life are noted and judged.
    pub check: Duration,
    /// So many gateways silent at once are one alert.
    pub together: usize,
}

/// When windows are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// After late data, how long more of it is waited for.
    pub debounce: Duration,
    /// After the end of a coarser window, for the last finer one.
    pub settle: Duration,
}

/// How much of one gateway is kept in quarantine, whichever is reached first. What is above gets no receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quarantine {
    pub records: u64,
    pub bytes: u64,
}

impl Quarantine {
    /// Whether so many more bytes find room beside the records and bytes that are kept.
    pub fn has_room(&self, (records, bytes): (u64, u64), more: u64) -> bool {
        records < self.records && bytes.saturating_add(more) <= self.bytes
    }
}

impl Default for Quarantine {
    fn default() -> Quarantine {
        Quarantine { records: 10_000, bytes: 64 << 20 }
    }
}

/// How long scans and the averages below an hour are kept. Hours and longer stay for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// At least the 400 days that late records may be old.
    pub scan_days: u32,
    pub minute_days: u32,
    /// When chunks of hypertables are compressed; 0: never.
    pub compress_after_days: u32,
}

impl Default for Retention {
    fn default() -> Retention {
        Retention { scan_days: 400, minute_days: 3 * 366, compress_after_days: 9 }
    }
}

fn http(root: &mut Section<'_>) -> Option<(SocketAddr, Tokens)> {
    let usual = SocketAddr::from(([127, 0, 0, 1], 8080));
    let Some(mut http) = root.optional_table("http") else { return Some((usual, Tokens::usual(usual))) };
    let allowed = "an address with a port, as \"127.0.0.1:8080\" (port 0: a free one)";
    let listen = http.with_default("listen", text(allowed, |text| text.parse().ok()), usual);
    let tokens = http.optional("tokens", check::one_of(&Tokens::WORDS));
    let (listen, tokens) = (listen?, tokens?);
    Some((listen, tokens.unwrap_or(Tokens::usual(listen))))
}

fn retention(root: &mut Section<'_>) -> Option<Retention> {
    let default = Retention::default();
    let Some(mut retention) = root.optional_table("retention") else { return Some(default) };
    let scan_days = retention.with_default("scan_days", small(400..=36_500), default.scan_days);
    let minute_days = retention.with_default("minute_days", small(400..=36_500), default.minute_days);
    let compress_after_days =
        retention.with_default("compress_after_days", compress_after(), default.compress_after_days);
    Some(Retention {
        scan_days: scan_days?,
        minute_days: minute_days?,
        compress_after_days: compress_after_days?,
    })
}

/// Not what gateways may still send as a matter of course: late rows into compressed chunks cost several times as much.
fn compress_after<'c>() -> check::Check<'c, u32> {
    let days = check::integer(0..=36_500);
    check::Check::new("0 (never) or a whole number of days from 9 to 36500", move |value| {
        days.apply(value).filter(|days| *days == 0 || *days >= 9).and_then(|days| u32::try_from(days).ok())
    })
}

/// Reads the text of `file`, overlaid by the environment.
///
/// # Errors
/// All problems.
pub fn parse(file: &str, text: &str) -> Result<Central, Problems> {
    let document = Document::parse(file, text, Overlay::Environment)?;
    let built = {
        let mut root = document.root();
        let _schema = root.required("schema", crate::config::check::one_of(&[("central/1", ())]));
        build(&mut root)
    };
    document.finish(built)
}

fn build(root: &mut Section<'_>) -> Option<Central> {
    let mut central = root.table("central");
    let zone = central.with_default("zone", zone(), TimeZone::get("Asia/Shanghai").ok()?);
    let public_url = central.optional("public_url", any_text());
    let data_dir =
        central.with_default("data_dir", any_text().map(PathBuf::from), PathBuf::from("cems-data"));
    drop(central);
    let mut database = root.table("database");
    let url = database.required("url", database_url());
    let timescale = database.with_default("timescale", check::one_of(&Timescale::WORDS), Timescale::Auto);
    drop(database);
    let mqtt = mqtt(root);
    let http = http(root);
    let silence = silence(root);
    let windows = windows(root);
    let hourly = Duration::from_hours(1);
    let quotas_every = root
        .optional_table("quotas")
        .map_or(Some(hourly), |mut quotas| quotas.with_default("check_s", seconds(1..=86_400), hourly));
    let quarantine = quarantine(root);
    let retention = retention(root);
    let heartbeat = trust::heartbeat(root);
    let self_test = trust::self_test(root);
    let alerting = alerting::read(root);
    Some(Central {
        zone: zone?,
        public_url: public_url?,
        data_dir: data_dir?,
        database: url?,
        timescale: timescale?,
        mqtt: mqtt?,
        listen: http?.0,
        tokens: http?.1,
        silence: silence?,
        windows: windows?,
        quotas_every: quotas_every?,
        quarantine: quarantine?,
        retention: retention?,
        heartbeat: heartbeat?,
        self_test: self_test?,
        alerting: alerting?,
    })
}

fn zone<'c>() -> crate::config::check::Check<'c, TimeZone> {
    text("a time zone of the IANA database, as \"Asia/Shanghai\"", |name| TimeZone::get(name).ok())
}

fn database_url<'c>() -> crate::config::check::Check<'c, Option<String>> {
    text("\"postgresql://USER@HOST[:PORT]/DATABASE\", \"host=… dbname=…\" or \"embedded\"", |url| {
        if url == "embedded" {
            return Some(None);
        }
        url.parse::<tokio_postgres::Config>()
            .ok()
            .filter(|config| !config.get_hosts().is_empty())
            .map(|_| Some(url.to_owned()))
    })
}

fn mqtt(root: &mut Section<'_>) -> Option<Mqtt> {
    let mut mqtt = root.table("mqtt");
    let broker = broker::read_or_embedded(&mut mqtt);
    let user = mqtt.optional("user", any_text());
    let password = mqtt.optional("password", any_text());
    let shared = mqtt.with_default("shared", boolean(), false);
    let inflight = mqtt.with_default("inflight", small(20..=20_000), 2000);
    let (broker, tls) = match broker? {
        Some(broker) => (Some((broker.host, broker.port)), broker.tls),
        None => (None, None),
    };
    Some(Mqtt { broker, tls, user: user?, password: password?, shared: shared?, inflight: inflight? })
}

fn silence(root: &mut Section<'_>) -> Option<Silence> {
    // With the time between two looks and one scan more, an alert comes within three minutes.
    let default = Silence { after: Duration::from_secs(160), check: Duration::from_secs(10), together: 5 };
    let Some(mut silence) = root.optional_table("silence") else { return Some(default) };
    let after = silence.with_default("after_s", seconds(1..=86_400), default.after);
    let check = silence.with_default("check_ms", milliseconds(100..=60_000), default.check);
    let together = silence.with_default("together", small(2..=100_000), default.together);
    Some(Silence { after: after?, check: check?, together: together? })
}

fn windows(root: &mut Section<'_>) -> Option<Windows> {
    let default = Windows { debounce: Duration::from_secs(3), settle: Duration::from_secs(5) };
    let Some(mut windows) = root.optional_table("windows") else { return Some(default) };
    let debounce = windows.with_default("debounce_ms", milliseconds(0..=600_000), default.debounce);
    let settle = windows.with_default("settle_ms", milliseconds(0..=600_000), default.settle);
    Some(Windows { debounce: debounce?, settle: settle? })
}

fn quarantine(root: &mut Section<'_>) -> Option<Quarantine> {
    let default = Quarantine::default();
    let Some(mut quarantine) = root.optional_table("quarantine") else { return Some(default) };
    let records = quarantine.with_default("cap_per_gateway", small(1..=10_000_000), default.records);
    let mebibytes = quarantine.with_default("cap_mib_per_gateway", small(1..=65_536), default.bytes >> 20);
    Some(Quarantine { records: records?, bytes: mebibytes? << 20 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_configuration_is_enough() {
        let text = "schema = \"central/1\"\n[central]\n[database]\nurl = \"embedded\"\n[mqtt]\nurl = \"mqtt://127.0.0.1:1884\"\n";
        let central = parse("central.toml", text).unwrap();
        assert_eq!(central.database, None);
        assert_eq!(central.mqtt.broker, Some(("127.0.0.1".to_owned(), 1884)));
        assert!(central.listen.ip().is_loopback());
    }

    #[test]
    fn the_example_is_right() {
        let parsed = parse("central-example.toml", include_str!("../../config/central-example.toml"));
        assert_eq!(parsed.err(), None);
    }

    #[test]
    fn other_machines_need_tokens_for_everything_unless_told_otherwise() {
        let parse = |http: &str| {
            let text = format!(
                "schema = \"central/1\"\n[central]\n[database]\nurl = \"embedded\"\n[mqtt]\nurl = \"embedded\"\n[http]\n{http}\n"
            );
            parse("central.toml", &text).map(|central| central.tokens).map_err(|problems| problems.0.len())
        };
        assert_eq!(parse(""), Ok(Tokens::Writes));
        assert_eq!(parse("listen = \"0.0.0.0:8080\""), Ok(Tokens::Always));
        assert_eq!(parse("listen = \"[::1]:8080\""), Ok(Tokens::Writes));
        assert_eq!(parse("tokens = \"always\""), Ok(Tokens::Always));
        assert_eq!(parse("listen = \"0.0.0.0:8080\"\ntokens = \"writes\""), Ok(Tokens::Writes));
        assert_eq!(parse("tokens = \"never\""), Err(1));
    }

    #[test]
    fn storage_is_a_word_and_nothing_young_is_compressed() {
        let parse = |database: &str, retention: &str| {
            let text = format!(
                "schema = \"central/1\"\n[central]\n[database]\nurl = \"embedded\"\n{database}\n[mqtt]\nurl = \"embedded\"\n\
                 [retention]\n{retention}\n"
            );
            parse("central.toml", &text)
                .map(|central| (central.timescale, central.retention.compress_after_days))
        };
        assert_eq!(parse("", "").ok(), Some((Timescale::Auto, 9)));
        assert_eq!(parse("timescale = \"on\"", "compress_after_days = 0").ok(), Some((Timescale::On, 0)));
        assert_eq!(parse("timescale = \"off\"", "compress_after_days = 30").ok(), Some((Timescale::Off, 30)));
        let problems = parse("timescale = true", "compress_after_days = 8").err().unwrap();
        let keys: Vec<&str> = problems.0.iter().map(|problem| problem.key.as_str()).collect();
        assert_eq!(keys, ["database.timescale", "retention.compress_after_days"]);
    }

    #[test]
    fn the_first_cap_that_is_reached_counts() {
        let cap = Quarantine { records: 2, bytes: 100 };
        assert!(cap.has_room((0, 0), 100) && cap.has_room((1, 40), 60));
        assert!(!cap.has_room((2, 0), 1) && !cap.has_room((1, 40), 61) && !cap.has_room((0, 1), u64::MAX));
        let text = "schema = \"central/1\"\n[central]\n[database]\nurl = \"embedded\"\n[mqtt]\nurl = \"embedded\"\n[quarantine]\n";
        let parsed = parse("central.toml", &format!("{text}cap_per_gateway = 5\ncap_mib_per_gateway = 2\n"));
        assert_eq!(parsed.ok().unwrap().quarantine, Quarantine { records: 5, bytes: 2 * 1024 * 1024 });
        assert!(parse("central.toml", &format!("{text}cap_per_gateway = 0\n")).is_err());
    }

    #[test]
    fn all_problems_come_at_once() {
        let text = "schema = \"central/1\"\n[central]\nzone = \"Mars\"\n[database]\nurl = 5\n[mqtt]\nurl = \"http://x\"\ninflight = 1\n[http]\nlisten = \"here\"\n";
        let problems = parse("central.toml", text).err().unwrap();
        let found: Vec<(Option<usize>, &str)> = problems.0.iter().map(|p| (p.line, p.key.as_str())).collect();
        assert_eq!(
            found,
            [
                (Some(3), "central.zone"),
                (Some(5), "database.url"),
                (Some(7), "mqtt.url"),
                (Some(8), "mqtt.inflight"),
                (Some(10), "http.listen")
            ]
        );
    }
}
