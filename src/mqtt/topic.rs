//! Topic names, version 1: `cems/v1/{gateway}/{live|backfill|status|receipt|command}` and `cems/v1/central/status`.
//! The broker's access list lets a gateway write and read only below its own name; the centre checks it again.

pub use crate::domain::plant::is_gateway_name;

/// The first two levels of every topic.
pub const ROOT: &str = "cems/v1";
/// A gateway name that no gateway may have: the centre speaks under it.
pub const RESERVED: &str = "central";
/// Where the centre announces each of its starts (readable by all gateways).
pub const CENTRAL_STATUS: &str = "cems/v1/central/status";

/// What a topic below a gateway's name carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Records just made.
    Live,
    /// Records that were not receipted in time, newest first.
    Backfill,
    /// The gateway's state, retained, with a last will.
    Status,
    /// From the centre: what is committed.
    Receipt,
    /// From the centre: reserved.
    Command,
}

impl Lane {
    /// The last level of the topic.
    pub const fn name(self) -> &'static str {
        match self {
            Lane::Live => "live",
            Lane::Backfill => "backfill",
            Lane::Status => "status",
            Lane::Receipt => "receipt",
            Lane::Command => "command",
        }
    }

    fn from_name(name: &str) -> Option<Lane> {
        [Lane::Live, Lane::Backfill, Lane::Status, Lane::Receipt, Lane::Command]
            .into_iter()
            .find(|lane| lane.name() == name)
    }

    /// The topic of this lane for one gateway, or for all of them with `+`.
    pub fn of(self, gateway: &str) -> String {
        format!("{ROOT}/{gateway}/{}", self.name())
    }
}

/// Gateway and lane of a topic; `None` when it is none of ours.
pub fn parse(topic: &str) -> Option<(&str, Lane)> {
    let (gateway, lane) = topic.strip_prefix(ROOT)?.strip_prefix('/')?.split_once('/')?;
    Some((gateway, Lane::from_name(lane)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_parsed_back() {
        assert_eq!(parse(&Lane::Live.of("gw-1")), Some(("gw-1", Lane::Live)));
        assert_eq!(parse("cems/v1/gw-1/nothing"), None);
        assert_eq!(parse("cems/v2/gw-1/live"), None);
        assert_eq!(parse("cems/v1/a/b/live"), None);
    }

    #[test]
    fn names_are_bounded_and_one_is_reserved() {
        assert!(is_gateway_name("gw-jz-017"));
        assert!(!is_gateway_name("central"));
        assert!(!is_gateway_name(""));
        assert!(!is_gateway_name("GW"));
        assert!(!is_gateway_name("a/b"));
        assert!(!is_gateway_name(&"a".repeat(65)));
    }
}
