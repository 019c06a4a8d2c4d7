//! The rules between several keys of one channel.

use super::{Format, MailTls, Method, NotifyChannel, NotifyKind, Settings};
use crate::config::document::Section;
use crate::config::template::{Escape, Place, Template};

/// Notes what does not go together.
pub(super) fn check(section: &Section<'_>, channel: &NotifyChannel) {
    secrets(section, channel);
    match channel.kind {
        NotifyKind::Smtp => mail(section, channel),
        NotifyKind::Http => http(section, channel),
        NotifyKind::Webhook
        | NotifyKind::Log
        | NotifyKind::Dingtalk
        | NotifyKind::Wecom
        | NotifyKind::Feishu
        | NotifyKind::Alertmanager => {}
    }
}

/// The places in an address, the headers and the body, by key.
fn places(channel: &NotifyChannel) -> Vec<(&'static str, Vec<Place>)> {
    let settings = &channel.settings;
    let url = channel.url.iter().map(|url| ("url", url));
    let headers = settings.headers.iter().map(|header| ("headers", header));
    let body = settings.body.iter().map(|body| ("body", body));
    let all = url.chain(headers).chain(body);
    all.filter_map(|(key, text)| Some((key, Template::parse(text).ok()?.places().cloned().collect())))
        .collect()
}

/// `{secret}` needs `secret`; only `http` fills in anything else.
fn secrets(section: &Section<'_>, channel: &NotifyChannel) {
    for (key, places) in places(channel) {
        if places.contains(&Place::Secret(None)) && channel.settings.secret.is_none() {
            section.problem(
                "secret",
                "nothing",
                &format!("the name of the secret that stands in {key} as {{secret}}"),
            );
        }
        let other = |place: &Place| !matches!(place, Place::Secret(_));
        if channel.kind != NotifyKind::Http && places.iter().any(other) {
            let found = channel.url.as_deref().unwrap_or_default();
            section.problem(
                key,
                &format!("{found:?}"),
                "no other place than {secret} and {secret:NAME} in this kind",
            );
        }
    }
}

fn mail(section: &Section<'_>, channel: &NotifyChannel) {
    let settings = &channel.settings;
    match (&settings.user, &settings.secret) {
        (Some(_), None) => {
            section.problem("secret", "nothing", "the name of the secret that is the password of user")
        }
        (None, Some(_)) => section.problem("user", "nothing", "the user whose password the secret is"),
        (Some(_), Some(_)) if settings.tls == Some(MailTls::None) => {
            section.problem(
                "tls",
                "\"none\"",
                "\"starttls\" or \"tls\" where there is a user: the password would be readable",
            );
        }
        (None, None) | (Some(_), Some(_)) => {}
    }
    if channel.broadcast && settings.to.is_empty() {
        section.problem(
            "to",
            "nothing",
            "the addresses that get every alert; or broadcast = false: only people who are told by it",
        );
    }
}

fn http(section: &Section<'_>, channel: &NotifyChannel) {
    let settings = &channel.settings;
    let needs_somebody = places(channel).iter().any(|(_, places)| places.contains(&Place::To));
    if needs_somebody && channel.broadcast {
        section.problem(
            "broadcast",
            "true",
            "false where {to} is used: what is told to all is for nobody in particular",
        );
    }
    if settings.method == Some(Method::Get) && settings.body.is_some() {
        section.problem("body", "a body", "no body with method = \"GET\"");
    }
    if settings.success.is_some() != settings.success_equals.is_some() {
        section.problem(
            "success",
            "one of the two",
            "success (where to look) and success_equals (what is there) together, or neither",
        );
    }
    if let Some(body) = settings.body.as_deref().filter(|_| !is_json_when_filled(settings)) {
        let found: String = body.chars().take(60).collect();
        let allowed = "JSON once its places are filled, each within a string: \"{to}\"; or format = \"form\" or \"text\"";
        section.problem("body", &format!("{found:?}"), allowed);
    }
}

/// A body of format JSON must stay JSON, whatever is filled in.
fn is_json_when_filled(settings: &Settings) -> bool {
    if settings.format.unwrap_or(Format::Json) != Format::Json {
        return true;
    }
    let Some(template) = settings.body.as_deref().and_then(|body| Template::parse(body).ok()) else {
        return true;
    };
    let filled = template.fill(Escape::Json, |_| "a \"quoted\" word");
    serde_json::from_str::<serde_json::Value>(&filled).is_ok()
}
