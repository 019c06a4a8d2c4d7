//! `[[notify]]` of `plant/1`: where alerts go. Each kind has keys of its own; one that is not its own is refused, so that nobody
//! believes in a setting that nothing reads. `docs/alerting-channels.md` has an example of each kind.

/// The rules between several keys of one channel.
mod rules;
/// What is stored with a channel.
mod settings;

use crate::config::catalogue::written::Written;
use crate::config::check::{self, Check};
use crate::config::document::Section;
use crate::config::plant::period;
use crate::config::template::{PLACES, Template, is_secret_name};

pub use settings::{Format, MailTls, Method, Settings};

/// Where alerts go.
#[derive(Debug, Clone, PartialEq)]
pub struct NotifyChannel {
    pub id: i32,
    pub name: String,
    pub kind: NotifyKind,
    /// What is posted to. Secrets in it are places: `{secret}`, `{secret:NAME}`.
    pub url: Option<String>,
    pub settings: Settings,
    /// Gets every alert by itself; else only what teams and people are sent by it.
    pub broadcast: bool,
    pub enabled: bool,
}

/// How an alert is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotifyKind {
    /// JSON by HTTP POST.
    Webhook,
    /// Our own log.
    Log,
    /// Mail.
    Smtp,
    /// A bot of a DingTalk group.
    Dingtalk,
    /// A bot of a WeCom group.
    Wecom,
    /// A bot of a Feishu group.
    Feishu,
    /// A gateway for short messages or calls, by templates.
    Http,
    /// What is active, again and again, to a Prometheus Alertmanager.
    Alertmanager,
}

impl NotifyKind {
    pub const ALL: [NotifyKind; 8] = [
        NotifyKind::Webhook,
        NotifyKind::Log,
        NotifyKind::Smtp,
        NotifyKind::Dingtalk,
        NotifyKind::Wecom,
        NotifyKind::Feishu,
        NotifyKind::Http,
        NotifyKind::Alertmanager,
    ];

    /// As written in files and tables.
    pub const fn name(self) -> &'static str {
        match self {
            NotifyKind::Webhook => "webhook",
            NotifyKind::Log => "log",
            NotifyKind::Smtp => "smtp",
            NotifyKind::Dingtalk => "dingtalk",
            NotifyKind::Wecom => "wecom",
            NotifyKind::Feishu => "feishu",
            NotifyKind::Http => "http",
            NotifyKind::Alertmanager => "alertmanager",
        }
    }

    /// The reverse of [`NotifyKind::name`].
    pub fn from_name(name: &str) -> Option<NotifyKind> {
        NotifyKind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The keys it must have and those that it may have, besides `name`, `kind` and `enabled`.
    const fn keys(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            NotifyKind::Webhook => (&["url"], &["secret", "per_minute", "broadcast"]),
            NotifyKind::Log => (&[], &["broadcast"]),
            NotifyKind::Smtp => {
                (&["host", "from"], &["port", "tls", "user", "secret", "to", "per_minute", "broadcast"])
            }
            NotifyKind::Dingtalk | NotifyKind::Feishu => (&["url"], &["secret", "per_minute", "broadcast"]),
            NotifyKind::Wecom => (&["url"], &["secret", "format", "per_minute", "broadcast"]),
            NotifyKind::Http => (
                &["url"],
                &[
                    "secret",
                    "method",
                    "headers",
                    "format",
                    "body",
                    "success",
                    "success_equals",
                    "per_minute",
                    "broadcast",
                ],
            ),
            NotifyKind::Alertmanager => (&["url"], &["secret", "user", "every_s"]),
        }
    }

    /// Whether it is a bot of a group, which may not say more than 20 things a minute.
    pub const fn is_bot(self) -> bool {
        match self {
            NotifyKind::Dingtalk | NotifyKind::Wecom | NotifyKind::Feishu => true,
            NotifyKind::Webhook
            | NotifyKind::Log
            | NotifyKind::Smtp
            | NotifyKind::Http
            | NotifyKind::Alertmanager => false,
        }
    }
}

