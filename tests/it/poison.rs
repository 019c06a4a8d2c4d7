//! One percent of each kind of poison from one gateway, among healthy records from another: nothing of it is lost, nobody else is slowed,
//! and what was refused for a cause that is mended is stored.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use cems::clock;
use cems::mqtt::connection::{Delivery, Notice};
use cems::mqtt::receipt::Receipt;
use jiff::{SignedDuration, Timestamp};

use crate::support::centre::seed_with;
use crate::support::world::{LIMIT, Sender, World, kiln, two_gateways, world_of};

const GLASS: &str = "demo-glass-furnace";
/// Outlet and rest of the third outlet's gateway, registered only afterwards.
const LATER: &str = "demo-later-kiln";
/// Messages of each sender in one part of the run.
const MESSAGES: u64 = 300;
/// Messages under way at once: more than one batch holds, fewer than wait for anything but the centre.
const UNDER_WAY: usize = 8;

/// Every kind of poison, with a part of the reason that is given for it.
const KINDS: [(&str, &str); 9] = [
    ("no JSON", "not a record"),
    ("not canonical", "canonical"),
    ("unknown version", "version"),
    ("not a number", "not a record"),
    ("half a line", "not a record"),
    ("foreign gateway", "came under"),
    ("unknown outlet", "outlet \"demo-later-kiln\" is not registered"),
    ("unknown channel", "channel a99999"),
    ("far future", "ahead of the centre's clock"),
];

/// The next record of this sender, spoiled.
fn poison(sender: &mut Sender, kind: &str, at: Timestamp) -> Vec<u8> {
    let outlet = sender.outlet;
    if kind == "unknown outlet" {
        sender.outlet = LATER;
        let line = sender.record(at, &kiln(20.0, 10.0));
        sender.outlet = outlet;
        return line;
    }
    let at = if kind == "far future" { at + SignedDuration::from_hours(24 * 365) } else { at };
    let line = String::from_utf8(sender.record(at, &kiln(20.0, 10.0))).unwrap();
    let spoiled = match kind {
        "no JSON" => format!("\u{7f}{line}"),
        "not canonical" => line.replace("[20.0,", "[20.00,"),
        "unknown version" => line.replace("{\"v\":1", "{\"v\":2"),
        "not a number" => line.replace("[20.0,", "[NaN,"),
        "half a line" => line[..line.len() / 2].to_owned(),
        "foreign gateway" => line.replace("gw-two", "gw-demo"),
        "unknown channel" => line.replace("a34013", "a99999"),
        "far future" => line.clone(),
        other => panic!("no such poison: {other}"),
    };
    assert!(spoiled != line || kind == "far future", "{kind} is not spoiled");
    spoiled.into_bytes()
}

/// Publishes messages of one record, a few under way at a time, and gives from publish to receipt of each.
async fn latencies(sender: &mut Sender, lines: Vec<Vec<u8>>, first: u64) -> Vec<Duration> {
    let mut sent: BTreeMap<u64, Instant> = BTreeMap::new();
    let mut took = Vec::new();
    let mut waiting = (first..).zip(lines);
    loop {
        while sent.len() < UNDER_WAY {
            let Some((number, line)) = waiting.next() else { break };
            sent.insert(number, clock::monotonic());
            sender.publish("live", number, &[line]).await;
        }
        if sent.is_empty() {
            return took;
        }
        let notice = tokio::time::timeout(LIMIT, sender.notices.recv()).await.expect("receipts");
        let Some(Notice::Message(message)) = notice else { continue };
        let receipt = Receipt::decode(&message.payload, sender.gateway).unwrap();
        let (done, open) = sent.into_iter().partition(|(number, _)| receipt.covers(*number));
        sent = open;
        took.extend(done.into_values().map(|at| at.elapsed()));
    }
}

fn median(mut took: Vec<Duration>) -> Duration {
    took.sort_unstable();
    took[took.len() / 2]
}

