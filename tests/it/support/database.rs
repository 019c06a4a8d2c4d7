//! A database of its own for each test, on a PostgreSQL that all share: the one that `CEMS_TEST_DATABASE` names (`make test` starts
//! it), else one that this process starts for itself and that ends with it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use cems::embedded::Postgres;
use tokio::sync::OnceCell;
use tokio_postgres::{Client, Config, NoTls};

/// Names the folder of a server that a test process started for itself, before the process id.
const OWN_FOLDER: &str = "cems-test-of-";

static OWN: OnceCell<Postgres> = OnceCell::const_new();

/// An empty database; dropped with this.
pub struct TestDatabase {
    admin: String,
    name: String,
    url: String,
}

impl TestDatabase {
    /// What connects to it, as superuser; `tokio_postgres::Config` parses it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A connection to it.
    pub async fn client(&self) -> Client {
        connect(&self.url).await
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (admin, name) = (self.admin.clone(), self.name.clone());
        // A runtime of its own: the test's may be ending, or be this very thread.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let drop = async {
                    let client = connect(&admin).await;
                    client.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await
                };
                // What cannot be dropped goes with the server.
                let _left = tokio::time::timeout(Duration::from_secs(10), drop).await;
            });
        });
        let _failed = dropping.join();
    }
}

/// A fresh, empty database.
pub async fn database() -> TestDatabase {
    let admin = shared_postgres().await;
    let name = format!("test_{}", uuid::Uuid::now_v7().simple());
    connect(&admin).await.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
    let url = in_database(&admin, &name);
    TestDatabase { admin, name, url }
}

/// A connection; its errors are those of the statements.
pub async fn connect(url: &str) -> Client {
    let connected = tokio::time::timeout(Duration::from_secs(20), tokio_postgres::connect(url, NoTls)).await;
    let (client, connection) = connected.expect("PostgreSQL does not answer").unwrap();
    tokio::spawn(connection);
    client
}

/// What connects to the shared server's own database.
async fn shared_postgres() -> String {
    if let Ok(url) = std::env::var("CEMS_TEST_DATABASE") {
        return url;
    }
    let start = || async {
        remove_orphans(&std::env::temp_dir());
        let prefix = format!("{OWN_FOLDER}{}-", std::process::id());
        // Kept: it lives as long as the process.
        let folder = tempfile::Builder::new().prefix(&prefix).tempdir().unwrap().keep();
        Postgres::start(&folder).await.unwrap()
    };
    OWN.get_or_init(start).await.url()
}

/// The connection string `admin`, with another database. The last `dbname` of several counts.
fn in_database(admin: &str, name: &str) -> String {
    if admin.starts_with("postgres") {
        let config: Config = admin.parse().unwrap();
        let old = config.get_dbname().expect("CEMS_TEST_DATABASE names no database");
        let (before, after) = admin.rsplit_once(old).unwrap();
        return format!("{before}{name}{after}");
    }
    format!("{admin} dbname={name}")
}

/// A process cannot remove the folder of a server that lives as long as itself: the next one does.
fn remove_orphans(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let after = name.to_str().and_then(|name| name.strip_prefix(OWN_FOLDER));
        let Some((pid, _random)) = after.and_then(|after| after.split_once('-')) else { continue };
        if !Path::new("/proc").join(pid).exists() {
            // Another process may be removing it too.
            let _gone = fs::remove_dir_all(entry.path());
        }
    }
}

#[test]
fn another_database_of_the_same_server() {
    assert_eq!(
        in_database("host=/s user=cems dbname=postgres", "t"),
        "host=/s user=cems dbname=postgres dbname=t"
    );
    assert_eq!(
        in_database("postgres://u@h/postgres?connect_timeout=5", "t"),
        "postgres://u@h/t?connect_timeout=5"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_test_has_a_database_of_its_own() {
    let (one, other) = tokio::join!(database(), database());
    one.client().await.batch_execute("CREATE TABLE only_here (x int)").await.unwrap();
    let missing = other.client().await.batch_execute("TABLE only_here").await.unwrap_err();
    assert_eq!(missing.code(), Some(&tokio_postgres::error::SqlState::UNDEFINED_TABLE));
    let url = one.url().to_owned();
    drop(one);
    assert!(tokio_postgres::connect(&url, NoTls).await.is_err());
}
