//! The ledger of total quantities: what was emitted, by whom and where, against what is permitted and what is aimed at. Whole
//! milligrams, so that a year is the sum of its hours to the last digit.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

use crate::domain::average::snap;
use crate::domain::exceedance::{Outcome, Verdict};
use crate::domain::plant::Outlet;
use crate::domain::share::{Percent, Share};
use crate::domain::times::Times;

/// Milligrams in a tonne.
pub const MG_PER_TONNE: i128 = 1_000_000_000;

/// One hour of one pollutant at one outlet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emitted {
    pub start: Timestamp,
    pub outlet: String,
    /// Credit code.
    pub enterprise: String,
    /// Six digits.
    pub division: String,
    /// Factor code.
    pub pollutant: String,
    pub amount: Amount,
}

/// Measured and substituted, apart, milligrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Amount {
    pub measured_mg: i128,
    pub substituted_mg: i128,
}

impl Amount {
    /// Both together.
    pub const fn total_mg(self) -> i128 {
        self.measured_mg + self.substituted_mg
    }

    /// Adds what another time emitted.
    pub fn add(&mut self, other: Amount) {
        self.measured_mg += other.measured_mg;
        self.substituted_mg += other.substituted_mg;
    }
}

/// For whom a ledger is kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Account {
    Outlet(String),
    /// Credit code.
    Enterprise(String),
    /// Prefix of the division: six digits a county, four a city, two a province.
    Division(String),
}

impl Account {
    /// Whether an outlet belongs to it.
    pub fn concerns(&self, outlet: &Outlet) -> bool {
        match self {
            Account::Outlet(code) => **code == *outlet.code,
            Account::Enterprise(code) => *code == outlet.enterprise.code,
            Account::Division(prefix) => outlet.enterprise.division.starts_with(prefix.as_str()),
        }
    }

    /// Whether an hour belongs to it.
    pub fn holds(&self, emitted: &Emitted) -> bool {
        match self {
            Account::Outlet(code) => emitted.outlet == *code,
            Account::Enterprise(code) => emitted.enterprise == *code,
            Account::Division(prefix) => emitted.division.starts_with(prefix.as_str()),
        }
    }
}

/// By which accounts a ledger is broken down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Level {
    Outlet,
    Enterprise,
    County,
    City,
}

impl Level {
    pub const ALL: [Level; 4] = [Level::Outlet, Level::Enterprise, Level::County, Level::City];

    /// As written in files and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Level::Outlet => "outlet",
            Level::Enterprise => "enterprise",
            Level::County => "county",
            Level::City => "city",
        }
    }

    fn account(self, emitted: &Emitted) -> Account {
        let prefix = |digits: usize| emitted.division.get(..digits).unwrap_or(&emitted.division).to_owned();
        match self {
            Level::Outlet => Account::Outlet(emitted.outlet.clone()),
            Level::Enterprise => Account::Enterprise(emitted.enterprise.clone()),
            Level::County => Account::Division(prefix(6)),
            Level::City => Account::Division(prefix(4)),
        }
    }
}

/// Sums by account and pollutant.
pub fn ledger<'e>(
    level: Level,
    hours: impl IntoIterator<Item = &'e Emitted>,
) -> BTreeMap<(Account, String), Amount> {
    let mut sums: BTreeMap<(Account, String), Amount> = BTreeMap::new();
    for hour in hours {
        sums.entry((level.account(hour), hour.pollutant.clone())).or_default().add(hour.amount);
    }
    sums
}

/// A permitted quantity of one pollutant for one time, as a year.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quota {
    pub code: String,
    pub document: String,
    pub account: Account,
    /// Factor code.
    pub pollutant: String,
    /// Always with an end.
    pub times: Times,
    pub permitted_mg: i64,
    /// Shares at which somebody is told, ascending.
    pub alerts: Vec<Percent>,
    /// The pace is the mean of the last so many full days.
    pub pace_days: u32,
}

/// How far a quota is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    pub amount: Amount,
    pub permitted_mg: i64,
    /// Of the permitted quantity.
    pub share: Share,
    /// The highest alert line that is reached.
    pub alert: Option<Percent>,
    /// More than is permitted.
    pub exceeded: bool,
    /// Milligrams in the days of the pace, and how many days they were.
    pub pace: (i128, u32),
    /// The local day on which the quota is used up: of the past when it is, else at the pace; `None` when the pace does
    /// not use it up before its end.
    pub used_up_on: Option<Date>,
}

impl Used {
    /// Tonnes used against tonnes permitted: the whole permitted quantity may be used, not more.
    pub fn verdict(&self) -> Verdict {
        let (used, permitted) = (tonnes(self.amount.total_mg()), tonnes(i128::from(self.permitted_mg)));
        let outcome = if self.exceeded { Outcome::Exceeded } else { Outcome::Met };
        let ratio = self.exceeded.then(|| snap(used / permitted - 1.0)).filter(|ratio| ratio.is_finite());
        Verdict { outcome, corrected: Some(used), limit: permitted, ratio_over: ratio }
    }

    /// In words.
    pub fn told(&self) -> String {
        let end = match (self.exceeded, self.used_up_on) {
            (true, Some(day)) => format!("; used up on {day}"),
            (false, Some(day)) => format!("; at the present pace used up on {day}"),
            (true | false, None) => String::new(),
        };
        format!(
            "{} used: {} t measured, {} t substituted, of {} t permitted{end}",
            self.share,
            tonnes(self.amount.measured_mg),
            tonnes(self.amount.substituted_mg),
            tonnes(i128::from(self.permitted_mg))
        )
    }
}

