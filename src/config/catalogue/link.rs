//! The checks that need more than one entry. They go on after each problem, so that all are told at once; what follows
//! from a problem told already is not told again.

use std::collections::{BTreeMap, HashMap};
use std::mem::take;
use std::sync::Arc;

use crate::config::catalogue::written::{Head, Places, Written, WrittenChannel, WrittenOutlet, WrittenRule};
use crate::config::catalogue::{Analyser, Catalogue, OutletEntry};
use crate::config::law;
use crate::config::pollutants::units_of;
use crate::config::problem::Problem;
use crate::domain::history::{Dated, History};
use crate::domain::limit::Rule;
use crate::domain::plant::{
    ChannelCode, ChannelSettings, Gateway, MoistureBasis, OutletSettings, StateBasis, Unit,
};
use crate::domain::pollutant::{Pollutant, Role};

type Served = HashMap<String, Vec<(Places, Dated<Arc<str>>)>>;

/// The catalogue, and all problems; with any problem it is incomplete.
pub(super) fn link(mut written: Written) -> (Catalogue, Vec<Problem>) {
    let mut pollutants = take(&mut written.pollutants);
    pollutants.sort_by(|a, b| a.factor.code.cmp(&b.factor.code));
    let by_code: HashMap<&str, &Pollutant> =
        pollutants.iter().map(|pollutant| (pollutant.factor.code.as_str(), pollutant)).collect();
    let rules = rules(&mut written, &by_code);
    let mut served = served(&mut written);
    let mut outlets = Vec::with_capacity(written.outlets.len());
    for outlet in take(&mut written.outlets) {
        outlets.extend(self::outlet(outlet, &mut written, &by_code, &mut served));
    }
    outlets.sort_by(|a: &OutletEntry, b| a.code.cmp(&b.code));
    let law = law::link(&mut written, &outlets, &rules);
    let mut gateways: Vec<Gateway> =
        written.gateways.into_iter().map(|name| Gateway { id: 0, name }).collect();
    gateways.sort_by(|a, b| a.name.cmp(&b.name));
    let mut enterprises = written.enterprises;
    enterprises.sort_by(|a, b| a.code.cmp(&b.code));
    let mut notify = written.notify;
    notify.sort_by(|a, b| a.name.cmp(&b.name));
    (Catalogue { pollutants, rules, enterprises, outlets, gateways, notify, law }, written.problems)
}

/// The entries as a history. An entry that claims time of an earlier one is a problem and is left out.
fn history<T: Clone>(mut entries: Vec<(Places, Dated<T>)>, problems: &mut Vec<Problem>) -> History<T> {
    loop {
        let values = entries.iter().map(|(_, dated)| dated.clone()).collect();
        let overlap = match History::new(values) {
            Ok(history) => return history,
            Err(overlap) => overlap,
        };
        let culprit = entries.iter().rposition(|(_, dated)| dated.from == overlap.second);
        let Some((places, dated)) = culprit.map(|index| entries.remove(index)) else {
            return History::default();
        };
        problems.push(places.at("from").problem(dated.from.to_string(), overlap.to_string()));
    }
}

