//! TLS to a real broker that asks for client certificates: who is let in, who is refused, and in which words.

use std::path::Path;
use std::process::{Command, Output};

use cems::config::broker::Tls;
use cems::mqtt::connection::{Notice, Settings, connect};
use cems::shutdown::Shutdown;

use crate::gateway::centre::Centre;
use crate::gateway::stub::Stub;
use crate::gateway::{Gateway, LIMIT, all, assert_chain, config, until};
use crate::support::centre::{Centre as RealCentre, seed};
use crate::support::certificates::{Authority, FAR, LONG_AGO, ONCE, Pair, TlsBroker};
use crate::support::chain::all_ready;
use crate::support::database::database;
use crate::support::servers::free_port;

/// Settings of a client by TLS.
fn settings(host: &str, port: u16, tls: Tls) -> Settings {
    Settings { host: host.to_owned(), tls: Some(tls), ..Centre::settings(port) }
}

/// A gateway's configuration for a broker by TLS.
fn secured(folder: &Path, port: u16, stub: &Stub, (authority, pair): (&Authority, &Pair)) -> String {
    let plain = config(folder, port, &[stub]);
    let text = plain
        .replace("mqtt://127.0.0.1", "mqtts://localhost")
        .replace("[publish]", &format!("{}[publish]", authority.table(pair)));
    assert_ne!(text, plain);
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_proves_itself_by_its_certificate_and_takes_a_renewed_one() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "ours");
    let server = authority.issue_for_long("localhost");
    let mut broker = TlsBroker::start(folder.path(), &authority, &server).await;
    let central = authority.tls(Some(&authority.issue_for_long("central")));
    let centre = Centre::start_with(settings("localhost", broker.port, central)).await;
    centre.receipt_everything();
    let stub = Stub::start().await;
    let own = authority.issue("gw-test", (LONG_AGO, (2088, 5, 6)));
    let gateway = Gateway::start(&secured(folder.path(), broker.port, &stub, (&authority, &own))).await;
    until("records arrive and are deleted", || centre.count("live") >= 5 && gateway.spooled() == 0).await;
    let says = |what: &str| centre.messages("status").iter().any(|status| status.text().contains(what));
    until("its end in the status", || says("\"certificate_until\":\"2088-05-06T00:00:00.000Z\"")).await;

    // Renewed in its place; the next connection takes it.
    authority.issue("gw-test", (LONG_AGO, (2089, 7, 8)));
    let before = centre.count("live");
    broker.restart().await;
    until("the new end in the status", || says("\"certificate_until\":\"2089-07-08T00:00:00.000Z\"")).await;
    until("records arrive again", || centre.count("live") > before && gateway.spooled() == 0).await;

    gateway.stop().await;
    // Its own goodbye, not the last will: that has no version.
    until("the goodbye", || {
        centre.messages("status").last().is_some_and(|status| {
            status.text().contains("\"online\":false") && !status.text().contains("\"version\":\"\"")
        })
    })
    .await;
    assert_chain(&all(&centre));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_the_user_that_the_access_list_goes_by() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "ours");
    let server = authority.issue_for_long("localhost");
    let broker = TlsBroker::start(folder.path(), &authority, &server).await;
    let tls = |name: &str| authority.tls(Some(&authority.issue_for_long(name)));
    let centre = Centre::start_with(settings("localhost", broker.port, tls("central"))).await;
    centre.receipt_everything();
    let stub = Stub::start().await;
    // Its name says gw-test, its certificate says otherwise.
    let other = authority.issue_for_long("gw-other");
    let text = secured(folder.path(), broker.port, &stub, (&authority, &other));
    let gateway = Gateway::start(&text).await;
    until("it is connected, and nothing is receipted", || {
        gateway.reporting.readiness.parts().get("broker").is_some_and(|part| part.ready)
            && gateway.spooled() >= 4
    })
    .await;
    assert_eq!(centre.count("live") + centre.count("backfill") + centre.count("status"), 0);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_centre_itself_goes_by_tls_and_says_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "ours");
    let server = authority.issue_for_long("localhost");
    let broker = TlsBroker::start(folder.path(), &authority, &server).await;
    let database = database().await;
    seed(&mut database.client().await, &[]).await;
    let text = format!(
        "schema = \"central/1\"\n[central]\n[database]\nurl = \"{}\"\n[mqtt]\nurl = \"mqtts://localhost:{}\"\n{}\
         [http]\nlisten = \"127.0.0.1:0\"\n",
        database.url(),
        broker.port,
        authority.table(&authority.issue_for_long("central"))
    );
    let mut real = RealCentre::start_by(database.url(), ("localhost".to_owned(), broker.port), &text).await;
    all_ready(&real).await;
    let stub = Stub::start().await;
    let own = authority.issue_for_long("gw-test");
    let gateway = Gateway::start(&secured(folder.path(), broker.port, &stub, (&authority, &own))).await;
    // No plant knows it: its records are kept in quarantine, and receipted.
    until("it has records", || gateway.spooled() > 0).await;
    until("everything is receipted", || gateway.spooled() == 0).await;
    until("one machine has one clock", || {
        gateway.clock_offset().is_some_and(|(offset, error)| offset.abs() <= error && error < 5.0)
    })
    .await;
    gateway.stop().await;
    real.shut().await;
}

