//! `cems alert test`: a marked exceedance that never was, by the way that real ones go, and how long it took.

use std::time::Duration;

use tokio_postgres::Client;

use crate::central::notify::trust::{synthetic, way};
use crate::cli::database::{Database, Failure};
use crate::clock;
use crate::domain::alerting::{Desk, Told};
use crate::store::frame;
use crate::store::self_test::{Tested, put, results};

/// Arguments of `cems alert test`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// CHANNEL or CHANNEL:RECIPIENT, person:CODE (all their addresses) or team:CODE (who is on duty, and its groups); may be given several times
    #[arg(long, value_name = "WHOM", required = true)]
    to: Vec<String>,
    /// How long the answer is waited for, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    wait_s: u64,
    /// One JSON array
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: Database,
}

/// Sends it and waits; a running centre delivers it.
pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let client = arguments.database.connect("cems alert test").await?;
    let zone = arguments.database.zone()?;
    let mut to: Vec<Told> = Vec::new();
    for whom in &arguments.to {
        to.extend(ways(&client, whom, &zone).await?);
    }
    to.sort();
    to.dedup_by(|a, b| (&a.channel, &a.to) == (&b.channel, &b.to));
    let now = clock::now();
    let sent = put(&client, &synthetic(now), &to, now).await.map_err(|failure| Failure::work(&failure))?;
    if sent.1 == 0 {
        let named = arguments.to.join(", ");
        let text = format!(
            "nothing was sent: {named} names no channel that is enabled; see [[notify]] of the plant"
        );
        return Err(Failure::input(text));
    }
    let until = clock::monotonic() + Duration::from_secs(arguments.wait_s);
    let told = loop {
        let told = results(&client, &sent.0).await.map_err(|failure| Failure::work(&failure))?;
        let waits = told.iter().any(|one| one.state == "waiting");
        if !waits || clock::monotonic() >= until {
            break told;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    report(&told, arguments.json)
}

fn report(told: &[Tested], json: bool) -> Result<(), Failure> {
    if json {
        let text = serde_json::to_string_pretty(told).map_err(|error| Failure::work(&error))?;
        println!("{text}");
    } else {
        for one in told {
            let to = if one.recipient.is_empty() { "the channel itself" } else { &one.recipient };
            let took = one.took_ms.map_or("-".to_owned(), |ms| format!("{ms} ms"));
            let said = one.said.as_deref().unwrap_or("no attempt yet: does a centre run on this database?");
            println!("{:<20} {to:<28} {:<10} {took:>9}  {said}", one.channel, one.state);
        }
    }
    let missed = told.iter().filter(|one| one.state != "delivered").count();
    if missed == 0 {
        return Ok(());
    }
    Err(Failure {
        code: crate::cli::exit_code::FOUND,
        text: format!("{missed} of {} did not get through", told.len()),
    })
}

async fn ways(client: &Client, whom: &str, zone: &jiff::tz::TimeZone) -> Result<Vec<Told>, Failure> {
    let (named, code) = whom.split_once(':').unwrap_or((whom, ""));
    if named != "person" && named != "team" {
        return Ok(vec![way(whom)]);
    }
    let (_plant, frames) = frame::load(client).await.map_err(|error| Failure::work(&error))?;
    let (desk, now) = (Desk::new(&frames.alerting), clock::now());
    let unknown =
        || Failure::input(format!("no {named} has the code {code:?} now; `cems roster show` lists them"));
    if named == "person" {
        let person = desk.person(code, now).ok_or_else(unknown)?;
        return Ok(Desk::every_way(&[person], ""));
    }
    let team = desk.team(code, now).ok_or_else(unknown)?;
    let people = desk.answering(team, now, zone).people;
    let mut told = Desk::every_way(&people, &team.code);
    told.extend(team.group.iter().map(|address| way(&format!("{}:{}", address.channel, address.to))));
    Ok(told)
}
