//! Who does something: the name given, else the user of the system.

use crate::cli::database::Failure;
use crate::domain::handling::{LONGEST_NAME, is_name};

/// The name that `option` gives, else that of the user of the system.
pub(super) fn who(given: Option<String>, option: &str) -> Result<String, Failure> {
    let named = given.map(|name| name.trim().to_owned()).or_else(system_user);
    let named = named.filter(|name| !name.is_empty()).ok_or_else(|| {
        Failure::input(format!(
            "nobody is named who does this; give {option} NAME (the user of the system has no name)"
        ))
    })?;
    if !is_name(&named) {
        return Err(Failure::input(format!(
            "{option} is a name of 1 to {LONGEST_NAME} characters on one line"
        )));
    }
    Ok(named)
}

fn system_user() -> Option<String> {
    let uid = rustix::process::getuid().as_raw().to_string();
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let of_uid = |line: &&str| line.split(':').nth(2) == Some(uid.as_str());
    users.lines().find(of_uid).and_then(|line| line.split(':').next()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_does_it() {
        assert_eq!(who(Some(" li ".to_owned()), "--by").ok().as_deref(), Some("li"));
        assert!(who(Some(String::new()), "--by").is_err());
        assert!(who(Some("a\nb".to_owned()), "--by").is_err());
    }
}
