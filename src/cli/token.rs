//! `cems token`: tokens of the API, made, listed, revoked. A token is printed once; only its hash is kept.

use std::process::ExitCode;

use jiff::SignedDuration;
use tokio_postgres::Client;

use crate::cli::database::{Database, Failure, finish};
use crate::cli::who::who;
use crate::clock;
use crate::domain::handling::is_name;
use crate::domain::token::{Permission, Reach};
use crate::store::token::{self as store, NewToken, TokenRow};

/// Arguments of `cems token`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Make one; it is printed once, on standard output
    Create(Create),
    /// List all: what each may do, until when, and when it was used last
    List {
        /// One JSON object
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        database: Database,
    },
    /// Revoke one for ever, from now on
    Revoke {
        /// Its name
        name: String,
        /// Who does it; else the user of the system
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
        #[command(flatten)]
        database: Database,
    },
}

#[derive(Debug, clap::Args)]
struct Create {
    /// Whom or what it is for; stands beside everything that is done with it
    #[arg(long)]
    name: String,
    /// What it may do, separated by commas
    #[arg(long, value_delimiter = ',', required = true, value_name = "SCOPES",
          value_parser = clap::builder::PossibleValuesParser::new(Permission::ALL.map(Permission::name)))]
    scope: Vec<String>,
    /// Only for this enterprise: its unified social credit code
    #[arg(long, value_name = "CODE")]
    enterprise: Option<String>,
    /// Only for divisions that begin so
    #[arg(long, value_name = "PREFIX", default_value = "")]
    division: String,
    /// So long it is in force
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u16).range(1..=3660))]
    days: u16,
    /// Who makes it; else the user of the system
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    #[command(flatten)]
    database: Database,
}

/// Runs it.
pub(super) fn run(arguments: Arguments) -> ExitCode {
    finish(async move {
        match arguments.what {
            What::Create(create) => make(create).await,
            What::List { json, database } => list(&connect(&database).await?, json).await,
            What::Revoke { name, by, database } => {
                revoke(&connect(&database).await?, &name, &who(by, "--by")?).await
            }
        }
    })
}

async fn connect(database: &Database) -> Result<Client, Failure> {
    database.connect("cems token").await
}

async fn make(create: Create) -> Result<(), Failure> {
    let name = create.name.trim().to_owned();
    if !is_name(&name) {
        return Err(Failure::input(
            "--name has 1 to 80 characters on one line; name whom or what the token is for",
        ));
    }
    if create.division.len() > 6 || !create.division.bytes().all(|byte| byte.is_ascii_digit()) {
        let text = format!(
            "--division is the beginning of a division code, up to six digits; found {:?}",
            create.division
        );
        return Err(Failure::input(text));
    }
    let by = who(create.by, "--by")?;
    let client = connect(&create.database).await?;
    if let Some(code) = &create.enterprise {
        let known =
            store::knows_enterprise(&client, code).await.map_err(|failure| Failure::work(&failure))?;
        if !known {
            let text = format!(
                "--enterprise: there is none with the code {code:?}; seed it first, or correct the code"
            );
            return Err(Failure::input(text));
        }
    }
    let now = clock::now();
    let mut permissions: Vec<Permission> =
        create.scope.iter().filter_map(|scope| Permission::from_name(scope)).collect();
    permissions.sort_unstable();
    permissions.dedup();
    let new = NewToken {
        name,
        permissions,
        reach: Reach { enterprise: create.enterprise, division: create.division },
        expires_at: now.checked_add(SignedDuration::from_hours(24 * i64::from(create.days))).unwrap_or(now),
    };
    let made = store::create(&client, &new, (&by, now)).await.map_err(|failure| Failure::work(&failure))?;
    let Some(token) = made else {
        return Err(Failure::input(format!(
            "there is a token named {:?}; nothing was made: choose another name",
            new.name
        )));
    };
    eprintln!(
        "token {:?}, in force until {}; it is shown this once and kept nowhere:",
        new.name, new.expires_at
    );
    println!("{token}");
    Ok(())
}

async fn list(client: &Client, json: bool) -> Result<(), Failure> {
    let tokens = store::list(client).await.map_err(|failure| Failure::work(&failure))?;
    if json {
        println!("{}", serde_json::json!({ "tokens": tokens }));
        return Ok(());
    }
    println!(
        "{:<24} {:<8} {:<20} {:<20} {:<18} {:<8} scopes",
        "name", "state", "until", "last used", "enterprise", "division"
    );
    for token in &tokens {
        let used = token.used_at.map_or("never".to_owned(), |at| second(at).to_string());
        println!(
            "{:<24} {:<8} {:<20} {used:<20} {:<18} {:<8} {}",
            token.name,
            state(token),
            second(token.expires_at).to_string(),
            token.enterprise.as_deref().unwrap_or("all"),
            if token.division.is_empty() { "all" } else { &token.division },
            token.scopes.join(",")
        );
    }
    Ok(())
}

fn second(at: jiff::Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_second(at.as_second()).unwrap_or(at)
}

fn state(token: &TokenRow) -> &'static str {
    match token.revoked_at {
        Some(_) => "revoked",
        None if token.expires_at <= clock::now() => "over",
        None => "in force",
    }
}

async fn revoke(client: &Client, name: &str, by: &str) -> Result<(), Failure> {
    let now = clock::now();
    let found = store::revoke(client, name, (by, now)).await.map_err(|failure| Failure::work(&failure))?;
    let Some(token) = found else {
        return Err(Failure::input(format!("no token is named {name:?}; `cems token list` shows them")));
    };
    let (at, by) = (token.revoked_at.unwrap_or(now), token.revoked_by.unwrap_or_default());
    println!("{name} is revoked since {at}, by {by}");
    Ok(())
}
