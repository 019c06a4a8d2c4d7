//! One message to one recipient by one channel, whatever its kind.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use crate::central::notify::call::{self, Call, LONGEST, Reply};
use crate::central::notify::guard::{Guard, Lookup, system_lookup};
use crate::central::notify::secret::{Keyring, Secrets};
use crate::central::notify::{Answer, dingtalk, feishu, http, later, smtp, webhook, wecom};
use crate::config::central::Alerting;
use crate::config::notify::{NotifyKind, Settings};
use crate::config::template::{Escape, Place, Template, Values};
use crate::domain::alerting::Language;
use crate::domain::message::Message;

/// A channel of notification, as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Channel {
    pub id: i32,
    pub name: String,
    /// Name of its kind.
    pub kind: String,
    pub url: Option<String>,
    pub settings: Value,
}

/// What is sent.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// Of the alert, or of the digest: the same for every attempt.
    pub id: &'a str,
    /// Empty: the channel itself is the recipient.
    pub recipient: &'a str,
    pub message: &'a Message,
    /// The alert as the webhook has it; of a digest its first one.
    pub body: &'a Value,
}

/// Sends. Made once; cloned freely.
#[derive(Clone)]
pub struct Post {
    http: Result<reqwest::Client, String>,
    pub(super) guard: Guard,
    secrets: Secrets,
    /// Authorities besides the system's, PEM.
    pub(super) authorities: Arc<[Vec<u8>]>,
}

impl Post {
    /// By the centre's settings. Opens no connection yet; what is wrong with the settings is said by every message that waits for it.
    pub fn new(alerting: &Alerting) -> Post {
        Post::with_lookup(alerting, system_lookup())
    }

    /// The same, finding names in another way.
    pub fn with_lookup(alerting: &Alerting, lookup: Lookup) -> Post {
        let guard = Guard::new(alerting, lookup);
        let authorities = alerting.ca.as_deref().map(authority).transpose();
        let (http, authorities) = match authorities {
            Ok(pem) => {
                let pem: Vec<Vec<u8>> = pem.into_iter().collect();
                (call::client(Some(guard.clone()), &pem), pem)
            }
            Err(reason) => (Err(reason), Vec::new()),
        };
        let secrets = Secrets::of(alerting.secrets_dir.clone());
        Post { http, guard, secrets, authorities: authorities.into() }
    }

    /// For addresses that stand in the operator's own configuration: they may lie anywhere.
    pub fn trusted(alerting: &Alerting) -> Post {
        let (allowed_hosts, allow_private) = (Vec::new(), true);
        Post::new(&Alerting { allowed_hosts, allow_private, ..alerting.clone() })
    }

    /// Straight to an address of the configuration, where no row can name a channel: a heartbeat, an emergency.
    pub async fn direct(&self, url: &str, id: &str, body: &Value) -> Answer {
        let channel = Channel {
            id: 0,
            name: "direct".to_owned(),
            kind: NotifyKind::Webhook.name().to_owned(),
            url: Some(url.to_owned()),
            settings: Value::Null,
        };
        let message = Message { language: Language::En, title: String::new(), lines: Vec::new(), link: None };
        self.send(&channel, &Outgoing { id, recipient: "", message: &message, body }).await
    }

    /// Sends one message; takes 10 s at most.
    pub async fn send(&self, channel: &Channel, out: &Outgoing<'_>) -> Answer {
        let mut sending = match Sending::by(self, channel) {
            Ok(sending) => sending,
            Err(answer) => return answer,
        };
        let answer = tokio::time::timeout(LONGEST, sending.deliver(out)).await;
        let answer = answer.unwrap_or_else(|_late| {
            Err(later(format!("the endpoint did not answer within {} s", LONGEST.as_secs())))
        });
        sending.keys.scrubbed(answer.unwrap_or_else(|answer| answer))
    }
}

/// A file of authorities, whatever is wrong with it said with its name.
fn authority(path: &Path) -> Result<Vec<u8>, String> {
    let shown = path.display();
    let pem =
        std::fs::read(path).map_err(|error| format!("[alerting] ca: {shown} cannot be read: {error}"))?;
    let certificates = reqwest::Certificate::from_pem_bundle(&pem);
    if certificates.is_ok_and(|certificates| !certificates.is_empty()) {
        return Ok(pem);
    }
    Err(format!("[alerting] ca: {shown} holds no certificate; give a file of PEM certificates"))
}

