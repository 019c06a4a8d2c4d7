//! Reads a gateway's configuration section by section; every value is checked where it is read.

use std::path::PathBuf;
use std::time::Duration;

use config::ValueKind;

use sha2::{Digest, Sha256};

use crate::config::broker;
use crate::config::check;
use crate::config::document::{Document, Section};
use crate::config::gateway::{
    Analyser, Channel, Gateway, Mqtt, Number, Order, Outlet, Publish, Spool, StatusCondition, StatusRegister,
    StatusRule, Table, WhenFull,
};
use crate::domain::flag::Flag;
use crate::domain::plant::{ChannelCode, MAX_CHANNELS, is_gateway_name, is_outlet_code};

const TABLES: [(&str, Table); 2] = [("holding", Table::Holding), ("input", Table::Input)];
const NUMBERS: [(&str, Number); 5] = [
    ("u16", Number::U16),
    ("i16", Number::I16),
    ("u32", Number::U32),
    ("i32", Number::I32),
    ("f32", Number::F32),
];
const ORDERS: [(&str, Order); 4] =
    [("ABCD", Order::Abcd), ("CDAB", Order::Cdab), ("BADC", Order::Badc), ("DCBA", Order::Dcba)];
const WHEN_FULL: [(&str, WhenFull); 2] = [("thin", WhenFull::Thin), ("stop", WhenFull::Stop)];
/// Flags that an analyser can give; the others are found here or set by people.
const STATUS_FLAGS: [(&str, Flag); 6] = [
    ("N", Flag::Normal),
    ("F", Flag::InstrumentOff),
    ("M", Flag::Maintenance),
    ("D", Flag::Fault),
    ("C", Flag::Calibration),
    ("T", Flag::OverRange),
];

pub fn hash(text: &str, document: &Document) -> [u8; 32] {
    let mut content = text.to_owned();
    for (key, value) in document.overlaid().iter().filter(|(key, _)| *key != "mqtt.password") {
        content.push_str("\n# ");
        content.push_str(key);
        content.push('=');
        content.push_str(value);
    }
    Sha256::digest(content.as_bytes()).into()
}

pub fn gateway(root: &mut Section<'_>, hash: [u8; 32]) -> Option<Gateway> {
    let schema = root.required("schema", check::one_of(&[("gateway/1", ())]));
    let mut head = root.table("gateway");
    let name = head.required(
        "name",
        check::text("a name of 1 to 64 of a-z, 0-9 and '-', not \"central\"", |text| {
            is_gateway_name(text).then(|| text.to_owned())
        }),
    );
    let data_dir = head.required("data_dir", check::any_text().map(PathBuf::from));
    drop(head);
    let mqtt = mqtt(&mut root.table("mqtt"), name.as_deref());
    let spool = spool(root.optional_table("spool"));
    let publish = publish(root.optional_table("publish"));
    let (analysers, names) = analysers(root);
    let outlets = outlets(root, analysers.as_deref(), &names);
    schema?;
    Some(Gateway {
        name: name?,
        data_dir: data_dir?,
        mqtt: mqtt?,
        spool: spool?,
        publish: publish?,
        analysers: analysers?,
        outlets: outlets?,
        hash,
    })
}

fn mqtt(section: &mut Section<'_>, name: Option<&str>) -> Option<Mqtt> {
    let broker = broker::read(section);
    let user = section.optional("user", check::any_text());
    let password = section.optional("password", password());
    let inflight = section.with_default("inflight", check::small(1..=10_000), 2000);
    let broker = broker?;
    let user = user?.or_else(|| name.map(str::to_owned));
    Some(Mqtt {
        host: broker.host,
        port: broker.port,
        tls: broker.tls,
        user: user?,
        password: password?,
        inflight: inflight?,
    })
}

/// Takes numbers too, so that a password of digits without quotes is not shown in a refusal.
fn password<'c>() -> check::Check<'c, String> {
    check::Check::new("a text", |value| {
        if let ValueKind::String(text) = value {
            Some(text.clone())
        } else if let ValueKind::I64(number) = value {
            Some(number.to_string())
        } else {
            None
        }
    })
}

fn spool(section: Option<Section<'_>>) -> Option<Spool> {
    const MB: u64 = 1024 * 1024;
    let mut spool =
        Spool { cache_bytes: 8 * 1024 * 1024, capacity_bytes: 1024 * MB, when_full: WhenFull::Thin };
    if let Some(mut section) = section {
        let cache = section.with_default("cache_mb", check::small::<usize>(1..=1024), 8);
        let capacity = section.with_default("capacity_mb", check::small::<u64>(1..=1_000_000), 1024);
        let when_full = section.with_default("when_full", check::one_of(&WHEN_FULL), WhenFull::Thin);
        spool = Spool {
            cache_bytes: cache? * 1024 * 1024,
            capacity_bytes: capacity? * MB,
            when_full: when_full?,
        };
    }
    Some(spool)
}

