//! What is open, and who has it.

use jiff::SignedDuration;

use super::{connect, plain, second};
use crate::cli::database::{Database, Failure};
use crate::clock;
use crate::domain::alert::AlertKind;
use crate::domain::alerting::Audience;
use crate::store::read::episode::{Listed, Wanted, listed};

/// Arguments of `cems alert list`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Also what is over and closed
    #[arg(long)]
    all: bool,
    /// Only of this kind
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(AlertKind::ALL.map(AlertKind::name)))]
    kind: Option<String>,
    /// Only of this outlet
    #[arg(long, value_name = "CODE")]
    outlet: Option<String>,
    /// Only the lines of this audience
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(Audience::ALL.map(Audience::name)))]
    audience: Option<String>,
    /// Only what began in so many days
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=3660))]
    days: u16,
    /// Rows to list
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=10_000))]
    limit: i64,
    /// One JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: Database,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let client = connect(&arguments.database).await?;
    let now = clock::now();
    let wanted = Wanted {
        from: now.checked_sub(SignedDuration::from_hours(24 * i64::from(arguments.days))).unwrap_or(now),
        all: arguments.all,
        kind: arguments.kind,
        outlet: arguments.outlet,
        audience: arguments.audience,
        most: arguments.limit,
    };
    let rows = listed(&client, &wanted).await.map_err(|failure| Failure::work(&failure))?;
    if arguments.json {
        println!("{}", serde_json::json!({ "episodes": rows }));
        return Ok(());
    }
    println!(
        "{:>8}  {:<20} {:<10} {:<20} {:<28} {:<11} who has it",
        "episode", "opened at", "state", "kind", "where", "audience"
    );
    for row in &rows {
        let at = row.outlet.as_deref().or(row.subject.as_deref()).unwrap_or("-");
        let at = row.channel.as_ref().map_or(at.to_owned(), |channel| format!("{at} {channel}"));
        println!(
            "{:>8}  {:<20} {:<10} {:<20} {:<28} {:<11} {}",
            row.episode,
            second(row.opened_at).to_string(),
            row.state,
            row.kind,
            plain(&at),
            row.audience.as_deref().unwrap_or("-"),
            who(row)
        );
    }
    Ok(())
}

fn who(row: &Listed) -> String {
    if row.audience.is_none() {
        return "nobody was told".to_owned();
    }
    let by = |by: &Option<String>| plain(by.as_deref().unwrap_or("?"));
    let next = row.next_at.map_or(String::new(), |at| format!("; more are told at {}", second(at)));
    match (row.closed_at, row.acknowledged_at) {
        (Some(at), _) => {
            let reason = row.reason.as_deref().unwrap_or("?");
            format!("closed by {} at {}: {reason}", by(&row.closed_by), second(at))
        }
        (None, Some(_)) => match &row.assigned_to {
            Some(to) => format!("{}, given to {}", by(&row.acknowledged_by), plain(to)),
            None => by(&row.acknowledged_by),
        },
        (None, None) => format!("nobody yet{next}"),
    }
}
