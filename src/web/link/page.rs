//! The page of one alert, as HTML: for a phone at night. No script is needed for anything; what names say is never markup.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::words::{Why, Words, audience, deed, words};
use crate::domain::alerting::{Audience, Language};
use crate::domain::closing::{Action, Reason};
use crate::domain::message::Message;
use crate::store::link::Stored;
use crate::store::read::episode::{ActionRow, Line};
use crate::web::page::escape;

/// So much of the history is shown, the newest, and so many characters of a text: the page stays small.
const SHOWN: usize = 8;
const LETTERS: usize = 100;

/// What the page is made of.
pub(super) struct Facts<'f> {
    pub message: &'f Message,
    pub link: &'f Stored,
    /// How far it is with the audience of the link.
    pub line: &'f Line,
    pub actions: &'f [ActionRow],
    /// Whoever acts says who it is: the link is not a person's.
    pub asks_name: bool,
    /// What was wrong with what was sent.
    pub notice: Option<&'f str>,
    pub zone: &'f TimeZone,
}

fn head(lang: &str, title: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"{lang}\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"robots\" content=\"noindex, nofollow\">\
         <title>{}</title><link rel=\"stylesheet\" href=\"../style.css\"></head><body class=\"phone\">\n",
        escape(title)
    )
}

/// Why a link opens nothing, in both languages.
pub(super) fn refusal(why: Why) -> String {
    let (zh, en) = why.texts();
    let mut page = head("zh-CN", "cems");
    let _infallible = writeln!(
        page,
        "<main><p class=\"wrong\" role=\"alert\">{zh}</p><p class=\"wrong\" lang=\"en\">{en}</p></main></body></html>"
    );
    page
}

/// The page.
pub(super) fn page(facts: &Facts<'_>) -> String {
    let language = facts.message.language;
    let words = words(language);
    let mut page = head(words.html, words.title);
    let _infallible = write!(
        page,
        "<header><p>{} · <a href=\"?lang={}\" lang=\"{}\">{}</a></p></header>\n<main>\n",
        audience(facts.link.audience, language),
        words.other,
        words.other,
        words.other_language
    );
    if let Some(notice) = facts.notice {
        let _infallible = writeln!(page, "<p class=\"wrong\" role=\"alert\">{}</p>", escape(notice));
    }
    let _infallible = writeln!(page, "<h1>{}</h1>", escape(&facts.message.title));
    for line in &facts.message.lines {
        let _infallible = writeln!(page, "<p>{}</p>", escape(line));
    }
    page.push_str("<section class=\"who\">\n");
    who(&mut page, facts, words);
    page.push_str("</section>\n");
    forms(&mut page, facts, language);
    history(&mut page, facts, language);
    let _infallible = write!(
        page,
        "</main>\n<footer><p>{} {}</p></footer><script src=\"../seen.js\"></script></body></html>\n",
        words.until,
        time(facts.link.expires_at, facts.zone)
    );
    page
}

fn time(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%m-%d %H:%M").to_string()
}

fn who(page: &mut String, facts: &Facts<'_>, words: &Words) {
    let line = facts.line;
    let mut say = |text: &str, by: Option<&String>, at: Option<Timestamp>| {
        let by = by.map_or(String::new(), |by| format!(" <strong>{}</strong>", escape(by)));
        let at = at.map_or(String::new(), |at| format!(" {}", time(at, facts.zone)));
        let _infallible = writeln!(page, "<p>{text}{by}{at}</p>");
    };
    match line.acknowledged_at {
        Some(at) => say(words.has, line.acknowledged_by.as_ref(), Some(at)),
        None => say(words.nobody, None, None),
    }
    if line.assigned_to.is_some() {
        say(words.given_to, line.assigned_to.as_ref(), None);
    }
    if line.closed_at.is_some() {
        say(words.closed_by, line.closed_by.as_ref(), line.closed_at);
    } else if line.next_at.is_some() {
        say(words.more_told_at, None, line.next_at);
    }
}

