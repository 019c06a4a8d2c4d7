//! `cems replay` as a user runs it: case folders with expected figures, any order of readings, bad input.
//!
//! A case is a folder of tests/cases/ with plant.toml, readings.csv and expected.json: `arguments` (more of them, run in the
//! folder) and `rows`; each is found by outlet, channel, period and start, and every field that it names must be as it says; null
//! is also what is absent. `ledger`, where it is there, has `amounts` and `quotas` of the file that `--ledger` writes.
//! How the figures were worked out stands above each plant.toml.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn replay(folder: &Path, readings: &Path, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cems"))
        .args(["replay", "--plant", "plant.toml", "--readings"])
        .arg(readings)
        .args(more)
        .current_dir(folder)
        .output()
        .unwrap()
}

fn rows(output: &Output) -> Vec<Value> {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut cases: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= 15, "only {cases:?}");
    cases
}

struct Expected {
    arguments: Vec<String>,
    rows: Vec<Value>,
    ledger: Option<Value>,
}

impl Expected {
    fn of(case: &Path) -> Expected {
        let text = fs::read_to_string(case.join("expected.json")).unwrap();
        let expected: Value = serde_json::from_str(&text).unwrap();
        let arguments = expected["arguments"].as_array().unwrap();
        Expected {
            arguments: arguments.iter().map(|argument| argument.as_str().unwrap().to_owned()).collect(),
            rows: expected["rows"].as_array().unwrap().clone(),
            ledger: expected.get("ledger").cloned(),
        }
    }

    fn arguments(&self) -> Vec<&str> {
        self.arguments.iter().map(String::as_str).collect()
    }
}

fn agrees(theirs: &Value, ours: &Value) -> bool {
    match (theirs, ours) {
        (Value::Number(theirs), Value::Number(ours)) => {
            let (theirs, ours) = (theirs.as_f64().unwrap(), ours.as_f64().unwrap());
            (theirs - ours).abs() <= 1e-9 * theirs.abs()
        }
        (Value::Array(theirs), Value::Array(ours)) => {
            theirs.len() == ours.len() && theirs.iter().zip(ours).all(|(theirs, ours)| agrees(theirs, ours))
        }
        (Value::Object(theirs), Value::Object(ours)) => {
            theirs.iter().all(|(field, theirs)| agrees(theirs, ours.get(field).unwrap_or(&Value::Null)))
        }
        _ => theirs == ours,
    }
}

/// What differs between the entries that are expected and those of the same key that were found.
fn differences(expected: &[Value], found: &[Value], key: &[&str]) -> Vec<String> {
    let difference = |theirs: &Value| {
        let same: Vec<&Value> =
            found.iter().filter(|ours| key.iter().all(|field| ours[*field] == theirs[*field])).collect();
        match same[..] {
            [ours] if agrees(theirs, ours) => None,
            [ours] => Some(format!("expected {theirs}\nfound    {ours}")),
            _ => Some(format!("expected {theirs}\nfound    {} of them", same.len())),
        }
    };
    expected.iter().filter_map(difference).collect()
}

