//! `plant/1`: who operates what, measured by which analyser, spoken for by which gateway, and who is told.
//! `seeds/plant-demo.toml` shows every key. Entries with `from` (and `until`) hold for a time; an entry without `until`
//! ends where the next one begins. A plant may bring its own rules, as
//! `[[rule]]` of `rules/1`, and the law's lists: see `docs/plant.md`.

/// `[[outlet]]` with its settings, analysers and channels.
pub(in crate::config) mod outlet;
/// Codes and times, as all data documents write them.
pub(in crate::config) mod period;

use std::sync::Arc;

use crate::config::catalogue::written::{Places, Written, WrittenServing};
use crate::config::check;
use crate::config::document::Section;
use crate::config::{law, notify, rules};
use crate::domain::plant::{Enterprise, is_gateway_name, is_outlet_code};

use period::dated;

/// Reads the whole document.
pub(in crate::config) fn read(root: &mut Section<'_>, written: &mut Written) {
    for mut section in root.tables("enterprise") {
        enterprise(&mut section, written);
    }
    for mut section in root.tables("outlet") {
        outlet::read(&mut section, written);
    }
    for mut section in root.tables("gateway") {
        gateway(&mut section, written);
    }
    for mut section in root.tables("notify") {
        notify::read(&mut section, written);
    }
    rules::read(root, written);
    law::read_of_plant(root, written);
}

fn enterprise(section: &mut Section<'_>, written: &mut Written) {
    let allowed = "a unified social credit code (GB 32100): 18 characters, the last one a check character";
    let code =
        section.required("code", check::text(allowed, |text| is_credit_code(text).then(|| text.to_owned())));
    let name = section.required("name", check::any_text());
    let industry = section.required(
        "industry",
        check::text("a GB/T 4754 code: a capital letter and two to four digits, as \"C3011\"", |text| {
            let (letter, digits) = text.split_at_checked(1)?;
            let valid = letter.bytes().all(|byte| byte.is_ascii_uppercase())
                && (2..=4).contains(&digits.len())
                && digits.bytes().all(|byte| byte.is_ascii_digit());
            valid.then(|| text.to_owned())
        }),
    );
    let division = section.required(
        "division",
        check::text("an administrative division: six digits, as \"410800\"", |text| {
            (text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.to_owned())
        }),
    );
    let contact = section.required("contact", check::any_text());
    if let Some(code) = &code {
        written.declare("enterprise", code, &section.place("code"));
    }
    if let (Some(code), Some(name), Some(industry), Some(division), Some(contact)) =
        (code, name, industry, division, contact)
    {
        written.enterprises.push(Enterprise { code, name, industry, division, contact });
    }
}

/// The check character of GB 32100-2015: weights 3^i mod 31 over an alphabet without I, O, S, V and Z.
fn is_credit_code(code: &str) -> bool {
    const ALPHABET: &str = "0123456789ABCDEFGHJKLMNPQRTUWXY";
    let values: Option<Vec<usize>> = code.chars().map(|character| ALPHABET.find(character)).collect();
    let Some(values) = values.filter(|values| values.len() == 18) else { return false };
    let (weighted, _next) =
        values.iter().take(17).fold((0, 1), |(sum, weight), value| (sum + value * weight, weight * 3 % 31));
    values.last().is_some_and(|last| (weighted + last) % 31 == 0)
}

fn gateway(section: &mut Section<'_>, written: &mut Written) {
    let allowed = "a gateway name: 1 to 64 small letters, digits or \"-\", not \"central\"";
    let name =
        section.required("name", check::text(allowed, |text| is_gateway_name(text).then(|| text.to_owned())));
    let name: Option<Arc<str>> = name.map(Arc::from);
    if let Some(name) = &name {
        written.declare("gateway", name, &section.place("name"));
        written.gateways.push(Arc::clone(name));
    }
    for mut serves in section.tables("serves") {
        let places = Places::of(&serves, &["outlet", "from"]);
        let outlet = serves.required("outlet", outlet_code());
        let times = dated(&mut serves, Some(()));
        if let (Some(gateway), Some(outlet), Some(times)) = (&name, outlet, times) {
            let gateway = Arc::clone(gateway);
            written.servings.push(WrittenServing { places, outlet, gateway, times });
        }
    }
}

pub(in crate::config) fn outlet_code<'c>() -> check::Check<'c, String> {
    check::text("an outlet code: 1 to 64 of A-Z a-z 0-9 . _ -", |text| {
        is_outlet_code(text).then(|| text.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credit_codes_carry_a_check_character() {
        for good in ["91330100799655058B", "9144030071526726XG", "914403001922038216"] {
            assert!(is_credit_code(good), "{good}");
        }
        for bad in ["91330100799655058C", "9133010079965505B8", "91330100799655058", "91330100799655058b", ""]
        {
            assert!(!is_credit_code(bad), "{bad}");
        }
    }
}
