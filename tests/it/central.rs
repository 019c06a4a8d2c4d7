//! The centre on real PostgreSQL and real mosquitto, fed with records made here.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use cems::clock;

use crate::support::wait::wait_until;
use crate::support::world::{LIMIT, Sender, World, kiln, whole_second, world};

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_is_stored_receipted_and_warns_once() {
    let world = world("").await;
    let mut sender = Sender::connect(world.broker.port()).await;
    let at = whole_second();
    let bytes = sender.record(at, &kiln(60.0, 13.5));
    sender.publish("live", 0, std::slice::from_ref(&bytes)).await;
    assert!(sender.receipted(0..1).await.is_empty());
    let row = world
        .client
        .query_one(
            "SELECT measured, corrected, flag, device_flag FROM reading WHERE outlet = 'demo-cement-kiln' AND channel = 'a21026'",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(row.get::<_, Option<f64>>(0), Some(60.0));
    assert_eq!(row.get::<_, Option<f64>>(1), Some(88.0));
    assert_eq!((row.get::<_, &str>(2), row.get::<_, &str>(3)), ("N", "N"));

    let alert = wait_until(LIMIT, "the early warning", || async {
        let found = world.webhook.of_kind("early-warning");
        found.iter().find(|alert| alert["limit"] == 35.0).cloned().ok_or(found)
    })
    .await;
    assert_eq!((alert["channel"].as_str(), alert["measured"].as_f64()), (Some("a21026"), Some(60.0)));
    assert_eq!((alert["corrected"].as_f64(), alert["reference_oxygen"].as_f64()), (Some(88.0), Some(10.0)));
    assert_eq!(format!("{:.2}", alert["ratio_over"].as_f64().unwrap()), "1.51");
    assert_eq!(alert["outlet"]["code"], "demo-cement-kiln");

    // The next scan is above as well: the same episode, nobody is told again.
    let told = world.count("SELECT count(*) FROM alert").await;
    let bytes = sender.record(at + SignedDuration::from_secs(1), &kiln(62.0, 13.5));
    sender.publish("live", 1, &[bytes]).await;
    sender.receipted(1..2).await;
    assert_eq!(world.count("SELECT count(*) FROM alert").await, told);
    assert!(world.count("SELECT count(*) FROM episode WHERE state = 'open' AND peak > 90").await >= 1);
    world.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_minute_ends_an_early_warning_and_it_may_begin_again() {
    let world = world("").await;
    let mut sender = Sender::connect(world.broker.port()).await;
    let above = whole_second() - SignedDuration::from_secs(20);
    let open = "SELECT count(*) FROM episode WHERE kind = 'early-warning' AND state = 'open'";
    let closed = "SELECT count(*) FROM episode WHERE kind = 'early-warning' AND state = 'closed'";
    // Two rules have the limit of 35 mg/m3; the gateway's clock may be ahead of ours by less than a minute.
    for (number, (after, so2, expected)) in
        [(0, 60.0, (2, 0)), (1, 20.0, (2, 0)), (59, 20.0, (2, 0)), (60, 20.0, (0, 2)), (61, 60.0, (2, 2))]
            .into_iter()
            .enumerate()
    {
        let bytes = sender.record(above + SignedDuration::from_secs(after), &kiln(so2, 10.0));
        let number = number as u64;
        sender.publish("live", number, &[bytes]).await;
        sender.receipted(number..number + 1).await;
        assert_eq!((world.count(open).await, world.count(closed).await), expected, "after {after} s");
    }
    wait_until(LIMIT, "two alerts of each episode", || async {
        let told = world.webhook.of_kind("early-warning").len();
        if told == 4 { Ok(()) } else { Err(told) }
    })
    .await;
    world.centre.stop().await;
}

/// The number of rows of every table, when all windows that are over are computed.
async fn rows_at_rest(world: &World) -> BTreeMap<String, i64> {
    wait_until(LIMIT, "all windows", || async {
        let heard = world.count("SELECT count(*) FROM gateway_heard").await;
        let due = world.count("SELECT (SELECT count(*) FROM due WHERE due_at < now() + interval '1 minute') + (SELECT count(*) FROM reckoning_due)").await;
        if (heard, due) == (1, 0) { Ok(()) } else { Err((heard, due)) }
    })
    .await;
    let sql = "SELECT relname::text FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition \
               AND relnamespace = 'public'::regnamespace";
    let mut counts = BTreeMap::new();
    for row in world.client.query(sql, &[]).await.unwrap() {
        let table: String = row.get(0);
        let count = world.count(&format!("SELECT count(*) FROM \"{table}\"")).await;
        counts.insert(table, count);
    }
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_bytes_again_change_nothing_and_other_bytes_are_a_conflict() {
    let world = world("[silence]\ncheck_ms = 100\n[windows]\ndebounce_ms = 100\nsettle_ms = 100\n").await;
    let mut sender = Sender::connect(world.broker.port()).await;
    // Old enough that all windows up to the month are over.
    let at = whole_second() - SignedDuration::from_hours(40 * 24);
    let lines: Vec<Vec<u8>> =
        (0..5).map(|i| sender.record(at - SignedDuration::from_secs(i), &kiln(20.0, 10.0))).collect();
    sender.publish("live", 0, &lines).await;
    sender.receipted(0..5).await;
    let before = rows_at_rest(&world).await;
    assert!(before.len() > 20 && before["average_wide"] >= 1, "{before:?}");
    assert_eq!(before["scan"], 5);
    for lane in ["live", "backfill", "live"] {
        sender.publish(lane, 0, &lines).await;
        assert!(sender.receipted(0..5).await.is_empty());
    }
    assert_eq!(rows_at_rest(&world).await, before);

    // The same tick with another value: the first stands, the second is kept whole, a person is told.
    let other = sender.record(at, &kiln(19.0, 10.0));
    sender.publish("live", 5, std::slice::from_ref(&other)).await;
    assert_eq!(sender.receipted(5..6).await, [5]);
    let kept = world.client.query_one("SELECT reason, payload FROM quarantine", &[]).await.unwrap();
    assert!(kept.get::<_, &str>(0).contains("conflict"));
    assert_eq!(kept.get::<_, Vec<u8>>(1), other);
    assert_eq!(world.count("SELECT count(*) FROM scan WHERE 19.0 = ANY (measured)").await, 0);
    wait_until(LIMIT, "the conflict alert", || async {
        if world.webhook.of_kind("conflict").len() == 1 { Ok(()) } else { Err(world.webhook.alerts()) }
    })
    .await;
    world.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_is_refused_as_a_conflict_warns_nobody() {
    let world = world("").await;
    let mut sender = Sender::connect(world.broker.port()).await;
    let at = whole_second();
    for (number, so2) in [(0, 20.0), (1, 60.0)] {
        let bytes = sender.record(at, &kiln(so2, 10.0));
        sender.publish("live", number, &[bytes]).await;
        sender.receipted(number..number + 1).await;
    }
    wait_until(LIMIT, "the conflict alert", || async {
        if world.webhook.of_kind("conflict").len() == 1 { Ok(()) } else { Err(world.webhook.alerts()) }
    })
    .await;
    assert_eq!(world.count("SELECT count(*) FROM episode WHERE kind = 'early-warning'").await, 0);
    assert_eq!(world.webhook.alerts().len(), 1);
    world.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_kept_whole_receipted_and_never_stored() {
    let world = world("").await;
    let mut sender = Sender::connect(world.broker.port()).await;
    let at = whole_second();
    let good = sender.record(at, &kiln(20.0, 10.0));
    let text = String::from_utf8(good.clone()).unwrap();
    let spoiled: Vec<Vec<u8>> = vec![
        b"{\"v\":1".to_vec(),
        text.replace("\"v\":1", "\"v\":9").into_bytes(),
        text.replace("20.0", "20.00").into_bytes(),
        text.replace("demo-cement-kiln", "nowhere").into_bytes(),
        b"\xff\x00\xfe".to_vec(),
        text.replace("[20.0,", "[NaN,").into_bytes(),
    ];
    let mut lines = vec![good];
    lines.extend(spoiled.clone());
    sender.publish("live", 0, &lines).await;
    assert_eq!(sender.receipted(0..7).await, [1, 2, 3, 4, 5, 6]);
    assert_eq!(world.count("SELECT count(*) FROM scan").await, 1);
    let rows = world.client.query("SELECT payload FROM quarantine ORDER BY seq_first", &[]).await.unwrap();
    let kept: Vec<Vec<u8>> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(kept, spoiled);
    assert_eq!(world.count("SELECT count(*) FROM quarantined WHERE gateway = 'gw-demo'").await, 6);
    world.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn past_hours_are_averaged_and_judged_and_page_nobody() {
    let world = world("[windows]\ndebounce_ms = 500\nsettle_ms = 500\n").await;
    let mut sender = Sender::connect(world.broker.port()).await;
    // One past hour, in order of the newest first as a backfill comes; 50 minutes of it are there.
    let hour = Timestamp::from_second((clock::now().as_second() / 3600 - 30) * 3600).unwrap();
    let scans: Vec<Timestamp> = (0..50 * 12).map(|i| hour + SignedDuration::from_secs(i * 5)).collect();
    let mut lines = Vec::new();
    for at in scans.iter().rev() {
        lines.push(sender.record(*at, &kiln(60.0, 13.5)));
    }
    for (index, chunk) in lines.chunks(50).enumerate() {
        sender.publish("backfill", index as u64 * 50, chunk).await;
    }
    sender.receipted(0..600).await;
    let row = wait_until(LIMIT, "the hour of 50 valid minutes", || async {
        let sql = "SELECT measured, dry, corrected, n_valid, n_expected, flag, status, valid, mass_kg::float8 FROM average \
                   WHERE channel = 'a21026' AND period = 'hour'";
        let rows = world.client.query(sql, &[]).await.unwrap();
        let found = rows.into_iter().find(|row| row.get::<_, i32>(3) == 50);
        found.ok_or(world.count("SELECT count(*) FROM due").await)
    })
    .await;
    assert_eq!(row.get::<_, Option<f64>>(0), Some(60.0));
    assert_eq!(row.get::<_, Option<f64>>(2), Some(88.0));
    assert_eq!(row.get::<_, i32>(4), 60);
    // 12 of 60 scans make each minute statistically valid, but the transport flag wants three quarters: two questions.
    assert_eq!((row.get::<_, &str>(5), row.get::<_, &str>(6), row.get::<_, bool>(7)), ("D", "N", true));
    assert!(row.get::<_, f64>(8) > 1.0);
    let sql = "SELECT count(*) FROM verdict WHERE channel = 'a21026' AND period = 'hour' AND \"limit\" = 35 AND verdict = 'exceeded'";
    wait_until(LIMIT, "the verdicts of the two rules of 35 mg/m3", || async {
        let count = world.count(sql).await;
        if count == 2 { Ok(()) } else { Err(count) }
    })
    .await;
    wait_until(LIMIT, "the historical episode", || async {
        let count = world
            .count("SELECT count(*) FROM episode WHERE kind = 'exceedance' AND state = 'historical'")
            .await;
        if count >= 1 { Ok(()) } else { Err(count) }
    })
    .await;
    the_hour_over_http(&world, hour).await;
    assert!(world.webhook.alerts().is_empty(), "nobody is paged for history");
    assert_eq!(world.count("SELECT count(*) FROM alert").await, 0);
    drop(sender);
    world.centre.stop().await;
    drop(world.database);
}

/// What users of the API get for that hour: every figure and the verdict of every rule.
async fn the_hour_over_http(world: &World, hour: Timestamp) {
    let to = hour + SignedDuration::from_hours(1);
    let path = format!("/api/v1/outlets/demo-cement-kiln/averages?period=hour&from={hour}&to={to}");
    let http = cems::central::notify::webhook::client().unwrap();
    let body: serde_json::Value =
        serde_json::from_str(&http.get(world.centre.url(&path)).send().await.unwrap().text().await.unwrap())
            .unwrap();
    let text = body.to_string();
    let all = body["averages"].as_array().unwrap_or_else(|| panic!("{text}"));
    assert_eq!(all.len(), 8, "one for each channel: {text}");
    let so2 = all.iter().find(|average| average["channel"] == "a21026").unwrap();
    assert_eq!(
        (so2["measured"].as_f64(), so2["dry"].as_f64(), so2["corrected"].as_f64()),
        (Some(60.0), Some(60.0), Some(88.0))
    );
    assert_eq!(
        (so2["n_valid"].as_i64(), so2["n_expected"].as_i64(), so2["flag"].as_str()),
        (Some(50), Some(60), Some("D"))
    );
    let verdicts: Vec<(f64, &str)> = so2["verdicts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|verdict| (verdict["limit"].as_f64().unwrap(), verdict["verdict"].as_str().unwrap()))
        .collect();
    assert_eq!(verdicts.len(), 4, "{text}");
    for (limit, verdict) in verdicts {
        assert_eq!(verdict, if limit < 88.0 { "exceeded" } else { "met" }, "{limit}");
    }
}
