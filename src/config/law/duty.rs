//! What of teams, people and duty shows only when all of it is read: addresses that their channel cannot reach, rosters with gaps or
//! overlaps, teams without anybody.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::DateTime;
use jiff::tz::{TimeZone, offset};
use jiff::{SignedDuration, Timestamp};

use crate::config::catalogue::NotifyChannel;
use crate::config::catalogue::written::Places;
use crate::config::problem::{Place, Problem};
use crate::domain::alerting::{Alerting, Audience, Shift, Span, Team};
use crate::domain::times::Times;

/// So much of a roster without holidays is looked at: it repeats every week.
const WEEKS: SignedDuration = SignedDuration::from_hours(21 * 24);
/// Gaps, and overlaps, that are told of one team.
const TOLD: usize = 8;

/// Of an entry with versions: its code and its beginning.
type Version = (String, Timestamp);

/// What is checked at the end, with its places.
#[derive(Debug, Default)]
pub(super) struct WrittenDuty {
    pub addresses: Vec<AtAddress>,
    pub teams: Vec<(Version, Places)>,
    pub shifts: Vec<(Version, Place)>,
    /// Some shift could not be read, so that gaps mean nothing.
    pub has_faulty_shifts: bool,
    pub swaps: Vec<WrittenSwap>,
    pub across: Vec<WrittenWho>,
}

#[derive(Debug)]
pub(super) struct AtAddress {
    pub channel: String,
    pub to: String,
    pub place: Place,
}

#[derive(Debug)]
pub(super) struct WrittenSwap {
    pub team: String,
    pub out: String,
    pub stand_in: String,
    pub place: Place,
}

/// The ladder of a team names another.
#[derive(Debug)]
pub(super) struct WrittenWho {
    pub team: String,
    pub other: String,
    pub place: Place,
}

/// All problems of duty. Ends of versions are known by now.
pub(super) fn check(written: &WrittenDuty, alerting: &Alerting, notify: &[NotifyChannel]) -> Vec<Problem> {
    let mut problems: Vec<Problem> =
        written.addresses.iter().filter_map(|address| unreachable(address, notify)).collect();
    problems.extend(written.across.iter().filter_map(|who| crossing(who, &alerting.teams)));
    problems.extend(without_default(written, &alerting.teams));
    // One mistake is one problem: what a faulty shift would have covered is not known.
    if !written.has_faulty_shifts {
        problems.extend(written.swaps.iter().filter_map(|swap| idle_swap(swap, &written.swaps, alerting)));
        problems.extend(rosters(written, alerting));
    }
    problems
}

fn unreachable(address: &AtAddress, notify: &[NotifyChannel]) -> Option<Problem> {
    let channel = notify.iter().find(|channel| channel.name == address.channel)?;
    let kind = channel.kind.name();
    let wanted = wanted(kind, &address.to)?;
    let found = if address.to.is_empty() { "nothing".to_owned() } else { format!("{:?}", address.to) };
    let allowed = format!("{wanted}: channel {:?} is of kind {kind:?}", channel.name);
    Some(address.place.problem(found, allowed))
}

/// What a channel of a kind needs in place of `to`; `None`: nothing else. Where the channel itself is the address, `to` may be empty.
fn wanted(kind: &str, to: &str) -> Option<&'static str> {
    let (fits, wanted) = match kind {
        "smtp" => (is_mail(to), "a mail address, as \"duty@example.org\""),
        "http" => (is_phone(to), "a telephone number of 3 to 20 digits, with or without a \"+\" before it"),
        _ => return None,
    };
    (!fits).then_some(wanted)
}

/// Local part and domain as they are in use; quoted local parts and address literals are not for people.
fn is_mail(to: &str) -> bool {
    let atoms = |text: &str, fits: fn(char) -> bool| {
        text.split('.').all(|atom| !atom.is_empty() && atom.chars().all(fits))
    };
    let Some((local, domain)) = to.split_once('@') else { return false };
    let labels_end_well = domain.split('.').all(|label| !label.starts_with('-') && !label.ends_with('-'));
    let local_fits =
        atoms(local, |letter| letter.is_ascii_alphanumeric() || "!#$%&'*+/=?^_`{|}~-".contains(letter));
    let domain_fits = atoms(domain, |letter| letter.is_ascii_alphanumeric() || letter == '-');
    local.len() <= 64
        && to.len() <= 254
        && domain.contains('.')
        && local_fits
        && domain_fits
        && labels_end_well
}

