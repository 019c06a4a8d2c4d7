//! Orders on hours.

use proptest::prelude::*;

use super::*;
use crate::domain::source_state::{Contradiction, Observed};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn order(demand: Demand) -> Order {
    Order {
        code: "red-2026-11".to_owned(),
        name: "Red warning".to_owned(),
        document: "Bureau notice 2026-88".to_owned(),
        scope: Scope::Outlet("kiln".to_owned()),
        times: Times { from: at("2026-11-21T00:00:00+08:00"), until: Some(at("2026-11-23T00:00:00+08:00")) },
        demand,
    }
}

fn minutes(state: SourceState, basis: Basis, count: usize) -> Vec<Sourced<'static>> {
    vec![Sourced { state, observed: Observed { state, basis }, mark: None, contested: None }; count]
}

fn judged(demand: Demand, minutes: &[Sourced<'static>], flow: Option<f64>) -> OrderVerdict {
    let measured = |measure: &Measure| if *measure == Measure::Flow { flow } else { None };
    let hour = Hour { start: at("2026-11-21T04:00:00Z"), minutes, measured: &measured };
    judge_order(&order(demand), &hour).unwrap()
}

fn stop() -> Demand {
    Demand::Stop { thresholds: vec![Threshold { measure: Measure::Flow, above: 10_000.0 }] }
}

#[test]
fn an_outlet_that_runs_against_a_stop_is_an_exceedance_of_the_order() {
    let running = minutes(SourceState::Running, Basis::Signals, 60);
    let verdict = judged(stop(), &running, None);
    assert_eq!((verdict.outcome, verdict.value), (Outcome::Exceeded, Some(60.0)));
    let stopped = minutes(SourceState::Stopped, Basis::Signals, 60);
    assert_eq!(judged(stop(), &stopped, Some(2_000.0)).outcome, Outcome::Met);
    // Banked fire is not stopped.
    let banked = minutes(SourceState::BankedFire, Basis::Signals, 60);
    assert_eq!(judged(stop(), &banked, Some(2_000.0)).outcome, Outcome::Exceeded);
}

#[test]
fn flow_above_the_threshold_emits_whatever_the_state() {
    let stopped = minutes(SourceState::Stopped, Basis::Signals, 60);
    let verdict = judged(stop(), &stopped, Some(50_000.0));
    assert_eq!((verdict.outcome, verdict.ratio_over), (Outcome::Exceeded, Some(4.0)));
}

#[test]
fn a_contested_mark_does_not_keep_an_order() {
    let contested = Sourced {
        contested: Some(Contradiction { channel: ChannelCode::new("a19001").unwrap(), value: 13.5 }),
        ..minutes(SourceState::Running, Basis::Nothing, 1).remove(0)
    };
    assert_eq!(judged(stop(), &[contested], None).outcome, Outcome::Exceeded);
}

#[test]
fn where_nothing_is_known_nothing_is_judged() {
    let unknown = minutes(SourceState::Running, Basis::Nothing, 60);
    assert_eq!(judged(stop(), &unknown, None).outcome, Outcome::NotValid);
    assert_eq!(judged(stop(), &unknown, Some(0.0)).outcome, Outcome::Met);
}

#[test]
fn thirty_per_cent_less_than_the_baseline() {
    let demand =
        || Demand::Reduce { percent: Percent::whole(30), measure: Measure::Flow, reference: 200_000.0 };
    let kept = judged(demand(), &[], Some(140_000.0));
    assert_eq!((kept.outcome, kept.allowed), (Outcome::Met, 140_000.0));
    let over = judged(demand(), &[], Some(210_000.0));
    assert_eq!((over.outcome, over.ratio_over), (Outcome::Exceeded, Some(0.5)));
    assert_eq!(judged(demand(), &[], None).outcome, Outcome::NotValid);
}

#[test]
fn a_temporary_limit_is_a_rule_of_its_own_kind_for_its_two_days() {
    let demand = Demand::Limit {
        pollutant: "a21026".to_owned(),
        limit_mg_m3: 20.0,
        reference_oxygen_percent: Some(10.0),
        comparison: Full::FullValue,
    };
    let rule = as_rule(&order(demand), "cement-kiln").unwrap();
    assert_eq!(
        (rule.kind, rule.period, rule.reference),
        (Kind::Order, AveragingPeriod::Hour, Reference::OxygenPercent(10.0))
    );
    assert!(
        rule.limit.holds(at("2026-11-22T23:00:00+08:00"))
            && !rule.limit.holds(at("2026-11-23T00:00:00+08:00"))
    );
    assert!(as_rule(&order(stop()), "cement-kiln").is_none());
}

proptest! {
    #[test]
    fn more_is_never_better(reference in 1.0_f64..1e6, percent in 0_u32..100, value in 0.0_f64..2e6, more in 0.0_f64..1e6) {
        let demand = || Demand::Reduce { percent: Percent::whole(percent), measure: Measure::Flow, reference };
        let less = judged(demand(), &[], Some(value));
        let more = judged(demand(), &[], Some(value + more));
        prop_assert!(less.outcome == Outcome::Met || more.outcome == Outcome::Exceeded);
        prop_assert!(more.ratio_over.is_none_or(f64::is_finite));
    }
}
