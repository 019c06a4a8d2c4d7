//! Plant, scenario and configuration files: the demonstration's three outlets, several times over, shared out between the gateways.

use std::fmt::Write as _;

use cems::config::kind::Source;
use cems::config::seeds;

pub const GATEWAYS: [&str; 2] = ["gw-one", "gw-two"];
const OUTLETS: [&str; 3] = ["demo-cement-kiln", "demo-glass-furnace", "demo-carbon-roasting"];

/// Outlet codes of a world of so many copies, with the gateway of each.
pub fn outlets(copies: usize) -> Vec<(String, &'static str)> {
    let codes = (0..copies).flat_map(|copy| OUTLETS.map(|code| renamed(code, copy)));
    codes.enumerate().map(|(index, code)| (code, GATEWAYS[index % 2])).collect()
}

/// The code of the demonstration's outlet that one is a copy of, and what was added to it.
pub fn original(code: &str) -> (&'static str, &str) {
    let found = OUTLETS.into_iter().find_map(|outlet| Some((outlet, code.strip_prefix(outlet)?)));
    found.unwrap_or_else(|| panic!("{code} is no outlet of these worlds"))
}

/// The text with other outlet codes for each further copy.
fn renamed(text: &str, copy: usize) -> String {
    let mut text = text.to_owned();
    if copy > 0 {
        for code in OUTLETS {
            text = text.replace(code, &format!("{code}-{}", copy + 1));
        }
    }
    text
}

/// The plant's document.
pub fn plant(copies: usize) -> Source {
    let Source { file, text } = seeds::demonstration();
    let (outlets_text, _gateways) = text.split_once("[[gateway]]").unwrap();
    let (head, one) = outlets_text.split_at(outlets_text.find("[[outlet]]").unwrap());
    let mut text = head.to_owned();
    (0..copies).for_each(|copy| text.push_str(&renamed(one, copy)));
    for gateway in GATEWAYS {
        write!(text, "\n[[gateway]]\nname = \"{gateway}\"\n").unwrap();
        for (code, _) in outlets(copies).iter().filter(|(_, serves)| *serves == gateway) {
            write!(text, "[[gateway.serves]]\noutlet = \"{code}\"\nfrom = \"2020-01-01T00:00:00+08:00\"\n")
                .unwrap();
        }
    }
    Source { file, text }
}

/// The analysers of these outlets, without any event.
pub fn scenario(copies: usize, wanted: impl Fn(&str) -> bool) -> String {
    let text = include_str!("../../config/scenario-demo.toml");
    let (text, _events) = text.split_once("[[event]]").unwrap();
    let starts: Vec<usize> = text.match_indices("[[outlet]]").map(|(at, _)| at).collect();
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let blocks: Vec<&str> = starts.iter().zip(ends).map(|(start, end)| &text[*start..end]).collect();
    let mut made = text[..starts[0]].to_owned();
    for copy in 0..copies {
        for (code, block) in OUTLETS.iter().zip(&blocks) {
            if wanted(&renamed(code, copy)) {
                made.push_str(&renamed(block, copy));
            }
        }
    }
    made
}

/// A centre's configuration, behind these lines.
pub fn centre(database: u16, broker: u16, http: u16, inflight: u32) -> String {
    format!(
        "schema = \"central/1\"\n[central]\n[database]\nurl = \"host=127.0.0.1 port={database} user=cems dbname=cems\"\n\
         [mqtt]\nurl = \"mqtt://127.0.0.1:{broker}\"\nshared = true\ninflight = {inflight}\n[http]\nlisten = \"127.0.0.1:{http}\"\n\
         [windows]\ndebounce_ms = 500\nsettle_ms = 500\n\
         [alerting]\nallow_private = true\n"
    )
}
