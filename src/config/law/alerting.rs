//! Rules of alerting and ladders of escalation, as documents have them.

use super::duty::WrittenWho;
use super::people::version_code;
use super::times;
use crate::config::catalogue::written::Written;
use crate::config::check;
use crate::config::document::Section;
use crate::config::plant::outlet_code;
use crate::config::plant::period::code;
use crate::config::rules::division_prefix;
use crate::domain::alert::{AlertKind, Severity};
use crate::domain::alerting::{AlertRule, Audience, Ladder, Lines, Scope, Step, Who};

/// Most levels of a rule, steps of a ladder, and whom a step tells.
const MOST_LEVELS: usize = 8;
const MOST_STEPS: usize = 16;
/// A step comes a week after the alert at the latest.
const LONGEST_MINUTES: i64 = 7 * 1440;

pub(super) fn read_shared(root: &mut Section<'_>, written: &mut Written) {
    for mut section in root.tables("alert_rule") {
        let rule = alert_rule(&mut section, written);
        written.law.law.alerting.rules.extend(rule);
    }
}

pub(super) fn read_of_plant(root: &mut Section<'_>, written: &mut Written) {
    for mut section in root.tables("ladder") {
        let ladder = ladder(&mut section, written);
        written.law.law.alerting.ladders.extend(ladder);
    }
}

fn alert_rule(section: &mut Section<'_>, written: &mut Written) -> Option<AlertRule> {
    let kinds = AlertKind::ALL.map(|kind| (kind.name(), kind));
    let severities = Severity::ALL.map(|severity| (severity.name(), severity));
    let seconds = || check::small(0..=86_400);
    let code = version_code(section, "alert_rule", written);
    let kind = section.required("kind", check::one_of(&kinds));
    let scope = scope(section, written);
    let enabled = section.with_default("enabled", check::boolean(), true);
    let levels = levels(section, kind);
    let counts = counts(section, kind);
    let hold_s = section.with_default("hold_s", seconds(), 0);
    let clear_s = section.with_default("clear_s", seconds(), 0);
    let audiences = audiences(section);
    let others_after_s = section.with_default("others_after_s", seconds(), 0);
    let severity = section.optional("severity", check::one_of(&severities));
    let times = times(section);
    let (code, kind, scope, times) = (code?, kind?, scope?, times?);
    claims(section, written, (&code, kind, &scope), times)?;
    if kind == AlertKind::Exceedance && levels.as_ref()?.is_empty() && counts.as_ref()?.is_empty() {
        section.problem(
            "counts",
            "nothing",
            "levels or counts, as counts = [1, 3, 6]: else nothing is ever told",
        );
        return None;
    }
    Some(AlertRule {
        code,
        kind,
        scope,
        times,
        enabled: enabled?,
        levels: levels?,
        hold_s: hold_s?,
        clear_s: clear_s?,
        counts: counts?,
        audiences: audiences?,
        others_after_s: others_after_s?,
        severity: severity?,
    })
}

/// One rule a kind and place at a time. The rule of a kind that holds everywhere is the default, a version of which it must be.
fn claims(
    section: &Section<'_>,
    written: &mut Written,
    (code, kind, scope): (&str, AlertKind, &Scope),
    times: crate::domain::times::Times,
) -> Option<()> {
    let is_everywhere = *scope == Scope::default();
    let named = AlertKind::from_name(code);
    if is_everywhere && named != Some(kind) {
        let allowed = format!(
            "{:?}: without outlet, enterprise or division it is a new version of the default rule of its kind",
            kind.name()
        );
        section.problem("code", &format!("{code:?}"), &allowed);
        return None;
    }
    if !is_everywhere && named.is_some() {
        let allowed =
            "a code of its own: the names of kinds are the codes of the default rules, which hold everywhere";
        section.problem("code", &format!("{code:?}"), allowed);
        return None;
    }
    written.law.claim(format!("alert_rule {code}"), times, section.place("from"));
    if !is_everywhere {
        let place = [scope.outlet.as_deref(), scope.enterprise.as_deref(), Some(scope.division.as_str())];
        let place = place.into_iter().flatten().find(|place| !place.is_empty()).unwrap_or_default();
        written.law.claim(format!("{} in {place}", kind.name()), times, section.place("from"));
    }
    Some(())
}

fn scope(section: &mut Section<'_>, written: &mut Written) -> Option<Scope> {
    let outlet = section.optional("outlet", outlet_code());
    let enterprise = section.optional("enterprise", check::any_text());
    let division = section.with_default("division", division_prefix(), String::new());
    let (outlet, enterprise, division) = (outlet?, enterprise?, division?);
    let named = [
        ("outlet", outlet.is_some()),
        ("enterprise", enterprise.is_some()),
        ("division", !division.is_empty()),
    ];
    if named.iter().filter(|(_, is_named)| *is_named).count() > 1 {
        let key = named.iter().find(|(_, is_named)| *is_named).map_or("outlet", |(key, _)| key);
        section.problem(key, "more than one", "one of outlet, enterprise or division, or none: everywhere");
        return None;
    }
    for (noun, found) in [("outlet", &outlet), ("enterprise", &enterprise)] {
        if let Some(found) = found {
            written.law.need(noun, found, section.place(noun));
        }
    }
    Some(Scope { outlet, enterprise, division })
}

