//! An outlet that moves from one gateway to another: whose records of which time count.

use cems::central::verify::{Question, verify};
use cems::clock;
use cems::config::kind::Source;
use cems::config::seeds;
use cems::store::plant;
use jiff::{SignedDuration, Timestamp};

use crate::support::centre::seed_with;
use crate::support::wait::wait_until;
use crate::support::world::{LIMIT, Sender, World, kiln, world_of};

const GLASS: &str = "demo-glass-furnace";

/// The demonstration's plant, with its glass furnace behind another gateway from `at` on.
fn moved(at: Timestamp) -> Source {
    let Source { file, text } = seeds::demonstration();
    let serves = format!("[[gateway.serves]]\noutlet = \"{GLASS}\"\nfrom = \"2020-01-01T00:00:00+08:00\"\n");
    assert!(text.contains(&serves));
    let ended = text.replace(&serves, &format!("{serves}until = \"{at}\"\n"));
    let text = format!(
        "{ended}\n[[gateway]]\nname = \"gw-two\"\n[[gateway.serves]]\noutlet = \"{GLASS}\"\nfrom = \"{at}\"\n"
    );
    Source { file, text }
}

/// Stored scans of the furnace that came by this gateway: how many, and the first and last time.
async fn stored(world: &World, gateway: &str) -> (i64, Option<Timestamp>, Option<Timestamp>) {
    let sql = "SELECT count(*), min(x.measured_at), max(x.measured_at) FROM scan x JOIN outlet o ON o.id = x.outlet_id \
               JOIN provenance p ON p.id = x.provenance_id JOIN gateway g ON g.id = p.gateway_id \
               WHERE o.code = 'demo-glass-furnace' AND g.name = $1";
    let row = world.client.query_one(sql, &[&gateway]).await.unwrap();
    (row.get(0), row.get(1), row.get(2))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_gateway_speaks_for_the_outlet_in_its_own_time() {
    let world = world_of(seeds::demonstration(), "[windows]\ndebounce_ms = 100\nsettle_ms = 100\n").await;
    let port = world.broker.port();
    let mut old = Sender::connect_as(port, "gw-demo", GLASS).await;
    let mut new = Sender::connect_as(port, "gw-two", GLASS).await;
    // Within a minute, so that this minute is made of scans of both.
    let minute = Timestamp::from_second((clock::now().as_second() / 60 - 5) * 60).unwrap();
    let change = minute + SignedDuration::from_secs(20);
    let at = |second: i64| minute + SignedDuration::from_secs(second);

    // While it served, the old one delivered; what it made last is still in its spool when the outlet moves.
    let lines: Vec<Vec<u8>> = (-30..0).map(|i| old.record(at(i), &kiln(20.0, 10.0))).collect();
    old.publish("live", 0, &lines).await;
    assert!(old.receipted(0..30).await.is_empty());
    seed_with(&mut world.database.client().await, moved(change), &[]).await;

    // The new one, in one message: ten seconds of before the change, then its own time, from its first instant on.
    let lines: Vec<Vec<u8>> = (10..60).map(|i| new.record(at(i), &kiln(50.0, 10.0))).collect();
    new.publish("live", 0, &lines).await;
    assert_eq!(new.receipted(0..50).await, (0..10).collect::<Vec<u64>>());

    // The old one's backfill: its last seconds, then what it went on to measure. Newest first, as a gateway sends.
    let lines: Vec<Vec<u8>> = (0..40).map(|i| old.record(at(i), &kiln(20.0, 10.0))).collect();
    for first in [30, 20, 10, 0] {
        old.publish("backfill", 30 + first, &lines[first as usize..first as usize + 10]).await;
    }
    assert_eq!(old.receipted(30..70).await, (50..70).collect::<Vec<u64>>());

    assert_eq!(stored(&world, "gw-demo").await, (50, Some(at(-30)), Some(at(19))));
    assert_eq!(stored(&world, "gw-two").await, (40, Some(change), Some(at(59))));
    let sql = "SELECT gateway, count(*), min(reason), max(reason) FROM quarantine GROUP BY gateway ORDER BY gateway";
    let refused = world.client.query(sql, &[]).await.unwrap();
    let refused: Vec<(String, i64)> = refused
        .iter()
        .map(|row| {
            for reason in [row.get::<_, &str>(2), row.get(3)] {
                assert!(reason.contains("does not speak for outlet \"demo-glass-furnace\""), "{reason}");
            }
            (row.get(0), row.get(1))
        })
        .collect();
    assert_eq!(refused, [("gw-demo".to_owned(), 20), ("gw-two".to_owned(), 10)]);

    // Twenty scans of 20 and forty of 50 mg/m3: the minute of the change is whole.
    wait_until(LIMIT, "the minute of the change", || async {
        let sql = "SELECT measured, n_valid::int FROM average WHERE outlet = 'demo-glass-furnace' AND channel = 'a21026' \
                   AND period = 'minute' AND start = $1";
        let row = world.client.query_opt(sql, &[&minute]).await.unwrap();
        let found = row.map(|row| (row.get::<_, Option<f64>>(0), row.get::<_, i32>(1)));
        if found == Some((Some(40.0), 60)) { Ok(()) } else { Err(found) }
    })
    .await;

    // The same again, whatever was in between, changes nothing.
    old.publish("backfill", 30, &lines).await;
    assert_eq!(old.receipted(30..70).await, (50..70).collect::<Vec<u64>>());
    assert_eq!(world.count("SELECT count(*) FROM scan").await, 90);
    assert_eq!(world.count("SELECT count(*) FROM quarantine").await, 30);
    world.centre.stop().await;
    let plant = plant::load(&world.client).await.unwrap();
    for (gateway, records) in [("gw-demo", 50), ("gw-two", 40)] {
        let question = Question { plant: &plant, gateway, range: None, heads: &[], now: clock::now() };
        let report = verify(&world.client, &question, &mut |_, _| {}).await.unwrap();
        assert!(report.clean && report.records == records, "{report}");
    }
}
