//! A gateway that lost its spool: what is gone is told once, the chain goes on, and `cems verify` explains the gap.

use std::process::Command;

use serde_json::Value;

use crate::support::chain::Chain;
use crate::support::wait::wait_until;
use crate::support::world::{LIMIT, Sender, World, kiln, whole_second, world};

/// What `cems verify` says of the demonstration's gateway, and its exit code.
fn verified(url: &str) -> (Option<i32>, Value) {
    let output = Command::new(env!("CARGO_BIN_EXE_cems"))
        .args(["verify", "--gateway", "gw-demo", "--json", "--database", url])
        .output()
        .unwrap();
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    (output.status.code(), report)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spool_that_is_gone_is_told_once_and_the_chain_goes_on() {
    let mut chain = Chain::start("").await;
    chain.plant.runs_for(3).await;
    // Nobody receipts: what is read now is in the spool alone, and goes with it.
    chain.broker.kill().await;
    chain.plant.runs_for(4).await;
    let gone = chain.plant.spooled();
    assert!(gone >= 9, "{gone}");
    chain.plant.stop_gateway().await;
    chain.plant.lose_spool();
    chain.broker.restart().await.unwrap();
    chain.plant.start_gateway().await;
    wait_until(LIMIT, "the alert", || async {
        let told = chain.webhook.of_kind("lost-range");
        if told.len() == 1 { Ok(()) } else { Err(told) }
    })
    .await;
    chain.plant.runs_for(3).await;
    chain.plant.all_receipted(LIMIT).await;

    let sql = "SELECT epoch::text, seq, detail::jsonb->>'epoch', (detail::jsonb->>'next')::bigint FROM event WHERE event = 'lost-range'";
    let events = chain.client.query(sql, &[]).await.unwrap();
    assert_eq!(events.len(), 1);
    let (epoch, before): (String, String) = (events[0].get(0), events[0].get(2));
    assert_ne!(epoch.replace('-', ""), before, "a new epoch");
    assert_eq!(events[0].get::<_, i64>(1), 0, "it is the first record");
    let told = chain.webhook.of_kind("lost-range").remove(0);
    let summary = told["summary"].as_str().unwrap();
    assert!(told["gateway"] == "gw-demo" && summary.contains(&before), "{told}");
    let stored: i64 = chain
        .client
        .query_one("SELECT max(seq) FROM (SELECT seq, provenance_id FROM scan UNION ALL SELECT seq, provenance_id FROM event) r \
                    JOIN provenance p ON p.id = r.provenance_id WHERE replace(p.epoch::text, '-', '') = $1", &[&before])
        .await
        .unwrap()
        .get(0);
    let next: i64 = events[0].get(3);
    assert!(next > stored, "next {next} is behind the last stored record {stored}");

    // The end of the centre writes down how far the chains have come.
    chain.plant.stop_gateway().await;
    chain.centre.shut().await;
    let (code, report) = verified(chain.database.url());
    assert_eq!((code, &report["clean"]), (Some(0), &Value::Bool(true)), "{report}");
    let epochs = report["epochs"].as_array().unwrap();
    assert_eq!(epochs.len(), 2, "{report}");
    let newest = epochs.iter().find(|one| one["epoch"] != before.as_str()).unwrap();
    assert_eq!(newest["begins"], "behind-lost", "{report}");
    assert_eq!(newest["first_seq"], 0);
    assert_eq!(chain.webhook.of_kind("lost-range").len(), 1, "told once");
}

/// Ten minutes without a new case end an episode of this kind: as if they were over.
async fn long_after(world: &World) {
    let sql = "UPDATE episode_row SET closed_at = now(), state = 'closed' WHERE kind = 'lost-range' AND closed_at IS NULL";
    assert_eq!(world.client.execute(sql, &[]).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_loss_told_again_long_after_alerts_nobody_and_another_loss_does() {
    let world = world("").await;
    let mut sender = Sender::connect(world.broker.port()).await;
    let at = whole_second();
    let line = sender.record(at, &kiln(20.0, 10.0));
    sender.publish("live", 0, &[line]).await;
    sender.receipted(0..1).await;
    sender.new_epoch();
    let lost = |epoch: String| [("epoch", epoch), ("next", "1".to_owned()), ("file", String::new())];
    let alerts = "SELECT count(*) FROM alert WHERE kind = 'lost-range'";
    let detail = lost(sender.before[0].to_string());
    let detail: Vec<(&str, &str)> = detail.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let line = sender.event(at, "lost-range", &detail);
    for lane in ["live", "backfill", "live"] {
        // The receipt may have been lost on its way: the gateway then sends the same event again.
        sender.publish(lane, 0, std::slice::from_ref(&line)).await;
        assert!(sender.receipted(0..1).await.is_empty());
        assert_eq!(world.count(alerts).await, 1);
        if lane == "live"
            && world
                .count("SELECT count(*) FROM episode_row WHERE kind = 'lost-range' AND closed_at IS NULL")
                .await
                == 1
        {
            long_after(&world).await;
        }
    }
    // Other bytes under its number are a conflict, and no news either.
    let first = sender.seq;
    sender.seq = 0;
    let other = sender.event(at, "lost-range", &[("epoch", "unknown"), ("next", "unknown")]);
    sender.seq = first;
    sender.publish("live", 0, std::slice::from_ref(&other)).await;
    assert_eq!(sender.receipted(0..1).await, [0]);
    assert_eq!(world.count(alerts).await, 1);

    let line = sender.event(at, "lost-range", &detail);
    sender.publish("live", first, &[line]).await;
    sender.receipted(first..first + 1).await;
    assert_eq!(world.count(alerts).await, 2);
    world.centre.stop().await;
}
