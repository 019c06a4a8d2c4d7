//! Lines, orders, assessments and furnaces, as documents have them.

use super::{ended_times, own_code, percent, reference, times};
use crate::config::catalogue::written::Written;
use crate::config::check;
use crate::config::document::Section;
use crate::config::plant::outlet::channel_code;
use crate::config::plant::outlet_code;
use crate::config::plant::period::code;
use crate::config::pollutants::factor_code;
use crate::domain::assessment::{Assessment, Over};
use crate::domain::furnace::FurnaceRule;
use crate::domain::order::{Demand, Full, Line, Measure, Order, Scope, Threshold};
use crate::domain::plant::ChannelCode;

pub(super) fn read_shared(root: &mut Section<'_>, written: &mut Written) {
    for mut section in root.tables("assessment") {
        let assessment = assessment(&mut section, written);
        written.law.law.assessments.extend(assessment);
    }
}

pub(super) fn read_of_plant(root: &mut Section<'_>, written: &mut Written) {
    for mut section in root.tables("line") {
        let line = line(&mut section, written);
        written.law.law.lines.extend(line);
    }
    for mut section in root.tables("order") {
        let order = order(&mut section, written);
        written.law.law.orders.extend(order);
    }
    for mut section in root.tables("furnace") {
        let furnace = furnace(&mut section, written);
        written.law.law.furnaces.extend(furnace);
    }
}

fn assessment(section: &mut Section<'_>, written: &mut Written) -> Option<Assessment> {
    let overs = Over::ALL.map(|over| (over.period().name(), over));
    let own = own_code(section, "assessment", written);
    let document = section.required("document", check::any_text());
    let rule = section.required("rule", code());
    let over = section.required("over", check::one_of(&overs));
    let share = section.required("share_percent", percent());
    let at_least = section.with_default("at_least", check::small(1..=9000), 1);
    let times = times(section);
    if let Some(rule) = &rule {
        written.law.need_rule(rule, section.place("rule"));
    }
    Some(Assessment {
        code: own?,
        document: document?,
        times: times?,
        rule: rule?,
        over: over?,
        share: share?,
        at_least: at_least?,
    })
}

fn line(section: &mut Section<'_>, written: &mut Written) -> Option<Line> {
    let code = own_code(section, "line", written);
    let enterprise = reference(section, "enterprise", "enterprise", written);
    let outlets = section.list("outlets", outlet_code());
    for (index, outlet) in outlets.iter().flatten().enumerate() {
        written.law.need("outlet", outlet, section.place(&format!("outlets[{index}]")));
    }
    if outlets.as_ref().is_some_and(Vec::is_empty) {
        section.problem("outlets", "nothing", "at least one outlet that the line feeds");
    }
    Some(Line { code: code?, enterprise: enterprise?, outlets: outlets? })
}

fn order(section: &mut Section<'_>, written: &mut Written) -> Option<Order> {
    let code = own_code(section, "order", written);
    let name = section.required("name", check::any_text());
    let document = section.required("document", check::any_text());
    let scope = scope(section, written);
    let demand = demand(section, written);
    let times = ended_times(section);
    if let (Some(scope), Some(demand), Some(times)) = (&scope, &demand, times) {
        let about = match demand {
            Demand::Limit { pollutant, .. } => format!("limit of {pollutant}"),
            Demand::Stop { .. } | Demand::Reduce { .. } => demand.name().to_owned(),
        };
        written.law.claim(format!("an order ({about}) for {scope:?}"), times, section.place("from"));
    }
    Some(Order {
        code: code?,
        name: name?,
        document: document?,
        scope: scope?,
        times: times?,
        demand: demand?,
    })
}

fn scope(section: &mut Section<'_>, written: &mut Written) -> Option<Scope> {
    let enterprise = section.optional("enterprise", check::any_text());
    let line = section.optional("line", code());
    let outlet = section.optional("outlet", outlet_code());
    let (noun, code, scope) = match (enterprise?, line?, outlet?) {
        (Some(code), None, None) => ("enterprise", code.clone(), Scope::Enterprise(code)),
        (None, Some(code), None) => ("line", code.clone(), Scope::Line(code)),
        (None, None, Some(code)) => ("outlet", code.clone(), Scope::Outlet(code)),
        (None, None, None) => {
            section.problem("outlet", "nothing", "one of enterprise, line or outlet: whom the order is for");
            return None;
        }
        (enterprise, ..) => {
            let key = if enterprise.is_some() { "enterprise" } else { "line" };
            section.problem(key, "more than one", "one of enterprise, line or outlet");
            return None;
        }
    };
    written.law.need(noun, &code, section.place(noun));
    Some(scope)
}

