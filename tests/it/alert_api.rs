//! The API of alerts, as a console or an enterprise's own program uses it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::alerted::{OTHER, OWN, Told};
use crate::support::wait::wait_until;
use crate::support::world::LIMIT;

#[tokio::test(flavor = "multi_thread")]
async fn acknowledging_stops_the_ladder_once_and_closing_needs_both_codes() {
    let told = Told::new().await;
    let token = told.token("console", "alerts:read,alerts:write", &[]);
    let post = |more: &'static str, body: Value| {
        let (path, token) = (told.path(more), token.clone());
        let told = &told;
        async move { told.ask(&path, Some(&token), Some(body)).await }
    };
    assert!(told.line("bureau").await.2.is_some(), "more people would be told");
    let (status, answer) = post("/acknowledge", json!({ "by": "Duty One" })).await;
    assert_eq!((status, &answer["done"]), (200, &true.into()), "{answer}");
    assert_eq!(told.line("bureau").await, (Some("Duty One (console)".to_owned()), None, None));
    assert!(told.line("enterprise").await.2.is_some(), "the enterprise's line is its own");
    let (status, answer) = post("/acknowledge", json!({ "by": "DutyTwo" })).await;
    assert_eq!((status, &answer["done"]), (200, &false.into()));
    assert_eq!(answer["already"]["by"], "Duty One (console)");
    let (status, answer) = post("/assign", json!({ "to": "field team 2" })).await;
    assert_eq!((status, &answer["done"]), (200, &true.into()));
    let (status, _) = post("/comment", json!({ "text": "called the plant" })).await;
    assert_eq!(status, 200);
    let before = told.fingerprint().await;
    for (more, body, field) in [
        ("/close", json!({}), "body"),
        ("/close", json!({ "reason": "process-upset" }), "body"),
        ("/close", json!({ "reason": "weather", "action": "repaired" }), "reason"),
        ("/close", json!({ "reason": "process-upset", "action": "nothing" }), "action"),
        ("/close", json!({ "reason": "false-alarm", "action": "none-needed" }), "text"),
        ("/close", json!({ "reason": "bypass", "action": "repaired", "forced": true }), "body"),
        ("/comment", json!({ "text": "   " }), "text"),
        ("/comment", json!({ "text": "x".repeat(2001) }), "text"),
        ("/comment", json!([1]), "body"),
        ("/assign", json!({ "to": "a\nb" }), "to"),
        ("/acknowledge", json!({ "by": "" }), "by"),
        ("/acknowledge", json!({ "audience": "enterprise" }), "audience"),
        ("/acknowledge?x=1", json!({}), "x"),
    ] {
        let (status, answer) = post(more, body).await;
        assert_eq!((status, &answer["field"]), (400, &field.into()), "{more}: {answer}");
    }
    let (status, answer) = post("/comment", json!({ "text": "x".repeat(20_000) })).await;
    assert_eq!(status, 413, "{answer}");
    let (status, answer) = post("/acknowledge", json!({ "audience": "platform" })).await;
    assert_eq!(status, 409, "nobody of the platform was told: {answer}");
    assert_eq!(told.fingerprint().await, before, "what is refused stores nothing");
    let closing = json!({ "reason": "treatment-failure", "action": "repaired", "text": "bag 7 exchanged" });
    let (status, answer) = post("/close", closing.clone()).await;
    assert_eq!((status, &answer["done"]), (200, &true.into()), "{answer}");
    assert_eq!(answer["episode"]["state"], "open", "the episode's own state belongs to the figures");
    let line =
        answer["episode"]["handling"].as_array().unwrap().iter().find(|line| line["audience"] == "bureau");
    assert_eq!(
        (&line.unwrap()["reason"], &line.unwrap()["action"]),
        (&"treatment-failure".into(), &"repaired".into())
    );
    let (status, answer) = post("/close", closing).await;
    assert_eq!((status, &answer["done"]), (200, &false.into()));
    assert_eq!(post("/acknowledge", json!({})).await.0, 409);
    let (status, answer) = told.ask(&told.path(""), Some(&token), None).await;
    assert_eq!(status, 200);
    let what: Vec<&str> =
        answer["actions"].as_array().unwrap().iter().map(|one| one["what"].as_str().unwrap()).collect();
    assert_eq!(what.iter().filter(|what| **what != "told").count(), 4, "{what:?}");
    assert_eq!(answer["alerts"][0]["phase"], "begun");
    assert_eq!(told.ask("/api/v1/episodes/999999", Some(&token), None).await.0, 404);
    assert_eq!(told.ask("/api/v1/episodes/x/acknowledge", Some(&token), Some(json!({}))).await.0, 404);
    told.world.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_at_once_and_one_has_it() {
    let told = Told::new().await;
    let token = told.token("console", "alerts:write", &[]);
    let url = told.world.centre.url(&told.path("/acknowledge"));
    let ask = |number: usize| {
        let request =
            told.http.post(&url).bearer_auth(&token).json(&json!({ "by": format!("person {number}") }));
        async move { request.send().await.unwrap().json::<Value>().await.unwrap() }
    };
    let answers = futures_util::future::join_all((0..20).map(ask)).await;
    assert_eq!(answers.iter().filter(|answer| answer["done"] == true).count(), 1, "{answers:?}");
    let has = told.line("bureau").await.0.unwrap();
    let told_so = |answer: &&Value| answer["done"] == true || answer["already"]["by"] == has.as_str();
    assert_eq!(answers.iter().filter(told_so).count(), 20, "all are told who has it");
    assert_eq!(told.actions().await.len(), 1);
    told.world.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enterprise_sees_and_changes_nothing_of_others() {
    let told = Told::new().await;
    let scopes = "alerts:read,alerts:write,silences:read,silences:write,roster:read,rules:read,data:read";
    let own = told.token("own", scopes, &["--enterprise", OWN]);
    let other = told.token("other", scopes, &["--enterprise", OTHER]);
    let elsewhere = told.token("elsewhere", scopes, &["--division", "11"]);
    let district = told.token("district", scopes, &["--division", "4108"]);
    let before = told.fingerprint().await;
    for token in [&other, &elsewhere] {
        let (_, answer) = told.ask("/api/v1/episodes", Some(token), None).await;
        assert_eq!(answer["episodes"], json!([]));
        let (_, answer) = told.ask("/api/v1/alerts", Some(token), None).await;
        assert_eq!(answer["alerts"], json!([]));
        assert_eq!(told.ask(&told.path(""), Some(token), None).await.0, 404);
        assert_eq!(told.ask(&format!("/api/v1/alerts/{}", told.alert), Some(token), None).await.0, 404);
        assert_eq!(told.ask("/api/v1/outlets/demo-cement-kiln/scans", Some(token), None).await.0, 404);
        assert_eq!(
            told.ask("/api/v1/outlets/demo-cement-kiln/averages?period=hour", Some(token), None).await.0,
            404
        );
        for (more, body) in [
            ("/acknowledge", json!({})),
            ("/assign", json!({ "to": "me" })),
            ("/comment", json!({ "text": "x" })),
            ("/close", json!({ "reason": "bypass", "action": "repaired" })),
        ] {
            let (status, answer) = told.ask(&told.path(more), Some(token), Some(body)).await;
            assert_eq!(status, 404, "{more}: {answer}");
        }
    }
    assert_eq!(told.fingerprint().await, before);
    let codes = |answer: Value| -> Vec<String> {
        answer["outlets"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["code"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(codes(told.ask("/api/v1/outlets", Some(&own), None).await.1), ["demo-cement-kiln"]);
    assert_eq!(codes(told.ask("/api/v1/outlets", Some(&elsewhere), None).await.1), Vec::<String>::new());
    assert_eq!(codes(told.ask("/api/v1/outlets", Some(&district), None).await.1).len(), 3);

    // The bureau says something; the enterprise does not hear of it.
    let (status, answer) =
        told.ask(&told.path("/acknowledge"), Some(&district), Some(json!({ "by": "inspector" }))).await;
    assert_eq!(status, 200, "{answer}");
    let (status, answer) = told.ask(&told.path(""), Some(&own), None).await;
    assert_eq!(status, 200);
    assert!(!answer.to_string().contains("inspector"), "{answer}");
    assert_eq!(answer["handling"].as_array().unwrap().len(), 1);
    let (status, answer) = told.ask(&told.path("/acknowledge"), Some(&own), Some(json!({}))).await;
    assert_eq!((status, &answer["done"]), (200, &true.into()));
    assert_eq!(told.line("enterprise").await.0.as_deref(), Some("own"));
    assert_eq!(told.line("bureau").await.0.as_deref(), Some("inspector (district)"));
    let (status, _) =
        told.ask(&told.path("/acknowledge"), Some(&own), Some(json!({ "audience": "bureau" }))).await;
    assert_eq!(status, 400, "nobody acts for another audience");
    told.world.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silences_have_an_end_a_reason_and_an_author() {
    let told = Told::new().await;
    let bureau = told.token("bureau", "silences:read,silences:write", &[]);
    let own = told.token("own", "silences:read,silences:write", &["--enterprise", OWN]);
    let until = (cems::clock::now() + jiff::SignedDuration::from_hours(2)).to_string();
    let silence = |covers: Value| json!({ "kind": "maintenance", "covers": covers, "until": until, "reason": "bags are exchanged" });
    let covers = json!({ "outlet": "demo-cement-kiln" });
    let (status, made) = told.ask("/api/v1/silences", Some(&bureau), Some(silence(covers.clone()))).await;
    assert_eq!((status, &made["author"], &made["audience"]), (200, &"bureau".into(), &Value::Null), "{made}");
    let (status, its) = told.ask("/api/v1/silences", Some(&own), Some(silence(covers.clone()))).await;
    assert_eq!(status, 200, "{its}");
    assert_eq!(
        (&its["audience"], &its["covers"]["enterprise"]),
        (&"enterprise".into(), &OWN.into()),
        "never the bureau"
    );
    let before = told.fingerprint().await;
    let far = (cems::clock::now() + jiff::SignedDuration::from_hours(24 * 91)).to_string();
    for (body, status, field) in [
        (silence(json!({})), 400, "covers"),
        (silence(json!({ "outlet": "" })), 400, "covers.outlet"),
        (silence(json!({ "plant": "x" })), 400, "body"),
        (json!({ "kind": "silence", "covers": covers, "until": far, "reason": "x" }), 400, "until"),
        (
            json!({ "kind": "silence", "covers": covers, "until": "2020-01-01T00:00:00Z", "reason": "x" }),
            400,
            "until",
        ),
        (json!({ "kind": "silence", "covers": covers, "until": until, "reason": " " }), 400, "reason"),
        (json!({ "kind": "silence", "covers": covers, "reason": "for ever" }), 400, "body"),
        (json!({ "kind": "quiet", "covers": covers, "until": until, "reason": "x" }), 400, "body"),
    ] {
        let (found, answer) = told.ask("/api/v1/silences", Some(&bureau), Some(body)).await;
        assert_eq!((found, &answer["field"]), (status, &field.into()), "{answer}");
    }
    let foreign = json!({ "outlet": "demo-glass-furnace", "enterprise": OTHER });
    assert_eq!(told.ask("/api/v1/silences", Some(&own), Some(silence(foreign))).await.0, 403);
    let mut loud = silence(covers);
    loud["audience"] = "bureau".into();
    assert_eq!(told.ask("/api/v1/silences", Some(&own), Some(loud)).await.0, 403);
    let end = format!("/api/v1/silences/{}/end", made["id"]);
    assert_eq!(told.ask(&end, Some(&own), Some(json!({}))).await.0, 404, "the bureau's");
    assert_eq!(told.fingerprint().await, before);
    let (_, listed) = told.ask("/api/v1/silences", Some(&own), None).await;
    assert_eq!(listed["silences"].as_array().unwrap().len(), 1);
    let (_, listed) = told.ask("/api/v1/silences", Some(&bureau), None).await;
    assert_eq!(listed["silences"].as_array().unwrap().len(), 2);
    let (status, ended) = told.ask(&end, Some(&bureau), Some(json!({ "by": "Duty One" }))).await;
    assert_eq!((status, &ended["ended_by"]), (200, &"Duty One (bureau)".into()));
    assert_eq!(told.ask(&end, Some(&bureau), Some(json!({}))).await.0, 409);
    let (_, listed) = told.ask("/api/v1/silences", Some(&bureau), None).await;
    assert_eq!(listed["silences"].as_array().unwrap().len(), 1);
    let (_, listed) = told.ask("/api/v1/silences?all=yes&limit=1", Some(&bureau), None).await;
    let (_, rest) = told.ask(listed["next"].as_str().unwrap(), Some(&bureau), None).await;
    assert_eq!((&rest["silences"][0]["id"], &rest["next"]), (&made["id"], &Value::Null));
    told.world.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_say_how_often_they_were_right_and_recipients_are_masked() {
    let told = Told::new().await;
    let token = told.token("console", "alerts:read,alerts:write,rules:read", &[]);
    let rule = |answer: &Value| {
        let rules = answer["rules"].as_array().unwrap();
        rules.iter().find(|rule| rule["code"] == "early-warning").unwrap()["precision"].clone()
    };
    let (_, answer) = told.ask("/api/v1/rules", Some(&token), None).await;
    assert!(answer["rules"].as_array().unwrap().len() >= 28);
    assert_eq!(rule(&answer), json!({ "closed": 0, "confirmed": 0, "share": null }));
    let closing = json!({ "reason": "instrument-fault", "action": "recalibrated" });
    told.ask(&told.path("/close"), Some(&token), Some(closing)).await;
    let (_, answer) = told.ask("/api/v1/rules", Some(&token), None).await;
    assert_eq!(
        rule(&answer),
        json!({ "closed": 1, "confirmed": 0, "share": 0.0 }),
        "the instrument, not the emission"
    );
    let own = told.token("own", "rules:read", &["--enterprise", OWN]);
    let (_, answer) = told.ask("/api/v1/rules", Some(&own), None).await;
    assert_eq!(rule(&answer), Value::Null);

    let delivery = "INSERT INTO delivery (alert_id, channel_id, next_at, recipient, audience, team, person, step) \
                    SELECT $1::text::uuid, id, now() + interval '1 day', '13800001234', 'bureau', 'duty-desk', 'desk', 1 FROM notify_channel ORDER BY id LIMIT 1";
    told.world.client.execute(delivery, &[&told.alert]).await.unwrap();
    let (status, answer) = told.ask(&format!("/api/v1/alerts/{}", told.alert), Some(&token), None).await;
    assert_eq!(status, 200);
    let text = answer.to_string();
    assert!(text.contains("138****1234") && !text.contains("13800001234"), "{text}");
    let to = answer["deliveries"].as_array().unwrap().iter().find(|one| one["person"] == "desk").unwrap();
    assert_eq!(
        (&to["step"], &to["team"], &to["audience"]),
        (&1.into(), &"duty-desk".into(), &"bureau".into())
    );
    for (query, count) in [
        ("phase=begun", true),
        ("phase=withdrawn", false),
        ("audience=bureau", true),
        ("audience=platform", false),
    ] {
        let (status, answer) =
            told.ask(&format!("/api/v1/alerts?{query}&kind=early-warning"), Some(&token), None).await;
        assert_eq!(status, 200, "{answer}");
        let has = answer["alerts"].as_array().unwrap().iter().any(|alert| alert["id"] == told.alert.as_str());
        assert_eq!(has, count, "{query}: {answer}");
    }
    assert_eq!(told.ask("/api/v1/alerts?phase=new", Some(&token), None).await.0, 400);
    told.world.centre.stop().await;
}

/// Reads a stream of events until one fits; gives its text.
async fn until(response: &mut reqwest::Response, what: &str) -> String {
    let mut text = String::new();
    let read = async {
        while !text.contains(what) || !text.ends_with("\n\n") {
            let chunk = response.chunk().await.unwrap().unwrap_or_else(|| panic!("the stream ended: {text}"));
            text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    };
    let late = tokio::time::timeout(LIMIT, read).await.is_err();
    assert!(!late, "no {what} in {text}");
    text
}

fn ids(text: &str) -> Vec<i64> {
    text.lines().filter_map(|line| line.strip_prefix("id: ")).map(|id| id.parse().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_as_they_happen_and_go_on_where_they_were() {
    let told = Told::new().await;
    let token = told.token("console", "alerts:read,alerts:write", &[]);
    let own = told.token("own", "alerts:read", &["--enterprise", OWN]);
    let follow = |token: &str, last: Option<i64>| {
        let mut request = told.http.get(told.world.centre.url("/api/v1/events")).bearer_auth(token);
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last);
        }
        async move { request.send().await.unwrap() }
    };
    let mut stream = follow(&token, None).await;
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    until(&mut stream, "follows").await;
    let mut enterprise = follow(&own, None).await;
    until(&mut enterprise, "follows").await;
    told.ask(&told.path("/acknowledge"), Some(&token), Some(json!({ "by": "Duty One" }))).await;
    let text = until(&mut stream, "acknowledged").await;
    assert!(
        text.contains("\"by\":\"Duty One (console)\"") && text.contains("\"outlet\":\"demo-cement-kiln\""),
        "{text}"
    );
    let seen = *ids(&text).last().unwrap();
    drop(stream);
    told.ask(&told.path("/comment"), Some(&token), Some(json!({ "text": "one" }))).await;
    told.ask(&told.path("/close"), Some(&token), Some(json!({ "reason": "bypass", "action": "repaired" })))
        .await;
    let mut stream = follow(&token, Some(seen)).await;
    let text = until(&mut stream, "event: closed").await;
    assert!(text.contains("event: commented") && !text.contains("event: acknowledged"), "{text}");
    assert!(ids(&text).iter().all(|id| *id > seen) && ids(&text).is_sorted(), "{text}");
    // From the very beginning: the alert itself too.
    let mut stream = follow(&token, Some(0)).await;
    let text = until(&mut stream, "event: closed").await;
    assert!(text.contains("event: alert") && text.contains(&told.alert), "{text}");
    // The enterprise hears of its alert, and not of what the bureau does.
    drop(enterprise);
    let enterprise_token = told.token("own-2", "alerts:write", &["--enterprise", OWN]);
    told.ask(&told.path("/acknowledge"), Some(&enterprise_token), Some(json!({}))).await;
    let mut enterprise = follow(&own, Some(0)).await;
    let text = until(&mut enterprise, "event: acknowledged").await;
    assert!(
        text.contains("event: alert") && !text.contains("Duty One") && !text.contains("event: closed"),
        "{text}"
    );
    let other = told.token("other", "alerts:read", &["--enterprise", OTHER]);
    let mut nothing = follow(&other, Some(0)).await;
    until(&mut nothing, "follows").await;
    let more = tokio::time::timeout(Duration::from_secs(2), nothing.chunk()).await;
    assert!(more.is_err(), "another enterprise was told: {more:?}");
    assert_eq!(follow(&token, None).await.status(), 200);
    let wrong = told
        .http
        .get(told.world.centre.url("/api/v1/events"))
        .header("Last-Event-ID", "x")
        .send()
        .await
        .unwrap();
    assert_eq!(wrong.status(), 400);
    told.world.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_too_slowly_is_let_go_and_there_is_room_for_sixty_four() {
    let told = Told::new().await;
    let url = told.world.centre.url("/api/v1/events");
    let clients = || async {
        let figures =
            told.http.get(told.world.centre.url("/metrics")).send().await.unwrap().text().await.unwrap();
        let line = figures
            .lines()
            .find_map(|line| line.strip_prefix("cems_http_event_clients "))
            .unwrap()
            .to_owned();
        line.parse::<i64>().unwrap()
    };
    let mut streams = Vec::new();
    for _number in 0..64 {
        let mut stream = told.http.get(&url).send().await.unwrap();
        until(&mut stream, "follows").await;
        streams.push(stream);
    }
    assert_eq!(told.http.get(&url).send().await.unwrap().status(), 503);
    assert_eq!(clients().await, 64);
    drop(streams.split_off(1));
    wait_until(LIMIT, "the places to be free", || async {
        if clients().await == 1 { Ok(()) } else { Err(()) }
    })
    .await;
    // More than the buffers of two sockets hold; nobody reads it.
    let much = "INSERT INTO alert_news (at, what, episode_id, audience, by_whom) \
                SELECT now(), 'commented', 1, 'bureau', repeat('x', 1000) FROM generate_series(1, 20000)";
    told.world.client.execute(much, &[]).await.unwrap();
    let mut reader = told.http.get(&url).header("Last-Event-ID", "0").send().await.unwrap();
    let mut bytes = 0;
    while bytes < 20_000_000 {
        bytes += reader.chunk().await.unwrap().expect("who reads is not let go").len();
    }
    drop(reader);
    wait_until(Duration::from_secs(40), "the slow client to be let go", || async {
        let clients = clients().await;
        if clients == 0 { Ok(()) } else { Err(clients) }
    })
    .await;
    told.world.centre.stop().await;
}
