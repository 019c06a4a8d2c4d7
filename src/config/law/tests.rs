//! Each mutation of a clean list is told with its line and key, and nothing besides.

/// Rules of alerting, people and duty.
mod alerting;

use crate::config::catalogue::{Catalogue, parse};
use crate::config::kind::Source;
use crate::config::problem::Problems;
use crate::domain::mark::{Claim, Decision, Stage};
use crate::domain::order::{Demand, Measure};
use crate::domain::quota::{Account, Aim};
use crate::domain::share::Percent;
use crate::domain::source_state::{Side, SourceState};

const LAW: &str = include_str!("tests/law.toml");

fn parsed(law: &str) -> Result<Catalogue, Problems> {
    let source = |file: &str, text: &str| Source { file: file.to_owned(), text: text.to_owned() };
    parse(&[
        source("pollutants", include_str!("../catalogue/tests/pollutants.toml")),
        source("rules", include_str!("../catalogue/tests/rules.toml")),
        source("plant", include_str!("../catalogue/tests/plant.toml")),
        source("law", law),
    ])
}

/// The clean list with the line that is `line` replaced; where it stands more than once, the `nth`.
fn mutated(line: &str, nth: usize, replacement: &str) -> (String, usize) {
    let lines: Vec<&str> = LAW.lines().collect();
    let (index, _) = lines
        .iter()
        .enumerate()
        .filter(|(_, text)| **text == line)
        .nth(nth)
        .unwrap_or_else(|| panic!("{line}"));
    let mut changed = lines;
    changed[index] = replacement;
    (changed.join("\n"), index + 1)
}

