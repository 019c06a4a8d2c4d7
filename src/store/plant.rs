//! Pollutants, rules, enterprises, outlets, gateways and the law's lists in the store. Saving is repeatable and only ever adds: what is
//! stored and may have entered a figure is never replaced, and a catalogue that says otherwise is refused whole.

/// What a catalogue adds to the stored one, and where it contradicts it. No SQL.
mod compare;
/// The stored catalogue, in a handful of queries.
mod read;
/// The statements that add and change rows.
mod write;

use std::fmt;

use tokio_postgres::Client;

use crate::clock;
use crate::config::catalogue::{Catalogue, Dangling, NotifyChannel};
use crate::domain::plant::Plant;
use crate::store::law;
use crate::store::session::{Failure, bounded};

pub use compare::{Counts, Refusal, Saved};
pub(super) use read::catalogue;

/// Key of the advisory lock that lets one save work at a time.
const LOCK: i64 = 0x706c_616e;
/// How often a load is repeated when a save comes between its queries.
pub(super) const LOAD_ATTEMPTS: u32 = 5;

/// Why a plant was not saved or loaded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the database failed; nothing was saved")]
    Database {
        #[from]
        source: Failure,
    },
    /// Whose fault: the caller.
    #[error("{0}")]
    Refused(Refusals),
    #[error(
        "stored {table}.{column} is {found:?}, which this version does not know; run the version that wrote it, or \
         correct the row"
    )]
    Unreadable { table: &'static str, column: &'static str, found: String },
    #[error("stored rows of {table} for {owner} hold at the same time; correct them")]
    Overlap { table: &'static str, owner: String, source: crate::domain::history::Overlap },
    #[error("the stored plant is incomplete")]
    Dangling {
        #[from]
        source: Dangling,
    },
    #[error("the plant changed {LOAD_ATTEMPTS} times while it was loaded; try again")]
    Restless,
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Error {
        Error::Database { source: error.into() }
    }
}

/// Every contradiction between a catalogue and what is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusals(pub Vec<Refusal>);

impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for refusal in &self.0 {
            writeln!(f, "{refusal}")?;
        }
        write!(f, "{} contradicted; nothing was saved", self.0.len())
    }
}

/// Saves a checked catalogue in one transaction. Saving the same again changes nothing; entries that the catalogue does
/// not mention stay; channels get positions behind those that the outlet has.
///
/// # Errors
/// [`Error::Refused`] with every contradiction; nothing is saved then, nor after any other error.
pub async fn save(client: &mut Client, catalogue: &Catalogue) -> Result<Saved, Error> {
    let transaction = bounded(client.transaction()).await?;
    bounded(transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK])).await?;
    let stored = read::catalogue(&transaction).await?;
    let changes = compare::compare(&stored, catalogue);
    let of_law = law::compare(&transaction, &catalogue.law).await?;
    let (changes, of_law) = match (changes, of_law) {
        (Ok(changes), Ok(of_law)) => (changes, of_law),
        (changes, of_law) => {
            let refusals = changes.err().into_iter().chain(of_law.err()).flatten().collect();
            return Err(Error::Refused(Refusals(refusals)));
        }
    };
    let mut saved = changes.counted();
    saved.0.extend(of_law.counts());
    if saved.changes_anything() {
        write::write(&transaction, changes).await?;
        law::write(&transaction, of_law, &catalogue.law, clock::now()).await?;
        bounded(transaction.execute("UPDATE plant_revision SET revision = revision + 1", &[])).await?;
    }
    bounded(transaction.commit()).await?;
    Ok(saved)
}

/// A number that grows with every save that changed something: while it stands, what [`load`] gave is up to date.
///
/// # Errors
/// [`Error::Database`]
pub async fn revision(client: &Client) -> Result<i64, Error> {
    let row = bounded(client.query_one("SELECT revision FROM plant_revision", &[])).await?;
    Ok(row.try_get(0)?)
}

/// Everything that is stored, as calculations see it, as of one moment.
///
/// # Errors
/// [`Error::Database`], or stored rows that this version cannot read.
pub async fn load(client: &Client) -> Result<Plant, Error> {
    Ok(load_steadily(client).await?.into_plant()?)
}

/// Everything that is stored, also what no calculation needs, as of one moment.
///
/// # Errors
/// As [`load`].
pub async fn load_catalogue(client: &Client) -> Result<Catalogue, Error> {
    let mut catalogue = load_steadily(client).await?;
    catalogue.law = law::load(client, None).await?;
    Ok(catalogue)
}

async fn load_steadily(client: &Client) -> Result<Catalogue, Error> {
    // Several statements see several moments: an unchanged revision says that it was one.
    for _attempt in 0..LOAD_ATTEMPTS {
        let before = revision(client).await?;
        let catalogue = read::catalogue(client).await;
        if revision(client).await? == before {
            return catalogue;
        }
    }
    Err(Error::Restless)
}

/// Where alerts go, by name.
///
/// # Errors
/// [`Error::Database`], [`Error::Unreadable`]
pub async fn load_notify(client: &Client) -> Result<Vec<NotifyChannel>, Error> {
    read::notify(client).await
}
