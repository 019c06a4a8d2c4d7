//! Which database a subcommand works on, and how its failures become exit codes.

use std::path::PathBuf;
use std::process::ExitCode;

use jiff::tz::TimeZone;
use tokio_postgres::Client;

use crate::cli::exit_code;
use crate::cli::sources::read_file;
use crate::config::central::Timescale;
use crate::config::check;
use crate::config::document::{Document, Overlay};
use crate::store::connect::{self, ConnectError};

/// One of both, or `CEMS__DATABASE__URL`.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
pub(super) struct Database {
    /// Database, as postgres://USER[:PASSWORD]@HOST[:PORT]/DATABASE
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// The centre's configuration, whose database.url is taken
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Why a subcommand ended early: its exit code and the text for the user.
pub(super) struct Failure {
    pub code: u8,
    pub text: String,
}

impl Failure {
    /// The caller's input is wrong.
    pub fn input(text: impl Into<String>) -> Failure {
        Failure { code: exit_code::WRONG_INPUT, text: text.into() }
    }

    /// Something that we need failed us.
    pub fn work(error: &(dyn std::error::Error + 'static)) -> Failure {
        Failure { code: exit_code::FAILED, text: connect::explained(error) }
    }
}

impl Database {
    /// Connects.
    pub async fn connect(&self, application: &str) -> Result<Client, Failure> {
        connect::connect(&self.url()?, application).await.map_err(|error| match &error {
            ConnectError::Url { .. } => Failure::input(error.to_string()),
            ConnectError::Unreachable { .. } | ConnectError::Silent { .. } | ConnectError::Refused { .. } => {
                Failure::work(&error)
            }
        })
    }

    /// The jurisdiction's time zone: `central.zone` of the configuration, or the usual one.
    pub fn zone(&self) -> Result<TimeZone, Failure> {
        const USUAL: &str = "Asia/Shanghai";
        let named = |name: &str| TimeZone::get(name).ok();
        let zone = match &self.config {
            None => named(USUAL),
            Some(file) => {
                let source = read_file(file)?;
                let document = Document::parse(&source.file, &source.text, Overlay::Environment)
                    .map_err(|problems| Failure::input(problems.to_string()))?;
                let zone = document.root().table("central").optional("zone", check::any_text());
                named(zone.flatten().as_deref().unwrap_or(USUAL))
            }
        };
        zone.ok_or_else(|| {
            Failure::input("central.zone is a time zone of the IANA database, as \"Asia/Shanghai\"")
        })
    }

    /// How new tables are to be kept: the given word, or `database.timescale` of the configuration or the environment.
    pub fn timescale(&self, given: Option<&str>) -> Result<Timescale, Failure> {
        let wrong = |found: &str| {
            Failure::input(format!("database.timescale: found {found}; write \"auto\", \"on\" or \"off\""))
        };
        let known = |word: &str| {
            let found = Timescale::WORDS.iter().find(|(name, _)| *name == word).map(|(_, wish)| *wish);
            found.ok_or_else(|| wrong(&format!("{word:?}")))
        };
        match (given, &self.config) {
            (Some(word), _) => known(word),
            (None, Some(file)) => {
                let source = read_file(file)?;
                let document = Document::parse(&source.file, &source.text, Overlay::Environment)
                    .map_err(|problems| Failure::input(problems.to_string()))?;
                let word = document.root().table("database").optional("timescale", check::any_text());
                word.ok_or_else(|| wrong("no text"))?.map_or(Ok(Timescale::Auto), |word| known(&word))
            }
            (None, None) => {
                std::env::var("CEMS__DATABASE__TIMESCALE").map_or(Ok(Timescale::Auto), |word| known(&word))
            }
        }
    }

    /// The database's URL.
    pub fn url(&self) -> Result<String, Failure> {
        let url = match (&self.database, &self.config) {
            (Some(url), _) => url.clone(),
            (None, Some(file)) => of_configuration(&read_file(file)?)?,
            (None, None) => {
                let missing = |_unset| {
                    Failure::input(
                        "no database is named: give --database URL, --config FILE or CEMS__DATABASE__URL",
                    )
                };
                std::env::var("CEMS__DATABASE__URL").map_err(missing)?
            }
        };
        if url == "embedded" {
            return Err(Failure::input(
                "database.url is \"embedded\": that database runs only inside `cems central`, which migrates it itself",
            ));
        }
        Ok(url)
    }
}

/// `database.url` of a configuration, from the file or the environment; its other keys are not looked at.
fn of_configuration(source: &crate::config::kind::Source) -> Result<String, Failure> {
    let document = Document::parse(&source.file, &source.text, Overlay::Environment)
        .map_err(|problems| Failure::input(problems.to_string()))?;
    let url = document.root().table("database").required("url", check::any_text());
    url.ok_or_else(|| {
        Failure::input(format!("{}: database.url: found nothing; give the database", source.file))
    })
}

/// Runs `work` to its end; a failure goes to standard error.
pub(super) fn finish(work: impl Future<Output = Result<(), Failure>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(work),
        Err(error) => Err(Failure::work(&error)),
    };
    match outcome {
        Ok(()) => exit_code::OK,
        Err(Failure { code, text }) => {
            eprintln!("{text}");
            ExitCode::from(code)
        }
    }
}
