//! The steps of an average, for a watcher. Nothing here calculates.

use crate::domain::average::tally::{Mean, Tally};
use crate::domain::average::{ChannelAverage, kilograms};
use crate::domain::correction::{Step, input};
use crate::domain::flag::Status;
use crate::domain::regime::Regime;

/// Enough lower-level values?
pub(super) fn validity(tally: &Tally, average: &ChannelAverage, needed: u32) -> Step {
    let counted = |status: Status| {
        (tally.count(status) > 0).then(|| format!("{} {}", tally.count(status), status.code()))
    };
    let counts: Vec<String> = Status::ALL.into_iter().filter_map(counted).collect();
    let verdict = if average.valid { "valid" } else { "not valid" };
    Step {
        name: "validity",
        clause: "HJ 212-2017 App. D eq. (23) to (25), HJ 76-2017 App. B",
        formula: "n >= needed",
        inputs: vec![
            input("n", f64::from(average.n_valid), "1"),
            input("needed", f64::from(needed), "1"),
            input("expected", f64::from(average.n_expected), "1"),
        ],
        result: Some(f64::from(average.n_valid)),
        unit: "1",
        note: Some(format!("{verdict}, status {}; counted: {}", average.status.code(), counts.join(", "))),
    }
}

/// Enough normal lower-level values for the transport flag N?
pub(super) fn roll_up(tally: &Tally, average: &ChannelAverage, regime: &Regime) -> Step {
    Step {
        name: "flag",
        clause: "HJ 212-2017 C.16 to C.18",
        formula: "normal/expected >= share",
        inputs: vec![
            input("normal", f64::from(tally.n_normal), "1"),
            input("expected", f64::from(average.n_expected), "1"),
            input("share", f64::from(regime.normal_share_percent), "%"),
        ],
        result: Some(f64::from(tally.n_normal)),
        unit: "1",
        note: Some(format!("flag {}", average.flag.letter())),
    }
}

/// The mean of the values that counted.
pub(super) fn mean(name: &'static str, sum: &Mean, mean: Option<f64>) -> Step {
    let (total, count) = sum.total();
    let note = if count == 0 { "nothing counted" } else { "too few of the values that counted have it" };
    Step {
        name,
        clause: "HJ 212-2017 App. D eq. (23) to (25)",
        formula: "sum(C)/n to 12 digits",
        inputs: vec![input("sum(C)", total, ""), input("n", f64::from(count), "1")],
        result: mean,
        unit: "",
        note: mean.is_none().then(|| note.to_owned()),
    }
}

/// What was emitted.
pub(super) fn mass(hours: Option<f64>, average: &ChannelAverage, flow: Option<f64>) -> Step {
    let inputs = match hours {
        Some(hours) => {
            vec![input("C", average.dry, "mg/m3"), input("Q", flow, "m3/h"), input("t", hours, "h")]
        }
        None => Vec::new(),
    };
    Step {
        name: "mass",
        clause: "HJ 212-2017 App. D eq. (33)",
        formula: if hours.is_some() { "C x Q x t x 1e-6" } else { "sum of the parts" },
        inputs,
        result: average.mass_mg.map(kilograms),
        unit: "kg",
        note: average.mass_mg.is_none().then(|| "concentration or flow is not available".to_owned()),
    }
}