fn demand(section: &mut Section<'_>, written: &mut Written) -> Option<Demand> {
    let words = ["stop", "reduce", "limit"].map(|word| (word, word));
    match section.required("demand", check::one_of(&words))? {
        "stop" => {
            let mut thresholds = Vec::new();
            let sections = section.tables("threshold");
            let expected = sections.len();
            for mut section in sections {
                let measure = measure(&mut section, written);
                let above = section.required("above", check::number(0.0..=1e9));
                thresholds.extend(measure.zip(above).map(|(measure, above)| Threshold { measure, above }));
            }
            (thresholds.len() == expected).then_some(Demand::Stop { thresholds })
        }
        "reduce" => {
            let percent = section.required("percent", percent());
            let measure = measure(section, written);
            let reference = section.required("reference", check::number(0.001..=1e9));
            if let Some(percent) = percent.filter(|percent| percent.in_hundredths() > 10_000) {
                section.problem("percent", &percent.to_string(), "at most 100");
                return None;
            }
            Some(Demand::Reduce { percent: percent?, measure: measure?, reference: reference? })
        }
        _limit => {
            let forms = [("full-value", Full::FullValue), ("rounded", Full::Rounded)];
            let pollutant = factor(section, written);
            let limit = section.required("limit", check::number(0.000_001..=1_000_000.0));
            let oxygen = section.optional("reference_oxygen_percent", check::number(0.0..=20.0));
            let comparison = section.with_default("comparison", check::one_of(&forms), Full::FullValue);
            Some(Demand::Limit {
                pollutant: pollutant?,
                limit_mg_m3: limit?,
                reference_oxygen_percent: oxygen?,
                comparison: comparison?,
            })
        }
    }
}

fn factor(section: &mut Section<'_>, written: &mut Written) -> Option<String> {
    let factor = section.required("pollutant", factor_code())?;
    written.law.need("pollutant", &factor, section.place("pollutant"));
    Some(factor)
}

fn measure(section: &mut Section<'_>, written: &mut Written) -> Option<Measure> {
    let words = ["flow", "mass", "channel"].map(|word| (word, word));
    match section.required("measure", check::one_of(&words))? {
        "flow" => Some(Measure::Flow),
        "mass" => factor(section, written).map(Measure::Mass),
        _channel => section.required("channel", channel_code()).map(Measure::Channel),
    }
}

fn furnace(section: &mut Section<'_>, written: &mut Written) -> Option<FurnaceRule> {
    let code = own_code(section, "furnace", written);
    let outlet = section.required("outlet", outlet_code());
    let document = section.required("document", check::any_text());
    let upper = thermocouples(section, "upper", outlet.as_deref(), written);
    let middle = thermocouples(section, "middle", outlet.as_deref(), written);
    let below_c = section.with_default("below_c", check::number(0.0..=2000.0), 850.0);
    let events_allowed = section.with_default("events_allowed", check::small(0..=288), 5);
    let times = times(section);
    let (outlet, times) = (outlet?, times?);
    written.law.need("outlet", &outlet, section.place("outlet"));
    Some(FurnaceRule {
        code: code?,
        outlet,
        document: document?,
        times,
        upper: upper?,
        middle: middle?,
        below_c: below_c?,
        events_allowed: events_allowed?,
    })
}

fn thermocouples(
    section: &mut Section<'_>,
    key: &'static str,
    outlet: Option<&str>,
    written: &mut Written,
) -> Option<Vec<ChannelCode>> {
    let channels = section.list(key, channel_code())?;
    if channels.is_empty() {
        section.problem(key, "nothing", "at least one channel of a thermocouple");
        return None;
    }
    for (index, channel) in channels.iter().enumerate() {
        if let Some(outlet) = outlet {
            written.law.need_channel(outlet, *channel, section.place(&format!("{key}[{index}]")));
        }
    }
    Some(channels)
}
