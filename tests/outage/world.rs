//! The chain: a private PostgreSQL and mosquitto, centres and gateways as processes, each behind lines of its own, and the analysers with
//! their ledger. Two gateways; any number of outlets, eight channels each, a scan a second.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cems::embedded::Postgres;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_postgres::Client;

use crate::harness::account::PowerLoss;
use crate::harness::broker::Broker;
use crate::harness::clock_step;
use crate::harness::documents;
use crate::harness::process::Process;
use crate::harness::proxy::{Proxy, Target};
use crate::harness::spy::Spy;
use crate::harness::witness::Witness;
use crate::support::centre::{Webhook, notify, seed_with};
use crate::support::database::connect;
use crate::support::disk::Disk;
use crate::support::plant::configuration;
use crate::support::servers::{Folder, folder, lasting_port};
use crate::support::wait::wait_until;

/// For what takes seconds, on a machine that others use as well.
pub const LIMIT: Duration = Duration::from_secs(90);
/// The kiln's SO2 is held here: early warnings and nothing else. 35 mg/m3 is the limit at 10 % oxygen.
const HIGH: f64 = 120.0;

/// What the world is made of.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Of the demonstration's three outlets.
    pub copies: usize,
    pub centres: usize,
    /// Messages that the broker queues for a client.
    pub queued: u32,
    /// PostgreSQL is on a small disk of its own; else on that of temporary files.
    pub database_disk: bool,
    /// The first gateway's spool is on a disk whose power can be cut.
    pub spool_disk: bool,
    /// The gateways' clock can be set.
    pub clock: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            copies: 1,
            centres: 1,
            queued: 1_000_000,
            database_disk: false,
            spool_disk: false,
            clock: false,
        }
    }
}

pub struct Centre {
    pub process: Process,
    pub to_database: Proxy,
    pub to_broker: Proxy,
    http: u16,
}

pub struct Gateway {
    pub name: &'static str,
    pub process: Process,
    pub to_broker: Proxy,
    pub outlets: Vec<String>,
    /// As written; the spool stays the same for its whole life.
    pub configuration: String,
}

pub struct World {
    // Dropped in this order: programs before their servers, servers before their files.
    pub centres: Vec<Centre>,
    pub gateways: Vec<Gateway>,
    pub spy: Spy,
    pub witness: Witness,
    pub webhook: Webhook,
    pub broker: Broker,
    pub postgres: Postgres,
    pub database_disk: Option<Disk>,
    pub spool_disk: Option<Disk>,
    pub url: String,
    /// Moments in which a gateway was robbed of what was not yet durable.
    pub power_losses: Vec<PowerLoss>,
    /// Seconds: where the account begins, and until where it was made.
    pub started: i64,
    pub accounted: i64,
    folder: WorldFolder,
}

/// The server's files go with it.
struct WorldFolder(Folder, Option<PathBuf>);

impl Drop for WorldFolder {
    fn drop(&mut self) {
        if let Some(data) = &self.1 {
            let _in_use = cems::embedded::erase(data);
        }
    }
}

pub fn second() -> i64 {
    cems::clock::now().as_second()
}

pub fn microseconds() -> i64 {
    cems::clock::now().as_microsecond()
}

/// Waits for a moment of the clock: a random one is part of a fault, and no condition to wait for.
pub async fn moment(after: Duration) {
    let at = cems::clock::monotonic() + after;
    let come = || async { if cems::clock::monotonic() >= at { Ok(()) } else { Err(()) } };
    wait_until(after + LIMIT, "a moment", come).await;
}

impl World {
    /// Readings of all outlets flow into the table when this returns. `None`, with a note, where a disk of one's own cannot be had.
    pub async fn start(options: Options) -> Option<World> {
        let folder = folder();
        let database_disk = if options.database_disk { Some(Disk::new(220)?) } else { None };
        let spool_disk = if options.spool_disk { Some(Disk::new(64)?) } else { None };
        let data = database_disk.as_ref().map(Disk::path);
        if let Some(disk) = &data {
            // PostgreSQL's user must get in.
            let open = std::fs::Permissions::from_mode(0o711);
            std::fs::set_permissions(disk.parent().unwrap(), open).unwrap();
        }
        let postgres = Postgres::start(data.as_deref().unwrap_or(folder.path())).await.unwrap();
        let url = postgres.create_database("cems").await.unwrap();
        let (broker, webhook) = (Broker::start(folder.path(), options.queued).await, Webhook::listen().await);
        let mut client = connect(&url).await;
        seed_with(&mut client, documents::plant(options.copies), &[notify(&webhook)]).await;
        let scenario = documents::scenario(options.copies, |_| true);
        let witness = Witness::start(&scenario, folder.path()).await;
        witness.control().hold("demo-cement-kiln", "a21026", HIGH).unwrap();
        let mut centres = Vec::new();
        for number in 0..options.centres {
            centres.push(centre(number, &url, (broker.port(), options.queued), folder.path()).await);
        }
        let mut gateways = Vec::new();
        for name in documents::GATEWAYS {
            let disk = spool_disk.as_ref().filter(|_| name == documents::GATEWAYS[0]);
            let spool = disk.map_or_else(
                || folder.path().join(format!("{name}-spool")),
                |disk| disk.path().join("spool"),
            );
            let place = (folder.path(), spool.as_path());
            gateways.push(gateway(name, options, place, (&witness, broker.port())).await);
        }
        let spy = Spy::listen(broker.port());
        let mut world = World {
            centres,
            gateways,
            spy,
            witness,
            webhook,
            broker,
            postgres,
            database_disk,
            spool_disk,
            url,
            power_losses: Vec::new(),
            started: 0,
            accounted: 0,
            folder: WorldFolder(folder, data),
        };
        world.centres.iter_mut().for_each(|centre| centre.process.start());
        world.all_ready().await;
        world.gateways.iter_mut().for_each(|gateway| gateway.process.start());
        // From the beginning: nothing was served before.
        (world.started, world.accounted) = (second() - 1, second() - 1);
        world.stored_after(microseconds(), None).await;
        Some(world)
    }

