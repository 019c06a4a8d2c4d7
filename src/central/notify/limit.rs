//! How many messages a channel may be sent. Bots of groups fall silent for minutes when they are sent more.

use jiff::SignedDuration;
use serde_json::Value;

use crate::config::notify::{BOT_PER_MINUTE, NotifyKind};
use crate::domain::alerting::pace::Limit;

/// The limit of a channel of this kind with these settings; `None`: no limit.
pub fn limit(kind: &str, settings: &Value) -> Option<Limit> {
    let is_bot = NotifyKind::from_name(kind).is_some_and(NotifyKind::is_bot);
    let given =
        settings.get("per_minute").and_then(Value::as_u64).and_then(|given| u32::try_from(given).ok());
    let messages = match (is_bot, given) {
        (true, given) => given.unwrap_or(BOT_PER_MINUTE).min(BOT_PER_MINUTE),
        (false, given) => given?,
    };
    Some(Limit { messages: messages.max(1), per: SignedDuration::from_mins(1) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bots_have_a_limit_that_can_only_be_lowered() {
        let messages = |kind: &str, settings: &Value| limit(kind, settings).map(|limit| limit.messages);
        for bot in ["dingtalk", "wecom", "feishu"] {
            assert_eq!(messages(bot, &Value::Null), Some(20));
            assert_eq!(messages(bot, &json!({"per_minute": 5})), Some(5));
            assert_eq!(messages(bot, &json!({"per_minute": 500})), Some(20));
        }
        assert_eq!(messages("webhook", &json!({})), None);
        assert_eq!(messages("smtp", &json!({"per_minute": 100})), Some(100));
        assert_eq!(messages("log", &json!({"per_minute": "x"})), None);
    }
}
