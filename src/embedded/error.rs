//! Why a server does not start, and what to do about it.

use std::io;
use std::path::PathBuf;

/// What keeps a private server from working.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// A program is not installed.
    #[error(
        "{program} was not found on PATH or in {searched}; install it with `apt-get install {packages}` (Debian, Ubuntu), \
         or put it on PATH"
    )]
    Missing { program: &'static str, searched: &'static str, packages: &'static str },
    /// The data was made by a PostgreSQL that is not here.
    #[error(
        "{folder} holds data of PostgreSQL {made_by}, but only {found} is installed; install postgresql-{made_by}, or choose \
         another folder"
    )]
    OtherVersion { folder: PathBuf, made_by: u32, found: String },
    /// Root has no user to hand the server to.
    #[error(
        "a server never runs as root, and /etc/passwd has neither user {wanted} nor nobody; add one of them"
    )]
    NoUser { wanted: &'static str },
    /// The server's user cannot get at the folder, nor at the one that stands in for it.
    #[error(
        "user {user} cannot enter {folder}; choose a folder that others may enter (not below root's home)"
    )]
    Unreachable { user: String, folder: PathBuf },
    /// Another program of ours uses the folder.
    #[error("{folder} is in use by another running cems; stop that one or choose another folder")]
    InUse { folder: PathBuf },
    /// The server, or a program that prepares it, ended by itself.
    #[error("{program} ended by itself ({status}); its last words, from {log}:\n{words}")]
    Ended { program: &'static str, status: String, log: PathBuf, words: String },
    /// The server runs but does not answer.
    #[error("{program} does not answer {seconds} s after its start; see {log}")]
    Slow { program: &'static str, seconds: u64, log: PathBuf },
    /// A name that a database cannot have.
    #[error("{name:?} is no name of a database; allowed are 1 to 63 of a-z, 0-9 and _")]
    DatabaseName { name: String },
    /// The database refused or did not answer.
    #[error("PostgreSQL failed to create database {name}")]
    CreateDatabase { name: String, source: tokio_postgres::Error },
    /// The database did not answer in time.
    #[error("PostgreSQL gave no answer within {seconds} s")]
    NoAnswer { seconds: u64 },
    /// A name that a broker account cannot have.
    #[error("{name:?} is no name of a broker account; allowed are 1 to 64 of a-z, 0-9 and -, each once")]
    AccountName { name: String },
    /// The operating system refused something.
    #[error("cannot {doing}: {source}")]
    System { doing: String, source: io::Error },
}

/// Names what was being done, for an error of the operating system.
pub(super) trait Doing<T> {
    /// Turns the bare error into one that a person can act on.
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, ServerError>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, ServerError> {
        self.map_err(|source| ServerError::System { doing: what(), source })
    }
}
