//! The law's lists as documents have them: how states are told apart, marks and reviews, exemptions, checks, orders,
//! assessments, quotas and targets, rules of alerting and who is told. `docs/plant.md` shows every table. What holds for a jurisdiction may stand in `rules/1` or
//! `plant/1`; what is about one outlet stands in `plant/1`.

/// `[[alert_rule]]`, `[[ladder]]`.
mod alerting;
/// What of teams, people and duty shows only when all of it is read.
mod duty;
/// `[[marking]]`, `[[mark]]`, `[[review]]`, `[[exemption]]`, `[[source_rule]]`.
mod marks;
/// `[[line]]`, `[[order]]`, `[[assessment]]`, `[[furnace]]`.
mod orders;
/// `[[team]]`, `[[person]]`, `[[shift]]`, `[[holiday]]`, `[[swap]]`.
mod people;
/// `[[check_plan]]`, `[[check]]`, `[[efficiency]]`.
mod quality;
/// `[[quota]]`, `[[target]]`.
mod quotas;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use jiff::Timestamp;

use crate::config::catalogue::OutletEntry;
use crate::config::catalogue::written::Written;
use crate::config::check;
use crate::config::document::Section;
use crate::config::plant::period::{code, dated};
use crate::config::problem::{Place, Problem};
use crate::domain::alerting::Alerting;
use crate::domain::history::Dated;
use crate::domain::law::Law;
use crate::domain::limit::Rule;
use crate::domain::plant::ChannelCode;
use crate::domain::share::Percent;
use crate::domain::times::Times;

/// The lists as read, with what must be checked once everything is read.
#[derive(Debug, Default)]
pub(in crate::config) struct WrittenLaw {
    pub law: Law,
    needs: Vec<Need>,
    claims: BTreeMap<String, Vec<(Times, Place)>>,
    /// When each mark was made, and the times of reviews.
    marks: BTreeMap<String, Timestamp>,
    reviews: Vec<(String, Timestamp, Place)>,
    duty: duty::WrittenDuty,
}

/// Something that must be known.
#[derive(Debug)]
enum Need {
    Code { noun: &'static str, code: String, place: Place },
    Channel { outlet: String, channel: ChannelCode, place: Place },
    Analyser { outlet: String, analyser: String, place: Place },
    Rule { code: String, place: Place },
}

impl WrittenLaw {
    fn need(&mut self, noun: &'static str, code: &str, place: Place) {
        self.needs.push(Need::Code { noun, code: code.to_owned(), place });
    }

    fn need_channel(&mut self, outlet: &str, channel: ChannelCode, place: Place) {
        self.needs.push(Need::Channel { outlet: outlet.to_owned(), channel, place });
    }

    fn need_analyser(&mut self, outlet: &str, analyser: &str, place: Place) {
        self.needs.push(Need::Analyser { outlet: outlet.to_owned(), analyser: analyser.to_owned(), place });
    }

    fn need_rule(&mut self, code: &str, place: Place) {
        self.needs.push(Need::Rule { code: code.to_owned(), place });
    }