fn rules(written: &mut Written, pollutants: &HashMap<&str, &Pollutant>) -> Vec<Rule> {
    let mut versions: BTreeMap<String, Vec<WrittenRule>> = BTreeMap::new();
    for entry in take(&mut written.rules) {
        let place = entry.places.at("pollutant");
        let known = written.require("pollutant", &entry.rule.factor, place);
        let role = pollutants.get(entry.rule.factor.as_str()).map(|pollutant| pollutant.factor.role);
        if known && role.is_some_and(|role| role != Role::Pollutant) {
            let found = format!("{:?}", entry.rule.factor);
            written.problems.push(
                place.problem(found, "a factor whose role is \"pollutant\": limits are concentrations"),
            );
        }
        versions.entry(entry.rule.code.clone()).or_default().push(entry);
    }
    let mut rules = Vec::new();
    for mut versions in versions.into_values() {
        versions.sort_by_key(|version| version.rule.limit.from);
        if let [first, later @ ..] = versions.as_slice() {
            for version in later.iter().filter(|version| !first.rule.is_about_the_same(&version.rule)) {
                let allowed = format!(
                    "versions of one rule share process, pollutant, division, industry and kind; {} says otherwise: \
                     give this one a code of its own",
                    first.places.section()
                );
                let found = format!("{:?}", version.rule.code);
                written.problems.push(version.places.at("code").problem(found, allowed));
            }
        }
        let dated = versions.into_iter().map(|version| {
            let dated =
                Dated { from: version.rule.limit.from, until: version.rule.limit.until, value: version.rule };
            (version.places, dated)
        });
        let history = history(dated.collect(), &mut written.problems);
        rules.extend(history.iter().map(|dated| {
            let mut rule = dated.value.clone();
            rule.limit.until = dated.until;
            rule
        }));
    }
    rules
}

fn served(written: &mut Written) -> Served {
    let mut served: Served = HashMap::new();
    for serving in take(&mut written.servings) {
        if written.require("outlet", &serving.outlet, serving.places.at("outlet")) {
            let Dated { from, until, value: () } = serving.times;
            let dated = Dated { from, until, value: serving.gateway };
            served.entry(serving.outlet).or_default().push((serving.places, dated));
        }
    }
    served
}

fn outlet(
    mut outlet: WrittenOutlet,
    written: &mut Written,
    pollutants: &HashMap<&str, &Pollutant>,
    served: &mut Served,
) -> Option<OutletEntry> {
    if let Some(head) = &outlet.head {
        written.require("enterprise", &head.enterprise, outlet.places.at("enterprise"));
    }
    let settings = take(&mut outlet.settings).into_iter().map(|entry| (entry.places, entry.settings));
    let settings = history(settings.collect(), &mut written.problems);
    let analysers = analysers(&mut outlet, written);
    for channel in &outlet.channels {
        one_channel(channel, &outlet, &analysers, pollutants, written);
    }
    if !outlet.faulty_entries {
        whole_outlet(&outlet, &settings, pollutants, written);
    }
    let channels = channels(take(&mut outlet.channels), written);
    let Head { code, name, enterprise, site } = outlet.head?;
    let served_by = history(served.remove(&*code).unwrap_or_default(), &mut written.problems);
    Some(OutletEntry { id: 0, code, name, enterprise, site, settings, analysers, channels, served_by })
}

fn analysers(outlet: &mut WrittenOutlet, written: &mut Written) -> Vec<(Arc<str>, History<Analyser>)> {
    let mut by_name: BTreeMap<Arc<str>, Vec<(Places, Dated<Analyser>)>> = BTreeMap::new();
    for entry in take(&mut outlet.analysers) {
        by_name.entry(entry.name).or_default().push((entry.places, entry.details));
    }
    by_name.into_iter().map(|(name, versions)| (name, history(versions, &mut written.problems))).collect()
}

/// Versions of one code together, in the order in which codes first appear.
fn channels(
    entries: Vec<WrittenChannel>,
    written: &mut Written,
) -> Vec<(ChannelCode, History<ChannelSettings>)> {
    let mut order: Vec<ChannelCode> = Vec::new();
    let mut versions: HashMap<ChannelCode, Vec<(Places, Dated<ChannelSettings>)>> = HashMap::new();
    for entry in entries {
        if !order.contains(&entry.code) {
            order.push(entry.code);
        }
        versions.entry(entry.code).or_default().push((entry.places, entry.settings));
    }
    order
        .into_iter()
        .map(|code| (code, history(versions.remove(&code).unwrap_or_default(), &mut written.problems)))
        .collect()
}

