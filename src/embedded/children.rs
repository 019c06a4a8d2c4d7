//! A child process that dies with us. The kernel's parent-death signal follows the THREAD that spawned the child, so each child
//! gets a thread of its own that spawns it, waits for its end and lives exactly as long. A signal is only ever sent while
//! the child is not yet reaped: its process id cannot have passed to somebody else.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tokio::sync::{oneshot, watch};

use crate::embedded::error::{Doing as _, ServerError};

/// A running, or ended, child.
#[derive(Debug)]
pub struct Child {
    pid: u32,
    /// `None` from the moment it is reaped.
    running: Arc<Mutex<Option<Pid>>>,
    ended: watch::Receiver<Option<ExitStatus>>,
}

impl Child {
    /// Spawns `command`; `name` is that of its thread, and what errors call it.
    ///
    /// # Errors
    /// When the operating system gives no thread or no process.
    pub async fn spawn(name: &'static str, command: Command) -> Result<Child, ServerError> {
        let running = Arc::new(Mutex::new(None));
        let (tell_pid, pid) = oneshot::channel();
        let (tell_end, ended) = watch::channel(None);
        let held = Arc::clone(&running);
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || keep(command, &held, tell_pid, &tell_end))
            .doing(|| format!("start a thread for {name}"))?;
        let pid = pid.await.unwrap_or_else(|_gone| Err(std::io::Error::other("its thread ended")));
        Ok(Child { pid: pid.doing(|| format!("run {name}"))?, running, ended })
    }

    /// The process id; after the end it may be another's.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// How it ended; `None` while it runs.
    pub fn status(&self) -> Option<ExitStatus> {
        *self.ended.borrow()
    }

    /// Sends a signal, unless the child has ended.
    pub fn signal(&self, signal: Signal) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pid) = *running {
            // It may be dead and not yet reaped: what was wanted.
            let _dead = kill_process(pid, signal);
        }
    }

    /// Sends a signal to the child and then to each of its own children, unless it has ended.
    pub fn signal_family(&self, signal: Signal) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pid) = *running {
            let before = children_of(pid);
            let _dead = kill_process(pid, signal);
            // One that was forked in between is found by the second look.
            for child in before.into_iter().chain(children_of(pid)) {
                let _dead = kill_process(child, signal);
            }
        }
    }

    /// Waits for the end; false when it still runs after `limit`.
    pub async fn has_ended(&self, limit: Duration) -> bool {
        let mut ended = self.ended.clone();
        let wait = async { ended.wait_for(Option::is_some).await.is_ok() };
        tokio::time::timeout(limit, wait).await.is_ok()
    }

    /// Sends each signal in turn and gives the child the time that stands with it, then ends it by force.
    pub async fn end(&self, steps: &[(Signal, Duration)]) {
        for (signal, limit) in steps {
            self.signal(*signal);
            if self.has_ended(*limit).await {
                return;
            }
        }
        self.signal_family(Signal::KILL);
        self.has_ended(Duration::from_secs(5)).await;
    }
}

/// The life of a child's thread.
fn keep(
    mut command: Command,
    running: &Mutex<Option<Pid>>,
    tell_pid: oneshot::Sender<std::io::Result<u32>>,
    tell_end: &watch::Sender<Option<ExitStatus>>,
) {
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            // Nobody waits any more: nobody needs to know.
            let _unheard = tell_pid.send(Err(error));
            return;
        }
    };
    let pid = Pid::from_child(&child);
    *running.lock().unwrap_or_else(PoisonError::into_inner) = Some(pid);
    if tell_pid.send(Ok(child.id())).is_err() {
        // Its owner was dropped while it started.
        let _dead = kill_process(pid, Signal::KILL);
    }
    // Sees the end and leaves it to be reaped under the lock.
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while waitid(WaitId::Pid(pid), options).is_err_and(|error| error == rustix::io::Errno::INTR) {}
    let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
    *running = None;
    // Without a status (somebody else reaped it) it counts as failed.
    let status = child.wait().unwrap_or_else(|_reaped| ExitStatus::from_raw(1 << 8));
    tell_end.send_replace(Some(status));
}

/// The living children of a process; none where /proc is missing.
fn children_of(parent: Pid) -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| parent_of(*pid) == Some(parent.as_raw_nonzero().get()))
        .filter_map(Pid::from_raw)
        .collect()
}

/// The fourth field of /proc/PID/stat; the second, the name in parentheses, may hold anything.
fn parent_of(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_name, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn the_end_of_a_child_is_seen_and_told() {
        let child = Child::spawn("shell", shell("exit 3")).await.unwrap();
        assert!(child.has_ended(SOON).await);
        assert!(child.status().unwrap().code() == Some(3));
        child.signal(Signal::KILL);
    }

    #[tokio::test]
    async fn a_child_that_ignores_a_request_is_ended_by_force() {
        let child =
            Child::spawn("shell", shell("trap '' TERM; while :; do read x; done < /dev/zero")).await.unwrap();
        assert!(!child.has_ended(Duration::from_millis(100)).await);
        child.end(&[(Signal::TERM, Duration::from_millis(100))]).await;
        assert!(child.status().unwrap().signal() == Some(9), "{:?}", child.status());
    }

    #[tokio::test]
    async fn what_cannot_be_run_is_an_error() {
        let error = Child::spawn("nothing", Command::new("/no such program")).await.unwrap_err();
        assert!(error.to_string().starts_with("cannot run nothing"), "{error}");
    }

    #[test]
    fn our_parent_is_found() {
        let ourselves = i32::try_from(std::process::id()).unwrap();
        let parent = Pid::from_raw(parent_of(ourselves).unwrap()).unwrap();
        assert!(children_of(parent).iter().any(|pid| pid.as_raw_nonzero().get() == ourselves));
    }
}