fn publish(section: Option<Section<'_>>) -> Option<Publish> {
    let defaults =
        Publish { receipt_timeout: Duration::from_secs(5), backfill_records_per_s: 5000, window: 2000 };
    let Some(mut section) = section else { return Some(defaults) };
    let receipt_timeout = section.with_default(
        "receipt_timeout_ms",
        check::milliseconds(100..=600_000),
        defaults.receipt_timeout,
    );
    let rate = section.with_default(
        "backfill_records_per_s",
        check::small(1..=1_000_000),
        defaults.backfill_records_per_s,
    );
    let window = section.with_default("window", check::small(1..=100_000), defaults.window);
    Some(Publish { receipt_timeout: receipt_timeout?, backfill_records_per_s: rate?, window: window? })
}

/// The analysers, if all are right, and the names of all, so that a channel of a faulty analyser is not called unknown.
fn analysers(root: &mut Section<'_>) -> (Option<Vec<Analyser>>, Vec<Option<String>>) {
    let sections = root.tables("analyser");
    if sections.is_empty() && !root.has("analyser") {
        root.problem("analyser", "nothing", "at least one table [[analyser]]");
    }
    let mut names: Vec<Option<String>> = Vec::new();
    let mut analysers = Vec::new();
    for mut section in sections {
        let name = section.required("name", check::any_text());
        if name.is_some() && names.contains(&name) {
            section.problem(
                "name",
                "a name that another analyser has",
                "each analyser has a name of its own",
            );
        }
        analysers.push(analyser(&mut section, name.clone()));
        names.push(name);
    }
    (analysers.into_iter().collect(), names)
}

fn analyser(section: &mut Section<'_>, name: Option<String>) -> Option<Analyser> {
    let link = section.required("link", check::text("tcp://HOST:PORT", tcp_address));
    let unit = section.with_default("unit", check::small(0..=255), 1);
    let timeout =
        section.with_default("timeout_ms", check::milliseconds(10..=60_000), Duration::from_millis(400));
    let status = match section.optional_table("status") {
        Some(mut status) => status_register(&mut status).map(Some),
        None => Some(None),
    };
    Some(Analyser { name: name?, address: link?, unit: unit?, timeout: timeout?, status: status? })
}

/// `host:port` of `tcp://host:port`.
fn tcp_address(link: &str) -> Option<String> {
    let address = link.strip_prefix("tcp://")?;
    let (host, port) = address.rsplit_once(':')?;
    let valid = !host.is_empty()
        && !host.contains(['/', '@', ' '])
        && port.parse::<u16>().is_ok_and(|port| port != 0);
    valid.then(|| address.to_owned())
}

fn status_register(section: &mut Section<'_>) -> Option<StatusRegister> {
    let address = section.required("register", check::small(0..=65_535));
    let table = section.with_default("table", check::one_of(&TABLES), Table::Holding);
    let sections = section.tables("rules");
    if sections.is_empty() {
        section.problem("rules", "nothing", "at least one rule, as {bit = 0, flag = \"D\"}");
    }
    let rules: Vec<Option<StatusRule>> = sections
        .into_iter()
        .map(|mut rule| {
            let bit = rule.optional("bit", check::small(0..=15));
            let value = rule.optional("value", check::small(0..=65_535));
            let flag = rule.required("flag", check::one_of(&STATUS_FLAGS));
            let when = match (bit?, value?) {
                (Some(bit), None) => StatusCondition::Bit(bit),
                (None, Some(value)) => StatusCondition::Value(value),
                (Some(_), Some(_)) => {
                    rule.problem("value", "both `bit` and `value`", "one of them a rule");
                    return None;
                }
                (None, None) => {
                    rule.problem("bit", "neither `bit` nor `value`", "one of them a rule");
                    return None;
                }
            };
            Some(StatusRule { when, flag: flag? })
        })
        .collect();
    Some(StatusRegister {
        table: table?,
        address: address?,
        rules: rules.into_iter().collect::<Option<_>>()?,
    })
}

