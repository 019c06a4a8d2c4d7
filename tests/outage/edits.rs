//! What a superuser does to stored rows at random, and `cems verify` must find. Each edit is made, looked for and undone.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::harness::account::Line;
use crate::harness::world::World;

/// Each with the row's key as `$1` (outlet) and `$2` (time); the row is neither the first nor the last of its outlet.
const EDITS: [(&str, &str); 12] = [
    ("a value is another", "UPDATE scan SET measured[1] = coalesce(measured[1], 0) + 0.1"),
    ("a value is one bit off", "UPDATE scan SET measured[2] = coalesce(measured[2], 1) * (1 + 1e-15)"),
    ("a value is gone", "UPDATE scan SET measured[1] = NULL"),
    ("a flag is another", "UPDATE scan SET flag = 'M' || substr(flag, 2)"),
    ("the time is another", "UPDATE scan SET measured_at = measured_at + interval '250 milliseconds'"),
    ("the number is another", "UPDATE scan SET seq = seq + 1"),
    ("the hash is another", "UPDATE scan SET hash = sha256(hash)"),
    ("the predecessor is another", "UPDATE scan SET prev = sha256(prev)"),
    (GONE, "DELETE FROM scan"),
    (
        "value and predecessor are another",
        "UPDATE scan SET measured[1] = 1, prev = sha256(prev), hash = sha256(hash)",
    ),
    ("a row is copied to another time", ""),
    ("two rows have changed places", ""),
];

const GONE: &str = "the row is gone";
/// A killed centre forgets how many rows it stored in its last ten seconds. A row of the newest epoch that is gone may then be one that the
/// gateway still has, until its status of two minutes later says otherwise (docs/verify.md).
const SETTLED: SignedDuration = SignedDuration::from_secs(120);

const COPY: &str = "INSERT INTO scan SELECT outlet_id, source_id, method, measured_at + interval '500 milliseconds', received_at, seq, \
                    provenance_id, flag, checked, hash, prev, measured, corrected FROM scan WHERE (outlet_id, measured_at) = ($1, $2)";
const EXCHANGE: &str = "UPDATE scan s SET measured = o.measured, flag = o.flag FROM saved o WHERE s.outlet_id = $1 \
                        AND s.measured_at IN ($2, $3) AND o.measured_at IN ($2, $3) AND o.measured_at <> s.measured_at";

/// `count` edits, each of a random row; all must be found, and the undone table must be clean again.
pub async fn superuser_edits(world: &World, dice: &mut fastrand::Rng, count: usize) -> Line {
    let mut line = Line::of("edits of a superuser, for `cems verify` to find");
    let client = world.client().await;
    let rows = client
        .query("SELECT o.code, s.outlet_id, s.measured_at FROM scan s JOIN outlet o ON o.id = s.outlet_id ORDER BY 2, 3", &[])
        .await
        .unwrap();
    let mut by_outlet: BTreeMap<String, (i32, Vec<Timestamp>)> = BTreeMap::new();
    for row in rows {
        by_outlet.entry(row.get(0)).or_insert_with(|| (row.get(1), Vec::new())).1.push(row.get(2));
    }
    client.batch_execute("CREATE TEMP TABLE saved (LIKE scan)").await.unwrap();
    // The gateways' last words of their spools, by name.
    let said = "SELECT g.name, (h.status ->> 'at')::timestamptz FROM gateway_heard h JOIN gateway g ON g.id = h.gateway_id \
                WHERE h.status ->> 'at' IS NOT NULL";
    let said = client.query(said, &[]).await.unwrap();
    let said: BTreeMap<String, Timestamp> = said.iter().map(|row| (row.get(0), row.get(1))).collect();
    for _ in 0..count {
        let (code, (outlet, times)) = by_outlet.iter().nth(dice.usize(0..by_outlet.len())).unwrap();
        let at = dice.usize(1..times.len() - 2);
        let (time, next) = (times[at], times[at + 1]);
        let gateway = world.gateways.iter().find(|gateway| gateway.outlets.contains(code)).unwrap();
        let settled = said.get(gateway.name).is_some_and(|said| said.duration_since(next) > SETTLED);
        let (name, statement) = loop {
            let edit = EDITS[dice.usize(0..EDITS.len())];
            if settled || edit.0 != GONE {
                break edit;
            }
        };
        client.batch_execute("TRUNCATE saved").await.unwrap();
        client.execute("INSERT INTO saved SELECT * FROM scan WHERE outlet_id = $1", &[outlet]).await.unwrap();
        let changed = if statement.is_empty() && name.starts_with("two") {
            client.execute(EXCHANGE, &[outlet, &time, &next]).await
        } else if statement.is_empty() {
            client.execute(COPY, &[outlet, &time]).await
        } else {
            let statement = format!("{statement} WHERE (outlet_id, measured_at) = ($1, $2)");
            client.execute(&statement, &[outlet, &time]).await
        };
        assert!(changed.unwrap() > 0, "{name}");
        let (found, said) = world.verify(gateway.name).await;
        line.injected += 1;
        println!("edit {} of {count}: {name} ({code}, {time}): exit code {found:?}", line.injected);
        if found != Some(3) {
            line.wrong.push(format!("{name} ({code}, {time}): exit code {found:?}, {said}"));
        }
        client.execute("DELETE FROM scan WHERE outlet_id = $1", &[outlet]).await.unwrap();
        client.execute("INSERT INTO scan SELECT * FROM saved", &[]).await.unwrap();
    }
    line.wrong.extend(world.verified().await);
    line
}
