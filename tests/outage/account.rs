//! What became of all that was served, and all that must hold when the chain is at rest.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use cems::config::gateway;
use cems::shutdown::Shutdown;
use cems::telemetry::Reporting;

use crate::harness::derived;
use crate::harness::world::{LIMIT, World, second};
use crate::support::ledger::{self, Place, Served, compare};
use crate::support::wait::wait_until;

/// The poll that a gateway had under way when it ended may be this old (microseconds).
const UNDER_WAY: i64 = 1_500_000;
/// A gateway ended without warning, by kill or power cut.
#[derive(Debug, Clone)]
pub struct PowerLoss {
    pub outlets: Vec<String>,
    /// Unix microseconds of the loss.
    pub at: i64,
    /// From here on its next start asks: the first whole second after it.
    pub over: i64,
}

/// One line of the report.
#[derive(Debug, Clone, Default)]
pub struct Line {
    pub fault: String,
    pub injected: usize,
    pub served: usize,
    pub lost: usize,
    pub duplicated: usize,
    pub altered: usize,
    pub invented: usize,
    /// Readings of polls that were not yet durable when their gateway ended.
    pub not_durable: usize,
    /// Seconds from the return of a part to the first stored readings of after it.
    pub recovery: Vec<f64>,
    /// Whatever else was not as it must be.
    pub wrong: Vec<String>,
}

impl Line {
    pub fn of(fault: &str) -> Line {
        Line { fault: fault.to_owned(), ..Line::default() }
    }

    pub fn is_clean(&self) -> bool {
        [self.lost, self.duplicated, self.altered, self.invented, self.wrong.len()] == [0; 5]
    }

    pub fn injected(&mut self, recovery: f64) {
        self.injected += 1;
        self.recovery.push(recovery);
    }

    #[track_caller]
    pub fn assert_clean(&self) {
        println!("{self}");
        assert!(self.is_clean(), "{self}");
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Line { fault, injected, served, lost, duplicated, altered, invented, not_durable, .. } = self;
        write!(
            f,
            "{fault:<48} {injected:>8} {lost:>5} {duplicated:>10} {altered:>7} {invented:>8} {not_durable:>11} {served:>9}"
        )?;
        let mut times = self.recovery.clone();
        times.sort_by(f64::total_cmp);
        match (times.get(times.len() / 2), times.last()) {
            (Some(median), Some(longest)) => write!(f, " {median:>8.1} {longest:>8.1}")?,
            _ => write!(f, " {:>8} {:>8}", "-", "-")?,
        }
        self.wrong.iter().try_for_each(|wrong| write!(f, "\n    wrong: {wrong}"))
    }
}

/// What stands above the lines.
pub fn heading() -> String {
    format!(
        "{:<48} {:>8} {:>5} {:>10} {:>7} {:>8} {:>11} {:>9} {:>8} {:>8}",
        "fault",
        "injected",
        "lost",
        "duplicated",
        "altered",
        "invented",
        "not durable",
        "served",
        "recovery",
        "longest"
    )
}

impl World {
    /// Accounts for all that was served since the last account; waits until nothing is missing, or the limit is reached.
    pub async fn account(&mut self, line: &mut Line) {
        let before = second();
        let (from, limit) = (self.accounted, LIMIT);
        let nothing_missing = async {
            wait_until(2 * limit, "all that was served", || async {
                let (account, _) = self.compared(from, before).await;
                if account.lost.is_empty() { Ok(()) } else { Err(()) }
            })
            .await;
        };
        // What is lost is told below.
        let _late = tokio::time::timeout(limit, nothing_missing).await;
        let (account, not_durable) = self.compared(from, before).await;
        line.served += account.served;
        line.not_durable += not_durable;
        line.lost += account.lost.len();
        line.duplicated += account.duplicated.len();
        line.altered += account.altered.len();
        line.invented += account.invented.len();
        for (what, places) in [
            ("lost", &account.lost),
            ("duplicated", &account.duplicated),
            ("altered", &account.altered),
            ("invented", &account.invented),
        ] {
            if let Some(first) = places.first() {
                let of_outlet = |loss: &&PowerLoss| loss.outlets.contains(&first.0);
                let nearest = self
                    .power_losses
                    .iter()
                    .filter(of_outlet)
                    .min_by_key(|loss| (loss.at / 1_000_000 - first.2).abs());
                let served = self.witness.served(first.2, first.2 + 1);
                let served = served
                    .iter()
                    .find(|answer| answer.outlet == first.0 && answer.values.contains_key(&first.1));
                line.wrong.push(format!(
                    "{} {what}, the first {first:?}, served at {:?}; the nearest loss of power {:?}",
                    places.len(),
                    served.map(|answer| answer.at),
                    nearest.map(|loss| (loss.at, loss.over))
                ));
            }
        }
        self.accounted = before;
    }

