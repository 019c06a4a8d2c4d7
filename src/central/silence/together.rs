//! Many gateways that fall silent at once are one alert with a list, not one each: what is broken then is what they share.
//!
//! They do not cross the limit in the same moment, since each was last heard at another. So those count that have been quiet for three
//! quarters of it, which is longer than any healthy gateway says nothing; and while the one alert is open, none of its own is raised for
//! a gateway. It ends when fewer have been silent for as long as the limit; whoever is silent still then gets an alert of its own.

use std::collections::{BTreeMap, HashSet};

use jiff::{SignedDuration, Timestamp};

use crate::central::concern::NAMED;
use crate::domain::alert::{Alert, AlertKind};
use crate::domain::episode::{Observation, WINDOW};
use crate::domain::plant::Plant;
use crate::store::episode::{Key, Sighting};
use crate::store::heard::Heard;

/// A gateway that has been quiet: since when, and how many outlets it speaks for.
pub(super) struct Quiet {
    name: String,
    since: Timestamp,
    outlets: usize,
}

/// The gateways that serve an outlet now and have been quiet for three quarters of the limit, by name.
pub(super) fn quiet(
    plant: &Plant,
    heard: &Heard,
    (now, base): (Timestamp, Timestamp),
    after: SignedDuration,
) -> Vec<Quiet> {
    let last: BTreeMap<i32, Timestamp> = heard.gateways.iter().copied().collect();
    let mut serves: BTreeMap<&str, usize> = BTreeMap::new();
    for outlet in &plant.outlets {
        for (name, _) in outlet.gateways.iter().filter(|(_, times)| times.at(now).is_some()) {
            *serves.entry(name).or_default() += 1;
        }
    }
    let of_gateway = |(name, outlets): (&str, usize)| {
        let id = plant.gateway(name)?.id;
        let since = last.get(&id).map_or(base, |last| base.max(*last));
        let is_quiet = now.duration_since(since) > after * 3 / 4;
        is_quiet.then(|| Quiet { name: name.to_owned(), since, outlets })
    };
    serves.into_iter().filter_map(of_gateway).collect()
}

fn key() -> Key {
    Key { outlet_id: 0, position: -1, rule_id: 0, kind: AlertKind::SilentGateways, subject: String::new() }
}

/// Takes the silences of single gateways out of `seen` when so many are quiet at once, and gives the one sighting that stands for them.
/// Silences that were told before go on by themselves.
pub(super) fn fold(
    seen: &mut Vec<Sighting>,
    quiet: &[Quiet],
    (together, now): (usize, Timestamp),
    open: &HashSet<Key>,
) -> Option<Sighting> {
    let is_silent =
        |sighting: &Sighting| sighting.key.kind == AlertKind::SilentGateway && sighting.observation.above;
    let many = quiet.len() >= together && seen.iter().any(is_silent);
    let is_open = open.contains(&key());
    if !many && !is_open {
        return None;
    }
    seen.retain(|sighting| !is_silent(sighting) || open.contains(&sighting.key));
    let since = quiet.iter().map(|gateway| gateway.since).min().unwrap_or(now);
    let mut alert = Alert::new(AlertKind::SilentGateways, since, now);
    alert.summary = summary(quiet, since);
    alert.subjects = quiet.iter().take(NAMED).map(|gateway| gateway.name.clone()).collect();
    alert.subjects_total = u32::try_from(quiet.len()).ok();
    let value = f64::from(u32::try_from(quiet.len()).unwrap_or(u32::MAX));
    let above = quiet.len() >= together;
    Some(Sighting {
        key: key(),
        observation: Observation { at: now, value, above, level: 1 },
        limit: None,
        hold: SignedDuration::ZERO,
        clear: WINDOW,
        alert,
    })
}

