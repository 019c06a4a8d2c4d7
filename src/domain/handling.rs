//! Who has an episode, and what somebody does about it. An audience's line is its own: the bureau's acknowledgement is not the
//! enterprise's.

use jiff::Timestamp;
use serde::Serialize;

use crate::domain::closing::{Action, Reason};

/// Characters of a comment.
pub const LONGEST_COMMENT: usize = 2000;
/// Characters of a name.
pub const LONGEST_NAME: usize = 80;

/// What somebody does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// Takes it: the ladder stops.
    Acknowledge,
    /// Gives it to somebody by name.
    Assign {
        to: String,
    },
    Comment {
        text: String,
    },
    /// Ends the handling, never without both codes. The episode's own state belongs to the figures.
    Close {
        reason: Reason,
        action: Action,
        text: Option<String>,
    },
    /// Has opened its page.
    Seen,
}

impl Deed {
    /// As its row is named.
    pub const fn what(&self) -> &'static str {
        match self {
            Deed::Acknowledge => "acknowledged",
            Deed::Assign { .. } => "assigned",
            Deed::Comment { .. } => "commented",
            Deed::Close { .. } => "closed",
            Deed::Seen => "seen",
        }
    }

    /// Checks the words in it.
    ///
    /// # Errors
    /// The field, and what is wrong with it.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let comment = |text: &str| {
            let fits =
                !text.trim().is_empty() && text.chars().count() <= LONGEST_COMMENT && !text.contains('\0');
            fits.then_some(()).ok_or_else(|| {
                (
                    "text",
                    format!(
                        "a comment has 1 to {LONGEST_COMMENT} characters; found {}",
                        text.chars().count()
                    ),
                )
            })
        };
        match self {
            Deed::Acknowledge | Deed::Seen => Ok(()),
            Deed::Assign { to } => is_name(to).then_some(()).ok_or_else(|| {
                ("to", format!("it is given to somebody by name, 1 to {LONGEST_NAME} characters on one line"))
            }),
            Deed::Comment { text } => comment(text),
            Deed::Close { reason, text: None, .. } if reason.needs_words() => {
                let name = reason.name();
                Err((
                    "text",
                    format!(
                        "the reason {name:?} says too little by itself; add a text that says what it was"
                    ),
                ))
            }
            Deed::Close { text: Some(text), .. } => comment(text),
            Deed::Close { text: None, .. } => Ok(()),
        }
    }
}

/// Whether a text can stand for who does something.
pub fn is_name(text: &str) -> bool {
    !text.trim().is_empty() && text.chars().count() <= LONGEST_NAME && !text.chars().any(char::is_control)
}

/// The way by which somebody does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    Api,
    Cli,
    Link,
    Centre,
}

impl Via {
    /// As written in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Via::Api => "api",
            Via::Cli => "cli",
            Via::Link => "link",
            Via::Centre => "centre",
        }
    }
}

/// Somebody at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Taken {
    pub by: String,
    pub at: Timestamp,
}

/// What came of a deed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// Somebody has done it already; nothing changed.
    Already(Taken),
    /// It is closed for this audience; nothing changed.
    Closed(Taken),
    /// This audience was never told of it, or there is no such episode.
    NotHandled,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_bounded_and_some_reasons_need_them() {
        let close = |reason, text: Option<&str>| {
            Deed::Close { reason, action: Action::NoneNeeded, text: text.map(str::to_owned) }.check()
        };
        assert_eq!(close(Reason::Bypass, None), Ok(()));
        assert_eq!(close(Reason::FalseAlarm, None).unwrap_err().0, "text");
        assert_eq!(close(Reason::FalseAlarm, Some("wrong range")), Ok(()));
        assert_eq!(close(Reason::Bypass, Some(" ")).unwrap_err().0, "text");
        let long = "x".repeat(LONGEST_COMMENT + 1);
        assert_eq!(Deed::Comment { text: long }.check().unwrap_err().0, "text");
        assert_eq!(Deed::Assign { to: "a\nb".to_owned() }.check().unwrap_err().0, "to");
        assert_eq!(Deed::Acknowledge.check(), Ok(()));
    }
}
