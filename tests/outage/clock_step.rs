//! The gateways' clock is set by an hour, back and forth, by libfaketime (Debian: libfaketime): the monotonic clock goes on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::harness::account::Line;
use crate::harness::world::{LIMIT, World, microseconds, moment, second};
use crate::support::ledger::{self, Stored};
use crate::support::wait::wait_until;

const HOUR: i64 = 3600;

/// Where the library is; `None`, with a note, where it is not.
pub fn library() -> Option<PathBuf> {
    let folders = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib"];
    let files = folders.map(|folder| Path::new(folder).join("faketime/libfaketimeMT.so.1"));
    let found = files.into_iter().find(|file| file.is_file());
    if found.is_none() {
        println!("skipped: libfaketime is not installed (apt-get install libfaketime)");
    }
    found
}

/// What a process needs whose clock is to be set.
pub fn environment(folder: &Path) -> Vec<(String, String)> {
    let library = library().expect("asked before");
    [
        ("LD_PRELOAD", library.display().to_string()),
        ("FAKETIME_TIMESTAMP_FILE", file(folder).display().to_string()),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

fn file(folder: &Path) -> PathBuf {
    folder.join("clock")
}

/// Sets the clock to so many seconds from the right time.
pub fn set(folder: &Path, seconds: i64) {
    // Exchanged at once: half a file would be another time.
    let new = folder.join("clock.new");
    std::fs::write(&new, format!("{seconds:+}\n")).unwrap();
    std::fs::rename(new, file(folder)).unwrap();
}

/// So much back that ticks of before come again.
const BACK: i64 = 15;
const OFFSETS: [i64; 6] = [-HOUR, 0, HOUR, 0, -BACK, 0];

/// An hour back, an hour ahead, and fifteen seconds back, each for a while. Everything served is stored under the gateway's own time, or kept in
/// quarantine: as of the future, or because its place is taken. Each step is told; nothing comes twice.
pub async fn steps(world: &mut World, seconds: u64) -> Line {
    let mut line = Line::of("clock of the gateways set, six times");
    let mut phases = vec![(world.started * 1_000_000, 0)];
    for offset in OFFSETS {
        moment(Duration::from_secs(seconds)).await;
        set(world.folder(), offset);
        phases.push((microseconds(), offset));
        line.injected += 1;
    }
    let took = world.stored_after(microseconds(), None).await;
    line.recovery.push(took);
    let wanted = OFFSETS.len() * world.gateways.len();
    wait_until(LIMIT, "the steps to be told", || async {
        let steps = told(world).await;
        if steps >= wanted { Ok(()) } else { Err(steps) }
    })
    .await;
    let (from, before) = (world.started, second());
    let stay = async {
        wait_until(2 * LIMIT, "all that was served", || async {
            if compared(world, &phases, from, before).await.0 == 0 { Ok(()) } else { Err(()) }
        })
        .await;
    };
    let _told_below = tokio::time::timeout(LIMIT, stay).await;
    let (lost, invented, served) = compared(world, &phases, from, before).await;
    (line.lost, line.invented, line.served) = (lost, invented, served);
    let steps = told(world).await;
    if steps != wanted {
        line.wrong.push(format!("{steps} steps were told, and {wanted} were made"));
    }
    // The clocks of all three phases were seen, or nothing was tested.
    let behind = world
        .count("SELECT count(*) FROM scan WHERE measured_at < received_at - interval '59 minutes'")
        .await;
    let kept = quarantined(world).await;
    let ahead = kept.iter().filter(|(place, _)| place.2 > before).count();
    let taken = kept.len() - ahead;
    println!(
        "{behind} scans of an hour ago, {ahead} readings of an hour ahead, {taken} whose place was taken"
    );
    if behind == 0 || ahead == 0 || taken == 0 {
        line.wrong.push("the clock was not set: is FAKETIME heeded?".to_owned());
    }
    // The numbers go on: no clock has a hand in them.
    let numbers = "SELECT count(*) FROM (SELECT epoch, seq FROM event UNION ALL SELECT p.epoch, s.seq FROM scan s \
                   JOIN provenance p ON p.id = s.provenance_id) x GROUP BY epoch, seq HAVING count(*) > 1";
    if !world.client().await.query(numbers, &[]).await.unwrap().is_empty() {
        line.wrong.push("a number was given twice".to_owned());
    }
    let windows = world.count("SELECT count(*) FROM (SELECT FROM average_wide GROUP BY outlet_id, source_id, period, start, revision HAVING count(*) > 1) x")
        .await;
    if windows > 0 {
        line.wrong.push(format!("{windows} windows were counted twice"));
    }
    line
}

/// Steps that are told of, in the table or (as of the future) in quarantine.
async fn told(world: &World) -> usize {
    let stored = world.count("SELECT count(*) FROM event WHERE event = 'clock-step'").await;
    let kept = records_in_quarantine(world).await;
    stored as usize + kept.iter().filter(|record| record["event"] == "clock-step").count()
}

/// Readings served and not kept under any clock of their moment, values kept that nobody served then, and all that was served.
async fn compared(world: &World, phases: &[(i64, i64)], from: i64, before: i64) -> (usize, usize, usize) {
    let client = world.client().await;
    let mut kept = ledger::stored_between(&client, from - 2 * HOUR, before + 2 * HOUR).await;
    for (place, row) in quarantined(world).await {
        kept.entry(place).or_default().push(row);
    }
    let (mut lost, mut served) = (0, 0);
    // Every value that may stand at a place.
    let mut may = BTreeMap::<_, Vec<Option<f64>>>::new();
    let ends = phases.iter().skip(1).map(|phase| phase.0).chain([i64::MAX / 2]);
    let phases: Vec<(i64, i64, i64)> =
        phases.iter().zip(ends).map(|(phase, end)| (phase.0, end, phase.1)).collect();
    for answer in world.witness.served(from, before) {
        // A scan that a step interrupts has the time of its beginning.
        let offsets =
            phases.iter().filter(|(start, end, _)| (start - 1_500_000..end + 1_500_000).contains(&answer.at));
        let ticks: Vec<i64> = offsets.map(|phase| answer.second() + phase.2).collect();
        for (channel, value) in &answer.values {
            served += 1;
            let places = ticks.iter().map(|tick| (answer.outlet.clone(), channel.clone(), *tick));
            let is =
                |row: &Stored| row.0.map(f64::to_bits) == value.map(f64::to_bits) && row.1 == answer.flag;
            let no_answer = |row: &Stored| row.0.is_none() && row.1 == "B";
            let found = places.clone().any(|place| {
                kept.get(&place).is_some_and(|rows| rows.iter().any(|row| is(row) || no_answer(row)))
            });
            lost += usize::from(!found);
            places.for_each(|place| may.entry(place).or_default().push(*value));
        }
    }
    // What is of now or of an hour ahead is still to be compared when it is over.
    let over = |second: i64| second < before || (second > before + HOUR / 2 && second < before + HOUR);
    let rows = kept.iter().filter(|(place, _)| over(place.2));
    let invented =
        rows.flat_map(|(place, rows)| rows.iter().map(move |row| (place, row.0))).filter(|(place, value)| {
            value.is_some() && !may.get(*place).is_some_and(|values| values.contains(value))
        });
    (lost, invented.count(), served)
}

/// The readings of the records that are kept whole as of the future.
async fn quarantined(world: &World) -> Vec<(ledger::Place, Stored)> {
    let mut found = Vec::new();
    for record in records_in_quarantine(world).await {
        let Some(readings) = record["readings"].as_object() else { continue };
        let outlet = record["outlet"].as_str().unwrap();
        let at: jiff::Timestamp = record["at"].as_str().unwrap().parse().unwrap();
        for (channel, reading) in readings {
            let place = (outlet.to_owned(), channel.clone(), at.as_second());
            found.push((place, (reading[0].as_f64(), reading[1].as_str().unwrap().to_owned())));
        }
    }
    found
}

async fn records_in_quarantine(world: &World) -> Vec<Value> {
    let rows = world.client().await.query("SELECT payload FROM quarantine", &[]).await.unwrap();
    let payloads = rows.iter().map(|row| row.get::<_, Vec<u8>>(0));
    let lines =
        payloads.flat_map(|bytes| bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>());
    lines.map(|line| serde_json::from_slice(&line).unwrap()).collect()
}
