//! Laws of messages, for any alert whatever its names and numbers are.

use std::collections::BTreeSet;

use jiff::Timestamp;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::domain::alert::{Alert, AlertKind, Instrument, Outlook, Phase, Place};
use crate::domain::alerting::{Audience, Language};
use crate::domain::message::tests::{LINK, zone};
use crate::domain::message::{Context, Flavour, Message, Reached, digest, markdown, message, plain, short};

/// What somebody might call an outlet who means ill.
const HOSTILE: [&str; 22] = [
    "@all",
    "@所有人",
    "@13800000000",
    "<@userid>",
    "<at user_id=\"all\">x</at>",
    "<font color=\"warning\">",
    "[x](https://evil.example)",
    "![x](http://evil.example/p.png)",
    "http\u{200b}://evil.example",
    "www.evil.example",
    "# heading",
    "\n# heading",
    "\r\n> quote",
    "**bold** _it_ `code` ~~s~~",
    "【已撤销】",
    "\u{202e}gnp.exe\u{202c}",
    "\u{2066}a\u{2069}",
    "\u{1b}[31m\u{7}\u{0}",
    "\\[x\\](y)",
    "&lt;at&gt; &#64;all",
    "- a\n- b\n---\n===",
    "a\u{2028}b\u{2029}c\u{85}d",
];

fn name() -> impl Strategy<Value = String> {
    let part = prop_oneof![select(&HOSTILE[..]).prop_map(str::to_owned), any::<String>(), "\\PC{0,12}"];
    prop_oneof![
        prop::collection::vec(part, 0..4).prop_map(|parts| parts.concat()),
        (select(&HOSTILE[..]), 1..100_usize).prop_map(|(part, times)| part.repeat(times)),
    ]
}

/// A name without digits: dates and ordinals apart, a number in a message is then ours.
fn word() -> impl Strategy<Value = String> {
    "[a-zA-Z窑尾水泥]{0,9}"
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![0.0..200.0_f64, any::<f64>(), Just(f64::NAN), Just(f64::INFINITY), Just(-0.0), Just(1e300)]
}

fn time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        (1_795_000_000_i64..1_795_200_000).prop_map(|second| Timestamp::from_second(second).unwrap()),
        any::<u32>().prop_map(|second| Timestamp::from_second(i64::from(second)).unwrap()),
        Just(Timestamp::MIN),
        Just(Timestamp::MAX),
    ]
}

fn place(name: BoxedStrategy<String>) -> impl Strategy<Value = Place> {
    (name.clone(), name.clone(), name.clone(), name).prop_map(|(code, name, enterprise, contact)| Place {
        code,
        name,
        enterprise,
        contact,
        ..Place::default()
    })
}

type Texts = [Option<String>; 12];

fn texts(name: &BoxedStrategy<String>) -> impl Strategy<Value = Texts> + use<> {
    prop::array::uniform12(option::of(name.clone()))
}

fn instrument(name: BoxedStrategy<String>) -> impl Strategy<Value = Instrument> {
    (name.clone(), option::of(time()), option::of(any::<bool>()), any::<bool>(), option::of(name)).prop_map(
        |(analyser, checked_at, passed, out_of_control, flag)| Instrument {
            analyser,
            checked_at,
            passed,
            out_of_control,
            flag,
        },
    )
}

fn outlook() -> impl Strategy<Value = Outlook> {
    (number(), any::<u32>(), option::of(number()), option::of(time())).prop_map(
        |(mean_mg_m3, minutes_over, allowed_mg_m3, lost_at)| Outlook {
            mean_mg_m3,
            minutes_over,
            allowed_mg_m3,
            lost_at,
        },
    )
}

