//! What a single value may be. A `Check` knows its own description, so that a refusal can say what is allowed.

use std::ops::RangeInclusive;
use std::time::Duration;

use config::ValueKind;
use jiff::Timestamp;

/// Turns a written value into a checked one, or refuses it.
pub struct Check<'c, T> {
    allowed: String,
    apply: Apply<'c, T>,
}

type Apply<'c, T> = Box<dyn Fn(&ValueKind) -> Option<T> + 'c>;

impl<'c, T: 'c> Check<'c, T> {
    /// A check of one's own: the description of what is allowed, and the conversion.
    pub fn new(allowed: impl Into<String>, apply: impl Fn(&ValueKind) -> Option<T> + 'c) -> Check<'c, T> {
        Check { allowed: allowed.into(), apply: Box::new(apply) }
    }

    /// What is allowed, for the message.
    pub fn allowed(&self) -> &str {
        &self.allowed
    }

    /// The checked value.
    pub fn apply(&self, value: &ValueKind) -> Option<T> {
        (self.apply)(value)
    }

    /// The same check, its result turned into something else.
    pub fn map<U: 'c>(self, turn: impl Fn(T) -> U + 'c) -> Check<'c, U> {
        let apply = self.apply;
        Check { allowed: self.allowed, apply: Box::new(move |value| apply(value).map(&turn)) }
    }
}

/// Text that `accept` turns into a value; `allowed` says which text that is.
pub fn text<'c, T: 'c>(allowed: &str, accept: impl Fn(&str) -> Option<T> + 'c) -> Check<'c, T> {
    Check::new(allowed, move |value| if let ValueKind::String(text) = value { accept(text) } else { None })
}

/// Any text that is not empty, 400 characters at most.
pub fn any_text<'c>() -> Check<'c, String> {
    text("a text of 1 to 400 characters", |text| {
        (1..=400).contains(&text.chars().count()).then(|| text.to_owned())
    })
}

/// One of these words.
pub fn one_of<'c, T: Copy + 'c>(words: &'c [(&'c str, T)]) -> Check<'c, T> {
    let names: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
    text(&format!("one of {}", names.join(", ")), move |text| {
        words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value)
    })
}

/// A whole number in a range. From the environment it arrives as text.
pub fn integer<'c>(range: RangeInclusive<i64>) -> Check<'c, i64> {
    let allowed = format!("a whole number from {} to {}", range.start(), range.end());
    Check::new(allowed, move |value| {
        let number = if let ValueKind::I64(number) = value {
            Some(*number)
        } else if let ValueKind::String(text) = value {
            text.parse().ok()
        } else {
            None
        };
        number.filter(|number| range.contains(number))
    })
}

/// A whole number in a range, as a smaller type; the range must fit it.
pub fn small<'c, T: TryFrom<i64> + 'c>(range: RangeInclusive<i64>) -> Check<'c, T> {
    let inner = integer(range);
    let allowed = inner.allowed().to_owned();
    Check::new(allowed, move |value| inner.apply(value).and_then(|number| T::try_from(number).ok()))
}

/// A finite number in a range, written with or without decimals.
pub fn number<'c>(range: RangeInclusive<f64>) -> Check<'c, f64> {
    let allowed = format!("a number from {} to {}", range.start(), range.end());
    Check::new(allowed, move |value| {
        let number = if let ValueKind::Float(number) = value {
            Some(*number)
        } else if let ValueKind::I64(number) = value {
            i32::try_from(*number).ok().map(f64::from)
        } else if let ValueKind::String(text) = value {
            text.parse::<f64>().ok()
        } else {
            None
        };
        number.filter(|number| number.is_finite() && range.contains(number))
    })
}

/// `true` or `false`.
pub fn boolean<'c>() -> Check<'c, bool> {
    Check::new("true or false", |value| {
        if let ValueKind::Boolean(boolean) = value {
            Some(*boolean)
        } else if let ValueKind::String(text) = value {
            text.parse().ok()
        } else {
            None
        }
    })
}

/// Whole milliseconds in a range, as a duration.
pub fn milliseconds<'c>(range: RangeInclusive<i64>) -> Check<'c, Duration> {
    let allowed = format!("milliseconds, a whole number from {} to {}", range.start(), range.end());
    let inner = integer(range);
    Check::new(allowed, move |value| {
        inner.apply(value).and_then(|ms| u64::try_from(ms).ok()).map(Duration::from_millis)
    })
}

/// Whole seconds in a range, as a duration.
pub fn seconds<'c>(range: RangeInclusive<i64>) -> Check<'c, Duration> {
    let allowed = format!("seconds, a whole number from {} to {}", range.start(), range.end());
    let inner = integer(range);
    Check::new(allowed, move |value| {
        inner.apply(value).and_then(|s| u64::try_from(s).ok()).map(Duration::from_secs)
    })
}

/// A moment: RFC 3339 text with its offset, or a TOML date-time with one.
pub fn time<'c>() -> Check<'c, Timestamp> {
    text("a time with its offset, as \"2026-01-01T00:00:00+08:00\"", |text| text.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_bounds() {
        assert_eq!(integer(1..=5).apply(&ValueKind::I64(5)), Some(5));
        assert_eq!(integer(1..=5).apply(&ValueKind::I64(6)), None);
        assert_eq!(integer(1..=5).apply(&ValueKind::String("3".to_owned())), Some(3));
        assert_eq!(integer(1..=5).apply(&ValueKind::Float(3.0)), None);
        assert_eq!(number(0.0..=1.0).apply(&ValueKind::Float(f64::NAN)), None);
        assert_eq!(number(0.0..=1.0).apply(&ValueKind::I64(1)), Some(1.0));
        assert_eq!(small::<u8>(0..=255).apply(&ValueKind::I64(200)), Some(200));
    }
}
