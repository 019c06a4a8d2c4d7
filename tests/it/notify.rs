//! Channels of notification against stand-ins that misbehave, real mail and a real Alertmanager.

/// Endpoints that answer well, badly, late or never.
mod endpoints;
/// A stand-in for an endpoint.
mod stub;
/// The bodies that bots and gateways get.
mod bots;
/// Mail, to a server of the test's own.
mod mail;
/// The mail server.
mod mail_server;
/// Debian's Alertmanager.
mod alertmanager;

use std::path::Path;

use cems::central::notify::Answer;
use cems::central::notify::channel::{Channel, Outgoing, Post};
use cems::config::central::Alerting;
use cems::domain::alerting::Language;
use cems::domain::message::Message;
use serde_json::{Value, json};

/// The id of every alert here.
const ID: &str = "0192f0c1-1111-7000-8000-000000000001";

/// Settings of a centre whose endpoints are on this machine, with secrets in a folder.
fn inside(secrets: Option<&Path>) -> Alerting {
    Alerting { allow_private: true, secrets_dir: secrets.map(Path::to_owned), ..Alerting::default() }
}

fn channel(kind: &str, url: &str, settings: Value) -> Channel {
    let url = (!url.is_empty()).then(|| url.to_owned());
    Channel { id: 1, name: "test".to_owned(), kind: kind.to_owned(), url, settings }
}

/// A folder with these secrets.
fn secrets(of: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, value) in of {
        std::fs::write(folder.path().join(name), format!("{value}\n")).unwrap();
    }
    folder
}

fn message() -> Message {
    Message {
        language: Language::Zh,
        title: "【小时超标·许可限值】XX水泥 DA001窑尾 SO₂".to_owned(),
        lines: vec!["03:00–04:00 折算88.0,限值35 mg/m³,超标1.51倍".to_owned(), "设备正常 \"ok\"".to_owned()],
        link: Some("https://cems.example/a/abc".to_owned()),
    }
}

/// With names that try everything.
fn hostile() -> Message {
    Message {
        title: "@all <at user_id=\"all\"></at> **a** [b](http://evil)\r\nBcc: x@evil.cn".to_owned(),
        lines: vec!["\"},{\"to\":\"1\u{7}".to_owned(), "- #x_y`z`&to=5".to_owned()],
        ..message()
    }
}

async fn sent(post: &Post, channel: &Channel, recipient: &str, message: &Message) -> Answer {
    let body = json!({"id": ID, "kind": "exceedance", "summary": message.title});
    post.send(channel, &Outgoing { id: ID, recipient, message, body: &body }).await
}

/// Why something was not taken, which must not be for ever.
fn reason(answer: Answer) -> String {
    match answer {
        Answer::Later { reason, .. } => reason,
        other @ (Answer::Taken { .. } | Answer::Refused { .. }) => panic!("to be tried again: {other:?}"),
    }
}
