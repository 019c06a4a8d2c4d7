//! `cems alert` as a user runs it.

use serde_json::Value;

use crate::support::alerted::Told;

#[tokio::test(flavor = "multi_thread")]
async fn a_duty_desk_lists_takes_and_closes_from_the_command_line() {
    let told = Told::new().await;
    let id = told.episode.to_string();
    let (code, listed, errors) = told.cems(&["alert", "list", "--audience", "bureau"]);
    assert_eq!(code, 0, "{errors}");
    assert!(
        listed.contains("demo-cement-kiln a21026") && listed.contains("nobody yet; more are told at"),
        "{listed}"
    );
    let (code, said, _) = told.cems(&["alert", "ack", &id, "--as", "Duty One"]);
    assert!(code == 0 && said.contains("acknowledged by Duty One for the bureau"), "{said}");
    assert_eq!(told.line("bureau").await, (Some("Duty One".to_owned()), None, None));
    let (code, out, errors) = told.cems(&["alert", "ack", &id, "--as", "DutyTwo"]);
    assert!(code == 3 && out.is_empty() && errors.contains("Duty One has done that at"), "{errors}");
    assert_eq!(told.cems(&["alert", "assign", &id, "--to", "field team", "--as", "Duty One"]).0, 0);
    assert_eq!(told.cems(&["alert", "comment", &id, "--text", "called", "--as", "Duty One"]).0, 0);
    let before = told.fingerprint().await;
    for (arguments, said) in [
        (&["close", &id, "--as", "Li"][..], "--reason"),
        (&["close", &id, "--reason", "weather", "--action", "repaired", "--as", "Li"], "weather"),
        (&["close", &id, "--reason", "other-cause", "--action", "repaired", "--as", "Li"], "--text"),
        (&["ack", "999999", "--as", "Li"], "there is no episode 999999"),
        (&["ack", &id, "--audience", "platform", "--as", "Li"], "platform"),
        (&["ack", &id, "--as", ""], "--as"),
        (&["silence", "make", "--hours", "2", "--reason", "x", "--as", "Li"], "covers"),
        (&["silence", "make", "--outlet", "k", "--hours", "2161", "--reason", "x", "--as", "Li"], "--hours"),
        (&["silence", "end", "77", "--as", "Li"], "no silence 77"),
    ] {
        let (code, out, errors) = told.cems(&[&["alert"], arguments].concat());
        assert!(code == 2 && out.is_empty() && errors.contains(said), "{arguments:?}: {code} {errors}");
    }
    assert_eq!(told.fingerprint().await, before, "what is refused stores nothing");
    let close =
        ["alert", "close", &id, "--reason", "process-upset", "--action", "load-reduced", "--as", "Duty One"];
    assert_eq!(told.cems(&close).0, 0);
    assert_eq!(told.cems(&close).0, 3);
    let (code, shown, _) = told.cems(&["alert", "show", &id]);
    assert_eq!(code, 0);
    for part in [
        "has Duty One",
        "given to field team",
        "process-upset / load-reduced",
        "commented by Duty One (bureau, cli)",
        "alert",
        "early-warning open",
    ] {
        assert!(shown.contains(part), "{part} is missing in:\n{shown}");
    }
    let (_, json, _) = told.cems(&["alert", "show", &id, "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&json["kind"], &json["handling"][0]["audience"]),
        (&"early-warning".into(), &"bureau".into())
    );
    let (_, json, _) =
        told.cems(&["alert", "list", "--json", "--audience", "bureau", "--kind", "early-warning"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    let own = json["episodes"].as_array().unwrap().iter().find(|one| one["episode"] == told.episode);
    assert_eq!(own.unwrap()["reason"], "process-upset", "{json}");
    let (_, codes, _) = told.cems(&["alert", "codes"]);
    assert!(codes.contains("治理设施故障") && codes.contains("none-needed"), "{codes}");
    told.world.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn maintenance_is_planned_listed_and_ended_early() {
    let told = Told::new().await;
    let make = [
        "alert",
        "silence",
        "make",
        "--maintenance",
        "--outlet",
        "demo-cement-kiln",
        "--kind",
        "early-warning",
        "--hours",
        "4",
        "--reason",
        "bags\u{1b}[31m are exchanged",
        "--as",
        "Duty One",
    ];
    let (code, said, errors) = told.cems(&make);
    assert_eq!(code, 0, "{errors}");
    let id = said.split_whitespace().nth(1).unwrap();
    let (_, listed, _) = told.cems(&["alert", "silence", "list"]);
    assert!(
        listed.contains("outlet demo-cement-kiln, kind early-warning: bags [31m are exchanged"),
        "{listed}"
    );
    assert_eq!(told.cems(&["alert", "silence", "end", id, "--as", "DutyTwo"]).0, 0);
    assert_eq!(told.cems(&["alert", "silence", "end", id, "--as", "DutyTwo"]).0, 3);
    let (_, json, _) = told.cems(&["alert", "silence", "list", "--all", "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&json["silences"][0]["ended_by"], &json["silences"][0]["author"]),
        (&"DutyTwo".into(), &"Duty One".into())
    );
    let (_, json, _) = told.cems(&["alert", "silence", "list", "--json"]);
    assert!(json.contains("[]"), "{json}");
    told.world.centre.stop().await;
}
