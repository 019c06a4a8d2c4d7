//! One message to one recipient by one channel, whatever its kind.

use jiff::SignedDuration;
use serde_json::Value;

use crate::central::notify::{Answer, webhook};
use crate::domain::alerting::pace::Limit;
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

/// How fast a kind of channel may send: the bots of groups take 20 messages a minute.
pub fn limit(kind: &str, _settings: &Value) -> Option<Limit> {
    let bot = matches!(kind, "dingtalk" | "wecom" | "feishu");
    bot.then_some(Limit { messages: 20, per: SignedDuration::from_secs(60) })
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
}

impl Post {
    /// Opens nothing yet.
    pub fn new() -> Post {
        Post { http: webhook::client() }
    }

    /// A sign of life to whoever watches from outside.
    pub async fn heartbeat(&self, url: &str, body: &Value) -> Answer {
        self.emergency(url, "heartbeat", body).await
    }

    /// Straight to an address of the configuration, where no row can name a channel.
    pub async fn emergency(&self, url: &str, id: &str, body: &Value) -> Answer {
        match &self.http {
            Ok(client) => webhook::post(client, url, id, body).await,
            Err(reason) => Answer::Later { reason: reason.clone(), after: None, status: None },
        }
    }

    /// Sends one message; never longer than a channel's limit.
    pub async fn send(&self, channel: &Channel, out: &Outgoing<'_>) -> Answer {
        if channel.kind == "log" {
            tracing::warn!(channel = channel.name, id = out.id, "ALERT {}", out.message.title);
            return Answer::Taken { status: None };
        }
        let Some(url) = &channel.url else {
            let reason = "the channel has no url; set it in the plant".to_owned();
            return Answer::Later { reason, after: None, status: None };
        };
        match &self.http {
            Ok(client) => webhook::post(client, url, out.id, out.body).await,
            Err(reason) => Answer::Later { reason: reason.clone(), after: None, status: None },
        }
    }
}

impl Default for Post {
    fn default() -> Post {
        Post::new()
    }
}