    /// What became of what was served in these seconds, and how many of those readings were not yet durable at a loss of power.
    pub async fn compared(&self, from: i64, before: i64) -> (ledger::Account, usize) {
        let client = self.client().await;
        let stored = ledger::stored_between(&client, from, before).await;
        let served = self.witness.served(from, before);
        let mut account = compare(&served, &stored, before);
        let (lost, served) = (account.lost.len(), served_at(&account.lost, &served));
        for loss in &self.power_losses {
            excuse(&mut account.lost, loss, &served);
        }
        let not_durable = lost - account.lost.len();
        (account, not_durable)
    }

    /// Stops the gateways, drains their spools, and looks at everything once more.
    pub async fn at_rest(&mut self) -> Line {
        let mut line = Line::of("all of it, at rest");
        for gateway in &mut self.gateways {
            gateway.process.stop().await;
        }
        // The last second is whole: nobody polls.
        let end = second() + 1;
        self.drain().await;
        self.accounted = self.started;
        wait_until(LIMIT, "the end of the second", || async { (second() >= end).then_some(()).ok_or(()) })
            .await;
        self.account(&mut line).await;
        line.wrong.extend(self.published_is_stored().await);
        line.wrong.extend(self.receipted_is_stored().await);
        line.wrong.extend(derived::wrong(self).await);
        line.wrong.extend(self.verified().await);
        line
    }

    /// The spools become empty: a gateway on each, here.
    async fn drain(&self) {
        for gateway in &self.gateways {
            let config = gateway::parse("gateway.toml", &gateway.configuration);
            let config = config.unwrap_or_else(|problems| panic!("{problems}"));
            let shutdown = Shutdown::new();
            let running = cems::gateway::start(config, Reporting::default(), shutdown.clone()).await.unwrap();
            let spool = running.spool();
            wait_until(LIMIT, "an empty spool", || async {
                let spooled = spool.borrow().records;
                if spooled == 0 { Ok(()) } else { Err(spooled) }
            })
            .await;
            shutdown.cancel();
            let ended = tokio::time::timeout(Duration::from_secs(30), running.wait()).await;
            ended.expect("the gateway is to end").unwrap();
        }
    }

    /// Whatever anybody published is stored under its hash, and in quarantine is nothing.
    async fn published_is_stored(&self) -> Vec<String> {
        let client = self.client().await;
        let sql = "SELECT encode(hash, 'hex') FROM scan UNION ALL SELECT encode(hash, 'hex') FROM event";
        let rows = client.query(sql, &[]).await.unwrap();
        let stored: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
        let published = self.spy.published();
        let missing = published.iter().filter(|hash| !stored.contains(*hash)).count();
        let mut wrong = Vec::new();
        if missing > 0 {
            wrong.push(format!("{missing} of {} published records are not stored", published.len()));
        }
        let kept = self.count("SELECT count(*) FROM quarantine").await;
        if kept > 0 {
            wrong.push(format!("{kept} records in quarantine"));
        }
        wrong
    }

