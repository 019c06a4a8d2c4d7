//! A private PostgreSQL: its own data folder, durable (`fsync` and `synchronous_commit` on), reachable through a unix socket only.
//!
//! There is no password to leak and no port to collide: the socket lies in a folder that is open to the server's user (and root)
//! alone, within which everybody is `cems`, the superuser. Whoever can enter that folder can read the data files anyway.
//! `kill -9` of our program makes the kernel ask the server for its immediate stop, with which it also ends its sessions;
//! the next start replays the log.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use tokio_postgres::NoTls;
use tokio_postgres::error::SqlState;

use crate::embedded::children::Child;
use crate::embedded::error::{Doing as _, ServerError};
use crate::embedded::place::{self, Place};
use crate::embedded::programs::{self, PostgresPrograms};
use crate::embedded::run_as::RunAs;

/// The superuser, whom everybody is who may enter the socket's folder.
const USER: &str = "cems";
/// Part of the socket's name; nothing listens on a port.
const PORT: u16 = 5432;
/// Longer paths do not fit in a socket address.
const SOCKET_PATH_LIMIT: usize = 107;
/// What a killed server's sessions may still hold is free after these (10 s).
const LOCKED_ATTEMPTS: u32 = 40;
const LOCKED_PAUSE: Duration = Duration::from_millis(250);
/// Recovery of a full log after a crash is done by then.
const START_LIMIT: Duration = Duration::from_mins(1);
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);

/// A private PostgreSQL. Dropping it ends the server as a power cut would; [`Postgres::stop`] is the clean way.
#[derive(Debug)]
pub struct Postgres {
    place: Place,
    programs: PostgresPrograms,
    run_as: RunAs,
    socket: PathBuf,
    child: Option<Child>,
}

impl Postgres {
    /// Starts a server on the data in `folder` (made on first use), and returns when it answers.
    ///
    /// # Errors
    /// When PostgreSQL is not installed, `folder` is in use or cannot be used, or the server ends by itself or stays silent.
    pub async fn start(folder: &Path) -> Result<Postgres, ServerError> {
        let run_as = RunAs::find("postgres")?;
        let place = Place::take(folder, "postgres", &run_as)?;
        let data = place.folder.join("data");
        let programs = programs::postgres(made_by(&data), &place.folder)?;
        if !data.exists() {
            initialise(&programs, &run_as, &place, &data).await?;
        }
        let socket = socket_folder(&place, &run_as)?;
        let mut postgres = Postgres { place, programs, run_as, socket, child: None };
        postgres.run().await?;
        Ok(postgres)
    }

    /// What connects to the server's own database `postgres`, as superuser.
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// What connects to `database`, as superuser. `tokio_postgres::Config` parses it, and so does `psql`.
    pub fn url_of(&self, database: &str) -> String {
        format!("host={} port={PORT} user={USER} dbname={database}", self.socket.display())
    }

    /// Makes a database, unless it exists, and gives what connects to it.
    ///
    /// # Errors
    /// When the name is none, or the server refuses or does not answer within 10 s.
    pub async fn create_database(&self, name: &str) -> Result<String, ServerError> {
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if !(1..=63).contains(&name.len()) || !name.bytes().all(is_name) {
            return Err(ServerError::DatabaseName { name: name.to_owned() });
        }
        let create = async {
            let (client, connection) = tokio_postgres::connect(&self.url(), NoTls).await?;
            // Its error is also that of the statement below.
            let connection = tokio::spawn(connection);
            let created = client.batch_execute(&format!("CREATE DATABASE \"{name}\"")).await;
            connection.abort();
            created
        };
        let answer = tokio::time::timeout(ANSWER_LIMIT, create).await;
        let created = answer.map_err(|_late| ServerError::NoAnswer { seconds: ANSWER_LIMIT.as_secs() })?;
        match created {
            Ok(()) => Ok(self.url_of(name)),
            Err(error) if error.code() == Some(&SqlState::DUPLICATE_DATABASE) => Ok(self.url_of(name)),
            Err(source) => Err(ServerError::CreateDatabase { name: name.to_owned(), source }),
        }
    }

