//! A bot of a DingTalk group: markdown, signed by time stamp and code in the address; 20,000 bytes a message, 20 messages a minute.
//! <https://open.dingtalk.com/document/orgapp/custom-robot-access>

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::central::notify::Answer;
use crate::central::notify::bot::{Dialect, base64, is_number, member, too_long};
use crate::central::notify::channel::{Outgoing, Sending};
use crate::central::notify::form::{Flavour, fit, json_cost, line, link, markdown};
use crate::central::notify::webhook::{hmac_sha256, post_json};
use crate::clock;
use crate::domain::message::Message;

const DIALECT: Dialect =
    Dialect { name: "DingTalk", code: &["errcode"], text: &["errmsg"], busy: &[130_101, 90_018] };
/// Of the whole body.
const MOST_BYTES: usize = 20_000;

/// Sends one message.
pub(super) async fn send(sending: &mut Sending<'_>, out: &Outgoing<'_>) -> Result<Answer, Answer> {
    let body = body(out.message, member(out.recipient)?)?;
    let mut url = sending.url().await?;
    if let Some(secret) = sending.secret().await? {
        sign(&mut url, &secret, clock::now());
    }
    Ok(DIALECT.judge(&post_json(sending, url, out.id, &body).await?))
}

fn sign(url: &mut reqwest::Url, secret: &str, at: Timestamp) {
    let stamp = at.as_millisecond();
    let code = base64(&hmac_sha256(secret.as_bytes(), format!("{stamp}\n{secret}").as_bytes()));
    url.query_pairs_mut().append_pair("timestamp", &stamp.to_string()).append_pair("sign", &code);
}

/// The body; the text is cut, the link is not.
fn body(message: &Message, member: Option<&str>) -> Result<Value, Answer> {
    let title = fit(&line(&message.title).replace('@', "＠"), 200, char::len_utf8);
    let with = |text: &str| {
        let mut at = json!({"isAtAll": false});
        if let Some(member) = member {
            let key = if is_number(member) { "atMobiles" } else { "atUserIds" };
            at = json!({"isAtAll": false, key: [member]});
        }
        json!({"msgtype": "markdown", "markdown": {"title": title, "text": text}, "at": at})
    };
    let mut end = String::new();
    for more in link(message).into_iter().chain(member.map(|member| format!("@{member}"))) {
        end.push_str("\n\n");
        end.push_str(&more);
    }
    let room = MOST_BYTES.checked_sub(with(&end).to_string().len()).ok_or_else(|| too_long("DingTalk"))?;
    Ok(with(&(fit(&markdown(message, Flavour::Dingtalk), room, json_cost) + &end)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::central::notify::form::tests_of_forms::long;

    #[test]
    fn the_longest_message_is_just_short_enough_and_keeps_its_link() {
        for letter in ["中", "\"", "a", "😀"] {
            let body = body(&long(letter), Some("13800000000")).unwrap();
            let length = body.to_string().len();
            assert!((MOST_BYTES - 4..=MOST_BYTES).contains(&length), "{letter}: {length}");
            let text = body["markdown"]["text"].as_str().unwrap();
            assert!(text.ends_with("…\n\n[查看并确认](https://cems.example/a/1)\n\n@13800000000"), "{text}");
        }
    }
}
