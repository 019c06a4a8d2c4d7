//! The words of an alert: at a glance what, where, how much, since when, whether it is a violation, whether the instrument is to be
//! trusted, who has it already, and what to do. Facts come in, text goes out; the languages say the same.

/// What is said, in the order of lines; the languages find the words.
mod fact;
mod zh;
mod en;
/// What numbers are, by the kind of alert.
mod figure;
/// Violation, assessment, order, warning.
mod nature;
/// What and where.
mod title;
/// Many alerts at once.
mod digest;
/// Figures, limits, shares and formulas.
mod number;
/// Times.
mod moment;
/// Names that may mean ill.
mod escape;
/// What a channel is given.
mod form;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod laws;

use fact::Fact;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use moment::Clock;

use crate::domain::alert::Alert;
use crate::domain::alerting::{Audience, Language};

pub use digest::digest;
pub use form::{Flavour, markdown, plain, short};

/// A message, before a channel gives it its form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub language: Language,
    /// One line: what and where.
    pub title: String,
    /// How much, since when, whether to trust it, who has it, what to do.
    pub lines: Vec<String>,
    /// The page of this alert, for whom the message is.
    pub link: Option<String>,
}

/// What a message says besides the alert: about whom it goes to, and who else has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    pub link: Option<String>,
    /// When the next step of the ladder tells more people.
    pub acknowledge_by: Option<Timestamp>,
    /// How far the other audiences are.
    pub others: Vec<(Audience, Reached)>,
}

/// How far an audience is with an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reached {
    /// Not told yet, or nobody is there to be told.
    NotTold,
    /// Told; nobody has opened it.
    Unread,
    /// Somebody has opened its page.
    Seen,
    Acknowledged {
        by: String,
    },
}

/// The words for an alert. Texts of others are made harmless in it; it is bounded whatever they are.
pub fn message(alert: &Alert, language: Language, context: &Context, zone: &TimeZone) -> Message {
    let clock = Clock { language, zone, today: zone.to_datetime(alert.at).date() };
    let lines = fact::lines(alert, context);
    Message {
        language,
        title: title::of(alert, language),
        lines: lines.iter().map(|facts| line_of(facts, &clock)).collect(),
        link: context.link.clone(),
    }
}

/// Facts in a line, as the language joins them.
fn line_of(facts: &[Fact], clock: &Clock<'_>) -> String {
    let mut text = String::new();
    let mut before: Option<&Fact> = None;
    for fact in facts {
        let said = match clock.language {
            Language::Zh => zh::say(fact, clock),
            Language::En => en::say(fact, clock),
        };
        text.push_str(before.map_or("", |before| between(before, fact, clock.language)));
        text.push_str(&said);
        before = Some(fact);
    }
    text
}

fn between(before: &Fact, after: &Fact, language: Language) -> &'static str {
    let is_time = matches!(before, Fact::Window(..) | Fact::At(..) | Fact::Formerly);
    let is_who = matches!(after, Fact::AcknowledgeBy(_));
    let is_apart = matches!(
        after,
        Fact::Marked(_)
            | Fact::Unmarked
            | Fact::Severity(_)
            | Fact::Advice(_)
            | Fact::Reason(_)
            | Fact::Subjects(..)
            | Fact::WarnedAt(_)
            | Fact::Contact(_)
            | Fact::Has(..)
            | Fact::LostAt(_)
    );
    match (language, is_time || (is_who && language == Language::Zh), is_apart || is_who) {
        (_, true, _) => " ",
        (Language::Zh, false, true) => ";",
        (Language::En, false, true) => "; ",
        (Language::Zh, false, false) => ",",
        (Language::En, false, false) => ", ",
    }
}
