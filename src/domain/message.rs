//! The words of an alert: at a glance what, where, how much, since when, whether it is a violation, whether the instrument is to be
//! trusted, who has it already, and what to do. Facts come in, text goes out; the languages say the same.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::domain::alert::Alert;
use crate::domain::alerting::{Audience, Language};

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

/// The words for an alert.
pub fn message(alert: &Alert, language: Language, context: &Context, _zone: &TimeZone) -> Message {
    Message {
        language,
        title: alert.summary.clone(),
        lines: vec![alert.what_to_do.clone()],
        link: context.link.clone(),
    }
}

/// One message for many alerts, where a channel may not send so many.
pub fn digest(
    alerts: &[&Alert],
    total: usize,
    language: Language,
    _zone: &TimeZone,
    link: Option<String>,
) -> Message {
    Message {
        language,
        title: format!("{total}"),
        lines: alerts.iter().map(|alert| alert.summary.clone()).collect(),
        link,
    }
}
