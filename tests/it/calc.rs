//! `cems calc` as a user runs it: worked examples to the printed digits, steps with their clauses, refusals.

use std::process::{Command, Output};

use serde_json::Value;

fn calc(arguments: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cems")).arg("calc").args(arguments.split_whitespace()).output().unwrap()
}

fn json(arguments: &str) -> Value {
    let output = calc(&format!("{arguments} --json"));
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn figure(answer: &Value, name: &str, decimals: usize) -> String {
    format!("{:.decimals$}", answer[name].as_f64().unwrap())
}

#[test]
fn worked_examples_to_the_printed_digits() {
    let kiln = json("--pollutant SO2 --value 60 --unit mg/m3 --oxygen 13.5 --reference-oxygen 10");
    assert_eq!(kiln["corrected"], 88.0);
    assert_eq!(kiln["excess_air"], 2.8);
    let step = &kiln["steps"][0];
    assert_eq!(step["name"], "corrected");
    assert_eq!(step["clause"], "HJ 212-2017 App. D eq. (28)");
    assert_eq!(step["formula"], "C x (O2air-O2ref)/(O2air-O2)");
    assert_eq!(step["inputs"][1]["name"], "O2");
    assert_eq!(step["inputs"][1]["value"], 13.5);
    assert_eq!(step["result"], 88.0);
    assert!(kiln["rate_kg_h"].is_null() && kiln["dry_standard_flow_m3_h"].is_null());

    assert_eq!(figure(&json("--pollutant a21026 --value 250 --unit ppm"), "standard", 0), "715");
    assert_eq!(figure(&json("--pollutant nox --value 30 --no2 4"), "dry", 1), "50.0");
    assert_eq!(figure(&json("--pollutant NMHC --value 50 --unit ppm"), "dry", 4), "26.7857");
    let none = json("--pollutant PM --value 4.2 --temperature -5 --oxygen 9");
    assert_eq!(none["corrected"], none["dry"]);
}

#[test]
fn the_whole_chain_for_people() {
    let output = calc(
        "--pollutant SO2 --value 100 --wet --temperature 120 --ambient-pressure 100000 --static-pressure -1500 \
         --moisture 0.1 --oxygen 9 --oxygen-wet --excess-air 1.7 --velocity 12 --area 7.5",
    );
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    for line in [
        "standard  [HJ 212-2017 App. D eq. (18)]",
        "  C x 101325/(Ba+Ps) x (T0+ts)/T0",
        "    ts    = 120 C",
        "corrected            184.775958589 mg/m3",
        "rate                          32.4 kg/h",
    ] {
        assert!(text.lines().any(|told| told.trim_end() == line), "no line {line:?} in\n{text}");
    }
}

#[test]
fn impossible_input_is_refused_with_rule_found_value_and_remedy() {
    for (arguments, told) in [
        (
            "--pollutant SO2 --value 60 --oxygen 21 --reference-oxygen 10",
            "--oxygen: found 21 % dry; dry oxygen at most 20.99 %",
        ),
        (
            "--pollutant SO2 --value 60 --reference-oxygen 10",
            "--oxygen: found nothing; a reference needs the measured oxygen",
        ),
        ("--pollutant SO2 --value -1", "--value: found -1; a number from 0 to 1e9"),
        ("--pollutant SO2 --value NaN", "--value: found NaN; a number from 0 to 1e9"),
        ("--pollutant SO2 --value 60 --wet", "--moisture: found nothing; a wet value needs the moisture"),
        ("--pollutant SO2 --value 60 --wet --moisture 12", "--moisture: found 12; a volume fraction"),
        ("--pollutant XY --value 60", "--pollutant: found \"XY\"; a symbol or factor code among"),
        ("--pollutant PM --value 60 --unit ppm", "--molar mass: found nothing; this pollutant has none"),
    ] {
        let output = calc(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments}");
        assert!(output.stdout.is_empty(), "{arguments}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.starts_with(told), "{arguments}: {text}");
    }
    assert_eq!(calc("--pollutant SO2 --value 1 --unit kg").status.code(), Some(2));
    let both = calc("--pollutant SO2 --value 1 --oxygen 5 --reference-oxygen 10 --excess-air 1.7");
    assert_eq!(both.status.code(), Some(2));
}
