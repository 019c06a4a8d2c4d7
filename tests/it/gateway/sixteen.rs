//! Sixteen analysers on connections of their own: one hangs, one refuses, one talks garbage. The other thirteen do not notice.
use std::time::{Duration, Instant};

use cems::domain::flag::Flag;
use jiff::Timestamp;

use crate::gateway::centre::Centre;
use crate::gateway::stub::{Behaviour, Stub};
use crate::gateway::{Gateway, all, config, good, reading, scans, until};
use crate::support::servers::broker;
use crate::support::wait::wait_until;

const PERIOD_MS: i64 = 500;

/// For how long: some seconds in the suite, as long as `make test-long` says there.
fn seconds() -> u64 {
    std::env::var("CEMS_ISOLATION_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(8)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_that_misbehave_cost_the_other_thirteen_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let broker = broker().await;
    let mut stubs = Vec::new();
    for _ in 0..16 {
        stubs.push(Stub::start().await);
    }
    let centre = Centre::start(broker.port()).await;
    centre.receipt_everything();
    let gateway =
        Gateway::start(&config(folder.path(), broker.port(), &stubs.iter().collect::<Vec<_>>())).await;
    until("all sixteen answer", || {
        let all = all(&centre);
        (0..16).all(|index| {
            scans(&all, &format!("outlet-{index}"))
                .last()
                .is_some_and(|scan| reading(scan, "a21026") == good(0.0))
        })
    })
    .await;
    for (stub, behaviour) in stubs.iter().zip([Behaviour::Hang, Behaviour::Exception, Behaviour::Garbage]) {
        stub.behave(behaviour);
    }
    let (from, moment) = (cems::clock::now(), cems::clock::monotonic());
    let length = Duration::from_secs(seconds());
    wait_until(length + Duration::from_secs(30), "the time to be over", || async {
        if moment.elapsed() >= length { Ok(()) } else { Err(moment.elapsed()) }
    })
    .await;
    let until_then = cems::clock::now();
    gateway.stop().await;

    let all = all(&centre);
    let (mut due, mut whole) = (0_usize, 0_usize);
    for index in 3..16 {
        let ticks = ticks(from, until_then);
        let scans = scans(&all, &format!("outlet-{index}"));
        due += ticks.len();
        whole += ticks
            .iter()
            .filter(|tick| {
                let scan = scans.iter().find(|scan| scan.at == **tick);
                scan.is_some_and(|scan| {
                    reading(scan, "a21026") == good(0.0) && reading(scan, "a21002") == good(50.0)
                })
            })
            .count();
    }
    let p99 = jitter_p99(&stubs[3..], moment);
    println!(
        "{whole} of {due} scans whole ({:.3} %), period jitter p99 {:.1} %",
        100.0 * whole as f64 / due as f64,
        100.0 * p99
    );
    assert!(whole * 10_000 >= due * 9_999, "capture of the thirteen: {whole} of {due}");
    assert!(p99 < 0.1, "period jitter p99 {p99}");
    // The three are never a value in that time, and are said to be without one at every tick.
    for index in 0..3 {
        let scans = scans(&all, &format!("outlet-{index}"));
        let flagged =
            scans.iter().filter(|scan| scan.at > from + Duration::from_millis(1500) && scan.at < until_then);
        assert!(flagged.clone().count() > 0);
        assert!(flagged.clone().all(|scan| reading(scan, "a21026").flag == Flag::Communication
            && reading(scan, "a21026").value.is_none()));
    }
}

/// Of the time between the first requests of a scan and of the next one, as a share of the period.
fn jitter_p99(stubs: &[Stub], since: Instant) -> f64 {
    let mut off: Vec<f64> = Vec::new();
    for stub in stubs {
        let asked: Vec<Instant> = stub.asked().into_iter().filter(|at| *at >= since).step_by(2).collect();
        off.extend(asked.windows(2).map(|pair| {
            let apart = pair[1].duration_since(pair[0]).as_secs_f64() * 1000.0;
            (apart - PERIOD_MS as f64).abs() / PERIOD_MS as f64
        }));
    }
    off.sort_by(f64::total_cmp);
    off[off.len() * 99 / 100]
}

/// The ticks that lie wholly between two moments.
fn ticks(from: Timestamp, until: Timestamp) -> Vec<Timestamp> {
    let first = from.as_millisecond().div_euclid(PERIOD_MS) + 1;
    let last = until.as_millisecond().div_euclid(PERIOD_MS) - 1;
    (first..last).map(|tick| Timestamp::from_millisecond(tick * PERIOD_MS).unwrap()).collect()
}
