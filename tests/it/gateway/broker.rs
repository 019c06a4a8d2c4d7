//! A private mosquitto on a free port, which can be killed and revived; what it had in memory is then gone.
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

pub struct Broker {
    folder: tempfile::TempDir,
    port: u16,
    child: Option<Child>,
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Broker {
    pub fn start() -> Broker {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        // Started by root it would drop to a user that cannot read this folder; started by another it ignores the line.
        let config = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\nmax_inflight_messages 2000\nmax_queued_messages 0\n\
             message_size_limit 262144\nuser root\n"
        );
        std::fs::write(folder.path().join("mosquitto.conf"), config).unwrap();
        let mut broker = Broker { folder, port, child: None };
        broker.revive();
        broker
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub fn revive(&mut self) {
        let program = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"];
        let program =
            program.into_iter().find(|path| std::path::Path::new(path).exists()).unwrap_or("mosquitto");
        let child = Command::new(program)
            .arg("-c")
            .arg(self.folder.path().join("mosquitto.conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("mosquitto is installed");
        self.child = Some(child);
        let deadline = cems::clock::monotonic() + crate::gateway::LIMIT;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(cems::clock::monotonic() < deadline, "mosquitto does not listen");
            std::thread::yield_now();
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}
