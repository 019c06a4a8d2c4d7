//! `cems check-config` as a user runs it: every problem of every file, exit code 2.

use std::process::{Command, Output};

fn check_config(arguments: &[&str], files: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    Command::new(env!("CARGO_BIN_EXE_cems"))
        .arg("check-config")
        .args(arguments)
        .arg(".")
        .current_dir(folder.path())
        .output()
        .unwrap()
}

#[test]
fn all_problems_of_all_files_end_in_exit_code_2() {
    let files = [("a.toml", "schema = \"plant/1\"\n[[gateway]]\nname = \"GW\"\n"), ("b.toml", "name = 1\n")];
    let output = check_config(&[], &files);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("a.toml:3: gateway[0].name: found \"GW\"; a gateway name"), "{told}");
    assert!(told.contains("b.toml:1: schema: found no text; one of \"gateway/1\""), "{told}");
    assert!(told.ends_with("2 problems found; nothing was started or changed\n"), "{told}");

    let output = check_config(&["--json"], &files);
    assert_eq!(output.status.code(), Some(2));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["problems"][0]["line"], 3);
    assert_eq!(told["problems"][0]["key"], "gateway[0].name");
}

#[test]
fn clean_files_are_summed_up() {
    let output = check_config(&[], &[("a.toml", "schema = \"plant/1\"\n[[gateway]]\nname = \"gw\"\n")]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "./a.toml: plant/1: 1 gateway\n");
}

#[test]
fn an_unreadable_file_is_named() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_cems")).args(["check-config", "/no/such.toml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().starts_with("/no/such.toml: cannot be read: "));
}

const TEMPLATE: &str = "schema = \"analyser/1\"\nmaker = \"Example\"\nmodel = \"Gas\"\nexample = true\n\n[[point]]\nname = \"so2\"\nregister = 0\ntype = \"f32\"\n";
const GATEWAY: &str = r#"schema = "gateway/1"
[gateway]
name = "gw"
data_dir = "data"
[mqtt]
url = "mqtt://127.0.0.1:1883"
[[line]]
name = "bus"
link = "rtu:///dev/ttyS0"
baud = 9600
[[analyser]]
name = "gas"
line = "bus"
template = "gas"
[[outlet]]
code = "DA001"
period_ms = 1000
[[outlet.channel]]
code = "a21026"
analyser = "gas"
point = "so2"
"#;

#[test]
fn a_gateway_is_checked_with_its_templates_and_a_template_by_itself() {
    let files = [("gateway.toml", GATEWAY), ("analysers/gas.toml", TEMPLATE)];
    let output = check_config(&["analysers"], &files);
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        told,
        "analysers/gas.toml: analyser/1: Example Gas, 1 points\n./gateway.toml: gateway/1: 1 analysers, 1 outlets\n"
    );
    let wrong = TEMPLATE.replace("f32", "f33");
    let output = check_config(&["./analysers"], &[files[0], ("analysers/gas.toml", &wrong)]);
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("./analysers/gas.toml:9: point[0].type: found \"f33\"; one of \"bit\", "),
        "{told}"
    );
    assert!(told.ends_with("\n1 problem found; nothing was started or changed\n"), "{told}");
}

#[test]
fn a_line_that_cannot_do_its_work_in_time_is_told_with_its_place() {
    let slow = GATEWAY.replace("baud = 9600", "baud = 1200\nusual_answer_ms = 900");
    let output = check_config(&[], &[("gateway.toml", &slow), ("analysers/gas.toml", TEMPLATE)]);
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.starts_with("./gateway.toml:7: line \"bus\": found 1 requests a tick that take "), "{told}");
}