fn levels(section: &mut Section<'_>, kind: Option<AlertKind>) -> Option<Vec<f64>> {
    let levels = section.list("levels", check::number(0.0..=1e9))?;
    let kind = kind?;
    let (fits, allowed) = match Lines::of(kind) {
        None => (levels.is_empty(), format!("nothing: {:?} has no levels", kind.name())),
        Some(lines) => {
            let (way, example) = match lines {
                Lines::Rising(_) => ("rise", "[1, 2]"),
                Lines::Falling(_) => ("fall", "[90, 75]"),
            };
            // Of these the rule's own line, or its count, is the first level.
            let least = usize::from(!matches!(kind, AlertKind::Exceedance | AlertKind::EarlyWarning));
            let fits = (least..=MOST_LEVELS).contains(&levels.len()) && lines.in_order(&levels);
            let unit = lines.unit();
            (
                fits,
                format!("{least} to {MOST_LEVELS} lines that {way}, as {example}; their unit here: {unit}"),
            )
        }
    };
    if !fits {
        let found = if levels.is_empty() { "nothing".to_owned() } else { format!("{levels:?}") };
        section.problem("levels", &found, &allowed);
        return None;
    }
    Some(levels)
}

fn counts(section: &mut Section<'_>, kind: Option<AlertKind>) -> Option<Vec<u32>> {
    let counts = section.list("counts", check::small::<u32>(1..=8784))?;
    if kind? != AlertKind::Exceedance && !counts.is_empty() {
        section.problem(
            "counts",
            &format!("{counts:?}"),
            "nothing: windows are counted of \"exceedance\" only",
        );
        return None;
    }
    if counts.len() > MOST_LEVELS || !counts.is_sorted_by(|a, b| a < b) {
        let allowed = format!("at most {MOST_LEVELS} numbers of windows that rise, as [1, 3, 6]");
        section.problem("counts", &format!("{counts:?}"), &allowed);
        return None;
    }
    Some(counts)
}

fn audiences(section: &mut Section<'_>) -> Option<Vec<Audience>> {
    let names = Audience::ALL.map(|audience| (audience.name(), audience));
    let audiences = section.list("audiences", check::one_of(&names))?;
    let mut once = audiences.clone();
    once.sort_unstable();
    once.dedup();
    if audiences.is_empty() || once.len() < audiences.len() {
        let found = if audiences.is_empty() { "nothing" } else { "one of them twice" };
        section.problem(
            "audiences",
            found,
            "who is told, the first of them first, as [\"enterprise\", \"bureau\"]",
        );
        return None;
    }
    Some(audiences)
}

fn ladder(section: &mut Section<'_>, written: &mut Written) -> Option<Ladder> {
    let team = section.required("team", code());
    let times = times(section);
    let sections = section.tables("step");
    let expected = sections.len();
    if !(1..=MOST_STEPS).contains(&expected) {
        let allowed = format!("1 to {MOST_STEPS} [[ladder.step]]");
        section.problem("step", &format!("{expected} of them"), &allowed);
    }
    if let Some(team) = &team {
        written.law.need("team", team, section.place("team"));
        if let Some(times) = times {
            written.law.claim(format!("ladder of team {team}"), times, section.place("from"));
        }
    }
    let mut steps: Vec<Step> = Vec::new();
    for mut section in sections {
        let after = section.required("after_minutes", check::small::<u32>(0..=LONGEST_MINUTES));
        let who = whom(&mut section, team.as_deref(), written);
        let last = steps.last().map(|step| step.after_minutes);
        if let Some((after, last)) = after.zip(last).filter(|(after, last)| after <= last) {
            let allowed = format!("more than the {last} minutes of the step before");
            section.problem("after_minutes", &after.to_string(), &allowed);
        }
        steps.extend(after.zip(who).map(|(after_minutes, who)| Step { after_minutes, who }));
    }
    ((1..=MOST_STEPS).contains(&expected) && steps.len() == expected).then_some(())?;
    Some(Ladder { team: team?, times: times?, steps })
}

fn whom(section: &mut Section<'_>, team: Option<&str>, written: &mut Written) -> Option<Vec<Who>> {
    let allowed = "\"duty\", \"duty-everywhere\", \"leads\", \"group\", \"team:CODE\" or \"person:CODE\"";
    let who = section.list("who", check::text(allowed, who))?;
    if who.is_empty() || who.len() > MOST_STEPS {
        section.problem(
            "who",
            &format!("a list of {}", who.len()),
            &format!("1 to {MOST_STEPS} of {allowed}"),
        );
        return None;
    }
    for (index, who) in who.iter().enumerate() {
        let place = section.place(&format!("who[{index}]"));
        match who {
            Who::Team(other) => {
                written.law.need("team", other, place.clone());
                if let Some(team) = team {
                    let (team, other) = (team.to_owned(), other.clone());
                    written.law.duty.across.push(WrittenWho { team, other, place });
                }
            }
            Who::Person(person) => written.law.need("person", person, place),
            Who::Duty | Who::DutyEverywhere | Who::Leads | Who::Group => {}
        }
    }
    Some(who)
}

fn who(text: &str) -> Option<Who> {
    match text {
        "duty" => Some(Who::Duty),
        "duty-everywhere" => Some(Who::DutyEverywhere),
        "leads" => Some(Who::Leads),
        "group" => Some(Who::Group),
        other => match other.split_once(':')? {
            ("team", code) => Some(Who::Team(code.to_owned())),
            ("person", code) => Some(Who::Person(code.to_owned())),
            _ => None,
        },
    }
}
