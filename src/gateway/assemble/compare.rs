//! What a checked register holds, beside what it must.

use crate::config::gateway::{Check, Expected, Number};
use crate::gateway::register;

/// Whether these words hold what they must, and what they hold.
pub fn compare(words: &[u16], check: &Check) -> (bool, String) {
    match (&check.expected, check.place.number) {
        (Expected::Text(text), Number::Ascii { .. }) => match register::text(words, check.place.order) {
            Some(found) => (found == *text, found),
            None => (false, format!("no text: {words:04x?}")),
        },
        (Expected::Text(_), _) => (false, "a number".to_owned()),
        (Expected::Number(number), _) => match register::raw(words, check.place.number, check.place.order) {
            Some(found) => (near(found, *number), found.to_string()),
            None => (false, format!("no number: {words:04x?}")),
        },
    }
}

/// Equal to within what a 32-bit float keeps.
fn near(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= expected.abs().max(found.abs()) * 1e-6
}

/// What it must hold, as text.
pub fn expected(expected: &Expected) -> String {
    match expected {
        Expected::Number(number) => number.to_string(),
        Expected::Text(text) => text.clone(),
    }
}