#[test]
fn every_case_has_its_figures() {
    let folder = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for case in cases() {
        let expected = Expected::of(&case);
        let file = folder.path().join("ledger.json");
        let mut arguments = expected.arguments();
        if expected.ledger.is_some() {
            arguments.extend(["--ledger", file.to_str().unwrap()]);
        }
        let rows = rows(&replay(&case, Path::new("readings.csv"), &arguments));
        let mut of_case = differences(&expected.rows, &rows, &["outlet", "channel", "period", "start"]);
        if let Some(theirs) = &expected.ledger {
            let ours: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
            for (list, key) in [
                ("amounts", &["level", "account", "pollutant", "period", "start"][..]),
                ("quotas", &["quota"][..]),
            ] {
                let (theirs, ours) = (theirs[list].as_array().unwrap(), ours[list].as_array().unwrap());
                of_case.extend(differences(theirs, ours, key));
            }
        }
        wrong.extend(of_case.iter().map(|difference| format!("{}:\n{difference}", case.display())));
    }
    assert!(wrong.is_empty(), "{} figures differ\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn order_and_repetition_of_readings_change_no_byte() {
    let folder = tempfile::tempdir().unwrap();
    for case in cases() {
        let expected = Expected::of(&case);
        let arguments = expected.arguments();
        let whole = replay(&case, Path::new("readings.csv"), &arguments);
        let text = fs::read_to_string(case.join("readings.csv")).unwrap();
        let (header, body) = text.split_once('\n').unwrap();
        let mut lines: Vec<&str> = body.lines().collect();
        lines.extend(lines.clone().iter().step_by(3));
        fastrand::Rng::with_seed(7).shuffle(&mut lines);
        let shuffled = folder.path().join("shuffled.csv");
        fs::write(&shuffled, format!("{header}\r\n{}\r\n", lines.join("\r\n"))).unwrap();
        let again = replay(&case, &shuffled, &arguments);
        assert_eq!(again.status.code(), Some(0), "{}", String::from_utf8_lossy(&again.stderr));
        assert!(again.stdout == whole.stdout, "{} differs when shuffled", case.display());
    }
}

#[test]
fn the_fields_are_those_that_are_promised_in_both_forms() {
    let case = &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/permit-and-assessment");
    let fields = "outlet channel period start origin measured standard dry corrected min max n_valid n_expected status flag valid \
                  mass_kg method revision verdicts";
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let json = rows(&replay(case, Path::new("readings.csv"), &["--out", "json", "--period", "hour,day"]));
    assert_eq!(json.len(), 4, "two channels, an hour and a day");
    for row in &json {
        let mut found: Vec<&str> = row.as_object().unwrap().keys().map(String::as_str).collect();
        let mut promised = fields.clone();
        found.sort_unstable();
        promised.sort_unstable();
        assert_eq!(found, promised);
    }
    let output = replay(case, Path::new("readings.csv"), &["--out", "csv", "--period", "hour"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], format!("{},substituted_kg,substitute,capture", fields.join(",")));
    let start = "kiln,a21026,hour,2026-11-21T04:00:00Z,computed,60,60,60,88,60,60,60,60,N,N,true,,HJ75-2017/1,1,\"[{\"\"rule\"\":\"\"demo-permit\"\",";
    assert!(lines[1].starts_with(start) && lines[1].ends_with("]\",,,"), "{}", lines[1]);
    assert_eq!(lines.len(), 3);
}

#[test]
fn bad_readings_are_told_whole_and_nothing_is_printed() {
    let case = &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/permit-and-assessment");
    let folder = tempfile::tempdir().unwrap();
    let bad = folder.path().join("bad.csv");
    let good = fs::read_to_string(case.join("readings.csv")).unwrap();
    fs::write(
        &bad,
        format!("{good}2026-11-21T13:00:00+08:00,kiln,a21026,high,N\nyesterday,kiln,a21026,1,X\n"),
    )
    .unwrap();
    let result = folder.path().join("result.json");
    let output = replay(case, &bad, &["--output", result.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty() && !result.exists());
    let told = String::from_utf8(output.stderr).unwrap();
    for part in [
        "bad.csv:122: value: found \"high\"; a number in the channel's unit",
        "bad.csv:123: at: found \"yesterday\"; a time with its offset",
        "bad.csv:123: flag: found \"X\"; a letter of HJ 212-2017 table 8",
        "3 problems found",
    ] {
        assert!(told.contains(part), "no {part:?} in {told}");
    }
    let output = replay(case, Path::new("readings.csv"), &["--output", result.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0));
    let written: Vec<Value> = serde_json::from_str(&fs::read_to_string(&result).unwrap()).unwrap();
    assert!(written.len() > 4);
    for (arguments, told) in [
        (["--zone", "Mars/Olympus"], "--zone: found \"Mars/Olympus\""),
        (["--rules", "/no/such.toml"], "/no/such.toml: cannot be read"),
    ] {
        let output = replay(case, Path::new("readings.csv"), &arguments);
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8(output.stderr).unwrap().starts_with(told));
    }
}

#[test]
fn minute_values_beside_a_plant_of_scans_are_noted() {
    let case = &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/permit-and-assessment");
    let folder = tempfile::tempdir().unwrap();
    let plant =
        fs::read_to_string(case.join("plant.toml")).unwrap().replace("period_ms = 60000", "period_ms = 2000");
    fs::write(folder.path().join("plant.toml"), plant).unwrap();
    let output = replay(folder.path(), &case.join("readings.csv"), &[]);
    let told = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(
        told.starts_with("note: kiln: a21026, a19001 never have more than one reading a minute"),
        "{told}"
    );
    let minute = rows(&output).into_iter().find(|row| row["period"] == "minute").unwrap();
    assert_eq!(
        (minute["n_valid"].as_u64(), minute["n_expected"].as_u64(), minute["valid"].as_bool()),
        (Some(1), Some(30), Some(false))
    );
}
