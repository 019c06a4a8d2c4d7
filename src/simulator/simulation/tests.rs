//! The demo plant, looked at moment by moment.
use std::time::Duration;

use super::*;
use crate::config::scenario;
use crate::config::scenario::Table;
use crate::domain::flag::Flag;

const KILN: &str = "demo-cement-kiln";
const GLASS: &str = "demo-glass-furnace";

fn demo() -> Simulation {
    let text = include_str!("../../../config/scenario-demo.toml");
    Simulation::new(scenario::parse("demo", text).unwrap(), "2026-11-21T04:00:00Z".parse().unwrap())
}

fn after(simulation: &Simulation, ms: i64) -> Timestamp {
    simulation.started() + jiff::SignedDuration::from_millis(ms)
}

fn value(simulation: &Simulation, outlet: &str, channel: &str, ms: i64) -> f64 {
    let values = simulation.values(outlet, after(simulation, ms)).unwrap();
    values.iter().find(|known| known.code.as_str() == channel).unwrap().value
}

#[test]
fn the_same_seed_and_time_give_the_same_registers() {
    let (one, other) = (demo(), demo());
    let mut scenario = one.scenario().clone();
    scenario.seed += 1;
    let third = Simulation::new(scenario, one.started());
    for ms in [-86_400_000, -1, 0, 19_999, 20_000, 100_000] {
        let at = after(&one, ms);
        assert_eq!(one.image(KILN, "gas", at), other.image(KILN, "gas", at));
        assert_ne!(one.image(KILN, "flow", at), third.image(KILN, "flow", at));
    }
}

#[test]
fn the_kilns_event_is_88_at_ten_percent_within_a_step() {
    let simulation = demo();
    let corrected = |ms: i64| {
        let (so2, oxygen) = (value(&simulation, KILN, "a21026", ms), value(&simulation, KILN, "a19001", ms));
        (so2, oxygen, so2 * (21.0 - 10.0) / (21.0 - oxygen))
    };
    let (so2, oxygen, before) = corrected(19_999);
    assert!(so2 < 30.0 && oxygen < 11.0 && before < 33.0, "{so2} {oxygen} {before}");
    for ms in [20_000, 20_500, 60_000, 319_999] {
        let (so2, oxygen, after) = corrected(ms);
        assert!((so2 - 60.0).abs() < 0.31 && (oxygen - 13.5).abs() < 0.031, "{so2} {oxygen}");
        assert!((after - 88.0).abs() < 1.0, "{after}");
    }
    assert!(corrected(320_000).2 < 33.0);
}

#[test]
fn a_leak_alone_lowers_what_is_measured_and_keeps_what_is_corrected() {
    let simulation = demo();
    let without = {
        let mut scenario = simulation.scenario().clone();
        scenario.events.clear();
        Simulation::new(scenario, simulation.started())
    };
    let of = |simulation: &Simulation, channel| value(simulation, GLASS, channel, 230_000);
    let corrected = |s| of(s, "a21002") * (21.0 - 8.0) / (21.0 - of(s, "a19001"));
    assert!(of(&simulation, "a21002") < 0.8 * of(&without, "a21002"));
    assert!(of(&simulation, "a01014") < of(&without, "a01014"));
    assert!((of(&simulation, "a19001") - 14.0).abs() < 0.05);
    let (leaking, tight) = (corrected(&simulation), corrected(&without));
    assert!((leaking - tight).abs() < 0.02 * tight, "{leaking} {tight}");
}

#[test]
fn calibration_shows_span_gas_and_says_so() {
    let simulation = demo();
    let image = |ms| simulation.image(GLASS, "gas", after(&simulation, ms)).unwrap();
    assert_eq!((image(89_999).status.flag(), image(90_000).status.flag()), (Flag::Normal, Flag::Calibration));
    assert_eq!(image(90_000).words(Table::Holding, 40, 1), Some(&[1][..]));
    assert!((value(&simulation, GLASS, "a21026", 100_000) - 160.0).abs() < 0.5);
    assert!((value(&simulation, GLASS, "a19001", 100_000) - 20.0).abs() < 0.05);
    assert_eq!(
        simulation.image(GLASS, "stack", after(&simulation, 100_000)).unwrap().status.flag(),
        Flag::Normal
    );
    assert_eq!(image(150_000).status.flag(), Flag::Normal);
}

#[test]
fn a_fault_stands_still_and_a_stopped_source_is_air() {
    let simulation = demo();
    let flow = |ms| simulation.image(KILN, "flow", after(&simulation, ms)).unwrap();
    assert_eq!(flow(545_000), flow(599_000));
    assert_eq!(flow(545_000).status.flag(), Flag::Fault);
    assert_ne!(flow(605_000), flow(609_000));
    let of = |channel| value(&simulation, "demo-carbon-roasting", channel, 1_200_000);
    assert!(of("a21026") < 0.5 && of("a19001") > 20.8 && of("a01011") < 0.5 && of("a01012") < 45.0);
}

#[test]
fn silence_follows_the_timeline_and_the_hand() {
    let simulation = demo();
    let dust = simulation.key("demo-carbon-roasting", "dust").unwrap();
    let glass = simulation.key(GLASS, "stack").unwrap();
    let none = Overrides::default();
    let silent =
        |key, ms, overrides: &Overrides| simulation.answer(key, after(&simulation, ms), overrides).is_none();
    for (key, ms, expected) in [
        (dust, 239_999, false),
        (dust, 240_000, true),
        (dust, 540_000, false),
        (glass, 300_000, false),
        (glass, 660_000, true),
    ] {
        assert_eq!(silent(key, ms, &none), expected, "{key:?} {ms}");
    }
    let mut hand = Overrides::default();
    hand.silence(glass);
    assert!(silent(glass, 0, &hand) && !silent(dust, 0, &hand));
    hand.unsilence(glass);
    assert!(!silent(glass, 0, &hand));
}

#[test]
fn a_held_value_is_served_exactly() {
    let simulation = demo();
    let key = simulation.key(KILN, "gas").unwrap();
    let mut hand = Overrides::default();
    hand.hold(0, ChannelCode::new("a21026").unwrap(), Some(60.0));
    let image = simulation.answer(key, simulation.started(), &hand).unwrap();
    // 60 as single precision is 0x42700000
    assert_eq!(image.words(Table::Input, 0, 2), Some(&[0x4270, 0][..]));
    hand.hold(0, ChannelCode::new("a21026").unwrap(), None);
    assert_eq!(
        simulation.answer(key, simulation.started(), &hand),
        simulation.image(KILN, "gas", simulation.started())
    );
}

#[test]
fn a_day_of_images_takes_seconds() {
    let simulation = demo();
    let began = crate::clock::monotonic();
    let mut images = 0_u32;
    for tick in 0..2_000_i64 {
        let at = after(&simulation, tick * -2000);
        for outlet in &simulation.scenario().outlets {
            for analyser in &outlet.analysers {
                assert!(simulation.image(&outlet.code, &analyser.name, at).is_some());
                images += 1;
            }
        }
    }
    let each = began.elapsed() / images;
    eprintln!("{each:?} an image");
    assert!(each < Duration::from_micros(200), "{each:?} an image");
}
