//! All that is said of one window of one outlet: by every rule in force, each with its own reference, by orders, by the rule
//! of a furnace, and by assessments over verdicts. Live closing, recomputation, replay and explanation come through here.

/// Who judges.
mod by;
/// What is told besides.
mod remark;

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::domain::assessment::{Assessed, Assessment, Counted, assess};
use crate::domain::average::{ChannelAverage, Terms, average_windows, flow_of, kilograms};
use crate::domain::correction::Witness;
use crate::domain::exceedance::{Outcome, Verdict, judge, rules_for};
use crate::domain::exemption::{Exempted, Exemption, exempted};
use crate::domain::furnace::{FurnaceRule, furnace_temperature, judge_day, judge_temperature};
use crate::domain::law::OutletLaw;
use crate::domain::limit::AveragingPeriod;
use crate::domain::order::{Demand, Hour, Measure, Order, as_rule, judge_order};
use crate::domain::plant::{ChannelCode, Outlet, Position};
use crate::domain::pollutant::Role;
use crate::domain::regime::Regime;
use crate::domain::validity::{Occupied, Overlay, Sourced, source_state};
use crate::domain::window::{Window, lower};

pub use by::By;

/// Exemptions name the furnace temperature by this factor code.
const FURNACE: &str = "a01901";

/// What an outlet's windows are judged on besides their averages.
#[derive(Debug, Clone, Copy)]
pub struct Ground<'g> {
    pub outlet: &'g Outlet,
    pub law: &'g OutletLaw,
    pub regime: &'g Regime,
    pub zone: &'g TimeZone,
}

/// Lower windows by their start.
pub type Parts = BTreeMap<Timestamp, Vec<ChannelAverage>>;

/// One verdict of one judge on one window.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged<'g> {
    pub by: By<'g>,
    /// `None`: of the outlet as a whole.
    pub position: Option<Position>,
    pub verdict: Verdict,
    /// What a court asks besides: exemptions, contested marks, an instrument out of control, what was counted.
    pub remark: Option<String>,
}

impl Judged<'_> {
    /// The channels in whose rows it is shown: its own, else all pollutants of the outlet, of a furnace its thermocouples.
    pub fn shown_at(&self, outlet: &Outlet) -> Vec<Position> {
        match (self.position, self.by) {
            (Some(position), _) => vec![position],
            (None, By::Furnace(rule)) => {
                rule.upper.iter().chain(&rule.middle).filter_map(|code| outlet.position(*code)).collect()
            }
            (None, By::Rule(_) | By::Order(_) | By::Assessment(_)) => {
                let channels = outlet.channels.iter().enumerate();
                channels
                    .filter(|(_, channel)| channel.factor.role == Role::Pollutant)
                    .map(|(position, _)| position)
                    .collect()
            }
        }
    }
}

impl<'g> Ground<'g> {
    /// What lies over the minutes of a window; `minutes` reach back as far as the source rules look. Of windows that are not made of
    /// minutes nothing does.
    pub fn overlay(&self, window: Window, minutes: &Parts) -> Overlay {
        if lower(window.period) == Some(AveragingPeriod::Minute) {
            Overlay::over(self.law, self.outlet, window, &signals(self.outlet, minutes))
        } else {
            Overlay::default()
        }
    }

    /// From when on the minutes of a window must be known.
    pub fn known_from(&self, window: Window) -> Timestamp {
        let minutes = self.law.look_back_minutes(window.start, window.end);
        window.start.checked_sub(SignedDuration::from_mins(i64::from(minutes))).unwrap_or(window.start)
    }

