//! Who falls silent is told once, at the level that explains it, and so is who comes back.

use serde_json::Value;

use crate::support::chain::{Chain, LIMIT};
use crate::support::told::told;
use crate::support::wait::wait_until;

const KILN: &str = "demo-cement-kiln";
const CARBON: &str = "demo-carbon-roasting";

/// Waits for the next alert after `told` and gives kind, outlet, analyser and gateway.
async fn next(chain: &Chain, told: usize) -> [String; 4] {
    let alert = wait_until(LIMIT, "an alert", || async {
        let alerts = chain.webhook.alerts();
        alerts.get(told).map(|(_, body)| body.clone()).ok_or(alerts.len())
    })
    .await;
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    [&alert["kind"], &alert["outlet"]["code"], &alert["analyser"], &alert["gateway"]].map(text)
}

/// What people read of it, in both languages.
async fn words(chain: &Chain, kind: &str) {
    let (zh, en) = told(&chain.client, kind, "begun").await;
    insta::assert_snapshot!(kind, format!("{zh}\n\n{en}"));
}

async fn closed(chain: &Chain, kind: &str) {
    wait_until(LIMIT, "the episode to close", || async {
        let sql = "SELECT state FROM episode WHERE kind = $1";
        let rows = chain.client.query(sql, &[&kind]).await.unwrap();
        let states: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        if states == ["closed"] { Ok(()) } else { Err(states) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn analyser_outlet_and_gateway_each_raise_their_own_alert_once() {
    let mut chain = Chain::start("[silence]\nafter_s = 3\ncheck_ms = 200\n").await;
    let control = chain.plant.control();

    control.silence(KILN, Some("gas")).unwrap();
    assert_eq!(next(&chain, 0).await, ["silent-analyser", KILN, "gas", ""]);
    words(&chain, "silent-analyser").await;
    // Twice the limit, and nobody is told again, or of anything else.
    chain.plant.runs_for(6).await;
    control.unsilence(KILN, Some("gas")).unwrap();
    closed(&chain, "silent-analyser").await;

    control.silence(CARBON, None).unwrap();
    assert_eq!(next(&chain, 1).await, ["silent-outlet", CARBON, "", "gw-demo"]);
    words(&chain, "silent-outlet").await;
    chain.plant.runs_for(6).await;
    control.unsilence(CARBON, None).unwrap();
    closed(&chain, "silent-outlet").await;
    // Its analysers come back one after the other, as the gateway's back-off has it.
    chain.plant.runs_for(6).await;

    chain.plant.stop_gateway().await;
    assert_eq!(next(&chain, 2).await, ["silent-gateway", "", "", "gw-demo"]);
    let from = cems::clock::now().as_second();
    wait_until(LIMIT, "twice the limit", || async {
        let now = cems::clock::now().as_second();
        if now >= from + 6 { Ok(()) } else { Err(now) }
    })
    .await;
    chain.plant.start_gateway().await;
    closed(&chain, "silent-gateway").await;
    chain.plant.runs_for(6).await;

    let kinds: Vec<String> =
        chain.webhook.alerts().iter().map(|(_, body)| body["kind"].to_string()).collect();
    assert_eq!(kinds, ["\"silent-analyser\"", "\"silent-outlet\"", "\"silent-gateway\""]);
    let told: i64 = chain.client.query_one("SELECT count(*) FROM alert", &[]).await.unwrap().get(0);
    assert_eq!(told, 3);
    chain.centre.stop().await;
}