fn outlets(
    root: &mut Section<'_>,
    analysers: Option<&[Analyser]>,
    names: &[Option<String>],
) -> Option<Vec<Outlet>> {
    let sections = root.tables("outlet");
    if sections.is_empty() && !root.has("outlet") {
        root.problem("outlet", "nothing", "at least one table [[outlet]]");
    }
    let mut codes: Vec<String> = Vec::new();
    let mut outlets = Vec::new();
    for mut section in sections {
        let outlet = outlet(&mut section, analysers, names);
        if let Some(outlet) = &outlet {
            if codes.contains(&outlet.code) {
                section.problem("code", &format!("{:?} again", outlet.code), "each outlet once");
            }
            codes.push(outlet.code.clone());
        }
        outlets.push(outlet);
    }
    outlets.into_iter().collect()
}

fn outlet(
    section: &mut Section<'_>,
    analysers: Option<&[Analyser]>,
    names: &[Option<String>],
) -> Option<Outlet> {
    let code = section.required(
        "code",
        check::text("an outlet's code: 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-'", |text| {
            is_outlet_code(text).then(|| text.to_owned())
        }),
    );
    let period = section.with_default("period_ms", period(), Duration::from_secs(2));
    let sections = section.tables("channel");
    if sections.is_empty() || sections.len() > MAX_CHANNELS {
        section.problem(
            "channel",
            &format!("{} channels", sections.len()),
            "1 to 256 tables [[outlet.channel]]",
        );
    }
    let mut channels: Vec<Option<Channel>> = Vec::new();
    for mut section in sections {
        let channel = channel(&mut section, names);
        if let Some(channel) = &channel {
            if channels.iter().flatten().any(|other| other.code == channel.code) {
                section.problem(
                    "code",
                    &format!("\"{}\" again", channel.code),
                    "each channel of an outlet once",
                );
            }
            let analyser = analysers.and_then(|all| all.get(channel.analyser));
            check_timeout(&section, analyser, period);
        }
        channels.push(channel);
    }
    let mut channels = channels.into_iter().collect::<Option<Vec<Channel>>>()?;
    channels.sort_by_key(|channel| channel.code);
    Some(Outlet { code: code?, period: period?, channels })
}

/// An answer later than one period belongs to no scan, so waiting longer for it would be in vain.
fn check_timeout(section: &Section<'_>, analyser: Option<&Analyser>, period: Option<Duration>) {
    let (Some(analyser), Some(period)) = (analyser, period) else { return };
    if analyser.timeout >= period {
        section.problem(
            "analyser",
            &format!(
                "{:?} with timeout_ms = {}, period_ms = {}",
                analyser.name,
                analyser.timeout.as_millis(),
                period.as_millis()
            ),
            "an analyser whose timeout_ms is shorter than the outlet's period_ms",
        );
    }
}

fn period<'c>() -> check::Check<'c, Duration> {
    let inner = check::integer(500..=60_000);
    check::Check::new("milliseconds from 500 to 60000 that divide a minute", move |value| {
        let ms = inner.apply(value).filter(|ms| 60_000 % ms == 0)?;
        u64::try_from(ms).ok().map(Duration::from_millis)
    })
}

fn channel(section: &mut Section<'_>, names: &[Option<String>]) -> Option<Channel> {
    let code = section.required(
        "code",
        check::text("a factor code with an optional suffix, as \"a21026\" or \"a21026-2\"", ChannelCode::new),
    );
    let known: Vec<&str> = names.iter().flatten().map(String::as_str).collect();
    let analyser = section.required(
        "analyser",
        check::text(&format!("the name of an [[analyser]]: {}", known.join(", ")), |text| {
            names.iter().position(|name| name.as_deref() == Some(text))
        }),
    );
    let address = section.required("register", check::small::<u16>(0..=65_535));
    let table = section.with_default("table", check::one_of(&TABLES), Table::Holding);
    let number = section.required("type", check::one_of(&NUMBERS));
    let order = section.with_default("order", check::one_of(&ORDERS), Order::Abcd);
    let scale = section.with_default("scale", check::number(-1e12..=1e12), 1.0);
    let offset = section.with_default("offset", check::number(-1e12..=1e12), 0.0);
    let (address, number) = (address?, number?);
    if address.checked_add(number.words() - 1).is_none() {
        section.problem("register", &address.to_string(), "at most 65534 for a number of two registers");
    }
    if scale.is_some_and(|scale| scale.abs() < f64::MIN_POSITIVE) {
        section.problem("scale", "0", "a scale other than 0");
    }
    Some(Channel {
        code: code?,
        analyser: analyser?,
        table: table?,
        address,
        number,
        order: order?,
        scale: scale?,
        offset: offset?,
    })
}
