//! One episode whole.

use std::fmt::Write as _;

use super::{connect, plain, second};
use crate::cli::database::{Database, Failure};
use crate::domain::token::Reach;
use crate::store::read::deliveries::Delivery;
use crate::store::read::episode::{Whole, whole};

/// Arguments of `cems alert show`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Number of the episode
    episode: i64,
    /// One JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: Database,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let client = connect(&arguments.database).await?;
    let id = arguments.episode;
    let found = whole(&client, id, &Reach::default()).await.map_err(|failure| Failure::work(&failure))?;
    let found = found.ok_or_else(|| unknown(id))?;
    if arguments.json {
        println!("{}", serde_json::json!(found));
    } else {
        print!("{}", text(&found));
    }
    Ok(())
}

pub(super) fn unknown(id: i64) -> Failure {
    Failure::input(format!("there is no episode {id}; `cems alert list --all` shows them"))
}

fn text(whole: &Whole) -> String {
    let episode = &whole.episode;
    let or = |text: &Option<String>| text.as_deref().map_or("-".to_owned(), plain);
    let mut out = format!(
        "episode {} {} {} level {}\noutlet {} channel {} rule {} subject {}\nopened {}",
        episode.id,
        episode.kind,
        episode.state,
        episode.level,
        or(&episode.outlet),
        or(&episode.channel),
        or(&episode.rule),
        or(&episode.subject),
        second(episode.opened_at)
    );
    // Writing to a text cannot fail.
    if let Some(at) = episode.closed_at {
        let _infallible = write!(out, " closed {}", second(at));
    }
    out.push('\n');
    for line in &whole.handling {
        let _infallible = write!(out, "{}: since {}, step {}", line.audience, second(line.since), line.step);
        for (word, by, at) in [
            ("has", &line.acknowledged_by, line.acknowledged_at),
            ("given to", &line.assigned_to, None),
            ("closed by", &line.closed_by, line.closed_at),
        ] {
            if by.is_some() {
                let at = at.map_or(String::new(), |at| format!(" at {}", second(at)));
                let _infallible = write!(out, ", {word} {}{at}", or(by));
            }
        }
        if let Some(at) = line.next_at {
            let _infallible = write!(out, ", more are told at {}", second(at));
        }
        if line.reason.is_some() {
            let _infallible = write!(out, ": {} / {}", or(&line.reason), or(&line.action));
        }
        out.push('\n');
    }
    for alert in &whole.alerts {
        let summary = alert.body.get("summary").and_then(serde_json::Value::as_str).unwrap_or_default();
        let _infallible = writeln!(
            out,
            "{} alert {} {}: {}",
            second(alert.created_at),
            alert.id,
            alert.phase,
            plain(summary)
        );
        for delivery in &alert.deliveries {
            let _infallible = writeln!(out, "    {}", delivered(delivery));
        }
    }
    for row in &whole.changes {
        let _infallible = writeln!(out, "{} {}: {}", second(row.at), row.what, plain(&row.reason));
    }
    for row in &whole.actions {
        let detail = if row.detail.as_object().is_some_and(|fields| !fields.is_empty()) {
            format!(" {}", plain(&row.detail.to_string()))
        } else {
            String::new()
        };
        let (by, via) = (plain(&row.by), &row.via);
        let _infallible =
            writeln!(out, "{} {} by {by} ({}, {via}){detail}", second(row.at), row.what, row.audience);
    }
    out
}

fn delivered(delivery: &Delivery) -> String {
    let to = delivery.person.as_deref().or(delivery.recipient.as_deref()).unwrap_or("the channel itself");
    let at = delivery.delivered_at.map_or(String::new(), |at| format!(" at {}", second(at)));
    let last = delivery.tried.last().map_or(String::new(), |last| format!(": {}", plain(&last.outcome)));
    format!(
        "{} to {}, step {}: {}{at} after {} attempts{last}",
        delivery.channel,
        plain(to),
        delivery.step,
        delivery.state,
        delivery.attempts
    )
}
