//! The private servers: start, outage, and that nothing outlives us.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use cems::embedded::{Access, Account, Mosquitto, Postgres, ServerError, Servers};
use cems::mqtt::connection::{self, Acknowledge, Delivery, Notice, Outbox, Settings};
use cems::mqtt::topic::{self, Lane};
use cems::shutdown::Shutdown;
use tokio::sync::mpsc;

use crate::support::database::connect;
use crate::support::servers::{broker, broker_for, folder, own_postgres};
use crate::support::wait::wait_until;

const SOON: Duration = Duration::from_secs(10);
/// Set in a process that is to be killed.
const AS_PARENT: &str = "CEMS_TEST_AS_PARENT";

/// A connection to a broker; it ends with its receiver.
fn mqtt(port: u16, account: Option<&Account>, subscription: &str) -> mpsc::Receiver<Notice> {
    let settings = Settings {
        host: "127.0.0.1".to_owned(),
        port,
        tls: None,
        client_id: format!("test-{}", uuid::Uuid::now_v7()),
        credentials: account.map(|account| (account.user.clone(), account.password.clone())),
        inflight: 20,
        will: None,
        subscriptions: vec![subscription.to_owned()],
        acknowledge: Acknowledge::OnArrival,
        keep_alive: Duration::from_secs(5),
    };
    connection::connect(settings, Shutdown::new())
}

async fn next(notices: &mut mpsc::Receiver<Notice>) -> Notice {
    tokio::time::timeout(SOON, notices.recv()).await.expect("no notice").expect("the connection ended")
}

async fn connected(notices: &mut mpsc::Receiver<Notice>) -> Outbox {
    loop {
        if let Notice::Connected(outbox) = next(notices).await {
            return outbox;
        }
    }
}

