//! Wires the centre: loads the plant, starts subscriber, writers, closer, watch, courier and HTTP, and ends them together.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::SignedDuration;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;

use crate::central::clerk::{Clerk, post};
use crate::central::heads::Heads;
use crate::central::inbox::{Inbox, Takes, Underway};
use crate::central::life::Life;
use crate::central::meters::Meters;
use crate::central::notify::Courier;
use crate::central::notify::alertmanager::Posters;
use crate::central::notify::channel::Post;
use crate::central::notify::dispatch::Dispatcher;
use crate::central::notify::figures::Figures;
use crate::central::notify::trust::Trust;
use crate::central::pipeline::{Shared, Writer};
use crate::central::reckoning::Reckoner;
use crate::central::silence::Watch;
use crate::central::subscribe::{Desk, Ears, listen, listen_to_the_past, settings, write};
use crate::central::warning::OpenKeys;
use crate::central::windows::Closer;
use crate::config::central::Central;
use crate::domain::plant::Plant;
use crate::domain::regime::HJ75_2017;
use crate::mqtt::connection::HELD_MESSAGES;
use crate::shutdown::Shutdown;
use crate::store::frame::Frames;
use crate::store::session::Session;
use crate::telemetry::{Readiness, Reporting};
use crate::web;

/// So many transactions are under way at once, and what each may be busy with.
const WRITERS: [Takes; 3] = [Takes::All, Takes::All, Takes::Live];
/// How often the plant's revision is looked at.
const PLANT_CHECK: Duration = Duration::from_secs(2);

/// Why a centre does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the centre cannot read the plant: {0}")]
    Plant(String),
    #[error(transparent)]
    Web(#[from] web::Error),
}

/// Where the servers are, whoever runs them.
#[derive(Clone)]
pub struct Links {
    /// PostgreSQL URL.
    pub database: String,
    /// Host and port.
    pub broker: (String, u16),
}

/// A running centre.
pub struct Running {
    /// Where HTTP listens.
    pub address: SocketAddr,
    tasks: JoinSet<()>,
}

impl Running {
    /// Waits until a part ends by itself, which none should: the rest must then not look as if all were well.
    pub async fn broken(&mut self) -> String {
        match self.tasks.join_next().await {
            Some(Err(error)) => error.to_string(),
            Some(Ok(())) | None => "it ended without an error".to_owned(),
        }
    }

    /// Waits until everything has ended, after shutdown.
    pub async fn ended(mut self) {
        while let Some(done) = self.tasks.join_next().await {
            if let Err(error) = done {
                tracing::error!(%error, "a task of the centre broke off");
            }
        }
    }
}

/// Starts a centre on a migrated database. It ends with `shutdown`.
///
/// # Errors
/// [`Error`] when the plant cannot be read or HTTP cannot listen; nothing runs then.
pub async fn start(
    config: &Central,
    links: &Links,
    reporting: Reporting,
    shutdown: Shutdown,
) -> Result<Running, Error> {
    reporting.readiness.set("database", false, "loading the plant");
    let (plant, frames) = load(&links.database).await?;
    reporting.readiness.set("database", true, "ok");
    // Before anybody can ask: a centre that does not listen yet is not ready.
    reporting.readiness.set("broker", false, "connecting");
    let plant_revision = Arc::new(AtomicI64::new(frames.revision));
    let (plant_line, plant) = watch::channel(Arc::new(plant));
    let (frames_line, frames) = watch::channel(Arc::new(frames));
    let signed = |duration: Duration| SignedDuration::try_from(duration).unwrap_or(SignedDuration::ZERO);
    let shared = Shared {
        plant: plant.clone(),
        frames,
        regime: &HJ75_2017,
        zone: config.zone.clone(),
        debounce: signed(config.windows.debounce),
        open: OpenKeys::default(),
        life: Life::default(),
        heads: Heads::default(),
        cap: config.quarantine,
        meters: Meters::new(&reporting.metrics),
        readiness: reporting.readiness.clone(),
        plant_revision,
        outbox: Arc::new(Notify::new()),
    };
    let state = web::State {
        reporting: reporting.clone(),
        database: links.database.clone(),
        plant,
        frames: shared.frames.clone(),
        zone: config.zone.clone(),
        tokens: config.tokens,
    };
    let address = web::start(config.listen, state, shutdown.clone()).await?;
    let session = || Session::new(&links.database);
    let mut tasks = JoinSet::new();
    let closer = Closer::new(shared.clone(), session(), signed(config.windows.settle));
    tasks.spawn(closer.run(shutdown.clone()));
    let reckoner = Reckoner {
        shared: shared.clone(),
        session: session(),
        quotas_every: config.quotas_every,
        retention: config.retention,
    };
    tasks.spawn(reckoner.run(shutdown.clone()));
    people(config, links, &shared, (&reporting, &shutdown), &mut tasks);
    let underway = Underway::default();
    let watch = Watch {
        session: session(),
        plant: shared.plant.clone(),
        frames: shared.frames.clone(),
        life: shared.life.clone(),
        open: shared.open.clone(),
        underway: underway.clone(),
        outbox: Arc::clone(&shared.outbox),
        after: signed(config.silence.after),
        check: config.silence.check,
        together: config.silence.together,
    };
    tasks.spawn(watch.run(shutdown.clone()));
    tasks.spawn(shared.heads.clone().run(session(), shutdown.clone()));
    let news = News { line: plant_line, frames: frames_line, revision: Arc::clone(&shared.plant_revision) };
    tasks.spawn(follow(links.database.clone(), news, reporting.readiness.clone(), shutdown.clone()));
    ingest(config, links, (&shared, underway), (&reporting, &shutdown), &mut tasks);
    Ok(Running { address, tasks })
}

