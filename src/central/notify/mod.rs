//! Alerts leave here: from the outbox table to people's channels, at least once, every attempt recorded. A channel that fails is tried
//! by one delivery at a time until it works again; one with a limit gets many alerts in one message rather than none.

/// Takes deliveries to channels.
mod courier;
/// HTTP POST of the alert's JSON.
pub mod webhook;
/// One message to one recipient.
pub mod channel;
/// Mail.
mod smtp;
/// What the bots of groups have in common.
mod bot;
/// A bot of a DingTalk group.
mod dingtalk;
/// A bot of a WeCom group.
mod wecom;
/// A bot of a Feishu group.
mod feishu;
/// Gateways for short messages and calls.
mod http;
/// What is active, to a Prometheus Alertmanager.
pub mod alertmanager;
/// How many messages a channel may be sent.
pub mod limit;
/// A message in the form that a channel wants.
pub mod form;
/// Where messages may go.
pub mod guard;
/// Secrets of channels.
pub mod secret;
/// One HTTP request, bounded.
mod call;
/// From alerts to people.
pub mod dispatch;
/// Whether the way to people can be trusted.
pub mod trust;
/// What `/metrics` says of it.
pub mod figures;
/// How channels fare.
mod health;
/// The words of a delivery.
mod render;

use std::time::Duration;

pub use courier::Courier;

/// What a channel said of one attempt, with the HTTP or SMTP status where there was one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Taken {
        status: Option<u16>,
    },
    /// Not now; the channel may have said when.
    Later {
        reason: String,
        after: Option<Duration>,
        status: Option<u16>,
    },
    /// Never, for this recipient or this message: trying again is of no use.
    Refused {
        reason: String,
        status: Option<u16>,
    },
}

/// Not now, for this reason.
fn later(reason: String) -> Answer {
    Answer::Later { reason, after: None, status: None }
}
