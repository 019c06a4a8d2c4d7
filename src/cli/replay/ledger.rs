//! `--ledger`: what was emitted, by account, pollutant and period, and how far each quota is used. docs/replay.md describes it.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::domain::limit::AveragingPeriod;
use crate::domain::quota::{Account, Amount, Emitted, Level, Quota, ledger, tonnes, used};
use crate::domain::window::Window;

const PERIODS: [AveragingPeriod; 4] =
    [AveragingPeriod::Day, AveragingPeriod::Month, AveragingPeriod::Quarter, AveragingPeriod::Year];

#[derive(Serialize)]
struct Whole<'l> {
    amounts: Vec<Entry>,
    quotas: Vec<QuotaEntry<'l>>,
}

/// One account and pollutant in one period. Measured and substituted are apart; `total` is their sum.
#[derive(Serialize)]
struct Entry {
    level: &'static str,
    account: String,
    pollutant: String,
    period: &'static str,
    start: Timestamp,
    measured_t: f64,
    substituted_t: f64,
    total_t: f64,
}

#[derive(Serialize)]
struct QuotaEntry<'l> {
    quota: &'l str,
    document: &'l str,
    level: &'static str,
    account: String,
    pollutant: &'l str,
    permitted_t: f64,
    used_t: f64,
    substituted_t: f64,
    used: String,
    verdict: &'static str,
    ratio_over: Option<f64>,
    /// The highest alert line that is reached.
    alert: Option<String>,
    used_up_on: Option<String>,
}

fn account_of(account: &Account) -> (&'static str, String) {
    match account {
        Account::Outlet(code) => ("outlet", code.clone()),
        Account::Enterprise(code) => ("enterprise", code.clone()),
        Account::Division(prefix) => ("division", prefix.clone()),
    }
}

/// Writes the ledger of these days, whole or not at all.
pub(super) fn write(path: &Path, days: &[Emitted], quotas: &[Quota], zone: &TimeZone) -> io::Result<()> {
    let whole = Whole { amounts: amounts(days, zone), quotas: quotas_of(days, quotas, zone) };
    let mut part = path.to_owned().into_os_string();
    part.push(".part");
    let text = serde_json::to_vec_pretty(&whole).map_err(io::Error::from)?;
    std::fs::write(&part, text)?;
    std::fs::rename(&part, path)
}

fn amounts(days: &[Emitted], zone: &TimeZone) -> Vec<Entry> {
    let mut entries = Vec::new();
    for level in Level::ALL {
        for period in PERIODS {
            let mut windows: BTreeMap<Timestamp, Vec<&Emitted>> = BTreeMap::new();
            for day in days {
                windows.entry(Window::containing(period, day.start, zone).start).or_default().push(day);
            }
            for (start, within) in windows {
                for ((account, pollutant), Amount { measured_mg, substituted_mg }) in ledger(level, within) {
                    entries.push(Entry {
                        level: level.name(),
                        account: account_of(&account).1,
                        pollutant,
                        period: period.name(),
                        start,
                        measured_t: tonnes(measured_mg),
                        substituted_t: tonnes(substituted_mg),
                        total_t: tonnes(measured_mg + substituted_mg),
                    });
                }
            }
        }
    }
    entries
}

fn quotas_of<'l>(days: &[Emitted], quotas: &'l [Quota], zone: &TimeZone) -> Vec<QuotaEntry<'l>> {
    let last = days.iter().map(|day| day.start).max();
    let Some(end) = last.map(|last| Window::containing(AveragingPeriod::Day, last, zone).end) else {
        return Vec::new();
    };
    quotas
        .iter()
        .map(|quota| {
            let used = used(quota, days, end, zone);
            let verdict = used.verdict();
            let (level, account) = account_of(&quota.account);
            QuotaEntry {
                quota: &quota.code,
                document: &quota.document,
                level,
                account,
                pollutant: &quota.pollutant,
                permitted_t: verdict.limit,
                used_t: tonnes(used.amount.total_mg()),
                substituted_t: tonnes(used.amount.substituted_mg),
                used: used.share.to_string(),
                verdict: verdict.outcome.name(),
                ratio_over: verdict.ratio_over,
                alert: used.alert.map(|line| line.to_string()),
                used_up_on: used.used_up_on.map(|day| day.to_string()),
            }
        })
        .collect()
}
