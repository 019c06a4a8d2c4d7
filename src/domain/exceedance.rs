//! Verdicts on windows, early warnings on scans. Each rule is judged by itself, with its own reference; rules are never
//! merged by "the strictest".

use jiff::Timestamp;

use crate::domain::average::{ChannelAverage, oxygen_of, settings_of, snap};
use crate::domain::correction::{Converted, Step, Unwatched, Witness, input, to_reference};
use crate::domain::evaluation::Evaluated;
use crate::domain::limit::{Comparison, Rule};
use crate::domain::plant::{Outlet, Position};
use crate::domain::window::Window;

/// What a rule says of one window of one channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The limit was kept.
    Met,
    /// The value is above the limit.
    Exceeded,
    /// Too few valid values to judge.
    NotValid,
    /// Oxygen, or another input of the conversion, was not available.
    NotConvertible,
    /// An exemption lets the window go unjudged; the value stays visible.
    Exempt,
    /// What must be reached was not: a share of an assessment, a furnace temperature.
    NotMet,
    /// What judged the window before is no longer in force for it: the verdict is withdrawn and counts nowhere.
    NotInForce,
}

impl Outcome {
    pub const ALL: [Outcome; 7] = [
        Outcome::Met,
        Outcome::Exceeded,
        Outcome::NotValid,
        Outcome::NotConvertible,
        Outcome::Exempt,
        Outcome::NotMet,
        Outcome::NotInForce,
    ];

    /// As written in tables and answers. What is not judged says why.
    pub const fn name(self) -> &'static str {
        match self {
            Outcome::Met => "met",
            Outcome::Exceeded => "exceeded",
            Outcome::NotValid => "not-judged: not valid",
            Outcome::NotConvertible => "not-judged: not convertible",
            Outcome::Exempt => "not-judged: exempt",
            Outcome::NotMet => "not-met",
            Outcome::NotInForce => "not-judged: not in force",
        }
    }

    /// Whether it is against whom it judges: somebody is told.
    pub const fn is_adverse(self) -> bool {
        match self {
            Outcome::Exceeded | Outcome::NotMet => true,
            Outcome::Met
            | Outcome::NotValid
            | Outcome::NotConvertible
            | Outcome::Exempt
            | Outcome::NotInForce => false,
        }
    }

    /// The reverse of [`Outcome::name`].
    pub fn from_name(name: &str) -> Option<Outcome> {
        Outcome::ALL.into_iter().find(|outcome| outcome.name() == name)
    }
}

/// A verdict with all that it rests on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    pub outcome: Outcome,
    /// What was compared: the value at the rule's own reference, mg/m3; of an order or a furnace what these measure.
    pub corrected: Option<f64>,
    pub limit: f64,
    /// C/limit - 1, only when exceeded.
    pub ratio_over: Option<f64>,
}

/// The rules of an outlet that judge windows of `window.period` of the channel at `position`, in force at its start.
pub fn rules_for(outlet: &Outlet, position: Position, window: Window) -> impl Iterator<Item = &Rule> {
    let factor = outlet.channels.get(position).map(|channel| channel.factor.code.as_str());
    let process = settings_of(outlet, window).map(|settings| settings.process.as_str());
    outlet.rules.iter().map(AsRef::as_ref).filter(move |rule: &&Rule| {
        rule.period == window.period
            && Some(rule.factor.as_str()) == factor
            && Some(rule.process.as_str()) == process
            && rule.limit.holds(window.start)
    })
}

/// Judges one channel's average by one rule. `averages` are those of the same window, by position.
pub fn judge(
    rule: &Rule,
    outlet: &Outlet,
    (window, position): (Window, Position),
    averages: &[ChannelAverage],
    witness: &mut impl Witness,
) -> Verdict {
    let limit = rule.limit.value;
    let open = |outcome| Verdict { outcome, corrected: None, limit, ratio_over: None };
    let Some(average) = averages.get(position) else { return open(Outcome::NotValid) };
    let Some(settings) = settings_of(outlet, window) else { return open(Outcome::NotValid) };
    if !average.valid {
        return open(Outcome::NotValid);
    }
    let Some(dry) = average.dry else { return open(Outcome::NotConvertible) };
    let oxygen = oxygen_of(outlet, averages);
    match to_reference(dry, oxygen, rule.reference, settings, witness) {
        Converted::NoOxygen | Converted::NotConvertible => open(Outcome::NotConvertible),
        Converted::Value(value) => compare(rule, snap(value), witness),
    }
}

