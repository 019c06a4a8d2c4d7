//! Servers that belong to one test, to be killed and paused at will. They end with their owner, and with the process.

use std::ops::{Deref, DerefMut};
use std::path::Path;

use cems::embedded::{self, Access, Mosquitto, Postgres};
use tempfile::TempDir;

/// A server with the folder that its files are in.
pub struct Own<Server> {
    // Dropped in this order: the server ends before its files go.
    server: Server,
    _folder: Folder,
}

impl<Server> Deref for Own<Server> {
    type Target = Server;
    fn deref(&self) -> &Server {
        &self.server
    }
}

impl<Server> DerefMut for Own<Server> {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.server
    }
}

/// A broker of one's own, open to all.
pub async fn broker() -> Own<Mosquitto> {
    broker_for(Access::Open).await
}

/// A broker of one's own, for those named.
pub async fn broker_for(access: Access) -> Own<Mosquitto> {
    let folder = folder();
    let server = Mosquitto::start(folder.path(), access).await.unwrap();
    Own { server, _folder: folder }
}

/// A PostgreSQL of one's own: for tests that stop, kill or pause it. Takes a second or two.
pub async fn own_postgres() -> Own<Postgres> {
    let folder = folder();
    let server = Postgres::start(folder.path()).await.unwrap();
    Own { server, _folder: folder }
}

/// A port that was free a moment ago, for servers that must be told one.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A port for a server that is started again and again: below those that the kernel gives to outgoing connections, one of which
/// could have it in between.
pub fn lasting_port() -> u16 {
    let mut ports = std::iter::repeat_with(|| fastrand::u16(20_000..32_000));
    ports.find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}

/// An empty folder that goes when it is dropped, with what servers keep for it elsewhere.
pub struct Folder(TempDir);

/// An empty folder.
pub fn folder() -> Folder {
    Folder(tempfile::Builder::new().prefix("cems-test-").tempdir().unwrap())
}

impl Folder {
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // In use by a server that has not ended: an orphan in the folder for temporary files is no harm.
        let _in_use = embedded::erase(self.path());
    }
}
