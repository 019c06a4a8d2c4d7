//! `cems quarantine`: what could not be accepted, looked at, tried again, or given up with a reason.

use std::fmt::Write as _;
use std::process::ExitCode;

use tokio_postgres::Client;

use crate::central::retry::{Outcome, Retrier};
use crate::cli::database::{Database, Failure, finish};
use crate::cli::who::who;
use crate::clock;
use crate::store::plant;
use crate::store::quarantine::{Becomes, Selection, Whole, change, counts, entries, whole};

/// Rows read at once by a retry.
const PAGE: i64 = 500;
/// Bytes in a line of a dump.
const DUMPED: usize = 16;

/// Arguments of `cems quarantine`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Count by gateway and reason, and list the oldest
    List {
        #[command(flatten)]
        filter: Filter,
        /// kept, stored, discarded or all
        #[arg(long, default_value = "kept", value_parser = ["kept", "stored", "discarded", "all"])]
        state: String,
        /// Rows to list
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(0..=100_000))]
        limit: i64,
        /// One JSON object: counts and rows
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        database: Database,
    },
    /// Show one whole: its reason, what was done with it, and all its bytes
    Show {
        id: i64,
        #[command(flatten)]
        database: Database,
    },
    /// Give kept records to the centre's intake once more; what is accepted now is stored as if it had come then
    Retry {
        /// Rows to retry; else all kept ones that the filters choose
        ids: Vec<i64>,
        #[command(flatten)]
        filter: Filter,
        /// Who does it; else the user of the system
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
        #[command(flatten)]
        database: Database,
    },
    /// Give one up: it stays to be seen, but counts no more for the cap
    Discard {
        id: i64,
        /// Why; it is kept with the row
        #[arg(long)]
        reason: String,
        /// Who decides it; else the user of the system
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
        #[command(flatten)]
        database: Database,
    },
}

#[derive(Debug, clap::Args)]
struct Filter {
    /// Only of this gateway
    #[arg(long, value_name = "NAME")]
    gateway: Option<String>,
    /// Only with this text in the reason
    #[arg(long = "reason", value_name = "TEXT")]
    reason: Option<String>,
}

/// Runs it.
pub(super) fn run(arguments: Arguments) -> ExitCode {
    finish(async move {
        match arguments.what {
            What::List { filter, state, limit, json, database } => {
                let state = Some(state).filter(|state| state != "all");
                let of = Selection { ids: None, gateway: filter.gateway, reason: filter.reason, state };
                list(&connect(&database).await?, &of, limit, json).await
            }
            What::Show { id, database } => {
                print!("{}", shown(&found(&connect(&database).await?, id).await?));
                Ok(())
            }
            What::Retry { ids, filter, by, database } => {
                if ids.is_empty() && filter.gateway.is_none() && filter.reason.is_none() {
                    return Err(Failure::input(
                        "nothing is chosen; name rows, --gateway or --reason (`cems quarantine list` shows them)",
                    ));
                }
                let ids = Some(ids).filter(|ids| !ids.is_empty());
                // Of rows that are named, those that are not kept are counted.
                let state = ids.is_none().then(|| "kept".to_owned());
                let of = Selection { ids, gateway: filter.gateway, reason: filter.reason, state };
                retry(&database, of, &who(by, "--by")?).await
            }
            What::Discard { id, reason, by, database } => {
                if reason.trim().is_empty() {
                    return Err(Failure::input("--reason is empty; say why it is worth nothing"));
                }
                discard(&connect(&database).await?, id, reason, &who(by, "--by")?).await
            }
        }
    })
}

async fn connect(database: &Database) -> Result<Client, Failure> {
    database.connect("cems quarantine").await
}

async fn list(client: &Client, of: &Selection, limit: i64, json: bool) -> Result<(), Failure> {
    let counts = counts(client, of).await.map_err(|failure| Failure::work(&failure))?;
    let rows = entries(client, of, (i64::MIN, limit)).await.map_err(|failure| Failure::work(&failure))?;
    if json {
        println!("{}", serde_json::json!({ "counts": counts, "rows": rows }));
        return Ok(());
    }
    println!("{:>8} {:>10}  {:<20} {:<9} reason", "records", "bytes", "gateway", "state");
    for count in &counts {
        println!(
            "{:>8} {:>10}  {:<20} {:<9} {}",
            count.records, count.bytes, count.gateway, count.state, count.reason
        );
    }
    println!();
    for row in &rows {
        let seqs = row.seq_first.zip(row.seq_last);
        let seqs = seqs.map_or("?".to_owned(), |(first, last)| {
            if first == last { first.to_string() } else { format!("{first}-{last}") }
        });
        println!(
            "{:>8}  {}  {:<20} {:<9} seq {seqs:<10} {} bytes: {}",
            row.id, row.received_at, row.gateway, row.state, row.bytes, row.reason
        );
    }
    Ok(())
}

