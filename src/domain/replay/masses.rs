//! Hourly masses on their way to substitutes: one quarter at a time, with as much of the time before it as tables look back on.

use std::collections::VecDeque;

use jiff::SignedDuration;

use crate::domain::average::ChannelAverage;
use crate::domain::capture::HourClass;
use crate::domain::judgement::{Ground, Parts};
use crate::domain::limit::AveragingPeriod;
use crate::domain::plant::{Outlet, Position};
use crate::domain::replay::ClosedQuarter;
use crate::domain::substitution::{Around, Finality, HJ75_2017, HourMass, Quarter, is_missing, substitute};
use crate::domain::validity::Overlay;
use crate::domain::window::Window;

/// So many valid hours are looked back on at most.
const LOOK_BACK: usize = 2160;

#[derive(Debug)]
struct OfChannel {
    position: Position,
    before: VecDeque<HourMass>,
    /// Valid hours in `before`.
    valid_before: usize,
    quarter: Vec<HourMass>,
    /// Hours after a quarter whose last gap goes on.
    next: Vec<HourMass>,
}

/// The masses of one outlet.
#[derive(Debug)]
pub(super) struct Masses {
    channels: Vec<OfChannel>,
    /// Over, but a gap at its end goes on: how long it is, is not known yet.
    over: Option<Window>,
    open: Option<Window>,
    /// The newest hour.
    last: Option<Window>,
}

impl Masses {
    pub(super) fn new(outlet: &Outlet) -> Masses {
        let channel = |position| OfChannel {
            position,
            before: VecDeque::new(),
            valid_before: 0,
            quarter: Vec::new(),
            next: Vec::new(),
        };
        let channels = HJ75_2017.positions(outlet).into_iter().map(channel).collect();
        Masses { channels, over: None, open: None, last: None }
    }

    /// Nothing of the outlet is ever substituted.
    pub(super) fn is_empty(&self) -> bool {
        self.channels.is_empty()
    }

    /// The next hour; hours between the one before and this one are missing. Gives the quarters that are over by it.
    pub(super) fn hour(
        &mut self,
        ground: &Ground<'_>,
        (hour, averages): (Window, &[ChannelAverage]),
        overlay: &Overlay,
    ) -> Vec<ClosedQuarter> {
        let mut over = Vec::new();
        if self.is_empty() {
            return over;
        }
        while let Some(missing) = self.last.map(|last| Window::containing(last.period, last.end, ground.zone))
        {
            if missing.start >= hour.start {
                break;
            }
            // Of an hour without any reading only marks may tell something.
            let marked = ground.overlay(missing, &Parts::new());
            over.extend(self.add(ground, (missing, None), &marked));
        }
        over.extend(self.add(ground, (hour, Some(averages)), overlay));
        over
    }

    fn add(
        &mut self,
        ground: &Ground<'_>,
        (hour, averages): (Window, Option<&[ChannelAverage]>),
        overlay: &Overlay,
    ) -> Vec<ClosedQuarter> {
        let mut closed = Vec::new();
        let quarter = Window::containing(AveragingPeriod::Quarter, hour.start, ground.zone);
        if let Some(over) = self.open.filter(|open| *open != quarter) {
            // A gap of a whole quarter and more ends nothing.
            closed.extend(self.over.take().map(|before| self.close(before, Finality::Final)));
            self.over = Some(over);
        }
        self.open = Some(quarter);
        for channel in &mut self.channels {
            // A channel that the outlet does not have at that hour is not missing.
            let settings = ground.outlet.channels.get(channel.position).map(|channel| &channel.settings);
            if settings.is_none_or(|settings| settings.at(hour.start).is_none()) {
                continue;
            }
            let average = averages.and_then(|averages| averages.get(channel.position));
            let mass = HourMass::of(ground, channel.position, (hour, average), overlay);
            if self.over.is_some() { &mut channel.next } else { &mut channel.quarter }.push(mass);
        }
        self.last = Some(hour);
        if let Some(over) = self.over
            && self.channels.iter().all(OfChannel::gap_has_ended)
        {
            self.over = None;
            closed.push(self.close(over, Finality::Final));
        }
        closed
    }

    /// No more hours: the quarter that is open is final when its last hour is there.
    pub(super) fn finish(&mut self) -> Vec<ClosedQuarter> {
        let mut closed = Vec::new();
        closed.extend(self.over.take().map(|over| self.close(over, Finality::Final)));
        if let Some(open) = self.open.take() {
            let minute = SignedDuration::from_mins(1);
            let is_whole = self.last.is_some_and(|last| last.end + minute > open.end);
            closed.push(self.close(open, if is_whole { Finality::Final } else { Finality::Provisional }));
        }
        closed
    }

    fn close(&mut self, window: Window, finality: Finality) -> ClosedQuarter {
        let channels = self.channels.iter_mut().map(|channel| (channel.position, channel.close(finality)));
        ClosedQuarter { window, channels: channels.collect() }
    }
}

impl OfChannel {
    fn gap_has_ended(&self) -> bool {
        !self.quarter.last().is_some_and(is_missing) || self.next.iter().any(|hour| !is_missing(hour))
    }

    fn close(&mut self, finality: Finality) -> Quarter {
        let hours = std::mem::replace(&mut self.quarter, std::mem::take(&mut self.next));
        let around = Around { before: self.before.make_contiguous(), after: &self.quarter };
        let quarter = substitute(&HJ75_2017, &hours, around, finality);
        self.valid_before += hours.iter().filter(|hour| counts(hour)).count();
        self.before.extend(hours);
        // As few as hold all the valid ones that may be looked back on.
        while let Some(oldest) = self.before.front() {
            if self.valid_before - usize::from(counts(oldest)) < LOOK_BACK {
                break;
            }
            self.valid_before -= usize::from(counts(oldest));
            self.before.pop_front();
        }
        quarter
    }
}

fn counts(hour: &HourMass) -> bool {
    hour.class == HourClass::Valid && hour.mass_mg.is_some()
}
