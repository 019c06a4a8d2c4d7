//! When something begins, goes on and ends. One state per (outlet, channel, rule, kind); only what is newer than the state
//! moves it. Time comes in with the data; nothing here reads a clock.

use jiff::{SignedDuration, Timestamp};

use crate::domain::window::Window;

/// The state of one thing that is watched.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct State {
    /// Time of the newest scan or window seen.
    pub last_at: Timestamp,
    /// Set while an episode is open.
    pub open: Option<Open>,
    /// Above since then without an episode: its rule asks for more.
    pub above_since: Option<Timestamp>,
}

/// An open episode, as far as its next move needs it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Open {
    pub id: i64,
    pub opened_at: Timestamp,
    /// Newest scan above the line, or start of the newest window above it.
    pub last_above_at: Timestamp,
    /// Highest value seen.
    pub peak: f64,
    /// Highest level told.
    pub level: u8,
}

/// What one more observation does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Move {
    /// Older than the state, or nothing to tell.
    Stay,
    /// Above, but not yet for as long as its rule asks.
    Wait,
    /// A new episode begins; a person is told.
    Begin,
    /// The open one has reached a level that was not told yet; a person is told.
    Worsen { peak: f64 },
    /// The open one goes on, with this peak.
    Continue { peak: f64 },
    /// The open one has ended.
    End,
}

/// One observation: a scan or a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observation {
    pub at: Timestamp,
    pub value: f64,
    pub above: bool,
    /// 1 is the lowest that is told.
    pub level: u8,
}

/// How long values must stay below before an episode ends, so that a value dancing around the line is one episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hysteresis(pub SignedDuration);

/// A window is judged as a whole: the first one below the limit ends the episode.
pub const WINDOW: Hysteresis = Hysteresis(SignedDuration::ZERO);

/// How long values must be above before an episode begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold(pub SignedDuration);

/// The next move, from the state so far and one observation.
pub fn next(state: Option<&State>, observation: Observation, (hold, hysteresis): (Hold, Hysteresis)) -> Move {
    if state.is_some_and(|state| observation.at <= state.last_at) {
        return Move::Stay;
    }
    let above_since = state.and_then(|state| state.above_since).unwrap_or(observation.at);
    match state.and_then(|state| state.open) {
        None if observation.above && observation.at.duration_since(above_since) >= hold.0 => Move::Begin,
        None if observation.above => Move::Wait,
        Some(open) if observation.above && observation.level > open.level => {
            Move::Worsen { peak: open.peak.max(observation.value) }
        }
        Some(open) if observation.above => Move::Continue { peak: open.peak.max(observation.value) },
        Some(open) if observation.at.duration_since(open.last_above_at) >= hysteresis.0 => Move::End,
        None | Some(_) => Move::Stay,
    }
}

/// The time of an episode of windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub opened_at: Timestamp,
    /// `None`: open.
    pub closed_at: Option<Timestamp>,
    /// Start of the last window above the limit.
    pub last_above_at: Timestamp,
}

/// What becomes of an episode when one of its windows turns out not to be above the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retraction {
    /// It was made of this window alone.
    Withdraw,
    /// It keeps the rest. A window in its middle leaves its time as it is: the reason tells.
    Revise(Span),
}

