//! A mosquitto that keeps its sessions and messages in a file, as a careful operator sets it up: so that the file can be deleted. The limit of
//! queued messages can be set so low that it drops them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::harness::process::Process;
use crate::support::servers::lasting_port;
use crate::support::wait::wait_until;

const SOON: Duration = Duration::from_secs(10);

pub struct Broker {
    process: Process,
    port: u16,
    kept: PathBuf,
}

impl Broker {
    /// `queued`: messages that it queues for one client; what is above is dropped without a word.
    pub async fn start(folder: &Path, queued: u32) -> Broker {
        let (port, kept) = (lasting_port(), folder.join("kept"));
        std::fs::create_dir_all(&kept).unwrap();
        let mut text = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\nmax_inflight_messages 2000\nmax_queued_messages {queued}\n\
             message_size_limit 262144\nset_tcp_nodelay true\npersistence true\nautosave_interval 1\npersistence_location {}/\n\
             log_dest stderr\n",
            kept.display()
        );
        if rustix::process::getuid().is_root() {
            // Else it drops to a user who may not write here.
            text.push_str("user root\n");
        }
        let configuration = folder.join("mosquitto.conf");
        std::fs::write(&configuration, text).unwrap();
        let words = [&program(), "-c", configuration.to_str().unwrap()];
        let mut broker = Broker { process: Process::new("mosquitto", folder, &words), port, kept };
        broker.start_again().await;
        broker
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its log.
    pub fn said(&self) -> String {
        self.process.said()
    }

    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Returns when it listens.
    pub async fn start_again(&mut self) {
        self.process.start();
        wait_until(SOON, "the broker to listen", || async {
            tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.map(|_| ())
        })
        .await;
    }

    /// Deletes what it keeps; says how many files that were.
    pub fn wipe(&self) -> usize {
        let files = std::fs::read_dir(&self.kept).unwrap();
        files.map(|file| std::fs::remove_file(file.unwrap().path()).unwrap()).count()
    }
}

/// Debian keeps it where an ordinary user's PATH does not look.
fn program() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    let folders = path.split(':').chain(["/usr/local/sbin", "/usr/sbin"]);
    let found = folders.map(|folder| format!("{folder}/mosquitto")).find(|file| Path::new(file).is_file());
    found.expect("mosquitto is installed (make setup)")
}
