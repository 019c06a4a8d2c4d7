//! A private mosquitto: MQTT v5 on a loopback port of its own, with the limits that the gateways and the centre count on. It keeps
//! nothing: delivery is made sure by spool and receipt, so a broker that forgets loses nothing.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;

use crate::embedded::children::Child;
use crate::embedded::error::{Doing as _, ServerError};
use crate::embedded::place::{self, Place};
use crate::embedded::programs;
use crate::embedded::run_as::RunAs;

/// Ports to choose from: below those that the kernel gives to outgoing connections (32768 and up). A client that knocks
/// at a dead broker could otherwise be given the broker's own port, and connect to itself.
const PORTS: std::ops::Range<u16> = 20_000..32_000;
const PORT_ATTEMPTS: u32 = 50;
const START_LIMIT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(10);
/// What it says when all its listeners are open.
const READY: &str = " running";
const PORT_TAKEN: &str = "Address already in use";

/// Who may connect, and what they may read and write.
#[derive(Debug, Clone)]
pub enum Access {
    /// Every program on this machine, everything: for tests.
    Open,
    /// These, each as its role says.
    Accounts(Vec<Account>),
}

/// One who may connect.
#[derive(Clone)]
pub struct Account {
    pub user: String,
    pub password: String,
    role: Role,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Central,
    Gateway,
}

impl Account {
    /// The centre's account (`central`), with a new random password: reads and writes below `cems/v1`.
    ///
    /// # Errors
    /// When the operating system gives no random bits.
    pub fn central() -> Result<Account, ServerError> {
        Ok(Account { user: "central".to_owned(), password: place::secret()?, role: Role::Central })
    }

    /// A gateway's account, with a new random password: reads and writes below its own name, and reads the centre's status.
    ///
    /// # Errors
    /// When the operating system gives no random bits.
    pub fn gateway(name: &str) -> Result<Account, ServerError> {
        Ok(Account { user: name.to_owned(), password: place::secret()?, role: Role::Gateway })
    }
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").field("user", &self.user).field("role", &self.role).finish_non_exhaustive()
    }
}

/// A private mosquitto. Dropping it ends the server.
#[derive(Debug)]
pub struct Mosquitto {
    place: Place,
    program: PathBuf,
    run_as: RunAs,
    access: Access,
    port: u16,
    child: Option<Child>,
}

impl Mosquitto {
    /// Starts a broker with its files in `folder`, on a free port, and returns when it listens.
    ///
    /// # Errors
    /// When mosquitto is not installed, `folder` is in use or cannot be used, an account has no proper name, or the broker ends by
    /// itself or stays silent.
    pub async fn start(folder: &Path, access: Access) -> Result<Mosquitto, ServerError> {
        let program = programs::mosquitto()?;
        let run_as = RunAs::find("mosquitto")?;
        let place = Place::take(folder, "mosquitto", &run_as)?;
        let mut mosquitto = Mosquitto { place, program, run_as, access, port: 0, child: None };
        mosquitto.write_access()?;
        for _attempt in 0..PORT_ATTEMPTS {
            mosquitto.port = free_port()?;
            match mosquitto.run().await {
                // Somebody was faster.
                Err(ServerError::Ended { words, .. }) if words.contains(PORT_TAKEN) => {}
                result => return result.map(|()| mosquitto),
            }
        }
        let source = std::io::Error::from(std::io::ErrorKind::AddrInUse);
        Err(ServerError::System { doing: "find a free port for mosquitto".to_owned(), source })
    }

    /// Where it listens, as `mqtt://127.0.0.1:PORT`; the same for its whole life.
    pub fn url(&self) -> String {
        format!("mqtt://{}:{}", Ipv4Addr::LOCALHOST, self.port)
    }