fn summary(quiet: &[Quiet], since: Timestamp) -> String {
    let outlets: usize = quiet.iter().map(|gateway| gateway.outlets).sum();
    let names: Vec<&str> = quiet.iter().take(NAMED).map(|gateway| gateway.name.as_str()).collect();
    let more = quiet.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!(
        "{} gateways with {outlets} outlets fell silent together, the first at {since}: {}{more}",
        quiet.len(),
        names.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::central::silence::{Speech, judge_silence};
    use crate::domain::evaluation::tests::kiln;
    use crate::domain::history::History;
    use crate::domain::plant::Gateway;

    const AFTER: SignedDuration = SignedDuration::from_secs(160);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    /// So many gateways with an outlet each.
    fn plant(gateways: i32) -> Plant {
        let name = |id: i32| format!("gw-{id:03}");
        let outlets = (1..=gateways).map(|id| {
            let mut outlet = kiln();
            (outlet.id, outlet.code) = (id, format!("outlet-{id:03}").into());
            outlet.gateways = vec![(name(id).into(), History::always(()))];
            Arc::new(outlet)
        });
        let gateways = (1..=gateways).map(|id| Arc::new(Gateway { id, name: name(id).into() }));
        Plant::new(outlets.collect(), gateways.collect())
    }

    /// What is told at a time, when these gateways were last heard at these: alerts of single gateways, and the one for many.
    fn told(heard: &[(i32, i64)], now: i64, open: &[Key]) -> (Vec<String>, Option<(usize, bool)>) {
        let plant = plant(i32::try_from(heard.len()).unwrap());
        let heard = Heard {
            outlets: Vec::new(),
            gateways: heard.iter().map(|(id, second)| (*id, at(*second))).collect(),
        };
        let mut speech = Speech::default();
        speech.note(&heard, AFTER);
        let times = (at(now), at(-10_000));
        let mut seen = judge_silence(&plant, (&heard, &speech), times, (AFTER, |_, _, _: &str| true));
        let quiet = quiet(&plant, &heard, times, AFTER);
        let one = fold(&mut seen, &quiet, (5, at(now)), &open.iter().cloned().collect());
        let single = seen
            .into_iter()
            .filter(|seen| seen.observation.above && seen.key.kind == AlertKind::SilentGateway);
        (single.map(|seen| seen.key.subject).collect(), one.map(|one| (quiet.len(), one.observation.above)))
    }

    fn alone(name: &str) -> Key {
        Key { kind: AlertKind::SilentGateway, subject: name.to_owned(), ..key() }
    }

    #[test]
    fn a_few_are_told_one_by_one() {
        let heard = [(1, 0), (2, 0), (3, 500), (4, 500), (5, 500), (6, 500)];
        assert_eq!(told(&heard, 510, &[]), (vec!["gw-001".to_owned(), "gw-002".to_owned()], None));
    }

    #[test]
    fn many_at_once_are_one_alert_from_the_first_moment() {
        // The first crosses the limit; the others were heard up to 30 s later and follow.
        let heard: Vec<(i32, i64)> = (1..=400).map(|id| (id, i64::from(id % 31))).collect();
        assert_eq!(told(&heard, 161, &[]), (vec![], Some((400, true))));
        let (single, one) = told(&heard, 300, &[key()]);
        assert_eq!((single.len(), one), (0, Some((400, true))));
    }

    #[test]
    fn who_was_told_before_goes_on_and_no_other_is_told_while_the_one_is_open() {
        let heard = [(1, -5000), (2, 0), (3, 0), (4, 0), (5, 0), (6, 0), (7, 290)];
        let open = [alone("gw-001")];
        assert_eq!(told(&heard, 300, &open), (vec!["gw-001".to_owned()], Some((6, true))));
        // All but two are back.
        let back = [(1, -5000), (2, 0), (3, 590), (4, 590), (5, 590), (6, 590), (7, 590)];
        let both = [alone("gw-001"), key()];
        assert_eq!(told(&back, 600, &both), (vec!["gw-001".to_owned()], Some((2, false))));
        assert_eq!(told(&back, 600, &open), (vec!["gw-001".to_owned(), "gw-002".to_owned()], None));
    }

    #[test]
    fn the_message_names_twenty_and_counts_the_rest() {
        let one = |id: usize| Quiet { name: format!("gw-{id}"), since: at(0), outlets: 2 };
        let quiet: Vec<Quiet> = (0..23).map(one).collect();
        let text = summary(&quiet, at(0));
        assert!(text.starts_with("23 gateways with 46 outlets fell silent together"), "{text}");
        assert!(text.ends_with("gw-19 and 3 more"), "{text}");
    }
}
