//! What a kind of channel needs besides its address, as it is stored with the channel: names of secrets, never secrets.

use serde::{Deserialize, Serialize};

/// The settings of a channel. Which of them a kind has is checked where documents are read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Name of the secret that signs, or that logs in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// No more messages a minute than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_minute: Option<u32>,
    /// Mail server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<MailTls>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Who gets mail that is for nobody in particular.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<String>,
    /// How a body is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
    /// `Name: value` each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Where the answer says that it was taken (RFC 6901),
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success: Option<String>,
    /// and what it says then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success_equals: Option<String>,
    /// Active alerts are posted again so often.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every_s: Option<u32>,
}

/// How the way to a mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MailTls {
    /// Plain at first, then TLS or nothing.
    #[default]
    Starttls,
    /// TLS from the first byte.
    Tls,
    None,
}

impl MailTls {
    pub const WORDS: [(&'static str, MailTls); 3] =
        [("starttls", MailTls::Starttls), ("tls", MailTls::Tls), ("none", MailTls::None)];

    /// The port where none is given.
    pub const fn port(self) -> u16 {
        match self {
            MailTls::Starttls => 587,
            MailTls::Tls => 465,
            MailTls::None => 25,
        }
    }
}

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    Markdown,
    Text,
    Json,
    Form,
}

/// How an endpoint is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    Get,
    #[default]
    Post,
    Put,
}

impl Method {
    pub const WORDS: [(&'static str, Method); 3] =
        [("GET", Method::Get), ("POST", Method::Post), ("PUT", Method::Put)];
}
