//! How alerts leave the centre: which hosts it may speak to, and where the secrets of channels are.
//!
//! ```toml
//! [alerting]
//! allowed_hosts = ["oapi.dingtalk.com", "*.example.cn"]   # empty: any host
//! allow_private = false               # loopback, private and link-local addresses, and the like
//! secrets_dir = "/etc/cems/secrets"   # one file a secret; or the environment: CEMS_SECRET_NAME
//! ca = "/etc/cems/ca.pem"             # authorities for TLS besides the system's
//! fail_over_s = 60                    # what has not got through after this goes to the person's next address
//! channel_down_s = 120                # a channel that has failed for so long is told of
//! ```

use std::path::PathBuf;
use std::time::Duration;

use crate::config::check::{Check, any_text, boolean, seconds, text};
use crate::config::document::Section;

/// How alerts leave the centre.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alerting {
    /// Hosts that channels may reach; empty: any.
    pub allowed_hosts: Vec<HostPattern>,
    /// Addresses that are not of the public internet may be reached as well.
    pub allow_private: bool,
    pub secrets_dir: Option<PathBuf>,
    /// Authorities that may vouch for an endpoint, besides the system's.
    pub ca: Option<PathBuf>,
    /// A channel that has failed for so long is told of.
    pub channel_down: Duration,
    /// What has not got through by one address after this goes to the person's next one.
    pub fail_over: Duration,
}

impl Default for Alerting {
    fn default() -> Alerting {
        Alerting {
            allowed_hosts: Vec::new(),
            allow_private: false,
            secrets_dir: None,
            ca: None,
            channel_down: Duration::from_mins(2),
            fail_over: Duration::from_mins(1),
        }
    }
}

/// A host, or `*.` and what it must end with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPattern(String);

impl HostPattern {
    /// Reads it as written; `None` where it is no host.
    pub fn parse(text: &str) -> Option<HostPattern> {
        let host = text.strip_prefix("*.").unwrap_or(text);
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
        let valid = (1..=253).contains(&host.len()) && host.bytes().all(known) && !host.starts_with('.');
        // A colon is for IPv6 only: a port would never match.
        let valid = valid && (!host.contains(':') || host.parse::<std::net::Ipv6Addr>().is_ok());
        valid.then(|| HostPattern(text.to_ascii_lowercase()))
    }

    /// Whether a host, as an address has it, is meant.
    pub fn matches(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').trim_matches(['[', ']']).to_ascii_lowercase();
        match self.0.strip_prefix('*') {
            // With the dot, so that `*.example.cn` is not `badexample.cn`.
            Some(suffix) => host.len() > suffix.len() && host.ends_with(suffix),
            None => host == self.0,
        }
    }
}

/// Reads `[alerting]`.
pub(in crate::config) fn read(root: &mut Section<'_>) -> Option<Alerting> {
    let Some(mut alerting) = root.optional_table("alerting") else { return Some(Alerting::default()) };
    let allowed_hosts = alerting.list("allowed_hosts", host_pattern());
    let allow_private = alerting.with_default("allow_private", boolean(), false);
    let secrets_dir = alerting.optional("secrets_dir", any_text().map(PathBuf::from));
    let ca = alerting.optional("ca", any_text().map(PathBuf::from));
    let default = Alerting::default();
    let channel_down = alerting.with_default("channel_down_s", seconds(1..=86_400), default.channel_down);
    // Whoever is called is reached within two minutes.
    let fail_over = alerting.with_default("fail_over_s", seconds(1..=100), default.fail_over);
    Some(Alerting {
        allowed_hosts: allowed_hosts?,
        allow_private: allow_private?,
        secrets_dir: secrets_dir?,
        ca: ca?,
        channel_down: channel_down?,
        fail_over: fail_over?,
    })
}

fn host_pattern<'c>() -> Check<'c, HostPattern> {
    text(
        "a host without scheme and port, as \"oapi.dingtalk.com\", or \"*.\" and what it ends with, as \"*.example.cn\"",
        HostPattern::parse,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_whole_host_or_what_is_below_one() {
        let matches = |pattern: &str, host: &str| HostPattern::parse(pattern).unwrap().matches(host);
        assert!(matches("a.example.cn", "A.Example.CN") && matches("a.example.cn", "a.example.cn."));
        assert!(matches("*.example.cn", "a.example.cn") && matches("*.example.cn", "b.a.example.cn"));
        assert!(!matches("*.example.cn", "example.cn") && !matches("*.example.cn", "badexample.cn"));
        assert!(!matches("example.cn", "a.example.cn") && !matches("example.cn", "example.cn.evil.org"));
        assert!(matches("10.0.0.7", "10.0.0.7") && matches("fd00::7", "[fd00::7]"));
        for bad in ["", "https://a.cn", "a.cn:443", "*.", "*", "a b", "*.*.cn", ".cn"] {
            assert_eq!(HostPattern::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_table_is_read_and_its_mistakes_are_told() {
        let start =
            "schema = \"central/1\"\n[central]\n[database]\nurl = \"embedded\"\n[mqtt]\nurl = \"embedded\"\n";
        let parse = |more: &str| crate::config::central::parse("central.toml", &format!("{start}{more}"));
        assert_eq!(parse("").ok().unwrap().alerting, Alerting::default());
        let given = "[alerting]\nallowed_hosts = [\"*.example.cn\"]\nallow_private = true\nsecrets_dir = \"/s\"\nca = \"/c.pem\"\n";
        let alerting = parse(given).ok().unwrap().alerting;
        assert!(alerting.allow_private && alerting.allowed_hosts[0].matches("x.example.cn"));
        assert_eq!((alerting.secrets_dir, alerting.ca), (Some("/s".into()), Some("/c.pem".into())));
        let problems =
            parse("[alerting]\nallowed_hosts = [\"https://x\"]\nallow_private = 5\nsecret_dir = \"\"\n");
        let problems = problems.err().unwrap();
        let keys: Vec<&str> = problems.0.iter().map(|problem| problem.key.as_str()).collect();
        assert_eq!(keys, ["alerting.allowed_hosts[0]", "alerting.allow_private", "alerting.secret_dir"]);
    }
}