/// Alerts to people.
fn people(
    config: &Central,
    links: &Links,
    shared: &Shared,
    (reporting, shutdown): (&Reporting, &Shutdown),
    tasks: &mut JoinSet<()>,
) {
    let session = || Session::new(&links.database);
    let (outbox, zone) = (Arc::clone(&shared.outbox), config.zone.clone());
    let dispatcher = Dispatcher::new(
        session(),
        shared.frames.clone(),
        zone.clone(),
        (Arc::clone(&outbox), config.alerting.fail_over),
    );
    tasks.spawn(dispatcher.run(shutdown.clone()));
    let post = Post::new(&config.alerting);
    let trust = Trust {
        session: session(),
        readiness: reporting.readiness.clone(),
        post: Post::trusted(&config.alerting),
        heartbeat: config.heartbeat.clone(),
        self_test: config.self_test.clone(),
    };
    tasks.spawn(trust.run(shutdown.clone()));
    let figures =
        Figures { session: session(), frames: shared.frames.clone(), meters: shared.meters.clone() };
    tasks.spawn(figures.run(shutdown.clone()));
    let means = (shared.meters.clone(), post.clone(), config.alerting.channel_down);
    let courier = Courier::new(session(), outbox, means, (zone, config.public_url.clone()));
    tasks.spawn(courier.run(shutdown.clone()));
    let posters = Posters { database: links.database.clone(), post, outbox: Arc::clone(&shared.outbox) };
    tasks.spawn(posters.run(shutdown.clone()));
}

/// Subscriber and writers.
fn ingest(
    config: &Central,
    links: &Links,
    (shared, underway): (&Shared, Underway),
    (reporting, shutdown): (&Reporting, &Shutdown),
    tasks: &mut JoinSet<()>,
) {
    let start = uuid::Uuid::now_v7().simple().to_string();
    let (for_live, for_past) = settings(&config.mqtt, links.broker.clone(), &start);
    // Room for all that the connections hold.
    let (live_queue, live_queued) = mpsc::channel(HELD_MESSAGES);
    let (past_queue, past_queued) = mpsc::channel(HELD_MESSAGES);
    let inbox = Arc::new(Inbox::new(live_queued, past_queued));
    let (line, outbox) = watch::channel(None);
    let desk = Desk {
        readiness: reporting.readiness.clone(),
        meters: shared.meters.clone(),
        underway,
        shutdown: shutdown.clone(),
    };
    let (clerk, posted) = Clerk::new();
    tasks.spawn(post(posted, outbox.clone()));
    for takes in WRITERS {
        let writer = Writer::new(shared.clone(), Session::new(&links.database));
        tasks.spawn(write(writer, (Arc::clone(&inbox), takes), clerk.clone(), desk.clone()));
    }
    let ears = Ears {
        life: shared.life.clone(),
        readiness: reporting.readiness.clone(),
        queue: live_queue,
        meters: shared.meters.clone(),
        line,
    };
    tasks.spawn(listen(for_live, ears, shutdown.clone()));
    let told = (outbox, reporting.readiness.clone());
    let heard = (past_queue, shared.meters.clone());
    tasks.spawn(listen_to_the_past(for_past, heard, told, shutdown.clone()));
}

async fn load(database: &str) -> Result<(Plant, Frames), Error> {
    let client = crate::store::connect::connect(database, "cems plant").await;
    let client = client.map_err(|error| Error::Plant(error.to_string()))?;
    crate::store::frame::load(&client)
        .await
        .map_err(|error| Error::Plant(crate::store::connect::explained(&error)))
}

/// Where a newly loaded plant goes.
struct News {
    line: watch::Sender<Arc<Plant>>,
    frames: watch::Sender<Arc<Frames>>,
    revision: Arc<AtomicI64>,
}

/// Loads the plant again whenever somebody has saved a change to it. So it also notices a database that is away while
/// nothing arrives that the writers would want to store.
async fn follow(database: String, news: News, readiness: Readiness, shutdown: Shutdown) {
    let mut session = Session::new(&database);
    let mut known = news.revision.load(Ordering::Acquire);
    let mut away = false;
    loop {
        tokio::select! {
            () = tokio::time::sleep(PLANT_CHECK) => {}
            () = shutdown.cancelled() => return,
        }
        let client = match session.client().await {
            Ok(client) => client,
            Err(failure) => {
                away = true;
                readiness.set("database", false, &failure.to_string());
                continue;
            }
        };
        let looked =
            tokio::time::timeout(crate::store::session::LONGEST, crate::store::plant::revision(client)).await;
        let Ok(Ok(revision)) = looked else {
            away = true;
            readiness.set("database", false, "the database does not answer");
            session.discard();
            continue;
        };
        if std::mem::take(&mut away) {
            // Should it answer but store nothing, the writers say so again.
            readiness.set("database", true, "ok");
        }
        if known == revision {
            continue;
        }
        match crate::store::frame::load(client).await {
            Ok((plant, frames)) => {
                known = frames.revision;
                tracing::info!(revision = known, outlets = plant.outlets.len(), "plant loaded");
                news.revision.store(known, Ordering::Release);
                // In this order: whoever sees the frames of a revision finds its plant, or a newer one.
                news.line.send_replace(Arc::new(plant));
                news.frames.send_replace(Arc::new(frames));
            }
            Err(error) => {
                let error = crate::store::connect::explained(&error);
                tracing::error!(error, "the plant cannot be loaded; the last good one stays in force");
                session.discard();
            }
        }
    }
}
