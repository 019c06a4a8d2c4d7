//! Secrets of channels: settings name them, the centre's environment or a folder of files holds them. They are read when they are
//! used, so that a new one needs no restart, and they appear in no log, error or table.

use std::path::PathBuf;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;

use crate::central::notify::{Answer, later};
use crate::config::template::is_secret_name;

/// No secret is longer.
const LONGEST_SECRET: usize = 4096;
/// No disk may keep us longer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where secrets are.
#[derive(Debug, Clone)]
pub struct Secrets {
    pub folder: Option<PathBuf>,
    /// Looks a variable up.
    pub environment: fn(&str) -> Option<String>,
}

impl Secrets {
    /// The process's environment, then this folder.
    pub fn of(folder: Option<PathBuf>) -> Secrets {
        Secrets { folder, environment: |name| std::env::var(name).ok() }
    }

    async fn find(&self, name: &str) -> Result<String, String> {
        let variable = variable(name);
        // A name makes a path: whatever a table says, it leads nowhere else.
        if !is_secret_name(name) {
            return Err(format!("{name:?} names no secret; use small letters, digits and \"-\""));
        }
        if let Some(value) = (self.environment)(&variable) {
            return usable(value.as_bytes()).ok_or_else(|| format!("{variable} holds no usable secret"));
        }
        let Some(folder) = &self.folder else {
            return Err(format!(
                "there is no secret {name:?}; set {variable}, or name a folder as [alerting] secrets_dir and put it there"
            ));
        };
        let path = folder.join(name);
        let shown = path.display().to_string();
        match tokio::time::timeout(PATIENCE, read(path)).await {
            Ok(Ok(bytes)) => usable(&bytes).ok_or_else(|| {
                format!("{shown} holds no usable secret: one line of 1 to {LONGEST_SECRET} bytes is wanted")
            }),
            Ok(Err(error)) => {
                Err(format!("there is no secret {name:?}; set {variable}, or put it into {shown} ({error})"))
            }
            Err(_late) => Err(format!("{shown} cannot be read: the disk does not answer")),
        }
    }
}

/// `dingtalk-ops` is `CEMS_SECRET_DINGTALK_OPS`.
fn variable(name: &str) -> String {
    format!("CEMS_SECRET_{}", name.to_uppercase().replace('-', "_"))
}

async fn read(path: PathBuf) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = u64::try_from(LONGEST_SECRET).unwrap_or(u64::MAX).saturating_add(3);
    tokio::fs::File::open(path).await?.take(most).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

/// Without the line's end that editors write.
fn usable(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?.trim_end_matches(['\r', '\n']);
    ((1..=LONGEST_SECRET).contains(&text.len()) && !text.contains(char::is_control)).then(|| text.to_owned())
}

/// The secrets that one message has needed so far, so that none of them is repeated in what is said about it.
pub struct Keyring<'s> {
    secrets: &'s Secrets,
    used: Vec<String>,
}

impl<'s> Keyring<'s> {
    /// With nothing on it.
    pub fn of(secrets: &'s Secrets) -> Keyring<'s> {
        Keyring { secrets, used: Vec::new() }
    }

    /// The value of a secret.
    ///
    /// # Errors
    /// [`Answer::Later`] that says where it is looked for.
    pub async fn get(&mut self, name: &str) -> Result<String, Answer> {
        let value = self.secrets.find(name).await.map_err(later)?;
        self.used.push(value.clone());
        Ok(value)
    }

    /// A reason as it may be logged and stored: an endpoint may repeat what it was sent. Short, in one line.
    pub fn scrubbed(&self, mut answer: Answer) -> Answer {
        if let Answer::Later { reason, .. } | Answer::Refused { reason, .. } = &mut answer {
            for secret in self.used.iter().filter(|secret| secret.len() >= 4) {
                let encoded: String = reqwest::Url::parse_with_params("http://x/", [("k", secret)])
                    .ok()
                    .and_then(|url| url.query().map(|query| query.trim_start_matches("k=").to_owned()))
                    .unwrap_or_default();
                *reason = reason.replace(secret, "(secret)");
                if !encoded.is_empty() {
                    *reason = reason.replace(&encoded, "(secret)");
                }
            }
            let visible = reason.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
            *reason = visible.take(400).collect();
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(folder: Option<PathBuf>) -> Secrets {
        Secrets {
            folder,
            environment: |name| (name == "CEMS_SECRET_DUTY_DESK").then(|| "from-there".to_owned()),
        }
    }

    fn reason<T: std::fmt::Debug>(found: Result<T, String>) -> String {
        found.unwrap_err()
    }

    #[tokio::test]
    async fn the_environment_comes_before_the_folder_and_a_missing_one_is_told_with_both_places() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("duty-desk"), "from-here\n").unwrap();
        std::fs::write(folder.path().join("bot"), "SEC123\r\n").unwrap();
        std::fs::write(folder.path().join("empty"), "\n").unwrap();
        std::fs::write(folder.path().join("long"), "x".repeat(5000)).unwrap();
        let with = secrets(Some(folder.path().to_owned()));
        assert_eq!(with.find("duty-desk").await.unwrap(), "from-there");
        assert_eq!(with.find("bot").await.unwrap(), "SEC123");
        for name in ["empty", "long"] {
            assert!(reason(with.find(name).await).contains("no usable secret"), "{name}");
        }
        let missing = reason(with.find("sms-key").await);
        assert!(missing.contains("CEMS_SECRET_SMS_KEY") && missing.contains("sms-key"), "{missing}");
        let missing = reason(secrets(None).find("bot").await);
        assert!(missing.contains("CEMS_SECRET_BOT") && missing.contains("secrets_dir"), "{missing}");
        assert!(reason(with.find("../bot").await).contains("names no secret"));
    }

    #[tokio::test]
    async fn what_is_said_about_a_message_repeats_no_secret() {
        let secrets = secrets(None);
        let mut ring = Keyring::of(&secrets);
        ring.used.push("to/k+en=1".to_owned());
        let said = "bad token to/k+en=1\r\nat ?k=to%2Fk%2Ben%3D1 ".to_owned() + &"y".repeat(999);
        let Answer::Later { reason, .. } = ring.scrubbed(later(said)) else { panic!("later") };
        assert!(reason.starts_with("bad token (secret)  at ?k=(secret) y"), "{reason}");
        assert_eq!(reason.chars().count(), 400);
    }
}
