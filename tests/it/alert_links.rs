//! The page of a link: a phone at night, previews, guesses, names that are markup.

use cems::domain::alerting::Audience;
use jiff::SignedDuration;

use crate::support::alerted::Told;
use crate::support::wait::wait_until;
use crate::support::world::LIMIT;

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// A page: status, headers, text.
async fn get(told: &Told, token: &str, query: &str) -> (u16, reqwest::header::HeaderMap, String) {
    let response = told.http.get(told.world.centre.url(&format!("/a/{token}{query}"))).send().await.unwrap();
    (response.status().as_u16(), response.headers().clone(), response.text().await.unwrap())
}

/// A form that is sent.
async fn post(told: &Told, token: &str, body: &str) -> (u16, String) {
    let request = told.http.post(told.world.centre.url(&format!("/a/{token}"))).body(body.to_owned());
    let response = request.header("content-type", "application/x-www-form-urlencoded").send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

/// A person in the lists, and the centre knows it.
async fn person(told: &Told, code: &str, name: &str, language: &str) {
    let body = serde_json::json!({ "code": code, "name": name, "language": language, "addresses": [] });
    let insert = "INSERT INTO law_entry (list, subject, valid_from, body, revision, stored_at) \
                  VALUES ('person', $1, '2020-01-01T00:00:00Z', $2, 0, now())";
    told.world.client.execute(insert, &[&code, &body]).await.unwrap();
    told.world.client.execute("UPDATE plant_revision SET revision = revision + 1", &[]).await.unwrap();
    let token = told.link(Audience::Bureau, code, DAY).await;
    wait_until(LIMIT, "the person to be known", || async {
        let (_, _, page) = get(told, &token, "").await;
        if page.contains("name=\"name\"") { Err(()) } else { Ok(()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn to_look_changes_nothing_and_one_button_takes_it() {
    let told = Told::new().await;
    person(&told, "desk", "Duty One", "en").await;
    let token = told.link(Audience::Bureau, "desk", DAY).await;
    let before = told.fingerprint().await;
    for query in ["", "?lang=zh", "?lang=en"] {
        let (status, headers, page) = get(&told, &token, query).await;
        assert_eq!(status, 200);
        let header = |name: &str| headers[name].to_str().unwrap().to_owned();
        assert_eq!(
            (header("referrer-policy"), header("cache-control")),
            ("no-referrer".to_owned(), "no-store".to_owned())
        );
        assert!(header("x-robots-tag").contains("noindex"));
        assert!(header("content-security-policy").starts_with("default-src 'none'"));
        assert!(!header("content-security-policy").contains("unsafe"));
        assert!(page.len() <= 10 * 1024, "{} bytes", page.len());
        assert!(page.contains("width=device-width") && page.contains("Demo kiln stack"), "{page}");
        // Under any prefix: nothing leads to the root, or elsewhere, and nothing is inline.
        assert!(
            !page.contains("href=\"/") && !page.contains("src=\"/") && !page.contains("action="),
            "{page}"
        );
        assert!(!page.contains("://") && !page.contains("style=") && !page.contains("onclick"), "{page}");
        assert!(!page.contains(&token), "the address is not repeated");
        assert_eq!(page.contains("I have it"), query != "?lang=zh", "{page}");
    }
    let (_, headers, _) = get(&told, &token, "").await;
    assert_eq!(headers["content-type"], "text/html; charset=utf-8");
    assert_eq!(told.fingerprint().await, before, "a preview changes nothing");
    assert_eq!(post(&told, &token, "do=seen").await.0, 204);
    assert_eq!(post(&told, &token, "do=seen").await.0, 204);
    assert_eq!(told.actions().await, [("seen".to_owned(), "Duty One".to_owned(), "link".to_owned())]);
    let (status, _) = post(&told, &token, "do=acknowledge&lang=en").await;
    assert_eq!(status, 303);
    assert_eq!(told.line("bureau").await, (Some("Duty One".to_owned()), None, None));
    let (_, _, page) = get(&told, &token, "").await;
    assert!(
        page.contains("Acknowledged by <strong>Duty One</strong>") && !page.contains("I have it"),
        "{page}"
    );
    // A second time by the same link: refused, and noted.
    let before = told.fingerprint().await;
    let (status, page) = post(&told, &token, "do=acknowledge").await;
    assert!(status == 409 && page.contains("Nothing was changed"), "{page}");
    assert_eq!(told.fingerprint().await, before);
    assert_eq!(told.actions().await.last().unwrap().0, "link-refused");
    // Somebody else's link: who has it stands on the page.
    let late = told.link(Audience::Bureau, "team-2", DAY).await;
    assert_eq!(post(&told, &late, "do=acknowledge&name=DutyTwo").await.0, 303);
    assert!(get(&told, &late, "?lang=en").await.2.contains("Acknowledged by <strong>Duty One</strong>"));
    assert_eq!(told.line("bureau").await.0.as_deref(), Some("Duty One"));
    told.world.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_is_never_one_tap_and_a_groups_link_asks_for_a_name() {
    let told = Told::new().await;
    let token = told.link(Audience::Enterprise, "night-shift", DAY).await;
    let before = told.fingerprint().await;
    let long = format!("do=comment&name=Li&text={}", "x".repeat(2001));
    let huge = format!("do=comment&name=Li&text={}", "x".repeat(20_000));
    for (body, status) in [
        ("do=acknowledge", 400),
        ("do=acknowledge&name=%0A", 400),
        ("do=close&name=Li", 400),
        ("do=close&name=Li&reason=bypass", 400),
        ("do=close&name=Li&reason=&action=repaired", 400),
        ("do=close&name=Li&reason=weather&action=repaired", 400),
        ("do=close&name=Li&reason=other-cause&action=repaired", 400),
        ("do=comment&name=Li&text=+", 400),
        (&long, 400),
        ("do=delete&name=Li", 400),
        ("do=acknowledge&name=Li&force=1", 400),
        ("", 400),
        (&huge, 413),
    ] {
        let (found, page) = post(&told, &token, body).await;
        assert_eq!(found, status, "{}: {page}", &body[..body.len().min(60)]);
    }
    let url = told.world.centre.url(&format!("/a/{token}"));
    let json =
        told.http.post(&url).header("content-type", "application/json").body("{}").send().await.unwrap();
    assert_eq!(json.status(), 415);
    for method in [reqwest::Method::PUT, reqwest::Method::DELETE] {
        assert_eq!(told.http.request(method, &url).send().await.unwrap().status(), 405);
    }
    assert_eq!(told.fingerprint().await, before, "what is refused stores nothing");
    let comment =
        "do=comment&name=%3Cscript%3Ealert(1)%3C/script%3E&text=%3Cimg+src%3Dx+onerror%3Dalert(1)%3E%22%27";
    assert_eq!(post(&told, &token, comment).await.0, 303);
    let closing = "do=close&name=Duty+One&reason=reagent-shortage&action=reagent-added&text=ammonia";
    assert_eq!(post(&told, &token, closing).await.0, 303);
    assert_eq!(told.line("enterprise").await.1.as_deref(), Some("Duty One (night-shift)"));
    assert_eq!(told.line("bureau").await.1, None, "the bureau's line is its own");
    let (_, _, page) = get(&told, &token, "?lang=en").await;
    assert!(
        page.contains("&lt;script&gt;") && page.contains("&lt;img src=x onerror=alert(1)&gt;&quot;&#39;"),
        "{page}"
    );
    assert!(!page.contains("<script>") && !page.contains("<img"), "{page}");
    assert!(
        page.contains("Closed by <strong>Duty One (night-shift)</strong>")
            && page.contains("reagent shortage"),
        "{page}"
    );
    assert_eq!(post(&told, &token, closing).await.0, 409);
    assert_eq!(post(&told, &token, "do=acknowledge&name=Li").await.0, 409);
    // Twenty comments are enough for one link.
    for number in 1..20 {
        assert_eq!(
            post(&told, &token, &format!("do=comment&name=Li&text={number}{}", "%E5%AD%97".repeat(1500)))
                .await
                .0,
            303
        );
    }
    assert_eq!(post(&told, &token, "do=comment&name=Li&text=more").await.0, 409);
    let (_, _, page) = get(&told, &token, "?lang=zh").await;
    assert!(page.len() <= 10 * 1024, "{} bytes with a long history", page.len());
    told.world.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_an_old_and_a_guessed_link_change_nothing_and_are_noted() {
    let told = Told::new().await;
    let good = told.link(Audience::Bureau, "desk", DAY).await;
    let over = told.link(Audience::Bureau, "desk", SignedDuration::from_secs(-1)).await;
    let flipped = |token: &str, place: usize| {
        let mut letters: Vec<char> = token.chars().collect();
        letters[place] = if letters[place] == 'A' { 'B' } else { 'A' };
        letters.into_iter().collect::<String>()
    };
    let before = told.fingerprint().await;
    // The end moved, the signature changed, the number changed, cut, garbage.
    let wrong = [
        flipped(&good, 30),
        flipped(&good, 50),
        flipped(&good, 3),
        good[..50].to_owned(),
        "x".to_owned(),
        "%ff".to_owned(),
    ];
    for token in &wrong {
        let (status, _, page) = get(&told, token, "").await;
        assert!(
            status == 404 && page.contains("not valid") && page.contains("无效"),
            "{token}: {status} {page}"
        );
        let (status, _) = post(&told, token, "do=acknowledge&name=Li").await;
        assert_eq!(status, 404, "{token}");
    }
    let (status, _, page) = get(&told, &over, "").await;
    assert!(status == 410 && page.contains("expired") && page.contains("过期"), "{page}");
    assert_eq!(post(&told, &over, "do=acknowledge&name=Li").await.0, 410);
    assert_eq!(told.fingerprint().await, before);
    let sql = "SELECT detail->>'why', count(*) FROM episode_action WHERE what = 'link-refused' GROUP BY 1 ORDER BY 1";
    let noted: Vec<(String, i64)> =
        told.world.client.query(sql, &[]).await.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(noted, [("expired".to_owned(), 1), ("tampered".to_owned(), 1)], "once a minute each");
    // Guessing goes on: soon nobody listens, but who has a right link is not disturbed.
    let mut statuses = Vec::new();
    for number in 0..40 {
        statuses.push(get(&told, &flipped(&good, number % 50), "").await.0);
    }
    assert!(
        statuses.ends_with(&[429]) && statuses.iter().all(|status| [404, 429].contains(status)),
        "{statuses:?}"
    );
    assert_eq!(get(&told, &good, "").await.0, 200);
    assert_eq!(post(&told, &good, "do=acknowledge&name=Li").await.0, 303);
    let figures =
        told.http.get(told.world.centre.url("/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(figures.contains("cems_alert_links_refused_total{why=\"expired\"} 2"), "{figures}");
    assert!(figures.contains("route=\"/a/{token}\"") && !figures.contains(&good), "no link in the figures");
    told.world.centre.stop().await;
}