/// Compares a corrected value with a rule's limit (GB/T 8170: full value, or rounded to the limit's digits).
fn compare(rule: &Rule, corrected: f64, witness: &mut impl Witness) -> Verdict {
    let limit = rule.limit.value;
    let compared = match rule.comparison {
        Comparison::FullValue => corrected,
        Comparison::Rounded => round_to_digits_of(corrected, limit),
    };
    let exceeded = compared > limit;
    let ratio_over = exceeded.then(|| snap(corrected / limit - 1.0)).filter(|ratio| ratio.is_finite());
    witness.step(|| Step {
        name: "verdict",
        clause: "GB/T 8170 comparison with a limit",
        formula: if rule.comparison == Comparison::Rounded { "round(C) > limit" } else { "C > limit" },
        inputs: vec![input("C", corrected, "mg/m3"), input("limit", limit, "mg/m3")],
        result: ratio_over.or(Some(0.0)),
        unit: "times over",
        note: Some(if exceeded { Outcome::Exceeded } else { Outcome::Met }.name().to_owned()),
    });
    let outcome = if exceeded { Outcome::Exceeded } else { Outcome::Met };
    Verdict { outcome, corrected: Some(corrected), limit, ratio_over }
}

/// Rounds half to even (GB/T 8170) to as many decimals as the limit is written with.
pub fn round_to_digits_of(value: f64, limit: f64) -> f64 {
    let written = format!("{limit}");
    let decimals = written.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    let scale = 10_f64.powi(i32::try_from(decimals).unwrap_or(0));
    snap((snap(value * scale)).round_ties_even() / scale)
}

/// The highest value that counts as kept: the limit, or what is still rounded to it.
pub fn highest_kept(rule: &Rule) -> f64 {
    let limit = rule.limit.value;
    match rule.comparison {
        Comparison::FullValue => limit,
        Comparison::Rounded => {
            let written = format!("{limit}");
            let decimals = written.split_once('.').map_or(0, |(_, decimals)| decimals.len());
            let half = 0.5 / 10_f64.powi(i32::try_from(decimals).unwrap_or(0));
            let tie = snap(limit + half);
            // A tie goes to the even digit.
            if round_to_digits_of(tie, limit) <= limit { tie } else { snap(limit + half * (1.0 - 1e-6)) }
        }
    }
}

/// What one scan shows of one rule: the value at the rule's reference, if there is one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Glimpse {
    pub corrected: f64,
    pub limit: f64,
    pub above: bool,
}

