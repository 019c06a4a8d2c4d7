//! A program as a child process that does not outlive us: started, killed, paused, and started again with the same words.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::wait::wait_until;

/// A gateway has ten seconds for its last records and ten for its disk.
const END: Duration = Duration::from_secs(30);

pub struct Process {
    words: Vec<String>,
    environment: Vec<(String, String)>,
    log: PathBuf,
    child: Option<Child>,
}

impl Process {
    /// Not started yet. What it says is appended to a file of `folder`.
    pub fn new(name: &str, folder: &Path, words: &[&str]) -> Process {
        Process {
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            environment: Vec::new(),
            log: folder.join(format!("{name}.log")),
            child: None,
        }
    }

    /// `cems` with these arguments.
    pub fn cems(name: &str, folder: &Path, arguments: &[&str]) -> Process {
        Process::new(name, folder, &[&[env!("CARGO_BIN_EXE_cems")], arguments].concat())
    }

    pub fn with_environment(mut self, name: &str, value: &str) -> Process {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn start(&mut self) {
        assert!(self.child.is_none(), "{:?} runs", self.words);
        let log = File::options().create(true).append(true).open(&self.log).unwrap();
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).args(&self.words).stdin(Stdio::null());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdout(log.try_clone().unwrap()).stderr(log);
        self.child = Some(command.spawn().expect("setpriv (util-linux) runs"));
    }

    /// kill -9; gone when this returns.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ended_already = child.kill();
            let _ended_already = child.wait();
        }
    }

    pub fn signal(&self, signal: Signal) {
        if let Some(child) = &self.child {
            let _ended_already = kill_process(Pid::from_child(child), signal);
        }
    }

    /// Asks it to end, and waits until it has.
    pub async fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let _ended_already = kill_process(Pid::from_child(&child), Signal::TERM);
        wait_until(END, "a process to end", || {
            let status = child.try_wait().unwrap();
            async move { status.map(|_| ()).ok_or(()) }
        })
        .await;
    }

    /// All that it has said.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