/// So many messages a minute a bot of a group may send (WeCom and DingTalk; Feishu allows more, nobody reads more).
pub const BOT_PER_MINUTE: u32 = 20;

/// The keys of one channel, read as its kind wants them.
struct Keys<'s, 'd> {
    section: &'s mut Section<'d>,
    /// `None`: it is not known, and any key may be right.
    kind: Option<NotifyKind>,
}

impl Keys<'_, '_> {
    fn refused(&mut self, key: &str) -> bool {
        let Some(kind) = self.kind else { return false };
        let (must, may) = kind.keys();
        if must.contains(&key) || may.contains(&key) {
            return false;
        }
        let all: Vec<&str> = must.iter().chain(may).copied().collect();
        let known = if all.is_empty() { "none".to_owned() } else { all.join(", ") };
        self.section.refuse(key, &format!("no {key}: the keys of kind {:?} are {known}", kind.name()));
        true
    }

    fn must(&self, key: &str) -> bool {
        self.kind.is_some_and(|kind| kind.keys().0.contains(&key))
    }

    /// `None` only after a problem.
    fn one<T>(&mut self, key: &str, check: Check<'_, T>) -> Option<Option<T>> {
        if self.refused(key) {
            return Some(None);
        }
        if self.must(key) {
            return self.section.required(key, check).map(Some);
        }
        self.section.optional(key, check)
    }

    fn several<T>(&mut self, key: &str, check: Check<'_, T>) -> Option<Vec<T>> {
        if self.refused(key) { Some(Vec::new()) } else { self.section.list(key, check) }
    }
}

/// Reads one `[[notify]]`.
pub(in crate::config) fn read(section: &mut Section<'_>, written: &mut Written) {
    let kinds = NotifyKind::ALL.map(|kind| (kind.name(), kind));
    let name = section.required("name", period::code());
    let kind = section.required("kind", check::one_of(&kinds));
    let enabled = section.with_default("enabled", check::boolean(), true);
    if let Some(name) = &name {
        written.declare("notify", name, &section.place("name"));
    }
    let mut keys = Keys { section, kind };
    let url = keys.one("url", web_address());
    let broadcast = keys.one("broadcast", check::boolean());
    let settings = settings(&mut keys);
    let (Some(name), Some(kind), Some(enabled)) = (name, kind, enabled) else { return };
    let (Some(url), Some(broadcast), Some(settings)) = (url, broadcast, settings) else { return };
    let broadcast = broadcast.unwrap_or(true);
    let channel = NotifyChannel { id: 0, name, kind, url, settings, broadcast, enabled };
    rules::check(section, &channel);
    written.notify.push(channel);
}

fn settings(keys: &mut Keys<'_, '_>) -> Option<Settings> {
    let per_minute = if keys.kind.is_some_and(NotifyKind::is_bot) { i64::from(BOT_PER_MINUTE) } else { 6000 };
    let secret = keys.one("secret", secret_name());
    let per_minute = keys.one("per_minute", check::small(1..=per_minute));
    let host = keys.one("host", host());
    let port = keys.one("port", check::small(1..=65_535));
    let tls = keys.one("tls", check::one_of(&MailTls::WORDS));
    let user = keys.one("user", check::any_text());
    let from = keys.one("from", mail_address());
    let to = keys.several("to", mail_address());
    let format = keys.one("format", check::one_of(formats(keys.kind)));
    let method = keys.one("method", check::one_of(&Method::WORDS));
    let headers = keys.several("headers", header());
    let body = keys.one("body", body());
    let success = keys.one("success", pointer());
    let success_equals = keys.one("success_equals", plain_value());
    let every_s = keys.one("every_s", check::small(5..=300));
    Some(Settings {
        secret: secret?,
        per_minute: per_minute?,
        host: host?,
        port: port?,
        tls: tls?,
        user: user?,
        from: from?,
        to: to?,
        format: format?,
        method: method?,
        headers: headers?,
        body: body?,
        success: success?,
        success_equals: success_equals?,
        every_s: every_s?,
    })
}

