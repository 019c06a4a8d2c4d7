//! `[[check]]`: registers that must hold what is written, of an analyser or of its template.

use config::ValueKind;

use crate::config::check;
use crate::config::document::Section;
use crate::config::gateway::reading::place::{any_place, check_length};
use crate::config::gateway::{Blocks, Check, Expected, Number};

/// Whole numbers beyond this have no exact form as a 64-bit float.
const EXACT: i64 = 1 << 53;

/// All checks of a section, each with its own section, for who has more to ask of it.
pub fn checks<'d>(section: &mut Section<'d>, blocks: Blocks) -> Vec<(Section<'d>, Option<Check>)> {
    let read = |mut section: Section<'d>| {
        let check = one(&mut section, blocks);
        (section, check)
    };
    section.tables("check").into_iter().map(read).collect()
}

/// Findings are told by the name of their check.
pub fn named_once(checks: &[(Section<'_>, Option<Check>)], others: &[Check]) {
    let mut names: Vec<&str> = others.iter().map(|check| check.name.as_str()).collect();
    for (section, check) in checks {
        let Some(check) = check else { continue };
        if names.contains(&check.name.as_str()) {
            section.problem("name", &format!("{:?} again", check.name), "each check of an analyser once");
        }
        names.push(&check.name);
    }
}

fn one(section: &mut Section<'_>, blocks: Blocks) -> Option<Check> {
    let name = section.required("name", check::any_text());
    let place = any_place(section);
    let expected = section.required("expect", expected());
    let (place, expected) = (place?, expected?);
    check_length(section, "registers", place, blocks);
    match (&expected, place.number) {
        (Expected::Number(_), Number::Ascii { .. }) => {
            section.problem("expect", "a number", "a text, since type = \"ascii\"");
            return None;
        }
        (Expected::Text(text), Number::Ascii { registers }) if text.len() > usize::from(registers) * 2 => {
            let allowed = format!("at most {} characters, two a register", registers * 2);
            section.problem("expect", &format!("{} characters", text.len()), &allowed);
            return None;
        }
        (Expected::Text(_), Number::Ascii { .. }) | (Expected::Number(_), _) => {}
        (Expected::Text(_), _) => {
            section.problem("expect", "a text", "a number, or type = \"ascii\"");
            return None;
        }
    }
    Some(Check { name: name?, place, expected, channels: Vec::new() })
}

fn expected<'c>() -> check::Check<'c, Expected> {
    let number = check::number(-1e300..=1e300);
    let allowed = "a number, or a text of 1 to 250 printable characters of ASCII without blanks around it";
    check::Check::new(allowed, move |value| {
        if let ValueKind::String(text) = value {
            let fits = (1..=250).contains(&text.len()) && text.trim() == text;
            let printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
            (fits && printable).then(|| Expected::Text(text.clone()))
        } else if let ValueKind::I64(whole) = value {
            #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
            (-EXACT..=EXACT).contains(whole).then_some(Expected::Number(*whole as f64))
        } else {
            number.apply(value).map(Expected::Number)
        }
    })
}