/// Looks at one scan with the eyes of one rule. This is an early warning at most; only windows are judged.
pub fn glimpse(
    rule: &Rule,
    outlet: &Outlet,
    at: Timestamp,
    position: Position,
    evaluated: &Evaluated,
) -> Option<Glimpse> {
    let settings = outlet.settings.at(at)?;
    let dry = evaluated.channels.get(position)?.bases.dry?;
    let oxygen = evaluated.conditions.oxygen_percent;
    let corrected = to_reference(dry, oxygen, rule.reference, settings, &mut Unwatched).value()?;
    let limit = rule.limit.value;
    Some(Glimpse { corrected, limit, above: corrected > limit * rule.early_warning_ratio })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::average::{StoredScan, average_scans};
    use crate::domain::evaluation::tests::{kiln, readings};
    use crate::domain::history::Dated;
    use crate::domain::limit::{AveragingPeriod, Kind, Reference};
    use crate::domain::regime::HJ75_2017;
    use jiff::tz::TimeZone;

    fn rule(limit: f64, reference: Reference, comparison: Comparison) -> Rule {
        Rule {
            id: 1,
            code: "test".to_owned(),
            name: "test".to_owned(),
            document: String::new(),
            kind: Kind::Assessment,
            mark: "V".to_owned(),
            division: String::new(),
            industry: String::new(),
            process: "cement-kiln".to_owned(),
            factor: "a21026".to_owned(),
            limit: Dated { from: Timestamp::MIN, until: None, value: limit },
            period: AveragingPeriod::Minute,
            reference,
            comparison,
            early_warning_ratio: 1.0,
        }
    }

    fn rule_of(limit: f64, comparison: Comparison) -> Rule {
        rule(limit, Reference::None, comparison)
    }

    fn verdict(so2: f64, oxygen: f64, scans: i64, rule: &Rule) -> Verdict {
        let start: Timestamp = "2026-11-21T04:00:00Z".parse().unwrap();
        let window = Window::containing(AveragingPeriod::Minute, start, &TimeZone::UTC);
        let scans: Vec<StoredScan> = (0..scans)
            .map(|i| StoredScan {
                at: Timestamp::from_second(start.as_second() + 2 * i).unwrap(),
                readings: readings(so2, oxygen),
            })
            .collect();
        let averages = average_scans(window, &kiln(), &scans, &HJ75_2017);
        judge(rule, &kiln(), (window, 0), &averages, &mut Unwatched)
    }

    #[test]
    fn eighty_eight_against_thirty_five_is_one_and_a_half_times_over() {
        let rule = rule(35.0, Reference::OxygenPercent(10.0), Comparison::FullValue);
        let verdict = verdict(60.0, 13.5, 30, &rule);
        assert_eq!((verdict.outcome, verdict.corrected), (Outcome::Exceeded, Some(88.0)));
        assert_eq!(format!("{:.2}", verdict.ratio_over.unwrap()), "1.51");
    }

    #[test]
    fn the_same_window_is_judged_by_each_rule_with_its_own_reference() {
        let at_eight =
            verdict(30.0, 13.5, 30, &rule(50.0, Reference::OxygenPercent(8.0), Comparison::FullValue));
        assert_eq!((at_eight.outcome, at_eight.corrected), (Outcome::Exceeded, Some(52.0)));
        let none = verdict(30.0, 13.5, 30, &rule(35.0, Reference::None, Comparison::FullValue));
        assert_eq!((none.outcome, none.corrected), (Outcome::Met, Some(30.0)));
    }

    #[test]
    fn what_cannot_be_judged_says_why() {
        let rule = rule(35.0, Reference::OxygenPercent(10.0), Comparison::FullValue);
        assert_eq!(verdict(60.0, 13.5, 11, &rule).outcome, Outcome::NotValid);
        assert_eq!(verdict(60.0, 20.0, 30, &rule).outcome, Outcome::NotConvertible);
    }

    #[test]
    fn rounding_flips_only_where_the_rule_says_so() {
        let full =
            verdict(10.4, 10.0, 30, &rule(10.0, Reference::OxygenPercent(10.0), Comparison::FullValue));
        assert_eq!(full.outcome, Outcome::Exceeded);
        let rounded =
            verdict(10.4, 10.0, 30, &rule(10.0, Reference::OxygenPercent(10.0), Comparison::Rounded));
        assert_eq!(rounded.outcome, Outcome::Met);
        assert_eq!(round_to_digits_of(10.5, 10.0), 10.0);
        assert_eq!(round_to_digits_of(11.5, 10.0), 12.0);
        assert_eq!(round_to_digits_of(0.0345, 0.05), 0.03);
        for limit in [10.0, 35.0, 0.05, 0.5, 100.0] {
            let rule = rule_of(limit, Comparison::Rounded);
            let highest = highest_kept(&rule);
            assert!(round_to_digits_of(highest, limit) <= limit, "{limit}: {highest}");
            assert!(round_to_digits_of(highest * (1.0 + 1e-4), limit) > limit, "{limit}: {highest}");
        }
        assert_eq!(highest_kept(&rule_of(10.0, Comparison::FullValue)), 10.0);
    }

    #[test]
    fn a_scan_gives_a_glimpse_not_a_verdict() {
        let rule = rule(35.0, Reference::OxygenPercent(10.0), Comparison::FullValue);
        let at: Timestamp = "2026-11-21T04:00:00Z".parse().unwrap();
        let evaluated = crate::domain::evaluation::evaluate(
            &kiln(),
            at,
            &readings(60.0, 13.5),
            &HJ75_2017,
            &mut Unwatched,
        );
        assert_eq!(
            glimpse(&rule, &kiln(), at, 0, &evaluated),
            Some(Glimpse { corrected: 88.0, limit: 35.0, above: true })
        );
    }
}
