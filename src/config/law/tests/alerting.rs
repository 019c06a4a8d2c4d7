//! Rules of alerting, people and duty: each mutation of a clean list is told with its line and key.

use super::parsed;
use crate::domain::alert::{AlertKind, Severity};
use crate::domain::alerting::{Audience, Scope, Who};

const ALERTING: &str = include_str!("alerting.toml");

/// The clean list with a line replaced; where it stands more than once, the `nth`.
fn mutated(line: &str, nth: usize, replacement: &str) -> (String, usize) {
    let lines: Vec<&str> = ALERTING.lines().collect();
    let found = lines.iter().enumerate().filter(|(_, text)| **text == line).nth(nth);
    let (index, _) = found.unwrap_or_else(|| panic!("{line}"));
    let mut changed = lines;
    changed[index] = replacement;
    (changed.join("\n"), index + 1)
}

/// The line, which of those, what stands there instead; then how many lines below it the problem is told, its key, and words of it.
type Mutation = (&'static str, usize, &'static str, i32, &'static str, &'static str);

const HOURS: &str = "hours = [\"20:00\", \"08:00\"]";
const DAYS: &str = "days = [\"workday\", \"restday\"]";

const MUTATIONS: [Mutation; 62] = [
    ("kind = \"exceedance\"", 0, "kind = \"excess\"", 0, "alert_rule[0].kind", "one of \"exceedance\""),
    ("code = \"exceedance\"", 0, "code = \"mine\"", 0, "alert_rule[0].code", "a new version of the default"),
    ("code = \"exceedance\"", 0, "code = \"quota\"", 0, "alert_rule[0].code", "a new version of the default"),
    ("code = \"kiln-hour\"", 0, "code = \"quota\"", 0, "alert_rule[1].code", "a code of its own"),
    ("levels = [0.5, 2]", 0, "levels = [2, 0.5]", 0, "alert_rule[0].levels", "that rise"),
    ("levels = [0.5, 2]", 0, "levels = [0.5, 0.5]", 0, "alert_rule[0].levels", "that rise"),
    ("levels = [0.5, 2]", 0, "levels = [nan]", 0, "alert_rule[0].levels[0]", "a number from"),
    ("levels = [0.5, 2]", 0, "levels = [1,2,3,4,5,6,7,8,9]", 0, "alert_rule[0].levels", "0 to 8 lines"),
    ("counts = [1, 3, 6]", 0, "counts = [3, 1]", 0, "alert_rule[0].counts", "that rise"),
    ("counts = [1, 3, 6]", 0, "counts = [0]", 0, "alert_rule[0].counts[0]", "a whole number"),
    ("levels = [0.7, 0.85]", 0, "", -4, "alert_rule[1].levels", "share of the limit"),
    (
        "levels = [0.7, 0.85]",
        0,
        "levels = [0.7]\ncounts = [1]",
        1,
        "alert_rule[1].counts",
        "of \"exceedance\" only",
    ),
    ("kind = \"hour-to-date\"", 0, "kind = \"silent-outlet\"", 2, "alert_rule[1].levels", "has no levels"),
    ("levels = [60, 30]", 0, "levels = [30, 60]", 0, "alert_rule[2].levels", "that fall"),
    ("audiences = [\"bureau\"]", 0, "audiences = []", 0, "alert_rule[2].audiences", "who is told"),
    ("audiences = [\"bureau\"]", 0, "", -6, "alert_rule[2].audiences", "who is told"),
    (
        "audiences = [\"bureau\"]",
        0,
        "audiences = [\"bureau\", \"bureau\"]",
        0,
        "alert_rule[2].audiences",
        "twice",
    ),
    ("audiences = [\"bureau\"]", 0, "audiences = [\"press\"]", 0, "alert_rule[2].audiences[0]", "one of"),
    ("outlet = \"kiln\"", 0, "outlet = \"mill\"", 0, "alert_rule[1].outlet", "the code of a outlet"),
    (
        "outlet = \"kiln\"",
        0,
        "enterprise = \"nobody\"",
        0,
        "alert_rule[1].enterprise",
        "the code of a enterprise",
    ),
    (
        "outlet = \"kiln\"",
        0,
        "outlet = \"kiln\"\ndivision = \"41\"",
        0,
        "alert_rule[1].outlet",
        "more than one",
    ),
    ("division = \"4108\"", 0, "division = \"Jiaozuo\"", 0, "alert_rule[2].division", "digits"),
    ("hold_s = 60", 0, "hold_s = -1", 0, "alert_rule[1].hold_s", "a whole number"),
    ("severity = \"warning\"", 0, "severity = \"bad\"", 0, "alert_rule[1].severity", "one of"),
    ("audience = \"bureau\"", 0, "audience = \"press\"", 0, "team[0].audience", "one of"),
    ("default = true", 0, "default = true\nleast = \"serious\"", 1, "team[0].least", "whatever no other"),
    ("default = true", 0, "division = \"4108\"", 8, "team[1].default", "default = true"),
    ("leads = [\"head\"]", 0, "leads = [\"boss\"]", 0, "team[0].leads[0]", "the code of a person"),
    ("leads = [\"head\"]", 0, "leads = [\"head\", \"head\"]", 0, "team[0].leads[1]", "each person once"),
    (
        "channel = \"desk-log\"",
        0,
        "channel = \"pager\"",
        0,
        "team[0].group[0].channel",
        "the code of a notify",
    ),
    (
        "hours = [\"08:00\", \"20:00\"]",
        0,
        "hours = [\"8:00\", \"20:00\"]",
        0,
        "team[0].group[0].hours[0]",
        "a time of day",
    ),
    (
        "hours = [\"08:00\", \"20:00\"]",
        0,
        "hours = [\"08:00\"]",
        0,
        "team[0].group[0].hours",
        "two times of day",
    ),
    ("least = \"serious\"", 0, "least = \"loud\"", 0, "team[0].group[0].least", "one of"),
    ("division = \"4108\"", 1, "division = \"x\"", 0, "team[1].division", "digits"),
    (
        "kinds = [\"exceedance\", \"hour-forecast\"]",
        0,
        "kinds = [\"smell\"]",
        0,
        "team[1].kinds[0]",
        "one of",
    ),
    ("leads = [\"head\"]", 1, "", -6, "team[1].code", "without anybody"),
    ("enterprise = \"91410811DEM000001F\"", 0, "", -4, "team[2].enterprise", "credit code"),
    (
        "enterprise = \"91410811DEM000001F\"",
        0,
        "enterprise = \"x\"",
        0,
        "team[2].enterprise",
        "the code of a enterprise",
    ),
    (
        "channel = \"desk-log\"",
        1,
        "channel = \"pager\"",
        0,
        "person[0].address[0].channel",
        "the code of a notify",
    ),
    ("name = \"Early\"", 0, "", -2, "person[1].name", "a text"),
    ("to = \"13800000001\"", 0, "to = \"138 0000\"", 0, "person[1].address[0].to", "without spaces"),
    ("language = \"en\"", 1, "language = \"fr\"", 0, "person[2].language", "one of"),
    ("team = \"works\"", 0, "team = \"mill\"", 0, "shift[0].team", "the code of a team"),
    ("people = [\"early\"]", 0, "people = [\"gone\"]", 0, "shift[0].people[0]", "the code of a person"),
    ("people = [\"early\"]", 0, "people = []", 0, "shift[0].people", "at least one"),
    (DAYS, 0, "days = []", 0, "shift[0].days", "days on which it begins"),
    (DAYS, 0, "days = [\"weekday\"]", 0, "shift[0].days[0]", "one of"),
    (HOURS, 0, "", -4, "shift[1].hours", "two times of day"),
    // Gaps and overlaps are told where they are to be mended.
    (HOURS, 0, "hours = [\"21:00\", \"08:00\"]", -7, "shift[0].hours", "20:00 to Sunday 21:00"),
    (HOURS, 0, "hours = [\"20:00\", \"07:30\"]", 0, "shift[1].hours", "07:30 to Monday 08:00"),
    (HOURS, 0, "hours = [\"19:00\", \"08:00\"]", 0, "shift[1].hours", "shift \"works-day\" as well on"),
    (DAYS, 0, "days = [\"workday\"]", 8, "shift[1].hours", "Saturday 08:00 to Saturday 20:00"),
    (
        DAYS,
        0,
        "days = [\"monday\", \"tuesday\", \"wednesday\", \"thursday\", \"friday\", \"restday\"]",
        8,
        "shift[1].hours",
        "2026-10-10",
    ),
    ("until = \"2026-11-22T08:00:00+08:00\"", 0, "", -7, "swap[0].until", "has an end"),
    ("out = \"late\"", 0, "out = \"head\"", 1, "swap[0].stand_in", "somebody else"),
    ("stand_in = \"head\"", 0, "stand_in = \"gone\"", 0, "swap[0].stand_in", "the code of a person"),
    ("date = \"2026-10-10\"", 0, "date = \"2026-10-01\"", 0, "holiday[1].date", "the first"),
    ("date = \"2026-10-10\"", 0, "date = \"10 October\"", 0, "holiday[1].date", "a day"),
    (
        "after_minutes = 10",
        0,
        "after_minutes = 0",
        0,
        "ladder[0].step[1].after_minutes",
        "of the step before",
    ),
    ("who = [\"duty\", \"group\"]", 0, "who = []", 0, "ladder[0].step[0].who", "a list of 0"),
    ("who = [\"duty\", \"group\"]", 0, "who = [\"boss\"]", 0, "ladder[0].step[0].who[0]", "person:CODE"),
    (
        "who = [\"duty\", \"group\"]",
        0,
        "who = [\"team:desk\"]",
        0,
        "ladder[0].step[0].who[0]",
        "same audience",
    ),
];

