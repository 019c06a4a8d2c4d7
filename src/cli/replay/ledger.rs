//! `--ledger`: what was emitted, by account, pollutant and period, and how far each quota is used. docs/replay.md describes it.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::domain::law::Law;
use crate::domain::limit::AveragingPeriod;
use crate::domain::quota::{Account, Aim, Amount, Emitted, Level, Quota, Target, Used, ledger, tonnes, used};
use crate::domain::window::Window;

const PERIODS: [AveragingPeriod; 4] =
    [AveragingPeriod::Day, AveragingPeriod::Month, AveragingPeriod::Quarter, AveragingPeriod::Year];

/// The whole ledger.
#[derive(Serialize)]
pub(in crate::cli) struct Whole<'l> {
    pub amounts: Vec<Entry>,
    pub quotas: Vec<QuotaEntry<'l>>,
    pub targets: Vec<TargetEntry<'l>>,
}

/// How far a city's or county's target is reached.
#[derive(Serialize)]
pub(in crate::cli) struct TargetEntry<'l> {
    pub target: &'l str,
    pub document: &'l str,
    pub division: &'l str,
    pub substance: &'l str,
    pub year: i16,
    /// What may be emitted in the year; null where the base year is not known here, or stacks do not measure the substance.
    pub allowed_t: Option<f64>,
    /// Emitted in the year so far, by the stacks that are measured.
    pub emitted_t: Option<f64>,
    pub reached: Option<bool>,
}

/// One account and pollutant in one period. Measured and substituted are apart; `total` is their sum.
#[derive(Serialize)]
pub(in crate::cli) struct Entry {
    pub level: &'static str,
    pub account: String,
    pub pollutant: String,
    pub period: &'static str,
    pub start: Timestamp,
    pub measured_t: f64,
    pub substituted_t: f64,
    pub total_t: f64,
}

/// How far a quota is used.
#[derive(Serialize)]
pub(in crate::cli) struct QuotaEntry<'l> {
    pub quota: &'l str,
    pub document: &'l str,
    pub level: &'static str,
    pub account: String,
    pub pollutant: &'l str,
    pub permitted_t: f64,
    pub used_t: f64,
    pub substituted_t: f64,
    pub used: String,
    pub verdict: &'static str,
    pub ratio_over: Option<f64>,
    /// The highest alert line that is reached.
    pub alert: Option<String>,
    pub used_up_on: Option<String>,
}

fn account_of(account: &Account) -> (&'static str, String) {
    match account {
        Account::Outlet(code) => ("outlet", code.clone()),
        Account::Enterprise(code) => ("enterprise", code.clone()),
        Account::Division(prefix) => ("division", prefix.clone()),
    }
}

/// Writes the ledger of these days, whole or not at all.
pub(super) fn write(path: &Path, days: &[Emitted], law: &Law, zone: &TimeZone) -> io::Result<()> {
    let whole = whole(days, (&law.quotas, &law.targets), zone);
    let mut part = path.to_owned().into_os_string();
    part.push(".part");
    let text = serde_json::to_vec_pretty(&whole).map_err(io::Error::from)?;
    std::fs::write(&part, text)?;
    std::fs::rename(&part, path)
}

/// The ledger of these days: entries may begin a day or an hour.
pub(in crate::cli) fn whole<'l>(
    days: &[Emitted],
    (quotas, targets): (&'l [Quota], &'l [Target]),
    zone: &TimeZone,
) -> Whole<'l> {
    let targets = targets.iter().map(|target| target_of(days, target, zone)).collect();
    Whole { amounts: amounts(days, zone), quotas: quotas_of(days, quotas, zone), targets }
}

fn target_of<'l>(days: &[Emitted], target: &'l Target, zone: &TimeZone) -> TargetEntry<'l> {
    let emitted_in = |year: i16| {
        let counts = |day: &&Emitted| {
            day.division.starts_with(&target.division)
                && Some(&day.pollutant) == target.pollutant.as_ref()
                && zone.to_datetime(day.start).year() == year
        };
        let mut days = days.iter().filter(counts).peekable();
        days.peek()?;
        Some(days.map(|day| day.amount.total_mg()).sum::<i128>())
    };
    let base = match target.aim {
        Aim::ReduceBy { base_year, .. } => base_year,
        Aim::ReduceShare { base_year, .. } => Some(base_year),
        Aim::AtMost { .. } => None,
    };
    let (base_mg, year_mg) = (base.and_then(emitted_in), emitted_in(target.year));
    TargetEntry {
        target: &target.code,
        document: &target.document,
        division: &target.division,
        substance: &target.substance,
        year: target.year,
        allowed_t: target.allowed_mg(base_mg).map(tonnes),
        emitted_t: year_mg.map(tonnes),
        reached: year_mg.and_then(|year_mg| target.reached(base_mg, year_mg)),
    }
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
    quotas.iter().map(|quota| quota_entry(quota, &used(quota, days, end, zone))).collect()
}

/// As published.
pub(in crate::cli) fn quota_entry<'l>(quota: &'l Quota, used: &Used) -> QuotaEntry<'l> {
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
}
