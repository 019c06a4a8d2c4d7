//! Tables, plant and configurations of the demonstration; the files are written into the data folder, to be looked at.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context as _;
use jiff::Timestamp;

use crate::config::catalogue::{self, Catalogue, NotifyChannel, NotifyKind};
use crate::config::notify::Settings;
use crate::config::scenario::{Number, Order, Scenario, Table};
use crate::config::{central, gateway, scenario, seeds};
use crate::domain::history::{Dated, History};
use crate::embedded::Account;
use crate::simulator::server::Endpoint;
use crate::store::{connect, migrate, plant};

/// The gateway of the built-in plant.
pub(super) const GATEWAY: &str = "gw-demo";
/// Between polls, live.
const PERIOD_MS: u32 = 1000;
/// Between the scans of the simulated past.
pub(super) const PAST_PERIOD_MS: u32 = 2000;
/// What this command writes into the folder besides the servers' own.
const FILES: [&str; 4] = ["ledger.jsonl", "gateway.toml", "central.toml", "scenario.toml"];
const SCENARIO: &str = include_str!("../../../config/scenario-demo.toml");

/// The demonstration's scenario.
pub(super) fn scenario() -> anyhow::Result<Scenario> {
    Ok(scenario::parse("config/scenario-demo.toml", SCENARIO)?)
}

/// Removes what earlier runs left, except the servers' own folders.
pub(super) fn empty(folder: &Path) -> anyhow::Result<()> {
    for file in FILES {
        let path = folder.join(file);
        if path.exists() {
            std::fs::remove_file(&path).with_context(|| format!("{} cannot be removed", path.display()))?;
        }
    }
    let spool = folder.join("gateway");
    if spool.exists() {
        std::fs::remove_dir_all(&spool).with_context(|| format!("{} cannot be removed", spool.display()))?;
    }
    Ok(())
}

/// Brings the tables to this version and saves the plant. True when the database was empty before.
pub(super) async fn seed(database: &str, webhook: &str, now: Timestamp) -> anyhow::Result<bool> {
    let mut client = connect::connect(database, "cems demo").await?;
    migrate::migrate(&mut client).await?;
    let fresh = plant::load(&client).await?.outlets.is_empty();
    let mut given = if fresh {
        let mut given = catalogue::parse(&[seeds::pollutants(), seeds::rules(), seeds::demonstration()])?;
        poll_faster_from(&mut given, Timestamp::from_second(now.as_second())?)?;
        given
    } else {
        Catalogue::default()
    };
    given.notify.push(NotifyChannel {
        id: 0,
        name: "demo".to_owned(),
        kind: NotifyKind::Webhook,
        url: Some(webhook.to_owned()),
        settings: Settings::default(),
        broadcast: true,
        enabled: true,
    });
    plant::save(&mut client, &given).await?;
    Ok(fresh)
}

/// Before `from` the plant was polled every two seconds, from then on every second: both hold at their time.
fn poll_faster_from(given: &mut Catalogue, from: Timestamp) -> anyhow::Result<()> {
    for outlet in &mut given.outlets {
        for (_, history) in &mut outlet.channels {
            let Some(known) = history.iter().next().cloned() else { continue };
            let before =
                crate::domain::plant::ChannelSettings { period_ms: PAST_PERIOD_MS, ..known.value.clone() };
            let after = crate::domain::plant::ChannelSettings { period_ms: PERIOD_MS, ..known.value };
            *history = History::new(vec![
                Dated { from: known.from, until: None, value: before },
                Dated { from, until: None, value: after },
            ])?;
        }
    }
    Ok(())
}

/// The centre's configuration.
pub(super) fn central(
    database: &str,
    broker: u16,
    (listen, account): (SocketAddr, &Account),
    folder: &Path,
) -> anyhow::Result<central::Central> {
    let text = format!(
        "schema = \"central/1\"\n\n[central]\nzone = \"Asia/Shanghai\"\n\n[database]\nurl = \"{database}\"\n\n\
         [mqtt]\nurl = \"mqtt://127.0.0.1:{broker}\"\nuser = \"{}\"\n\n[http]\nlisten = \"{listen}\"\n\n\
         [alerting]\nallow_private = true\n",
        account.user
    );
    let mut config = central::parse(&write(folder, "central.toml", &text)?, &text)?;
    config.mqtt.password = Some(account.password.clone());
    Ok(config)
}

