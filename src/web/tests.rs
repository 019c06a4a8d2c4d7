//! The routes without a database.

use std::collections::BTreeSet;

use super::*;
use crate::domain::plant::Plant;

/// A server on a free port whose database is at a closed port.
async fn server() -> (SocketAddr, Reporting, Shutdown) {
    let (reporting, shutdown) = (Reporting::default(), Shutdown::new());
    let state = state(reporting.clone(), "postgres://nobody:secret@127.0.0.1:1/none");
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    (start(listen, state, shutdown.clone()).await.unwrap(), reporting, shutdown)
}

fn state(reporting: Reporting, database: &str) -> State {
    let (_line, plant) = watch::channel(Arc::new(Plant::default()));
    let (_line, frames) = watch::channel(Arc::new(Frames::default()));
    let (database, zone, tokens) = (database.to_owned(), TimeZone::UTC, Tokens::Writes);
    State { reporting, database, plant, frames, zone, tokens }
}

async fn ask(address: SocketAddr, path: &str) -> reqwest::Response {
    client().get(format!("http://{address}{path}")).send().await.unwrap()
}

fn client() -> reqwest::Client {
    // A second installation only says that there is one already.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

async fn get_json(address: SocketAddr, path: &str) -> (u16, serde_json::Value) {
    let response = ask(address, path).await;
    (response.status().as_u16(), response.json().await.unwrap())
}

#[test]
fn every_address_is_described() {
    let document: serde_json::Value = serde_json::from_str(api::OPENAPI).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let described: BTreeSet<&str> =
        document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    let served: BTreeSet<&str> = addresses().iter().map(|(path, ..)| *path).collect();
    assert_eq!(described, served);
    let text = api::OPENAPI;
    for (index, _) in text.match_indices("\"$ref\": \"#/") {
        let pointer = text[index..].split('"').nth(3).unwrap();
        assert!(document.pointer(&pointer[1..]).is_some(), "{pointer} leads nowhere");
    }
}

#[tokio::test]
async fn readiness_says_which_part_is_not_ready() {
    let (address, reporting, _shutdown) = server().await;
    assert_eq!(get_json(address, "/readyz").await.0, 503, "nothing is ready before anything said so");
    reporting.readiness.set("database", true, "ok");
    reporting.readiness.set("broker", false, "no broker answers; start it");
    let (status, body) = get_json(address, "/readyz").await;
    assert_eq!(
        (status, &body["ready"], &body["parts"]["database"]["ready"]),
        (503, &false.into(), &true.into())
    );
    assert_eq!(body["parts"]["broker"]["detail"], "no broker answers; start it");
    reporting.readiness.set("broker", true, "ok");
    assert_eq!(get_json(address, "/readyz").await.0, 200);
    let alive = ask(address, "/healthz").await.text().await.unwrap();
    assert_eq!(alive, "ok");
    let figures = ask(address, "/metrics").await.text().await.unwrap();
    assert!(figures.contains("cems_http_requests_total{route=\"/readyz\",status=\"503\"} 2"), "{figures}");
}

#[tokio::test]
async fn refusals_say_rule_found_value_and_remedy_but_no_internals() {
    let (address, _reporting, _shutdown) = server().await;
    let (status, body) = get_json(address, "/api/v1/alerts?kind=fire").await;
    assert_eq!((status, &body["field"]), (400, &"kind".into()));
    let (status, body) = get_json(address, "/api/v1/outlets/nowhere/scans").await;
    assert_eq!((status, &body["field"]), (404, &"outlet".into()));
    assert!(body["error"].as_str().unwrap().contains("\"nowhere\""), "{body}");
    assert_eq!(get_json(address, "/api/v1/outlets/%ff/scans").await.0, 404);
    assert_eq!(get_json(address, "/nothing").await.0, 404);
    let long = format!("/api/v1/alerts?kind={}", "x".repeat(2000));
    assert_eq!(get_json(address, &long).await.0, 414);
    let posted = client().post(format!("http://{address}/api/v1/alerts")).send().await.unwrap();
    assert_eq!(posted.status(), 405);
    let (status, body) = get_json(address, "/api/v1/alerts").await;
    assert_eq!(status, 503);
    let text = body.to_string();
    assert!(text.contains("/readyz") && !text.contains("secret") && !text.contains("127.0.0.1"), "{text}");
}

#[tokio::test]
async fn answers_carry_the_headers_that_keep_browsers_safe() {
    let (address, _reporting, _shutdown) = server().await;
    for path in ["/", "/healthz", "/nothing", "/api/v1/alerts"] {
        let response = ask(address, path).await;
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("cache-control"), "no-store", "{path}");
        assert!(header("content-security-policy").starts_with("default-src 'none'"), "{path}");
    }
}

#[tokio::test]
async fn a_port_in_use_is_told_in_one_line() {
    let (address, reporting, shutdown) = server().await;
    let told = start(address, state(reporting, ""), shutdown).await.unwrap_err().to_string();
    assert!(
        told.contains(&address.to_string()) && told.contains("http.listen") && !told.contains('\n'),
        "{told}"
    );
}

#[tokio::test]
async fn a_database_that_hangs_does_not_hang_the_answer() {
    // Accepts and never says a word.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let database = format!("postgres://cems@{}/cems", silent.local_addr().unwrap());
    let state = state(Reporting::default(), &database);
    let shutdown = Shutdown::new();
    let address = start(SocketAddr::from(([127, 0, 0, 1], 0)), state, shutdown.clone()).await.unwrap();
    let asked = tokio::time::timeout(PATIENCE * 2, get_json(address, "/api/v1/episodes")).await;
    assert_eq!(asked.unwrap().0, 503);
    shutdown.cancel();
}
