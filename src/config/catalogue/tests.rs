//! Each mutation of a clean set of files is told with its line and key, and nothing besides.

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::domain::limit::Reference;
use crate::domain::plant::{MoistureBasis, StateBasis};

const POLLUTANTS: &str = include_str!("tests/pollutants.toml");
const RULES: &str = include_str!("tests/rules.toml");
const PLANT: &str = include_str!("tests/plant.toml");

fn source(file: &str, text: &str) -> Source {
    Source { file: file.to_owned(), text: text.to_owned() }
}

fn clean() -> Vec<Source> {
    vec![source("pollutants", POLLUTANTS), source("rules", RULES), source("plant", PLANT)]
}

/// The clean files, with one line of one of them replaced.
fn mutated(file: &str, line: usize, replacement: &str) -> Vec<Source> {
    let mut sources = clean();
    let source = sources.iter_mut().find(|source| source.file == file).unwrap();
    let mut lines: Vec<&str> = source.text.lines().collect();
    lines[line - 1] = replacement;
    source.text = lines.join("\n");
    sources
}

type Mutation = (&'static str, usize, &'static str, usize, &'static str);

/// File, line, what stands there instead; then the line and key that must be told.
const MUTATIONS: [Mutation; 62] = [
    ("pollutants", 1, "schema = \"pollutants/9\"", 1, "schema"),
    ("pollutants", 3, "code = \"A21026\"", 3, "pollutant[0].code"),
    ("pollutants", 11, "code = \"a21026\"", 11, "pollutant[1].code"),
    ("pollutants", 4, "", 2, "pollutant[0].symbol"),
    ("pollutants", 6, "name_zh = \"\"", 6, "pollutant[0].name_zh"),
    ("pollutants", 7, "role = \"gas\"", 7, "pollutant[0].role"),
    ("pollutants", 8, "unit = \"C\"", 8, "pollutant[0].unit"),
    ("pollutants", 8, "unit = \"mg/Nm3\"", 8, "pollutant[0].unit"),
    ("pollutants", 9, "molar_mass = -1", 9, "pollutant[0].molar_mass"),
    ("pollutants", 9, "molar_mass = nan", 9, "pollutant[0].molar_mass"),
    ("pollutants", 9, "mass = 64", 9, "pollutant[0].mass"),
    ("rules", 3, "code = \"Kiln SO2\"", 3, "rule[0].code"),
    ("rules", 6, "", 2, "rule[0].clause"),
    ("rules", 7, "mark = \"sure\"", 7, "rule[0].mark"),
    ("rules", 8, "kind = \"wish\"", 8, "rule[0].kind"),
    ("rules", 9, "division = \"Jiaozuo\"", 9, "rule[0].division"),
    ("rules", 10, "process = \"\"", 10, "rule[0].process"),
    ("rules", 11, "pollutant = \"a21002\"", 11, "rule[0].pollutant"),
    ("rules", 11, "pollutant = \"a21026-2\"", 11, "rule[0].pollutant"),
    ("rules", 12, "limit = 0", 12, "rule[0].limit"),
    ("rules", 12, "limit = inf", 12, "rule[0].limit"),
    ("rules", 12, "limit = \"fifty\"", 12, "rule[0].limit"),
    ("rules", 13, "period = \"fortnight\"", 13, "rule[0].period"),
    ("rules", 14, "reference_oxygen_percent = 21", 14, "rule[0].reference_oxygen_percent"),
    ("rules", 14, "reference_oxygen_percent = 10\nexcess_air = 1.7", 15, "rule[0].excess_air"),
    ("rules", 15, "comparison = \"about\"", 15, "rule[0].comparison"),
    ("rules", 16, "from = \"2015-01-01\"", 16, "rule[0].from"),
    ("rules", 16, "from = \"2015-01-01T00:00:00.5+08:00\"", 16, "rule[0].from"),
    ("rules", 16, "from = \"2020-01-01T00:00:00+08:00\"", 31, "rule[1].from"),
    ("rules", 16, "from = \"2015-01-01T00:00:00Z\"\nuntil = \"2021-01-01T00:00:00Z\"", 32, "rule[1].from"),
    ("rules", 16, "from = \"2015-01-01T00:00:00Z\"\nuntil = \"2015-01-01T00:00:00Z\"", 17, "rule[0].until"),
    (
        "rules",
        16,
        "from = \"2015-01-01T00:00:00Z\"\nearly_warning_ratio = 0",
        17,
        "rule[0].early_warning_ratio",
    ),
    ("rules", 25, "process = \"lime-kiln\"", 18, "rule[1].code"),
    ("plant", 3, "code = \"91410811DEM00000\"", 3, "enterprise[0].code"),
    ("plant", 3, "code = \"91410811DEM000001A\"", 3, "enterprise[0].code"),
    ("plant", 5, "industry = \"cement\"", 5, "enterprise[0].industry"),
    ("plant", 6, "division = \"41081\"", 6, "enterprise[0].division"),
    ("plant", 9, "code = \"the kiln\"", 9, "outlet[0].code"),
    ("plant", 11, "enterprise = \"91410882DEM000002D\"", 11, "outlet[0].enterprise"),
    ("plant", 12, "longitude = 213.2", 12, "outlet[0].longitude"),
    ("plant", 14, "", 8, "outlet[0].stack_height_m"),
    ("plant", 17, "until = \"2022-06-01T00:00:00+08:00\"", 20, "outlet[0].setting[1].from"),
    ("plant", 22, "reference_oxygen_percent = 19.5", 22, "outlet[0].setting[1].reference_oxygen_percent"),
    (
        "plant",
        23,
        "oxygen_of_air_percent = 20.5\noxygen_cutoff_percent = 20.5",
        24,
        "outlet[0].setting[1].oxygen_cutoff_percent",
    ),
    ("plant", 23, "cutoff_policy = \"ignore\"", 23, "outlet[0].setting[1].cutoff_policy"),
    ("plant", 23, "ambient_pressure_pa = 101.3", 23, "outlet[0].setting[1].ambient_pressure_pa"),
    ("plant", 23, "moisture_fraction = 12", 23, "outlet[0].setting[1].moisture_fraction"),
    ("plant", 26, "from = \"2021-01-01T00:00:00+08:00\"", 34, "outlet[0].channel[0].analyser"),
    ("plant", 32, "code = \"a21002\"", 32, "outlet[0].channel[0].code"),
    ("plant", 34, "analyser = \"dust\"", 34, "outlet[0].channel[0].analyser"),
    ("plant", 35, "unit = \"%\"", 35, "outlet[0].channel[0].unit"),
    ("plant", 36, "", 31, "outlet[0].channel[0].moisture_basis"),
    ("plant", 37, "", 31, "outlet[0].channel[0].state_basis"),
    ("plant", 37, "state_basis = \"actual\"", 37, "outlet[0].channel[0].state_basis"),
    ("plant", 38, "range = [300, 0]", 38, "outlet[0].channel[0].range"),
    ("plant", 38, "range = [300]", 38, "outlet[0].channel[0].range"),
    ("plant", 41, "from = \"2020-01-01T00:00:00+08:00\"", 41, "outlet[0].channel[1].from"),
    ("plant", 38, "range = [0, 300]\nperiod_ms = 0", 39, "outlet[0].channel[0].period_ms"),
    ("plant", 61, "name = \"central\"", 61, "gateway[0].name"),
    ("plant", 66, "name = \"gw-1\"", 66, "gateway[1].name"),
    ("plant", 68, "outlet = \"mill\"", 68, "gateway[1].serves[0].outlet"),
    ("plant", 72, "kind = \"log\"", 73, "notify[0].url"),
];

#[test]
fn every_mutation_is_told_with_its_line_and_key() {
    assert!(parse(&clean()).is_ok());
    for (file, line, replacement, expected_line, expected_key) in MUTATIONS {
        let Err(problems) = parse(&mutated(file, line, replacement)) else {
            panic!("accepted: {file}:{line}: {replacement}");
        };
        let told: Vec<String> = problems.0.iter().map(ToString::to_string).collect();
        let places: Vec<(&str, Option<usize>, &str)> =
            problems.0.iter().map(|p| (p.file.as_str(), p.line, p.key.as_str())).collect();
        let expected = (file, Some(expected_line), expected_key);
        assert!(places.contains(&expected), "{file}:{line}: {replacement}: {told:#?}");
        assert!(problems.0.iter().all(|p| !p.found.is_empty() && !p.allowed.is_empty()), "{told:#?}");
    }
}

#[test]
fn a_mistake_does_not_drag_others_along() {
    let mut more: Vec<(&str, usize)> = Vec::new();
    for (file, line, replacement, _, key) in MUTATIONS {
        let count = parse(&mutated(file, line, replacement)).unwrap_err().0.len();
        if count > 1 {
            more.push((key, count));
        }
    }
    // Codes that others refer to, two versions of one rule about different things, an analyser of three channels.
    let expected = [
        ("pollutant[0].code", 5),
        ("pollutant[1].code", 6),
        ("rule[0].pollutant", 2),
        ("enterprise[0].code", 2),
        ("enterprise[0].code", 2),
        ("outlet[0].code", 3),
        ("outlet[0].channel[0].analyser", 3),
    ];
    assert_eq!(more, expected);
}

#[test]
fn all_problems_of_all_files_are_told_at_once() {
    let mut sources = clean();
    for source in &mut sources {
        source.text = source.text.replace("limit = 35", "limit = -1").replace("[0, 25]", "[25, 0]");
        source.text = source.text.replace("molar_mass = 64.06", "molar_mass = 0");
    }
    sources.push(source("broken", "schema = = 1\n"));
    let problems = parse(&sources).unwrap_err();
    let files: Vec<&str> = problems.0.iter().map(|problem| problem.file.as_str()).collect();
    assert_eq!(files, ["broken", "plant", "pollutants", "rules"]);
    assert!(problems.to_string().ends_with("4 problems found; nothing was started or changed"));
}

#[test]
fn a_missing_or_unknown_schema_is_told_on_its_line() {
    for (text, line) in
        [("", 1), ("code = 1\n", 1), ("# x\n\nschema = \"plants/1\"\n", 3), ("\nschema = 1\n", 2)]
    {
        let problems = crate::config::check_file("f", text).unwrap_err();
        let places: Vec<(Option<usize>, &str)> =
            problems.0.iter().map(|p| (p.line, p.key.as_str())).collect();
        assert_eq!(places, [(Some(line), "schema")], "{text}");
    }
}

#[test]
fn an_outlet_needs_settings_and_channels() {
    let bare: Vec<&str> = PLANT.lines().take(14).collect();
    let problems = parse(&[source("plant", &bare.join("\n"))]).unwrap_err();
    let places: Vec<(Option<usize>, &str)> = problems.0.iter().map(|p| (p.line, p.key.as_str())).collect();
    assert_eq!(places, [(Some(8), "outlet[0].channel"), (Some(8), "outlet[0].setting")]);
}

#[test]
fn the_plant_has_what_the_files_say() {
    let plant = parse(&clean()).unwrap().into_plant().unwrap();
    let outlet = plant.outlet("kiln").unwrap();
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let codes: Vec<&str> = outlet.channels.iter().map(|channel| channel.code.as_str()).collect();
    assert_eq!(codes, ["a21026", "a19001", "a01014"]);
    let so2 = &outlet.channels[0];
    assert_eq!(so2.factor.molar_mass, Some(64.06));
    let (before, after) = (at("2022-12-31T15:59:59Z"), at("2022-12-31T16:00:00Z"));
    assert_eq!(so2.settings.at(before).unwrap().range, (0.0, 300.0));
    assert_eq!(so2.settings.at(after).unwrap().range, (0.0, 100.0));
    assert_eq!(so2.settings.at(before).unwrap().moisture_basis, MoistureBasis::Wet);
    assert_eq!(so2.settings.at(before).unwrap().state_basis, StateBasis::Standard);
    assert_eq!(outlet.settings.at(before).unwrap().oxygen_of_air_percent, 21.0);
    let rules: Vec<(f64, bool)> = outlet
        .rules
        .iter()
        .map(|rule| (rule.limit.value, rule.limit.holds(at("2019-06-01T00:00:00Z"))))
        .collect();
    assert_eq!(rules, [(50.0, true), (35.0, false)]);
    assert_eq!(outlet.rules[0].reference, Reference::OxygenPercent(10.0));
    assert_eq!(outlet.rules[0].document, "A standard, table 1");
}

#[test]
fn an_outlet_moves_between_gateways() {
    let plant = parse(&clean()).unwrap().into_plant().unwrap();
    let outlet = plant.outlet("kiln").unwrap();
    for (time, gateway) in
        [("2019-12-31T15:59:59Z", ""), ("2023-12-31T15:59:59Z", "gw-1"), ("2023-12-31T16:00:00Z", "gw-2")]
    {
        let at: Timestamp = time.parse().unwrap();
        let speaking: Vec<&str> =
            ["gw-1", "gw-2"].into_iter().filter(|name| outlet.served_by(name, at)).collect();
        assert_eq!(speaking.join(""), gateway, "{time}");
    }
}

#[test]
fn rules_are_gathered_by_division_industry_process_and_channel() {
    let rules_with = |line: &str, replacement: &str| {
        let mut sources = clean();
        sources[1].text = sources[1].text.replace(line, replacement);
        parse(&sources).unwrap().into_plant().unwrap().outlet("kiln").unwrap().rules.len()
    };
    assert_eq!(rules_with("division = \"4108\"", "division = \"\""), 2);
    assert_eq!(rules_with("division = \"4108\"", "division = \"4107\""), 0);
    assert_eq!(rules_with("division = \"4108\"", "division = \"4108\"\nindustry = \"C30\""), 2);
    assert_eq!(rules_with("division = \"4108\"", "division = \"4108\"\nindustry = \"C31\""), 0);
    assert_eq!(rules_with("process = \"cement-kiln\"", "process = \"glass-furnace\""), 0);
    assert_eq!(rules_with("pollutant = \"a21026\"", "pollutant = \"a34013\""), 0);
}

#[test]
fn the_built_in_files_are_clean_and_judge_every_demonstration_outlet() {
    let catalogue = parse(&[seeds::pollutants(), seeds::rules(), seeds::demonstration()]).unwrap();
    let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    assert!(catalogue.outlets_without_rules(now).is_empty());
    let plant = catalogue.into_plant().unwrap();
    let assessed = |outlet: &str, factor: &str| -> Vec<(f64, Reference)> {
        let outlet = plant.outlet(outlet).unwrap();
        let rules =
            outlet.rules.iter().filter(|rule| rule.factor == factor && rule.code.starts_with("jiaozuo"));
        rules.map(|rule| (rule.limit.value, rule.reference)).collect()
    };
    let ten = Reference::OxygenPercent(10.0);
    let eight = Reference::OxygenPercent(8.0);
    for (outlet, reference, limits) in [
        ("demo-cement-kiln", ten, [10.0, 35.0, 100.0]),
        ("demo-glass-furnace", eight, [10.0, 50.0, 200.0]),
        ("demo-carbon-roasting", Reference::None, [10.0, 35.0, 50.0]),
    ] {
        for (factor, limit) in ["a34013", "a21026", "a21002"].into_iter().zip(limits) {
            assert_eq!(assessed(outlet, factor), [(limit, reference)], "{outlet} {factor}");
        }
    }
}

proptest! {
    #[test]
    fn no_damaged_text_panics(line in 0_usize..75, replacement in ".{0,30}", file in 0_usize..3) {
        let mut sources = clean();
        let mut lines: Vec<&str> = sources[file].text.lines().collect();
        let line = line % lines.len();
        lines[line] = &replacement;
        sources[file].text = lines.join("\n");
        let _whatever = parse(&sources);
    }
}