    /// Judges a window by every rule, order and furnace rule in force at its start. `parts` are the minutes of a window that is made
    /// of minutes, and may be empty for others.
    pub fn judge(
        &self,
        window: Window,
        averages: &[ChannelAverage],
        (parts, overlay): (&Parts, &Overlay),
        witness: &mut impl Witness,
    ) -> Vec<Judged<'g>> {
        let occupied = overlay.occupied(self.needed(window));
        let mut judged = Vec::new();
        for position in 0..self.outlet.channels.len() {
            witness.turn_to(position);
            for rule in rules_for(self.outlet, position, window) {
                let verdict = judge(rule, self.outlet, (window, position), averages, witness);
                let (verdict, exemption) = self.exempt(&rule.factor, verdict, (window, occupied));
                let remark = self.remark(window, Some(position), exemption, overlay);
                judged.push(Judged { by: By::Rule(rule), position: Some(position), verdict, remark });
            }
        }
        if window.period == AveragingPeriod::Hour {
            judged.extend(self.orders(window, averages, (parts, overlay), witness));
        }
        if window.period == AveragingPeriod::FiveMinutes {
            judged.extend(self.furnaces(window, averages, (overlay, occupied)));
        }
        judged
    }

    fn needed(&self, window: Window) -> u32 {
        let expected = (window.end.as_second() - window.start.as_second()) / 60;
        self.regime.needed(window.period, u32::try_from(expected).unwrap_or(0))
    }

    /// Only what would be judged can be exempt.
    fn exempt(
        &self,
        factor: &str,
        verdict: Verdict,
        (window, occupied): (Window, Occupied),
    ) -> (Verdict, Option<(&'g Exemption, Exempted)>) {
        let is_judged = matches!(verdict.outcome, Outcome::Met | Outcome::Exceeded | Outcome::NotMet);
        if !is_judged || self.law.exemptions.is_empty() || window.period > AveragingPeriod::Hour {
            return (verdict, None);
        }
        let year = Window::containing(AveragingPeriod::Year, window.start, self.zone);
        let found = exempted(self.law, self.outlet, factor, (window, year), occupied);
        if matches!(found, Some((_, Exempted::Yes { .. }))) {
            return (Verdict { outcome: Outcome::Exempt, ratio_over: None, ..verdict }, found);
        }
        (verdict, found)
    }

    fn orders(
        &self,
        window: Window,
        averages: &[ChannelAverage],
        (parts, overlay): (&Parts, &Overlay),
        witness: &mut impl Witness,
    ) -> Vec<Judged<'g>> {
        let mut judged = Vec::new();
        for order in self.law.orders.iter().filter(|order| order.times.holds(window.start)) {
            match &order.demand {
                Demand::Limit { pollutant, .. } => {
                    let Some(rule) = as_rule(order, "") else { continue };
                    for position in self.positions_of(pollutant) {
                        witness.turn_to(position);
                        let verdict = judge(&rule, self.outlet, (window, position), averages, witness);
                        let remark = self.remark(window, Some(position), None, overlay);
                        judged.push(Judged {
                            by: By::Order(order),
                            position: Some(position),
                            verdict,
                            remark,
                        });
                    }
                }
                Demand::Stop { .. } | Demand::Reduce { .. } => {
                    judged.extend(self.order(order, window, averages, (parts, overlay)));
                }
            }
        }
        judged
    }

    /// An order to stop or to reduce.
    fn order(
        &self,
        order: &'g Order,
        window: Window,
        averages: &[ChannelAverage],
        (parts, overlay): (&Parts, &Overlay),
    ) -> Option<Judged<'g>> {
        let signals = signals(self.outlet, parts);
        let minutes: Vec<Sourced<'_>> = (0..60)
            .filter_map(|minute| window.start.checked_add(SignedDuration::from_mins(minute)).ok())
            .filter(|minute| window.contains(*minute))
            .map(|minute| source_state(self.law, self.outlet, minute, &signals))
            .collect();
        // What was emitted, whatever the source is said to be doing.
        let plain = || average_windows(window, self.outlet, parts, Terms::plain(self.regime, 60));
        let emitted = (!overlay.is_empty()).then(plain);
        let averages = emitted.as_deref().unwrap_or(averages);
        let measured = |measure: &Measure| self.measured(measure, averages);
        let hour = Hour { start: window.start, minutes: &minutes, measured: &measured };
        let found = judge_order(order, &hour)?;
        let verdict = Verdict {
            outcome: found.outcome,
            corrected: found.value,
            limit: found.allowed,
            ratio_over: found.ratio_over,
        };
        let position = match &order.demand {
            Demand::Reduce { measure: Measure::Mass(pollutant), .. } => self.positions_of(pollutant).next(),
            Demand::Reduce { measure: Measure::Channel(code), .. } => self.outlet.position(*code),
            Demand::Reduce { measure: Measure::Flow, .. } | Demand::Stop { .. } | Demand::Limit { .. } => {
                None
            }
        };
        let what = match (&order.demand, found.value) {
            (Demand::Stop { .. }, Some(value)) if found.allowed == 0.0 => {
                format!("ordered to stop: ran {value} minutes of the hour")
            }
            (Demand::Stop { .. }, Some(value)) => {
                format!("ordered to stop: {value}, which is emission above {}", found.allowed)
            }
            (Demand::Reduce { percent, .. }, Some(value)) => {
                format!("ordered to reduce by {percent}: {value} against {}", found.allowed)
            }
            (Demand::Stop { .. } | Demand::Reduce { .. } | Demand::Limit { .. }, _) => {
                "nothing is known of the hour".to_owned()
            }
        };
        let more = self.remark(window, position, None, overlay);
        let remark = Some(more.map_or(what.clone(), |more| format!("{what}; {more}")));
        Some(Judged { by: By::Order(order), position, verdict, remark })
    }

    fn measured(&self, measure: &Measure, averages: &[ChannelAverage]) -> Option<f64> {
        let valid = |position: Position| averages.get(position).filter(|average| average.valid);
        match measure {
            Measure::Flow => flow_of(self.outlet, averages),
            // Of one hour, so kilograms are kilograms an hour.
            Measure::Mass(pollutant) => {
                self.positions_of(pollutant).find_map(|position| valid(position)?.mass_mg).map(kilograms)
            }
            Measure::Channel(code) => self.outlet.position(*code).and_then(valid)?.measured,
        }
    }

    fn positions_of(&self, factor: &str) -> impl Iterator<Item = Position> {
        let of_factor = move |(_, code): &(Position, &str)| *code == factor;
        let codes = self.outlet.channels.iter().map(|channel| channel.factor.code.as_str()).enumerate();
        codes.filter(of_factor).map(|(position, _)| position)
    }

    /// The five-minute temperature of each furnace.
    fn furnaces(
        &self,
        window: Window,
        averages: &[ChannelAverage],
        (overlay, occupied): (&Overlay, Occupied),
    ) -> Vec<Judged<'g>> {
        let mean = |code: &ChannelCode| {
            let average = self.outlet.position(*code).and_then(|position| averages.get(position))?;
            average.measured.filter(|_| average.valid)
        };
        let in_force = self.law.furnaces.iter().filter(|rule| rule.times.holds(window.start));
        in_force
            .map(|rule| {
                let upper: Vec<Option<f64>> = rule.upper.iter().map(mean).collect();
                let middle: Vec<Option<f64>> = rule.middle.iter().map(mean).collect();
                let verdict = judge_temperature(rule, furnace_temperature(&upper, &middle));
                let (verdict, exemption) = self.exempt(FURNACE, verdict, (window, occupied));
                let remark = self.remark(window, None, exemption, overlay);
                Judged { by: By::Furnace(rule), position: None, verdict, remark }
            })
            .collect()
    }

    /// Judges a window by what was judged within it: days of a furnace, assessments. `counted` gives the verdicts of a code on windows of
    /// a period within the window, of one channel or (`None`) of the outlet.
    pub fn judge_counted(
        &self,
        window: Window,
        counted: &dyn Fn(&str, AveragingPeriod, Option<Position>) -> Counted,
    ) -> Vec<Judged<'g>> {
        let mut judged = Vec::new();
        let in_force = |rule: &&FurnaceRule| {
            window.period == AveragingPeriod::Day && rule.times.touches(window.start, window.end)
        };
        for rule in self.law.furnaces.iter().filter(in_force) {
            let counted = counted(&rule.code, AveragingPeriod::FiveMinutes, None);
            if counted.total() > 0 {
                let remark = format!(
                    "{} of {} five-minute means below {} C; {} exempt, {} not known",
                    counted.exceeded,
                    counted.total(),
                    rule.below_c,
                    counted.exempt,
                    counted.not_valid
                );
                let verdict = judge_day(rule, counted);
                judged.push(Judged { by: By::Furnace(rule), position: None, verdict, remark: Some(remark) });
            }
        }
        let due = |assessment: &&Assessment| {
            assessment.over.period() == window.period && assessment.times.holds(window.start)
        };
        for assessment in self.law.assessments.iter().filter(due) {
            let rules = self.outlet.rules.iter().filter(|rule| rule.code == assessment.rule);
            let Some((factor, period)) = rules.map(|rule| (&rule.factor, rule.period)).next() else {
                continue;
            };
            for position in self.positions_of(factor) {
                let counted = counted(&assessment.rule, period, Some(position));
                if counted.total() > 0 {
                    judged.push(assessed(assessment, (position, period), counted));
                }
            }
        }
        judged
    }
}