    /// The server's process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().filter(|child| child.status().is_none()).map(Child::pid)
    }

    /// The server's log.
    pub fn log(&self) -> PathBuf {
        self.place.log()
    }

    /// Stops the server cleanly: sessions are ended, everything is written. 15 s at most, then by force.
    pub async fn stop(&mut self) {
        self.resume();
        if let Some(child) = self.child.take() {
            child
                .end(&[(Signal::INT, Duration::from_secs(10)), (Signal::QUIT, Duration::from_secs(5))])
                .await;
        }
    }

    /// Ends the server and its sessions as a power cut would (SIGKILL), and waits until it is gone.
    pub async fn kill(&mut self) {
        if let Some(child) = self.child.take() {
            child.end(&[]).await;
        }
    }

    /// Starts the server again, after [`Postgres::kill`] or [`Postgres::stop`]; stops it first when it runs. Every url stays valid.
    ///
    /// # Errors
    /// As [`Postgres::start`].
    pub async fn restart(&mut self) -> Result<(), ServerError> {
        self.stop().await;
        self.run().await
    }

    /// Makes the server hang: connections stay open, nothing answers.
    pub fn pause(&self) {
        if let Some(child) = &self.child {
            child.signal_family(Signal::STOP);
        }
    }

    /// Ends [`Postgres::pause`].
    pub fn resume(&self) {
        if let Some(child) = &self.child {
            child.signal_family(Signal::CONT);
        }
    }

    /// Starts the server's process; tries again while a predecessor's lock is being freed.
    async fn run(&mut self) -> Result<(), ServerError> {
        for _attempt in 0..LOCKED_ATTEMPTS {
            match self.run_once().await {
                Err(ServerError::Ended { words, .. }) if is_locked(&words) => {
                    tokio::time::sleep(LOCKED_PAUSE).await;
                }
                result => return result,
            }
        }
        Err(ServerError::InUse { folder: self.place.folder.clone() })
    }

    async fn run_once(&mut self) -> Result<(), ServerError> {
        let data = self.place.folder.join("data");
        remove_stale_pid_file(&data)?;
        if !self.socket.exists() {
            fs::create_dir(&self.socket).doing(|| format!("make {}", self.socket.display()))?;
        }
        self.run_as.take(&self.socket)?;
        let (log, start) = self.place.open_log()?;
        let mut command = self.run_as.command(&self.programs.postgres(), "QUIT")?;
        command.arg("-D").arg(&data);
        for setting in settings(&self.socket) {
            command.args(["-c", &setting]);
        }
        let errors = log.try_clone().doing(|| "share the log".to_owned())?;
        command.stdout(log).stderr(errors);
        let child = self.child.insert(Child::spawn("postgres", command).await?);
        let url = format!("host={} port={PORT} user={USER} dbname=postgres", self.socket.display());
        let answers = tokio::time::timeout(START_LIMIT, answers(child, &url, &data)).await;
        if answers == Ok(true) {
            return Ok(());
        }
        let status = child.status();
        self.kill().await;
        Err(match status {
            Some(status) => ServerError::Ended {
                program: "postgres",
                status: status.to_string(),
                log: self.place.log(),
                words: self.place.words(start),
            },
            None => ServerError::Slow {
                program: "postgres",
                seconds: START_LIMIT.as_secs(),
                log: self.place.log(),
            },
        })
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(child) = &self.child {
            child.signal_family(Signal::KILL);
        }
        if self.socket.parent() != Some(&self.place.folder) {
            // After a clean stop it is empty; else an almost empty folder stays below the temporary ones.
            let _not_empty = fs::remove_dir(&self.socket);
        }
    }
}

/// Waits until the server answers (true) or has ended (false). A predecessor may still answer at the same socket, so the
/// server's own note of its process id decides.
async fn answers(child: &Child, url: &str, data: &Path) -> bool {
    loop {
        if child.status().is_some() {
            return false;
        }
        let connected =
            tokio::time::timeout(Duration::from_secs(2), tokio_postgres::connect(url, NoTls)).await;
        if matches!(connected, Ok(Ok(_))) && noted_pid(data) == Some(child.pid()) {
            return true;
        }
        tokio::time::sleep(POLL).await;
    }
}

/// What the server runs with: durable, small, silent towards the network. `data` keeps no settings of its own.
fn settings(socket: &Path) -> Vec<String> {
    let mut settings: Vec<String> = [
        "fsync=on",
        "synchronous_commit=on",
        "full_page_writes=on",
        "listen_addresses=",
        "unix_socket_permissions=0700",
        "max_connections=100",
        "shared_buffers=128MB",
        "max_wal_size=1GB",
        "wal_compression=on",
        "jit=off",
        "huge_pages=off",
        // A partitioned day is dropped and attached in one transaction: more locks than the default's 64.
        "max_locks_per_transaction=256",
        "timezone=UTC",
        "log_timezone=UTC",
        "log_line_prefix=%m [%p] %q%d ",
        "logging_collector=off",
        "log_checkpoints=off",
    ]
    .map(str::to_owned)
    .into();
    settings.push(format!("port={PORT}"));
    settings.push(format!("unix_socket_directories={}", socket.display()));
    settings
}