type Mutation = (&'static str, usize, &'static str, i32, &'static str);

/// The line, which of those, what stands there instead; then how many lines below it the problem is told, and its key.
const MUTATIONS: [Mutation; 60] = [
    ("outlet = \"kiln\"", 0, "outlet = \"mill\"", 0, "source_rule[0].outlet"),
    ("document = \"Permit, annex 3\"", 0, "", -3, "source_rule[0].document"),
    ("state = \"stopped\"", 0, "state = \"running\"", 0, "source_rule[0].state[0].state"),
    ("channel = \"a19001\"", 0, "channel = \"a34013\"", 0, "source_rule[0].state[0].test[0].channel"),
    ("above = 19.5", 0, "", -2, "source_rule[0].state[0].test[0].above"),
    ("above = 19.5", 0, "above = 19.5\nbelow = 3", 0, "source_rule[0].state[0].test[0].above"),
    ("release = 18.5", 0, "release = 20", 0, "source_rule[0].state[0].test[0].release"),
    ("minutes = 5", 0, "minutes = 0", 0, "source_rule[0].state[0].test[0].minutes"),
    ("after = \"stopped\"", 0, "after = \"banked-fire\"", 0, "source_rule[0].state[1].after"),
    ("after_minutes = 180", 0, "", -3, "source_rule[0].state[1].after_minutes"),
    ("below = 5", 0, "code = 1\nrelease = 2", 1, "source_rule[0].state[1].test[0].release"),
    ("industry = \"C30\"", 0, "industry = \"cement\"", 0, "marking[0].industry"),
    ("deadline_hours = 24", 0, "deadline_hours = -1", 0, "marking[0].deadline_hours"),
    ("effect = \"at-once\"", 0, "effect = \"never\"", 0, "marking[0].effect"),
    ("code = \"m-2\"", 0, "code = \"m-1\"", 0, "mark[1].code"),
    ("outlet = \"kiln\"", 1, "outlet = \"mill\"", 0, "mark[0].outlet"),
    ("claim = \"stopped\"", 0, "claim = \"asleep\"", 0, "mark[0].claim"),
    ("claim = \"stopped\"", 0, "claim = \"stopped\"\nchannel = \"a21026\"", 1, "mark[0].channel"),
    ("until = \"2026-11-21T16:00:00+08:00\"", 0, "", -5, "mark[0].until"),
    ("until = \"2026-11-21T16:00:00+08:00\"", 0, "until = \"2026-11-21T11:00:00+08:00\"", 0, "mark[0].until"),
    ("author = \"Shift leader\"", 0, "author = \"\"", 0, "mark[0].author"),
    ("reason = \"A ring fell\"", 0, "", -7, "mark[0].reason"),
    ("made_at = \"2026-11-21T16:10:00+08:00\"", 0, "made_at = \"yesterday\"", 0, "mark[0].made_at"),
    ("channel = \"a21026\"", 0, "channel = \"a34013\"", 0, "mark[1].channel"),
    ("mark = \"m-1\"", 0, "mark = \"m-9\"", 0, "review[0].mark"),
    ("at = \"2026-11-23T09:00:00+08:00\"", 0, "at = \"2026-11-20T09:00:00+08:00\"", 0, "review[0].at"),
    ("decision = \"corrected\"", 0, "decision = \"perhaps\"", 0, "review[0].decision"),
    ("decision = \"corrected\"", 0, "decision = \"accepted\"", 2, "review[0].claim"),
    ("industry = \"N7820\"", 0, "", -3, "exemption[0].industry"),
    ("pollutants = [\"a21026\"]", 0, "pollutants = []", 0, "exemption[0].pollutants"),
    ("pollutants = [\"a21026\"]", 0, "pollutants = [\"a21002\"]", 0, "exemption[0].pollutants"),
    ("states = [\"start-up\", \"shut-down\"]", 0, "states = [\"running\"]", 0, "exemption[0].states[0]"),
    ("hours_per_year = 60", 0, "hours_per_year = 9000", 0, "exemption[0].hours_per_year"),
    ("analyser = \"gas\"", 0, "analyser = \"dust\"", 0, "check_plan[0].analyser"),
    ("every_hours = 168", 0, "every_hours = 0", 0, "check_plan[0].every_hours"),
    ("kind = \"span-drift\"", 1, "kind = \"Span Drift\"", 0, "check[0].kind"),
    ("result = \"passed\"", 0, "result = \"good\"", 0, "check[0].result"),
    ("not_expected = [\"F\"]", 0, "not_expected = [\"Z\"]", 0, "efficiency[0].not_expected[0]"),
    ("pass_percent = 90", 0, "pass_percent = 90.005", 0, "efficiency[0].pass_percent"),
    ("enterprise = \"91410811DEM000001F\"", 0, "enterprise = \"nobody\"", 0, "line[0].enterprise"),
    ("outlets = [\"kiln\"]", 0, "outlets = [\"kiln\", \"mill\"]", 0, "line[0].outlets[1]"),
    ("line = \"line-2\"", 0, "line = \"line-3\"", 0, "order[0].line"),
    ("line = \"line-2\"", 0, "", -4, "order[0].outlet"),
    ("line = \"line-2\"", 0, "line = \"line-2\"\noutlet = \"kiln\"", 0, "order[0].line"),
    ("demand = \"stop\"", 0, "demand = \"think\"", 0, "order[0].demand"),
    ("measure = \"mass\"", 0, "measure = \"smell\"", 0, "order[0].threshold[0].measure"),
    ("above = 0.5", 0, "above = -1", 0, "order[0].threshold[0].above"),
    ("percent = 30", 0, "percent = 130", 0, "order[1].percent"),
    ("reference = 200000", 0, "", -8, "order[1].reference"),
    ("limit = 20", 0, "limit = 0", 0, "order[2].limit"),
    ("until = \"2026-12-03T00:00:00+08:00\"", 1, "", -10, "order[2].until"),
    ("rule = \"kiln-so2\"", 0, "rule = \"kiln-nox\"", 0, "assessment[0].rule"),
    ("share_percent = 95", 0, "share_percent = \"most\"", 0, "assessment[0].share_percent"),
    ("upper = [\"a19001\"]", 0, "upper = []", 0, "furnace[0].upper"),
    ("middle = [\"a01014\"]", 0, "middle = [\"a01901\"]", 0, "furnace[0].middle[0]"),
    ("tonnes = 62.5", 0, "tonnes = -1", 0, "quota[0].tonnes"),
    ("alert_percent = [80, 90, 100]", 0, "alert_percent = [90, 80]", 0, "quota[0].alert_percent"),
    ("division = \"4108\"", 0, "division = \"Jiaozuo\"", 0, "target[0].division"),
    ("base_year = 2020", 0, "", -8, "target[0].base_year"),
    ("reduce_percent = 2.5", 0, "reduce_percent = 2.5\nreduce_tonnes = 1", 1, "target[0].reduce_tonnes"),
];

#[test]
fn every_mutation_is_told_with_its_line_and_key() {
    parsed(LAW).unwrap_or_else(|problems| panic!("{problems}"));
    let mut missed = Vec::new();
    for (line, nth, replacement, below, key) in MUTATIONS {
        let (text, at) = mutated(line, nth, replacement);
        let Err(problems) = parsed(&text) else { panic!("accepted: {replacement:?} for {line:?}") };
        let told: Vec<String> = problems.0.iter().map(ToString::to_string).collect();
        let expected = usize::try_from(i32::try_from(at).unwrap() + below).unwrap();
        let found = problems.0.iter().any(|p| p.file == "law" && p.line == Some(expected) && p.key == key);
        if !found {
            missed.push(format!("{replacement:?} for {line:?}: expected law:{expected}: {key}; {told:#?}"));
        }
        assert!(problems.0.iter().all(|p| !p.found.is_empty() && !p.allowed.is_empty()), "{told:#?}");
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn entries_of_one_subject_do_not_overlap() {
    let again = |table: &str, changes: &[(&str, &str)]| {
        let start = LAW.find(&format!("[[{table}]]")).unwrap();
        let rest = &LAW[start..];
        let length = rest[2..].find("\n[[").map_or(rest.len(), |end| end + 3);
        let mut block = rest[..length].to_owned();
        for (from, to) in changes {
            assert!(block.contains(from), "{from} in {block}");
            block = block.replace(from, to);
        }
        parsed(&format!("{LAW}{block}")).map(|_| ()).map_err(|problems| problems.to_string())
    };
    let refused = |outcome: Result<(), String>| assert!(outcome.unwrap_err().contains("a time of its own"));
    refused(again("mark", &[("m-1", "m-3"), ("T12:00", "T15:00"), ("T16:00", "T18:00")]));
    refused(again("check_plan", &[("168", "24")]));
    refused(again("check", &[("passed", "failed")]));
    refused(again("marking", &[("cement-marking", "other")]));
    refused(again("quota", &[("permit-so2-2026", "other"), ("2026-01-01", "2026-07-01")]));
    refused(again(
        "order",
        &[("red-stop", "other"), ("2026-11-21", "2026-11-22"), ("2026-11-23", "2026-11-24")],
    ));
    // One after another they stand, and an open one ends where the next begins.
    again("mark", &[("m-1", "m-3"), ("T16:00", "T18:00"), ("T12:00", "T16:00")]).unwrap();
    again("check_plan", &[("168", "24"), ("2020-01-01", "2026-01-01")]).unwrap();
}

#[test]
fn an_open_plan_ends_where_the_next_begins() {
    let next = "[[check_plan]]\noutlet = \"kiln\"\nanalyser = \"gas\"\nkind = \"span-drift\"\nevery_hours = 24\n\
                document = \"d\"\nfrom = \"2026-01-01T00:00:00Z\"\n";
    let law = parsed(&format!("{LAW}{next}")).unwrap().law;
    assert_eq!(law.check_plans[0].times.until, Some(law.check_plans[1].times.from));
    assert_eq!(law.check_plans[1].times.until, None);
}

#[test]
fn lists_of_one_outlet_are_not_for_rules_files() {
    let problems = parsed(&LAW.replace("plant/1", "rules/1")).unwrap_err();
    assert!(problems.0.iter().any(|p| p.key == "mark" && p.found == "an unknown key"), "{problems}");
}

#[test]
fn the_lists_are_what_the_file_says() {
    let catalogue = parsed(LAW).unwrap();
    let law = catalogue.law.clone();
    let rule = &law.source_rules[0];
    assert_eq!(rule.states[0].tests[0].side, Side::Above { line: 19.5, release: 18.5 });
    assert_eq!((rule.states[1].state, rule.states[1].after.unwrap().minutes), (SourceState::StartUp, 180));
    assert!(matches!(
        law.reviews[0].decision,
        Decision::Corrected { claim: Claim::State(SourceState::Stopped), .. }
    ));
    assert!(matches!(&law.orders[0].demand, Demand::Limit { limit_mg_m3, .. } if *limit_mg_m3 == 20.0));
    assert!(
        matches!(&law.orders[2].demand, Demand::Stop { thresholds } if thresholds[0].measure == Measure::Mass("a21026".to_owned()))
    );
    assert_eq!(
        (law.quotas[0].permitted_mg, &law.quotas[0].account),
        (62_500_000_000, &Account::Outlet("kiln".to_owned()))
    );
    assert_eq!(law.targets[0].aim, Aim::ReduceShare { percent: Percent::hundredths(250), base_year: 2020 });
    // And of the outlet: both marks with their stage, the line's order, the enterprise's and its own.
    let plant = catalogue.into_plant().unwrap();
    let of_kiln = law.of(plant.outlet("kiln").unwrap());
    let stages: Vec<Stage> = of_kiln.marks.iter().map(|ruled| ruled.stage).collect();
    assert_eq!(stages, [Stage::Corrected, Stage::InForce]);
    assert_eq!(of_kiln.orders.len(), 3);
    assert!(of_kiln.exemptions.is_empty(), "it is no waste plant");
    assert_eq!(law.by_outlet(&plant)["kiln"], of_kiln);
}

#[test]
fn the_built_in_targets_are_clean() {
    use crate::config::seeds;
    let catalogue = parse(&[
        seeds::pollutants(),
        seeds::rules(),
        seeds::sectors(),
        seeds::targets(),
        seeds::demonstration(),
    ]);
    assert_eq!(catalogue.unwrap().law.targets.len(), 8);
}
