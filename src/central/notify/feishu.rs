//! A bot of a Feishu group: rich text, in which nothing is a mark, signed by time stamp and code in the body; 20 KB a message.
//! <https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot>

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::central::notify::Answer;
use crate::central::notify::bot::{Dialect, base64, member, too_long};
use crate::central::notify::channel::{Outgoing, Sending};
use crate::central::notify::form::{Flavour, address, fit, json_cost, link_word, unmarked};
use crate::central::notify::webhook::{hmac_sha256, post_json};
use crate::clock;
use crate::domain::alerting::Language;
use crate::domain::message::Message;

const DIALECT: Dialect = Dialect {
    name: "Feishu",
    code: &["code", "StatusCode"],
    text: &["msg", "StatusMessage"],
    busy: &[11_232, 9_499],
};
/// Of the whole body.
const MOST_BYTES: usize = 20_000;
/// What time stamp and code cost.
const SIGNATURE_BYTES: usize = 120;

/// Sends one message.
pub(super) async fn send(sending: &mut Sending<'_>, out: &Outgoing<'_>) -> Result<Answer, Answer> {
    let mut body = body(out.message, member(out.recipient)?)?;
    if let Some(secret) = sending.secret().await? {
        sign(&mut body, &secret, clock::now());
    }
    let url = sending.url().await?;
    Ok(DIALECT.judge(&post_json(sending, url, out.id, &body).await?))
}

/// The key is what is signed, and the message is empty: so it wants it.
fn sign(body: &mut Value, secret: &str, at: Timestamp) {
    let stamp = at.as_second();
    let code = base64(&hmac_sha256(format!("{stamp}\n{secret}").as_bytes(), b""));
    if let Some(fields) = body.as_object_mut() {
        fields.insert("timestamp".to_owned(), json!(stamp.to_string()));
        fields.insert("sign".to_owned(), json!(code));
    }
}

fn body(message: &Message, member: Option<&str>) -> Result<Value, Answer> {
    let language = match message.language {
        Language::Zh => "zh_cn",
        Language::En => "en_us",
    };
    let title = fit(&unmarked(&message.title, Flavour::Feishu), 400, char::len_utf8);
    let with = |lines: &[String]| {
        let text = |line: &String| json!([{"tag": "text", "text": line}]);
        let mut content: Vec<Value> = lines.iter().map(text).collect();
        content.extend(
            address(message)
                .map(|href| json!([{"tag": "a", "text": link_word(message.language), "href": href}])),
        );
        content.extend(member.map(|member| json!([{"tag": "at", "user_id": member}])));
        json!({"msg_type": "post", "content": {"post": {language: {"title": title, "content": content}}}})
    };
    let most = MOST_BYTES - SIGNATURE_BYTES;
    let around_a_line = json!([{"tag": "text", "text": ""}]).to_string().len() + 1;
    let mut room = most.checked_sub(with(&[]).to_string().len()).ok_or_else(|| too_long("Feishu"))?;
    let mut lines = Vec::new();
    for text in &message.lines {
        let Some(rest) = room.checked_sub(around_a_line) else { break };
        let line = fit(&unmarked(text, Flavour::Feishu), rest, json_cost);
        room = rest.saturating_sub(line.chars().map(json_cost).sum());
        lines.push(line);
    }
    Ok(with(&lines))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::central::notify::form::tests_of_forms::long;

    #[test]
    fn the_longest_message_is_short_enough_with_its_signature() {
        for letter in ["中", "\"", "😀"] {
            let mut body = body(&long(letter), Some("ou_1")).unwrap();
            sign(&mut body, "secret", clock::now());
            let length = body.to_string().len();
            assert!((MOST_BYTES - 60..=MOST_BYTES).contains(&length), "{letter}: {length}");
            let last = body["content"]["post"]["zh_cn"]["content"].as_array().unwrap().iter().rev();
            let tags: Vec<&str> = last.take(2).map(|line| line[0]["tag"].as_str().unwrap()).collect();
            assert_eq!(tags, ["at", "a"]);
        }
    }
}
