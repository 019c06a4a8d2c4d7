//! A message in the form that a channel wants: plain, in a bot's markdown, short; cut where a channel takes no more. Names come from
//! outside: in no form do they call everybody (`@all`), make a link, or end a line.

use crate::domain::alerting::Language;
use crate::domain::message::Message;

/// Whose markdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    Dingtalk,
    Wecom,
    /// Rich text: nothing in it is a mark, but `<at …>` has been one.
    Feishu,
}

/// One line of visible characters: no control characters, nothing that turns the direction of writing.
pub fn line(text: &str) -> String {
    let shown = |letter: char| {
        if letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}') {
            return Some(' ');
        }
        let hidden = matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        (!hidden).then_some(letter)
    };
    text.chars().filter_map(shown).collect()
}

/// Everything in lines, the link last.
pub fn plain(message: &Message) -> String {
    let mut lines = vec![line(&message.title)];
    lines.extend(message.lines.iter().map(|text| line(text)));
    lines.extend(message.link.as_deref().map(line));
    lines.join("\n")
}

/// As much of the title and the lines as fits so many characters, and the link if there is room for it as well.
pub fn short(message: &Message, most: usize) -> String {
    let mut text = line(&message.title);
    for more in &message.lines {
        text.push(' ');
        text.push_str(&line(more));
    }
    let link = message.link.as_deref().map(line).filter(|link| link.chars().count() + 20 < most);
    let room = most.saturating_sub(link.as_ref().map_or(0, |link| link.chars().count() + 1));
    let mut text = fit(&text, room, |_| 1);
    if let Some(link) = link {
        text.push(' ');
        text.push_str(&link);
    }
    text
}

/// A text in which nothing is a mark. Bots know no escapes, so what would be one is shown by its full-width twin.
pub fn unmarked(text: &str, flavour: Flavour) -> String {
    let twin = |letter: char| match (flavour, letter) {
        (_, '@') => '＠',
        (_, '<') => '＜',
        (Flavour::Feishu, other) => other,
        (_, '*') => '＊',
        (_, '_') => '＿',
        (_, '`') => '｀',
        (_, '[') => '［',
        (_, ']') => '］',
        (_, '#') => '＃',
        (_, '>') => '＞',
        (_, '~') => '～',
        (_, '|') => '｜',
        (_, '\\') => '＼',
        (_, '!') => '！',
        (_, other) => other,
    };
    let text: String = line(text).chars().map(twin).collect();
    // At the start of a line these make a list or a rule.
    match text.strip_prefix(['-', '+']) {
        Some(rest) if flavour != Flavour::Feishu => format!("－{rest}"),
        Some(_) | None => text,
    }
}

/// Title and lines in a bot's markdown, without the link.
pub fn markdown(message: &Message, flavour: Flavour) -> String {
    let mut text = format!("**{}**", unmarked(&message.title, flavour));
    for more in &message.lines {
        // An empty line between: single ends of line are nothing in markdown.
        text.push_str("\n\n");
        text.push_str(&unmarked(more, flavour));
    }
    text
}

/// The link in a bot's markdown; nothing can end it early.
pub fn link(message: &Message) -> Option<String> {
    let address = address(message)?;
    Some(format!("[{}]({address})", link_word(message.language)))
}

/// The link as an address that stands in any text.
pub fn address(message: &Message) -> Option<String> {
    let address = reqwest::Url::parse(message.link.as_deref()?).ok()?;
    let is_web = ["http", "https"].contains(&address.scheme());
    is_web.then(|| address.as_str().replace('(', "%28").replace(')', "%29"))
}

/// What is pressed.
pub const fn link_word(language: Language) -> &'static str {
    match language {
        Language::Zh => "查看并确认",
        Language::En => "Open and acknowledge",
    }
}