fn is_phone(to: &str) -> bool {
    let digits = to.strip_prefix('+').unwrap_or(to);
    (3..=20).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Audiences are apart: no ladder tells people of another one, or of another enterprise.
fn crossing(who: &WrittenWho, teams: &[Team]) -> Option<Problem> {
    let find = |code: &str| teams.iter().find(|team| team.code == code);
    let (team, other) = (find(&who.team)?, find(&who.other)?);
    let apart = team.audience != other.audience
        || team.audience == Audience::Enterprise && team.enterprise != other.enterprise;
    let allowed = format!(
        "a team of the same audience and enterprise as {:?}: others do not hear of its alerts",
        team.code
    );
    apart.then(|| who.place.problem(format!("\"team:{}\"", other.code), allowed))
}

/// Where all teams of an audience choose what they hear, one must hear the rest.
fn without_default(written: &WrittenDuty, teams: &[Team]) -> Vec<Problem> {
    let of_audience = |audience: Audience| {
        let lacks = |team: &&Team| {
            let hears_all = |other: &Team| {
                other.audience == audience
                    && other.times.holds(team.times.from)
                    && (other.is_default || !other.is_choosy())
            };
            team.audience == audience && !teams.iter().any(hears_all)
        };
        let team = teams.iter().find(lacks)?;
        let allowed = format!(
            "`default = true` in one team of audience {:?}: every one chooses what it hears, so some alerts would reach nobody",
            audience.name()
        );
        Some(written.place(team)?.at("default").problem("no default team", allowed))
    };
    [Audience::Bureau, Audience::Platform].into_iter().filter_map(of_audience).collect()
}

fn idle_swap(swap: &WrittenSwap, swaps: &[WrittenSwap], alerting: &Alerting) -> Option<Problem> {
    let named = |people: &[String]| people.contains(&swap.out);
    let has_duty = (alerting.shifts.iter().any(|shift| shift.team == swap.team && named(&shift.people)))
        || alerting.teams.iter().any(|team| team.code == swap.team && named(&team.leads))
        || swaps.iter().any(|other| other.team == swap.team && other.stand_in == swap.out);
    let allowed = format!("somebody in a shift of team {:?}: who has no duty cannot be replaced", swap.team);
    (!has_duty).then(|| swap.place.problem(format!("{:?}", swap.out), allowed))
}

/// A time without daylight saving; that of the usual zone, so that entries begin at midnight.
fn clock() -> TimeZone {
    TimeZone::fixed(offset(8))
}

fn rosters(written: &WrittenDuty, alerting: &Alerting) -> Vec<Problem> {
    let mut by_team: BTreeMap<&str, Vec<&Shift>> = BTreeMap::new();
    for shift in &alerting.shifts {
        by_team.entry(&shift.team).or_default().push(shift);
    }
    let mut problems = Vec::new();
    // The lists with the shifts of one team.
    let mut own = Alerting { holidays: alerting.holidays.clone(), ..Alerting::default() };
    for team in &alerting.teams {
        own.shifts = by_team.get(team.code.as_str()).into_iter().flatten().copied().cloned().collect();
        problems.extend(abandoned(written, team, &own.shifts));
        let (mut gaps, mut overlaps) = (BTreeMap::new(), BTreeMap::new());
        for span in spans(team, &own) {
            for gap in own.uncovered(team, span, &clock()) {
                gaps.entry(in_words(gap)).or_insert(gap);
            }
            for together in own.overlaps(team, span, &clock()) {
                let codes: Vec<Version> =
                    together.shifts.iter().map(|shift| (shift.code.clone(), shift.times.from)).collect();
                overlaps.entry((in_words(together.span), codes)).or_insert(together.span);
            }
        }
        problems.extend(
            gaps.iter().take(TOLD).filter_map(|(words, gap)| uncovered(written, &own, (words, *gap))),
        );
        problems.extend(
            overlaps
                .iter()
                .take(TOLD)
                .filter_map(|((words, codes), span)| doubled(written, codes, (words, *span))),
        );
    }
    problems
}

/// What is looked at of a team: from each change of its shifts on some weeks, and the days around each holiday.
fn spans(team: &Team, own: &Alerting) -> Vec<Span> {
    let bounds = own.shifts.iter().flat_map(|shift| [Some(shift.times.from), shift.times.until]).flatten();
    let mut cuts: BTreeSet<Timestamp> = bounds.filter(|cut| team.times.holds(*cut)).collect();
    cuts.insert(team.times.from);
    let after = |at: Timestamp, long: SignedDuration| at.saturating_add(long).unwrap_or(Timestamp::MAX);
    let mut spans: Vec<Span> = cuts.into_iter().map(|cut| (cut, after(cut, WEEKS))).collect();
    let day = SignedDuration::from_hours(24);
    for holiday in &own.holidays {
        let Ok(midnight) = clock().to_timestamp(DateTime::from(holiday.date)) else { continue };
        spans.push((after(midnight, -day), after(midnight, day * 2)));
    }
    let end = team.times.until.unwrap_or(Timestamp::MAX);
    let mut joined: Vec<Span> = Vec::new();
    spans.sort_unstable();
    for (from, until) in spans {
        let (from, until) = (from.max(team.times.from), until.min(end));
        match joined.last_mut() {
            _ if from >= until => {}
            Some((_, last)) if from <= *last => *last = until.max(*last),
            _ => joined.push((from, until)),
        }
    }
    joined
}

/// `Saturday 08:00 to Sunday 08:00`
fn in_words((from, until): Span) -> String {
    let word = |at: Timestamp| at.to_zoned(clock()).strftime("%A %H:%M").to_string();
    format!("{} to {}", word(from), word(until))
}

fn uncovered(written: &WrittenDuty, own: &Alerting, (words, (from, _)): (&str, Span)) -> Option<Problem> {
    let in_force = || own.shifts.iter().filter(|shift| shift.times.holds(from));
    let ends_there = |shift: &&Shift| shift.hours.1 == clock().to_datetime(from).time();
    let shift = in_force().find(ends_there).or_else(|| in_force().next())?;
    let allowed = format!(
        "shifts of team {:?} that cover every hour of workdays, restdays and holidays; add one, or make this one longer",
        shift.team
    );
    Some(
        written.shift(shift)?.problem(format!("nobody on duty on {words}, first on {}", date(from)), allowed),
    )
}

fn doubled(written: &WrittenDuty, codes: &[Version], (words, (from, _)): (&str, Span)) -> Option<Problem> {
    let mut places: Vec<(&str, &Place)> = Vec::new();
    for code in codes {
        places.extend(
            written.shifts.iter().find(|(known, _)| known == code).map(|(_, place)| (&*code.0, place)),
        );
    }
    places.sort_by_key(|(_, place)| (&place.file, place.line));
    let ((_, place), others) = places.split_last()?;
    let others: Vec<String> = others.iter().map(|(code, _)| format!("{code:?}")).collect();
    let found = format!("shift {} as well on {words}, first on {}", others.join(", "), date(from));
    let allowed = "one shift of a team at a time: who is on duty together is in `people` of one shift";
    Some(place.problem(found, allowed))
}

fn date(at: Timestamp) -> String {
    clock().to_datetime(at).date().to_string()
}

/// A team that has nobody for some time.
fn abandoned(written: &WrittenDuty, team: &Team, shifts: &[Shift]) -> Option<Problem> {
    if !team.leads.is_empty() || !team.group.is_empty() {
        return None;
    }
    let ends = shifts.iter().filter_map(|shift| shift.times.until);
    let mut moments: Vec<Timestamp> = ends.filter(|end| team.times.holds(*end)).collect();
    moments.push(team.times.from);
    let has_nobody = |at: &&Timestamp| !shifts.iter().any(|shift| Times::holds(&shift.times, **at));
    let since = moments.iter().filter(has_nobody).min()?;
    let allowed = "leads, a [[team.group]], or shifts for as long as the team is there";
    Some(written.place(team)?.at("code").problem(format!("a team without anybody from {since} on"), allowed))
}

impl WrittenDuty {
    fn place(&self, team: &Team) -> Option<&Places> {
        let found =
            self.teams.iter().find(|((code, from), _)| *code == team.code && *from == team.times.from);
        found.map(|(_, places)| places)
    }

    fn shift(&self, shift: &Shift) -> Option<&Place> {
        let found =
            self.shifts.iter().find(|((code, from), _)| *code == shift.code && *from == shift.times.from);
        found.map(|(_, place)| place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_addresses_and_telephone_numbers() {
        for good in ["duty@example.org", "a.b+c@mail.example.com.cn", "x@1.cn"] {
            assert_eq!(wanted("smtp", good), None, "{good}");
        }
        let long = format!("{}@example.org", "a".repeat(65));
        for bad in [
            "",
            "duty",
            "@example.org",
            "duty@",
            "duty@example",
            "a@b@example.org",
            ".a@example.org",
            "a..b@example.org",
            "a@-example.org",
            "a@example..org",
            "a@example.org.",
            "a b@example.org",
            "值班@example.org",
            &long,
        ] {
            assert!(wanted("smtp", bad).is_some_and(|wanted| wanted.contains("mail address")), "{bad}");
        }
        for good in ["13800000000", "+8613800000000", "120"] {
            assert_eq!(wanted("http", good), None, "{good}");
        }
        for bad in
            ["", "+", "12", "138-0000-0000", "duty@example.org", "1380000000O", "123456789012345678901"]
        {
            assert!(wanted("http", bad).is_some_and(|wanted| wanted.contains("telephone")), "{bad}");
        }
        assert_eq!((wanted("log", ""), wanted("dingtalk", "")), (None, None));
    }
}
