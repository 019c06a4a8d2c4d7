//! One database session with its prepared statements. It opens itself when needed, bounds every wait, and is thrown away
//! after any failure that leaves its state unknown.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement, ToStatement};

use crate::store::connect::connect;

/// No statement may take longer; a hung server is noticed in this time.
pub const LONGEST: Duration = Duration::from_secs(15);

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The server cannot be reached, hung, or closed the session: wait and try again.
    #[error("{0}")]
    Unavailable(String),
    /// The server refuses this data (a constraint, a bad value): trying the same again is of no use.
    #[error("the database refuses the data: {0}")]
    Refused(String),
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Failure {
        let Some(db) = error.as_db_error() else {
            return Failure::Unavailable(format!("the database connection failed: {}", chain(&error)));
        };
        let text = format!("{} ({})", db.message(), db.code().code());
        // Says 23514 like a check, but the data is right: the partition is missing, and can be made.
        if db.routine() == Some("ExecFindPartition") {
            return Failure::Unavailable(format!("the database has no partition for it: {text}"));
        }
        // Classes 22, 23 and 54 (too large) are about the data; all others (shutting down, out of disk, deadlock) may pass.
        if ["22", "23", "54"].iter().any(|class| db.code().code().starts_with(class)) {
            Failure::Refused(text)
        } else {
            Failure::Unavailable(format!("the database did not do it: {text}"))
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Waits for `work` at most [`LONGEST`].
///
/// # Errors
/// [`Failure::Unavailable`] when the time is over; whatever `work` fails with.
pub async fn bounded<T, E: Into<Failure>>(work: impl Future<Output = Result<T, E>>) -> Result<T, Failure> {
    match tokio::time::timeout(LONGEST, work).await {
        Ok(result) => result.map_err(Into::into),
        Err(_late) => Err(Failure::Unavailable(format!(
            "the database did not answer within {} s; check whether it hangs or its disk is full",
            LONGEST.as_secs()
        ))),
    }
}

/// What keeps somebody from the database, so that it is said once and not at every attempt.
#[derive(Debug, Default)]
pub struct Trouble(Option<String>);

impl Trouble {
    /// Notes it; true when it is another one than last time.
    pub fn is_new(&mut self, reason: &str) -> bool {
        let new = self.0.as_deref() != Some(reason);
        self.0 = Some(reason.to_owned());
        new
    }

    /// It works again.
    pub fn over(&mut self) {
        self.0 = None;
    }
}

/// The parameters of a statement.
pub type Params<'p> = &'p [&'p (dyn ToSql + Sync)];

/// Rows of a statement, within [`LONGEST`].
///
/// # Errors
/// [`Failure`].
pub async fn query<S: ToStatement + ?Sized>(
    client: &Client,
    sql: &S,
    params: Params<'_>,
) -> Result<Vec<Row>, Failure> {
    bounded(client.query(sql, params)).await
}

/// The only row of a statement, within [`LONGEST`].
///
/// # Errors
/// [`Failure`].
pub async fn query_one<S: ToStatement + ?Sized>(
    client: &Client,
    sql: &S,
    params: Params<'_>,
) -> Result<Row, Failure> {
    bounded(client.query_one(sql, params)).await
}

/// The row of a statement, if there is one, within [`LONGEST`].
///
/// # Errors
/// [`Failure`].
pub async fn query_opt<S: ToStatement + ?Sized>(
    client: &Client,
    sql: &S,
    params: Params<'_>,
) -> Result<Option<Row>, Failure> {
    bounded(client.query_opt(sql, params)).await
}

/// Runs a statement, within [`LONGEST`].
///
/// # Errors
/// [`Failure`].
pub async fn execute<S: ToStatement + ?Sized>(
    client: &Client,
    sql: &S,
    params: Params<'_>,
) -> Result<u64, Failure> {
    bounded(client.execute(sql, params)).await
}

/// A session that opens itself.
pub struct Session {
    url: String,
    open: Option<Open>,
}

struct Open {
    client: Client,
    statements: HashMap<&'static str, Statement>,
}

impl Session {
    /// Nothing is opened yet.
    pub fn new(url: &str) -> Session {
        Session { url: url.to_owned(), open: None }
    }

    /// The open client, connecting when there is none.
    ///
    /// # Errors
    /// [`Failure::Unavailable`] with the remedy.
    pub async fn client(&mut self) -> Result<&Client, Failure> {
        self.opened().await.map(|open| &open.client)
    }

    /// The client with these statements prepared, in their order.
    ///
    /// # Errors
    /// [`Failure`] when connecting or preparing fails.
    pub async fn prepared<const N: usize>(
        &mut self,
        sql: [&'static str; N],
    ) -> Result<(&Client, [Statement; N]), Failure> {
        let open = self.opened().await?;
        let mut statements = Vec::with_capacity(N);
        for text in sql {
            let statement = if let Some(statement) = open.statements.get(text) {
                statement.clone()
            } else {
                let statement = bounded(open.client.prepare(text)).await?;
                open.statements.insert(text, statement.clone());
                statement
            };
            statements.push(statement);
        }
        let statements: [Statement; N] = statements
            .try_into()
            .map_err(|_length: Vec<Statement>| Failure::Unavailable("statements were lost".to_owned()))?;
        Ok((&open.client, statements))
    }

    /// Throws the session away: after a failure its transaction state is unknown.
    pub fn discard(&mut self) {
        self.open = None;
    }

    async fn opened(&mut self) -> Result<&mut Open, Failure> {
        let usable = self.open.take().filter(|open| !open.client.is_closed());
        let open = if let Some(open) = usable {
            open
        } else {
            let client =
                connect(&self.url, "cems").await.map_err(|error| Failure::Unavailable(error.to_string()))?;
            Open { client, statements: HashMap::new() }
        };
        Ok(self.open.insert(open))
    }
}
