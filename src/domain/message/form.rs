//! What a channel is given of a message: plain text, the markdown of a bot, or as much as a short message holds.

use crate::domain::alerting::Language;
use crate::domain::message::Message;
use crate::domain::message::escape::{cut, line, link, markdown as harmless};

/// Whose markdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flavour {
    DingTalk,
    WeCom,
    Feishu,
}

impl Flavour {
    pub const ALL: [Flavour; 3] = [Flavour::DingTalk, Flavour::WeCom, Flavour::Feishu];

    /// Bytes of the text, below what the bot takes (20,000, 4,096 and 30 KB of the whole body).
    const fn most_bytes(self) -> usize {
        match self {
            Flavour::DingTalk | Flavour::Feishu => 18_000,
            Flavour::WeCom => 4_000,
        }
    }

    const fn new_line(self) -> &'static str {
        match self {
            // A single one does not begin a line there.
            Flavour::DingTalk => "  \n",
            Flavour::WeCom | Flavour::Feishu => "\n",
        }
    }
}

/// Letters of a line, and lines of a message, that a form takes.
const LINE: usize = 1200;
const LINES: usize = 40;

/// Title, lines and link, as they are. The link follows the last line, which asks for an answer.
pub fn plain(message: &Message) -> String {
    let mut text = cut(&line(&message.title), LINE);
    let lines = message.lines.iter().map(|next| cut(&line(next), LINE));
    for next in lines.filter(|next| !next.is_empty()).take(LINES) {
        text.push('\n');
        text.push_str(&next);
    }
    if let Some(link) = link(message.link.as_deref()) {
        text.push(if message.lines.is_empty() { '\n' } else { ' ' });
        text.push_str(link);
    }
    text
}

/// The text of a bot's markdown message. Names cannot format, link or mention anything in it.
pub fn markdown(message: &Message, flavour: Flavour) -> String {
    let title = cut(&harmless(&message.title), LINE / 4);
    let mut text = match flavour {
        Flavour::DingTalk => format!("### {title}"),
        Flavour::WeCom | Flavour::Feishu => format!("**{title}**"),
    };
    let page = match message.language {
        Language::Zh => "打开告警",
        Language::En => "Open the alert",
    };
    let link = link(message.link.as_deref())
        .map_or(String::new(), |link| format!("{}[{page}]({link})", flavour.new_line()));
    let room = flavour.most_bytes().saturating_sub(link.len() + flavour.new_line().len() + '…'.len_utf8());
    let lines = message.lines.iter().map(|next| cut(&harmless(next), LINE));
    for next in lines.filter(|next| !next.is_empty()).take(LINES) {
        if text.len() + flavour.new_line().len() + next.len() > room {
            text.push_str(flavour.new_line());
            text.push('…');
            break;
        }
        text.push_str(flavour.new_line());
        text.push_str(&next);
    }
    text.push_str(&link);
    text
}

/// Least of the text that must stay beside a link.
const LEAST_TEXT: usize = 16;

/// At most so many letters: the title, the lines while there is room, and the link, which is whole or not there at all.
pub fn short(message: &Message, max_chars: usize) -> String {
    let mut text = line(&message.title);
    for next in message.lines.iter().take(LINES) {
        text.push(' ');
        text.push_str(&line(next));
    }
    let room = |link: &&str| max_chars.checked_sub(link.len() + 1).filter(|room| *room >= LEAST_TEXT);
    match link(message.link.as_deref()).and_then(|link| Some((link, room(&link)?))) {
        Some((link, room)) => format!("{} {link}", cut(&text, room)),
        None => cut(&text, max_chars),
    }
}