fn assessed(
    assessment: &Assessment,
    (position, period): (Position, AveragingPeriod),
    counted: Counted,
) -> Judged<'_> {
    let Assessed { share, passes, .. } = assess(assessment, counted);
    let outcome = match passes {
        Some(true) => Outcome::Met,
        Some(false) => Outcome::NotMet,
        None => Outcome::NotValid,
    };
    let not_judged = counted.total() - share.whole;
    let remark = format!(
        "{} of {} judged {} windows met {}: {share}, needed {}; {not_judged} not judged",
        share.part,
        share.whole,
        period.name(),
        assessment.rule,
        assessment.share
    );
    let hundredths = |hundredths: u64| u32::try_from(hundredths).map_or(f64::NAN, f64::from) / 100.0;
    let verdict = Verdict {
        outcome,
        corrected: share.hundredths().map(hundredths),
        limit: f64::from(assessment.share.in_hundredths()) / 100.0,
        ratio_over: None,
    };
    Judged { by: By::Assessment(assessment), position: Some(position), verdict, remark: Some(remark) }
}

/// What a minute says of a source: its mean as measured, of oxygen the dry one; as soon as one value counted.
pub fn signals<'s>(
    outlet: &'s Outlet,
    minutes: &'s Parts,
) -> impl Fn(Timestamp, Position) -> Option<f64> + 's {
    move |minute, position| {
        let average = minutes.get(&minute)?.get(position)?;
        let is_oxygen = outlet.channels.get(position)?.factor.role == Role::Oxygen;
        if is_oxygen { average.dry } else { average.measured }
    }
}