/// Why a connection is refused, in the words that come each time.
async fn refusal(settings: Settings) -> String {
    let shutdown = Shutdown::new();
    let mut notices = connect(settings, shutdown.clone());
    let mut reasons = Vec::new();
    while reasons.len() < 3 {
        match tokio::time::timeout(LIMIT, notices.recv()).await.expect("a refusal in time") {
            Some(Notice::Lost(reason)) => reasons.push(reason),
            Some(Notice::Connected(_)) => panic!("connected"),
            Some(Notice::Message(_) | Notice::LeftOut) | None => {}
        }
    }
    shutdown.cancel();
    assert!(reasons.iter().all(|reason| *reason == reasons[0]), "not once, but each time: {reasons:#?}");
    println!("{}", reasons[0]);
    reasons[0].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_cannot_be_trusted_is_refused_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "ours");
    let foreign = Authority::new(folder.path(), "foreign");
    let own = authority.issue_for_long("central");
    let tls = || authority.tls(Some(&own));

    let expired = authority.issue("localhost", (LONG_AGO, ONCE));
    let broker = TlsBroker::start(folder.path(), &authority, &expired).await;
    let reason = refusal(settings("localhost", broker.port, tls())).await;
    assert!(reason.contains("expired at 2024-02-29T00:00:00Z; renew it at the broker"), "{reason}");
    drop(broker);

    let early = authority.issue("localhost", ((2089, 1, 1), FAR));
    let broker = TlsBroker::start(folder.path(), &authority, &early).await;
    let reason = refusal(settings("localhost", broker.port, tls())).await;
    assert!(reason.contains("is not valid before 2089-01-01T00:00:00Z"), "{reason}");
    drop(broker);

    let server = foreign.issue_for_long("localhost");
    let broker = TlsBroker::start(folder.path(), &foreign, &server).await;
    let reason = refusal(settings("localhost", broker.port, tls())).await;
    assert!(reason.contains("was signed by nobody in") && reason.contains("mqtt.tls.ca"), "{reason}");
    drop(broker);

    let server = authority.issue_for_long("broker.example");
    let broker = TlsBroker::start(folder.path(), &authority, &server).await;
    let reason = refusal(settings("localhost", broker.port, tls())).await;
    assert!(reason.contains("is for broker.example, not for localhost; write a name"), "{reason}");
    drop(broker);

    let plain = crate::support::servers::broker().await;
    let reason = refusal(settings("localhost", plain.port(), tls())).await;
    assert!(reason.contains("hangs up at the greeting of TLS; correct the port"), "{reason}");
    let reason = refusal(settings("localhost", free_port(), tls())).await;
    assert!(reason.contains("no broker at localhost:"), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_the_broker_does_not_trust_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "ours");
    let foreign = Authority::new(folder.path(), "foreign");
    let server = authority.issue_for_long("127.0.0.1");
    let broker = TlsBroker::start(folder.path(), &authority, &server).await;

    let reason = refusal(settings("127.0.0.1", broker.port, authority.tls(None))).await;
    assert!(reason.contains("set mqtt.tls.certificate and mqtt.tls.key"), "{reason}");

    let stranger = foreign.issue_for_long("central");
    let reason = refusal(settings("127.0.0.1", broker.port, authority.tls(Some(&stranger)))).await;
    assert!(reason.contains("does not know who signed our certificate"), "{reason}");

    // Files that do not serve are told by the connection too, should nobody have looked before.
    let expired = authority.issue("central", (LONG_AGO, ONCE));
    let reason = refusal(settings("127.0.0.1", broker.port, authority.tls(Some(&expired)))).await;
    assert!(reason.contains("which expired at 2024-02-29T00:00:00Z"), "{reason}");
}