#[test]
fn every_mutation_is_told_with_its_line_and_key() {
    parsed(ALERTING).unwrap_or_else(|problems| panic!("{problems}"));
    let mut missed = Vec::new();
    for (line, nth, replacement, below, key, words) in MUTATIONS {
        let (text, at) = mutated(line, nth, replacement);
        let Err(problems) = parsed(&text) else {
            missed.push(format!("accepted: {replacement:?} for {line:?}"));
            continue;
        };
        let expected = usize::try_from(i32::try_from(at).unwrap() + below).unwrap();
        let found = problems.0.iter().any(|p| {
            (&*p.file, p.line, &*p.key) == ("law", Some(expected), key) && p.to_string().contains(words)
        });
        if !found {
            missed.push(format!(
                "{replacement:?} for {line:?}: expected law:{expected}: {key}: {words}; told:\n{problems}"
            ));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn all_problems_are_told_at_once() {
    let mut text = ALERTING.to_owned();
    for (line, _, replacement, ..) in
        [MUTATIONS[0], MUTATIONS[14], MUTATIONS[27], MUTATIONS[37], MUTATIONS[40], MUTATIONS[58]]
    {
        text = text.replacen(&format!("{line}\n"), &format!("{replacement}\n"), 1);
    }
    text = text.replace(HOURS, "hours = [\"21:00\", \"07:00\"]");
    let problems = parsed(&text).unwrap_err();
    let keys: Vec<&str> = problems.0.iter().map(|problem| problem.key.as_str()).collect();
    for key in [
        "alert_rule[0].kind",
        "alert_rule[2].audiences",
        "team[0].leads[0]",
        "team[2].enterprise",
        "person[1].address[0].to",
        "shift[0].hours",
        "shift[1].hours",
        "ladder[0].step[1].after_minutes",
    ] {
        assert!(keys.contains(&key), "{key}: {problems}");
    }
}

fn more(text: &str) -> Result<(), String> {
    parsed(&format!("{ALERTING}{text}")).map(|_| ()).map_err(|problems| problems.to_string())
}

#[test]
fn versions_follow_one_another_and_leave_nothing_uncovered() {
    let shift = |team: &str, hours: &str, from: &str, until: &str| {
        format!(
            "[[shift]]\ncode = \"{team}\"\nteam = \"works\"\ndays = [\"workday\", \"restday\"]\nhours = [{hours}]\n\
             people = [\"early\"]\nfrom = \"{from}T00:00:00+08:00\"\n{until}"
        )
    };
    // Other hours from a day on, in both.
    let day = shift("works-day", "\"07:00\", \"19:00\"", "2026-06-01", "");
    let night = shift("works-night", "\"19:00\", \"07:00\"", "2026-06-01", "");
    more(&format!("{day}{night}")).unwrap();
    // In one alone: night and day run together in the morning, and nobody comes in the evening.
    let told = more(&day).unwrap_err();
    assert!(told.contains("07:00 to Monday 08:00") && told.contains("19:00 to Monday 20:00"), "{told}");
    assert!(told.contains("first on 2026-06-01"), "{told}");
    // Two shifts of one code do not hold at once.
    let again =
        shift("works-day", "\"08:00\", \"20:00\"", "2026-06-01", "until = \"2026-07-01T00:00:00+08:00\"\n");
    let twice = format!("{again}{}", again.replace("2026-06-01", "2026-06-15"));
    assert!(more(&twice).unwrap_err().contains("another entry for shift works-day"));
    // A team whose shifts all end has its leads; without leads nobody.
    let ended = ALERTING
        .replace(
            "\"20:00\"]\npeople = [\"early\"]\n",
            "\"20:00\"]\npeople = [\"early\"]\nuntil = \"2026-12-01T00:00:00+08:00\"\n",
        )
        .replace("people = [\"late\"]\n", "people = [\"late\"]\nuntil = \"2026-12-01T00:00:00+08:00\"\n");
    let told = parsed(&ended).unwrap_err().to_string();
    assert!(told.contains("a team without anybody from 2026-11-30T16:00:00Z on"), "{told}");
    let led = ended.replace(
        "enterprise = \"91410811DEM000001F\"\n",
        "enterprise = \"91410811DEM000001F\"\nleads = [\"head\"]\n",
    );
    parsed(&led).unwrap_or_else(|problems| panic!("{problems}"));
}

#[test]
fn of_one_kind_and_place_one_rule_holds_at_a_time() {
    let rule = |code: &str, place: &str| {
        format!(
            "[[alert_rule]]\ncode = \"{code}\"\nkind = \"hour-to-date\"\n{place}\nlevels = [0.9]\naudiences = [\"bureau\"]\n\
             from = \"2026-03-01T00:00:00+08:00\"\n"
        )
    };
    // It ends the open one of the same place, as any next version does; two that begin together cannot both hold.
    let both = format!("{}{}", rule("one", "outlet = \"kiln\""), rule("two", "outlet = \"kiln\""));
    assert!(more(&both).unwrap_err().contains("another entry for hour-to-date in kiln"));
    more(&rule("one", "division = \"410811\"")).unwrap();
    more(&rule("hour-to-date", "enabled = false")).unwrap();
}

#[test]
fn a_swap_of_somebody_without_duty_is_a_mistake() {
    let text = ALERTING.replace("out = \"late\"\nstand_in = \"head\"", "out = \"head\"\nstand_in = \"late\"");
    let problems = parsed(&text).unwrap_err();
    assert_eq!(problems.0.len(), 1, "{problems}");
    assert!(
        problems.to_string().contains("swap[0].out: found \"head\"; somebody in a shift of team \"works\""),
        "{problems}"
    );
}

#[test]
fn the_lists_are_what_the_file_says() {
    let alerting = parsed(ALERTING).unwrap().law.alerting;
    let codes = |of: &[String]| of.join(" ");
    let rules: Vec<String> = alerting.rules.iter().map(|rule| rule.code.clone()).collect();
    assert_eq!(codes(&rules), "county-certificates exceedance kiln-hour");
    let hour = &alerting.rules[2];
    assert_eq!(
        (hour.kind, &hour.levels[..], hour.hold_s, hour.clear_s),
        (AlertKind::HourToDate, &[0.7, 0.85][..], 60, 120)
    );
    assert_eq!(hour.scope, Scope { outlet: Some("kiln".to_owned()), ..Scope::default() });
    assert_eq!((hour.severity, hour.others_after_s), (Some(Severity::Warning), 300));
    let teams: Vec<(&str, Audience, bool)> =
        alerting.teams.iter().map(|team| (&*team.code, team.audience, team.is_default)).collect();
    assert_eq!(
        teams,
        [
            ("cement", Audience::Bureau, false),
            ("desk", Audience::Bureau, true),
            ("works", Audience::Enterprise, false)
        ]
    );
    assert_eq!(alerting.teams[1].group[0].least, Some(Severity::Serious));
    assert_eq!(alerting.people[0].addresses.len(), 2);
    assert_eq!(
        alerting.ladders[0].steps[1].who[2..],
        [Who::Person("head".to_owned()), Who::Team("works".to_owned())]
    );
    assert_eq!((alerting.holidays.len(), alerting.swaps.len(), alerting.shifts.len()), (2, 1, 2));
    assert!(alerting.holidays[1].worked);
}

#[test]
fn a_jurisdiction_may_give_rules_and_holidays_but_no_people() {
    let problems = parsed(&ALERTING.replace("plant/1", "rules/1")).unwrap_err();
    for key in ["team", "person", "shift", "swap", "ladder", "notify"] {
        assert!(problems.0.iter().any(|p| p.key == key && p.found == "an unknown key"), "{key}: {problems}");
    }
    for key in ["alert_rule", "holiday"] {
        assert!(problems.0.iter().all(|p| p.key != key), "{key}: {problems}");
    }
}