async fn message(notices: &mut mpsc::Receiver<Notice>) -> (String, Bytes) {
    loop {
        if let Notice::Message(message) = next(notices).await {
            return (String::from_utf8(message.topic.to_vec()).unwrap(), message.payload);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_is_durable_and_keeps_what_is_committed_over_kill_and_restart() {
    let mut postgres = own_postgres().await;
    let url = postgres.create_database("plant").await.unwrap();
    assert_eq!(postgres.create_database("plant").await.unwrap(), url);
    let client = connect(&url).await;
    for (setting, value) in [("fsync", "on"), ("synchronous_commit", "on"), ("listen_addresses", "")] {
        let row = client.query_one(&format!("SHOW {setting}"), &[]).await.unwrap();
        assert_eq!(row.get::<_, String>(0), value, "{setting}");
    }
    client
        .batch_execute("CREATE TABLE t (x int); INSERT INTO t SELECT generate_series(1, 1000)")
        .await
        .unwrap();
    postgres.kill().await;
    assert_eq!(postgres.pid(), None);
    assert!(client.simple_query("TABLE t").await.is_err());
    postgres.restart().await.unwrap();
    let count = connect(&url).await.query_one("SELECT count(*) FROM t", &[]).await.unwrap();
    assert_eq!(count.get::<_, i64>(0), 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_postgres_hangs_and_a_resumed_one_answers() {
    let postgres = own_postgres().await;
    let client = connect(&postgres.url()).await;
    postgres.pause();
    let hung = tokio::time::timeout(Duration::from_millis(300), client.simple_query("SELECT 1")).await;
    assert!(hung.is_err(), "a paused server answered");
    postgres.resume();
    let answer = tokio::time::timeout(SOON, client.simple_query("SELECT 1")).await;
    assert!(answer.expect("a resumed server hangs").is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_would_be_sql_is_refused_and_makes_no_database() {
    let postgres = own_postgres().await;
    let refused = postgres.create_database("a\"; DROP DATABASE b; --").await;
    assert!(matches!(refused, Err(ServerError::DatabaseName { .. })));
    let client = connect(&postgres.url()).await;
    let count =
        client.query_one("SELECT count(*) FROM pg_database WHERE NOT datistemplate", &[]).await.unwrap();
    assert_eq!(count.get::<_, i64>(0), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_folder_of_a_running_server_is_refused_and_that_of_a_dropped_one_is_taken() {
    let folder = folder();
    let first = Servers::start(folder.path(), Access::Open).await.unwrap();
    let refused = Servers::start(folder.path(), Access::Open).await.unwrap_err();
    assert!(matches!(refused, ServerError::InUse { .. }), "{refused}");
    connect(&first.postgres.url()).await.batch_execute("CREATE TABLE kept (x int)").await.unwrap();
    drop(first);
    let mut second = Servers::start(folder.path(), Access::Open).await.unwrap();
    connect(&second.postgres.url()).await.batch_execute("TABLE kept").await.unwrap();
    second.stop().await;
    assert_eq!((second.postgres.pid(), second.mosquitto.pid()), (None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_run_side_by_side_and_in_a_path_too_long_for_a_socket() {
    let (one, other) = (folder(), folder());
    let long = other.path().join("a path, with blanks and commas").join("x".repeat(100));
    let (one, other) = tokio::join!(
        Servers::start(one.path(), Access::Open),
        Servers::start(&long, Access::Accounts(vec![Account::central().unwrap()]))
    );
    let (one, mut other) = (one.unwrap(), other.unwrap());
    assert_ne!(one.mosquitto.port(), other.mosquitto.port());
    connect(&one.postgres.url()).await.batch_execute("CREATE TABLE only_here (x int)").await.unwrap();
    assert!(connect(&other.postgres.url()).await.batch_execute("TABLE only_here").await.is_err());
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_keeps_its_port_over_kill_and_restart() {
    let mut broker = broker().await;
    let (url, port) = (broker.url(), broker.port());
    let mut notices = mqtt(port, None, "t");
    connected(&mut notices).await;
    broker.kill().await;
    assert!(matches!(next(&mut notices).await, Notice::Lost(_)));
    broker.restart().await.unwrap();
    assert_eq!(broker.url(), url);
    let outbox = connected(&mut notices).await;
    outbox.publish("t", Delivery::AtLeastOnce, "x", Vec::new()).await.unwrap();
    assert_eq!(message(&mut notices).await, ("t".to_owned(), Bytes::from("x")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_reaches_only_what_is_below_its_own_name() {
    let (central, one, other) =
        (Account::central().unwrap(), Account::gateway("gw-1").unwrap(), Account::gateway("gw-2").unwrap());
    let access = Access::Accounts(vec![central.clone(), one.clone(), other.clone()]);
    let broker = broker_for(access).await;

    let mut stranger = one.clone();
    stranger.password = "guessed".to_owned();
    let mut refused = mqtt(broker.port(), Some(&stranger), "t");
    let Notice::Lost(reason) = next(&mut refused).await else { panic!("a wrong password was let in") };
    assert!(reason.contains("refused us"), "{reason}");

    let mut centre = mqtt(broker.port(), Some(&central), &format!("$share/central/{}", Lane::Live.of("+")));
    let mut gateway = mqtt(broker.port(), Some(&one), &format!("{}/#", topic::ROOT));
    let mut neighbour = mqtt(broker.port(), Some(&other), &format!("{}/#", topic::ROOT));
    let (to_gateways, from_one, from_other) =
        tokio::join!(connected(&mut centre), connected(&mut gateway), connected(&mut neighbour));

    // What is forbidden goes first, so that it would arrive first. A refusal costs no connection.
    for forbidden in [Lane::Live.of("gw-1"), Lane::Receipt.of("gw-1"), topic::CENTRAL_STATUS.to_owned()] {
        from_other.publish(&forbidden, Delivery::AtLeastOnce, "forged", Vec::new()).await.unwrap();
    }
    from_other.publish(&Lane::Live.of("gw-2"), Delivery::AtLeastOnce, "own", Vec::new()).await.unwrap();
    assert_eq!(message(&mut centre).await, (Lane::Live.of("gw-2"), Bytes::from("own")));
    from_one.publish(&Lane::Live.of("gw-1"), Delivery::AtLeastOnce, "own", Vec::new()).await.unwrap();
    assert_eq!(message(&mut centre).await, (Lane::Live.of("gw-1"), Bytes::from("own")));

    to_gateways.publish(&Lane::Receipt.of("gw-2"), Delivery::AtLeastOnce, "two", Vec::new()).await.unwrap();
    to_gateways.publish(topic::CENTRAL_STATUS, Delivery::AtLeastOnce, "up", Vec::new()).await.unwrap();
    assert_eq!(message(&mut neighbour).await, (Lane::Live.of("gw-2"), Bytes::from("own")));
    assert_eq!(message(&mut neighbour).await, (Lane::Receipt.of("gw-2"), Bytes::from("two")));
    assert_eq!(message(&mut gateway).await, (Lane::Live.of("gw-1"), Bytes::from("own")));
    assert_eq!(message(&mut gateway).await, (topic::CENTRAL_STATUS.to_owned(), Bytes::from("up")));
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_that_could_reach_into_other_topics_are_refused() {
    let folder = folder();
    for name in ["central", "+", "gw/1", ""] {
        let access = Access::Accounts(vec![Account::gateway(name).unwrap()]);
        let refused = Mosquitto::start(folder.path(), access).await.unwrap_err();
        assert!(matches!(refused, ServerError::AccountName { .. }), "{name:?}: {refused}");
    }
}

/// Both servers of another process, which is killed: this test runs itself as that process.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_outlives_a_killed_parent_and_its_data_opens_again() {
    if let Some(folder) = std::env::var_os(AS_PARENT) {
        let servers = Servers::start(Path::new(&folder), Access::Open).await.unwrap();
        let busy = connect(&servers.postgres.url()).await;
        println!("pids {} {}", servers.postgres.pid().unwrap(), servers.mosquitto.pid().unwrap());
        let _killed = tokio::time::timeout(SOON * 6, busy.simple_query("SELECT pg_sleep(60)")).await;
        return;
    }
    let folder = folder();
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "embedded::nothing_outlives_a_killed_parent_and_its_data_opens_again",
            "--nocapture",
        ])
        .env(AS_PARENT, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(parent.stdout.take().unwrap()).lines();
    let pids = lines.map_while(Result::ok).find_map(|line| Some(line.split_once("pids ")?.1.to_owned()));
    let pids: Vec<u32> =
        pids.expect("the servers did not start").split(' ').map(|pid| pid.parse().unwrap()).collect();
    assert_eq!(pids.len(), 2);
    assert!(pids.iter().all(|pid| lives(*pid)));
    parent.kill().unwrap();
    parent.wait().unwrap();
    wait_until(Duration::from_secs(5), "both servers to end", || {
        let left: Vec<u32> = pids.iter().copied().filter(|pid| lives(*pid)).collect();
        async { if left.is_empty() { Ok(()) } else { Err(left) } }
    })
    .await;
    let mut postgres = Postgres::start(folder.path()).await.unwrap();
    connect(&postgres.url()).await.simple_query("SELECT 1").await.unwrap();
    postgres.stop().await;
}

/// Whether a process runs: one that nobody has reaped yet does not.
fn lives(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_name, fields)| !fields.starts_with(['Z', 'X']))
}
