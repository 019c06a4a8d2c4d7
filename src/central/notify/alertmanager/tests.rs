//! What an Alertmanager is told of an episode, and of one that has ended.

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

#[test]
fn an_alert_has_what_is_known_and_no_empty_label() {
    let body = json!({
        "kind": "exceedance", "summary": "kiln SO2\n88.0", "what_to_do": "Reduce.", "severity": "serious", "channel": "a21026",
        "rule": "permit", "outlet": {"code": "kiln", "enterprise": "Demo"}, "gateway": null, "test": false,
        "link": "https://cems.example/alerts/1",
    });
    let episode = Active { outlet_id: 1, episode_id: 7, opened_at: at(0), body };
    let expected = json!({
        "labels": {"alertname": "exceedance", "outlet": "kiln", "enterprise": "Demo", "channel": "a21026", "rule": "permit",
            "severity": "serious", "episode": "7"},
        "annotations": {"summary": "kiln SO2 88.0", "what_to_do": "Reduce.", "link": "https://cems.example/alerts/1"},
        "startsAt": "1970-01-01T00:00:00Z", "endsAt": "1970-01-01T00:01:30Z",
        "generatorURL": "https://cems.example/alerts/1",
    });
    assert_eq!(alert(&episode, at(90)), expected);
}

#[test]
fn what_is_gone_or_has_other_labels_has_ended_once() {
    let labels = |of: &[(i64, &str)]| -> BTreeMap<Key, Value> {
        of.iter().map(|(id, severity)| ((1, *id), json!({"episode": id, "severity": severity}))).collect()
    };
    let mut told = Told::default();
    told.leave_behind(labels(&[(1, "serious"), (2, "serious"), (3, "serious")]), true, (at(0), at(90)));
    assert!(told.ended.is_empty());
    told.leave_behind(labels(&[(1, "serious"), (2, "critical")]), true, (at(10), at(100)));
    let ended: Vec<&Value> = told.ended.iter().map(|(labels, _)| labels).collect();
    assert_eq!(
        ended,
        [&json!({"episode": 2, "severity": "serious"}), &json!({"episode": 3, "severity": "serious"})]
    );
    // Of a part of them nothing can be said, and what it has forgotten by itself is not told.
    told.leave_behind(labels(&[(2, "critical")]), false, (at(99), at(189)));
    assert_eq!(told.ended.len(), 2);
    told.leave_behind(labels(&[(2, "critical")]), true, (at(100), at(190)));
    assert!(told.ended.is_empty());
}