/// Makes the data folder: under another name first, so that half a folder is never taken for a whole one.
async fn initialise(
    programs: &PostgresPrograms,
    run_as: &RunAs,
    place: &Place,
    data: &Path,
) -> Result<(), ServerError> {
    let half = place.folder.join("data.new");
    if half.exists() {
        fs::remove_dir_all(&half).doing(|| format!("remove {}", half.display()))?;
    }
    fs::create_dir(&half).doing(|| format!("make {}", half.display()))?;
    run_as.take(&half)?;
    let (log, start) = place.open_log()?;
    let mut command = run_as.command(&programs.initdb(), "KILL")?;
    command.args(["--encoding=UTF8", "--locale=C", "--data-checksums", "--no-instructions"]);
    command.args(["--auth-local=trust", "--auth-host=reject", "--username", USER]).arg("-D").arg(&half);
    let errors = log.try_clone().doing(|| "share the log".to_owned())?;
    command.stdout(Stdio::null()).stderr(errors);
    let initdb = Child::spawn("initdb", command).await?;
    if !initdb.has_ended(START_LIMIT).await {
        initdb.end(&[]).await;
        let seconds = START_LIMIT.as_secs();
        return Err(ServerError::Slow { program: "initdb", seconds, log: place.log() });
    }
    if let Some(status) = initdb.status().filter(|status| !status.success()) {
        let (status, words) = (status.to_string(), place.words(start));
        return Err(ServerError::Ended { program: "initdb", status, log: place.log(), words });
    }
    fs::rename(&half, data).doing(|| format!("rename {}", half.display()))
}

/// The major version that made a data folder; `None` when there is none.
fn made_by(data: &Path) -> Option<u32> {
    fs::read_to_string(data.join("PG_VERSION")).ok()?.trim().parse().ok()
}

/// The socket's folder: beside the data when its path is short and plain, else one below the folder for temporary files.
fn socket_folder(place: &Place, run_as: &RunAs) -> Result<PathBuf, ServerError> {
    let beside = place.folder.join("socket");
    let length = beside.join(format!(".s.PGSQL.{PORT}")).as_os_str().len();
    if length <= SOCKET_PATH_LIMIT && place::is_plain(&beside) {
        return Ok(beside);
    }
    let folder = place::short_folder()?;
    run_as.take(&folder)?;
    Ok(folder)
}

/// Whether a start failed because a predecessor is still about to end.
fn is_locked(words: &str) -> bool {
    ["lock file", "shared memory block", "is another postmaster"].iter().any(|sign| words.contains(sign))
}

/// The process id that the server noted in its data folder.
fn noted_pid(data: &Path) -> Option<u32> {
    fs::read_to_string(data.join("postmaster.pid")).ok()?.lines().next()?.trim().parse().ok()
}

/// After a crash of the machine the noted process id may have passed to another server of the same user, and PostgreSQL would
/// refuse to start for ever. A note of a dead process is left alone: by it PostgreSQL finds sessions that outlived it.
fn remove_stale_pid_file(data: &Path) -> Result<(), ServerError> {
    let Some(pid) = noted_pid(data) else { return Ok(()) };
    if !Path::new(&format!("/proc/{pid}")).exists() || somebody_works_in(data) {
        return Ok(());
    }
    let file = data.join("postmaster.pid");
    fs::remove_file(&file).doing(|| format!("remove {}", file.display()))
}

/// Whether any process has `folder` as its working folder, as all of a PostgreSQL's processes have its data folder. One whose
/// folder we may not read belongs to another user, and so does not hold our data.
fn somebody_works_in(folder: &Path) -> bool {
    let Ok(entries) = fs::read_dir("/proc") else { return true };
    entries
        .flatten()
        .any(|entry| fs::read_link(entry.path().join("cwd")).is_ok_and(|works_in| works_in == folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_note_of_a_process_that_works_elsewhere_is_stale() {
        let data = tempfile::tempdir().unwrap();
        let file = data.path().join("postmaster.pid");
        fs::write(&file, format!("{}\n/data\n", std::process::id())).unwrap();
        remove_stale_pid_file(data.path()).unwrap();
        assert!(!file.exists());

        let dead = {
            let mut child = std::process::Command::new("/bin/true").spawn().unwrap();
            child.wait().unwrap();
            child.id()
        };
        fs::write(&file, format!("{dead}\n/data\n")).unwrap();
        remove_stale_pid_file(data.path()).unwrap();
        assert!(file.exists());

        fs::write(&file, format!("{}\n/data\n", std::process::id())).unwrap();
        let mut works_here = std::process::Command::new("/bin/cat");
        let mut works_here =
            works_here.current_dir(data.path()).stdin(std::process::Stdio::piped()).spawn().unwrap();
        remove_stale_pid_file(data.path()).unwrap();
        assert!(file.exists());
        works_here.kill().unwrap();
        works_here.wait().unwrap();
    }

    #[test]
    fn a_predecessor_that_is_about_to_end_is_recognised() {
        assert!(is_locked("FATAL:  lock file \"postmaster.pid\" already exists"));
        assert!(is_locked("FATAL:  pre-existing shared memory block (key 1, ID 2) is still in use"));
        assert!(!is_locked("FATAL:  could not open file"));
    }

    #[test]
    fn durability_is_never_off() {
        let settings = settings(Path::new("/s"));
        for durable in ["fsync=on", "synchronous_commit=on", "full_page_writes=on", "listen_addresses="] {
            assert!(settings.iter().any(|setting| setting == durable), "{durable}");
        }
    }
}
