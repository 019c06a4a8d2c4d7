//! Teams, people and their duty, as documents have them; what needs the rest of the lists is checked in `duty`.

use jiff::civil::{Date, Time};

use super::duty::{AtAddress, WrittenSwap};
use super::{ended_times, times};
use crate::config::catalogue::written::{Places, Written};
use crate::config::check;
use crate::config::document::Section;
use crate::config::plant::period::code;
use crate::config::rules::division_prefix;
use crate::domain::alert::{AlertKind, Severity};
use crate::domain::alerting::{Address, Audience, Day, Holiday, Language, Person, Shift, Swap, Team};

/// Most addresses of a person or group, people of a shift, leads of a team.
const MOST: usize = 16;

pub(super) fn read_shared(root: &mut Section<'_>, written: &mut Written) {
    for mut section in root.tables("holiday") {
        let holiday = holiday(&mut section, written);
        written.law.law.alerting.holidays.extend(holiday);
    }
}

pub(super) fn read_of_plant(root: &mut Section<'_>, written: &mut Written) {
    for mut section in root.tables("team") {
        let team = team(&mut section, written);
        written.law.law.alerting.teams.extend(team);
    }
    for mut section in root.tables("person") {
        let person = person(&mut section, written);
        written.law.law.alerting.people.extend(person);
    }
    for mut section in root.tables("shift") {
        let shift = shift(&mut section, written);
        written.law.law.alerting.shifts.extend(shift);
    }
    for mut section in root.tables("swap") {
        let swap = swap(&mut section, written);
        written.law.law.alerting.swaps.extend(swap);
    }
}

/// The section's own code, of a noun whose entries have versions one after another.
pub(super) fn version_code(
    section: &mut Section<'_>,
    noun: &'static str,
    written: &mut Written,
) -> Option<String> {
    let code = section.required("code", code())?;
    written.declare_version(noun, &code, &section.place("code"));
    Some(code)
}

/// Codes of people, each of whom must be known.
fn people(section: &mut Section<'_>, key: &'static str, written: &mut Written) -> Option<Vec<String>> {
    let people = section.list(key, code())?;
    for (index, person) in people.iter().enumerate() {
        let place = format!("{key}[{index}]");
        if people.iter().take(index).any(|other| other == person) {
            section.problem(&place, &format!("{person:?} again"), "each person once");
        }
        written.law.need("person", person, section.place(&place));
    }
    if people.len() > MOST {
        section.problem(key, &format!("a list of {}", people.len()), &format!("at most {MOST} people"));
        return None;
    }
    Some(people)
}

fn team(section: &mut Section<'_>, written: &mut Written) -> Option<Team> {
    let audiences = Audience::ALL.map(|audience| (audience.name(), audience));
    let kinds = AlertKind::ALL.map(|kind| (kind.name(), kind));
    let code = version_code(section, "team", written);
    let name = section.required("name", check::any_text());
    let audience = section.required("audience", check::one_of(&audiences));
    let division = section.with_default("division", division_prefix(), String::new());
    let enterprise = section.optional("enterprise", check::any_text());
    let kinds = section.list("kinds", check::one_of(&kinds));
    let severities = severities();
    let least = section.optional("least", check::one_of(&severities));
    let is_default = section.with_default("default", check::boolean(), false);
    let leads = people(section, "leads", written);
    let group = addresses(section, "group", written);
    let language = language(section);
    let times = times(section);
    if let Some(Some(enterprise)) = &enterprise {
        written.law.need("enterprise", enterprise, section.place("enterprise"));
    }
    if let (Some(Audience::Enterprise), Some(None)) = (audience, &enterprise) {
        let allowed =
            "the unified social credit code of the enterprise whose team it is: it hears of no other";
        section.problem("enterprise", "nothing", allowed);
    }
    if is_default == Some(true) {
        for key in ["kinds", "least"].into_iter().filter(|key| section.has(key)) {
            let allowed = "nothing in a default team: it hears whatever no other team hears";
            section.problem(key, "a choice", allowed);
        }
    }
    let (code, times) = (code?, times?);
    written.law.claim(format!("team {code}"), times, section.place("from"));
    let places = Places::of(section, &["code", "default"]);
    written.law.duty.teams.push(((code.clone(), times.from), places));
    Some(Team {
        code,
        name: name?,
        audience: audience?,
        times,
        division: division?,
        enterprise: enterprise?,
        kinds: kinds?,
        least: least?,
        is_default: is_default?,
        leads: leads?,
        group: group?,
        language: language?,
    })
}

fn person(section: &mut Section<'_>, written: &mut Written) -> Option<Person> {
    let code = version_code(section, "person", written);
    let name = section.required("name", check::any_text());
    let language = language(section);
    let addresses = addresses(section, "address", written);
    let times = times(section);
    if addresses.as_ref().is_some_and(Vec::is_empty) {
        let allowed = "at least one [[person.address]]: nobody is on duty who cannot be reached";
        section.problem("address", "nothing", allowed);
    }
    let (code, times) = (code?, times?);
    written.law.claim(format!("person {code}"), times, section.place("from"));
    Some(Person { code, name: name?, times, language: language?, addresses: addresses? })
}