/// Milligrams as tonnes, to the last digit that a double holds.
pub fn tonnes(mg: i128) -> f64 {
    let sign = if mg < 0 { "-" } else { "" };
    let (whole, rest) = (mg.unsigned_abs() / 1_000_000_000, mg.unsigned_abs() % 1_000_000_000);
    format!("{sign}{whole}.{rest:09}").parse().unwrap_or(f64::NAN)
}

/// How far `quota` is used by the hours that began before `at`. Hours of other accounts, pollutants and times are left out.
pub fn used<'e>(
    quota: &Quota,
    hours: impl IntoIterator<Item = &'e Emitted>,
    at: Timestamp,
    zone: &TimeZone,
) -> Used {
    let counts = |hour: &&Emitted| {
        quota.account.holds(hour)
            && hour.pollutant == quota.pollutant
            && quota.times.holds(hour.start)
            && hour.start < at
    };
    let mut days: BTreeMap<Date, Amount> = BTreeMap::new();
    for hour in hours.into_iter().filter(counts) {
        days.entry(zone.to_datetime(hour.start).date()).or_default().add(hour.amount);
    }
    let mut amount = Amount::default();
    let mut used_up_on = None;
    let permitted = i128::from(quota.permitted_mg);
    for (day, more) in &days {
        amount.add(*more);
        if used_up_on.is_none() && amount.total_mg() > permitted {
            used_up_on = Some(*day);
        }
    }
    let today = zone.to_datetime(at).date();
    let pace = pace(quota, &days, today, zone);
    let exceeded = amount.total_mg() > permitted;
    let share = Share {
        part: u64::try_from(amount.total_mg().max(0)).unwrap_or(u64::MAX),
        whole: quota.permitted_mg.unsigned_abs(),
    };
    let reached = quota.alerts.iter().copied().filter(|line| share.reaches(*line) == Some(true));
    if !exceeded {
        used_up_on =
            forecast(permitted - amount.total_mg(), pace, today).filter(|day| ends_after(quota, *day, zone));
    }
    Used { amount, permitted_mg: quota.permitted_mg, share, alert: reached.max(), exceeded, pace, used_up_on }
}

/// What the last `pace_days` full days before today emitted, or as many as the quota's time has.
fn pace(quota: &Quota, days: &BTreeMap<Date, Amount>, today: Date, zone: &TimeZone) -> (i128, u32) {
    let first = zone.to_datetime(quota.times.from).date();
    let back = i64::from(quota.pace_days.max(1));
    let begin = today.checked_sub(back.days()).unwrap_or(first).max(first);
    let length = begin.until(today).map_or(0, |span| span.get_days());
    let sum = days.range(begin..).filter(|(day, _)| **day < today).map(|(_, amount)| amount.total_mg()).sum();
    (sum, u32::try_from(length).unwrap_or(0))
}

/// The first day by whose end more than `left` has been emitted, when today and every day after emit the pace.
fn forecast(left: i128, (sum, days): (i128, u32), today: Date) -> Option<Date> {
    if sum <= 0 || days == 0 {
        return None;
    }
    // The smallest n with n x sum/days > left.
    let needed = left.checked_mul(i128::from(days))?.div_euclid(sum) + 1;
    let after = i64::try_from(needed - 1).ok().filter(|after| *after < 100_000)?;
    today.checked_add(after.days()).ok()
}

fn ends_after(quota: &Quota, day: Date, zone: &TimeZone) -> bool {
    quota.times.until.is_none_or(|until| day < zone.to_datetime(until).date())
}

/// What a city or county aims at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    pub code: String,
    pub document: String,
    /// Prefix of the division.
    pub division: String,
    /// As the document names it (`VOC`).
    pub substance: String,
    /// Factor code, where stacks measure it.
    pub pollutant: Option<String>,
    /// The calendar year by whose end it is reached.
    pub year: i16,
    pub aim: Aim,
}

/// What is aimed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aim {
    /// So much less than in the base year, milligrams. `None` where the document names no base year.
    ReduceBy { mg: i64, base_year: Option<i16> },
    /// So many per cent less than in the base year.
    ReduceShare { percent: Percent, base_year: i16 },
    /// At most so much in the year.
    AtMost { mg: i64 },
}

impl Target {
    /// What may be emitted in the year, milligrams; `None` where the base is not known.
    pub fn allowed_mg(&self, base_mg: Option<i128>) -> Option<i128> {
        match self.aim {
            Aim::AtMost { mg } => Some(i128::from(mg)),
            Aim::ReduceBy { mg, .. } => Some(base_mg? - i128::from(mg)),
            // Cut off: half a milligram is not allowed.
            Aim::ReduceShare { percent, .. } => {
                let left = 10_000 - i128::from(percent.in_hundredths());
                Some((base_mg?.checked_mul(left)?).div_euclid(10_000))
            }
        }
    }

    /// Whether a year's emission reaches it.
    pub fn reached(&self, base_mg: Option<i128>, year_mg: i128) -> Option<bool> {
        Some(year_mg <= self.allowed_mg(base_mg)?)
    }
}

#[cfg(test)]
mod tests;