    /// Where it listens, on 127.0.0.1; the same for its whole life.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The broker's process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().filter(|child| child.status().is_none()).map(Child::pid)
    }

    /// The broker's log.
    pub fn log(&self) -> PathBuf {
        self.place.log()
    }

    /// Stops the broker cleanly: it says goodbye to its clients. 5 s at most, then by force.
    pub async fn stop(&mut self) {
        self.resume();
        if let Some(child) = self.child.take() {
            child.end(&[(Signal::TERM, Duration::from_secs(5))]).await;
        }
    }

    /// Ends the broker as a power cut would (SIGKILL), and waits until it is gone.
    pub async fn kill(&mut self) {
        if let Some(child) = self.child.take() {
            child.end(&[]).await;
        }
    }

    /// Starts the broker again on the same port; stops it first when it runs. Tries for 10 s while somebody else has the port.
    ///
    /// # Errors
    /// As [`Mosquitto::start`].
    pub async fn restart(&mut self) -> Result<(), ServerError> {
        self.stop().await;
        let mut attempts = 40;
        loop {
            attempts -= 1;
            match self.run().await {
                Err(ServerError::Ended { words, .. }) if attempts > 0 && words.contains(PORT_TAKEN) => {
                    tokio::time::sleep(Duration::from_millis(250)).await;
                }
                result => return result,
            }
        }
    }

    /// Makes the broker hang: connections stay open, nothing answers.
    pub fn pause(&self) {
        if let Some(child) = &self.child {
            child.signal(Signal::STOP);
        }
    }

    /// Ends [`Mosquitto::pause`].
    pub fn resume(&self) {
        if let Some(child) = &self.child {
            child.signal(Signal::CONT);
        }
    }

    async fn run(&mut self) -> Result<(), ServerError> {
        let configuration = self.place.folder.join("configuration");
        self.write(&configuration, &self.configuration())?;
        let (log, start) = self.place.open_log()?;
        let mut command = self.run_as.command(&self.program, "KILL")?;
        command.arg("-c").arg(&configuration);
        let errors = log.try_clone().doing(|| "share the log".to_owned())?;
        command.stdout(log).stderr(errors);
        let child = self.child.insert(Child::spawn("mosquitto", command).await?);
        let place = &self.place;
        // Not by connecting: on a port that was taken meanwhile, somebody else would answer.
        let ready = async {
            while child.status().is_none() && !place.first_words(start).contains(READY) {
                tokio::time::sleep(POLL).await;
            }
        };
        let in_time = tokio::time::timeout(START_LIMIT, ready).await;
        match child.status() {
            None if in_time.is_ok() => Ok(()),
            Some(status) => {
                let (status, words) = (status.to_string(), self.place.words(start));
                self.child = None;
                Err(ServerError::Ended { program: "mosquitto", status, log: self.place.log(), words })
            }
            None => {
                self.kill().await;
                let seconds = START_LIMIT.as_secs();
                Err(ServerError::Slow { program: "mosquitto", seconds, log: self.place.log() })
            }
        }
    }

    /// `max_queued_messages` is out of reach rather than 0 (no limit): with 0, mosquitto 2.0.11 hangs up on each client whose publish it
    /// refuses, by its access list or its size. The queue is bounded by bytes; one bounded by messages loses silently.
    /// `max_inflight_messages` is several commit batches; no Nagle delay.
    fn configuration(&self) -> String {
        let mut text = format!(
            "listener {} {}\n\
             max_inflight_messages 2000\n\
             max_queued_messages 10000000\n\
             max_queued_bytes 268435456\n\
             message_size_limit 262144\n\
             set_tcp_nodelay true\n\
             persistence false\n\
             sys_interval 0\n\
             log_dest stderr\n\
             log_type error\nlog_type warning\nlog_type notice\nlog_type information\n\
             log_timestamp_format %Y-%m-%dT%H:%M:%S\n",
            self.port,
            Ipv4Addr::LOCALHOST
        );
        match &self.access {
            Access::Open => text.push_str("allow_anonymous true\n"),
            Access::Accounts(_) => {
                let folder = self.place.folder.display();
                text.push_str("allow_anonymous false\n");
                // Writing into a String cannot fail.
                let _never = write!(text, "password_file {folder}/passwords\nacl_file {folder}/access\n");
            }
        }
        text
    }

    fn write_access(&self) -> Result<(), ServerError> {
        let Access::Accounts(accounts) = &self.access else { return Ok(()) };
        let mut passwords = String::new();
        let mut names: Vec<&str> = Vec::new();
        for Account { user, password, role } in accounts {
            if !is_account_name(user)
                || names.contains(&user.as_str())
                || ((*role == Role::Central) != (user == "central"))
            {
                return Err(ServerError::AccountName { name: user.clone() });
            }
            names.push(user);
            let _never = writeln!(passwords, "{user}:{password}");
        }
        let path = self.place.folder.join("passwords");
        // Plain for a moment, and ours alone; never on a command line, which everybody can read.
        fs::write(&path, "").doing(|| format!("write {}", path.display()))?;
        crate::embedded::run_as::set_mode(&path, 0o600)?;
        fs::write(&path, passwords).doing(|| format!("write {}", path.display()))?;
        let program = programs::mosquitto_passwd()?;
        let output = std::process::Command::new(&program).arg("-U").arg(&path).output();
        let output = output.doing(|| format!("run {}", program.display()))?;
        if !output.status.success() {
            return Err(ServerError::Ended {
                program: "mosquitto_passwd",
                status: output.status.to_string(),
                log: path,
                words: String::from_utf8_lossy(&output.stderr).into_owned(),
            });
        }
        self.run_as.let_read(&path)?;
        self.write(&self.place.folder.join("access"), ACCESS)
    }

    fn write(&self, path: &Path, text: &str) -> Result<(), ServerError> {
        fs::write(path, text).doing(|| format!("write {}", path.display()))?;
        self.run_as.let_read(path)
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        if let Some(child) = &self.child {
            child.signal(Signal::KILL);
        }
    }
}

/// A gateway's lanes are its own; `%u` is the user name that it proved. Patterns hold for everybody (a `topic` before the first
/// `user` would hold for anonymous clients only).
const ACCESS: &str = "\
pattern read cems/v1/central/status
pattern write cems/v1/%u/live
pattern write cems/v1/%u/backfill
pattern write cems/v1/%u/status
pattern read cems/v1/%u/#

user central
topic readwrite cems/v1/#
";

fn is_account_name(name: &str) -> bool {
    let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=64).contains(&name.len()) && name.bytes().all(is_name)
}

fn free_port() -> Result<u16, ServerError> {
    let mut refusal = std::io::Error::from(std::io::ErrorKind::AddrInUse);
    for _attempt in 0..PORT_ATTEMPTS {
        let port = fastrand::u16(PORTS);
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(_freed_at_once) => return Ok(port),
            Err(error) => refusal = error,
        }
    }
    Err(ServerError::System { doing: "find a free port on 127.0.0.1".to_owned(), source: refusal })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_never_shown() {
        let account = Account::gateway("gw-1").unwrap();
        assert!(!format!("{account:?}").contains(&account.password));
        assert_ne!(account.password, Account::gateway("gw-1").unwrap().password);
    }

    #[test]
    fn names_that_would_reach_into_other_topics_are_refused() {
        assert!(is_account_name("gw-1"));
        for wrong in ["", "+", "#", "a/b", "a:b", "a\nuser central"] {
            assert!(!is_account_name(wrong), "{wrong:?}");
        }
    }
}
