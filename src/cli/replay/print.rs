//! What is printed of one outlet. Hours and longer are held until their quarter is over, since only then it is known which masses
//! are substituted.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::cli::replay::output::Rows;
use crate::domain::average::{Terms, average_windows, kilograms};
use crate::domain::limit::AveragingPeriod;
use crate::domain::plant::{Outlet, Position};
use crate::domain::pollutant::Role;
use crate::domain::quota::{Account, Amount, Emitted, Quota, used};
use crate::domain::regime::HJ75_2017;
use crate::domain::replay::{
    Closed, ClosedQuarter, Row, RowCapture, RowSubstitute, Sink, empty_row, quota_verdict, rows,
};
use crate::domain::substitution;
use crate::domain::window::Window;

/// A window of a channel by its start.
type Of = (Position, Timestamp);

/// The output of one outlet.
pub(super) struct Print<'r, 'p, W: Write> {
    outlet: &'p Outlet,
    zone: &'p TimeZone,
    to: &'r RefCell<To<W>>,
    periods: BTreeSet<AveragingPeriod>,
    quotas: Vec<&'p Quota>,
    /// Whether rows wait for their quarter.
    holds: bool,
    held: Vec<(Window, Position, Row<'p>)>,
    /// Up to where it is known what is substituted.
    known_to: Option<Timestamp>,
    hours: BTreeMap<Of, i64>,
    substitutes: BTreeMap<Of, (i64, RowSubstitute)>,
    captures: BTreeMap<Of, RowCapture>,
    emitted: Vec<Emitted>,
    /// By position: minutes that had one reading where at least twelve are needed, and minutes that had more.
    minutes: Vec<(u64, u64)>,
}

/// Where the output of all outlets goes, one after the other.
pub(super) struct To<W: Write> {
    pub printed: Rows<W>,
    /// For the ledger.
    pub days: Vec<Emitted>,
}

impl<'r, 'p, W: Write> Print<'r, 'p, W> {
    pub(super) fn new(
        outlet: &'p Outlet,
        zone: &'p TimeZone,
        (periods, quotas): (BTreeSet<AveragingPeriod>, &'p [Quota]),
        to: &'r RefCell<To<W>>,
    ) -> Print<'r, 'p, W> {
        let own = |quota: &&Quota| matches!(&quota.account, Account::Outlet(code) if **code == *outlet.code);
        Print {
            outlet,
            zone,
            to,
            periods,
            quotas: quotas.iter().filter(own).collect(),
            holds: !substitution::HJ75_2017.positions(outlet).is_empty(),
            held: Vec::new(),
            known_to: None,
            hours: BTreeMap::new(),
            substitutes: BTreeMap::new(),
            captures: BTreeMap::new(),
            emitted: Vec::new(),
            minutes: vec![(0, 0); outlet.channels.len()],
        }
    }

    /// The periods that must be closed.
    pub(super) fn wanted(&self) -> Vec<AveragingPeriod> {
        self.periods.iter().copied().chain([AveragingPeriod::Hour]).collect()
    }

    /// The likeliest mistake: minute values beside a plant file that tells of scans.
    pub(super) fn hint(&self) {
        let sparse =
            self.outlet.channels.iter().zip(&self.minutes).filter(|(_, (one, more))| *one > 0 && *more == 0);
        let codes: Vec<&str> = sparse.map(|(channel, _)| channel.code.as_str()).collect();
        if !codes.is_empty() {
            eprintln!(
                "note: {}: {} never have more than one reading a minute, but period_ms in the plant file promises at least \
                 twelve, so no minute is valid; for 1-minute data period_ms is 60000",
                self.outlet.code,
                codes.join(", ")
            );
        }
    }

    fn count_minutes(&mut self, closed: &Closed<'_, 'p>) {
        if closed.window.period == AveragingPeriod::Minute {
            for (count, average) in self.minutes.iter_mut().zip(closed.averages) {
                count.0 += u64::from(average.n_valid == 1 && average.n_expected >= 12);
                count.1 += u64::from(average.n_valid > 1);
            }
        }
    }

    fn put(&mut self, (window, position): (Window, Position), mut row: Row<'p>) {
        match window.period {
            AveragingPeriod::Hour => {
                row.substitute = self.substitutes.get(&(position, window.start)).map(|(_, one)| one.clone());
            }
            AveragingPeriod::Day
            | AveragingPeriod::Month
            | AveragingPeriod::Quarter
            | AveragingPeriod::Year => {
                let within = self.substitutes.range((position, window.start)..(position, window.end));
                let sum: i64 = within.map(|(_, (mass_mg, _))| mass_mg).sum();
                row.substituted_kg = (sum > 0).then(|| kilograms(sum));
                if window.period == AveragingPeriod::Quarter {
                    row.capture = self.captures.get(&(position, window.start)).cloned();
                }
                if window.period == AveragingPeriod::Day {
                    self.judge_quotas((window, position), &mut row);
                }
            }
            AveragingPeriod::Minute
            | AveragingPeriod::FiveMinutes
            | AveragingPeriod::TenMinutes
            | AveragingPeriod::HalfHour => {}
        }
        self.to.borrow_mut().printed.put(&row);
    }

    /// What each quota of the outlet says at the end of a day.
    fn judge_quotas(&self, (window, position): (Window, Position), row: &mut Row<'p>) {
        let factor = self.outlet.channels.get(position).map(|channel| channel.factor.code.as_str());
        let about =
            |quota: &&&Quota| Some(quota.pollutant.as_str()) == factor && quota.times.holds(window.start);
        for quota in self.quotas.iter().filter(about) {
            let used = used(quota, &self.emitted, window.end, self.zone);
            row.verdicts.push(quota_verdict(quota, &used));
        }
    }

    /// The hours up to `end` become entries of the ledger.
    fn enter(&mut self, end: Timestamp) {
        let mut amounts: BTreeMap<Of, Amount> = BTreeMap::new();
        self.hours.retain(|of, mass_mg| {
            if of.1 < end {
                amounts.insert(*of, Amount { measured_mg: i128::from(*mass_mg), substituted_mg: 0 });
            }
            of.1 >= end
        });
        let from = self.known_to.unwrap_or(Timestamp::MIN);
        for (of, (mass_mg, _)) in &self.substitutes {
            if of.1 >= from && of.1 < end {
                amounts.insert(*of, Amount { measured_mg: 0, substituted_mg: i128::from(*mass_mg) });
            }
        }
        for ((position, start), amount) in amounts {
            if let Some(entry) = self.entry(position, start, amount) {
                self.note_day(&entry);
                if !self.quotas.is_empty() {
                    self.emitted.push(entry);
                }
            }
        }
    }

    fn entry(&self, position: Position, start: Timestamp, amount: Amount) -> Option<Emitted> {
        let channel = self.outlet.channels.get(position)?;
        Some(Emitted {
            start,
            outlet: self.outlet.code.to_string(),
            enterprise: self.outlet.enterprise.code.clone(),
            division: self.outlet.enterprise.division.clone(),
            pollutant: channel.factor.code.clone(),
            amount,
        })
    }

    fn note_day(&self, entry: &Emitted) {
        let start = Window::containing(AveragingPeriod::Day, entry.start, self.zone).start;
        let same = |day: &&mut Emitted| {
            day.start == start && day.outlet == entry.outlet && day.pollutant == entry.pollutant
        };
        // Hours come in the order of channel and time, so it is the last one or a new one.
        let days = &mut self.to.borrow_mut().days;
        match days.last_mut().filter(same) {
            Some(day) => day.amount.add(entry.amount),
            None => days.push(Emitted { start, ..entry.clone() }),
        }
    }
}

impl<'p, W: Write> Sink<'p> for Print<'_, 'p, W> {
    fn closed(&mut self, closed: Closed<'_, 'p>) {
        self.count_minutes(&closed);
        let window = closed.window;
        if window.period == AveragingPeriod::Hour {
            for (position, (average, channel)) in
                closed.averages.iter().zip(&self.outlet.channels).enumerate()
            {
                if let Some(mass_mg) = average.mass_mg.filter(|_| channel.factor.role == Role::Pollutant) {
                    self.hours.insert((position, window.start), mass_mg);
                }
            }
            if !self.holds {
                self.enter(window.end);
            }
        }
        if !self.periods.contains(&window.period) {
            return;
        }
        let waits = self.holds
            && window.period >= AveragingPeriod::Hour
            && self.known_to.is_none_or(|known_to| window.start >= known_to);
        for (position, row) in rows(self.outlet, &closed, &HJ75_2017) {
            if waits {
                self.held.push((window, position, row));
            } else {
                self.put((window, position), row);
            }
        }
    }