    pub fn folder(&self) -> &Path {
        self.folder.0.path()
    }

    pub async fn client(&self) -> Client {
        connect(&self.url).await
    }

    pub async fn count(&self, sql: &str) -> i64 {
        self.client().await.query_one(sql, &[]).await.unwrap().get(0)
    }

    /// Waits until each outlet (of one gateway, or of all) has a stored reading of a tick after this moment; gives the seconds
    /// from that moment to then.
    pub async fn stored_after(&self, moment: i64, gateway: Option<usize>) -> f64 {
        let gateways =
            self.gateways.iter().enumerate().filter(|(index, _)| gateway.is_none_or(|g| g == *index));
        let outlets: Vec<&str> =
            gateways.flat_map(|(_, gateway)| gateway.outlets.iter().map(String::as_str)).collect();
        let sql = "SELECT o.code FROM outlet o WHERE o.code = ANY ($1) AND NOT EXISTS (SELECT FROM scan s WHERE s.outlet_id = o.id \
                   AND s.measured_at > 'epoch'::timestamptz + $2::int8 * interval '1 microsecond' AND s.measured[1] IS NOT NULL)";
        let client = self.client().await;
        wait_until(LIMIT, "readings in the table", || async {
            let missing = client.query(sql, &[&outlets, &moment]).await.unwrap();
            let missing: Vec<String> = missing.iter().map(|row| row.get(0)).collect();
            if missing.is_empty() { Ok(()) } else { Err((missing, self.last_words())) }
        })
        .await;
        (microseconds() - moment) as f64 / 1e6
    }

    /// Whether all centres say that they are ready.
    pub async fn all_ready(&self) {
        for centre in &self.centres {
            wait_until(LIMIT, "a centre to be ready", || async {
                centre.ready().await.then_some(()).ok_or_else(|| centre.process.said())
            })
            .await;
        }
    }

    /// Waits until no centre says that it is ready.
    pub async fn none_ready(&self) {
        for centre in &self.centres {
            wait_until(LIMIT, "a centre to say that something is missing", || async {
                if centre.ready().await { Err(()) } else { Ok(()) }
            })
            .await;
        }
    }

    /// What each program said last, for whoever looks for a reason.
    fn last_words(&self) -> String {
        let programs = self.centres.iter().map(|centre| &centre.process);
        let programs = programs.chain(self.gateways.iter().map(|gateway| &gateway.process));
        let last = |text: String| text.lines().rev().take(3).collect::<Vec<_>>().join("\n");
        programs.map(|process| last(process.said())).collect::<Vec<_>>().join("\n")
    }
}

async fn centre(number: usize, url: &str, (broker, queued): (u16, u32), folder: &Path) -> Centre {
    let socket = url.split_whitespace().find_map(|word| word.strip_prefix("host=")).unwrap();
    let to_database = Proxy::to(Target::Socket(Path::new(socket).join(".s.PGSQL.5432"))).await;
    let to_broker = Proxy::to(Target::Port(broker)).await;
    let http = lasting_port();
    let file = folder.join(format!("central-{number}.toml"));
    // The broker counts only what is not under way to the client against the limit of its queue.
    let inflight = if queued < 2000 { 20 } else { 2000 };
    std::fs::write(&file, documents::centre(to_database.port(), to_broker.port(), http, inflight)).unwrap();
    let arguments = ["central", "--config", file.to_str().unwrap()];
    let process = Process::cems(&format!("central-{number}"), folder, &arguments);
    Centre { process, to_database, to_broker, http }
}

impl Centre {
    async fn ready(&self) -> bool {
        let asked = async {
            let mut line = TcpStream::connect(("127.0.0.1", self.http)).await.ok()?;
            line.write_all(b"GET /readyz HTTP/1.1\r\nHost: centre\r\nConnection: close\r\n\r\n")
                .await
                .ok()?;
            let mut answer = String::new();
            line.read_to_string(&mut answer).await.ok()?;
            Some(answer.starts_with("HTTP/1.1 200"))
        };
        tokio::time::timeout(Duration::from_secs(5), asked).await.ok().flatten() == Some(true)
    }
}

async fn gateway(
    name: &'static str,
    options: Options,
    (folder, spool): (&Path, &Path),
    (witness, broker): (&Witness, u16),
) -> Gateway {
    let to_broker = Proxy::to(Target::Port(broker)).await;
    let outlets: Vec<String> = documents::outlets(options.copies)
        .into_iter()
        .filter(|(_, gateway)| *gateway == name)
        .map(|(code, _)| code)
        .collect();
    let scenario = documents::scenario(options.copies, |code| outlets.iter().any(|outlet| outlet == code));
    let place = (spool.to_str().unwrap(), to_broker.port());
    let configuration = configuration(name, &scenario, witness.simulator(), place);
    let file = folder.join(format!("{name}.toml"));
    std::fs::write(&file, &configuration).unwrap();
    let mut process = Process::cems(name, folder, &["gateway", "--config", file.to_str().unwrap()]);
    if options.clock {
        clock_step::set(folder, 0);
        for (name, value) in clock_step::environment(folder) {
            process = process.with_environment(&name, &value);
        }
    }
    Gateway { name, process, to_broker, outlets, configuration }
}