    /// Of one subject two entries must not hold at the same time.
    fn claim(&mut self, subject: String, times: Times, place: Place) {
        self.claims.entry(subject).or_default().push((times, place));
    }
}

/// Reads what both `rules/1` and `plant/1` may hold.
pub(in crate::config) fn read_shared(root: &mut Section<'_>, written: &mut Written) {
    marks::read_shared(root, written);
    orders::read_shared(root, written);
    quality::read_shared(root, written);
    quotas::read_shared(root, written);
    alerting::read_shared(root, written);
    people::read_shared(root, written);
}

/// Reads what only `plant/1` may hold.
pub(in crate::config) fn read_of_plant(root: &mut Section<'_>, written: &mut Written) {
    marks::read_of_plant(root, written);
    orders::read_of_plant(root, written);
    quality::read_of_plant(root, written);
    quotas::read_of_plant(root, written);
    alerting::read_of_plant(root, written);
    people::read_of_plant(root, written);
}

/// What was read, checked against the rest of the catalogue; problems go to `written`.
pub(in crate::config) fn link(written: &mut Written, outlets: &[OutletEntry], rules: &[Rule]) -> Law {
    let WrittenLaw { law, needs, claims, marks, reviews, duty } = std::mem::take(&mut written.law);
    for need in &needs {
        check_need(need, written, outlets, rules);
    }
    for (subject, mut times) in claims {
        times.sort_by_key(|(times, _)| times.from);
        let starts: Vec<Timestamp> = times.iter().skip(1).map(|(times, _)| times.from).collect();
        for ((times, _), next) in times.iter_mut().zip(starts) {
            times.until = times.until.or(Some(next).filter(|next| times.from < *next));
        }
        for pair in times.windows(2) {
            let [(first, _), (second, place)] = pair else { continue };
            if first.overlaps(second) {
                let allowed = format!(
                    "a time of its own: another entry for {subject} holds from {}; end it first, or move this one",
                    first.from
                );
                written.problems.push(place.problem(second.from.to_string(), allowed));
            }
        }
    }
    written.problems.extend(reviews_in_order(&marks, reviews));
    let law = sorted(law);
    written.problems.extend(duty::check(&duty, &law.alerting, &written.notify));
    law
}

fn check_need(need: &Need, written: &mut Written, outlets: &[OutletEntry], rules: &[Rule]) {
    // Outlets come by code.
    let find = |code: &str| {
        let index = outlets.binary_search_by(|outlet| (*outlet.code).cmp(code)).ok()?;
        outlets.get(index)
    };
    match need {
        Need::Code { noun, code, place } => {
            written.require(noun, code, place);
        }
        // Of an outlet that is wrong itself nothing more is said.
        Need::Channel { outlet, channel, place } => {
            let Some(outlet) = find(outlet) else { return };
            if !outlet.channels.iter().any(|(code, _)| code == channel) {
                let allowed =
                    format!("a channel of outlet {}; its channels are in [[outlet.channel]]", outlet.code);
                written.problems.push(place.problem(format!("{:?}", channel.as_str()), allowed));
            }
        }
        Need::Analyser { outlet, analyser, place } => {
            let Some(outlet) = find(outlet) else { return };
            if !outlet.analysers.iter().any(|(name, _)| **name == **analyser) {
                let allowed = format!("an analyser of outlet {}; see its [[outlet.analyser]]", outlet.code);
                written.problems.push(place.problem(format!("{analyser:?}"), allowed));
            }
        }
        Need::Rule { code, place } => {
            if !rules.iter().any(|rule| rule.code == *code) {
                let allowed = "the code of a [[rule]] in the files given together; add the rule or its file";
                written.problems.push(place.problem(format!("{code:?}"), allowed));
            }
        }
    }
}

fn reviews_in_order(
    marks: &BTreeMap<String, Timestamp>,
    reviews: Vec<(String, Timestamp, Place)>,
) -> Vec<Problem> {
    let mut seen = BTreeSet::new();
    let mut problems = Vec::new();
    for (mark, at, place) in reviews {
        if let Some(made_at) = marks.get(&mark).filter(|made_at| at < **made_at) {
            problems.push(
                place.problem(at.to_string(), format!("a time not before the mark was made, {made_at}")),
            );
        }
        if !seen.insert((mark.clone(), at)) {
            let allowed = format!("one review of mark {mark:?} at a time, so that the newest is known");
            problems.push(place.problem(at.to_string(), allowed));
        }
    }
    problems
}

/// An entry without `until` ends where the next one of its subject begins.
fn end_open_ones<T, S: Ord>(
    entries: &mut [T],
    subject: impl Fn(&T) -> S,
    times: impl Fn(&mut T) -> &mut Times,
) {
    let mut starts: BTreeMap<S, BTreeSet<Timestamp>> = BTreeMap::new();
    for entry in entries.iter_mut() {
        starts.entry(subject(entry)).or_default().insert(times(entry).from);
    }
    for entry in entries {
        let starts = starts.get(&subject(entry));
        let own = times(entry);
        if own.until.is_none() {
            let later =
                starts.and_then(|starts| starts.range((Bound::Excluded(own.from), Bound::Unbounded)).next());
            own.until = later.copied();
        }
    }
}

/// In an order that does not depend on the order of files.
fn sorted(mut law: Law) -> Law {
    end_open_ones(&mut law.source_rules, |rule| rule.outlet.clone(), |rule| &mut rule.times);
    end_open_ones(
        &mut law.markings,
        |marking| (marking.division.clone(), marking.industry.clone()),
        |marking| &mut marking.times,
    );
    end_open_ones(
        &mut law.efficiencies,
        |rule| (rule.division.clone(), rule.industry.clone()),
        |rule| &mut rule.times,
    );
    end_open_ones(
        &mut law.check_plans,
        |plan| (plan.outlet.clone(), plan.analyser.clone(), plan.kind.clone()),
        |plan| &mut plan.times,
    );
    law.source_rules.sort_by(|a, b| (&a.outlet, a.times).cmp(&(&b.outlet, b.times)));
    law.markings.sort_by(|a, b| a.code.cmp(&b.code));
    law.marks.sort_by(|a, b| a.code.cmp(&b.code));
    law.reviews.sort_by(|a, b| (&a.mark, a.at).cmp(&(&b.mark, b.at)));
    law.exemptions.sort_by(|a, b| a.code.cmp(&b.code));
    law.check_plans.sort_by(|a, b| {
        (&a.outlet, &a.analyser, &a.kind, a.times).cmp(&(&b.outlet, &b.analyser, &b.kind, b.times))
    });
    law.checks.sort_by(|a, b| {
        (&a.outlet, &a.analyser, &a.kind, a.at).cmp(&(&b.outlet, &b.analyser, &b.kind, b.at))
    });
    law.efficiencies.sort_by(|a, b| a.code.cmp(&b.code));
    law.lines.sort_by(|a, b| a.code.cmp(&b.code));
    law.orders.sort_by(|a, b| a.code.cmp(&b.code));
    law.assessments.sort_by(|a, b| a.code.cmp(&b.code));
    law.furnaces.sort_by(|a, b| a.code.cmp(&b.code));
    law.quotas.sort_by(|a, b| a.code.cmp(&b.code));
    law.targets.sort_by(|a, b| a.code.cmp(&b.code));
    sort_alerting(&mut law.alerting);
    law
}

fn sort_alerting(alerting: &mut Alerting) {
    end_open_ones(&mut alerting.rules, |rule| rule.code.clone(), |rule| &mut rule.times);
    end_open_ones(&mut alerting.teams, |team| team.code.clone(), |team| &mut team.times);
    end_open_ones(&mut alerting.people, |person| person.code.clone(), |person| &mut person.times);
    end_open_ones(&mut alerting.shifts, |shift| shift.code.clone(), |shift| &mut shift.times);
    end_open_ones(&mut alerting.ladders, |ladder| ladder.team.clone(), |ladder| &mut ladder.times);
    alerting.rules.sort_by(|a, b| (&a.code, a.times).cmp(&(&b.code, b.times)));
    alerting.teams.sort_by(|a, b| (&a.code, a.times).cmp(&(&b.code, b.times)));
    alerting.people.sort_by(|a, b| (&a.code, a.times).cmp(&(&b.code, b.times)));
    alerting.shifts.sort_by(|a, b| (&a.code, a.times).cmp(&(&b.code, b.times)));
    alerting.holidays.sort_by_key(|holiday| holiday.date);
    alerting.swaps.sort_by(|a, b| a.code.cmp(&b.code));
    alerting.ladders.sort_by(|a, b| (&a.team, a.times).cmp(&(&b.team, b.times)));
}

/// The section's `from` and `until`.
fn times(section: &mut Section<'_>) -> Option<Times> {
    let Dated { from, until, value: () } = dated(section, Some(()))?;
    Some(Times { from, until })
}

/// The same, with an end that must be there.
fn ended_times(section: &mut Section<'_>) -> Option<Times> {
    let times = times(section)?;
    if times.until.is_none() {
        section.problem("until", "nothing", "a time after `from`: such an entry has an end");
        return None;
    }
    Some(times)
}

/// The section's own code, declared for its noun.
fn own_code(section: &mut Section<'_>, noun: &'static str, written: &mut Written) -> Option<String> {
    let code = section.required("code", code())?;
    written.declare(noun, &code, &section.place("code"));
    Some(code)
}

/// A code that refers to another entry.
fn reference(
    section: &mut Section<'_>,
    key: &str,
    noun: &'static str,
    written: &mut Written,
) -> Option<String> {
    let code = section.required(key, check::any_text())?;
    written.law.need(noun, &code, section.place(key));
    Some(code)
}

fn percent<'c>() -> check::Check<'c, Percent> {
    let number = check::number(0.0..=1000.0);
    check::Check::new("a percentage from 0 to 1000 with at most two decimals", move |value| {
        number.apply(value).and_then(Percent::from_number)
    })
}

/// Tonnes, as whole milligrams.
fn tonnes<'c>() -> check::Check<'c, i64> {
    let number = check::number(0.0..=9_000_000.0);
    check::Check::new("tonnes, a number from 0 to 9000000", move |value| {
        number.apply(value).and_then(|tonnes| crate::domain::emission::mass_mg(tonnes * 1000.0, 1.0))
    })
}

#[cfg(test)]
mod tests;