static FORMATS: [(&str, Format); 4] =
    [("markdown", Format::Markdown), ("text", Format::Text), ("json", Format::Json), ("form", Format::Form)];

fn formats(kind: Option<NotifyKind>) -> &'static [(&'static str, Format)] {
    // Text is a format of both.
    match kind {
        Some(NotifyKind::Http) => FORMATS.split_at(1).1,
        Some(NotifyKind::Wecom) => FORMATS.split_at(2).0,
        Some(_) | None => &FORMATS,
    }
}

pub(in crate::config) fn web_address<'c>() -> Check<'c, String> {
    let allowed = format!(
        "http://HOST… or https://HOST…, 1000 characters at most, without a user in it; secrets in its path or \
         query as {{secret}} or {{secret:NAME}}; of kind \"http\" all of {PLACES}"
    );
    check::text(&allowed, |text| {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
        let host = rest.split(['/', '?', '#']).next()?;
        // A place in the host would let a message choose where it goes; a user would be a secret in the database.
        let host_is_plain = !host.is_empty() && !host.contains(['{', '}', '@', '\\']);
        let valid = host_is_plain && text.len() <= 1000 && !text.contains(char::is_whitespace);
        let parses = reqwest::Url::parse(text).is_ok_and(|url| url.host().is_some());
        (valid && parses && Template::parse(text).is_ok()).then(|| text.to_owned())
    })
}

fn secret_name<'c>() -> Check<'c, String> {
    let allowed = "the name of a secret: 1 to 64 small letters, digits and \"-\"; its value is in the centre's environment, \
                   as CEMS_SECRET_NAME, or in a file of [alerting] secrets_dir";
    check::text(allowed, |text| is_secret_name(text).then(|| text.to_owned()))
}

fn host<'c>() -> Check<'c, String> {
    check::text("a host without a port, as \"smtp.example.cn\"", |text| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
        let valid = (1..=253).contains(&text.len()) && text.bytes().all(known);
        let valid = valid && (!text.contains(':') || text.parse::<std::net::Ipv6Addr>().is_ok());
        valid.then(|| text.to_owned())
    })
}

fn mail_address<'c>() -> Check<'c, String> {
    check::text("a mail address, as \"duty@example.cn\"", |text| {
        (text.len() <= 254 && text.parse::<lettre::Address>().is_ok()).then(|| text.to_owned())
    })
}

fn header<'c>() -> Check<'c, String> {
    let allowed =
        format!("a header as \"Name: value\", of visible ASCII, 1000 characters at most; places: {PLACES}");
    check::text(&allowed, |text| {
        let (name, value) = text.split_once(':')?;
        reqwest::header::HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
        let visible = value.bytes().all(|byte| (0x20..0x7f).contains(&byte)) && text.len() <= 1000;
        (visible && Template::parse(text).is_ok()).then(|| text.to_owned())
    })
}

fn body<'c>() -> Check<'c, String> {
    check::text(
        &format!("a text of 1 to 20000 characters with these places and no others: {PLACES}"),
        |text| {
            let valid = (1..=20_000).contains(&text.chars().count()) && Template::parse(text).is_ok();
            valid.then(|| text.to_owned())
        },
    )
}

fn pointer<'c>() -> Check<'c, String> {
    check::text("a JSON pointer into the answer (RFC 6901), as \"/code\"", |text| {
        (text.starts_with('/') && text.len() <= 200).then(|| text.to_owned())
    })
}

/// A text, number or truth value, as text.
fn plain_value<'c>() -> Check<'c, String> {
    use config::ValueKind;
    Check::new("a text, a whole number, true or false", |value| {
        if let ValueKind::String(text) = value {
            (text.len() <= 200).then(|| text.clone())
        } else if let ValueKind::I64(number) = value {
            Some(number.to_string())
        } else if let ValueKind::Boolean(truth) = value {
            Some(truth.to_string())
        } else {
            None
        }
    })
}

#[cfg(test)]
mod tests;
