//! Who of a team is on duty at a moment, until when, and where nobody is, or too many are. By the clock of the jurisdiction: a shift
//! belongs to the day on which it begins. Nothing here depends on the zone of the machine.

use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp, ToSpan};

use crate::domain::alerting::{Alerting, Audience, Holiday, Person, Shift, Swap, Team};

/// A half-open time.
pub type Span = (Timestamp, Timestamp);

/// A change of duty is looked for so far ahead.
pub const LOOK_AHEAD: SignedDuration = SignedDuration::from_hours(31 * 24);

/// Who of a team is on duty at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duty<'a> {
    pub people: Vec<&'a Person>,
    /// Nobody is: a gap in the roster. A team without any shift has no gap: its leads are on duty, or its group hears.
    pub is_gap: bool,
}

/// Shifts of a team that run at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Together<'a> {
    pub span: Span,
    pub shifts: Vec<&'a Shift>,
}

/// What the lists have about one team.
#[derive(Debug, Clone)]
pub(super) struct Rota<'a> {
    pub shifts: Vec<&'a Shift>,
    pub swaps: Vec<&'a Swap>,
    /// At least those who are named in the shifts, the swaps and as leads.
    pub people: Vec<&'a Person>,
    pub holidays: &'a [Holiday],
}

impl Alerting {
    /// Who of a team is on duty at a moment, by the clock of `zone`. For many questions at once see [`super::Desk`].
    pub fn on_duty(&self, team: &Team, at: Timestamp, zone: &TimeZone) -> Duty<'_> {
        self.rota(team).on_duty(team, at, zone)
    }

    /// Who is called for a team: who is on duty; in a gap those of a default team of the same audience (of an enterprise: of its own);
    /// failing them too the team's leads. `is_gap` says that the team's own roster had nobody.
    pub fn answering(&self, team: &Team, at: Timestamp, zone: &TimeZone) -> Duty<'_> {
        let own = self.on_duty(team, at, zone);
        if !own.is_gap {
            return own;
        }
        let defaults = self.teams.iter().filter(|other| stands_in(other, team, at));
        let instead =
            defaults.map(|other| self.on_duty(other, at, zone).people).find(|them| !them.is_empty());
        let leads = || team.leads.iter().filter_map(|code| self.person(code, at)).collect();
        Duty { people: instead.unwrap_or_else(leads), is_gap: true }
    }

    /// When next somebody else is on duty than at `at`, or the team ends; `None`: not within a month.
    pub fn duty_end(&self, team: &Team, at: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let rota = self.rota(team);
        let until = at.saturating_add(LOOK_AHEAD).ok()?;
        let until = team.times.until.filter(|end| *end > at).map_or(until, |end| end.min(until));
        let codes = |at: Timestamp| -> (Vec<&str>, bool) {
            let duty = rota.on_duty(team, at, zone);
            (duty.people.iter().map(|person| person.code.as_str()).collect(), duty.is_gap)
        };
        let now = codes(at);
        let changes =
            rota.moments((at, until), zone).into_iter().skip(1).find(|moment| codes(*moment) != now);
        changes.or(team.times.until.filter(|end| *end == until))
    }

    /// When between two moments nobody of a team is on duty, people who left and swaps minded.
    pub fn gaps(&self, team: &Team, span: Span, zone: &TimeZone) -> Vec<Span> {
        let rota = self.rota(team);
        rota.spans(span, zone, |at| rota.on_duty(team, at, zone).is_gap.then_some(()))
            .into_iter()
            .map(|(span, ())| span)
            .collect()
    }

    /// When no shift of a team runs although it has some then: by the shifts alone, whoever is in them.
    pub fn uncovered(&self, team: &Team, span: Span, zone: &TimeZone) -> Vec<Span> {
        let rota = self.rota(team);
        let is_uncovered =
            |at: Timestamp| (rota.has_shifts(at) && rota.running(at, zone).is_empty()).then_some(());
        rota.spans(span, zone, is_uncovered).into_iter().map(|(span, ())| span).collect()
    }

    /// When more than one shift of a team runs.
    pub fn overlaps(&self, team: &Team, span: Span, zone: &TimeZone) -> Vec<Together<'_>> {
        let rota = self.rota(team);
        let several = |at: Timestamp| Some(rota.running(at, zone)).filter(|running| running.len() > 1);
        rota.spans(span, zone, several).into_iter().map(|(span, shifts)| Together { span, shifts }).collect()
    }

    fn rota(&self, team: &Team) -> Rota<'_> {
        let shifts: Vec<&Shift> = self.shifts.iter().filter(|shift| shift.team == team.code).collect();
        let swaps: Vec<&Swap> = self.swaps.iter().filter(|swap| swap.team == team.code).collect();
        let named = |person: &&Person| {
            team.leads.contains(&person.code)
                || shifts.iter().any(|shift| shift.people.contains(&person.code))
                || swaps.iter().any(|swap| swap.stand_in == person.code)
        };
        let people = self.people.iter().filter(named).collect();
        Rota { shifts, swaps, people, holidays: &self.holidays }
    }
}

/// Whether a team is called where another has a gap.
pub(super) fn stands_in(other: &Team, team: &Team, at: Timestamp) -> bool {
    let same_side = other.audience == team.audience
        && (other.audience != Audience::Enterprise || other.enterprise == team.enterprise);
    other.is_default && same_side && other.code != team.code && other.times.holds(at)
}