    /// Nothing was receipted that is not there.
    async fn receipted_is_stored(&self) -> Option<String> {
        let client = self.client().await;
        let sql = "SELECT g.name, replace(p.epoch::text, '-', ''), s.seq FROM scan s JOIN provenance p ON p.id = s.provenance_id \
                   JOIN gateway g ON g.id = p.gateway_id UNION ALL SELECT g.name, replace(e.epoch::text, '-', ''), e.seq \
                   FROM event e JOIN gateway g ON g.id = e.gateway_id";
        let rows = client.query(sql, &[]).await.unwrap();
        let stored: BTreeSet<(String, String, u64)> =
            rows.iter().map(|row| (row.get(0), row.get(1), row.get::<_, i64>(2).unsigned_abs())).collect();
        let receipts = self.spy.receipts();
        let numbers = receipts.iter().flat_map(|(gateway, epoch, first, last)| {
            (*first..=*last).map(|seq| (gateway.clone(), epoch.clone(), seq))
        });
        let missing = numbers.filter(|number| !stored.contains(number)).count();
        (missing > 0).then(|| format!("{missing} records were receipted and are not stored"))
    }

    /// `cems verify` of each gateway.
    pub async fn verified(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for gateway in &self.gateways {
            let (code, said) = self.verify(gateway.name).await;
            if code != Some(0) {
                wrong.push(format!("cems verify of {}: exit code {code:?}: {said}", gateway.name));
            }
        }
        wrong
    }

    /// Exit code, and the beginning of the report.
    pub async fn verify(&self, gateway: &str) -> (Option<i32>, String) {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_cems"));
        command.args(["verify", "--gateway", gateway, "--database", &self.url]);
        let output = command.output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        // The rest can be had from the program.
        (output.status.code(), said.lines().take(6).collect::<Vec<_>>().join("\n"))
    }
}

/// When each missing reading was served.
fn served_at(missing: &[Place], served: &[Served]) -> BTreeMap<Place, i64> {
    let missing: BTreeSet<&Place> = missing.iter().collect();
    let mut found = BTreeMap::new();
    for answer in served {
        for channel in answer.values.keys() {
            let place = (answer.outlet.clone(), channel.clone(), answer.second());
            if missing.contains(&place) {
                found.insert(place, answer.at);
            }
        }
    }
    found
}

/// Takes out of `missing` what was not durable at the loss: of what was served before it, at most one poll an outlet.
fn excuse(missing: &mut Vec<Place>, loss: &PowerLoss, served: &BTreeMap<Place, i64>) {
    let near =
        |place: &Place| served.get(place).copied().filter(|at| (loss.at - UNDER_WAY..loss.over).contains(at));
    for outlet in &loss.outlets {
        let before =
            missing.iter().filter(|place| place.0 == *outlet && near(place).is_some_and(|at| at < loss.at));
        let newest = before.map(|place| place.2).max();
        missing.retain(|place| {
            place.0 != *outlet || near(place).is_none_or(|at| at < loss.at && Some(place.2) != newest)
        });
    }
}

#[test]
fn only_one_poll_of_before_a_loss_is_excused() {
    let loss = PowerLoss { outlets: vec!["o".to_owned()], at: 10_200_000, over: 10_300_000 };
    let answer = |at: i64, outlet: &str| Served {
        at,
        outlet: outlet.to_owned(),
        flag: "N".to_owned(),
        values: [("a".to_owned(), Some(1.0))].into(),
    };
    let served =
        [answer(9_010_000, "o"), answer(10_010_000, "o"), answer(10_010_000, "p"), answer(12_010_000, "o")];
    let place = |outlet: &str, second: i64| (outlet.to_owned(), "a".to_owned(), second);
    let mut missing = vec![place("o", 9), place("o", 10), place("p", 10), place("o", 12)];
    let served = served_at(&missing, &served);
    excuse(&mut missing, &loss, &served);
    assert_eq!(missing, [place("o", 9), place("p", 10), place("o", 12)]);
}
