//! The figures of a bench: a line each on the screen, all of a run in `target/bench.json`.
//!
//! The file is an array of `{name, value, unit, reference, ratio, goal, met}`: `reference` is a limit measured in the same run and
//! `ratio` the value over it, both null where there is none; `goal` is what the ratio (else the value) must reach and `met` whether it
//! does, both null where none is set. A bench replaces its own names and leaves the others.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What a value must reach.
#[derive(Debug, Clone, Copy)]
pub enum Goal {
    None,
    AtLeast(f64),
    AtMost(f64),
}

/// One line of `bench.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Figure {
    pub name: String,
    pub value: f64,
    pub unit: String,
    pub reference: Option<f64>,
    pub ratio: Option<f64>,
    pub goal: Option<f64>,
    pub met: Option<bool>,
}

impl Figure {
    fn new(name: &str, value: f64, unit: &str, reference: Option<f64>, goal: Goal) -> Figure {
        let ratio = reference.map(|reference| value / reference);
        let judged = ratio.unwrap_or(value);
        let (goal, met) = match goal {
            Goal::None => (None, None),
            Goal::AtLeast(least) => (Some(least), Some(judged >= least)),
            Goal::AtMost(most) => (Some(most), Some(judged <= most)),
        };
        Figure { name: name.to_owned(), value, unit: unit.to_owned(), reference, ratio, goal, met }
    }

    fn line(&self) -> String {
        let ratio = self.ratio.map_or(String::new(), |ratio| format!("{ratio:.2} x"));
        let goal = self.goal.map_or(String::new(), |goal| format!("goal {goal}"));
        let met = match self.met {
            None => "",
            Some(true) => "met",
            Some(false) => "MISSED",
        };
        let line =
            format!("{:<34} {:>14.2} {:<16} {ratio:>8}  {goal:<10} {met}", self.name, self.value, self.unit);
        line.trim_end().to_owned()
    }
}

fn file() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target/bench.json"))
}

fn known() -> Vec<Figure> {
    let text = std::fs::read_to_string(file()).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// A figure for itself.
pub fn tell(name: &str, value: f64, unit: &str, goal: Goal) {
    keep(Figure::new(name, value, unit, None, goal));
}

/// A figure beside a limit that was measured in the same run; the goal is about their ratio.
pub fn tell_beside(name: &str, value: f64, unit: &str, reference: f64, goal: Goal) {
    keep(Figure::new(name, value, unit, Some(reference), goal));
}

fn keep(figure: Figure) {
    println!("{}", figure.line());
    let mut all = known();
    all.retain(|one| one.name != figure.name);
    all.push(figure);
    let text: Vec<String> = all.iter().map(|one| serde_json::to_string(one).unwrap()).collect();
    std::fs::write(file(), format!("[\n{}\n]\n", text.join(",\n"))).unwrap();
}

/// All figures of the file, as a table.
pub fn table() {
    println!("\n{:<34} {:>14} {:<16} {:>8}", "figure", "value", "unit", "ratio");
    for figure in known() {
        println!("{}", figure.line());
    }
}

/// The middle one of several.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    *sorted.get(sorted.len() / 2).unwrap()
}

/// Of sorted values, the one that so many percent do not exceed.
pub fn percentile(sorted: &[f64], percent: usize) -> f64 {
    *sorted.get((sorted.len() - 1) * percent / 100).unwrap()
}