impl<'a> Rota<'a> {
    pub(super) fn on_duty(&self, team: &Team, at: Timestamp, zone: &TimeZone) -> Duty<'a> {
        let has_shifts = self.has_shifts(at);
        let mut people: Vec<&'a Person> = Vec::new();
        let mut come = |code: &str| {
            let stand_in = self.swapped(code, at);
            let person = self.people.iter().find(|person| person.code == stand_in && person.times.holds(at));
            people.extend(person.filter(|person| !people.iter().any(|known| known.code == person.code)));
        };
        if has_shifts {
            for shift in self.running(at, zone) {
                shift.people.iter().for_each(|code| come(code));
            }
        } else {
            team.leads.iter().for_each(|code| come(code));
        }
        let is_gap = people.is_empty() && (has_shifts || team.group.is_empty());
        Duty { people, is_gap }
    }

    fn has_shifts(&self, at: Timestamp) -> bool {
        self.shifts.iter().any(|shift| shift.times.holds(at))
    }

    fn running(&self, at: Timestamp, zone: &TimeZone) -> Vec<&'a Shift> {
        let today = zone.to_datetime(at).date();
        // The day after too: where a clock is put back over midnight, it has begun already.
        let days = [today.yesterday().ok(), Some(today), today.tomorrow().ok()];
        let runs = |shift: &&&Shift| {
            let turns = days.iter().flatten().filter_map(|day| turn(shift, *day, self.holidays, zone));
            shift.times.holds(at) && turns.into_iter().any(|(from, until)| from <= at && at < until)
        };
        self.shifts.iter().filter(runs).copied().collect()
    }

    /// Who comes in somebody's place. Swaps are followed; those who swap with each other come for each other.
    fn swapped<'c>(&'c self, code: &'c str, at: Timestamp) -> &'c str {
        let mut seen = vec![code];
        let mut who = code;
        while let Some(swap) = self.swaps.iter().find(|swap| swap.out == who && swap.times.holds(at)) {
            if seen.contains(&swap.stand_in.as_str()) {
                break;
            }
            who = &swap.stand_in;
            seen.push(who);
        }
        who
    }

    /// The beginning of a span and every moment in it at which somebody's duty may begin or end; by time.
    fn moments(&self, (from, until): Span, zone: &TimeZone) -> Vec<Timestamp> {
        let mut moments = vec![from];
        let times = (self.shifts.iter().map(|shift| shift.times))
            .chain(self.swaps.iter().map(|swap| swap.times))
            .chain(self.people.iter().map(|person| person.times));
        moments.extend(times.flat_map(|times| [Some(times.from), times.until]).flatten());
        let (first, last) = (zone.to_datetime(from).date(), zone.to_datetime(until).date());
        let first = first.yesterday().unwrap_or(first);
        let days = first.series(1.day()).take_while(|day| *day <= last.tomorrow().unwrap_or(last));
        for day in days {
            let turns = self.shifts.iter().filter_map(|shift| turn(shift, day, self.holidays, zone));
            moments.extend(turns.flat_map(|(from, until)| [from, until]));
        }
        moments.retain(|moment| from <= *moment && *moment < until);
        moments.sort_unstable();
        moments.dedup();
        moments
    }

    /// The parts of a span in which `of` says something, with what it says; neighbours that say the same are one.
    fn spans<T: PartialEq>(
        &self,
        span: Span,
        zone: &TimeZone,
        of: impl Fn(Timestamp) -> Option<T>,
    ) -> Vec<(Span, T)> {
        let moments = if span.0 < span.1 { self.moments(span, zone) } else { Vec::new() };
        let ends = moments.iter().skip(1).copied().chain([span.1]);
        let mut spans: Vec<(Span, T)> = Vec::new();
        for (from, until) in moments.iter().copied().zip(ends) {
            let Some(said) = of(from) else { continue };
            match spans.last_mut() {
                Some(((_, end), known)) if *end == from && *known == said => *end = until,
                _ => spans.push(((from, until), said)),
            }
        }
        spans
    }
}

/// When a shift runs that begins on a day; `None`: it begins on no such day.
fn turn(shift: &Shift, day: Date, holidays: &[Holiday], zone: &TimeZone) -> Option<Span> {
    if !shift.days.iter().any(|kind| kind.is(day, holidays)) {
        return None;
    }
    let (begins, ends) = shift.hours;
    let last = if ends <= begins { day.tomorrow().ok()? } else { day };
    let span = (instant(day.to_datetime(begins), zone)?, instant(last.to_datetime(ends), zone)?);
    (span.0 < span.1).then_some(span)
}

/// The moment of a time by the clock: of one that is skipped when clocks are put forward the moment of the skip, of one that comes twice
/// the first. So what is later by the clock is never earlier in fact, and one shift begins where the other ends.
fn instant(clock: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(clock);
    let AmbiguousOffset::Gap { before, .. } = ambiguous.offset() else { return ambiguous.earlier().ok() };
    let after_it = before.to_timestamp(clock).ok()?.checked_add(1.nanosecond()).ok()?;
    zone.preceding(after_it).next().map(|skip| skip.timestamp())
}

#[cfg(test)]
mod tests;