/// The gateway's configuration: every analyser of the scenario at the address that its server listens on.
pub(super) fn gateway(
    scenario: &Scenario,
    endpoints: &[Endpoint],
    (broker, account): (u16, &Account),
    folder: &Path,
) -> anyhow::Result<gateway::Gateway> {
    let mut text = format!(
        "schema = \"gateway/1\"\n\n[gateway]\nname = \"{GATEWAY}\"\ndata_dir = \"{}\"\n\n[mqtt]\nurl = \"mqtt://127.0.0.1:{broker}\"\n\n\
         [publish]\nbackfill_records_per_s = 20000\nwindow = 6000\n",
        folder.join("gateway").display()
    );
    for endpoint in endpoints {
        write!(
            text,
            "\n[[analyser]]\nname = \"{}\"\nlink = \"tcp://{}\"\nunit = {}\ntimeout_ms = 400\n",
            analyser_name(&endpoint.outlet, &endpoint.analyser),
            endpoint.address,
            endpoint.unit
        )?;
        let outlet = scenario.outlets.iter().find(|outlet| outlet.code == endpoint.outlet);
        let analyser =
            outlet.and_then(|outlet| outlet.analysers.iter().find(|one| one.name == endpoint.analyser));
        if let Some(status) = analyser.and_then(|analyser| analyser.status.as_ref()) {
            let table = table_name(status.table);
            write!(
                text,
                "[analyser.status]\nregister = {}\ntable = \"{table}\"\nrules = [{{ bit = 2, flag = \"D\" }}, {{ bit = 1, flag = \"M\" }}, \
                 {{ bit = 0, flag = \"C\" }}, {{ bit = 3, flag = \"T\" }}]\n",
                status.register
            )?;
        }
    }
    for outlet in &scenario.outlets {
        write!(text, "\n[[outlet]]\ncode = \"{}\"\nperiod_ms = {PERIOD_MS}\n", outlet.code)?;
        for analyser in &outlet.analysers {
            for channel in &analyser.channels {
                let (number, order) = number_name(channel.number);
                write!(
                    text,
                    "[[outlet.channel]]\ncode = \"{}\"\nanalyser = \"{}\"\nregister = {}\ntable = \"{}\"\ntype = \"{number}\"\n{order}\
                     scale = {:?}\noffset = {:?}\n",
                    channel.code,
                    analyser_name(&outlet.code, &analyser.name),
                    channel.place.register,
                    table_name(channel.place.table),
                    channel.scale,
                    channel.offset
                )?;
            }
        }
    }
    let mut config = gateway::parse(&write(folder, "gateway.toml", &text)?, &text)?;
    config.mqtt.password = Some(account.password.clone());
    Ok(config)
}

/// Analysers are named within their outlet by the plant, within the gateway by its configuration.
pub(super) fn analyser_name(outlet: &str, analyser: &str) -> String {
    format!("{outlet}.{analyser}")
}

const fn table_name(table: Table) -> &'static str {
    match table {
        Table::Holding => "holding",
        Table::Input => "input",
    }
}

fn number_name(number: Number) -> (&'static str, String) {
    let order = |order: Order| {
        let name = match order {
            Order::Abcd => "ABCD",
            Order::Cdab => "CDAB",
            Order::Badc => "BADC",
            Order::Dcba => "DCBA",
        };
        format!("order = \"{name}\"\n")
    };
    match number {
        Number::U16 => ("u16", String::new()),
        Number::I16 => ("i16", String::new()),
        Number::U32(which) => ("u32", order(which)),
        Number::I32(which) => ("i32", order(which)),
        Number::F32(which) => ("f32", order(which)),
    }
}

fn write(folder: &Path, name: &str, text: &str) -> anyhow::Result<String> {
    let path = folder.join(name);
    std::fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(path.display().to_string())
}
