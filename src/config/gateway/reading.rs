//! Reads a gateway's configuration section by section; every value is checked where it is read.

/// `[[analyser]]`.
mod analysers;
/// `[[outlet]]` and `[[outlet.channel]]`.
mod channels;
/// `[[check]]`.
mod checks;
/// `[[line]]`, and the links of analysers that name none.
mod lines;
/// Which registers hold a number.
mod place;
/// From the raw number to the value.
mod signal;
/// Status words, quality words, registers that change.
mod trust;

use std::path::PathBuf;
use std::time::Duration;

use config::ValueKind;

use sha2::{Digest, Sha256};

use crate::config::broker;
use crate::config::check;
use crate::config::document::{Document, Section};
use crate::config::gateway::library::Library;
use crate::config::gateway::{Gateway, Mqtt, Publish, Spool, WhenFull};
use crate::domain::plant::is_gateway_name;

pub(super) use analysers::Mapped;
pub(super) use checks::{checks, named_once};
pub use lines::line_of_text;
pub(super) use place::value_place;
pub(super) use signal::{Signal, signal, target};
pub(super) use trust::{Trust, statuses, trust};

const WHEN_FULL: [(&str, WhenFull); 2] = [("thin", WhenFull::Thin), ("stop", WhenFull::Stop)];

fn hash(text: &str, document: &Document, library: &Library) -> [u8; 32] {
    let mut content = text.to_owned();
    let mut add = |key: &str, value: &str| {
        content.push_str("\n# ");
        content.push_str(key);
        content.push('=');
        content.push_str(value);
    };
    for (key, value) in document.overlaid().iter().filter(|(key, _)| *key != "mqtt.password") {
        add(key, value);
    }
    for (name, text) in library.texts() {
        add(&format!("template {name}"), &hex::encode(Sha256::digest(text.as_bytes())));
    }
    Sha256::digest(content.as_bytes()).into()
}

pub fn gateway(document: &Document, text: &str, library: &mut Library) -> Option<Gateway> {
    let mut root = document.root();
    let schema = root.required("schema", check::one_of(&[("gateway/1", ())]));
    let mut head = root.table("gateway");
    let name = head.required(
        "name",
        check::text("a name of 1 to 64 of a-z, 0-9 and '-', not \"central\"", |text| {
            is_gateway_name(text).then(|| text.to_owned())
        }),
    );
    let data_dir = head.required("data_dir", check::any_text().map(PathBuf::from));
    let templates_dir = head.with_default("templates_dir", check::any_text(), "analysers".to_owned());
    drop(head);
    if let Some(folder) = templates_dir {
        library.look_in(&folder);
    }
    let mqtt = mqtt(&mut root.table("mqtt"), name.as_deref());
    let spool = spool(root.optional_table("spool"));
    let publish = publish(root.optional_table("publish"));
    let status = match root.optional_table("status") {
        Some(mut section) => section
            .required(
                "listen",
                check::text("an address to listen at, as \"127.0.0.1:8090\"", |text| text.parse().ok()),
            )
            .map(Some),
        None => Some(None),
    };
    let mut lines = lines::read(&mut root);
    let analysers = analysers::read(&mut root, &mut lines, library);
    let outlets = channels::outlets(&mut root, &analysers);
    analysers::check_together(&analysers, &lines, outlets.as_deref());
    schema?;
    Some(Gateway {
        name: name?,
        data_dir: data_dir?,
        mqtt: mqtt?,
        spool: spool?,
        publish: publish?,
        status: status?,
        lines: lines.finish()?,
        analysers: analysers.into_iter().map(|known| known.analyser).collect::<Option<_>>()?,
        outlets: outlets?,
        hash: hash(text, document, library),
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