    fn quarter(&mut self, quarter: ClosedQuarter) {
        let window = quarter.window;
        let all = std::mem::take(&mut self.held);
        let (held, later) = all.into_iter().partition(|(held, _, _)| held.start < window.end);
        self.held = later;
        let held: Vec<(Window, Position, Row<'p>)> = held;
        let read: BTreeSet<Of> = held
            .iter()
            .filter(|(window, _, _)| window.period == AveragingPeriod::Hour)
            .map(|(window, position, _)| (*position, window.start))
            .collect();
        for (position, found) in &quarter.channels {
            self.captures.insert((*position, window.start), RowCapture::of(found));
            for one in &found.substitutes {
                let row = RowSubstitute::of(&substitution::HJ75_2017, found, one);
                self.substitutes.insert((*position, one.start), (one.mass_mg, row));
            }
        }
        self.enter(window.end);
        self.known_to = Some(window.end);
        // Hours in which nothing was read but something is substituted.
        if self.periods.contains(&AveragingPeriod::Hour) {
            let unread: Vec<Of> = self
                .substitutes
                .keys()
                .filter(|of| window.contains(of.1) && !read.contains(of))
                .copied()
                .collect();
            for (position, start) in unread {
                let hour = Window::containing(AveragingPeriod::Hour, start, self.zone);
                let plain = Terms::plain(&HJ75_2017, 60);
                let averages = average_windows(hour, self.outlet, &BTreeMap::new(), plain);
                let n_expected = averages.get(position).map_or(0, |average| average.n_expected);
                if let Some(row) = empty_row(self.outlet, (hour, position), n_expected, &HJ75_2017) {
                    self.put((hour, position), row);
                }
            }
        }
        for (window, position, row) in held {
            self.put((window, position), row);
        }
    }
}
