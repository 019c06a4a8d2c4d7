//! A gateway for short messages or calls, spoken to as its maker wants it: address, headers and body are templates of the channel, and
//! what is filled in is escaped for where it stands. Taken is 2xx and, where the channel says so, a value in the answer.

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use crate::central::notify::call::{Call, Reads, Reply};
use crate::central::notify::channel::{Outgoing, Sending};
use crate::central::notify::form::{line, plain, short};
use crate::central::notify::{Answer, later};
use crate::config::notify::{Format, Method};
use crate::config::template::{Escape, Values};

/// One short message in UCS-2.
const SHORT: usize = 70;

/// Sends one message.
pub(super) async fn send(sending: &mut Sending<'_>, out: &Outgoing<'_>) -> Result<Answer, Answer> {
    let (title, text, brief) = (line(&out.message.title), plain(out.message), short(out.message, SHORT));
    let link = out.message.link.as_deref().map(line).unwrap_or_default();
    let to = line(out.recipient);
    let values = Values { to: &to, title: &title, text: &text, short: &brief, id: out.id, link: &link };
    let method = sending.settings.method.unwrap_or_default();
    let format = sending.settings.format.unwrap_or(Format::Json);
    let (escape, content_type) = match format {
        Format::Json => (Escape::Json, "application/json"),
        Format::Form => (Escape::Percent, "application/x-www-form-urlencoded"),
        Format::Text | Format::Markdown => (Escape::Plain, "text/plain; charset=utf-8"),
    };
    let mut headers = HeaderMap::new();
    let mut body = None;
    if let Some(template) = sending.settings.body.clone() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        body = Some(sending.filled(&template, escape, &values).await?);
    }
    for header in sending.settings.headers.clone() {
        let (name, template) = header.split_once(':').unwrap_or((&header, ""));
        let name = HeaderName::from_bytes(name.trim().as_bytes())
            .map_err(|error| later(format!("the header {:?}: {error}", line(name))))?;
        let filled = sending.filled(template.trim(), Escape::Header, &values).await?;
        // The value is not told: it may be a secret.
        let mut filled = HeaderValue::try_from(filled)
            .map_err(|error| later(format!("the header {name} has no usable value: {error}")))?;
        filled.set_sensitive(true);
        headers.insert(name, filled);
    }
    let url = sending.url_with(&values).await?;
    let method = match method {
        Method::Get => reqwest::Method::GET,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
    };
    let reads = if sending.settings.success.is_some() { Reads::Body } else { Reads::Status };
    let reply = sending.call(Call { method, url, headers, body, reads }).await?;
    let rule = sending.settings.success.as_deref().zip(sending.settings.success_equals.as_deref());
    Ok(judge(&reply, rule))
}

/// By its status, and then by the rule: where to look, and what is there.
fn judge(reply: &Reply, rule: Option<(&str, &str)>) -> Answer {
    let by_status = reply.by_status();
    let (Answer::Taken { status }, Some((pointer, wanted))) = (&by_status, rule) else { return by_status };
    let later = |reason: String| Answer::Later { reason, after: reply.after, status: *status };
    let Ok(said) = serde_json::from_slice::<Value>(&reply.body) else {
        return later(format!("the gateway answered {} with something that is no JSON", reply.status));
    };
    let found = match said.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => return later(format!("the gateway answered {} without {pointer}", reply.status)),
    };
    if found == wanted {
        return by_status;
    }
    let found: String = found.chars().take(200).collect();
    later(format!("the gateway answered {}, but {pointer} is {found:?}, not {wanted:?}", reply.status))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, body: &str, rule: Option<(&str, &str)>) -> String {
        match judge(&Reply { status, after: None, body: body.as_bytes().to_vec() }, rule) {
            Answer::Taken { .. } => "taken".to_owned(),
            Answer::Later { reason, .. } | Answer::Refused { reason, .. } => reason,
        }
    }

    #[test]
    fn a_value_in_the_answer_decides_where_the_channel_says_so() {
        assert_eq!(judged(204, "", None), "taken");
        let rule = Some(("/result/code", "0"));
        for good in ["{\"result\":{\"code\":0}}", "{\"result\":{\"code\":\"0\"}}"] {
            assert_eq!(judged(200, good, rule), "taken");
        }
        assert!(judged(200, "{\"result\":{\"code\":23}}", rule).contains("\"23\", not \"0\""));
        assert!(judged(200, "{}", rule).contains("without /result/code"));
        assert!(judged(200, "OK", rule).contains("no JSON"));
        assert!(judged(400, "{\"result\":{\"code\":0}}", rule).contains("400"));
    }
}
