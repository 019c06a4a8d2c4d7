//! A bot of a WeCom group: markdown of 4,096 bytes, or text of 2,048 bytes, the only one that calls a member; 20 messages a minute. Its key
//! stands in the address. <https://developer.work.weixin.qq.com/document/path/99110>

use serde_json::{Value, json};

use crate::central::notify::Answer;
use crate::central::notify::bot::{Dialect, is_number, member, too_long};
use crate::central::notify::channel::{Outgoing, Sending};
use crate::central::notify::form::{Flavour, address, fit, line, link, markdown};
use crate::central::notify::webhook::post_json;
use crate::config::notify::Format;
use crate::domain::message::Message;

const DIALECT: Dialect =
    Dialect { name: "WeCom", code: &["errcode"], text: &["errmsg"], busy: &[45_009, 45_033] };
const MOST_OF_MARKDOWN: usize = 4096;
const MOST_OF_TEXT: usize = 2048;

/// Sends one message.
pub(super) async fn send(sending: &mut Sending<'_>, out: &Outgoing<'_>) -> Result<Answer, Answer> {
    let member = member(out.recipient)?;
    let is_text = member.is_some() || sending.settings.format == Some(Format::Text);
    let body = if is_text { text(out.message, member)? } else { marked(out.message)? };
    let url = sending.url().await?;
    Ok(DIALECT.judge(&post_json(sending, url, out.id, &body).await?))
}

fn marked(message: &Message) -> Result<Value, Answer> {
    let end = link(message).map_or(String::new(), |link| format!("\n\n{link}"));
    let room = MOST_OF_MARKDOWN.checked_sub(end.len()).ok_or_else(|| too_long("WeCom"))?;
    let content = fit(&markdown(message, Flavour::Wecom), room, char::len_utf8) + &end;
    Ok(json!({"msgtype": "markdown", "markdown": {"content": content}}))
}

fn text(message: &Message, member: Option<&str>) -> Result<Value, Answer> {
    let end = address(message).map_or(String::new(), |address| format!("\n{address}"));
    let room = MOST_OF_TEXT.checked_sub(end.len()).ok_or_else(|| too_long("WeCom"))?;
    let lines: Vec<String> = std::iter::once(&message.title)
        .chain(&message.lines)
        .map(|text| line(text).replace('@', "＠").replace('<', "＜"))
        .collect();
    let mut text = json!({"content": fit(&lines.join("\n"), room, char::len_utf8) + &end});
    if let (Some(member), Some(fields)) = (member, text.as_object_mut()) {
        let key = if is_number(member) { "mentioned_mobile_list" } else { "mentioned_list" };
        fields.insert(key.to_owned(), json!([member]));
    }
    Ok(json!({"msgtype": "text", "text": text}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::central::notify::form::tests_of_forms::long;

    #[test]
    fn both_forms_are_cut_at_their_own_length() {
        for letter in ["中", "\"", "😀"] {
            let content = marked(&long(letter)).unwrap()["markdown"]["content"].as_str().unwrap().to_owned();
            assert!(
                (4092..=4096).contains(&content.len())
                    && content.ends_with("…\n\n[查看并确认](https://cems.example/a/1)")
            );
            let content = text(&long(letter), None).unwrap()["text"]["content"].as_str().unwrap().to_owned();
            assert!(
                (2044..=2048).contains(&content.len()) && content.ends_with("…\nhttps://cems.example/a/1")
            );
        }
    }
}