/// Takes one window out of an episode.
pub fn retract(span: Span, window: Window) -> Retraction {
    let is_first = window.start <= span.opened_at;
    let is_last = span.last_above_at <= window.start;
    match (is_first, is_last) {
        (true, true) => Retraction::Withdraw,
        (true, false) => Retraction::Revise(Span { opened_at: window.end, ..span }),
        (false, true) => Retraction::Revise(Span {
            closed_at: Some(window.start),
            // The windows before it touch each other, so the one before began a window's length earlier.
            last_above_at: (window.start - window.end.duration_since(window.start)).max(span.opened_at),
            ..span
        }),
        (false, false) => Retraction::Revise(span),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_ONCE: Hold = Hold(SignedDuration::ZERO);
    const EARLY_WARNING: Hysteresis = Hysteresis(SignedDuration::from_secs(60));

    fn run(observations: &[(i64, f64, bool)], hysteresis: Hysteresis) -> Vec<Move> {
        let levelled: Vec<_> =
            observations.iter().map(|(at, value, above)| (*at, *value, *above, 1)).collect();
        run_levels(&levelled, (AT_ONCE, hysteresis))
    }

    fn run_levels(observations: &[(i64, f64, bool, u8)], times: (Hold, Hysteresis)) -> Vec<Move> {
        let mut state: Option<State> = None;
        let mut moves = Vec::new();
        for (second, value, above, level) in observations {
            let at = Timestamp::from_second(*second).unwrap();
            let seen = Observation { at, value: *value, above: *above, level: *level };
            let step = next(state.as_ref(), seen, times);
            let open = state.and_then(|state| state.open);
            let open = match step {
                Move::Begin => {
                    Some(Open { id: 1, opened_at: at, last_above_at: at, peak: *value, level: *level })
                }
                Move::Continue { peak } => open.map(|open| Open { last_above_at: at, peak, ..open }),
                Move::Worsen { peak } => {
                    open.map(|open| Open { last_above_at: at, peak, level: *level, ..open })
                }
                Move::End => None,
                Move::Stay | Move::Wait => open,
            };
            let last_at = state.map_or(at, |state| state.last_at.max(at));
            let waiting = state.and_then(|state| state.above_since).unwrap_or(at);
            let above_since = (step == Move::Wait).then_some(waiting);
            state = Some(State { last_at, open, above_since });
            moves.push(step);
        }
        moves
    }

    #[test]
    fn flapping_is_one_episode() {
        let flapping: Vec<(i64, f64, bool)> = (0..600).map(|s| (s, 40.0, s % 2 == 0)).collect();
        let moves = run(&flapping, EARLY_WARNING);
        assert_eq!(moves.iter().filter(|step| **step == Move::Begin).count(), 1);
        assert_eq!(moves.iter().filter(|step| **step == Move::End).count(), 0);
    }

    #[test]
    fn it_ends_after_a_quiet_minute_and_may_begin_again() {
        let moves = run(
            &[(0, 40.0, true), (59, 30.0, false), (60, 30.0, false), (61, 30.0, false), (62, 50.0, true)],
            EARLY_WARNING,
        );
        assert_eq!(moves, [Move::Begin, Move::Stay, Move::End, Move::Stay, Move::Begin]);
    }

    #[test]
    fn a_level_is_told_once_and_never_again_below_it() {
        let levels =
            [(0, 1.0, true, 1), (1, 5.0, true, 3), (2, 2.0, true, 2), (3, 5.0, true, 3), (4, 9.0, true, 4)];
        let moves = run_levels(&levels, (AT_ONCE, WINDOW));
        let told = |step: &&Move| matches!(step, Move::Begin | Move::Worsen { .. });
        assert_eq!(moves.iter().filter(told).count(), 3);
        assert_eq!(moves[2], Move::Continue { peak: 5.0 });
    }

    #[test]
    fn it_begins_only_after_its_hold_and_a_value_below_begins_the_wait_anew() {
        let hold = (Hold(SignedDuration::from_secs(10)), EARLY_WARNING);
        let seen = |second: i64, above: bool| (second, 40.0, above, 1);
        let times = [seen(0, true), seen(9, true), seen(10, true)];
        assert_eq!(run_levels(&times, hold), [Move::Wait, Move::Wait, Move::Begin]);
        let dips = [seen(0, true), seen(8, false), seen(10, true), seen(19, true), seen(20, true)];
        assert_eq!(run_levels(&dips, hold), [Move::Wait, Move::Stay, Move::Wait, Move::Wait, Move::Begin]);
    }

    #[test]
    fn what_is_not_newer_moves_nothing() {
        let moves =
            run(&[(10, 40.0, true), (5, 90.0, true), (10, 1.0, false), (11, 45.0, true)], EARLY_WARNING);
        assert_eq!(moves, [Move::Begin, Move::Stay, Move::Stay, Move::Continue { peak: 45.0 }]);
    }

    #[test]
    fn the_first_window_below_ends_it() {
        assert_eq!(run(&[(0, 40.0, true), (3600, 30.0, false)], WINDOW), [Move::Begin, Move::End]);
    }

    #[test]
    fn a_window_that_falls_out_withdraws_or_shortens() {
        let at = |hour: i64| Timestamp::from_second(hour * 3600).unwrap();
        let hour = |start: i64| {
            let zone = jiff::tz::TimeZone::UTC;
            Window::containing(crate::domain::limit::AveragingPeriod::Hour, at(start), &zone)
        };
        let span = |from: i64, to: Option<i64>, last: i64| Span {
            opened_at: at(from),
            closed_at: to.map(at),
            last_above_at: at(last),
        };
        assert_eq!(retract(span(5, Some(6), 5), hour(5)), Retraction::Withdraw);
        assert_eq!(retract(span(5, None, 5), hour(5)), Retraction::Withdraw);
        assert_eq!(retract(span(5, Some(8), 7), hour(5)), Retraction::Revise(span(6, Some(8), 7)));
        assert_eq!(retract(span(5, Some(8), 7), hour(7)), Retraction::Revise(span(5, Some(7), 6)));
        assert_eq!(retract(span(5, Some(8), 7), hour(6)), Retraction::Revise(span(5, Some(8), 7)));
    }
}