prop_compose! {
    fn numbered()(
        kind in select(&AlertKind::ALL[..]),
        phase in select(&Phase::ALL[..]),
        (started_at, at, until, warned_at) in (time(), time(), option::of(time()), option::of(time())),
        values in prop::array::uniform8(option::of(number())),
        counts in prop::array::uniform4(option::of(any::<u32>())),
        period in option::of(select(&["hour", "day", "month", "quarter", "year", "minute"][..])),
        rule_kind in option::of(select(&["violation", "assessment", "order", "x"][..])),
        test in any::<bool>(),
        outlook in option::of(outlook()),
    ) -> Alert {
        let mut alert = Alert::new(kind, started_at, at);
        [alert.measured, alert.oxygen, alert.corrected, alert.limit, ..] = values;
        [.., alert.reference_oxygen, alert.ratio_over, alert.share_percent, alert.line_percent] = values;
        [alert.consecutive, alert.valid, alert.expected, alert.subjects_total] = counts;
        (alert.phase, alert.until, alert.warned_at, alert.test) = (phase, until, warned_at, test);
        (alert.period, alert.rule_kind) = (period.map(str::to_owned), rule_kind.map(str::to_owned));
        alert.outlook = outlook;
        alert
    }
}

fn alerts(name: BoxedStrategy<String>) -> impl Strategy<Value = Alert> {
    let outlet = option::of(place(name.clone()));
    let parts = (texts(&name), outlet, option::of(instrument(name.clone())));
    let subjects = prop::collection::vec(name, 0..40);
    (numbered(), parts, subjects).prop_map(|(mut alert, (texts, outlet, instrument), subjects)| {
        let [
            gateway,
            analyser,
            channel,
            pollutant,
            rule,
            rule_name,
            unit,
            part,
            marked,
            reason,
            summary,
            link,
        ] = texts;
        (alert.gateway, alert.analyser, alert.channel, alert.pollutant) =
            (gateway, analyser, channel, pollutant);
        (alert.rule, alert.rule_name, alert.unit, alert.part) = (rule, rule_name, unit, part);
        (alert.marked, alert.reason, alert.link) = (marked, reason, link);
        alert.summary = summary.unwrap_or_default();
        (alert.outlet, alert.instrument, alert.subjects) = (outlet, instrument, subjects);
        alert
    })
}

fn contexts() -> impl Strategy<Value = Context> {
    let reached = prop_oneof![Just(Reached::Unread), name().prop_map(|by| Reached::Acknowledged { by })];
    let others = prop::collection::vec((select(&Audience::ALL[..]), reached), 0..9);
    let link = prop_oneof![Just(LINK.to_owned()), name()];
    (option::of(link), option::of(time()), others).prop_map(|(link, acknowledge_by, others)| Context {
        link,
        acknowledge_by,
        others,
    })
}

/// No letter that hides or turns text, no line that is not ours, nothing that calls anybody.
fn is_harmless(text: &str, lines: usize) -> Result<(), TestCaseError> {
    let hidden = |letter: char| {
        (letter.is_control() && letter != '\n')
            || ('\u{200b}'..='\u{200f}').contains(&letter)
            || ('\u{2028}'..='\u{202e}').contains(&letter)
            || ('\u{2060}'..='\u{2069}').contains(&letter)
            || letter == '\u{feff}'
    };
    prop_assert!(!text.contains(hidden), "{text:?}");
    prop_assert!(text.lines().count() <= lines, "{text}");
    let own = text.replace(LINK, "");
    prop_assert!(!own.contains(['@', '<', '>']), "{own}");
    prop_assert!(!own.contains("://") && !own.contains("www."), "{own}");
    Ok(())
}

/// The numbers of a text: dates apart, which one language writes with a number for the month and the other with its name.
fn numbers(text: &str, language: Language) -> BTreeSet<String> {
    let mut text = text.to_owned();
    if language == Language::Zh {
        for month in (1..=12).rev() {
            text = text.replace(&format!("年{month}月"), "年 ").replace(&format!("{month}月"), " ");
        }
    }
    let number = |letter: char| !(letter.is_ascii_digit() || letter == '.' || letter == ':');
    let bare = |number: &str| number.trim_matches(['.', ':']).to_owned();
    text.split(number).map(bare).filter(|number| !number.is_empty()).collect()
}

