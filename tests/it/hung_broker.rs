//! A broker that hangs: its connections stay open and nothing is taken from them. However much is on its way, nobody waits for it
//! for ever.

use std::time::Duration;

use cems::clock;
use cems::mqtt::connection::{Acknowledge, Delivery, Notice, Outbox, Settings, connect};
use cems::shutdown::Shutdown;
use tokio::sync::mpsc::Receiver;

use crate::support::chain::{LIMIT, all_ready};
use crate::support::servers::{Own, broker};
use crate::support::wait::wait_until;

/// Short, so that the hanging is noticed soon.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// More than the buffers between two processes hold.
const MESSAGE: usize = 250_000;

/// A connection to a broker that hangs, with so much on its way that no byte more is taken.
async fn stuck() -> (Own<cems::embedded::Mosquitto>, Receiver<Notice>, Outbox, Shutdown) {
    let broker = broker().await;
    let settings = Settings {
        host: "127.0.0.1".to_owned(),
        port: broker.port(),
        tls: None,
        client_id: "stuck".to_owned(),
        credentials: None,
        inflight: 100,
        will: None,
        subscriptions: Vec::new(),
        acknowledge: Acknowledge::OnArrival,
        keep_alive: KEEP_ALIVE,
    };
    let shutdown = Shutdown::new();
    let mut notices = connect(settings, shutdown.clone());
    let notice = tokio::time::timeout(LIMIT, notices.recv()).await.unwrap();
    let outbox = match notice {
        Some(Notice::Connected(outbox)) => outbox,
        Some(Notice::Lost(reason)) => panic!("not connected: {reason}"),
        Some(Notice::Message(_) | Notice::LeftOut) | None => panic!("not connected"),
    };
    broker.pause();
    for number in 0.. {
        let publishing = outbox.publish("t", Delivery::AtMostOnce, vec![b'x'; MESSAGE], Vec::new());
        if tokio::time::timeout(Duration::from_millis(200), publishing).await.is_err() {
            assert!(number > 100, "only {number} messages were taken");
            break;
        }
    }
    (broker, notices, outbox, shutdown)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_takes_nothing_more_is_given_up_and_its_return_is_seen() {
    let (broker, mut notices, _outbox, shutdown) = stuck().await;
    let since = clock::monotonic();
    let lost = tokio::time::timeout(LIMIT * 2, notices.recv()).await.expect("it is given up");
    let Some(Notice::Lost(reason)) = lost else { panic!("something else than lost") };
    println!("given up after {:.1} s: {reason}", since.elapsed().as_secs_f64());
    assert!(since.elapsed() < Duration::from_secs(25), "{:?}", since.elapsed());
    broker.resume();
    loop {
        let notice = tokio::time::timeout(LIMIT, notices.recv()).await.expect("it is back");
        if matches!(notice, Some(Notice::Connected(_))) {
            break;
        }
    }
    shutdown.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_takes_nothing_more_holds_up_no_end() {
    let (_broker, mut notices, _outbox, shutdown) = stuck().await;
    let since = clock::monotonic();
    shutdown.cancel();
    let closed = async { while notices.recv().await.is_some() {} };
    tokio::time::timeout(LIMIT, closed).await.expect("the connection ends");
    assert!(since.elapsed() < Duration::from_secs(4), "{:?}", since.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plant_whose_broker_hangs_says_so_and_loses_nothing() {
    let mut chain = crate::support::chain::Chain::start("").await;
    chain.broker.pause();
    wait_until(LIMIT, "the centre to say that the broker is away", || async {
        let parts = chain.centre.reporting.readiness.parts();
        if parts["broker"].ready { Err(parts) } else { Ok(()) }
    })
    .await;
    chain.plant.runs_for(3).await;
    assert!(chain.plant.spooled() > 6);
    chain.broker.resume();
    all_ready(&chain.centre).await;
    chain.plant.all_receipted(LIMIT).await;
    chain.plant.stop_gateway().await;
    let end = clock::now().as_second() + 1;
    chain.plant.start_gateway().await;
    chain.plant.all_receipted(LIMIT).await;
    crate::support::chain::nothing_lost(&chain.plant, &chain.client, end).await;
    chain.centre.shut().await;
}
