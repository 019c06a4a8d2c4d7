//! One register value becomes one alert: simulator, gateway, mosquitto, centre, PostgreSQL and webhook. What must come out is
//! worked out here.

use std::time::Duration;

use cems::config::gateway;
use cems::shutdown::Shutdown;
use cems::telemetry::Reporting;
use serde_json::Value;

use crate::support::centre::{Centre, Webhook, notify, seed};
use crate::support::chain::{Chain, LIMIT, all_ready};
use crate::support::database::database;
use crate::support::formulas::{self, close};
use crate::support::pymodbus;
use crate::support::servers::{broker, folder};
use crate::support::wait::wait_until;

const GLASS: &str = "demo-glass-furnace";
/// From the change of the register to the webhook's receipt, with one scan a second.
const IN_TIME: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn one_register_becomes_one_alert() {
    let chain = Chain::start("").await;
    // Each is between the outlet's two limits, so exactly one rule is concerned: (channel, held, lower limit, higher one).
    for (told, (channel, held, limit, above)) in
        [("a21026", 60.0, 50.0, 200.0), ("a34013", 9.0, 10.0, 30.0)].into_iter().enumerate()
    {
        let changed = chain.plant.control().hold(GLASS, channel, held).unwrap();
        let (received, alert) = wait_until(LIMIT, "the alert", || async {
            let alerts = chain.webhook.alerts();
            alerts.get(told).cloned().ok_or(alerts)
        })
        .await;
        let took = received.duration_since(changed);
        println!("{channel}: register to webhook in {} ms", took.as_millis());
        assert!(took.unsigned_abs() <= IN_TIME && took.is_positive(), "{took}: {alert}");

        let second = alert["at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second();
        let scan = formulas::scans(&chain.plant.served()).remove(&(GLASS.to_owned(), second)).unwrap();
        let dry = formulas::dry(&scan, channel).unwrap();
        let corrected = formulas::corrected(dry, scan["a19001"], formulas::OUTLETS[1]);
        assert!(limit < corrected && corrected < above, "the test is to concern one rule: {corrected}");
        assert_eq!((scan[channel], alert["measured"].as_f64()), (held, Some(held)));
        assert_eq!(alert["oxygen"].as_f64(), Some(scan["a19001"]));
        let number = |key: &str| alert[key].as_f64().unwrap();
        assert!(close(number("corrected"), corrected), "{corrected} {alert}");
        assert!(close(number("ratio_over"), corrected / limit - 1.0), "{alert}");
        let texts = [("kind", "early-warning"), ("channel", channel), ("unit", "mg/m3")];
        assert!(texts.iter().all(|(key, text)| alert[key] == *text), "{alert}");
        assert_eq!((&alert["outlet"]["code"], number("limit")), (&Value::from(GLASS), limit));
        assert_eq!(number("reference_oxygen"), 8.0);
        assert!(alert["rule"].as_str().unwrap().starts_with("jiaozuo-2019-glass-furnace-"), "{alert}");

        // It goes on being above, and nobody is told again.
        chain.plant.runs_for(4).await;
        assert_eq!(chain.webhook.alerts().len(), told + 1, "{:?}", chain.webhook.alerts());
        let sql = "SELECT count(*) FROM episode WHERE channel = $1 AND state = 'open'";
        assert_eq!(chain.client.query_one(sql, &[&channel]).await.unwrap().get::<_, i64>(0), 1);
    }
    chain.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_independent_slave_stands_in_for_the_simulator() {
    let Some((_server, port)) = pymodbus::start() else { return };
    let (database, broker, webhook, folder) =
        (database().await, broker().await, Webhook::listen().await, folder());
    let mut client = database.client().await;
    seed(&mut client, &[notify(&webhook)]).await;
    let centre = Centre::start(database.url(), broker.port(), "").await;
    all_ready(&centre).await;

    // Nothing but configuration: 31.25 mg/m3 SO2 at 9.5 % O2, and -0.15625 kPa with the words the other way round.
    let text = format!(
        "schema = \"gateway/1\"\n[gateway]\nname = \"gw-demo\"\ndata_dir = \"{}\"\n[mqtt]\nurl = \"mqtt://127.0.0.1:{}\"\n\
         [[analyser]]\nname = \"slave\"\nlink = \"tcp://127.0.0.1:{port}\"\nunit = 1\ntimeout_ms = 700\n\
         [[outlet]]\ncode = \"demo-cement-kiln\"\nperiod_ms = 1000\n\
         [[outlet.channel]]\ncode = \"a21026\"\nanalyser = \"slave\"\nregister = 10\ntype = \"f32\"\n\
         [[outlet.channel]]\ncode = \"a01013\"\nanalyser = \"slave\"\nregister = 12\ntype = \"f32\"\norder = \"CDAB\"\n\
         [[outlet.channel]]\ncode = \"a19001\"\nanalyser = \"slave\"\nregister = 0\ntable = \"input\"\ntype = \"f32\"\n",
        folder.path().join("spool").display(),
        broker.port()
    );
    let config = gateway::parse("gateway.toml", &text).unwrap_or_else(|problems| panic!("{problems}"));
    let shutdown = Shutdown::new();
    let gateway = cems::gateway::start(config, Reporting::default(), shutdown.clone()).await.unwrap();
    let sql = "SELECT string_agg(channel || ' ' || measured || ' ' || flag, ', ' ORDER BY channel), max(corrected) FROM reading \
               WHERE outlet = 'demo-cement-kiln' AND measured IS NOT NULL GROUP BY measured_at HAVING count(*) = 3";
    let row = wait_until(LIMIT, "a stored row", || async {
        client.query(sql, &[]).await.unwrap().into_iter().next().ok_or("no row with three values")
    })
    .await;
    assert_eq!(row.get::<_, &str>(0), "a01013 -0.15625 N, a19001 9.5 N, a21026 31.25 N");
    assert!(close(row.get(1), 31.25 * (21.0 - 10.0) / (21.0 - 9.5)));
    shutdown.cancel();
    gateway.wait().await.unwrap();
    centre.stop().await;
}
