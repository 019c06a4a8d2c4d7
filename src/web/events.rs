//! `/api/v1/events`: what happens to alerts, as it happens (server-sent events). One task asks the database for all clients; whoever reads too
//! slowly is let go, and goes on with `Last-Event-ID` where it was, since everything is in the database.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures_util::Stream;
use jiff::SignedDuration;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, mpsc, watch};

use super::Web;
use super::auth::Caller;
use super::error::Refused;
use super::parameters::{Parameters, shown};
use crate::clock;
use crate::domain::alerting::Audience;
use crate::domain::token::Reach;
use crate::shutdown::Shutdown;
use crate::store::news::{self as store, News};
use crate::store::session::{Failure, Session, Trouble};
use crate::telemetry::Metrics;

/// Clients at once.
const CLIENTS: usize = 64;
/// Between looks at the database.
const EVERY: Duration = Duration::from_millis(500);
/// So that proxies and clients see that the line is alive.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Read at once.
const PAGE: i64 = 500;
/// A client may be so many events behind,
const BEHIND: usize = 1024;
/// and take so long for one.
const PATIENT: Duration = Duration::from_secs(10);
/// What is older is forgotten.
const KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Between looks for what is older.
const FORGET_EVERY: Duration = Duration::from_hours(1);

/// Where news are handed on.
pub(super) struct Desk {
    line: broadcast::Sender<Arc<News>>,
    places: Arc<Semaphore>,
    clients: Gauge,
    /// The line has begun: whatever is newer goes over it.
    begun: watch::Sender<bool>,
    shutdown: Shutdown,
}

impl Desk {
    pub(super) fn new(metrics: &Metrics, shutdown: Shutdown) -> Desk {
        let desk = Desk {
            line: broadcast::Sender::new(BEHIND),
            places: Arc::new(Semaphore::new(CLIENTS)),
            clients: Gauge::default(),
            begun: watch::Sender::new(false),
            shutdown,
        };
        metrics.register(|registry| {
            registry.register("cems_http_event_clients", "Clients that follow events", desk.clients.clone());
        });
        desk
    }
}

/// Hands on what is new, until shutdown. It also looks while nobody listens: who comes must find that nothing is left out.
pub(super) async fn follow(web: Arc<Web>, mut session: Session) {
    let mut last: Option<i64> = None;
    let mut trouble = Trouble::default();
    // What is old goes at the first look, and then every hour.
    let mut forgotten_at: Option<Instant> = None;
    let mut wait = EVERY;
    loop {
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = web.events.shutdown.cancelled() => return,
        }
        let is_time = forgotten_at.is_none_or(|at| at.elapsed() >= FORGET_EVERY);
        match look(&web.events, &mut session, last, is_time).await {
            Ok((newest, is_all)) => {
                last = Some(newest);
                web.events.begun.send_replace(true);
                wait = if is_all { EVERY } else { Duration::ZERO };
                trouble.over();
                if is_time {
                    forgotten_at = Some(clock::monotonic());
                }
            }
            Err(failure) => {
                if trouble.is_new(&failure.to_string()) {
                    tracing::warn!(%failure, "events wait for the database");
                }
                session.discard();
                wait = EVERY;
            }
        }
    }
}

/// The newest number that was handed on, and whether there is no more yet.
async fn look(
    desk: &Desk,
    session: &mut Session,
    last: Option<i64>,
    is_time: bool,
) -> Result<(i64, bool), Failure> {
    let client = session.client().await?;
    if is_time {
        let before = clock::now().checked_sub(KEPT).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        store::forget(client, before).await?;
    }
    let Some(mut last) = last else { return Ok((store::newest(client).await?, true)) };
    let news = store::after(client, last, PAGE).await?;
    let is_all = i64::try_from(news.len()).unwrap_or(0) < PAGE;
    for one in news {
        last = one.id;
        // Nobody listens: so nobody misses it.
        let _nobody = desk.line.send(Arc::new(one));
    }
    Ok((last, is_all))
}

