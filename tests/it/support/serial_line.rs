//! A serial line without hardware: two pseudo-terminals that socat joins. What is written at one end is read at the other.
//! It has no bit rate of its own: bytes arrive at once, whatever the ends are set to.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::servers::{Folder, folder};
use crate::support::wait::wait_until;

/// The line; it is cut when this is dropped.
pub struct SerialLine {
    socat: Child,
    // Dropped after the line is cut.
    folder: Folder,
}

impl SerialLine {
    /// Lays one and waits until both ends are there; `None`, with a note, where socat is not installed.
    pub async fn lay() -> Option<SerialLine> {
        let folder = folder();
        let end = |name| format!("pty,raw,echo=0,link={}", folder.path().join(name).display());
        let socat = Command::new("socat")
            .args(["-d", "-d", &end("master"), &end("slave")])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(socat) = socat else {
            println!("skipped: socat is not installed (apt-get install socat)");
            return None;
        };
        let line = SerialLine { socat, folder };
        // A link that exists leads to a terminal that is open: socat makes the terminal first.
        wait_until(Duration::from_secs(10), "both ends of the line", || {
            let there = line.master().exists() && line.slave().exists();
            async move { there.then_some(()).ok_or("not yet") }
        })
        .await;
        Some(line)
    }

    /// The end for who asks: the gateway.
    pub fn master(&self) -> PathBuf {
        self.folder.path().join("master")
    }

    /// The end for who answers.
    pub fn slave(&self) -> PathBuf {
        self.folder.path().join("slave")
    }

    /// Cuts it, as a hand that pulls the adapter: both devices are gone.
    pub fn cut(&mut self) {
        let _ended_already = self.socat.kill();
        let _ended_already = self.socat.wait();
        // What killing it leaves behind.
        for end in [self.master(), self.slave()] {
            let _gone_already = std::fs::remove_file(end);
        }
    }
}

impl Drop for SerialLine {
    fn drop(&mut self) {
        self.cut();
    }
}

/// A terminal's two directions, for tokio. Nothing is set on it: socat's terminals are raw.
pub fn open(
    device: &Path,
) -> std::io::Result<(tokio::net::unix::pipe::Receiver, tokio::net::unix::pipe::Sender)> {
    use rustix::fs::{Mode, OFlags, open};
    use tokio::net::unix::pipe::{Receiver, Sender};

    // Non-blocking, so that no thread waits in a read when the test ends. "Unchecked" is whether it is a pipe.
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = || Ok::<_, std::io::Error>(std::fs::File::from(open(device, flags, Mode::empty())?));
    Ok((Receiver::from_file_unchecked(file()?)?, Sender::from_file_unchecked(file()?)?))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_in_at_one_end_comes_out_at_the_other_until_it_is_cut() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let Some(mut line) = SerialLine::lay().await else { return };
    let (mut near_in, mut near_out) = open(&line.master()).unwrap();
    let (mut far_in, mut far_out) = open(&line.slave()).unwrap();
    // All bytes, also those that a terminal would take for control characters.
    let bytes: Vec<u8> = (0..=255).collect();
    for round in 0..2 {
        near_out.write_all(&bytes).await.unwrap();
        let mut found = vec![0; bytes.len()];
        far_in.read_exact(&mut found).await.unwrap();
        assert_eq!(found, bytes, "round {round}");
    }
    far_out.write_all(&bytes).await.unwrap();
    let mut found = vec![0; bytes.len()];
    near_in.read_exact(&mut found).await.unwrap();
    assert_eq!(found, bytes, "and back");
    line.cut();
    let mut rest = [0];
    assert!(!matches!(near_in.read(&mut rest).await, Ok(1..)), "an end, or an error");
    assert!(!line.master().exists());
}