/// `cems ROLE --config`, which must end by itself.
fn started(folder: &Path, role: &str, text: &str) -> (Output, String) {
    let file = folder.join("role.toml");
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_cems"));
    let output = command.arg(role).arg("--config").arg(&file).output().unwrap();
    let told = String::from_utf8(output.stderr.clone()).unwrap();
    (output, told)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_starts_with_files_that_do_not_serve() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "ours");
    let stub = Stub::start().await;
    let (good, other) = (authority.issue_for_long("gw-test"), authority.issue_for_long("gw-other"));
    let absent = Pair { certificate: folder.path().join("absent.crt"), ..good.clone() };
    let exchanged = Pair { certificate: good.key.clone(), key: good.certificate.clone() };
    let cases: [(Pair, &[&str]); 3] = [
        (
            Pair { key: other.key.clone(), ..good.clone() },
            &["mqtt.tls.key", "which is not the key of", "gw-test.crt"],
        ),
        (absent, &["mqtt.tls.certificate", "absent.crt", "which cannot be read: No such file"]),
        (
            exchanged,
            &[
                "there is no certificate; certificates in PEM",
                "there is no private key; a private key",
                "2 problems",
            ],
        ),
    ];
    for (pair, words) in cases {
        let text = secured(folder.path(), 1, &stub, (&authority, &pair));
        let (output, told) = started(folder.path(), "gateway", &text);
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(words.iter().all(|word| told.contains(word)), "{words:?}: {told}");
        assert!(!folder.path().join("spool").exists(), "nothing was made");
    }
    // A certificate of nobody, in the place of the authority; and the same for the centre.
    let nobody = Authority { certificate: good.key.clone(), ..authority };
    let text = secured(folder.path(), 1, &stub, (&nobody, &good));
    let (output, told) = started(folder.path(), "gateway", &text);
    assert_eq!((output.status.code(), told.contains("mqtt.tls.ca: found")), (Some(2), true), "{told}");
    let text = format!(
        "schema = \"central/1\"\n[central]\n[database]\nurl = \"postgresql://nobody@127.0.0.1:1/none\"\n\
         [mqtt]\nurl = \"mqtts://localhost\"\n{}",
        nobody.table(&good)
    );
    let (output, told) = started(folder.path(), "central", &text);
    assert_eq!(
        (output.status.code(), told.contains("role.toml:8: mqtt.tls.ca: found")),
        (Some(2), true),
        "{told}"
    );
}

/// A certificate that has ended is no reason to measure nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_an_expired_certificate_a_gateway_measures_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "ours");
    let (stub, server) = (Stub::start().await, authority.issue_for_long("localhost"));
    let broker = TlsBroker::start(folder.path(), &authority, &server).await;
    let centre = Centre::start_with(settings(
        "localhost",
        broker.port,
        authority.tls(Some(&authority.issue_for_long("central"))),
    ))
    .await;
    centre.receipt_everything();
    let expired = authority.issue("gw-test", (LONG_AGO, ONCE));
    let gateway = Gateway::start(&secured(folder.path(), broker.port, &stub, (&authority, &expired))).await;
    until("records wait in the spool", || gateway.spooled() >= 4).await;
    let said = gateway.reporting.readiness.parts()["broker"].detail.clone();
    assert!(said.contains("expired at 2024-02-29T00:00:00Z") && said.contains("have it renewed"), "{said}");
    // Renewed under the same name: no restart.
    authority.issue_for_long("gw-test");
    until("they are receipted", || gateway.spooled() == 0 && centre.count("live") > 0).await;
    gateway.stop().await;
}
