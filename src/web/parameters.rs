//! Query parameters, strictly: an unknown one is an error, since a misspelt `form=` would else answer another question.

use std::collections::BTreeMap;

use axum::extract::Query;
use axum::http::Uri;
use jiff::{SignedDuration, Timestamp};

use super::error::Refused;

/// The parameters of one request.
#[derive(Debug)]
pub(super) struct Parameters(BTreeMap<String, String>);

/// A span of time that is asked for: `[from, to)`.
pub(super) type Span = (Timestamp, Timestamp);

impl Parameters {
    /// Reads the query of `uri`. Only `known` names are allowed, each once.
    pub(super) fn read(uri: &Uri, known: &[&str]) -> Result<Parameters, Refused> {
        let pairs = Query::<Vec<(String, String)>>::try_from_uri(uri).map_err(|_unreadable| {
            Refused::parameter("query", "a query is written name=value&name=value, %-encoded")
        })?;
        let mut found = BTreeMap::new();
        for (name, value) in pairs.0 {
            if !known.contains(&name.as_str()) {
                let allowed = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                let text = format!("there is no parameter {}; known here: {allowed}", shown(&name));
                return Err(Refused::Parameter { field: name.chars().take(40).collect(), text });
            }
            if found.insert(name.clone(), value).is_some() {
                return Err(Refused::parameter(&name, format!("{name} is given twice; give it once")));
            }
        }
        Ok(Parameters(found))
    }

    /// The text of a parameter.
    pub(super) fn text(&self, field: &str) -> Option<&str> {
        self.0.get(field).map(String::as_str)
    }

    /// A time.
    pub(super) fn time(&self, field: &str) -> Result<Option<Timestamp>, Refused> {
        let Some(text) = self.text(field) else { return Ok(None) };
        // A plus sign that was not encoded arrives as a space.
        let plus = text.rsplit_once(' ').map(|(before, after)| format!("{before}+{after}"));
        let time: Option<Timestamp> = text.parse().ok().or_else(|| plus.and_then(|text| text.parse().ok()));
        let first = Timestamp::UNIX_EPOCH;
        // 2200-01-01
        let last = Timestamp::constant(7_258_118_400, 0);
        match time {
            Some(time) if first <= time && time < last => Ok(Some(time)),
            Some(_) | None => Err(Refused::parameter(
                field,
                format!(
                    "{field} is an RFC 3339 time between 1970 and 2200, as 2026-11-21T04:00:00Z; found {}",
                    shown(text)
                ),
            )),
        }
    }

    /// `from` and `to`: both or neither; `default` before now when there is neither; at most `longest`.
    pub(super) fn span(
        &self,
        now: Timestamp,
        default: SignedDuration,
        longest: SignedDuration,
    ) -> Result<Span, Refused> {
        let (from, to) = match (self.time("from")?, self.time("to")?) {
            (Some(from), Some(to)) => (from, to),
            (None, None) => {
                // Whole seconds, and the one that has just begun included.
                let to = Timestamp::from_second(now.as_second() + 1).unwrap_or(now);
                (to.checked_sub(default).unwrap_or(to), to)
            }
            (Some(_), None) => return Err(Refused::parameter("to", "from needs to: give both or neither")),
            (None, Some(_)) => return Err(Refused::parameter("from", "to needs from: give both or neither")),
        };
        if from >= to {
            let text = format!("from comes before to; found from {from} and to {to}");
            return Err(Refused::parameter("from", text));
        }
        if to.duration_since(from) > longest {
            let hours = longest.as_hours();
            let text = format!(
                "one request covers at most {hours} h here; found {} h from {from} to {to}; ask for parts",
                to.duration_since(from).as_hours()
            );
            return Err(Refused::parameter("to", text));
        }
        Ok((from, to))
    }

    /// `limit`, 1 to `most`.
    pub(super) fn limit(&self, default: u16, most: u16) -> Result<u16, Refused> {
        let Some(text) = self.text("limit") else { return Ok(default) };
        let number = text.parse::<u16>().ok().filter(|number| (1..=most).contains(number));
        number.ok_or_else(|| {
            let text = format!("limit is a whole number from 1 to {most}; found {}", shown(text));
            Refused::parameter("limit", text)
        })
    }

