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
        // There are many, and nearly all have one value.
        values.shrink_to_fit();
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

/// How a known history goes on when a newer account of it is laid beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Continuation<T> {
    /// Values that were not known, oldest first.
    pub added: Vec<Dated<T>>,
    /// Known values that were open and now end: their start and their end.
    pub ended: Vec<(Timestamp, Timestamp)>,
    /// Known values that stay as they are.
    pub unchanged: usize,
}

/// Two accounts of the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    #[error(
        "the entry from {from} is known with other values; what figures were made with stays: give the new values a \
         later `from`"
    )]
    OtherValue { from: Timestamp },
    #[error(
        "the entry from {from} is known to end otherwise; ends that were given stay: add an entry with a later `from`"
    )]
    OtherEnd { from: Timestamp },
    #[error(
        "the entry from {from} claims time that the known entry from {known} has; move its `from` or `until`"
    )]
    Overlap { from: Timestamp, known: Timestamp },
}

impl Contradiction {
    /// Start of the newer entry that contradicts.
    pub const fn from(&self) -> Timestamp {
        match self {
            Contradiction::OtherValue { from }
            | Contradiction::OtherEnd { from }
            | Contradiction::Overlap { from, .. } => *from,
        }
    }
}

impl<T: Clone + PartialEq> History<T> {
    /// What `newer` adds to this history. Nothing known is changed but one thing: an open value may end, by an end given
    /// in `newer` or by a value of `newer` that begins later. Values that `newer` does not mention stay.
    ///
    /// # Errors
    /// Every entry of `newer` that says something else about a time that is known.
    pub fn continued_by(&self, newer: &History<T>) -> Result<Continuation<T>, Vec<Contradiction>> {
        let mut result = Continuation { added: Vec::new(), ended: Vec::new(), unchanged: self.0.len() };
        let mut contradictions = Vec::new();
        for entry in newer.iter() {
            let outcome = match self.0.iter().find(|known| known.from == entry.from) {
                Some(known) => self.restated(known, entry, &mut result),
                None => self.appended(entry, &mut result),
            };
            contradictions.extend(outcome.err());
        }
        result.ended.sort_unstable();
        result.ended.dedup();
        result.unchanged -= result.ended.len();
        if contradictions.is_empty() { Ok(result) } else { Err(contradictions) }
    }

    fn restated(
        &self,
        known: &Dated<T>,
        entry: &Dated<T>,
        result: &mut Continuation<T>,
    ) -> Result<(), Contradiction> {
        let from = entry.from;
        if known.value != entry.value {
            return Err(Contradiction::OtherValue { from });
        }
        match (known.until, entry.until) {
            (known, newer) if known == newer => Ok(()),
            (None, Some(until)) => {
                result.ended.push((from, until));
                Ok(())
            }
            // An account from before the next value was known: its "until further notice" is still true.
            (Some(until), None) if self.0.iter().any(|next| next.from == until) => Ok(()),
            (Some(_), Some(_) | None) | (None, None) => Err(Contradiction::OtherEnd { from }),
        }
    }

    fn appended(&self, entry: &Dated<T>, result: &mut Continuation<T>) -> Result<(), Contradiction> {
        for known in &self.0 {
            let begins_before_its_end = known.until.is_none_or(|until| entry.from < until);
            let ends_after_its_start = entry.until.is_none_or(|until| known.from < until);
            if !(begins_before_its_end && ends_after_its_start) {
                continue;
            }
            if known.until.is_some() || known.from > entry.from {
                return Err(Contradiction::Overlap { from: entry.from, known: known.from });
            }
            let already_ends =
                result.ended.iter().any(|(from, until)| *from == known.from && *until <= entry.from);
            if !already_ends {
                result.ended.push((known.from, entry.from));
            }
        }
        result.added.push(entry.clone());
        Ok(())
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

    fn history(values: Vec<Dated<char>>) -> History<char> {
        History::new(values).unwrap()
    }

    #[test]
    fn edges_of_a_history() {
        let none: History<char> = History::default();
        assert!(none.is_empty() && none.at(at(0)).is_none() && none.latest().is_none());
        let always = History::always('a');
        assert_eq!(always.at(Timestamp::MIN), Some(&'a'));
        assert_eq!(always.at(Timestamp::MAX), Some(&'a'));
        let gap = history(vec![from(10, Some(20), 'a'), from(30, Some(40), 'b')]);
        for (second, expected) in [(19, Some('a')), (20, None), (29, None), (30, Some('b')), (40, None)] {
            assert_eq!(gap.at(at(second)).copied(), expected, "at {second}");
        }
        assert_eq!(gap.latest(), Some(&'b'));
    }

    #[test]
    fn a_history_goes_on_without_changing_what_is_known() {
        let known = history(vec![from(10, None, 'a'), from(20, None, 'b')]);
        let continued = |newer: Vec<Dated<char>>| known.continued_by(&history(newer));

        let same = continued(vec![from(10, None, 'a'), from(20, None, 'b')]).unwrap();
        assert_eq!((same.added.len(), same.ended.len(), same.unchanged), (0, 0, 2));
        // An older account and a silent one add nothing and take nothing away.
        for older in [vec![from(10, None, 'a')], vec![], vec![from(20, None, 'b')]] {
            let old = continued(older).unwrap();
            assert_eq!((old.added.len(), old.ended.len(), old.unchanged), (0, 0, 2));
        }
        // Whether the newer account repeats the known values or not, the open one ends where the new one begins.
        for newer in [
            vec![from(30, None, 'c')],
            vec![from(20, None, 'b'), from(30, None, 'c')],
            vec![from(10, None, 'a'), from(20, None, 'b'), from(30, None, 'c')],
        ] {
            let more = continued(newer).unwrap();
            assert_eq!(more.added, [from(30, None, 'c')]);
            assert_eq!(more.ended, [(at(20), at(30))]);
            assert_eq!(more.unchanged, 1);
        }
        // An end before the next value leaves a gap.
        let gap = continued(vec![from(20, Some(25), 'b'), from(30, None, 'c')]).unwrap();
        assert_eq!((gap.added, gap.ended), (vec![from(30, None, 'c')], vec![(at(20), at(25))]));
        // What was before everything known may be told later.
        let before = continued(vec![from(1, Some(10), 'z')]).unwrap();
        assert_eq!((before.added.len(), before.ended.len(), before.unchanged), (1, 0, 2));
    }

    #[test]
    fn contradictions_are_refused_all_at_once() {
        let known = history(vec![from(10, Some(20), 'a'), from(20, None, 'b')]);
        let refused = |newer: Vec<Dated<char>>| known.continued_by(&history(newer)).unwrap_err();
        assert_eq!(refused(vec![from(10, Some(20), 'x')]), [Contradiction::OtherValue { from: at(10) }]);
        assert_eq!(refused(vec![from(10, Some(19), 'a')]), [Contradiction::OtherEnd { from: at(10) }]);
        assert_eq!(
            refused(vec![from(15, Some(16), 'x')]),
            [Contradiction::Overlap { from: at(15), known: at(10) }]
        );
        assert_eq!(
            refused(vec![from(5, None, 'x')]),
            [Contradiction::Overlap { from: at(5), known: at(10) }]
        );
        assert_eq!(refused(vec![from(10, Some(20), 'x'), from(20, None, 'y')]).len(), 2);
        let ended = history(vec![from(10, Some(20), 'a')]);
        let reopened = ended.continued_by(&history(vec![from(10, None, 'a')])).unwrap_err();
        assert_eq!(reopened, [Contradiction::OtherEnd { from: at(10) }]);
    }
}
