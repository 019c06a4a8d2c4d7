//! `cems watch`: notices from outside that the platform is dead.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::watch;

use crate::central::notify::Answer;
use crate::central::notify::channel::Post;
use crate::cli::exit_code::{FAILED, OK};
use crate::clock;
use crate::config::central::Alerting;
use crate::shutdown::{self, Shutdown};
use crate::telemetry::{LogFormat, start_logging};
use crate::web::heartbeat::{Heard, listen};

/// Arguments of `cems watch`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Where heartbeats are heard: the centre's heartbeat.url is http://THIS/heartbeat
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8089")]
    listen: SocketAddr,
    /// Silence after which the platform is told to be dead, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 75, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    after_s: u64,
    /// Where that is posted as JSON, again every 15 minutes, and once when it is over; may be given several times
    #[arg(long = "to", value_name = "URL", required = true)]
    to: Vec<String>,
    /// Log one JSON object a line
    #[arg(long)]
    log_json: bool,
}

/// It is told again after this.
const AGAIN: Duration = Duration::from_mins(15);

/// Runs the watch.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    start_logging(if arguments.log_json { LogFormat::Json } else { LogFormat::Text });
    let work = async {
        let shutdown = shutdown::on_signals()?;
        let (address, heard) = listen(arguments.listen, shutdown.clone()).await?;
        eprintln!("heartbeats are heard on http://{address}/heartbeat");
        watch(arguments, heard, shutdown).await;
        Ok::<(), anyhow::Error>(())
    };
    let done = tokio::runtime::Runtime::new()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(work));
    match done {
        Ok(()) => OK,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(FAILED)
        }
    }
}

/// A silence that was told.
struct Told {
    id: String,
    since: Timestamp,
    at: Instant,
}

async fn watch(arguments: &Arguments, heard: watch::Receiver<Heard>, shutdown: Shutdown) {
    let (post, after) = (Post::trusted(&Alerting::default()), Duration::from_secs(arguments.after_s));
    // Nothing is dead that had no chance to be heard.
    let began = clock::monotonic();
    let mut told: Option<Told> = None;
    loop {
        let last = heard.borrow().as_ref().map_or(began, |(at, _)| *at);
        let quiet = last.elapsed();
        if quiet > after {
            if told.as_ref().is_none_or(|told| told.at.elapsed() > AGAIN) {
                let since = clock::now() - jiff::SignedDuration::try_from(quiet).unwrap_or_default();
                let (id, since) = told
                    .map_or_else(|| (uuid::Uuid::now_v7().to_string(), since), |told| (told.id, told.since));
                let is_told = tell(&post, &arguments.to, (&id, since), State::Silent).await;
                // Where nobody could be told it is tried again at once.
                let at = if is_told { clock::monotonic() } else { began };
                told = Some(Told { id, since, at });
            }
        } else if let Some(over) = told.take()
            && !tell(&post, &arguments.to, (&over.id, over.since), State::Back).await
        {
            told = Some(over);
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(500).min(after)) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Silent,
    Back,
}

async fn tell(post: &Post, to: &[String], (id, since): (&str, Timestamp), state: State) -> bool {
    let (name, summary) = match state {
        State::Silent => (
            "open",
            format!(
                "no heartbeat of the platform since {since}: nothing is judged and nobody is told. Look at the centre now"
            ),
        ),
        State::Back => ("closed", format!("heartbeats are back; there were none since {since}")),
    };
    tracing::error!("{summary}");
    let body = serde_json::json!({
        "v": 1, "id": id, "kind": "platform-silent", "state": name, "severity": "critical", "summary": summary,
        "started_at": since, "at": clock::now(),
    });
    let mut is_told = false;
    for url in to {
        match post.direct(url, id, &body).await {
            Answer::Taken { .. } => is_told = true,
            Answer::Later { reason, .. } | Answer::Refused { reason, .. } => {
                tracing::error!(reason, "not told");
            }
        }
    }
    is_told
}