proptest! {
    #[test]
    fn nothing_in_a_message_does_harm_and_all_is_bounded(
        alert in alerts(name().boxed()), context in contexts(), most in 0..400_usize,
    ) {
        for language in Language::ALL {
            let said = message(&alert, language, &context, &zone());
            prop_assert!(said.title.chars().count() <= 320, "{}", said.title);
            prop_assert!(said.lines.len() <= 8, "{said:?}");
            for line in [&said.title].into_iter().chain(&said.lines) {
                prop_assert!(!line.is_empty() && line.chars().count() <= 1200, "{line}");
                is_harmless(line, 1)?;
            }
            is_harmless(&plain(&said), 10)?;
            let text = short(&said, most);
            is_harmless(&text, 1)?;
            prop_assert!(text.chars().count() <= most);
        }
    }

    #[test]
    fn no_name_formats_or_links_in_markdown(alert in alerts(name().boxed()), context in contexts()) {
        for (language, flavour) in Language::ALL.into_iter().flat_map(|language| Flavour::ALL.map(|flavour| (language, flavour))) {
            let said = message(&alert, language, &context, &zone());
            is_free_of_markdown(&markdown(&said, flavour), flavour)?;
        }
    }

    #[test]
    fn forms_are_harmless_whatever_the_message_is(
        title in name(), lines in prop::collection::vec(name(), 0..50), link in option::of(name()),
    ) {
        let said = Message { language: Language::En, title, lines, link };
        is_harmless(&plain(&said), 41)?;
        for flavour in Flavour::ALL {
            is_free_of_markdown(&markdown(&said, flavour), flavour)?;
        }
    }

    #[test]
    fn both_languages_say_the_same_numbers(alert in alerts(word().boxed())) {
        let say = |language| {
            let said = message(&alert, language, &Context::default(), &zone());
            (said.lines.len(), said.lines.iter().map(|line| numbers(line, language)).collect::<Vec<_>>())
        };
        prop_assert_eq!(say(Language::Zh), say(Language::En));
    }

    #[test]
    fn a_digest_is_harmless_and_bounded(
        alerts in prop::collection::vec(alerts(name().boxed()), 0..20), total in 0..100_000_usize,
    ) {
        let listed: Vec<&Alert> = alerts.iter().collect();
        for language in Language::ALL {
            let said = digest(&listed, total, language, &zone(), Some(LINK.to_owned()));
            prop_assert!(said.lines.len() <= 13);
            prop_assert!(said.title.contains(&total.max(alerts.len()).to_string()));
            is_harmless(&plain(&said), 14)?;
        }
    }
}

/// What is left of a bot's text after our own title and link has no sign that formats.
fn is_free_of_markdown(text: &str, flavour: Flavour) -> Result<(), TestCaseError> {
    is_harmless(text, 42)?;
    prop_assert!(text.len() <= 20_000, "{}", text.len());
    if flavour == Flavour::WeCom {
        prop_assert!(text.len() <= 4_096, "{}", text.len());
    }
    let own = match flavour {
        Flavour::DingTalk => text.strip_prefix("### "),
        Flavour::WeCom | Flavour::Feishu => text.strip_prefix("**"),
    };
    let mut rest = own.unwrap_or_default().to_owned();
    if flavour != Flavour::DingTalk {
        rest = rest.replacen("**", "", 1);
    }
    for page in ["打开告警", "Open the alert"] {
        rest = rest.replace(&format!("[{page}]({LINK})"), "");
    }
    prop_assert!(!rest.contains(['*', '`', '#', '[', ']', '~', '\\', '!', '|']), "{rest}");
    for line in rest.lines().skip(1) {
        prop_assert!(!line.starts_with(['-', '+', '=', '>', ' ']), "{line}");
    }
    Ok(())
}