/// The events that the caller may see, from `Last-Event-ID` on where one is given.
pub(super) async fn events(
    State(web): State<Arc<Web>>,
    caller: Caller,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Refused> {
    Parameters::read(&uri, &[])?;
    let after = headers.get("last-event-id").map(|value| {
        let text = value.to_str().unwrap_or("?");
        text.parse::<i64>().map_err(|_no_number| {
            let found = shown(text);
            Refused::parameter("Last-Event-ID", format!("Last-Event-ID is the id of an event; found {found}"))
        })
    });
    let after = after.transpose()?;
    let place = Arc::clone(&web.events.places).try_acquire_owned().map_err(|_full| Refused::Busy)?;
    // First the line, then the ear, then the question: nothing lies between.
    web.events.begun.subscribe().wait_for(|begun| *begun).await.map_err(|_ended| Refused::Busy)?;
    let heard = web.events.line.subscribe();
    let mut lease = web.sessions.lease().await?;
    let from = match after {
        Some(after) => after,
        None => store::newest(lease.client().await?).await?,
    };
    lease.keep();
    let (queue, queued) = mpsc::channel(16);
    let client = Client { web, reach: caller.reach, queue, last: from, _place: place };
    tokio::spawn(client.serve(heard));
    let stream = futures_util::stream::unfold(queued, |mut queued| async move {
        queued.recv().await.map(|event| (Ok(event), queued))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(HEARTBEAT).text("alive")))
}

/// One who follows.
struct Client {
    web: Arc<Web>,
    reach: Reach,
    queue: mpsc::Sender<Event>,
    /// The newest that it has, or does not want.
    last: i64,
    _place: OwnedSemaphorePermit,
}

impl Client {
    /// What it has missed, from the database, then what comes. Ends when it has gone, is too slow, or the line has.
    async fn serve(mut self, mut heard: broadcast::Receiver<Arc<News>>) {
        let clients = self.web.events.clients.clone();
        clients.inc();
        // So that the headers go out at once.
        let hello = Event::default().comment("follows").retry(Duration::from_secs(2));
        if self.queue.send(hello).await.is_ok() && self.catch_up().await.is_some() {
            loop {
                let news = tokio::select! {
                    news = heard.recv() => news,
                    () = self.queue.closed() => break,
                    () = self.web.events.shutdown.cancelled() => break,
                };
                let went = match news {
                    Ok(news) => self.hand_on(&news).await,
                    // The database still has what was too much at once.
                    Err(RecvError::Lagged(_)) => self.catch_up().await,
                    Err(RecvError::Closed) => None,
                };
                if went.is_none() {
                    break;
                }
            }
        }
        clients.dec();
    }

    /// `None`: it is to be let go.
    async fn catch_up(&mut self) -> Option<()> {
        loop {
            let mut lease = self.web.sessions.lease().await.ok()?;
            let client = lease.client().await.ok()?;
            let page = store::after(client, self.last, PAGE).await.ok()?;
            lease.keep();
            for news in &page {
                self.hand_on(news).await?;
            }
            if i64::try_from(page.len()).unwrap_or(0) < PAGE {
                return Some(());
            }
        }
    }

    async fn hand_on(&mut self, news: &News) -> Option<()> {
        if news.id <= self.last {
            return Some(());
        }
        self.last = news.id;
        if !sees(&self.reach, news) {
            return Some(());
        }
        let event = Event::default().id(news.id.to_string()).event(&news.what).json_data(news).ok()?;
        self.queue.send_timeout(event, PATIENT).await.ok()
    }
}

/// An enterprise hears of its own alerts, and of what its own people did.
fn sees(reach: &Reach, news: &News) -> bool {
    let is_own = reach.enterprise.is_none()
        || news.what == "alert"
        || news.audience.as_deref() == Some(Audience::Enterprise.name());
    is_own && reach.covers(&news.enterprise, &news.division)
}
