//! `cems verify` on rows that were really ingested: whatever a superuser does to any of them is found, and said with its place.

use std::collections::BTreeMap;
use std::process::{Command, Output};

use cems::central::verify::report::{Kind, Report, Why};
use cems::central::verify::{Question, within};
use cems::clock;
use cems::mqtt::record::{Body, Epoch, Hash, Record};
use cems::store::plant;
use jiff::{SignedDuration, Timestamp};
use tokio_postgres::Client;

use crate::support::database::TestDatabase;
use crate::support::world::{Sender, World, kiln, two_gateways, whole_second, world_of};

const KILN: &str = "demo-cement-kiln";
/// Numbers of the first epoch that are in quarantine: of an outlet nobody knows, unreadable, and a conflict.
const QUARANTINED: [u64; 3] = [40, 60, 80];
const FIRST: u64 = 150;
const SECOND: u64 = 100;

/// What was ingested.
struct Evidence {
    database: TestDatabase,
    /// Of gw-demo, by epoch and number.
    sent: BTreeMap<(Epoch, u64), Vec<u8>>,
    epochs: [Epoch; 2],
    start: Timestamp,
}

async fn publish(sender: &mut Sender, first: u64, lines: &[Vec<u8>]) {
    for (index, chunk) in lines.chunks(25).enumerate() {
        sender.publish("backfill", first + index as u64 * 25, chunk).await;
    }
    sender.receipted(first..first + lines.len() as u64).await;
}

/// The readings of scan number `i`; now and then a channel is not in the record.
fn readings(i: u64) -> Vec<(&'static str, cems::domain::scan::Reading)> {
    let mut readings = kiln(20.0 + i as f64 / 7.0, 10.0);
    if i.is_multiple_of(5) {
        readings.pop();
    }
    readings
}

/// Two gateways; of the first one a restart, an event, a conflict, an unknown outlet and bytes that are no record.
async fn evidence() -> Evidence {
    let world = world_of(two_gateways(), "").await;
    let port = world.broker.port();
    let mut sender = Sender::connect(port).await;
    let start = whole_second() - SignedDuration::from_hours(3);
    let at = |i: u64| start + SignedDuration::from_secs(2 * i as i64);
    let mut sent = BTreeMap::new();
    let mut epochs = Vec::new();
    for (epoch, count) in [(0, FIRST), (1, SECOND)] {
        if epoch == 1 {
            sender.new_epoch();
        }
        let offset = epoch * FIRST;
        let mut lines = Vec::new();
        for i in 0..count {
            let tick = at(offset + i);
            let line = match (epoch, i) {
                (_, 0) => sender.event(tick, "start", &[("version", "0.1.0")]),
                (0, 40) => {
                    sender.outlet = "nowhere";
                    let line = sender.record(tick, &readings(i));
                    sender.outlet = KILN;
                    line
                }
                (0, 60) => sender.spoiled(b"no record at all".to_vec()),
                (0, 80) => sender.record(at(79), &readings(i)),
                (0, 100) => sender.event(tick, "configuration", &[("current", "b"), ("previous", "a")]),
                _ => sender.record(tick, &readings(i)),
            };
            sent.insert((sender.epoch, i), line.clone());
            lines.push(line);
        }
        publish(&mut sender, 0, &lines).await;
        epochs.push(sender.epoch);
    }
    let mut other = Sender::connect_as(port, "gw-two", "demo-glass-furnace").await;
    let lines: Vec<Vec<u8>> = (0..100).map(|i| other.record(at(i), &readings(i))).collect();
    publish(&mut other, 0, &lines).await;
    // Its end writes down how far the chains have come.
    let World { database, centre, .. } = world;
    centre.stop().await;
    Evidence { database, sent, epochs: [epochs[0], epochs[1]], start }
}

async fn report_on(client: &Client, gateway: &str, range: Option<(Timestamp, Timestamp)>) -> Report {
    report_with(client, gateway, range, &[]).await
}

async fn report_with(
    client: &Client,
    gateway: &str,
    range: Option<(Timestamp, Timestamp)>,
    heads: &[(Epoch, u64, Hash)],
) -> Report {
    let plant = plant::load(client).await.unwrap();
    let question = Question { plant: &plant, gateway, range, heads, now: clock::now() };
    within(client, &question, &mut |_, _| {}).await.unwrap()
}

/// What `statement` does to one world, and what must be said of it.
struct Edit {
    name: &'static str,
    statement: String,
    kinds: &'static [Kind],
    /// Part of the place and text of one of the findings.
    place: String,
}