async fn found(client: &Client, id: i64) -> Result<Whole, Failure> {
    let row = whole(client, id).await.map_err(|failure| Failure::work(&failure))?;
    row.ok_or_else(|| {
        Failure::input(format!("quarantine has no row {id}; `cems quarantine list` shows what is there"))
    })
}

fn shown(row: &Whole) -> String {
    let entry = &row.entry;
    let mut text = format!(
        "id {}\nstate {}\nreceived at {}\ntopic {}\ngateway {}\nepoch {}\n",
        entry.id,
        entry.state,
        entry.received_at,
        entry.topic,
        entry.gateway,
        entry.epoch.as_deref().unwrap_or("?")
    );
    let number = |seq: Option<i64>| seq.map_or("?".to_owned(), |seq| seq.to_string());
    // Writing to a text cannot fail.
    let _infallible = writeln!(text, "seq {} to {}", number(entry.seq_first), number(entry.seq_last));
    let _infallible = writeln!(text, "reason {}\nsha-256 {}", entry.reason, hex::encode(&row.digest));
    for change in &row.changes {
        let _infallible = writeln!(text, "{} {} by {}: {}", change.at, change.what, change.by, change.reason);
    }
    let _infallible = writeln!(text, "{} bytes:", entry.bytes);
    text + &bytes_shown(&row.payload)
}

/// As text where it is one, else as a dump: place, bytes, letters.
fn bytes_shown(bytes: &[u8]) -> String {
    let plain = |letter: char| letter == '\n' || !letter.is_control();
    if let Some(text) = std::str::from_utf8(bytes).ok().filter(|text| text.chars().all(plain)) {
        return format!("{text}\n");
    }
    let mut dump = String::new();
    for (line, chunk) in bytes.chunks(DUMPED).enumerate() {
        let hex: Vec<String> = chunk.iter().map(|byte| format!("{byte:02x}")).collect();
        let letters = chunk.iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' });
        let letters: String = letters.collect();
        let _infallible = writeln!(dump, "{:08x}  {:<47}  {letters}", line * DUMPED, hex.join(" "));
    }
    dump
}

async fn retry(database: &Database, of: Selection, by: &str) -> Result<(), Failure> {
    let client = connect(database).await?;
    if let Some(ids) = &of.ids {
        for id in ids {
            found(&client, *id).await?;
        }
    }
    let plant = plant::load(&client).await.map_err(|error| Failure::work(&error))?;
    let mut retrier = Retrier::new(&database.url()?, plant, database.zone()?);
    let (mut stored, mut refused, mut not_kept, mut after) = (0_u64, 0_u64, 0_u64, i64::MIN);
    loop {
        let page = entries(&client, &of, (after, PAGE)).await.map_err(|failure| Failure::work(&failure))?;
        let Some(last) = page.last() else { break };
        after = last.id;
        for row in page {
            match retrier.retry(row.id, by).await.map_err(|failure| Failure::work(&failure))? {
                Outcome::Stored => stored += 1,
                Outcome::Refused(reason) => {
                    refused += 1;
                    println!("{}: refused again: {reason}", row.id);
                }
                Outcome::NotKept => not_kept += 1,
            }
        }
        eprintln!("up to row {after}: {stored} stored, {refused} refused again");
    }
    // Only the notes for `cems verify`.
    retrier.end().await.map_err(|failure| Failure::work(&failure))?;
    println!("{stored} stored, {refused} refused again, {not_kept} were not kept any more");
    Ok(())
}

async fn discard(client: &Client, id: i64, reason: String, by: &str) -> Result<(), Failure> {
    let row = found(client, id).await?;
    let becomes = Becomes::Discarded(reason);
    let done = change(client, id, &becomes, (by, clock::now())).await;
    if done.map_err(|failure| Failure::work(&failure))? {
        println!("{id} discarded by {by}");
        return Ok(());
    }
    Err(Failure::input(format!("row {id} is {:?}, not \"kept\"; nothing was changed", row.entry.state)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_whole() {
        assert_eq!(bytes_shown(b"{\"v\":1}\n{}"), "{\"v\":1}\n{}\n");
        let dump = bytes_shown(b"\xff\x00{\"v\":1,\"kind\":\"scan\"}");
        let lines: Vec<&str> = dump.lines().collect();
        assert_eq!(
            lines[0],
            "00000000  ff 00 7b 22 76 22 3a 31 2c 22 6b 69 6e 64 22 3a  ..{\"v\":1,\"kind\":"
        );
        assert_eq!(lines[1].split_whitespace().last(), Some("\"scan\"}"));
        assert_eq!(lines.len(), 2);
    }
}
