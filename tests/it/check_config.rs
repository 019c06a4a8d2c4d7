//! `cems check-config` as a user runs it: every problem of every file, exit code 2.

use std::process::{Command, Output};

fn check_config(arguments: &[&str], files: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
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