/// Healthy records of the kiln's gateway and records of the other, of which `spoiled` percent of each kind are poison. Gives the
/// median from publish to receipt of the healthy gateway, and what was poison.
async fn part(
    (healthy, other): (&mut Sender, &mut Sender),
    start: Timestamp,
    spoiled: bool,
) -> (Duration, Vec<(&'static str, Vec<u8>)>) {
    let at = |i: u64| start + SignedDuration::from_secs(i as i64);
    let (first, first_of_other) = (healthy.seq, other.seq);
    let lines: Vec<Vec<u8>> = (0..MESSAGES).map(|i| healthy.record(at(i), &kiln(20.0, 10.0))).collect();
    let (mut of_other, mut bad) = (Vec::new(), Vec::new());
    for i in 0..MESSAGES {
        // Every hundred holds one of each kind.
        let kind = KINDS.get((i % 100 / 10) as usize).filter(|_| spoiled && i % 10 == 5);
        let line = match kind {
            Some((kind, _)) => {
                let line = poison(other, kind, at(i));
                bad.push((*kind, line.clone()));
                line
            }
            None => other.record(at(i), &kiln(20.0, 10.0)),
        };
        of_other.push(line);
    }
    let (took, of_other) =
        tokio::join!(latencies(healthy, lines, first), latencies(other, of_other, first_of_other));
    assert_eq!((took.len() as u64, of_other.len() as u64), (MESSAGES, MESSAGES), "receipts for all");
    (median(took), bad)
}

fn retry(world: &World) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_cems"))
        .args(["quarantine", "retry", "--gateway", "gw-two", "--database", world.database.url()])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_percent_of_each_kind_slows_nobody_and_is_kept_with_its_reason() {
    let world = world_of(two_gateways(), "").await;
    let port = world.broker.port();
    let mut healthy = Sender::connect(port).await;
    let mut other = Sender::connect_as(port, "gw-two", GLASS).await;
    // Clean and spoiled parts take turns, so that whatever else this machine does falls on both.
    let start = clock::now() - SignedDuration::from_hours(2);
    let start = Timestamp::from_second(start.as_second()).unwrap();
    let (mut clean, mut spoiled, mut bad) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..6_u64 {
        let from = start + SignedDuration::from_secs((round * MESSAGES) as i64);
        let is_spoiled = round % 2 == 1;
        let (median, poison) = part((&mut healthy, &mut other), from, is_spoiled).await;
        if is_spoiled { &mut spoiled } else { &mut clean }.push(median);
        bad.extend(poison);
    }
    println!("median from publish to receipt, clean {clean:?}, beside poison {spoiled:?}");
    let (best_clean, best_spoiled) = (clean.iter().min().unwrap(), spoiled.iter().min().unwrap());
    // The bench measures the five percent; a test beside others on the same cores allows for their noise.
    let allowed = best_clean.mul_f64(1.05) + Duration::from_millis(20);
    assert!(*best_spoiled <= allowed, "{best_spoiled:?} beside poison, {best_clean:?} without");

    // Nothing of the healthy gateway is missing, and the poison is all there, whole, each with its reason.
    assert_eq!(bad.len(), 3 * 3 * KINDS.len());
    let sql = "SELECT count(*) FROM scan x JOIN provenance p ON p.id = x.provenance_id JOIN gateway g ON g.id = p.gateway_id \
               WHERE g.name = '{}'";
    assert_eq!(world.count(&sql.replace("{}", "gw-demo")).await as u64, 6 * MESSAGES);
    assert_eq!(world.count(&sql.replace("{}", "gw-two")).await as u64, 6 * MESSAGES - bad.len() as u64);
    let rows = world.client.query("SELECT payload, reason, gateway FROM quarantine", &[]).await.unwrap();
    let kept: BTreeMap<Vec<u8>, (String, String)> =
        rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect();
    assert_eq!((rows.len(), kept.len()), (bad.len(), bad.len()));
    for (kind, bytes) in &bad {
        let (reason, gateway) = kept.get(bytes).unwrap_or_else(|| panic!("{kind} is not kept whole"));
        let (_, says) = KINDS.iter().find(|(known, _)| known == kind).unwrap();
        assert!(reason.contains(says) && gateway == "gw-two", "{kind}: {reason}");
    }

    // The outlet is registered: what was refused for that alone is stored by a retry, the rest stays.
    assert!(retry(&world).contains("0 stored"));
    let mut client = world.database.client().await;
    seed_with(&mut client, with_later(), &[]).await;
    let text = retry(&world);
    assert!(text.contains("9 stored"), "{text}");
    let later =
        "SELECT count(*) FROM scan x JOIN outlet o ON o.id = x.outlet_id WHERE o.code = 'demo-later-kiln'";
    assert_eq!(world.count(later).await, 9);
    assert_eq!(
        world.count("SELECT count(*) FROM quarantine WHERE state = 'kept'").await,
        bad.len() as i64 - 9
    );

    // What the broker refuses for its size reaches nobody, and the connection of who sent it goes on after that.
    let huge = vec![b'x'; 300 * 1024];
    let _refused = other.outbox.publish("cems/v1/gw-two/live", Delivery::AtLeastOnce, huge, Vec::new()).await;
    let (number, line) = (healthy.seq, healthy.record(clock::now(), &kiln(20.0, 10.0)));
    healthy.publish("live", number, &[line]).await;
    assert!(healthy.receipted(number..number + 1).await.is_empty());
    world.centre.stop().await;
}

/// The plant with one more kiln, behind the second gateway.
fn with_later() -> cems::config::kind::Source {
    let mut source = two_gateways();
    let parts: Vec<&str> = source.text.split("[[outlet]]\n").collect();
    assert!(parts[1].starts_with("code = \"demo-cement-kiln\""));
    let later = parts[1].replace("demo-cement-kiln", LATER);
    let serves = format!("[[gateway.serves]]\noutlet = \"{LATER}\"\nfrom = \"2020-01-01T00:00:00+08:00\"\n");
    let head = format!("{}[[outlet]]\n{later}[[outlet]]\n", parts[0]);
    source.text = format!("{head}{}\n{serves}", parts[1..].join("[[outlet]]\n"));
    source
}
