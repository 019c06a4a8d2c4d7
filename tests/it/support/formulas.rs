//! The figures that must come out, worked out here from what was served: HJ 212-2017 Appendix D by hand, and means by plain
//! sums. Shares no code with the product.

use std::collections::BTreeMap;

use crate::support::ledger::{Place, Served};

/// What the plant document says of an outlet.
#[derive(Debug, Clone, Copy)]
pub struct Outlet {
    pub code: &'static str,
    /// Per cent; `None`: not converted.
    pub reference: Option<f64>,
}

pub const OUTLETS: [Outlet; 3] = [
    Outlet { code: "demo-cement-kiln", reference: Some(10.0) },
    Outlet { code: "demo-glass-furnace", reference: Some(8.0) },
    Outlet { code: "demo-carbon-roasting", reference: None },
];
pub const POLLUTANTS: [&str; 3] = ["a34013", "a21026", "a21002"];
/// Ambient pressure of all three, Pa.
const AMBIENT: f64 = 100_500.0;
const AIR: f64 = 21.0;

/// All channels of one outlet at one tick.
pub type Scan = BTreeMap<String, f64>;

/// The served values of each outlet and second, those that say of themselves that they are normal.
pub fn scans(served: &[Served]) -> BTreeMap<(String, i64), Scan> {
    let mut scans: BTreeMap<(String, i64), Scan> = BTreeMap::new();
    for answer in served.iter().filter(|answer| answer.flag == "N") {
        let scan = scans.entry((answer.outlet.clone(), answer.second())).or_default();
        scan.extend(answer.values.iter().filter_map(|(code, value)| Some((code.clone(), (*value)?))));
    }
    scans
}

/// Dry, at standard state: dust is measured wet and as it flows, the gases already so. `None`: something is missing.
pub fn dry(scan: &Scan, channel: &str) -> Option<f64> {
    let measured = *scan.get(channel)?;
    if channel != "a34013" {
        return Some(measured);
    }
    let (celsius, static_kpa, moisture) = (scan.get("a01012")?, scan.get("a01013")?, scan.get("a01014")?);
    let standard = measured * (101_325.0 / (AMBIENT + 1000.0 * static_kpa)) * ((273.0 + celsius) / 273.0);
    Some(standard / (1.0 - moisture / 100.0))
}

/// To the outlet's reference oxygen.
pub fn corrected(dry: f64, oxygen: f64, outlet: Outlet) -> f64 {
    outlet.reference.map_or(dry, |reference| dry * (AIR - reference) / (AIR - oxygen))
}

/// What is to be in a minute's row of one pollutant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Minute {
    pub measured: f64,
    pub dry: f64,
    pub corrected: Option<f64>,
    pub n_valid: i32,
}

/// The minutes of all pollutants, by outlet, channel and start: of the scans at `present` places only.
pub fn minutes(served: &[Served], present: impl Fn(&Place) -> bool) -> BTreeMap<Place, Minute> {
    let mut scans = scans(served);
    for ((outlet, second), scan) in &mut scans {
        scan.retain(|channel, _| present(&(outlet.clone(), channel.clone(), *second)));
    }
    let mut minutes = BTreeMap::new();
    for outlet in OUTLETS {
        let mut by_minute: BTreeMap<i64, Vec<&Scan>> = BTreeMap::new();
        for ((_, second), scan) in scans.iter().filter(|((code, _), _)| code == outlet.code) {
            by_minute.entry(second.div_euclid(60) * 60).or_default().push(scan);
        }
        for (start, scans) in by_minute {
            let oxygen: Vec<f64> = scans.iter().filter_map(|scan| scan.get("a19001").copied()).collect();
            for channel in POLLUTANTS {
                let counting: Vec<(f64, f64)> = scans
                    .iter()
                    .filter_map(|scan| Some((*scan.get(channel)?, dry(scan, channel)?)))
                    .collect();
                if counting.is_empty() {
                    continue;
                }
                let dry = mean(counting.iter().map(|pair| pair.1));
                // Twelve values make a minute's oxygen valid.
                let corrected = match outlet.reference {
                    Some(_) if oxygen.len() < 12 => None,
                    Some(_) | None => Some(corrected(dry, mean(oxygen.iter().copied()), outlet)),
                };
                let minute = Minute {
                    measured: mean(counting.iter().map(|pair| pair.0)),
                    dry,
                    corrected,
                    n_valid: counting.len() as i32,
                };
                minutes.insert((outlet.code.to_owned(), channel.to_owned(), start), minute);
            }
        }
    }
    minutes
}

fn mean(values: impl ExactSizeIterator<Item = f64> + Clone) -> f64 {
    let count = values.len() as f64;
    values.sum::<f64>() / count
}

/// Equal but for rounding.
pub fn close(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= 1e-9 * expected.abs()
}

#[test]
fn by_hand() {
    // 20 mg/m3 at 136.5 C (1.5 x) and 101.325 kPa in all (1 x), 20 % moisture (1.25 x).
    let scan: Scan = [("a34013", 20.0), ("a01012", 136.5), ("a01013", 0.825), ("a01014", 20.0)]
        .map(|(code, value)| (code.to_owned(), value))
        .into();
    assert!(close(dry(&scan, "a34013").unwrap(), 37.5));
    assert_eq!(corrected(60.0, 13.5, OUTLETS[0]), 88.0);
    assert_eq!(corrected(60.0, 13.5, OUTLETS[2]), 60.0);
    assert!(!close(1.0, 1.000_000_01));
}
