//! Whether the way to people can be trusted.
//!
//! ```toml
//! [heartbeat]
//! url = "http://watcher.example:8089/heartbeat"   # hears a POST each minute while the centre can do its work
//! every_s = 60
//! emergency_url = "https://ops.example/hook"      # hears directly that the database is away
//! patience_s = 30                                 # so long may database or broker be away
//! [self_test]
//! every_s = 86400
//! to = ["ops", "sms:13800000000"]                 # channels, with a recipient where they need one
//! ```

use std::time::Duration;

use crate::config::check::{any_text, seconds};
use crate::config::document::Section;
use crate::config::notify::web_address;

/// Signs of life for whoever watches from outside, and where an emergency is told that cannot be written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    pub url: Option<String>,
    pub every: Duration,
    /// Hears directly that the database is away.
    pub emergency_url: Option<String>,
    /// What is away for so long stops the heartbeat, and is an emergency.
    pub patience: Duration,
}

/// The periodic test of the way to people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SelfTest {
    /// `None`: none is made.
    pub every: Option<Duration>,
    /// `channel` or `channel:recipient`.
    pub to: Vec<String>,
}

/// Reads `[heartbeat]`.
pub(super) fn heartbeat(root: &mut Section<'_>) -> Option<Heartbeat> {
    let (every, patience) = (Duration::from_mins(1), Duration::from_secs(30));
    let Some(mut heartbeat) = root.optional_table("heartbeat") else {
        return Some(Heartbeat { url: None, every, emergency_url: None, patience });
    };
    let url = heartbeat.optional("url", web_address());
    let every = heartbeat.with_default("every_s", seconds(1..=3600), every);
    let emergency_url = heartbeat.optional("emergency_url", web_address());
    let patience = heartbeat.with_default("patience_s", seconds(1..=3600), patience);
    Some(Heartbeat { url: url?, patience: patience?, every: every?, emergency_url: emergency_url? })
}

/// Reads `[self_test]`.
pub(super) fn self_test(root: &mut Section<'_>) -> Option<SelfTest> {
    let Some(mut test) = root.optional_table("self_test") else { return Some(SelfTest::default()) };
    let every = test.with_default("every_s", seconds(60..=31_622_400), Duration::from_hours(24));
    let to = test.list("to", any_text());
    if to.as_ref().is_some_and(Vec::is_empty) {
        let allowed = "at least one channel, as \"ops\" or \"sms:13800000000\", or leave out [self_test]";
        test.problem("to", "nothing", allowed);
        return None;
    }
    Some(SelfTest { every: Some(every?), to: to? })
}