    /// One of a list of words.
    pub(super) fn word<T: Copy>(
        &self,
        field: &str,
        words: &[(&'static str, T)],
    ) -> Result<Option<T>, Refused> {
        let Some(text) = self.text(field) else { return Ok(None) };
        let known = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        known.map(Some).ok_or_else(|| {
            let allowed: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let text = format!("{field} is one of {}; found {}", allowed.join(", "), shown(text));
            Refused::parameter(field, text)
        })
    }
}

/// What the caller wrote, shortened.
pub(super) fn shown(text: &str) -> String {
    format!("{:?}", text.chars().take(60).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: SignedDuration = SignedDuration::from_hours(1);
    const DAY: SignedDuration = SignedDuration::from_hours(24);

    fn read(query: &str) -> Result<Parameters, Refused> {
        let uri: Uri = format!("/x?{query}").parse().unwrap();
        Parameters::read(&uri, &["from", "to", "limit", "kind"])
    }

    fn span(query: &str) -> Result<(String, String), String> {
        let now = "2026-11-21T04:00:06.5Z".parse().unwrap();
        let span = read(query).and_then(|parameters| parameters.span(now, HOUR, DAY));
        span.map(|(from, to)| (from.to_string(), to.to_string())).map_err(|refused| field(&refused))
    }

    fn field(refused: &Refused) -> String {
        let Refused::Parameter { field, .. } = refused else { panic!("{refused:?}") };
        field.clone()
    }

    #[test]
    fn times_are_given_both_or_neither_and_in_order() {
        let day = ("2026-11-20T16:00:00Z".to_owned(), "2026-11-21T16:00:00Z".to_owned());
        assert_eq!(span("from=2026-11-20T16:00:00Z&to=2026-11-21T16:00:00Z"), Ok(day.clone()));
        assert_eq!(span("from=2026-11-21T00:00:00%2B08:00&to=2026-11-22T00:00:00%2B08:00"), Ok(day.clone()));
        assert_eq!(span("from=2026-11-21T00:00:00+08:00&to=2026-11-22T00:00:00+08:00"), Ok(day));
        assert_eq!(span(""), Ok(("2026-11-21T03:00:07Z".to_owned(), "2026-11-21T04:00:07Z".to_owned())));
        for (query, wrong) in [
            ("from=2026-11-20T16:00:00Z", "to"),
            ("to=2026-11-20T16:00:00Z", "from"),
            ("from=2026-11-20T16:00:00Z&to=2026-11-20T16:00:00Z", "from"),
            ("from=2026-11-20T16:00:00Z&to=2026-11-21T16:00:01Z", "to"),
            ("from=yesterday&to=2026-11-21T16:00:00Z", "from"),
            ("from=-009999-01-02T01:59:59Z&to=2026-11-21T16:00:00Z", "from"),
            ("form=2026-11-20T16:00:00Z", "form"),
            ("from=2026-11-20T16:00:00Z&from=2026-11-20T16:00:00Z", "from"),
        ] {
            assert_eq!(span(query), Err(wrong.to_owned()), "{query}");
        }
    }

    #[test]
    fn limits_and_words_are_checked() {
        assert_eq!(read("").unwrap().limit(1000, 10_000), Ok(1000));
        assert_eq!(read("limit=10000").unwrap().limit(1000, 10_000), Ok(10_000));
        for wrong in ["0", "10001", "-1", "1e3", "", "99999999"] {
            let refused = read(&format!("limit={wrong}")).unwrap().limit(1000, 10_000).unwrap_err();
            assert_eq!(field(&refused), "limit", "{wrong}");
        }
        let words = [("exceedance", 1), ("silent-outlet", 2)];
        assert_eq!(read("kind=silent-outlet").unwrap().word("kind", &words), Ok(Some(2)));
        assert_eq!(read("").unwrap().word("kind", &words), Ok(None));
        let refused = read("kind=x").unwrap().word("kind", &words).unwrap_err();
        assert_eq!(
            refused,
            Refused::parameter("kind", "kind is one of exceedance, silent-outlet; found \"x\"")
        );
    }
}