/// As many characters as cost at most `most`, the last of them an ellipsis where something is missing.
pub fn fit(text: &str, most: usize, cost: impl Fn(char) -> usize) -> String {
    let total: usize = text.chars().map(&cost).sum();
    if total <= most {
        return text.to_owned();
    }
    let mut room = most.saturating_sub(cost('…'));
    let mut cut = String::new();
    for letter in text.chars() {
        let Some(rest) = room.checked_sub(cost(letter)) else { break };
        room = rest;
        cut.push(letter);
    }
    if most >= cost('…') {
        cut.push('…');
    }
    cut
}

/// What a character costs within a JSON string, as `serde_json` writes it.
pub fn json_cost(letter: char) -> usize {
    match letter {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        other => other.len_utf8(),
    }
}

/// Messages for the tests of channels.
#[cfg(test)]
pub(super) mod tests_of_forms {
    use super::{Language, Message};

    /// Longer than any channel takes.
    pub fn long(letter: &str) -> Message {
        Message {
            language: Language::Zh,
            title: letter.repeat(300),
            lines: vec![letter.repeat(9_000), letter.repeat(20_000)],
            link: Some("https://cems.example/a/1".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hostile() -> Message {
        Message {
            language: Language::Zh,
            title: "@all <at user_id=\"all\"></at> **x** [a](http://evil)\r\n# b \u{202e}c".to_owned(),
            lines: vec!["- `code` > q ~~s~~ !\u{7}".to_owned(), "@所有人".to_owned()],
            link: Some("https://cems.example/a/(1) x".to_owned()),
        }
    }

    #[test]
    fn no_name_calls_everybody_marks_anything_or_ends_a_line() {
        for flavour in [Flavour::Dingtalk, Flavour::Wecom] {
            let text = markdown(&hostile(), flavour);
            let inner = text.strip_prefix("**").unwrap().replacen("**\n\n", "\n\n", 1);
            assert!(
                !inner.contains(['@', '<', '*', '`', '[', ']', '#', '>', '~', '\r', '\u{7}', '\u{202e}']),
                "{text}"
            );
            assert_eq!(text.matches("\n\n").count(), 2, "{text}");
            assert!(!inner.contains("\n\n-"), "{text}");
        }
        let feishu = unmarked(&hostile().title, Flavour::Feishu);
        assert!(
            feishu.starts_with("＠all ＜at user_id=\"all\">") && !feishu.contains(['\r', '\n']),
            "{feishu}"
        );
        assert_eq!(plain(&hostile()).lines().count(), 4);
    }

    #[test]
    fn a_link_cannot_be_ended_early_and_leads_to_the_web() {
        assert_eq!(link(&hostile()).unwrap(), "[查看并确认](https://cems.example/a/%281%29%20x)");
        let other = Message { link: Some("javascript:alert(1)".to_owned()), ..hostile() };
        assert_eq!(link(&other), None);
    }

    #[test]
    fn what_is_too_long_is_cut_between_characters() {
        assert_eq!(fit("中文字", 9, char::len_utf8), "中文字");
        assert_eq!(fit("中文字", 8, char::len_utf8), "中…");
        assert_eq!(fit("中文字", 2, char::len_utf8), "");
        assert_eq!(fit("ab\"c", 5, json_cost), "ab\"c");
        for letter in ['a', '"', '\\', '\n', '\u{1}', '\u{7f}', '中', '😀', '\u{8}', '\u{c}', '/'] {
            let written = serde_json::Value::from(letter.to_string()).to_string();
            assert_eq!(written.len() - 2, json_cost(letter), "{letter:?}");
        }
    }

    #[test]
    fn a_short_message_keeps_its_link_where_there_is_room() {
        let text = short(&hostile(), 70);
        assert_eq!(text.chars().count(), 70, "{text}");
        assert!(text.ends_with("https://cems.example/a/(1) x") && text.contains('…'), "{text}");
        assert!(short(&hostile(), 30).chars().count() <= 30);
        assert!(!short(&hostile(), 30).contains("https"));
    }
}
