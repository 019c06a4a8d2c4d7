//! Silences and planned maintenance, from the command line.

use jiff::{SignedDuration, Timestamp};

use super::{connect, plain, second};
use crate::cli::database::{Database, Failure};
use crate::cli::exit_code::FOUND;
use crate::cli::who::who;
use crate::clock;
use crate::domain::alert::AlertKind;
use crate::domain::alerting::Audience;
use crate::domain::silence::{Covers, Kind, Silence};
use crate::domain::token::Reach;
use crate::store::silence::{self as store, Ended, SilenceRow, Wanted};

/// Arguments of `cems alert silence`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Make one: nobody is told of what it covers until it ends
    Make(Box<Make>),
    /// List those that are not over
    List {
        /// Also those that are over
        #[arg(long)]
        all: bool,
        /// One JSON object
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        database: Database,
    },
    /// End one early
    End {
        /// Its number
        id: i64,
        /// Who does it; else the user of the system
        #[arg(long = "as", value_name = "NAME")]
        by: Option<String>,
        #[command(flatten)]
        database: Database,
    },
}

#[derive(Debug, clap::Args)]
struct Make {
    /// Planned work, not only a wish not to be told
    #[arg(long)]
    maintenance: bool,
    #[arg(long, value_name = "CODE")]
    outlet: Option<String>,
    /// Unified social credit code
    #[arg(long, value_name = "CODE")]
    enterprise: Option<String>,
    /// All divisions that begin so
    #[arg(long, value_name = "PREFIX")]
    division: Option<String>,
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(AlertKind::ALL.map(AlertKind::name)))]
    kind: Option<String>,
    /// Code of a rule of the law
    #[arg(long, value_name = "CODE")]
    rule: Option<String>,
    #[arg(long, value_name = "NAME")]
    gateway: Option<String>,
    /// Only this audience is not told; else nobody is
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(Audience::ALL.map(Audience::name)))]
    audience: Option<String>,
    /// From when on, RFC 3339; else from now on
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// So long, at most 90 days
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=2160))]
    hours: u16,
    /// Why nobody is to be told
    #[arg(long)]
    reason: String,
    /// Who does it; else the user of the system
    #[arg(long = "as", value_name = "NAME")]
    by: Option<String>,
    #[command(flatten)]
    database: Database,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.what {
        What::Make(make) => made(*make).await,
        What::List { all, json, database } => list(&database, all, json).await,
        What::End { id, by, database } => end(&database, id, by).await,
    }
}

async fn made(make: Make) -> Result<(), Failure> {
    let now = clock::now();
    let from = make.from.unwrap_or(now);
    let silence = Silence {
        kind: if make.maintenance { Kind::Maintenance } else { Kind::Silence },
        covers: Covers {
            outlet: make.outlet,
            enterprise: make.enterprise,
            division: make.division,
            kind: make.kind.as_deref().and_then(AlertKind::from_name),
            rule: make.rule,
            gateway: make.gateway,
        },
        audience: make.audience.as_deref().and_then(Audience::from_name),
        from,
        until: from.checked_add(SignedDuration::from_hours(i64::from(make.hours))).unwrap_or(from),
        author: who(make.by, "--as")?,
        reason: make.reason,
    };
    silence.check(now).map_err(|(field, text)| Failure::input(format!("{field}: {text}")))?;
    let client = connect(&make.database).await?;
    let id = store::make(&client, &silence, now).await.map_err(|failure| Failure::work(&failure))?;
    println!("{} {id} from {} until {}", silence.kind.name(), second(silence.from), second(silence.until));
    Ok(())
}

async fn list(database: &Database, all: bool, json: bool) -> Result<(), Failure> {
    let client = connect(database).await?;
    let not_over_at = (!all).then(clock::now);
    let wanted = Wanted { reach: Reach::default(), not_over_at, before: None, most: 10_000 };
    let rows = store::list(&client, &wanted).await.map_err(|failure| Failure::work(&failure))?;
    if json {
        println!("{}", serde_json::json!({ "silences": rows }));
        return Ok(());
    }
    println!(
        "{:>6}  {:<12} {:<20} {:<20} {:<11} {:<16} covers: reason",
        "id", "kind", "from", "until", "audience", "author"
    );
    for row in &rows {
        let until = row.ended_at.map_or_else(|| second(row.until), second);
        println!(
            "{:>6}  {:<12} {:<20} {:<20} {:<11} {:<16} {}: {}",
            row.id,
            row.kind.name(),
            second(row.from).to_string(),
            until.to_string(),
            row.audience.map_or("all", Audience::name),
            plain(&row.author),
            covers(row),
            plain(&row.reason)
        );
    }
    Ok(())
}

fn covers(row: &SilenceRow) -> String {
    let of = &row.covers;
    let kind = of.kind.map(|kind| kind.name().to_owned());
    let parts = [
        ("outlet", &of.outlet),
        ("enterprise", &of.enterprise),
        ("division", &of.division),
        ("kind", &kind),
        ("rule", &of.rule),
        ("gateway", &of.gateway),
    ];
    let told = parts
        .iter()
        .filter_map(|(name, given)| given.as_ref().map(|given| format!("{name} {}", plain(given))));
    told.collect::<Vec<String>>().join(", ")
}

async fn end(database: &Database, id: i64, by: Option<String>) -> Result<(), Failure> {
    let by = who(by, "--as")?;
    let client = connect(database).await?;
    let ended = store::end(&client, id, &Reach::default(), (&by, clock::now())).await;
    match ended.map_err(|failure| Failure::work(&failure))? {
        Ended::Done(_) => {
            println!("{id} ended by {}", plain(&by));
            Ok(())
        }
        Ended::Over(row) => {
            let at = row.ended_at.unwrap_or(row.until);
            Err(Failure { code: FOUND, text: format!("{id} was over at {at}; nothing was changed") })
        }
        Ended::Unknown => Err(Failure::input(format!(
            "there is no silence {id}; `cems alert silence list --all` shows them"
        ))),
    }
}