/// One version of a channel against its pollutant and its analyser.
fn one_channel(
    channel: &WrittenChannel,
    outlet: &WrittenOutlet,
    analysers: &[(Arc<str>, History<Analyser>)],
    pollutants: &HashMap<&str, &Pollutant>,
    written: &mut Written,
) {
    let (places, settings) = (&channel.places, &channel.settings.value);
    written.require("pollutant", channel.code.factor(), places.at("code"));
    let mut problem = |key: &str, found: String, allowed: String| {
        written.problems.push(places.at(key).problem(found, allowed));
    };
    if let Some(pollutant) = pollutants.get(channel.code.factor()) {
        let role = pollutant.factor.role;
        let unit = format!("{:?}", settings.unit.name());
        if !role.units().contains(&settings.unit) {
            problem("unit", unit, units_of(role));
        } else if settings.unit == Unit::Ppm
            && role == Role::Pollutant
            && pollutant.factor.molar_mass.is_none()
        {
            let code = channel.code.factor();
            problem("unit", unit, format!("\"mg/m3\", or a molar_mass for {code} in the pollutants file"));
        }
        if role.has_moisture_basis() && !channel.names_moisture_basis {
            problem(
                "moisture_basis",
                "nothing".to_owned(),
                "\"wet\" or \"dry\": what the analyser measures".to_owned(),
            );
        }
        if role.has_state_basis() && !channel.names_state_basis {
            let allowed = "\"standard\" or \"actual\": what the analyser measures".to_owned();
            problem("state_basis", "nothing".to_owned(), allowed);
        }
    }
    let name = format!("{:?}", settings.analyser);
    if !outlet.analyser_names.contains(&settings.analyser) {
        let known: Vec<String> = outlet.analyser_names.iter().map(|name| format!("{name:?}")).collect();
        problem("analyser", name, format!("an analyser of this outlet: {}", known.join(", ")));
    } else if !outlet.faulty_entries {
        let from = channel.settings.from;
        let there =
            analysers.iter().any(|(name, history)| *name == settings.analyser && history.at(from).is_some());
        if !there {
            problem("analyser", name, format!("an analyser that is there at the channel's `from`, {from}"));
        }
    }
}

/// What the channels of an outlet need of each other.
fn whole_outlet(
    outlet: &WrittenOutlet,
    settings: &History<OutletSettings>,
    pollutants: &HashMap<&str, &Pollutant>,
    written: &mut Written,
) {
    let mut problem = |places: &Places, key: &str, found: &str, allowed: &str| {
        written.problems.push(places.at(key).problem(found, allowed));
    };
    if settings.is_empty() {
        problem(&outlet.places, "setting", "nothing", "at least one [[outlet.setting]]");
    }
    if outlet.channels.is_empty() {
        problem(&outlet.places, "channel", "nothing", "at least one [[outlet.channel]]");
    }
    let role_of = |channel: &WrittenChannel| pollutants.get(channel.code.factor()).map(|p| p.factor.role);
    let measures = |role: Role| outlet.channels.iter().any(|channel| role_of(channel) == Some(role));
    let moisture_known = measures(Role::Moisture)
        || (!settings.is_empty() && settings.iter().all(|dated| dated.value.moisture_fraction.is_some()));
    for channel in &outlet.channels {
        let Some(role) = role_of(channel) else { continue };
        let bases = &channel.settings.value;
        let wet = role.has_moisture_basis() && bases.moisture_basis == MoistureBasis::Wet;
        if wet && channel.names_moisture_basis && !moisture_known {
            let allowed = "\"dry\", or a moisture channel (a01014), or moisture_fraction in every setting";
            problem(&channel.places, "moisture_basis", "\"wet\" without moisture", allowed);
        }
        let actual = role.has_state_basis() && bases.state_basis == StateBasis::Actual;
        if actual && channel.names_state_basis && !measures(Role::Temperature) {
            let allowed = "\"standard\", or a temperature channel (a01012)";
            problem(&channel.places, "state_basis", "\"actual\" without temperature", allowed);
        }
    }
}