fn addresses(section: &mut Section<'_>, key: &str, written: &mut Written) -> Option<Vec<Address>> {
    let sections = section.tables(key);
    let expected = sections.len();
    let mut addresses = Vec::new();
    for mut section in sections {
        let channel = section.required("channel", code());
        let to = section.with_default("to", recipient(), String::new());
        let hours = hours(&mut section);
        let severities = severities();
        let least = section.optional("least", check::one_of(&severities));
        let (Some(channel), Some(to)) = (channel, to) else { continue };
        written.law.need("notify", &channel, section.place("channel"));
        let place = section.place("to");
        written.law.duty.addresses.push(AtAddress { channel: channel.clone(), to: to.clone(), place });
        if let (Ok(hours), Some(least)) = (hours, least) {
            addresses.push(Address { channel, to, hours, least });
        }
    }
    if expected > MOST {
        section.problem(key, &format!("{expected} of them"), &format!("at most {MOST} addresses"));
        return None;
    }
    (addresses.len() == expected).then_some(addresses)
}

fn recipient<'c>() -> check::Check<'c, String> {
    check::text("how the channel calls the person: 1 to 200 characters without spaces", |text| {
        let plain = |letter: char| !letter.is_whitespace() && !letter.is_control();
        ((1..=200).contains(&text.chars().count()) && text.chars().all(plain)).then(|| text.to_owned())
    })
}

fn severities() -> [(&'static str, Severity); 4] {
    Severity::ALL.map(|severity| (severity.name(), severity))
}

fn language(section: &mut Section<'_>) -> Option<Language> {
    let languages = Language::ALL.map(|language| (language.name(), language));
    section.with_default("language", check::one_of(&languages), Language::default())
}

/// A time of day, to the minute.
fn clock<'c>() -> check::Check<'c, Time> {
    check::text("a time of day as \"08:00\", from \"00:00\" to \"23:59\"", |text| {
        (text.len() == 5).then(|| text.parse().ok()).flatten()
    })
}

/// A problem has been noted.
#[derive(Debug, PartialEq)]
struct Told;

/// Two times of day, where they are written.
fn hours(section: &mut Section<'_>) -> Result<Option<(Time, Time)>, Told> {
    if !section.has("hours") {
        return Ok(None);
    }
    let clocks = section.list("hours", clock()).ok_or(Told)?;
    if let [begins, ends] = *clocks {
        return Ok(Some((begins, ends)));
    }
    let found = format!("a list of {}", clocks.len());
    let allowed =
        "two times of day, as [\"20:00\", \"08:00\"]; the end is on the next day where it is not later";
    section.problem("hours", &found, allowed);
    Err(Told)
}

fn shift(section: &mut Section<'_>, written: &mut Written) -> Option<Shift> {
    let days = Day::ALL.map(|day| (day.name(), day));
    let code = version_code(section, "shift", written);
    let team = section.required("team", self::code());
    let days = section.list("days", check::one_of(&days));
    let hours = hours(section);
    let people = people(section, "people", written);
    let times = times(section);
    if let Some(team) = &team {
        written.law.need("team", team, section.place("team"));
    }
    if days.as_ref().is_some_and(Vec::is_empty) {
        let allowed = "days on which it begins, as [\"workday\", \"restday\"] or [\"friday\"]";
        section.problem("days", "nothing", allowed);
    }
    if hours == Ok(None) {
        section.problem("hours", "nothing", "two times of day, as [\"08:00\", \"20:00\"]");
    }
    if people.as_ref().is_some_and(Vec::is_empty) {
        section.problem("people", "nothing", "at least one person who is on duty then");
    }
    let whole = || {
        let (days, people) =
            (days.filter(|days| !days.is_empty())?, people.filter(|people| !people.is_empty())?);
        Some(Shift { code: code?, team: team?, times: times?, days, hours: hours.ok()??, people })
    };
    let Some(shift) = whole() else {
        // A roster that lacks a shift says nothing about gaps.
        written.law.duty.has_faulty_shifts = true;
        return None;
    };
    written.law.claim(format!("shift {}", shift.code), shift.times, section.place("from"));
    let version = (shift.code.clone(), shift.times.from);
    written.law.duty.shifts.push((version, section.place("hours")));
    Some(shift)
}

fn holiday(section: &mut Section<'_>, written: &mut Written) -> Option<Holiday> {
    let day = check::text("a day, as \"2026-10-01\"", |text| {
        (text.len() == 10).then(|| text.parse::<Date>().ok()).flatten()
    });
    let date = section.required("date", day);
    let name = section.required("name", check::any_text());
    let worked = section.with_default("worked", check::boolean(), false);
    if let Some(date) = date {
        written.declare("holiday", &date.to_string(), &section.place("date"));
    }
    Some(Holiday { date: date?, name: name?, worked: worked? })
}

fn swap(section: &mut Section<'_>, written: &mut Written) -> Option<Swap> {
    let code = super::own_code(section, "swap", written);
    let team = section.required("team", self::code());
    let out = section.required("out", self::code());
    let stand_in = section.required("stand_in", self::code());
    let reason = section.required("reason", check::any_text());
    let times = ended_times(section);
    for (noun, key, found) in
        [("team", "team", &team), ("person", "out", &out), ("person", "stand_in", &stand_in)]
    {
        if let Some(found) = found {
            written.law.need(noun, found, section.place(key));
        }
    }
    let (team, out, stand_in, times) = (team?, out?, stand_in?, times?);
    if out == stand_in {
        section.problem("stand_in", &format!("{stand_in:?}"), "somebody else than who is out");
        return None;
    }
    written.law.claim(format!("somebody in place of {out} in team {team}"), times, section.place("from"));
    let place = section.place("out");
    written.law.duty.swaps.push(WrittenSwap {
        team: team.clone(),
        out: out.clone(),
        stand_in: stand_in.clone(),
        place,
    });
    Some(Swap { code: code?, team, times, out, stand_in, reason: reason? })
}
