//! What the bots of DingTalk, WeCom and Feishu groups have in common: they answer 200 whatever happens, with a code in the body.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::central::notify::call::Reply;
use crate::central::notify::{Answer, later};

/// Where a bot's answer says how it went.
pub(super) struct Dialect {
    pub name: &'static str,
    /// Keys of the code; 0 is taken.
    pub code: &'static [&'static str],
    pub text: &'static [&'static str],
    /// Codes that say "too many".
    pub busy: &'static [i64],
}

/// After "too many", a bot is left alone so long.
const REST: Duration = Duration::from_secs(60);

impl Dialect {
    /// What an answer means.
    pub fn judge(&self, reply: &Reply) -> Answer {
        let status = Some(reply.status);
        let said: Option<Value> = serde_json::from_slice(&reply.body).ok();
        let code = said.as_ref().and_then(|said| self.code.iter().find_map(|key| said.get(key)?.as_i64()));
        let Some(code) = code else {
            return match reply.by_status() {
                Answer::Taken { .. } => {
                    let reason = format!(
                        "the {} bot answered {} without a code: is the address its own?",
                        self.name, reply.status
                    );
                    Answer::Later { reason, after: reply.after, status }
                }
                other @ (Answer::Later { .. } | Answer::Refused { .. }) => other,
            };
        };
        if code == 0 {
            return reply.by_status();
        }
        let text = said.as_ref().and_then(|said| self.text.iter().find_map(|key| said.get(key)?.as_str()));
        let text: String = text.unwrap_or("no text").chars().take(200).collect();
        let is_busy = self.busy.contains(&code);
        let after = reply.after.or(is_busy.then_some(REST));
        Answer::Later {
            reason: format!("the {} bot refuses it with code {code}: {text}", self.name),
            after,
            status,
        }
    }
}

/// The signature of DingTalk and Feishu: base64 of an HMAC-SHA256.
pub(super) fn base64(code: &[u8]) -> String {
    STANDARD.encode(code)
}

/// A member of a group, as the channel calls them; never all of them.
pub(super) fn member(recipient: &str) -> Result<Option<&str>, Answer> {
    if recipient.is_empty() {
        return Ok(None);
    }
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"+-_.@".contains(&byte);
    let everybody = ["all", "@all"].contains(&recipient.to_ascii_lowercase().as_str());
    if everybody || recipient.len() > 64 || !recipient.bytes().all(known) {
        let shown: String = recipient.chars().filter(|letter| !letter.is_control()).take(64).collect();
        let reason = format!("{shown:?} is no member of a group; give a telephone number or a user id");
        return Err(Answer::Refused { reason, status: None });
    }
    Ok(Some(recipient))
}

/// Whether a member is named by telephone number.
pub(super) fn is_number(member: &str) -> bool {
    let digits = member.trim_start_matches('+');
    digits.len() >= 5 && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
}

/// A body that is as short as its parts allow and still too long.
pub(super) fn too_long(name: &str) -> Answer {
    later(format!("the {name} bot's message has no room for its text; shorten the link"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOT: Dialect = Dialect { name: "test", code: &["errcode", "code"], text: &["errmsg"], busy: &[7] };

    fn judged(status: u16, body: &str) -> Answer {
        BOT.judge(&Reply { status, after: None, body: body.as_bytes().to_vec() })
    }

    #[test]
    fn only_a_code_of_zero_is_taken() {
        assert_eq!(judged(200, "{\"errcode\":0}"), Answer::Taken { status: Some(200) });
        let later = |answer| {
            if let Answer::Later { reason, after, .. } = answer { (reason, after) } else { panic!() }
        };
        let (reason, after) = later(judged(200, "{\"errcode\":5,\"errmsg\":\"no\"}"));
        assert!(reason.contains("code 5: no") && after.is_none(), "{reason}");
        assert_eq!(later(judged(200, "{\"errcode\":7}")).1, Some(REST));
        assert!(later(judged(200, "<html>")).0.contains("without a code"));
        assert!(later(judged(502, "<html>")).0.contains("502"));
        assert!(later(judged(500, "{\"errcode\":0}")).0.contains("500"));
    }

    #[test]
    fn nobody_is_everybody() {
        assert_eq!(member("").unwrap(), None);
        assert_eq!(member("13800000000").unwrap(), Some("13800000000"));
        for bad in ["all", "@ALL", "a b", "x\n", "所有人"] {
            assert!(matches!(member(bad), Err(Answer::Refused { .. })), "{bad}");
        }
        assert!(is_number("+86-13800000000") && !is_number("zhang3") && !is_number("123"));
    }
}
