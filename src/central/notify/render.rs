//! The words of a delivery: of one alert, or of many in one.

use jiff::tz::TimeZone;
use serde_json::Value;

use crate::clock;
use crate::domain::alert::Alert;
use crate::domain::alerting::{Audience, Language};
use crate::domain::link::{Key, Link};
use crate::domain::message::{Context, Message, Reached, digest, message};
use crate::store::delivery::Waiting;
use crate::store::link;
use crate::store::session::{Failure, Session};

/// Makes messages.
pub(super) struct Renderer {
    zone: TimeZone,
    public_url: Option<String>,
    /// Signs links; read when the first is made.
    key: Option<Key>,
}

impl Renderer {
    pub(super) fn new(zone: TimeZone, public_url: Option<String>) -> Renderer {
        Renderer { zone, public_url, key: None }
    }

    /// The message for deliveries to one place in one language.
    pub(super) async fn message(
        &mut self,
        session: &mut Session,
        of: &[Waiting],
    ) -> Result<Message, Failure> {
        let language = match of.first().map(|first| first.language.as_str()) {
            Some("en") => Language::En,
            Some(_) | None => Language::Zh,
        };
        let alerts: Vec<Alert> = of.iter().filter_map(|one| alert(&one.body)).collect();
        let console = self.public_url.clone();
        if let ([one], [alert]) = (of, alerts.as_slice()) {
            let link = self.link(session, one).await?;
            return Ok(message(alert, language, &context(one, link), &self.zone));
        }
        let all: Vec<&Alert> = alerts.iter().collect();
        Ok(digest(&all, of.len(), language, &self.zone, console))
    }
}

impl Renderer {
    /// The address of the page of one delivery, where there is one.
    async fn link(&mut self, session: &mut Session, one: &Waiting) -> Result<Option<String>, Failure> {
        let (Some(url), Some((id, expires_at))) = (&self.public_url, &one.link) else { return Ok(None) };
        let Ok(id) = uuid::Uuid::try_parse(id) else { return Ok(None) };
        let key = match &self.key {
            Some(key) => key,
            None => self.key.insert(link::key(session.client().await?, clock::now()).await?),
        };
        let token = Link { id: id.into_bytes(), expires_at: expires_at.as_second() }.sign(key);
        Ok(Some(format!("{}/a/{token}", url.trim_end_matches('/'))))
    }
}

/// What is stored was written by us; an alert of a later version is told by its summary.
fn alert(body: &Value) -> Option<Alert> {
    serde_json::from_value(body.clone()).ok()
}

fn context(one: &Waiting, link: Option<String>) -> Context {
    let others = one.lines.iter().filter(|(audience, ..)| Some(audience) != one.audience.as_ref());
    let reached = |(_, told, seen, by): &(String, bool, bool, Option<String>)| match (by, seen, told) {
        (Some(by), ..) => Reached::Acknowledged { by: by.clone() },
        (None, true, _) => Reached::Seen,
        (None, false, true) => Reached::Unread,
        (None, false, false) => Reached::NotTold,
    };
    Context {
        link,
        acknowledge_by: one.acknowledge_by,
        others: others.filter_map(|line| Some((Audience::from_name(&line.0)?, reached(line)))).collect(),
    }
}