/// One random number after the other.
struct Dice(fastrand::Rng);

impl Dice {
    /// A scan of an epoch whose neighbours are stored scans.
    fn seq(&mut self, count: u64) -> u64 {
        loop {
            let seq = self.0.u64(3..count - 3);
            let near = |other: &u64| other.abs_diff(seq) <= 2;
            if !QUARANTINED.iter().any(near) && !near(&100) && !seq.is_multiple_of(5) {
                return seq;
            }
        }
    }
}

fn place(epoch: Epoch, seq: u64) -> String {
    format!("epoch {epoch} seq {seq}")
}

/// As SQL writes it.
fn bytea(hash: Hash) -> String {
    format!("'\\x{hash}'::bytea")
}

#[expect(clippy::too_many_lines, reason = "a list")]
fn edits(evidence: &Evidence, dice: &mut Dice) -> Vec<Edit> {
    let [first, second] = evidence.epochs;
    let seq = dice.seq(FIRST);
    let of = |epoch: Epoch, seq: u64| {
        format!("seq = {seq} AND provenance_id IN (SELECT id FROM provenance WHERE epoch = '{epoch}')")
    };
    let (row, next) = (of(first, seq), of(first, seq + 1));
    let at = |seq: u64| evidence.start + SignedDuration::from_secs(2 * seq as i64);
    let decoded = Record::decode(&evidence.sent[&(first, seq)]).unwrap();
    let Body::Scan(scan) = &decoded.body else { panic!("a scan") };
    let so2 = scan.readings.iter().find(|(code, _)| code.as_str() == "a21026").unwrap().1.value.unwrap();
    let ulp = f64::from_bits(so2.to_bits() + 1);
    // A forger who computes the hash of what he has written.
    let forged = |record: &Record, value: f64| {
        let mut record = record.clone();
        if let Body::Scan(scan) = &mut record.body {
            for (code, reading) in &mut scan.readings {
                if code.as_str() == "a21026" {
                    reading.value = Some(value);
                }
            }
        }
        Hash::of(&record.encode())
    };
    let position = "(SELECT position + 1 FROM channel WHERE code = 'a21026' AND outlet_id = scan.outlet_id)";
    let change = |set: &str| format!("UPDATE scan SET {set} WHERE {row}");
    // A row that goes on from `prev` with a number of its own, at a time when there is none.
    let mut added = decoded.clone();
    let insert = |record: &Record, prev: Hash, columns: &str| {
        let mut record = record.clone();
        record.prev = prev;
        let time = record.at();
        let hash = Hash::of(&record.encode());
        format!(
            "INSERT INTO scan SELECT outlet_id, source_id, method, '{time}', received_at, {}, provenance_id, flag, checked, {}, {}, \
             measured, corrected FROM scan WHERE {columns}",
            record.seq,
            bytea(hash),
            bytea(prev)
        )
    };
    let end = Hash::of(&evidence.sent[&(first, FIRST - 1)]);
    added.seq = FIRST;
    if let Body::Scan(scan) = &mut added.body {
        scan.at = at(seq) + SignedDuration::from_secs(1);
    }
    let appended = insert(&added, end, &row);
    let mut twin = added.clone();
    twin.seq = seq;
    let doubled = insert(&twin, decoded.prev, &row);
    let one = place(first, seq);
    let behind = place(first, seq + 1);
    let edit = |name, statement: String, kinds, place: &str| Edit {
        name,
        statement,
        kinds,
        place: place.to_owned(),
    };
    let altered: &[Kind] = &[Kind::Alteration];
    vec![
        edit("a value by one ulp", change(&format!("measured[{position}] = {ulp}::float8")), altered, &one),
        edit("a value gone", change(&format!("measured[{position}] = NULL")), altered, &one),
        edit("a flag", change("flag = overlay(flag placing 'D' from 2 for 1)"), altered, &one),
        edit("a flag that is none", change("flag = overlay(flag placing 'Q' from 2 for 1)"), altered, &one),
        edit("a channel taken out", change("flag = overlay(flag placing '-' from 2 for 1)"), altered, &one),
        edit("a channel more", change("flag = flag || 'N', measured = measured || 1.0::float8"), altered, &one),
        edit("the time by a second", change("measured_at = measured_at + interval '1 s'"), altered, &one),
        edit("the time by a microsecond", change("measured_at = measured_at + interval '1 us'"), altered, &one),
        edit("a free number", change("seq = 1000000"), altered, "seq 1000000"),
        edit("the next one's number", change(&format!("seq = {}", seq + 1)), &[Kind::Alteration, Kind::Fork], &behind),
        edit("a negative number", change("seq = -1"), altered, "seq -1"),
        edit("prev", change("prev = hash"), &[Kind::Alteration, Kind::BrokenLink], &one),
        edit("hash", change("hash = prev"), &[Kind::Alteration, Kind::BrokenLink], &one),
        edit(
            "a value with its hash computed again",
            change(&format!("measured[{position}] = 1.5, hash = {}", bytea(forged(&decoded, 1.5)))),
            &[Kind::BrokenLink],
            &behind,
        ),
        edit(
            "two rows' numbers exchanged",
            format!("UPDATE scan SET seq = {seq} + {seq} + 1 - seq WHERE ({row}) OR ({next})"),
            altered,
            &one,
        ),
        edit(
            "two rows' contents exchanged",
            format!(
                "UPDATE scan SET seq = o.seq, prev = o.prev, hash = o.hash, measured = o.measured, flag = o.flag \
                 FROM scan o WHERE o.outlet_id = scan.outlet_id AND ((scan.{row} AND o.{next}) OR (scan.{next} AND o.{row}))"
            )
            .replace("AND provenance_id IN", "AND scan.provenance_id IN"),
            altered,
            &one,
        ),
        edit("one row away", format!("DELETE FROM scan WHERE {row}"), &[Kind::Gap, Kind::Missing], &one),
        edit("the first scan away", format!("DELETE FROM scan WHERE {}", of(first, 1)), &[Kind::Gap], &place(first, 1)),
        edit(
            "the first event away",
            format!("DELETE FROM event WHERE epoch = '{first}' AND seq = 0"),
            &[Kind::Gap],
            &place(first, 0),
        ),
        edit(
            "the last of an epoch away",
            format!("DELETE FROM scan WHERE {}", of(first, FIRST - 1)),
            &[Kind::NoPredecessor, Kind::Missing],
            &place(second, 0),
        ),
        edit(
            "the last of all away",
            format!("DELETE FROM scan WHERE {}", of(second, SECOND - 1)),
            &[Kind::Missing],
            &place(second, SECOND - 1),
        ),
        edit(
            "the last ten away",
            format!("DELETE FROM scan WHERE {}", of(second, SECOND - 1)).replace("seq =", "10 + seq >"),
            &[Kind::Missing],
            &place(second, SECOND - 1),
        ),
        edit(
            "one of the newest epoch away",
            format!("DELETE FROM scan WHERE {}", of(second, dice.seq(SECOND))),
            &[Kind::Missing],
            &format!("epoch {second}"),
        ),
        edit(
            "an epoch away",
            format!(
                "DELETE FROM scan WHERE provenance_id IN (SELECT id FROM provenance WHERE epoch = '{second}'); \
                 DELETE FROM event WHERE epoch = '{second}'; DELETE FROM provenance WHERE epoch = '{second}'"
            ),
            &[Kind::Missing],
            &format!("epoch {second}"),
        ),
        edit("one more at the end of an epoch", appended, &[Kind::NoPredecessor], &place(second, 0)),
        edit("a second row with a number", doubled, &[Kind::Fork], &one),
        edit("the same row of another source", insert(&decoded, decoded.prev, &row).replace("source_id,", "2,"), &[Kind::Fork, Kind::Alteration], &one),
        edit("another source", change("source_id = 2"), altered, &one),
        edit("no provenance", change("provenance_id = 999999"), &[Kind::Insertion, Kind::Gap], &format!("seq {seq}")),
        edit(
            "another gateway's row",
            change("provenance_id = (SELECT p.id FROM provenance p JOIN gateway g ON g.id = p.gateway_id WHERE g.name = 'gw-two')"),
            &[Kind::Insertion, Kind::Gap],
            &format!("seq {seq}"),
        ),
        edit(
            "the configuration",
            format!("UPDATE provenance SET cfg = sha256('x') WHERE epoch = '{first}'"),
            altered,
            &one,
        ),
        edit("received before it was made", change("received_at = measured_at - interval '1 h'"), altered, &one),
        edit(
            "an event's detail",
            format!("UPDATE event SET detail = replace(detail, '\"a\"', '\"c\"') WHERE epoch = '{first}' AND seq = 100"),
            altered,
            &place(first, 100),
        ),
        edit(
            "an event's spaces",
            format!("UPDATE event SET detail = replace(detail, ':', ': ') WHERE epoch = '{first}' AND seq = 100"),
            altered,
            &place(first, 100),
        ),
        edit(
            "an event's name",
            format!("UPDATE event SET event = 'stop' WHERE epoch = '{first}' AND seq = 100"),
            altered,
            &place(first, 100),
        ),
        edit(
            "an event's provenance",
            format!("UPDATE event SET provenance_id = (SELECT id FROM provenance WHERE epoch = '{second}') WHERE epoch = '{first}' AND seq = 100"),
            altered,
            &place(first, 100),
        ),
        edit("an event away", format!("DELETE FROM event WHERE epoch = '{first}' AND seq = 100"), &[Kind::Gap], &place(first, 100)),
        edit("a channel's code", format!("UPDATE channel SET code = 'a21026-9' WHERE code = 'a21026' AND outlet_id = (SELECT id FROM outlet WHERE code = '{KILN}')"), altered, &one),
        edit(
            "quarantined bytes",
            "UPDATE quarantine SET payload = payload || 'x' WHERE seq_first = 40".to_owned(),
            altered,
            "quarantine id",
        ),
        edit(
            "quarantined bytes with their digest",
            "UPDATE quarantine SET payload = convert_to(replace(convert_from(payload, 'UTF8'), 'nowhere', 'anywhere'), 'UTF8') WHERE seq_first = 40; \
             UPDATE quarantine SET digest = sha256(payload) WHERE seq_first = 40"
                .to_owned(),
            &[Kind::BrokenLink],
            &place(first, 41),
        ),
        edit(
            "quarantined bytes made unreadable",
            "UPDATE quarantine SET payload = 'x', digest = sha256('x') WHERE seq_first = 80".to_owned(),
            altered,
            "quarantine id",
        ),
        edit(
            "a quarantined record away",
            format!("DELETE FROM quarantine WHERE seq_first = {}", QUARANTINED[1]),
            &[Kind::Gap, Kind::Missing],
            &place(first, QUARANTINED[1]),
        ),
        edit(
            "a quarantined record said to be stored",
            "UPDATE quarantine SET state = 'stored' WHERE seq_first = 40".to_owned(),
            &[Kind::Gap],
            &place(first, 40),
        ),
        edit(
            "a row away and noise in quarantine in its place",
            format!(
                "DELETE FROM scan WHERE {row}; INSERT INTO quarantine (received_at, topic, gateway, epoch, seq_first, seq_last, reason, payload, digest) \
                 VALUES (now(), 'cems/v1/gw-demo/live', 'gw-demo', '{first}', {seq}, {seq}, 'not a record', 'noise', sha256('noise'))"
            )
            .replace("'{first}'", &format!("'{first}'")),
            &[Kind::Missing],
            &format!("epoch {first}"),
        ),
        edit(
            "the noted head",
            format!("UPDATE chain_head SET head = sha256('x') WHERE epoch = '{second}'"),
            altered,
            &place(second, SECOND - 1),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_edit_of_a_superuser_is_found_at_its_place() {
    let evidence = evidence().await;
    let client = evidence.database.client().await;
    the_clean_state(&evidence, &client).await;
    let mut dice = Dice(fastrand::Rng::with_seed(4711));
    let mut found = 0;
    for _ in 0..3 {
        for Edit { name, statement, kinds, place } in edits(&evidence, &mut dice) {
            client.batch_execute("BEGIN").await.unwrap();
            let done = client.batch_execute(&statement).await;
            done.unwrap_or_else(|error| panic!("{name}: {error:?}\n{statement}"));
            let report = report_on(&client, "gw-demo", None).await;
            client.batch_execute("ROLLBACK").await.unwrap();
            assert!(!report.clean, "{name} was not found\n{statement}\n{report}");
            for kind in kinds {
                let of_kind = report.findings.iter().any(|finding| finding.kind == *kind);
                assert!(of_kind, "{name}: no {kind:?}\n{statement}\n{report}");
            }
            let named = report.findings.iter().any(|finding| {
                format!("{} ", finding.place).contains(&format!("{place} "))
                    || finding.place.to_string().contains(&place)
            });
            assert!(named, "{name}: no finding names {place:?}\n{statement}\n{report}");
            found += 1;
        }
    }
    println!("{found} edits found");
    the_limit(&evidence, &client).await;
    let (gateway, all) =
        (report_on(&client, "gw-demo", None).await, report_on(&client, "gw-two", None).await);
    assert!(gateway.clean && all.clean, "{gateway}{all}");
}

/// What docs/verify.md says cannot be found: the newest record taken away together with all that the database knows of it.
async fn the_limit(evidence: &Evidence, client: &Client) {
    let (epoch, last) = (evidence.epochs[1], SECOND - 1);
    let before = &evidence.sent[&(epoch, last - 1)];
    let (hash, at) = (Hash::of(before), Record::decode(before).unwrap().at());
    let forged = format!(
        "BEGIN; DELETE FROM scan WHERE seq = {last} AND provenance_id IN (SELECT id FROM provenance WHERE epoch = '{epoch}'); \
         UPDATE chain_head SET records = records - 1, last_seq = last_seq - 1, head = {}, last_at = '{at}' WHERE epoch = '{epoch}'",
        bytea(hash)
    );
    client.batch_execute(&forged).await.unwrap();
    assert!(report_on(client, "gw-demo", None).await.clean);
    // Whoever kept the head finds it even so.
    let head = (epoch, last, Hash::of(&evidence.sent[&(epoch, last)]));
    let report = report_with(client, "gw-demo", None, &[head]).await;
    client.batch_execute("ROLLBACK").await.unwrap();
    assert!(report.findings.iter().any(|finding| finding.kind == Kind::Missing), "{report}");
    assert!(report_with(client, "gw-demo", None, &[head]).await.clean);
}

async fn the_clean_state(evidence: &Evidence, client: &Client) {
    let report = report_on(client, "gw-demo", None).await;
    assert!(report.clean, "{report}");
    let quarantined = QUARANTINED.len() as u64;
    assert_eq!(report.records, FIRST + SECOND - quarantined);
    let [one, two] = report.epochs.as_slice() else { panic!("{report}") };
    assert_eq!((one.scans, one.events, one.quarantined), (FIRST - 2 - quarantined, 2, quarantined));
    assert_eq!((one.first_seq, one.last_seq, two.last_seq), (Some(0), Some(FIRST - 1), Some(SECOND - 1)));
    // The readable ones are links of the chain themselves; the other's bytes are proven by the record behind it.
    let gaps: Vec<(u64, u64, Why)> = one.gaps.iter().map(|gap| (gap.first, gap.last, gap.why)).collect();
    assert_eq!(gaps, [(60, 60, Why::Quarantine)]);
    let head = Hash::of(&evidence.sent[&(evidence.epochs[1], SECOND - 1)]);
    assert_eq!(two.head, Some(head.to_string()));
    assert!(report_on(client, "gw-two", None).await.clean);
    // Within a time, from the middle of one epoch to that of the next.
    let at = |i: u64| evidence.start + SignedDuration::from_secs(2 * i as i64);
    let report = report_on(client, "gw-demo", Some((at(50), at(FIRST + 50)))).await;
    assert!(report.clean, "{report}");
    assert_eq!(report.records, FIRST - 50 + 50 - 2);
}

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cems")).arg("verify").args(arguments).output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_says_it_by_its_exit_code() {
    let evidence = evidence().await;
    let url = evidence.database.url().to_owned();
    let client = evidence.database.client().await;
    let output = run(&["--gateway", "gw-two", "--database", &url, "--json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((json["clean"].as_bool(), json["records"].as_u64()), (Some(true), Some(100)));
    assert_eq!(json["epochs"][0]["begins"], "zeros");
    let head = json["epochs"][0]["head"].as_str().unwrap();
    let head = format!("{}:99:{head}", json["epochs"][0]["epoch"].as_str().unwrap());
    let with = |head: &str| {
        let output = run(&["--gateway", "gw-two", "--database", &url, "--head", head]);
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    assert_eq!(with(&head).0, Some(0));
    let (code, text) = with(&head.replace(":99:", ":98:"));
    assert!(code == Some(3) && text.contains("the head that was kept elsewhere says"), "{text}");
    assert_eq!(with("x:1:y").0, Some(2));
    client
        .batch_execute("UPDATE scan SET flag = overlay(flag placing 'C' from 1 for 1) WHERE seq = 70")
        .await
        .unwrap();
    let output = run(&["--gateway", "gw-two", "--database", &url, "--json"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let finding = &json["findings"][0];
    assert_eq!(
        (&finding["kind"], &finding["seq"], &finding["outlet"]),
        (&"alteration".into(), &70.into(), &"demo-glass-furnace".into())
    );
    let text = String::from_utf8(run(&["--gateway", "gw-demo", "--database", &url]).stdout).unwrap();
    assert!(text.contains("!!! alteration: scan of demo-cement-kiln at "), "{text}");
    let output = run(&["--gateway", "nobody", "--database", &url]);
    assert!(
        output.status.code() == Some(2) && String::from_utf8_lossy(&output.stderr).contains("gw-two"),
        "{output:?}"
    );
    let span = ["--from", "2026-01-02T00:00:00Z", "--to", "2026-01-01T00:00:00Z"];
    let output = run(&[&["--gateway", "gw-two", "--database", &url], &span[..]].concat());
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let output = run(&["--gateway", "gw-two", "--database", "postgres://nobody@127.0.0.1:1/none"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_gateway_lost_awaits_or_told_late_is_no_finding() {
    let world = world_of(two_gateways(), "").await;
    let mut sender = Sender::connect(world.broker.port()).await;
    let start = whole_second() - SignedDuration::from_hours(3);
    let at = |i: i64| start + SignedDuration::from_secs(2 * i);
    let lines: Vec<Vec<u8>> = (0..20).map(|i| sender.record(at(i), &kiln(20.0, 10.0))).collect();
    // The last three and two in the middle never arrive, and the spool is gone.
    publish(&mut sender, 0, &lines[..10]).await;
    publish(&mut sender, 12, &lines[12..17]).await;
    let lost = sender.epoch;
    sender.new_epoch();
    let detail = [
        ("epoch", lost.to_string()),
        ("next", "20".to_owned()),
        ("file", String::new()),
        ("reason", "gone".to_owned()),
    ];
    let detail: Vec<(&str, &str)> = detail.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let mut lines = vec![sender.event(at(30), "lost-range", &detail)];
    // One is about a day before, as a gateway delivers what an analyser had kept; one has not arrived yet.
    lines.extend((31..50).map(|i| {
        let back = if i == 40 { SignedDuration::from_hours(24) } else { SignedDuration::ZERO };
        sender.record(at(i) - back, &kiln(20.0, 10.0))
    }));
    publish(&mut sender, 0, &lines[..15]).await;
    publish(&mut sender, 16, &lines[16..]).await;
    let client = world.database.client().await;
    client.batch_execute("BEGIN").await.unwrap();
    let report = report_on(&client, "gw-demo", None).await;
    assert!(report.clean, "{report}");
    let gaps = |epoch: usize| -> Vec<(u64, u64, Why)> {
        report.epochs[epoch].gaps.iter().map(|gap| (gap.first, gap.last, gap.why)).collect()
    };
    assert_eq!((gaps(0), gaps(1)), (vec![(10, 11, Why::Lost)], vec![(15, 15, Why::Awaited)]), "{report}");
    assert!(report.to_string().contains("begins behind a record that was lost"), "{report}");
    assert!(report.notes.iter().any(|note| note.contains("the time goes back")), "{report}");
    // In a time that leaves the old one out, its number is no gap.
    let report = report_on(&client, "gw-demo", Some((at(35), at(44)))).await;
    assert!(report.clean && report.epochs[0].gaps.is_empty(), "{report}");
    // The gateway says that its spool is empty: then nothing is awaited any more.
    let said =
        format!(r#"{{"v":1,"gateway":"gw-demo","online":true,"spool_records":0,"at":"{}"}}"#, clock::now());
    let sql = "INSERT INTO gateway_heard (gateway_id, at, status) SELECT id, now(), $1::text::jsonb FROM gateway WHERE name = 'gw-demo' \
        ON CONFLICT (gateway_id) DO UPDATE SET status = excluded.status";
    client.execute(sql, &[&said]).await.unwrap();
    let report = report_on(&client, "gw-demo", None).await;
    assert_eq!(
        report.findings.iter().map(|finding| finding.kind).collect::<Vec<_>>(),
        [Kind::Gap],
        "{report}"
    );
    world.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plant_that_really_ran_is_clean() {
    let chain = crate::support::chain::Chain::start("").await;
    chain.plant.control().hold("demo-glass-furnace", "a21026", 60.0).unwrap();
    chain.plant.runs_for(6).await;
    chain.centre.stop().await;
    let report = report_on(&chain.client, "gw-demo", None).await;
    assert!(report.clean, "{report}");
    assert!(report.records > 15 && report.epochs.len() == 1, "{report}");
}
