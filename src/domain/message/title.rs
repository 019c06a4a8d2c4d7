//! The first line: what has happened, and where.

use crate::domain::alert::{Alert, AlertKind, Phase};
use crate::domain::alerting::Language;
use crate::domain::message::escape::name;
use crate::domain::message::fact::is_test;
use crate::domain::message::nature::against;
use crate::domain::message::{en, number, zh};

/// `【小时超标·许可限值】XX水泥 DA001窑尾 SO₂`
pub(super) fn of(alert: &Alert, language: Language) -> String {
    let mut title = format!("【{}】", what(alert, language));
    let places = places(alert, language);
    if language == Language::En && !places.is_empty() {
        title.push(' ');
    }
    title.push_str(&places.join(" "));
    title
}

/// What it is called: test, phase, kind, rule.
pub(super) fn what(alert: &Alert, language: Language) -> String {
    let test = match (is_test(alert), language) {
        (false, _) => "",
        (true, Language::Zh) => "测试·",
        (true, Language::En) => "TEST · ",
    };
    // A test has one phase for a reader.
    let phase = if alert.kind == AlertKind::SelfTest { Phase::Begun } else { alert.phase };
    let phase = match language {
        Language::Zh => zh::phase(phase),
        Language::En => en::phase(phase),
    };
    let rule = rule(alert, language).map_or(String::new(), |rule| match language {
        Language::Zh => format!("·{rule}"),
        Language::En => format!(" · {rule}"),
    });
    format!("{test}{phase}{}{rule}", kind(alert, language))
}

/// What its kind is called.
pub(super) fn kind(alert: &Alert, language: Language) -> String {
    if alert.kind == AlertKind::Exceedance {
        let (period, against) = (alert.period.as_deref(), against(alert));
        return match language {
            Language::Zh => zh::exceedance(period, against),
            Language::En => en::exceedance(period, against),
        };
    }
    match language {
        Language::Zh => zh::kind(alert.kind).to_owned(),
        Language::En => en::kind(alert.kind).to_owned(),
    }
}

fn rule(alert: &Alert, language: Language) -> Option<String> {
    let known = |text: &Option<String>| text.as_deref().map(name).filter(|name| !name.is_empty());
    let by_kind = against(alert).map(|against| match language {
        Language::Zh => zh::rule(against).to_owned(),
        Language::En => en::rule(against).to_owned(),
    });
    known(&alert.rule_name).or_else(|| known(&alert.rule)).or(by_kind)
}

/// Enterprise and outlet, else the gateway; then what is measured there.
fn places(alert: &Alert, language: Language) -> Vec<String> {
    let mut places: Vec<String> = Vec::new();
    if let Some(place) = &alert.outlet {
        let outlet = if place.name.is_empty() { &place.code } else { &place.name };
        places.extend([name(&place.enterprise), name(outlet)]);
    } else if let Some(gateway) = alert.gateway.as_deref().map(name) {
        places.push(match language {
            Language::Zh => format!("网关{gateway}"),
            Language::En => format!("gateway {gateway}"),
        });
    }
    let symbol = alert.pollutant.as_deref().or(alert.channel.as_deref());
    places.extend(symbol.map(|symbol| number::formula(&name(symbol))));
    places.retain(|place| !place.is_empty());
    places
}
