//! Names and texts of others, made harmless: outlets, enterprises, people and devices name themselves, and may mean ill.
//!
//! What is dangerous gives way to a full-width sign that looks the same to a reader. No channel's own way to escape is relied on: those of
//! the bots are not documented, or differ between their clients.

/// Letters of a name.
pub(super) const NAME: usize = 60;
/// Letters that are looked at at all.
const MOST: usize = 4096;
/// Letters of a text: a reason, a mark.
pub(super) const TEXT: usize = 240;

/// A name, in one line of bounded length.
pub(super) fn name(text: &str) -> String {
    cut(&bracketless(&line(text)), NAME)
}

/// A text, in one line of bounded length.
pub(super) fn text(text: &str) -> String {
    cut(&bracketless(&line(text)), TEXT)
}

/// A line without what a screen does not show, and without what a channel would act on: mentions, tags, addresses that become links.
pub(super) fn line(text: &str) -> String {
    let mut kept = String::new();
    let mut letters = text.chars().take(MOST).filter(|letter| !is_hidden(*letter)).peekable();
    let mut before = ' ';
    while let Some(letter) = letters.next() {
        let next = letters.peek().copied();
        let harmless = match letter {
            // Also what ends a line.
            _ if letter.is_whitespace() || letter.is_control() => ' ',
            '@' => '＠',
            '<' => '＜',
            '>' => '＞',
            ':' if next == Some('/') => '：',
            '/' if next == Some('/') => '／',
            '.' if before.is_alphanumeric() && next.is_some_and(char::is_alphabetic) => '．',
            other => other,
        };
        if harmless != ' ' || before != ' ' {
            kept.push(harmless);
        }
        before = harmless;
    }
    kept.truncate(kept.trim_end().len());
    kept
}

/// Only messages have brackets of this kind: a name must not look like a title of ours, or like a link.
fn bracketless(text: &str) -> String {
    let other = |letter| match letter {
        '【' | '[' => '(',
        '】' | ']' => ')',
        other => other,
    };
    text.chars().map(other).collect()
}

/// At most so many letters; an ellipsis is the last where some are left out.
pub(super) fn cut(text: &str, letters: usize) -> String {
    if text.chars().count() <= letters {
        return text.to_owned();
    }
    let mut kept: String = text.chars().take(letters.saturating_sub(1)).collect();
    kept.truncate(kept.trim_end().len());
    if letters > 0 {
        kept.push('…');
    }
    kept
}

/// Letters without a shape of their own: they turn the direction of text, join, hide, or split a word that is looked for.
pub(super) const fn is_hidden(letter: char) -> bool {
    matches!(letter,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// A line in which no sign of a bot's markdown is left.
pub(super) fn markdown(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let line = line(text);
    let mut letters = line.chars().peekable();
    let mut before = None;
    while let Some(letter) = letters.next() {
        let in_word = before.is_some_and(char::is_alphanumeric)
            && letters.peek().is_some_and(|next| next.is_alphanumeric());
        kept.push(match letter {
            '*' => '＊',
            '_' if !in_word => '＿',
            '`' => '｀',
            '#' => '＃',
            '~' => '～',
            '|' => '｜',
            '\\' => '＼',
            '[' => '［',
            ']' => '］',
            '!' => '！',
            '&' => '＆',
            '$' => '＄',
            // Lists, lines and underlined headings begin with them.
            '-' if before.is_none() => '－',
            '+' if before.is_none() => '＋',
            '=' if before.is_none() => '＝',
            other => other,
        });
        before = Some(letter);
    }
    kept
}

/// A link that can stand in any form, or none: an address of the web that nothing of can be taken for something else.
pub(super) fn link(link: Option<&str>) -> Option<&str> {
    let link = link?;
    let is_web = link.starts_with("https://") || link.starts_with("http://");
    let is_plain =
        link.chars().all(|letter| letter.is_ascii_graphic() && !"()<>[]\"'`\\*@{}|^".contains(letter));
    (is_web && is_plain && link.len() <= LINK).then_some(link)
}

/// Letters of a link.
pub(super) const LINK: usize = 1024;
