//! Tokens of the API: how they look, what each may do, and whose data it reaches.

/// What every token begins with, so that scanners for leaked secrets know it.
pub const PREFIX: &str = "cems_";
/// Base-62 digits of 32 bytes.
const DIGITS: usize = 43;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// One thing that a token may do. No permission includes another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Permission {
    AlertsRead,
    AlertsWrite,
    SilencesRead,
    SilencesWrite,
    RulesRead,
    RosterRead,
    DataRead,
}

impl Permission {
    pub const ALL: [Permission; 7] = [
        Permission::AlertsRead,
        Permission::AlertsWrite,
        Permission::SilencesRead,
        Permission::SilencesWrite,
        Permission::RulesRead,
        Permission::RosterRead,
        Permission::DataRead,
    ];

    /// As written on the command line and in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Permission::AlertsRead => "alerts:read",
            Permission::AlertsWrite => "alerts:write",
            Permission::SilencesRead => "silences:read",
            Permission::SilencesWrite => "silences:write",
            Permission::RulesRead => "rules:read",
            Permission::RosterRead => "roster:read",
            Permission::DataRead => "data:read",
        }
    }

    /// The reverse of [`Permission::name`].
    pub fn from_name(name: &str) -> Option<Permission> {
        Permission::ALL.into_iter().find(|permission| permission.name() == name)
    }

    /// Whether it changes something.
    pub const fn writes(self) -> bool {
        matches!(self, Permission::AlertsWrite | Permission::SilencesWrite)
    }
}

/// Whose data a caller reaches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// Unified social credit code: only this enterprise. `None`: all.
    pub enterprise: Option<String>,
    /// Prefix of the administrative divisions; empty: all.
    pub division: String,
}

impl Reach {
    /// Whether what belongs to an enterprise is within it; empty texts: to nobody.
    pub fn covers(&self, enterprise: &str, division: &str) -> bool {
        self.enterprise.as_deref().is_none_or(|own| own == enterprise) && division.starts_with(&self.division)
    }

    /// Everything.
    pub fn is_whole(&self) -> bool {
        self.enterprise.is_none() && self.division.is_empty()
    }
}

/// The token made of 32 random bytes.
pub fn written(mut bytes: [u8; 32]) -> String {
    let mut digits = Vec::with_capacity(DIGITS);
    for _digit in 0..DIGITS {
        let mut remainder = 0_u16;
        for byte in &mut bytes {
            let value = remainder * 256 + u16::from(*byte);
            *byte = u8::try_from(value / 62).unwrap_or(u8::MAX);
            remainder = value % 62;
        }
        digits.push(ALPHABET.get(usize::from(remainder)).copied().unwrap_or(b'0'));
    }
    digits.reverse();
    PREFIX.chars().chain(digits.into_iter().map(char::from)).collect()
}

/// Whether a text could be a token: what could not is refused without asking anybody.
pub fn is_token(text: &str) -> bool {
    text.strip_prefix(PREFIX)
        .is_some_and(|rest| rest.len() == DIGITS && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_token_has_one_form() {
        assert_eq!(written([0; 32]), format!("cems_{}", "0".repeat(43)));
        let most = written([255; 32]);
        assert!(is_token(&most), "{most}");
        for wrong in ["", "cems_", "cems_x", &most[1..], &format!("{most}0"), &most.replace("cems", "mesc")] {
            assert!(!is_token(wrong), "{wrong}");
        }
    }

    #[test]
    fn reach_is_by_enterprise_and_division() {
        let reach = Reach { enterprise: Some("A".to_owned()), division: "4108".to_owned() };
        assert!(reach.covers("A", "410800") && !reach.covers("B", "410800") && !reach.covers("A", "410100"));
        assert!(!reach.covers("", "") && !reach.is_whole());
        assert!(Reach::default().covers("", "") && Reach::default().is_whole());
    }

    proptest! {
        #[test]
        fn different_bytes_are_different_tokens(one: [u8; 32], other: [u8; 32]) {
            prop_assert!(is_token(&written(one)));
            prop_assert_eq!(one == other, written(one) == written(other));
        }
    }
}
