//! Another configuration while the gateway runs: whole or not at all. Polling and publishing start anew under it; the spool stays open.
//! What was read under the old configuration is on disk under the old one before the first scan under the new.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::config::gateway::Gateway;
use crate::gateway::{Error, Running, need};
use crate::mqtt::record::Hash;

/// For a publisher to say goodbye.
const FAREWELL: Duration = Duration::from_secs(10);

/// Asks a running gateway for another configuration. Clones ask the same one.
#[derive(Debug, Clone)]
pub struct Reloader(mpsc::Sender<Wish>);

/// A configuration, and who waits for it to hold.
#[derive(Debug)]
pub struct Wish {
    config: Box<Gateway>,
    reply: oneshot::Sender<Result<Reloaded, NotReloaded>>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reloaded {
    /// It is the configuration that holds already.
    Unchanged,
    /// Hashes of the one before and of the one that holds now.
    Changed { previous: Hash, current: Hash },
}

/// Why the old configuration stays.
#[derive(Debug, thiserror::Error)]
pub enum NotReloaded {
    #[error("{0} cannot change while the gateway runs; restart it")]
    NeedsRestart(&'static str),
    #[error("the spool takes no records at the moment ({0}); try again when it does")]
    Spool(String),
    #[error("the gateway has stopped")]
    Stopped,
}

impl Reloader {
    pub(super) fn new() -> (Reloader, mpsc::Receiver<Wish>) {
        let (sender, wishes) = mpsc::channel(1);
        (Reloader(sender), wishes)
    }

    /// Has this configuration hold from now on.
    ///
    /// # Errors
    /// [`NotReloaded`]; then the old one holds on.
    pub async fn apply(&self, config: Gateway) -> Result<Reloaded, NotReloaded> {
        let (reply, answer) = oneshot::channel();
        let wish = Wish { config: Box::new(config), reply };
        self.0.send(wish).await.map_err(|_stopped| NotReloaded::Stopped)?;
        answer.await.unwrap_or(Err(NotReloaded::Stopped))
    }
}

impl Running {
    /// Goes on under the new configuration, or under the old one.
    pub(super) async fn reload(mut self, wish: Wish) -> Result<Running, Error> {
        let Wish { config, reply } = wish;
        let old = Arc::clone(&self.work.config);
        if let Some(fixed) = fixed(&old, &config) {
            // Nobody waits for the answer of a caller that went away.
            let _gone = reply.send(Err(NotReloaded::NeedsRestart(fixed)));
            return Ok(self);
        }
        let (previous, current) = (Hash(old.hash), Hash(config.hash));
        if previous == current {
            let _gone = reply.send(Ok(Reloaded::Unchanged));
            return Ok(self);
        }
        if let Some(reason) = self.parts.keeper.state().borrow().alarm.clone() {
            let _gone = reply.send(Err(NotReloaded::Spool(reason)));
            return Ok(self);
        }
        // The publisher first: its goodbye takes a while, and polling goes on meanwhile.
        self.work.publishing.cancel();
        let ended = tokio::time::timeout(FAREWELL, self.work.publisher).await;
        let notices = match ended {
            Ok(Ok(notices)) => notices,
            Ok(Err(error)) => return Err(Error::Ended(error.to_string())),
            Err(_elapsed) => return Err(Error::Ended("publishing does not end".to_owned())),
        };
        self.work.polling.cancel();
        while self.work.pollers.join_next().await.is_some() {}
        // A disk that fails in this very moment: a new start takes the new configuration from its file.
        if let Err(error) = self.parts.keeper.reconfigure(current, need(&config)).await {
            let _gone = reply.send(Err(NotReloaded::Spool(error.to_string())));
            return Err(Error::Ended(format!("the spool does not take the new configuration ({error})")));
        }
        self.work = self.parts.start(*config, notices, &self.shutdown);
        let _gone = reply.send(Ok(Reloaded::Changed { previous, current }));
        Ok(self)
    }
}

/// The setting that differs and cannot change without a restart.
fn fixed(old: &Gateway, new: &Gateway) -> Option<&'static str> {
    let spool = |config: &Gateway| {
        let spool = config.spool;
        (spool.cache_bytes, spool.capacity_bytes, spool.when_full)
    };
    if old.name != new.name {
        Some("gateway.name")
    } else if old.data_dir != new.data_dir {
        Some("gateway.data_dir")
    } else if spool(old) != spool(new) {
        Some("[spool]")
    } else if old.status != new.status {
        Some("[status]")
    } else {
        None
    }
}