fn forms(page: &mut String, facts: &Facts<'_>, language: Language) {
    let words = words(language);
    let lang = language.name();
    let name = |place: &str| {
        if facts.asks_name {
            format!(
                "<label for=\"n{place}\">{}</label><input id=\"n{place}\" name=\"name\" required maxlength=\"40\" autocomplete=\"name\">",
                words.name
            )
        } else {
            String::new()
        }
    };
    let form = |page: &mut String, what: &str, fields: &str, button: &str| {
        // Without an address the form goes where the page came from, under whatever prefix that is.
        let _infallible = writeln!(
            page,
            "<form method=\"post\"><input type=\"hidden\" name=\"do\" value=\"{what}\"><input type=\"hidden\" name=\"lang\" value=\"{lang}\">\
             {fields}<button>{button}</button></form>"
        );
    };
    if facts.line.acknowledged_at.is_none() && facts.line.closed_at.is_none() {
        form(page, "acknowledge", &name("a"), words.acknowledge);
    }
    let _infallible = writeln!(page, "<details><summary>{}</summary>", words.comment);
    let field = format!(
        "{}<label for=\"tc\">{}</label><textarea id=\"tc\" name=\"text\" rows=\"3\" maxlength=\"2000\" required></textarea>",
        name("c"),
        words.comment_field
    );
    form(page, "comment", &field, words.comment);
    page.push_str("</details>\n");
    if facts.line.closed_at.is_none() {
        let _infallible = writeln!(page, "<details><summary>{}</summary>", words.close);
        let fields = format!(
            "{}{}{}<label for=\"tx\">{}</label><textarea id=\"tx\" name=\"text\" rows=\"2\" maxlength=\"2000\"></textarea>",
            name("x"),
            choice(
                "reason",
                words.reason,
                words.choose,
                &Reason::ALL.map(|code| (code.name(), code.text(language)))
            ),
            choice(
                "action",
                words.action,
                words.choose,
                &Action::ALL.map(|code| (code.name(), code.text(language)))
            ),
            words.close_field
        );
        form(page, "close", &fields, words.close);
        page.push_str("</details>\n");
    }
}

fn choice(name: &str, label: &str, choose: &str, codes: &[(&str, &str)]) -> String {
    let mut select = format!(
        "<label for=\"{name}\">{label}</label><select id=\"{name}\" name=\"{name}\" required><option value=\"\">{choose}"
    );
    for (code, text) in codes {
        let _infallible = write!(select, "<option value=\"{code}\">{text}");
    }
    select.push_str("</select>");
    select
}

fn history(page: &mut String, facts: &Facts<'_>, language: Language) {
    if facts.actions.is_empty() {
        return;
    }
    let _infallible = writeln!(page, "<h2>{}</h2><ul>", words(language).history);
    for row in facts.actions.iter().rev().take(SHOWN) {
        let who_of = Audience::from_name(&row.audience).filter(|of| *of != facts.link.audience);
        let who_of = who_of.map_or(String::new(), |of| format!(" ({})", audience(of, language)));
        let _infallible = writeln!(
            page,
            "<li>{} {}{who_of} {}{}</li>",
            time(row.at, facts.zone),
            escape(&short(&row.by)),
            deed(&row.what, language),
            escape(&short(&detail(row, language)))
        );
    }
    page.push_str("</ul>\n");
}

fn short(text: &str) -> String {
    let cut: String = text.chars().take(LETTERS).collect();
    if cut.len() < text.len() { format!("{cut}…") } else { cut }
}

fn detail(row: &ActionRow, language: Language) -> String {
    let field = |name: &str| row.detail.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
    let reason = Reason::from_name(field("reason")).map(|code| code.text(language));
    let action = Action::from_name(field("action")).map(|code| code.text(language));
    let parts = [field("to"), reason.unwrap_or_default(), action.unwrap_or_default(), field("text")];
    let told: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    if told.is_empty() { String::new() } else { format!(": {}", told.join("; ")) }
}
