//! The hours that a quarter is reckoned from.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::domain::average::ChannelAverage;
use crate::domain::judgement::{Ground, Parts};
use crate::domain::limit::AveragingPeriod;
use crate::domain::plant::Position;
use crate::domain::substitution::{Finality, HourMass, is_missing};
use crate::domain::window::Window;

/// So far into the next quarter, and back into the one before, a gap is followed: longer ones are all the same to the tables.
pub(super) const GAP: SignedDuration = SignedDuration::from_hours(48);

/// Hours by channel and start.
pub(super) type Hours = BTreeMap<(Position, Timestamp), ChannelAverage>;

/// The hours of a quarter that are reckoned: up to the end of yesterday while it goes on.
pub(super) struct Span {
    pub(super) quarter: Window,
    pub(super) end: Timestamp,
    pub(super) finality: Finality,
}

impl Span {
    pub(super) fn of(quarter: Window, ground: &Ground<'_>, now: Timestamp) -> Span {
        let today = Window::containing(AveragingPeriod::Day, now, ground.zone).start;
        let is_over = quarter.end <= now;
        let finality = if is_over { Finality::Final } else { Finality::Provisional };
        Span { quarter, end: if is_over { quarter.end } else { today }, finality }
    }

    /// Its hours from `first` on.
    pub(super) fn hours(&self, first: Timestamp, ground: &Ground<'_>) -> Vec<Window> {
        let mut hours = Vec::new();
        let mut hour = Window::containing(AveragingPeriod::Hour, self.quarter.start.max(first), ground.zone);
        while hour.start < self.end {
            hours.push(hour);
            hour = Window::containing(AveragingPeriod::Hour, hour.end, ground.zone);
        }
        hours
    }
}

/// Whether the outlet has the channel at that hour: what is replaced by another is not missing.
pub(super) fn is_there(ground: &Ground<'_>, position: Position, hour: Window) -> bool {
    ground.outlet.channels.get(position).is_some_and(|channel| channel.settings.at(hour.start).is_some())
}

/// The rest of a gap that goes on into the next quarter.
pub(super) fn gap_after(
    ground: &Ground<'_>,
    position: Position,
    (span, now): (&Span, Timestamp),
    later: &Hours,
) -> Vec<HourMass> {
    let today = Window::containing(AveragingPeriod::Day, now, ground.zone).start;
    let mut rest = Vec::new();
    let mut hour = Window::containing(AveragingPeriod::Hour, span.end, ground.zone);
    while span.finality == Finality::Final && hour.start < today.min(span.end + GAP) {
        let next = mass(ground, position, hour, later);
        if !is_missing(&next) {
            break;
        }
        rest.push(next);
        hour = Window::containing(AveragingPeriod::Hour, hour.end, ground.zone);
    }
    rest
}

/// Hours right before the quarter that have no row are part of a gap that goes on into it.
pub(super) fn fill_gap_before(
    ground: &Ground<'_>,
    position: Position,
    (start, first): (Timestamp, Timestamp),
    before: &mut Vec<HourMass>,
) {
    let known: BTreeSet<Timestamp> = before.iter().map(|hour| hour.start).collect();
    let mut hour = Window::containing(AveragingPeriod::Hour, (start - GAP).max(first), ground.zone);
    while hour.start < start {
        if !known.contains(&hour.start) && is_there(ground, position, hour) {
            before.push(mass(ground, position, hour, &Hours::new()));
        }
        hour = Window::containing(AveragingPeriod::Hour, hour.end, ground.zone);
    }
}

pub(super) fn mass(ground: &Ground<'_>, position: Position, hour: Window, hours: &Hours) -> HourMass {
    match hours.get(&(position, hour.start)) {
        Some(average) => {
            let nothing = crate::domain::validity::Overlay::default();
            HourMass::of(ground, position, (hour, Some(average)), &nothing)
        }
        // Of an hour without any reading only marks may tell something.
        None => HourMass::of(ground, position, (hour, None), &ground.overlay(hour, &Parts::new())),
    }
}

pub(super) fn masses(ground: &Ground<'_>, position: Position, hours: &Hours) -> Vec<HourMass> {
    let of_channel = hours.range((position, Timestamp::MIN)..=(position, Timestamp::MAX));
    of_channel
        .map(|((_, start), _)| {
            let hour = Window::containing(AveragingPeriod::Hour, *start, ground.zone);
            mass(ground, position, hour, hours)
        })
        .collect()
}
