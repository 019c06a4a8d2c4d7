//! Values that hold for a time. Everything that enters a calculation is looked up here at the time of the reading, never
//! "as it is now".

use jiff::Timestamp;

/// One value with the half-open time `[from, until)` in which it holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Dated<T> {
    pub from: Timestamp,
    /// `None`: until further notice.
    pub until: Option<Timestamp>,
    pub value: T,
}

impl<T> Dated<T> {
    /// Whether it holds at `at`.
    pub fn holds(&self, at: Timestamp) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }
}

/// Values that follow one another without overlap; gaps are allowed and mean "nothing known".
#[derive(Debug, Clone, PartialEq)]
pub struct History<T>(Vec<Dated<T>>);

/// Two values that claim the same time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "two entries hold at {at}: the one from {first} and the one from {second}; end the first with `until` or move the second"
)]
pub struct Overlap {
    pub at: Timestamp,
    pub first: Timestamp,
    pub second: Timestamp,
}

impl<T> Default for History<T> {
    fn default() -> Self {
        History(Vec::new())
    }
}

impl<T> History<T> {
    /// From values in any order. A value without an end ends where the next begins.
    ///
    /// # Errors
    /// [`Overlap`] when two hold at the same time although the earlier one names a later end, or both begin together.
    pub fn new(mut values: Vec<Dated<T>>) -> Result<History<T>, Overlap> {
        values.sort_by_key(|value| value.from);
        let starts: Vec<Timestamp> = values.iter().skip(1).map(|value| value.from).collect();
        for (value, next) in values.iter_mut().zip(starts) {
            match value.until {
                Some(until) if until > next => {
                    return Err(Overlap { at: next, first: value.from, second: next });
                }
                None if value.from == next => {
                    return Err(Overlap { at: next, first: value.from, second: next });
                }
                Some(_) => {}
                None => value.until = Some(next),
            }
        }
        Ok(History(values))
    }

    /// One value, from the beginning of time.
    pub fn always(value: T) -> History<T> {
        History(vec![Dated { from: Timestamp::MIN, until: None, value }])
    }

    /// What holds at `at`.
    pub fn at(&self, at: Timestamp) -> Option<&T> {
        self.dated_at(at).map(|dated| &dated.value)
    }

    /// What holds at `at`, with its time.
    pub fn dated_at(&self, at: Timestamp) -> Option<&Dated<T>> {
        let after = self.0.partition_point(|value| value.from <= at);
        self.0.get(after.checked_sub(1)?).filter(|value| value.holds(at))
    }

    /// All, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Dated<T>> {
        self.0.iter()
    }

    /// The newest, whether it still holds or not.
    pub fn latest(&self) -> Option<&T> {
        self.0.last().map(|dated| &dated.value)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn from(second: i64, until: Option<i64>, value: char) -> Dated<char> {
        Dated { from: at(second), until: until.map(at), value }
    }

    #[test]
    fn the_value_of_the_time_is_found() {
        let history =
            History::new(vec![from(20, Some(30), 'b'), from(10, None, 'a'), from(40, None, 'c')]).unwrap();
        for (second, expected) in
            [(9, None), (10, Some('a')), (19, Some('a')), (20, Some('b')), (30, None), (40, Some('c'))]
        {
            assert_eq!(history.at(at(second)).copied(), expected, "at {second}");
        }
    }

    #[test]
    fn overlaps_are_refused() {
        assert!(History::new(vec![from(10, Some(25), 'a'), from(20, None, 'b')]).is_err());
        assert!(History::new(vec![from(10, None, 'a'), from(10, None, 'b')]).is_err());
        assert!(History::new(vec![from(10, Some(20), 'a'), from(20, None, 'b')]).is_ok());
    }
}
