//! `cems roster`: who is on duty at a moment, team by team.

use std::fmt::Write as _;
use std::process::ExitCode;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::cli::database::{Database, Failure, finish};
use crate::clock;
use crate::domain::alert::Severity;
use crate::domain::alerting::{Account, By, Call, Reached};
use crate::store::frame;

/// Most codes in a message.
const LISTED: usize = 30;

/// Arguments of `cems roster`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Who is on duty in each team, until when and by which addresses; whom its ladder calls; gaps of the next 14 days
    Show {
        /// The moment, as 2026-11-21T03:00:00+08:00; now when it is left out
        #[arg(long, value_name = "TIME")]
        at: Option<Timestamp>,
        /// Code of one team; all when it is left out
        #[arg(long, value_name = "CODE")]
        team: Option<String>,
        /// Addresses as for an alert that is so grave
        #[arg(long, default_value = "serious", value_parser = Severity::ALL.map(Severity::name))]
        severity: String,
        /// Print one JSON object, as docs/alerting.md describes it
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        database: Database,
    },
}

/// Runs it.
pub(super) fn run(arguments: Arguments) -> ExitCode {
    finish(async move {
        let What::Show { at, team, severity, json, database } = arguments.what;
        let zone = database.zone()?;
        let client = database.connect("cems roster").await?;
        let (_plant, frames) = frame::load(&client).await.map_err(|error| Failure::work(&error))?;
        let at = at.unwrap_or_else(clock::now);
        let severity = Severity::ALL.into_iter().find(|known| known.name() == severity);
        let severity = severity.unwrap_or(Severity::Serious);
        let accounts = frames.alerting.accounts(team.as_deref(), at, severity, &zone);
        if let Some(code) = team.filter(|_| accounts.is_empty()) {
            let known = frames.alerting.teams.iter().filter(|team| team.times.holds(at));
            let known: Vec<&str> = known.take(LISTED).map(|team| team.code.as_str()).collect();
            return Err(Failure::input(format!(
                "--team: no team has the code {code:?} at {at}; known then: {}",
                if known.is_empty() { "none".to_owned() } else { known.join(", ") }
            )));
        }
        if json {
            let whole = serde_json::json!({
                "at": at, "zone": zone.iana_name(), "severity": severity, "teams": accounts,
            });
            println!("{}", serde_json::to_string_pretty(&whole).map_err(|error| Failure::work(&error))?);
        } else {
            print!("{}", shown(&accounts, at, &zone).map_err(|error| Failure::work(&error))?);
        }
        Ok(())
    })
}

/// For people: a block a team.
fn shown(accounts: &[Account<'_>], at: Timestamp, zone: &TimeZone) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    writeln!(text, "{} ({})", clock_of(at, zone), zone.iana_name().unwrap_or("a zone without a name"))?;
    if accounts.is_empty() {
        writeln!(text, "no team is there; see docs/alerting.md for [[team]]")?;
    }
    for account in accounts {
        writeln!(text)?;
        one(&mut text, account, zone)?;
    }
    Ok(text)
}

fn one(text: &mut String, account: &Account<'_>, zone: &TimeZone) -> std::fmt::Result {
    let of = match (account.enterprise, account.division) {
        (Some(enterprise), _) => format!(" of {enterprise}"),
        (None, "") => String::new(),
        (None, division) => format!(" of division {division}"),
    };
    let default = if account.default { ", default" } else { "" };
    writeln!(text, "{} \"{}\": {}{of}{default}", account.team, account.name, account.audience.name())?;
    let until = account
        .until
        .map_or("for more than 31 days".to_owned(), |until| format!("until {}", clock_of(until, zone)));
    match (account.gap, account.answering.is_empty()) {
        (false, false) => writeln!(text, "  on duty {until}")?,
        (false, true) => writeln!(text, "  no people: its group hears, {until}")?,
        (true, false) => writeln!(text, "  GAP: nobody on duty {until}; called instead")?,
        (true, true) => writeln!(text, "  GAP: nobody on duty {until}, and nobody to call instead")?,
    }
    people(text, &account.answering)?;
    if !account.leads.is_empty() {
        writeln!(text, "  leads")?;
        people(text, &account.leads)?;
    }
    if !account.group.is_empty() {
        writeln!(text, "  group")?;
        addresses(text, &account.group)?;
    }
    writeln!(text, "  an alert now would call, until somebody acknowledges it")?;
    for call in &account.ladder {
        writeln!(text, "    {}  +{:>3} min  {}", clock_of(call.at, zone), call.after_minutes, whom(call))?;
    }
    if account.gaps.is_empty() {
        writeln!(text, "  no gap within 14 days")?;
    }
    for gap in &account.gaps {
        writeln!(text, "  gap from {} until {}", clock_of(gap.from, zone), clock_of(gap.until, zone))?;
    }
    Ok(())
}

fn people(text: &mut String, people: &[Reached<'_>]) -> std::fmt::Result {
    for person in people {
        writeln!(text, "    {:<16} {}", person.person, person.name)?;
        if person.by.is_empty() {
            writeln!(text, "      no address for such an alert at this hour")?;
        }
        addresses(text, &person.by)?;
    }
    Ok(())
}

fn addresses(text: &mut String, by: &[By<'_>]) -> std::fmt::Result {
    for (place, address) in by.iter().enumerate() {
        let to = if address.to.is_empty() { String::new() } else { format!(" {}", address.to) };
        writeln!(text, "      {}. {}{to}", place + 1, address.channel)?;
    }
    Ok(())
}

fn whom(call: &Call<'_>) -> String {
    let mut words = call.people.join(", ");
    if call.everywhere && !call.people.is_empty() {
        words.push_str(" (by all addresses)");
    }
    match (words.is_empty(), call.group) {
        (false, true) => words + ", the group",
        (true, true) => "the group".to_owned(),
        (true, false) => "nobody".to_owned(),
        (false, false) => words,
    }
}

/// `Sat 2026-11-21 03:00`
fn clock_of(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%a %Y-%m-%d %H:%M").to_string()
}
