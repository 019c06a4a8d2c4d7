//! PostgreSQL and mosquitto as private child processes: for the demo, the tests and small sites. The same servers and
//! the same durability as at a large site, with nothing to set up by hand. One rule binds all of it: nothing outlives us, also
//! not after `kill -9`, and nobody else on the machine gets in.

/// Both servers in one folder, started together.
pub mod servers;
/// A private PostgreSQL on a unix socket.
pub mod postgres;
/// A private mosquitto on a loopback port.
pub mod mosquitto;
/// Why a server does not start, and what to do about it.
pub mod error;
/// Where the servers' programs are.
mod programs;
/// Which user of the system a server runs as; never root.
mod run_as;
/// Where a server's files are, and who holds them.
mod place;
/// A child process that dies with us.
mod children;

pub use error::ServerError;
pub use mosquitto::{Access, Account, Mosquitto};
pub use place::erase;
pub use postgres::Postgres;
pub use servers::Servers;
