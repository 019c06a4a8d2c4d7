//! Templates by themselves, and configurations that take their registers from one.
use super::*;
use crate::config::gateway::{
    Conversion, Expected, Gateway, Measured, Number, Order, StatusCondition, load, parse_beside,
};
use std::path::Path;
use std::sync::Arc;

const GAS: &str = r#"schema = "analyser/1"
maker = "Example"
model = "Gas"
example = true

[[status]]
register = 100
rules = [{ bit = 15, flag = "D" }]

[[check]]
name = "serial number"
register = 200
type = "ascii"
registers = 8
expect = "SN-4711"

[[point]]
name = "so2"
register = 0
table = "input"
type = "f32"
order = "CDAB"
unit = "ppm"
raw_min = -10
status = { register = 4, table = "input", rules = [{ value = 3, flag = "C" }] }

[[point]]
name = "o2"
register = 10
table = "input"
type = "u16"
"#;

const GATEWAY: &str = r#"schema = "gateway/1"

[gateway]
name = "gw"
data_dir = "data"

[mqtt]
url = "mqtt://127.0.0.1:1883"

[[analyser]]
name = "gas"
link = "tcp://127.0.0.1:502"
template = "gas"

[analyser.status]
register = 101
rules = [{ bit = 0, flag = "M" }]

[[outlet]]
code = "DA001"

[[outlet.channel]]
code = "a21026"
analyser = "gas"
point = "so2"
convert_to = "mg/m3"
molar_mass_g_mol = 64.06
raw_max = 1000

[[outlet.channel]]
code = "a19001"
analyser = "gas"
point = "o2"
raw_range = [0, 10000]
value_range = [0, 25]
period_ms = 60000
"#;

/// A folder with the configuration and this template.
fn folder(template: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("analysers")).unwrap();
    std::fs::write(folder.path().join("analysers").join("gas.toml"), template).unwrap();
    std::fs::write(folder.path().join("gateway.toml"), GATEWAY).unwrap();
    folder
}

fn read(template: &str, gateway: &str) -> Result<Gateway, Problems> {
    parse_beside(&folder(template).path().join("gateway.toml"), gateway)
}

#[test]
fn every_template_that_comes_with_the_program_is_right() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/analysers");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(is_name(name, 64, b"-"), "{name}");
        let text = std::fs::read_to_string(&path).unwrap();
        let template = parse(name, &text).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(template.origin == Origin::Example, name.starts_with("example-"), "{name}");
        count += 1;
    }
    assert!(count > 0);
}

#[test]
fn a_channel_takes_its_registers_from_the_template() {
    let folder = folder(GAS);
    let config = load(&folder.path().join("gateway.toml")).unwrap();
    let gas = &config.analysers[0];
    let statuses: Vec<u16> = gas.statuses.iter().map(|status| status.address).collect();
    assert_eq!(statuses, [101, 100], "what the configuration says comes first");
    assert_eq!(gas.checks[0].expected, Expected::Text("SN-4711".to_owned()));
    let channels = config.outlets[0].channels.iter().filter_map(|channel| channel.measured());
    let [o2, so2]: [&Measured; 2] = channels.collect::<Vec<_>>().try_into().unwrap();
    assert_eq!((so2.place.number, so2.place.order, so2.place.address), (Number::F32, Order::Cdab, 0));
    assert_eq!((so2.conversion.under, so2.conversion.over), (Some(-10.0), Some(1000.0)));
    assert_eq!(Some(so2.conversion.unit.factor), Some(64.06 / 22.4));
    assert_eq!(so2.statuses[0].rules[0].when, StatusCondition::Value(3));
    assert_eq!((o2.place.number, o2.period.as_secs()), (Number::U16, 60));
    assert_eq!(o2.conversion, Arc::new(Conversion { scale: 0.0025, ..Conversion::NONE }));
}

#[test]
fn another_template_is_another_configuration() {
    let one = read(GAS, GATEWAY).unwrap().hash;
    assert_eq!(read(GAS, GATEWAY).unwrap().hash, one);
    assert_ne!(read(&GAS.replace("register = 10\n", "register = 12\n"), GATEWAY).unwrap().hash, one);
    assert_ne!(read(&format!("{GAS}\n# a comment\n"), GATEWAY).unwrap().hash, one);
}

#[test]
fn the_folder_of_templates_can_be_another() {
    let folder = folder(GAS);
    let text = GATEWAY.replace("data_dir", "templates_dir = \"maps\"\ndata_dir");
    let path = folder.path().join("gateway.toml");
    let problems = parse_beside(&path, &text).unwrap_err();
    assert!(problems.0[0].allowed.contains("which is not there (gateway.templates_dir)"), "{problems}");
    std::fs::rename(folder.path().join("analysers"), folder.path().join("maps")).unwrap();
    parse_beside(&path, &text).unwrap();
}