/// A message on its way: its channel, and the secrets that it has needed.
pub(super) struct Sending<'s> {
    pub post: &'s Post,
    pub channel: &'s Channel,
    pub settings: Settings,
    pub keys: Keyring<'s>,
}

impl<'s> Sending<'s> {
    /// # Errors
    /// [`Answer::Later`] when the stored settings cannot be read.
    pub fn by(post: &'s Post, channel: &'s Channel) -> Result<Sending<'s>, Answer> {
        let settings = match &channel.settings {
            Value::Null => Settings::default(),
            settings => serde_json::from_value(settings.clone()).map_err(|error| {
                later(format!(
                    "the settings of {} cannot be read: {error}; save the channel again",
                    channel.name
                ))
            })?,
        };
        Ok(Sending { post, channel, settings, keys: Keyring::of(&post.secrets) })
    }

    async fn deliver(&mut self, out: &Outgoing<'_>) -> Result<Answer, Answer> {
        match NotifyKind::from_name(&self.channel.kind) {
            Some(NotifyKind::Log) => {
                tracing::warn!(channel = self.channel.name, id = out.id, "ALERT {}", out.message.title);
                Ok(Answer::Taken { status: None })
            }
            Some(NotifyKind::Webhook) => webhook::send(self, out).await,
            Some(NotifyKind::Smtp) => smtp::send(self, out).await,
            Some(NotifyKind::Dingtalk) => dingtalk::send(self, out).await,
            Some(NotifyKind::Wecom) => wecom::send(self, out).await,
            Some(NotifyKind::Feishu) => feishu::send(self, out).await,
            Some(NotifyKind::Http) => http::send(self, out).await,
            Some(NotifyKind::Alertmanager) => {
                let reason =
                    "an Alertmanager gets what is active by itself; name another channel for messages";
                Err(Answer::Refused { reason: reason.to_owned(), status: None })
            }
            None => {
                Err(later(format!("{:?} is no kind of channel that this version knows", self.channel.kind)))
            }
        }
    }

    /// The channel's own secret, where it has one.
    pub async fn secret(&mut self) -> Result<Option<String>, Answer> {
        match self.settings.secret.clone() {
            Some(name) => self.keys.get(&name).await.map(Some),
            None => Ok(None),
        }
    }

    /// What one of the channel's texts says with its places filled.
    pub async fn filled(
        &mut self,
        text: &str,
        escape: Escape,
        values: &Values<'_>,
    ) -> Result<String, Answer> {
        let unreadable =
            |place: String| later(format!("the channel has an unknown place {place}; save it again"));
        let template = Template::parse(text).map_err(unreadable)?;
        let mut secrets = Vec::new();
        for place in template.places() {
            let Place::Secret(name) = place else { continue };
            let value = match name {
                Some(name) => self.keys.get(name).await?,
                None => self.secret().await?.ok_or_else(|| {
                    later("the channel has a place {secret} and no secret; name it in the plant".to_owned())
                })?,
            };
            secrets.push((place, value));
        }
        let secret = |place: &Place| secrets.iter().find(|(known, _)| *known == place);
        Ok(template.fill(escape, |place| {
            values.of(place).or_else(|| secret(place).map(|(_, value)| value.as_str())).unwrap_or_default()
        }))
    }

    /// The channel's address with its secrets.
    pub async fn url(&mut self) -> Result<reqwest::Url, Answer> {
        self.url_with(&Values::default()).await
    }

    /// The same with everything else filled in.
    pub async fn url_with(&mut self, values: &Values<'_>) -> Result<reqwest::Url, Answer> {
        let url = self.channel.url.clone();
        let url = url.ok_or_else(|| later("the channel has no url; set it in the plant".to_owned()))?;
        let filled = self.filled(&url, Escape::Percent, values).await?;
        // The address itself is not told: it may hold a secret by now.
        reqwest::Url::parse(&filled).map_err(|error| later(format!("the channel's url is none: {error}")))
    }

    /// Asks an endpoint.
    pub async fn call(&self, call: Call) -> Result<Reply, Answer> {
        match &self.post.http {
            Ok(client) => call::call(client, &self.post.guard, call).await,
            Err(reason) => Err(later(reason.clone())),
        }
    }
}
