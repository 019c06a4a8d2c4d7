//! Connections to PostgreSQL. Each has a bound on everything that can hang: connecting, a statement, a lock, a silent peer.

use std::time::Duration;

use tokio_postgres::config::Host;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls};

/// How long what may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeOuts {
    /// From the first packet to a session that answers.
    pub connect: Duration,
    /// One statement; `None` only for migrations.
    pub statement: Option<Duration>,
    /// Waiting for a lock.
    pub lock: Duration,
}

impl Default for TimeOuts {
    fn default() -> Self {
        TimeOuts {
            connect: Duration::from_secs(10),
            statement: Some(Duration::from_secs(15)),
            lock: Duration::from_secs(10),
        }
    }
}

/// Without an answer for this long a peer is taken for dead.
const SILENCE: Duration = Duration::from_secs(15);

/// Why there is no connection. Passwords are never in it.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Whose fault: configuration. Retrying does not help.
    #[error(
        "the database URL cannot be read: {detail}; write postgres://USER[:PASSWORD]@HOST[:PORT]/DATABASE, or \
         host=… user=… dbname=…"
    )]
    Url { detail: String },
    /// Whose fault: link, or a server that is not up. Retrying helps.
    #[error("no PostgreSQL answers at {target}; start it, or correct database.url")]
    Unreachable { target: String, source: tokio_postgres::Error },
    /// Whose fault: link, or a server that hangs. Retrying helps.
    #[error("PostgreSQL at {target} did not answer within {seconds} s; look at its load and at the network")]
    Silent { target: String, seconds: u64 },
    /// The server answered that it does not want us.
    #[error("PostgreSQL at {target} refuses: {message}; {remedy}")]
    Refused { target: String, message: String, remedy: &'static str, retry_helps: bool },
}

impl ConnectError {
    /// Whether waiting can help.
    pub const fn retry_helps(&self) -> bool {
        match self {
            ConnectError::Url { .. } => false,
            ConnectError::Unreachable { .. } | ConnectError::Silent { .. } => true,
            ConnectError::Refused { retry_helps, .. } => *retry_helps,
        }
    }
}

/// Connects with the usual time-outs. `application` is what `pg_stat_activity` shows.
///
/// # Errors
/// [`ConnectError`], with the remedy.
pub async fn connect(url: &str, application: &str) -> Result<Client, ConnectError> {
    connect_within(url, application, TimeOuts::default()).await
}

/// Connects. The task that drives the connection ends when the client is dropped or the link is lost; every call on the
/// client then fails at once.
///
/// # Errors
/// [`ConnectError`], with the remedy.
pub async fn connect_within(
    url: &str,
    application: &str,
    time_outs: TimeOuts,
) -> Result<Client, ConnectError> {
    let mut config: Config = url
        .parse()
        .map_err(|error: tokio_postgres::Error| ConnectError::Url { detail: explained(&error) })?;
    config
        .application_name(application)
        .connect_timeout(time_outs.connect)
        .tcp_user_timeout(SILENCE)
        .keepalives(true)
        .keepalives_idle(SILENCE / 3)
        .keepalives_interval(SILENCE / 3)
        .keepalives_retries(2);
    let target = target(&config);
    let silent =
        |_elapsed| ConnectError::Silent { target: target.clone(), seconds: time_outs.connect.as_secs() };
    let (client, connection) = tokio::time::timeout(time_outs.connect, config.connect(NoTls))
        .await
        .map_err(silent)?
        .map_err(|error| refused(&target, error))?;
    tokio::spawn(async move {
        // Whoever uses the client learns of it there.
        if let Err(error) = connection.await {
            tracing::debug!(error = explained(&error), "database connection ended");
        }
    });
    tokio::time::timeout(time_outs.connect, client.batch_execute(&session(time_outs)))
        .await
        .map_err(silent)?
        .map_err(|error| refused(&target, error))?;
    Ok(client)
}

/// Set after connecting and not as start-up options, which connection poolers drop.
fn session(time_outs: TimeOuts) -> String {
    let statement = time_outs.statement.map_or(0, |time_out| time_out.as_millis());
    format!(
        "SET statement_timeout = {statement}; SET lock_timeout = {}; \
         SET idle_in_transaction_session_timeout = 60000; SET timezone = 'UTC'; SET client_min_messages = warning",
        time_outs.lock.as_millis()
    )
}

fn target(config: &Config) -> String {
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(host)) => format!("{host}:{port}"),
        Some(Host::Unix(folder)) => format!("{} port {port}", folder.display()),
        None => format!("localhost:{port}"),
    };
    let database = config.get_dbname().or(config.get_user()).unwrap_or_default();
    format!("{host}, database {database:?}")
}

fn refused(target: &str, error: tokio_postgres::Error) -> ConnectError {
    let target = target.to_owned();
    let Some(answer) = error.as_db_error() else {
        let text = explained(&error);
        if text.contains("missing") || text.contains("TLS") {
            return ConnectError::Url { detail: text };
        }
        return ConnectError::Unreachable { target, source: error };
    };
    let code = answer.code();
    let (remedy, retry_helps) = if *code == SqlState::INVALID_CATALOG_NAME {
        ("create the database (createdb), or correct its name in database.url", false)
    } else if *code == SqlState::INVALID_PASSWORD || *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION {
        ("correct user and password in database.url, or allow the user in pg_hba.conf", false)
    } else if *code == SqlState::TOO_MANY_CONNECTIONS {
        ("raise max_connections or stop other clients", true)
    } else {
        ("see the server's log", true)
    };
    ConnectError::Refused { target, message: answer.message().to_owned(), remedy, retry_helps }
}

/// An error with its causes in one line: tokio-postgres keeps what matters in the cause.
pub fn explained(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_refusal_says_where_and_what_to_do_but_no_password() {
        let error = connect("postgres://cems:secret@127.0.0.1:1/plant", "test").await.unwrap_err();
        assert!(error.retry_helps(), "{error:?}");
        assert_eq!(
            error.to_string(),
            "no PostgreSQL answers at 127.0.0.1:1, database \"plant\"; start it, or correct database.url"
        );
        let error = connect("postgres://cems:secret@localhost:nine/plant", "test").await.unwrap_err();
        assert!(!error.retry_helps() && !error.to_string().contains("secret"), "{error}");
    }

    #[tokio::test]
    async fn a_server_that_says_nothing_is_given_up() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("postgres://cems@{}/plant", listener.local_addr().unwrap());
        let short = TimeOuts { connect: Duration::from_millis(100), ..TimeOuts::default() };
        let error = connect_within(&url, "test", short).await.unwrap_err();
        assert!(matches!(error, ConnectError::Silent { .. }), "{error:?}");
    }
}