#[test]
fn a_problem_in_a_template_is_told_with_its_own_file_and_line_and_once() {
    let gateway = GATEWAY.replace("timeout", "").replacen(
        "[[outlet]]",
        "[[analyser]]\nname = \"second\"\nlink = \"tcp://127.0.0.1:503\"\ntemplate = \"gas\"\n\n[[outlet]]",
        1,
    );
    let template = GAS.replace("unit = \"ppm\"", "unit = \"PPM\"").replace("flag = \"C\"", "flag = \"X\"");
    let problems = read(&template, &gateway.replace("code = \"DA001\"", "code = \"DA 001\"")).unwrap_err();
    let told: Vec<(bool, Option<usize>, &str)> = problems
        .0
        .iter()
        .map(|problem| (problem.file.ends_with("analysers/gas.toml"), problem.line, problem.key.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (false, Some(25), "outlet[0].code"),
            (true, Some(23), "point[0].unit"),
            (true, Some(25), "point[0].status.rules[0].flag"),
        ],
        "{problems}"
    );
}

#[test]
fn each_mistake_of_a_template_is_named() {
    let example = "example = true";
    let cases = [
        ("schema = \"analyser/1\"", "schema = \"analyser/2\"", "schema", "\"analyser/1\""),
        ("maker = \"Example\"\n", "", "maker", "found nothing"),
        ("model = \"Gas\"\n", "model = \"\"\n", "model", "1 to 400 characters"),
        (example, "", "source", "or example = true for what is invented"),
        (example, "example = false", "example", "or instead of it `source`"),
        (example, "source = \"a manual\"", "source", "with its address"),
        (example, "example = true\nsource = \"A, https://a.example\"", "example", "one of them"),
        (example, "example = true\nlink = \"tcp://a:1\"", "link", "an unknown key"),
        ("name = \"so2\"", "name = \"SO2\"", "point[0].name", "1 to 40 of a-z"),
        ("name = \"o2\"", "name = \"so2\"", "point[1].name", "each point of a template once"),
        ("type = \"u16\"", "type = \"ascii\"", "point[1].type", "\"u16\""),
        ("type = \"u16\"", "type = \"u16\"\nconvert_to = \"%\"", "point[1].convert_to", "an unknown key"),
        (
            "expect = \"SN-4711\"",
            "expect = \"SN-4711\"\nchannels = [\"a21026\"]",
            "check[0].channels",
            "unknown",
        ),
        ("raw_min = -10", "raw_min = -10\nraw_max = -10", "point[0].raw_max", "more than raw_min"),
        ("rules = [{ bit = 15, flag = \"D\" }]", "rules = []", "status[0].rules", "at least one rule"),
    ];
    for (from, to, key, told) in cases {
        let text = GAS.replacen(from, to, 1);
        assert_ne!(text, GAS, "{from}");
        let problems = parse("gas.toml", &text).unwrap_err();
        let [problem] = problems.0.as_slice() else { panic!("{to}: {problems}") };
        assert!(
            problem.line.is_some() && problem.key == key && problem.to_string().contains(told),
            "{problem}"
        );
    }
    let (none, _) = GAS.split_once("[[point]]").unwrap();
    assert_eq!(parse("gas.toml", none).unwrap_err().0[0].key, "point");
}

#[test]
fn each_mistake_with_a_template_is_named() {
    let so2 = "point = \"so2\"";
    let cases = [
        ("template = \"gas\"", "template = \"Gas\"", "analyser[0].template", "1 to 64 of a-z"),
        ("template = \"gas\"", "template = \"../gateway\"", "analyser[0].template", "without \".toml\""),
        ("template = \"gas\"", "template = \"dust\"", "analyser[0].template", "analysers: gas"),
        (so2, "point = \"so3\"", "outlet[0].channel[0].point", "a point of Example Gas: so2, o2"),
        (so2, "point = \"so2\"\nregister = 5", "outlet[0].channel[0].register", "nothing besides `point`"),
        (
            so2,
            "point = \"so2\"\nstatus = { register = 5 }",
            "outlet[0].channel[0].status",
            "nothing besides `point`",
        ),
        (
            so2,
            "point = \"so2\"\nunit = \"mg/m3\"",
            "outlet[0].channel[0].unit",
            "what the template's point says already",
        ),
        (
            so2,
            "point = \"so2\"\nraw_min = 0",
            "outlet[0].channel[0].raw_min",
            "what the template's point says already",
        ),
        ("raw_max = 1000", "raw_max = -10", "outlet[0].channel[0].raw_max", "more than raw_min = -10"),
        ("link = ", "max_registers = 7\nlink = ", "analyser[0].template", "at most max_registers = 7"),
        ("point = \"o2\"", "point = \"so2\"", "", ""),
    ];
    for (from, to, key, told) in cases {
        let text = GATEWAY.replacen(from, to, 1);
        assert_ne!(text, GATEWAY, "{from}");
        let result = read(GAS, &text);
        if key.is_empty() {
            result.unwrap_or_else(|problems| panic!("one register for two channels: {problems}"));
            continue;
        }
        let problems = result.unwrap_err();
        let [problem] = problems.0.as_slice() else { panic!("{to}: {problems}") };
        assert!(
            problem.line.is_some() && problem.key == key && problem.to_string().contains(told),
            "{problem}"
        );
    }
    let scaled = GAS.replace("type = \"u16\"", "type = \"u16\"\nscale = 0.01");
    assert_eq!(read(&scaled, GATEWAY).unwrap_err().0[0].key, "outlet[0].channel[1].raw_range");
}

#[test]
fn a_file_that_is_not_there_is_a_problem() {
    let problems = load(Path::new("/no/such.toml")).unwrap_err();
    assert!(
        problems.to_string().starts_with("/no/such.toml: file: found that it cannot be read: "),
        "{problems}"
    );
}
