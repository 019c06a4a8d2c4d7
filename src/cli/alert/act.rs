//! What people do about an episode, from the command line. Exit code 3: somebody had done it already, and nothing changed.

use super::{connect, plain, show};
use crate::cli::database::{Database, Failure};
use crate::cli::exit_code::FOUND;
use crate::cli::who::who;
use crate::clock;
use crate::domain::alerting::Audience;
use crate::domain::closing::{Action, Reason};
use crate::domain::handling::{Deed, Outcome, Taken, Via};
use crate::domain::token::Reach;
use crate::store::handling::{Doer, act};
use crate::store::read::episodes::find;

/// What every deed needs.
#[derive(Debug, clap::Args)]
struct Of {
    /// Number of the episode
    episode: i64,
    /// For whom: each audience has a line of its own
    #[arg(long, default_value = "bureau",
          value_parser = clap::builder::PossibleValuesParser::new(Audience::ALL.map(Audience::name)))]
    audience: String,
    /// Who does it; else the user of the system
    #[arg(long = "as", value_name = "NAME")]
    by: Option<String>,
    #[command(flatten)]
    database: Database,
}

#[derive(Debug, clap::Args)]
pub(super) struct Acknowledge {
    #[command(flatten)]
    of: Of,
}

#[derive(Debug, clap::Args)]
pub(super) struct Assign {
    /// To whom
    #[arg(long, value_name = "NAME")]
    to: String,
    #[command(flatten)]
    of: Of,
}

#[derive(Debug, clap::Args)]
pub(super) struct Comment {
    /// What there is to say
    #[arg(long)]
    text: String,
    #[command(flatten)]
    of: Of,
}

#[derive(Debug, clap::Args)]
pub(super) struct Close {
    /// What the cause was: `cems alert codes`
    #[arg(long, value_name = "CODE", value_parser = clap::builder::PossibleValuesParser::new(Reason::ALL.map(Reason::name)),
          hide_possible_values = true)]
    reason: String,
    /// What was done: `cems alert codes`
    #[arg(long, value_name = "CODE", value_parser = clap::builder::PossibleValuesParser::new(Action::ALL.map(Action::name)),
          hide_possible_values = true)]
    action: String,
    /// More about it
    #[arg(long)]
    text: Option<String>,
    #[command(flatten)]
    of: Of,
}

impl Acknowledge {
    pub(super) async fn run(self) -> Result<(), Failure> {
        carry_out(self.of, Deed::Acknowledge).await
    }
}

impl Assign {
    pub(super) async fn run(self) -> Result<(), Failure> {
        carry_out(self.of, Deed::Assign { to: self.to.trim().to_owned() }).await
    }
}

impl Comment {
    pub(super) async fn run(self) -> Result<(), Failure> {
        carry_out(self.of, Deed::Comment { text: self.text }).await
    }
}

impl Close {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let unknown = |option: &str| {
            Failure::input(format!("{option}: there is no such code; `cems alert codes` lists them"))
        };
        let reason = Reason::from_name(&self.reason).ok_or_else(|| unknown("--reason"))?;
        let action = Action::from_name(&self.action).ok_or_else(|| unknown("--action"))?;
        carry_out(self.of, Deed::Close { reason, action, text: self.text }).await
    }
}

async fn carry_out(of: Of, deed: Deed) -> Result<(), Failure> {
    deed.check().map_err(|(field, text)| Failure::input(format!("--{field}: {text}")))?;
    let by = who(of.by, "--as")?;
    let audience = Audience::from_name(&of.audience).unwrap_or(Audience::Bureau);
    let client = connect(&of.database).await?;
    let id = of.episode;
    let found = find(&client, id, &Reach::default()).await.map_err(|failure| Failure::work(&failure))?;
    found.ok_or_else(|| show::unknown(id))?;
    let doer = Doer { by: &by, via: Via::Cli, at: clock::now(), link: None };
    let outcome =
        act(&client, (id, audience), &deed, doer).await.map_err(|failure| Failure::work(&failure))?;
    let nothing = |text: String| Failure { code: FOUND, text };
    match outcome {
        Outcome::Done => {
            println!("episode {id} {} by {} for the {}", deed.what(), plain(&by), audience.name());
            Ok(())
        }
        Outcome::Already(Taken { by, at }) => {
            Err(nothing(format!("{} has done that at {at}; nothing was changed", plain(&by))))
        }
        Outcome::Closed(Taken { by, at }) => {
            Err(nothing(format!("{} has closed it at {at}; nothing was changed", plain(&by))))
        }
        Outcome::NotHandled => Err(Failure::input(format!(
            "nobody of the audience {} was told of episode {id}, so there is nothing to handle; `cems alert show {id}` says who was",
            audience.name()
        ))),
    }
}
