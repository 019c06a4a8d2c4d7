//! The demo's scenario is clean; every slip in it is found with its line and key.
use super::*;

const DEMO: &str = include_str!("../../../config/scenario-demo.toml");

const SMALL: &str = r#"schema = "scenario/1"
seed = 7
[[outlet]]
code = "kiln"
process = "cement-kiln"
[[outlet.analyser]]
name = "gas"
listen = "127.0.0.1:5020"
unit = 1
status = { register = 6, table = "input" }
channel = [
  { code = "a21026", register = 0, table = "input", type = "f32", order = "CDAB", noise = 0.3, range_max = 300 },
  { code = "a19001", register = 2, table = "input", type = "u16", scale = 0.01 },
]
[[outlet.analyser]]
name = "dust"
listen = "127.0.0.1:5021"
unit = 2
channel = [{ code = "a34013", register = 0, type = "i16" }]
[[event]]
after_s = 20
for_s = 60.5
outlet = "kiln"
kind = "rise"
channel = "a21026"
to = 60
[[event]]
after_s = 30
outlet = "kiln"
kind = "calibration"
analyser = "dust"
"#;

fn problems(text: &str) -> Vec<(usize, String)> {
    let problems = parse("s.toml", text).expect_err("the scenario is to be refused");
    problems.0.into_iter().map(|problem| (problem.line.unwrap_or(0), problem.key)).collect()
}

#[test]
fn the_demo_is_clean_and_complete() {
    let scenario = parse("scenario-demo.toml", DEMO).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(scenario.outlets.len(), 3);
    for outlet in &scenario.outlets {
        let mut codes: Vec<&str> = outlet
            .analysers
            .iter()
            .flat_map(|analyser| &analyser.channels)
            .map(|c| c.code.as_str())
            .collect();
        codes.sort_unstable();
        let all = ["a01011", "a01012", "a01013", "a01014", "a19001", "a21002", "a21026", "a34013"];
        assert_eq!(codes, all, "{}", outlet.code);
    }
}

#[test]
fn what_is_written_is_what_is_checked() {
    let scenario = parse("s.toml", SMALL).unwrap();
    assert_eq!(scenario.seed, 7);
    let gas = &scenario.outlets[0].analysers[0];
    assert_eq!(gas.status, Some(Place { table: Table::Input, register: 6 }));
    assert_eq!(gas.channels[0].number, Number::F32(Order::Cdab));
    assert_eq!((gas.channels[0].noise, gas.channels[0].range_max), (0.3, Some(300.0)));
    assert_eq!((gas.channels[1].number, gas.channels[1].scale), (Number::U16, 0.01));
    let dust = &scenario.outlets[0].analysers[1];
    assert_eq!(dust.channels[0].place, Place { table: Table::Holding, register: 0 });
    let rise = &scenario.events[0];
    assert_eq!((rise.after, rise.lasts), (Duration::from_secs(20), Some(Duration::from_millis(60_500))));
    assert_eq!(scenario.events[1].kind, EventKind::Calibration { analyser: 1 });
}

#[test]
fn every_mutation_is_refused_with_line_and_key() {
    let mutations: [(&str, &str, usize, &str); 28] = [
        ("scenario/1", "scenario/2", 1, "schema"),
        ("seed = 7", "seed = -7", 2, "seed"),
        ("seed = 7", "sed = 7", 2, "sed"),
        ("code = \"kiln\"", "code = \"kiln 1\"", 4, "outlet[0].code"),
        ("cement-kiln", "cement", 5, "outlet[0].process"),
        ("process = \"cement-kiln\"\n", "", 3, "outlet[0].process"),
        ("name = \"dust\"", "name = \"gas\"", 16, "outlet[0].analyser[1].name"),
        ("name = \"dust\"", "name = \"Dust\"", 16, "outlet[0].analyser[1].name"),
        ("name = \"gas\"", "name = \"Gas\"", 7, "outlet[0].analyser[0].name"),
        ("127.0.0.1:5021", "127.0.0.1:5020", 17, "outlet[0].analyser[1].listen"),
        ("127.0.0.1:5021", "localhost", 17, "outlet[0].analyser[1].listen"),
        ("unit = 1", "unit = 248", 9, "outlet[0].analyser[0].unit"),
        ("register = 6", "register = 2", 10, "outlet[0].analyser[0].status.register"),
        ("register = 2", "register = 1", 13, "outlet[0].analyser[0].channel[1].register"),
        (
            "register = 0, table = \"input\"",
            "register = 65535, table = \"input\"",
            12,
            "outlet[0].analyser[0].channel[0].register",
        ),
        ("\"a19001\"", "\"a21026\"", 13, "outlet[0].analyser[0].channel[1].code"),
        ("\"a19001\"", "\"a05001\"", 13, "outlet[0].analyser[0].channel[1].code"),
        ("\"a34013\"", "\"a21026\"", 19, "outlet[0].analyser[1].channel[0].code"),
        ("\"CDAB\"", "\"ACDB\"", 12, "outlet[0].analyser[0].channel[0].order"),
        ("\"u16\"", "\"u16\", order = \"ABCD\"", 13, "outlet[0].analyser[0].channel[1].order"),
        ("\"i16\"", "\"i17\"", 19, "outlet[0].analyser[1].channel[0].type"),
        ("scale = 0.01", "scale = 0", 13, "outlet[0].analyser[0].channel[1].scale"),
        ("noise = 0.3", "nois = 0.3", 12, "outlet[0].analyser[0].channel[0].nois"),
        ("after_s = 20", "after_s = -1", 21, "event[0].after_s"),
        ("for_s = 60.5", "for_s = 0", 22, "event[0].for_s"),
        ("channel = \"a21026\"", "channel = \"a21002\"", 25, "event[0].channel"),
        ("analyser = \"dust\"", "analyser = \"flow\"", 31, "event[1].analyser"),
        ("kind = \"rise\"", "kind = \"fall\"", 24, "event[0].kind"),
    ];
    for (from, to, line, key) in mutations {
        assert!(SMALL.contains(from), "{from}");
        let mutated = SMALL.replacen(from, to, 1);
        assert_eq!(problems(&mutated), [(line, key.to_owned())], "{from} -> {to}");
    }
}

#[test]
fn an_unknown_outlet_is_one_problem_and_keys_of_other_kinds_are_unknown() {
    let mutated = SMALL.replacen("outlet = \"kiln\"\nkind = \"cal", "outlet = \"kill\"\nkind = \"cal", 1);
    assert_eq!(problems(&mutated), [(29, "event[1].outlet".to_owned())]);
    let mutated = SMALL.replacen("kind = \"calibration\"", "kind = \"silent-outlet\"", 1);
    assert_eq!(problems(&mutated), [(31, "event[1].analyser".to_owned())]);
}

#[test]
fn all_problems_come_at_once() {
    let mutated = SMALL
        .replace("unit = 2", "unit = 0")
        .replace("to = 60", "to = \"much\"")
        .replace("\"u16\"", "\"u8\"");
    let found = problems(&mutated);
    let keys: Vec<&str> = found.iter().map(|(_, key)| key.as_str()).collect();
    assert_eq!(keys, ["outlet[0].analyser[0].channel[1].type", "outlet[0].analyser[1].unit", "event[0].to"]);
    assert_eq!(problems("schema = \"scenario/1\"\n"), [(1, "outlet".to_owned())]);
}
