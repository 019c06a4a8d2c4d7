//! `cems alert`: what is open and who has it; taking it, giving it to somebody, commenting, closing it with a reason, silencing. It works on
//! the database like the other commands, so that it also works when HTTP does not.

/// What is open.
mod list;
/// One episode whole.
mod show;
/// What people do about one.
mod act;
/// Silences and planned maintenance.
mod silence;
/// A test of the way to people.
mod test;

use std::process::ExitCode;

use tokio_postgres::Client;

use crate::cli::database::{Database, Failure, finish};
use crate::domain::alerting::Language;
use crate::domain::closing::{Action, Reason};

/// Arguments of `cems alert`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// List episodes that are open or that somebody still has to close, the newest first
    List(list::Arguments),
    /// Show one whole: who has it, what people did, what changed, who was told
    Show(show::Arguments),
    /// Take one: nobody else is called any more
    Ack(act::Acknowledge),
    /// Give one to somebody by name
    Assign(act::Assign),
    /// Say something about one
    Comment(act::Comment),
    /// End the handling of one, with a reason and an action
    Close(act::Close),
    /// Silence what is known, or plan maintenance
    Silence(silence::Arguments),
    /// Send a marked test by the way that alerts go, and show how long it took
    Test(test::Arguments),
    /// Print the codes of reasons and actions
    Codes,
}

/// Runs it.
pub(super) fn run(arguments: Arguments) -> ExitCode {
    finish(async move {
        match arguments.what {
            What::List(arguments) => list::run(arguments).await,
            What::Show(arguments) => show::run(arguments).await,
            What::Ack(arguments) => arguments.run().await,
            What::Assign(arguments) => arguments.run().await,
            What::Comment(arguments) => arguments.run().await,
            What::Close(arguments) => arguments.run().await,
            What::Silence(arguments) => silence::run(arguments).await,
            What::Test(arguments) => test::run(arguments).await,
            What::Codes => {
                codes();
                Ok(())
            }
        }
    })
}

async fn connect(database: &Database) -> Result<Client, Failure> {
    database.connect("cems alert").await
}

fn codes() {
    println!("--reason");
    for reason in Reason::ALL {
        println!("  {:<20} {:<28} {}", reason.name(), reason.text(Language::En), reason.text(Language::Zh));
    }
    println!("--action");
    for action in Action::ALL {
        println!("  {:<20} {:<28} {}", action.name(), action.text(Language::En), action.text(Language::Zh));
    }
}

/// A time as people read it: to the second.
fn second(at: jiff::Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// What a terminal may show: names cannot move its cursor.
fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}
