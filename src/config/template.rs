//! Texts with places to be filled in, as `{to}`: the address, headers and body of a gateway that is spoken to by HTTP. What is
//! filled in is escaped for where it stands, so that a name can end no string, add no header and no parameter.

use std::fmt::Write as _;

/// A text with its places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Place(Place),
}

/// What stands in a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Whom the message is for: a number, an address.
    To,
    Title,
    /// Title, lines and link.
    Text,
    /// As much as fits a short message.
    Short,
    /// Of the alert: the same for every attempt.
    Id,
    Link,
    /// `{secret}`, the channel's own, or `{secret:NAME}`.
    Secret(Option<String>),
}

/// What a message fills in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Values<'v> {
    pub to: &'v str,
    pub title: &'v str,
    pub text: &'v str,
    pub short: &'v str,
    pub id: &'v str,
    pub link: &'v str,
}

impl<'v> Values<'v> {
    /// What stands in a place; `None`: a secret, which is not of the message.
    pub fn of(&self, place: &Place) -> Option<&'v str> {
        Some(match place {
            Place::To => self.to,
            Place::Title => self.title,
            Place::Text => self.text,
            Place::Short => self.short,
            Place::Id => self.id,
            Place::Link => self.link,
            Place::Secret(_) => return None,
        })
    }
}

/// How a value is written where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escape {
    /// Within a JSON string.
    Json,
    /// In an address, and in a form.
    Percent,
    /// In a header: visible ASCII as it is, the rest as in an address.
    Header,
    /// A plain text: only control characters go.
    Plain,
}

/// What people may write, for messages.
pub const PLACES: &str = "{to}, {title}, {text}, {short}, {id}, {link}, {secret}, {secret:NAME}";

impl Template {
    /// Reads a text. A brace that begins no word, as those of JSON, is just a brace.
    ///
    /// # Errors
    /// The first place that is none of ours.
    pub fn parse(text: &str) -> Result<Template, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            plain.push_str(before);
            let word = after.split_once('}').filter(|(word, _)| is_word(word));
            let Some((word, behind)) = word else {
                plain.push('{');
                rest = after;
                continue;
            };
            let place = place(word).ok_or_else(|| format!("{{{word}}}"))?;
            parts.push(Part::Text(std::mem::take(&mut plain)));
            parts.push(Part::Place(place));
            rest = behind;
        }
        plain.push_str(rest);
        parts.push(Part::Text(plain));
        Ok(Template(parts))
    }

    /// The places in it.
    pub fn places(&self) -> impl Iterator<Item = &Place> {
        self.0.iter().filter_map(|part| if let Part::Place(place) = part { Some(place) } else { None })
    }

    /// The text with every place filled.
    pub fn fill<'v>(&self, escape: Escape, value: impl Fn(&Place) -> &'v str) -> String {
        let mut filled = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::Place(place) => escape.write(value(place), &mut filled),
            }
        }
        filled
    }
}

fn is_word(word: &str) -> bool {
    let begins = word.starts_with(|first: char| first.is_ascii_lowercase());
    begins && !word.contains(|letter: char| letter.is_whitespace() || "\"{".contains(letter))
}

fn place(word: &str) -> Option<Place> {
    Some(match word {
        "to" => Place::To,
        "title" => Place::Title,
        "text" => Place::Text,
        "short" => Place::Short,
        "id" => Place::Id,
        "link" => Place::Link,
        "secret" => Place::Secret(None),
        _ => {
            Place::Secret(Some(word.strip_prefix("secret:").filter(|name| is_secret_name(name))?.to_owned()))
        }
    })
}

/// Whether a text can name a secret: `CEMS_SECRET_` and it make a variable, and it makes a file's name.
pub fn is_secret_name(name: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=64).contains(&name.len()) && name.bytes().all(known) && !name.starts_with('-')
}

impl Escape {
    fn write(self, value: &str, to: &mut String) {
        match self {
            Escape::Json => {
                let quoted = serde_json::Value::from(value).to_string();
                let inner = quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
                to.push_str(inner.unwrap_or_default());
            }
            Escape::Percent => {
                percent(value, to, |byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
            }
            Escape::Header => percent(value, to, |byte| (0x20..0x7f).contains(&byte)),
            Escape::Plain => {
                to.extend(value.chars().filter(|letter| *letter == '\n' || !letter.is_control()))
            }
        }
    }
}

fn percent(value: &str, to: &mut String, as_it_is: impl Fn(u8) -> bool) {
    for byte in value.bytes() {
        if as_it_is(byte) {
            to.push(char::from(byte));
        } else {
            let _never_fails = write!(to, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "a\"},{\"to\":\"b\\\r\nX: y&to=c %?#/\u{7}\u{4e2d}";

    fn filled(template: &str, escape: Escape) -> String {
        Template::parse(template).unwrap().fill(escape, |_| HOSTILE)
    }

    #[test]
    fn a_value_stays_where_it_stands() {
        let json: serde_json::Value =
            serde_json::from_str(&filled("{\"text\": \"{text}\", \"n\": {\"x\": 1}}", Escape::Json)).unwrap();
        assert_eq!(json, serde_json::json!({"text": HOSTILE, "n": {"x": 1}}));
        let form = filled("to={to}&end=1", Escape::Percent);
        let keys: Vec<&str> = form.split('&').filter_map(|pair| pair.split('=').next()).collect();
        assert_eq!(keys, ["to", "end"]);
        assert!(form.is_ascii() && form.contains("%E4%B8%AD") && form.contains("%0D%0A"));
        let header = filled("{title}", Escape::Header);
        assert!(header.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{header}");
        assert!(!filled("{text}", Escape::Plain).contains(['\r', '\u{7}']));
    }

    #[test]
    fn a_quote_at_the_edge_of_a_value_stays() {
        let template = Template::parse("\"{to}\"").unwrap();
        for value in ["\"x\"", "\"", "\\", ""] {
            let text = template.fill(Escape::Json, |_| value);
            assert_eq!(serde_json::from_str::<String>(&text).unwrap(), value);
        }
    }

    #[test]
    fn braces_of_json_are_no_places_and_unknown_places_are_told() {
        let template = Template::parse("{\"a\":{\"b\":\"{id}\"}} {} { to } {secret:sms-key}").unwrap();
        let places: Vec<&Place> = template.places().collect();
        assert_eq!(places, [&Place::Id, &Place::Secret(Some("sms-key".to_owned()))]);
        assert_eq!(Template::parse("x {phone} y"), Err("{phone}".to_owned()));
        assert_eq!(Template::parse("{secret:}"), Err("{secret:}".to_owned()));
        assert_eq!(Template::parse("{secret:../x}"), Err("{secret:../x}".to_owned()));
    }
}
