//! Where the servers' programs are. Debian keeps those of PostgreSQL off PATH, and mosquitto where an ordinary user's PATH
//! does not look.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::embedded::error::{Doing as _, ServerError};

const SYSTEM: [&str; 5] = ["/usr/sbin", "/usr/local/sbin", "/sbin", "/usr/bin", "/usr/local/bin"];
const SYSTEM_SEARCHED: &str = "/usr/sbin, /usr/local/sbin, /sbin, /usr/bin, /usr/local/bin";
const POSTGRESQL: &str = "/usr/lib/postgresql";
/// What has to be installed, for messages.
const PACKAGES: &str = "postgresql mosquitto";

/// `postgres` and `initdb` of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresPrograms {
    /// Major version.
    pub version: u32,
    pub folder: PathBuf,
}

impl PostgresPrograms {
    pub fn postgres(&self) -> PathBuf {
        self.folder.join("postgres")
    }

    pub fn initdb(&self) -> PathBuf {
        self.folder.join("initdb")
    }
}

/// The newest PostgreSQL, or the one of version `made_by` that can open the data in `folder`.
///
/// # Errors
/// When there is none, or none of that version.
pub fn postgres(made_by: Option<u32>, folder: &Path) -> Result<PostgresPrograms, ServerError> {
    let mut found = Vec::new();
    for folder in on_path().into_iter().chain(versions(Path::new(POSTGRESQL))) {
        if folder.join("postgres").is_file() && folder.join("initdb").is_file() {
            let version = version_of(&folder.join("postgres"))?;
            found.extend(version.map(|version| PostgresPrograms { version, folder }));
        }
    }
    found.sort_by_key(|programs| programs.version);
    let Some(newest) = found.last() else {
        let searched = "/usr/lib/postgresql/*/bin";
        return Err(ServerError::Missing { program: "postgres", searched, packages: PACKAGES });
    };
    let Some(made_by) = made_by else { return Ok(newest.clone()) };
    found.iter().find(|programs| programs.version == made_by).cloned().ok_or_else(|| {
        ServerError::OtherVersion {
            folder: folder.to_owned(),
            made_by,
            found: found.iter().map(|programs| programs.version.to_string()).collect::<Vec<_>>().join(", "),
        }
    })
}

/// The MQTT broker.
pub fn mosquitto() -> Result<PathBuf, ServerError> {
    system("mosquitto", PACKAGES)
}

/// Turns a file of passwords into one of hashes.
pub fn mosquitto_passwd() -> Result<PathBuf, ServerError> {
    system("mosquitto_passwd", PACKAGES)
}

/// Changes user and sets the parent-death signal.
pub fn setpriv() -> Result<PathBuf, ServerError> {
    system("setpriv", "util-linux")
}

fn system(program: &'static str, packages: &'static str) -> Result<PathBuf, ServerError> {
    let folders = on_path().into_iter().chain(SYSTEM.map(PathBuf::from));
    let found = folders.map(|folder| folder.join(program)).find(|path| path.is_file());
    found.ok_or(ServerError::Missing { program, searched: SYSTEM_SEARCHED, packages })
}

fn on_path() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // A relative entry would mean another folder to each caller.
    std::env::split_paths(&path).filter(|folder| folder.is_absolute()).collect()
}

/// `ROOT/*/bin`; an unreadable root has none.
fn versions(root: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(root) else { return Vec::new() };
    entries.flatten().map(|entry| entry.path().join("bin")).collect()
}

/// The major version that `postgres --version` tells.
fn version_of(program: &Path) -> Result<Option<u32>, ServerError> {
    let output = Command::new(program).arg("--version").output();
    let output = output.doing(|| format!("run {} --version", program.display()))?;
    Ok(parse_version(&String::from_utf8_lossy(&output.stdout)))
}

fn parse_version(text: &str) -> Option<u32> {
    let number =
        text.split_whitespace().find(|word| word.starts_with(|letter: char| letter.is_ascii_digit()))?;
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_the_server_says() {
        assert_eq!(parse_version("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)"), Some(15));
        assert_eq!(parse_version("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(parse_version("no number"), None);
    }

    #[test]
    fn data_of_another_version_is_refused_with_the_package_to_install() {
        let refusal = postgres(Some(7), Path::new("/data")).unwrap_err().to_string();
        assert!(refusal.contains("install postgresql-7"), "{refusal}");
    }

    #[test]
    fn what_is_missing_is_named_with_its_package() {
        let refusal = system("no-such-program", PACKAGES).unwrap_err().to_string();
        assert!(refusal.contains("apt-get install postgresql mosquitto"), "{refusal}");
    }
}
