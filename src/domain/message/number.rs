//! Numbers as people read them: figures rounded for display, limits as they are written, shares never rounded up to a line. `None`: no
//! number that a person could use.

use crate::domain::average::snap;

/// A figure with so many decimals; more where that would make it look equal to the line it is not equal to.
pub(super) fn beside(value: f64, line: Option<f64>, decimals: usize) -> Option<String> {
    let value = snap(value);
    let shown = fixed(value, decimals)?;
    let Some(line) = line.filter(|line| line.is_finite()).map(snap) else { return Some(shown) };
    let differs = |text: &String| text.parse::<f64>().is_ok_and(|seen| seen.total_cmp(&line).is_ne());
    if value.total_cmp(&line).is_eq() || differs(&shown) {
        return Some(shown);
    }
    let finer = (decimals + 1..=decimals + 5).filter_map(|decimals| fixed(value, decimals));
    finer.into_iter().find(differs).or(Some(shown))
}

/// Decimals that figures of a unit are shown with (regulation.md, section 0).
pub(super) fn decimals(unit: Option<&str>) -> usize {
    match unit.unwrap_or_default() {
        "m3/h" | "events" | "min" | "minutes" | "d" | "days" => 0,
        "%" | "m/s" => 2,
        "t" | "kg" | "kg/h" => 3,
        _ => 1,
    }
}

fn fixed(value: f64, decimals: usize) -> Option<String> {
    if !value.is_finite() {
        return None;
    }
    if value.abs() >= 1e9 {
        return Some(format!("{value:.3e}"));
    }
    let text = format!("{value:.decimals$}");
    let is_zero = text.chars().all(|letter| "-0.".contains(letter));
    Some(if is_zero { text.trim_start_matches('-').to_owned() } else { text })
}

/// As it is written: 35, not 35.0.
pub(super) fn written(value: f64) -> Option<String> {
    if !value.is_finite() {
        return None;
    }
    Some(if value.abs() >= 1e9 { format!("{value:.3e}") } else { format!("{}", snap(value) + 0.0) })
}

/// Oxygen: one decimal, or two where it has them.
pub(super) fn oxygen(value: f64) -> Option<String> {
    let text = fixed(snap(value), 2)?;
    Some(text.strip_suffix('0').map_or_else(|| text.clone(), str::to_owned))
}

/// A share in per cent with two decimals, the rest cut off: 89.999 is not 90.
pub(super) fn share(value: f64) -> Option<String> {
    let text = written(value)?;
    if text.contains('e') {
        return Some(text);
    }
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    let part: String = part.chars().chain("00".chars()).take(2).collect();
    Some(format!("{whole}.{part}"))
}

/// A level that must not be reached, with one decimal, rounded down.
pub(super) fn down(value: f64) -> Option<String> {
    let tenth = (snap(value) * 10.0 + 1e-9).floor() / 10.0;
    fixed(tenth, 1)
}

/// C/limit - 1 with two decimals; `None` as well for what is not above.
pub(super) fn ratio(value: f64) -> Option<String> {
    if value > 0.0 { fixed(snap(value), 2) } else { None }
}

/// SO₂, NO₂, O₂: the digits of a formula stand low.
pub(super) fn formula(symbol: &str) -> String {
    let is_formula = symbol.starts_with(|first: char| first.is_ascii_uppercase())
        && symbol.len() <= 6
        && !symbol.starts_with("PM")
        && symbol.chars().all(|letter| letter.is_ascii_alphanumeric());
    if !is_formula {
        return symbol.to_owned();
    }
    let low = ['₀', '₁', '₂', '₃', '₄', '₅', '₆', '₇', '₈', '₉'];
    let lowered = |letter: char| {
        let digit = letter.to_digit(10).and_then(|digit| usize::try_from(digit).ok());
        digit.and_then(|digit| low.get(digit).copied()).unwrap_or(letter)
    };
    symbol.chars().map(lowered).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_shown_by_the_rules_of_display() {
        let text = |value, line| beside(value, line, 1).unwrap();
        assert_eq!(text(88.0, Some(35.0)), "88.0");
        assert_eq!(text(88.04, None), "88.0");
        assert_eq!(text(-0.01, None), "0.0");
        assert_eq!(text(1e300, None), "1.000e300");
        assert_eq!(beside(f64::NAN, None, 1), None);
        assert_eq!(beside(f64::INFINITY, Some(35.0), 1), None);
    }

    #[test]
    fn what_is_above_a_limit_does_not_look_equal_to_it() {
        assert_eq!(beside(35.04, Some(35.0), 1).unwrap(), "35.04");
        assert_eq!(beside(35.0001, Some(35.0), 1).unwrap(), "35.0001");
        assert_eq!(beside(34.96, Some(35.0), 1).unwrap(), "34.96");
        assert_eq!(beside(35.0, Some(35.0), 1).unwrap(), "35.0");
    }

    #[test]
    fn limits_stand_as_they_are_written() {
        assert_eq!(written(35.0).unwrap(), "35");
        assert_eq!(written(0.1 + 0.2).unwrap(), "0.3");
        assert_eq!(written(-0.0).unwrap(), "0");
    }

    #[test]
    fn a_share_is_cut_and_never_rounded() {
        let shares = [(89.99, "89.99"), (89.999, "89.99"), (90.0, "90.00"), (0.5, "0.50"), (7.0, "7.00")];
        for (value, shown) in shares {
            assert_eq!(share(value).unwrap(), shown);
        }
    }

    #[test]
    fn oxygen_and_ratios() {
        assert_eq!(
            [13.5, 13.52, 13.0, 20.999].map(|value| oxygen(value).unwrap()),
            ["13.5", "13.52", "13.0", "21.0"]
        );
        assert_eq!(ratio(88.0 / 35.0 - 1.0).unwrap(), "1.51");
        assert_eq!(ratio(0.0001).unwrap(), "0.00");
        assert_eq!(down(24.39).unwrap(), "24.3");
        assert_eq!(down(24.3).unwrap(), "24.3");
        assert_eq!((ratio(0.0), ratio(f64::NAN)), (None, None));
    }

    #[test]
    fn formulas() {
        assert_eq!(
            ["SO2", "NOx", "O2", "PM2.5", "PM10", "a21026"].map(formula),
            ["SO₂", "NOx", "O₂", "PM2.5", "PM10", "a21026"]
        );
    }
}
