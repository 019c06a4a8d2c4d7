//! Tokens of the API: made once, hashed, scoped, over, revoked, guessed, and in no log.

use std::process::{Command, Stdio};

use cems::domain::alerting::Audience;
use jiff::SignedDuration;
use serde_json::json;

use crate::support::alerted::{OWN, Told};
use crate::support::wait::wait_until;
use crate::support::world::LIMIT;

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_shown_once_and_does_what_it_may_until_it_is_over() {
    let told = Told::new().await;
    let (code, token, said) =
        told.cems(&["token", "create", "--name", "console", "--scope", "alerts:read,alerts:write"]);
    let token = token.trim();
    assert_eq!((code, token.len(), token.starts_with("cems_")), (0, 48, true), "{said}");
    assert!(!said.contains(token), "once");
    let dump = "SELECT string_agg(t::text, '') FROM api_token t";
    let kept: String = told.world.client.query_one(dump, &[]).await.unwrap().get(0);
    assert!(!kept.contains(&token[5..]), "only its hash is kept");
    let (code, listed, _) = told.cems(&["token", "list"]);
    assert!(
        code == 0 && listed.contains("console") && listed.contains("never") && !listed.contains(&token[5..]),
        "{listed}"
    );
    let acknowledge = told.path("/acknowledge");
    assert_eq!(
        told.ask(&acknowledge, None, Some(json!({}))).await.0,
        401,
        "what changes something needs one"
    );
    assert_eq!(told.ask(&acknowledge, Some("cems_x"), Some(json!({}))).await.0, 401);
    assert_eq!(told.ask("/api/v1/alerts", None, None).await.0, 200, "reading on loopback needs none");
    assert_eq!(
        told.ask("/api/v1/alerts", Some("cems_x"), None).await.0,
        401,
        "but a wrong one is not passed over"
    );
    let (status, answer) = told.ask("/api/v1/silences", Some(token), Some(json!({}))).await;
    assert!(status == 403 && answer["error"].as_str().unwrap().contains("silences:write"), "{answer}");
    assert_eq!(told.ask("/api/v1/rules", Some(token), None).await.0, 403);
    let (status, _) = told.ask(&acknowledge, Some(token), Some(json!({}))).await;
    assert_eq!(status, 200);
    let (_, listed, _) = told.cems(&["token", "list", "--json"]);
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert!(listed["tokens"][0]["used_at"].is_string() && listed["tokens"][0]["revoked_at"].is_null());
    let (code, said, _) = told.cems(&["token", "revoke", "console", "--by", "security officer"]);
    assert!(code == 0 && said.contains("security officer"), "{said}");
    assert_eq!(told.ask(&told.path(""), Some(token), None).await.0, 401, "at once");
    let (code, again, _) = told.cems(&["token", "revoke", "console", "--by", "somebody else"]);
    assert!(code == 0 && again == said, "the first revocation stands: {again}");
    let over = told.token("over", "alerts:read", &["--days", "1"]);
    assert_eq!(told.ask("/api/v1/alerts", Some(&over), None).await.0, 200);
    told.world
        .client
        .execute("UPDATE api_token SET expires_at = now() WHERE name = 'over'", &[])
        .await
        .unwrap();
    assert_eq!(told.ask("/api/v1/alerts", Some(&over), None).await.0, 401);
    for (arguments, said) in [
        (&["--name", "console", "--scope", "alerts:read"][..], "another name"),
        (&["--name", "x", "--scope", "everything"], "alerts:read"),
        (&["--name", " ", "--scope", "alerts:read"], "--name"),
        (&["--name", "x", "--scope", "alerts:read", "--enterprise", "nobody"], "--enterprise"),
        (&["--name", "x", "--scope", "alerts:read", "--division", "41%"], "--division"),
        (&["--name", "x", "--scope", "alerts:read", "--days", "0"], "--days"),
    ] {
        let (code, out, errors) = told.cems(&[&["token", "create"], arguments].concat());
        assert!(code == 2 && out.is_empty() && errors.contains(said), "{code} {errors}");
    }
    assert_eq!(told.world.count("SELECT count(*) FROM api_token").await, 2);
    assert_eq!(told.cems(&["token", "revoke", "nobody"]).0, 2);
    told.world.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_others_listen_everything_needs_a_token() {
    let told = Told::with("tokens = \"always\"\n").await;
    let token = told.token("reader", "alerts:read,data:read", &["--enterprise", OWN]);
    for path in [
        "/",
        "/api/v1/outlets",
        "/api/v1/alerts",
        "/api/v1/episodes",
        "/api/v1/events",
        "/api/v1/rules",
        "/api/v1/roster",
        "/api/v1/silences",
    ] {
        let response = told.http.get(told.world.centre.url(path)).send().await.unwrap();
        assert_eq!(response.status(), 401, "{path}");
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
    }
    for path in ["/healthz", "/readyz", "/metrics", "/style.css", "/api/v1/openapi.json"] {
        let response = told.http.get(told.world.centre.url(path)).send().await.unwrap();
        assert_ne!(response.status(), 401, "{path}");
    }
    assert_eq!(
        told.ask("/api/v1/outlets", Some(&token), None).await.1["outlets"].as_array().unwrap().len(),
        1
    );
    let page = told
        .http
        .get(told.world.centre.url("/"))
        .bearer_auth(&token)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(page.contains("demo-cement-kiln") && !page.contains("demo-glass-furnace"), "{page}");
    // Links go on without: the link is what one has.
    let link = told.link(Audience::Bureau, "desk", SignedDuration::from_hours(1)).await;
    assert_eq!(
        told.http.get(told.world.centre.url(&format!("/a/{link}"))).send().await.unwrap().status(),
        200
    );
    told.world.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_is_soon_not_listened_to_and_nobody_else_is_disturbed() {
    let told = Told::new().await;
    let token = told.token("console", "alerts:read", &[]);
    assert_eq!(told.ask("/api/v1/alerts", Some(&token), None).await.0, 200);
    let mut statuses = Vec::new();
    for number in 0..80_u8 {
        let guess = cems::domain::token::written([number; 32]);
        statuses.push(told.ask("/api/v1/alerts", Some(&guess), None).await.0);
    }
    assert!(statuses.starts_with(&[401]) && statuses.ends_with(&[429]), "{statuses:?}");
    assert!(statuses.iter().filter(|status| **status == 401).count() <= 60);
    assert_eq!(told.ask("/api/v1/alerts", Some(&token), None).await.0, 200);
    assert_eq!(told.ask("/api/v1/alerts", None, None).await.0, 200);
    let figures =
        told.http.get(told.world.centre.url("/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(figures.contains("cems_http_refused_tokens_total 60"), "{figures}");
    told.world.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_and_no_link_is_in_any_log() {
    let told = Told::new().await;
    let token = told.token("console", "alerts:read,alerts:write", &[]);
    let link = told.link(Audience::Bureau, "desk", SignedDuration::from_hours(1)).await;
    let folder = tempfile::tempdir().unwrap();
    let (config, log) = (folder.path().join("central.toml"), folder.path().join("log"));
    let text = format!(
        "schema = \"central/1\"\n[central]\n[database]\nurl = \"{}\"\n[mqtt]\nurl = \"mqtt://127.0.0.1:{}\"\n[http]\nlisten = \"127.0.0.1:0\"\n",
        told.world.database.url(),
        told.world.broker.port()
    );
    std::fs::write(&config, text).unwrap();
    let mut centre = Command::new(env!("CARGO_BIN_EXE_cems"))
        .args(["central", "--config", config.to_str().unwrap()])
        .env("CEMS_LOG", "trace")
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let read = || String::from_utf8_lossy(&std::fs::read(&log).unwrap()).into_owned();
    let address = wait_until(LIMIT, "the other centre to listen", || async {
        let text = read();
        let address = text.split("listens on ").nth(1).and_then(|rest| rest.split_whitespace().next());
        address.map(str::to_owned).ok_or(text.len())
    })
    .await;
    let guess = cems::domain::token::written([7; 32]);
    for secret in [&token, &guess] {
        let asked =
            told.http.get(format!("{address}/api/v1/alerts")).bearer_auth(secret).send().await.unwrap();
        assert!([200, 401].contains(&asked.status().as_u16()));
    }
    let wrong = link.replace(&link[40..44], "AAAA");
    for secret in [&link, &wrong] {
        told.http.get(format!("{address}/a/{secret}")).send().await.unwrap();
        let form = told.http.post(format!("{address}/a/{secret}")).body("do=acknowledge&name=Li");
        form.header("content-type", "application/x-www-form-urlencoded").send().await.unwrap();
    }
    let log = wait_until(LIMIT, "the refusal in the log", || async {
        let text = read();
        if text.contains("nobody here signed it") { Ok(text) } else { Err(text.len()) }
    })
    .await;
    centre.kill().unwrap();
    centre.wait().unwrap();
    for secret in [&token[5..], &guess[5..], &link, &wrong] {
        assert!(!log.contains(secret), "a secret is in the log");
    }
    told.world.centre.stop().await;
}
