//! Quarantine on real parts: its cap, and what `cems quarantine` does with it.

use std::collections::BTreeSet;
use std::process::{Command, Output};

use cems::central::verify::{Question, verify};
use cems::clock;
use cems::config::kind::Source;
use cems::config::seeds;
use cems::mqtt::connection::Notice;
use cems::mqtt::receipt::Receipt;
use cems::mqtt::record::Hash;
use cems::store::plant;
use jiff::{SignedDuration, Timestamp};

use crate::support::centre::seed;
use crate::support::chain::nothing_lost;
use crate::support::plant::Plant;
use crate::support::wait::wait_until;
use crate::support::world::{LIMIT, Sender, World, kiln, two_gateways, whole_second, world_of};

const GLASS: &str = "demo-glass-furnace";

fn run(world: &World, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cems"))
        .arg("quarantine")
        .args(arguments)
        .args(["--database", world.database.url()])
        .output()
        .unwrap()
}

/// What it printed, when it went well.
fn printed(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Reads receipts until this number is covered; gives all numbers below 100 that were, stored and quarantined.
async fn covered(sender: &mut Sender, until: u64, kept: usize) -> (BTreeSet<u64>, BTreeSet<u64>) {
    let (mut stored, mut quarantined) = (BTreeSet::new(), BTreeSet::new());
    while !stored.contains(&until) || quarantined.len() < kept {
        let notice = tokio::time::timeout(LIMIT, sender.notices.recv()).await;
        let Some(Notice::Message(message)) = notice.unwrap_or_else(|_| panic!("no receipt for {until}"))
        else {
            continue;
        };
        let receipt = Receipt::decode(&message.payload, sender.gateway).unwrap();
        stored.extend((0..100).filter(|seq| receipt.ranges.contains(*seq)));
        quarantined.extend((0..100).filter(|seq| receipt.quarantined.contains(*seq)));
    }
    (stored, quarantined)
}

fn set<const N: usize>(numbers: [u64; N]) -> BTreeSet<u64> {
    BTreeSet::from(numbers)
}

async fn told(world: &World, kind: &str, times: usize) {
    wait_until(LIMIT, kind, || async {
        let told = world.webhook.of_kind(kind);
        if told.len() == times { Ok(()) } else { Err(told) }
    })
    .await;
}

fn ids(world: &World) -> Vec<String> {
    let json: serde_json::Value =
        serde_json::from_str(&printed(&run(world, &["list", "--gateway", "gw-demo", "--json"]))).unwrap();
    json["rows"].as_array().unwrap().iter().map(|row| row["id"].to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn above_the_cap_there_is_no_receipt_and_nobody_else_is_stopped() {
    let world = world_of(two_gateways(), "[quarantine]\ncap_per_gateway = 3\n").await;
    let port = world.broker.port();
    let mut sender = Sender::connect(port).await;
    let mut other = Sender::connect_as(port, "gw-two", GLASS).await;
    let at = |i: u64| whole_second() - SignedDuration::from_secs(3600 - i as i64);
    let mut lines = Vec::new();
    for i in 0..7 {
        sender.outlet = if i < 5 { "nowhere" } else { "demo-cement-kiln" };
        lines.push(sender.record(at(i), &kiln(20.0, 10.0)));
    }
    // What is stored of a batch is receipted before what is kept: that nobody waits for garbage.
    sender.publish("live", 0, &lines).await;
    let (stored, first) = covered(&mut sender, 6, 3).await;
    assert_eq!((stored, first.len()), (set([5, 6]), 3), "{first:?}");
    assert!(first.iter().all(|seq| *seq < 5));
    told(&world, "quarantine-full", 1).await;
    told(&world, "quarantine", 1).await;
    let alert = world.webhook.of_kind("quarantine-full").remove(0);
    assert_eq!(alert["gateway"], "gw-demo");
    assert!(alert["summary"].as_str().unwrap().contains("3 records"), "{alert}");
    assert_eq!(world.count("SELECT count(*) FROM quarantine").await, 3);

    // Another gateway has a cap of its own.
    other.outlet = "nowhere";
    let bad = other.record(at(0), &kiln(20.0, 10.0));
    other.outlet = GLASS;
    let good = other.record(at(1), &kiln(20.0, 10.0));
    other.publish("live", 0, &[bad, good]).await;
    assert_eq!(other.receipted(0..2).await, [0]);

    // Again: what is kept is receipted again, what is not is not, and nobody is told twice.
    sender.publish("backfill", 0, &lines).await;
    assert_eq!(covered(&mut sender, 6, 3).await, (set([5, 6]), first.clone()));
    assert_eq!(world.count("SELECT count(*) FROM quarantine WHERE gateway = 'gw-demo'").await, 3);
    assert_eq!(world.count("SELECT records FROM quarantine_level WHERE gateway = 'gw-demo'").await, 3);

    // Room for one: one more is taken.
    let one = ids(&world).remove(0);
    let discard = ["discard", &one, "--reason", "a test bench, no outlet", "--by", "li"];
    assert!(printed(&run(&world, &discard)).contains("discarded by li"));
    sender.publish("backfill", 0, &lines).await;
    let (_, second) = covered(&mut sender, 6, 4).await;
    assert!(second.is_superset(&first) && second.len() == 4, "{first:?} {second:?}");
    assert_eq!(
        world.count("SELECT count(*) FROM quarantine WHERE state = 'kept' AND gateway = 'gw-demo'").await,
        3
    );
    assert_eq!(world.count("SELECT count(*) FROM scan").await, 3);
    told(&world, "quarantine-full", 1).await;
    world.centre.stop().await;
    // The level is what a count gives.
    let sql = "SELECT count(*) FROM quarantine_level l, LATERAL (SELECT count(*) AS n, coalesce(sum(length(payload)), 0) AS b \
               FROM quarantine q WHERE q.gateway = l.gateway AND state = 'kept') c WHERE l.records <> c.n OR l.bytes <> c.b";
    let wrong: i64 = world.database.client().await.query_one(sql, &[]).await.unwrap().get(0);
    assert_eq!(wrong, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cap_in_bytes_holds_too() {
    let world = world_of(two_gateways(), "[quarantine]\ncap_mib_per_gateway = 1\n").await;
    let mut sender = Sender::connect(world.broker.port()).await;
    // Nine of 120,000 bytes do not go into one MiB.
    for i in 0..9 {
        let bytes = sender.spoiled(vec![b'a' + i; 120_000]);
        sender.publish("live", u64::from(i), &[bytes]).await;
        if i < 8 {
            assert_eq!(sender.receipted(u64::from(i)..u64::from(i) + 1).await, [u64::from(i)]);
        }
    }
    told(&world, "quarantine-full", 1).await;
    assert_eq!(world.count("SELECT count(*) FROM quarantine").await, 8);
    world.centre.stop().await;
}

/// The demonstration's plant before its glass furnace was registered.
fn without_glass() -> Source {
    let Source { file, text } = seeds::demonstration();
    let parts: Vec<&str> = text.split("[[outlet]]\n").collect();
    assert!(parts.len() == 4 && parts[2].starts_with(&format!("code = \"{GLASS}\"")));
    let serves = format!("[[gateway.serves]]\noutlet = \"{GLASS}\"\nfrom = \"2020-01-01T00:00:00+08:00\"\n");
    let text = [parts[0], parts[1], parts[3]].join("[[outlet]]\n").replace(&serves, "");
    Source { file, text }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_stores_what_was_meant_when_the_cause_is_mended() {
    let world = world_of(without_glass(), "[windows]\ndebounce_ms = 100\nsettle_ms = 100\n").await;
    let mut sender = Sender::connect(world.broker.port()).await;
    sender.outlet = GLASS;
    // Just made when they came, and far above every limit; three minutes ago in the windows' eyes.
    let start = Timestamp::from_second((clock::now().as_second() / 60 - 3) * 60).unwrap();
    let mut lines: Vec<Vec<u8>> =
        (0..19).map(|i| sender.record(start + SignedDuration::from_secs(3 * i), &kiln(90.0, 10.0))).collect();
    lines.push(sender.record(whole_second(), &kiln(90.0, 10.0)));
    lines.push(sender.spoiled(b"\xffno record".to_vec()));
    sender.publish("live", 0, &lines).await;
    assert_eq!(sender.receipted(0..21).await.len(), 21);
    let text = printed(&run(&world, &["list"]));
    assert!(text.contains("      20 ") && text.contains("is not registered"), "{text}");
    let id = ids(&world).remove(0);
    assert!(
        printed(&run(&world, &["show", &id]))
            .ends_with("bytes:\n{}\n".replace("{}", std::str::from_utf8(&lines[0]).unwrap()).as_str())
    );

    // Too early: refused once more, and said so.
    let text = printed(&run(&world, &["retry", &id, "--by", "wang"]));
    assert!(text.contains("refused again: outlet") && text.contains("0 stored, 1 refused"), "{text}");
    assert_eq!(world.count("SELECT count(*) FROM scan").await, 0);

    let mut client = world.database.client().await;
    seed(&mut client, &[]).await;
    let retry = ["retry", "--gateway", "gw-demo", "--reason", "is not registered", "--by", "wang"];
    let text = printed(&run(&world, &retry));
    assert!(text.contains("20 stored, 0 refused"), "{text}");
    let sql = "SELECT x.hash, x.received_at, q.received_at, q.state, x.seq FROM scan x JOIN quarantine q ON q.digest = x.hash ORDER BY x.seq";
    let rows = client.query(sql, &[]).await.unwrap();
    let hashes: Vec<Vec<u8>> = rows.iter().map(|row| row.get(0)).collect();
    let sent: Vec<Vec<u8>> = lines[..20].iter().map(|line| Hash::of(line).0.to_vec()).collect();
    assert_eq!(hashes, sent);
    for row in &rows {
        assert_eq!((row.get::<_, Timestamp>(1), row.get::<_, &str>(3)), (row.get(2), "stored"));
    }
    wait_until(LIMIT, "the minute of what was stored", || async {
        let sql = "SELECT count(*) FROM average WHERE outlet = 'demo-glass-furnace' AND channel = 'a21026' AND period = 'minute' \
                   AND n_valid = 19 AND measured = 90";
        let count = world.count(sql).await;
        if count == 1 { Ok(()) } else { Err(count) }
    })
    .await;
    assert_eq!(
        world
            .count("SELECT count(*) FROM quarantine_change WHERE what = 'stored' AND by_whom = 'wang'")
            .await,
        20
    );

    // Again, and one that is no record whatever is mended.
    assert!(printed(&run(&world, &retry)).contains("0 stored, 0 refused"));
    assert!(printed(&run(&world, &["retry", &id])).contains("0 stored, 0 refused again, 1 were not kept"));
    let left = ids(&world);
    assert_eq!(left.len(), 1);
    assert!(printed(&run(&world, &["retry", "--gateway", "gw-demo"])).contains("0 stored, 1 refused"));
    assert!(printed(&run(&world, &["show", &left[0]])).contains("00000000  ff 6e 6f 20 72 65"));
    assert_eq!(world.count("SELECT count(*) FROM scan").await, 20);
    assert!(world.webhook.of_kind("early-warning").is_empty(), "nobody is paged for the past");
    world.centre.stop().await;
    let plant = plant::load(&client).await.unwrap();
    let question = Question { plant: &plant, gateway: "gw-demo", range: None, heads: &[], now: clock::now() };
    let report = verify(&client, &question, &mut |_, _| {}).await.unwrap();
    assert!(report.clean && report.records == 20, "{report}");
}

/// A real gateway, one of whose three outlets nobody has registered: more than the cap lets in.
#[tokio::test(flavor = "multi_thread")]
async fn what_finds_no_room_stays_with_its_gateway_without_a_storm_and_is_not_lost() {
    let world = world_of(without_glass(), "[quarantine]\ncap_per_gateway = 4\n").await;
    let mut plant = Plant::start(world.broker.port()).await;
    let refused = |world: &World| {
        let text = world.centre.reporting.metrics.render().unwrap();
        let line = text.lines().find(|line| line.starts_with("cems_central_receipts_withheld_total"));
        line.and_then(|line| line.split(' ').next_back()?.parse::<u64>().ok()).unwrap_or(0)
    };
    told(&world, "quarantine-full", 1).await;
    plant.runs_for(12).await;
    // The other two go on, and each record without room was tried a few times, not over and over.
    let (withheld, spooled) = (refused(&world), plant.spooled());
    assert!(spooled >= 5 && withheld <= 3 * (spooled + 3), "{withheld} tries of {spooled} records");
    let last = "SELECT count(DISTINCT outlet_id) FROM scan WHERE measured_at > now() - interval '3 s'";
    wait_until(LIMIT, "fresh scans of the other two outlets", || async {
        let outlets = world.count(last).await;
        if outlets == 2 { Ok(()) } else { Err(outlets) }
    })
    .await;
    assert_eq!(world.count("SELECT count(*) FROM quarantine").await, 4);

    // The cause is mended: what was kept is retried, what was not comes by itself.
    let mut client = world.database.client().await;
    seed(&mut client, &[]).await;
    assert!(printed(&run(&world, &["retry", "--gateway", "gw-demo"])).contains("4 stored"));
    plant.stop_gateway().await;
    let end = clock::now().as_second() + 1;
    plant.start_gateway().await;
    plant.all_receipted(LIMIT).await;
    let account = nothing_lost(&plant, &client, end).await;
    println!("{withheld} receipts withheld of {spooled} records; then {account:?}");
    assert_eq!(world.count("SELECT count(*) FROM quarantine WHERE state <> 'stored'").await, 0);
    world.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_given_up_without_a_reason_or_twice_and_no_trace_goes() {
    let world = world_of(two_gateways(), "").await;
    let mut sender = Sender::connect(world.broker.port()).await;
    let bytes = sender.spoiled(b"noise".to_vec());
    sender.publish("live", 0, &[bytes]).await;
    assert_eq!(sender.receipted(0..1).await, [0]);
    let id = ids(&world).remove(0);
    for arguments in [
        vec!["discard", &id],
        vec!["discard", &id, "--reason", " "],
        vec!["discard", "999", "--reason", "x"],
        vec!["show", "999"],
        vec!["retry"],
        vec!["retry", "999"],
        vec!["list", "--state", "lost"],
    ] {
        let output = run(&world, &arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?} {output:?}");
    }
    assert_eq!(world.count("SELECT count(*) FROM quarantine_change").await, 0);
    printed(&run(&world, &["discard", &id, "--reason", "noise"]));
    assert_eq!(run(&world, &["discard", &id, "--reason", "again"]).status.code(), Some(2));
    assert!(printed(&run(&world, &["show", &id])).contains(": noise"));
    assert!(
        ids(&world).is_empty()
            && printed(&run(&world, &["list", "--state", "discarded"])).contains("gw-demo")
    );
    for statement in [
        "UPDATE quarantine_change SET reason = 'x'",
        "DELETE FROM quarantine_change",
        "DELETE FROM quarantine",
    ] {
        assert!(world.client.batch_execute(statement).await.is_err(), "{statement}");
    }
    // The same bytes again stay given up, and are receipted.
    sender.publish("backfill", 0, &[b"noise".to_vec()]).await;
    assert_eq!(sender.receipted(0..1).await, [0]);
    assert_eq!(world.count("SELECT count(*) FROM quarantine WHERE state = 'discarded'").await, 1);
    world.centre.stop().await;
}
