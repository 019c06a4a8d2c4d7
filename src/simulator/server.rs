//! One Modbus TCP server an analyser. All of them listen before the simulation starts, and all end with it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_modbus::server::tcp::Server;
use tokio_util::sync::DropGuard;
use tokio_util::task::TaskTracker;

use crate::clock;
use crate::config::scenario::Scenario;
use crate::shutdown::Shutdown;
use crate::simulator::control::Control;
use crate::simulator::ledger::Ledger;
use crate::simulator::service::{Connection, Device};
use crate::simulator::simulation::Simulation;

/// Connections that one analyser accepts at a time; further ones are closed at once, as a real device does.
const MAX_CONNECTIONS: usize = 16;
/// Until the next attempt after the operating system refused to accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// What is not in the scenario.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Where every answer is written before it is sent; `None` for nowhere.
    pub ledger: Option<PathBuf>,
}

/// Why nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "cannot listen on {address} for {outlet}/{analyser} ({source}); stop what uses the address, or set `listen` to another port (0: any free port)"
    )]
    Listen { outlet: String, analyser: String, address: SocketAddr, source: io::Error },
    #[error("cannot use {} as the ledger ({source}); name a file in a folder that exists and is writable", path.display())]
    Ledger { path: PathBuf, source: io::Error },
}

/// One analyser at its actual address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub outlet: String,
    pub analyser: String,
    pub address: SocketAddr,
    pub unit: u8,
}

/// A simulation that serves. Dropping it ends it, like the shutdown it was started with.
#[derive(Debug)]
pub struct Running {
    endpoints: Vec<Endpoint>,
    control: Control,
    tasks: TaskTracker,
    ledger: Option<tokio::task::JoinHandle<()>>,
    stop: DropGuard,
}

/// Listens for every analyser, then starts the timeline.
///
/// # Errors
/// When an address cannot be listened on or the ledger not be opened; nothing is left running then.
pub async fn start(scenario: Scenario, options: Options, shutdown: Shutdown) -> Result<Running, Error> {
    let mut listeners = Vec::new();
    for outlet in &scenario.outlets {
        for analyser in &outlet.analysers {
            let failed = |source| Error::Listen {
                outlet: outlet.code.clone(),
                analyser: analyser.name.clone(),
                address: analyser.listen,
                source,
            };
            let listener = TcpListener::bind(analyser.listen).await.map_err(failed)?;
            let address = listener.local_addr().map_err(failed)?;
            listeners.push((listener, address));
        }
    }
    let (ledger, writer) = match options.ledger {
        Some(path) => {
            let (ledger, writer) = Ledger::open(&path).map_err(|source| Error::Ledger { path, source })?;
            (Some(ledger), Some(writer))
        }
        None => (None, None),
    };
    let simulation = Arc::new(Simulation::new(scenario, clock::now()));
    let control = Control::new(Arc::clone(&simulation));
    let tasks = TaskTracker::new();
    let stop = shutdown.child_token();
    let mut endpoints = Vec::new();
    for ((key, outlet, analyser), (listener, address)) in simulation.analysers().zip(listeners) {
        endpoints.push(Endpoint {
            outlet: outlet.code.clone(),
            analyser: analyser.name.clone(),
            address,
            unit: analyser.unit,
        });
        let device = Arc::new(Device {
            key,
            outlet: Arc::new(outlet.clone()),
            analyser: Arc::new(analyser.clone()),
            control: control.clone(),
            ledger: ledger.clone(),
        });
        tasks.spawn(serve(listener, device, tasks.clone(), stop.clone()));
    }
    tasks.close();
    Ok(Running { endpoints, control, tasks, ledger: writer, stop: stop.drop_guard() })
}

impl Running {
    /// Every analyser with its actual address, in the order of the scenario.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// The actual address of one analyser.
    pub fn address(&self, outlet: &str, analyser: &str) -> Option<SocketAddr> {
        let mut endpoints = self.endpoints.iter();
        endpoints
            .find(|known| known.outlet == outlet && known.analyser == analyser)
            .map(|known| known.address)
    }

    /// A hand on the plant.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// What is served, for any moment.
    pub fn simulation(&self) -> Arc<Simulation> {
        Arc::clone(self.control.simulation())
    }

    /// When the timeline began.
    pub fn started(&self) -> Timestamp {
        self.control.simulation().started()
    }

    /// Returns after the shutdown, when every port and connection is closed and the ledger is complete.
    pub async fn ended(self) {
        let Running { tasks, ledger, stop, .. } = self;
        tasks.wait().await;
        if let Some(writer) = ledger {
            // Its queue closed with the last connection. A panic in it has failed every answer since.
            let _ended = writer.await;
        }
        drop(stop);
    }
}

async fn serve(listener: TcpListener, device: Arc<Device>, tasks: TaskTracker, stop: Shutdown) {
    let free = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let server = Server::new(listener);
    let connected = |stream: TcpStream, _peer: SocketAddr| {
        let permit = Arc::clone(&free).try_acquire_owned().ok();
        let connection = permit.map(|permit| Connection {
            device: Arc::clone(&device),
            _permit: permit,
            _alive: tasks.token(),
        });
        async move {
            // Each answer leaves at once. A socket that refuses the option still serves.
            let _refused = stream.set_nodelay(true);
            Ok(connection.map(|connection| (connection, stream)))
        }
    };
    let (outlet, analyser) = (&device.outlet.code, &device.analyser.name);
    let ended = |error: io::Error| tracing::debug!(%error, "a Modbus connection broke");
    let serving = async {
        loop {
            if let Err(error) = server.serve(&connected, ended).await {
                tracing::warn!(%outlet, %analyser, %error, "cannot accept Modbus connections; trying again");
            }
            tokio::time::sleep(ACCEPT_PAUSE).await;
        }
    };
    let _stopped: Option<()> = stop.run_until_cancelled(serving).await;
}
