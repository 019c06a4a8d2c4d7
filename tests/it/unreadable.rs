//! Messages that cannot be read: kept whole, receipted by what their properties say, and by nothing else.

use std::collections::BTreeSet;

use cems::mqtt::connection::{Delivery, Notice};
use cems::mqtt::receipt::{Receipt, property};

use crate::support::wait::wait_until;
use crate::support::world::{LIMIT, Sender, World, kiln, two_gateways, whole_second, world_of};

const GLASS: &str = "demo-glass-furnace";

/// Publishes bytes with these user properties.
async fn publish(sender: &Sender, payload: &[u8], properties: &[(&str, &str)]) {
    let properties =
        properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let topic = format!("cems/v1/{}/live", sender.gateway);
    sender.outbox.publish(&topic, Delivery::AtLeastOnce, payload.to_vec(), properties).await.unwrap();
}

/// Sends one good record and reads receipts until it is covered. Gives the epochs and quarantined numbers of every receipt: one
/// batch has one receipt a gateway and epoch, so what is not in them was not receipted.
async fn receipts_up_to_a_good_one(world: &World, sender: &mut Sender, kept: i64) -> BTreeSet<(String, u64)> {
    wait_until(LIMIT, "what is kept", || async {
        let found = world.count("SELECT count(*) FROM quarantine").await;
        if found == kept { Ok(()) } else { Err(found) }
    })
    .await;
    let (number, line) = (sender.seq, sender.event(whole_second(), "start", &[("version", "1")]));
    sender.publish("live", number, &[line]).await;
    let mut quarantined = BTreeSet::new();
    loop {
        let notice = tokio::time::timeout(LIMIT, sender.notices.recv()).await.expect("a receipt");
        let Some(Notice::Message(message)) = notice else { continue };
        let receipt = Receipt::decode(&message.payload, sender.gateway).unwrap();
        let numbers = receipt.quarantined.iter().flat_map(|(first, last)| first..=last);
        quarantined.extend(numbers.map(|number| (receipt.epoch.clone(), number)));
        if receipt.epoch == sender.epoch.to_string() && receipt.ranges.contains(number) {
            return quarantined;
        }
    }
}

/// What is kept of a gateway: epoch, first and last number, bytes; in the order of coming.
async fn kept(world: &World, gateway: &str) -> Vec<(Option<String>, Option<(i64, i64)>, Vec<u8>)> {
    let sql = "SELECT epoch, seq_first, seq_last, payload FROM quarantine WHERE gateway = $1 ORDER BY seq_first, id";
    let rows = world.client.query(sql, &[&gateway]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get::<_, Option<i64>>(1).zip(row.get(2)), row.get(3))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_record_are_receipted_by_their_properties() {
    let world = world_of(two_gateways(), "").await;
    let mut sender = Sender::connect(world.broker.port()).await;
    let epoch = "0123456789abcdef0123456789abcdef";
    let range = |first, last| [(property::EPOCH, epoch), (property::FIRST, first), (property::LAST, last)];
    let packed = b"\x1f\x8b\x08\x00 as if somebody had packed it\n on its way".to_vec();
    publish(&sender, &packed, &range("700", "711")).await;
    publish(&sender, b"", &range("720", "720")).await;
    publish(&sender, b"one\ntwo", &range("731", "732")).await;
    let quarantined = receipts_up_to_a_good_one(&world, &mut sender, 4).await;
    let numbers = (700..=711).chain([720, 731, 732]);
    assert_eq!(quarantined, numbers.map(|number| (epoch.to_owned(), number)).collect());
    let expected = [
        ((700, 711), packed),
        ((720, 720), Vec::new()),
        ((731, 731), b"one".to_vec()),
        ((732, 732), b"two".to_vec()),
    ];
    let expected: Vec<_> =
        expected.into_iter().map(|(range, bytes)| (Some(epoch.to_owned()), Some(range), bytes)).collect();
    assert_eq!(kept(&world, "gw-demo").await, expected);
    world.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_usable_properties_they_are_kept_and_not_receipted() {
    let world = world_of(two_gateways(), "").await;
    let mut sender = Sender::connect(world.broker.port()).await;
    let endless = "e".repeat(2000);
    let cases: [&[(&str, &str)]; 7] = [
        &[],
        &[(property::FIRST, "1"), (property::LAST, "1")],
        &[(property::EPOCH, "abc"), (property::LAST, "1")],
        &[(property::EPOCH, "abc"), (property::FIRST, "1")],
        &[(property::EPOCH, "abc"), (property::FIRST, "9"), (property::LAST, "1")],
        &[(property::EPOCH, "abc"), (property::FIRST, "-1"), (property::LAST, "18446744073709551616")],
        &[(property::EPOCH, &endless), (property::FIRST, "1"), (property::LAST, "1")],
    ];
    for (index, properties) in cases.iter().enumerate() {
        publish(&sender, format!("noise {index}").as_bytes(), properties).await;
    }
    assert_eq!(receipts_up_to_a_good_one(&world, &mut sender, 7).await, BTreeSet::new());
    let bytes: BTreeSet<Vec<u8>> =
        kept(&world, "gw-demo").await.into_iter().map(|(_, _, bytes)| bytes).collect();
    assert_eq!(bytes, (0..7).map(|index| format!("noise {index}").into_bytes()).collect());

    // What says by itself whose and which it is needs no properties.
    let told = format!("{{\"v\":9,\"epoch\":\"{}\",\"seq\":77}}", sender.epoch);
    publish(&sender, told.as_bytes(), &[]).await;
    let quarantined = receipts_up_to_a_good_one(&world, &mut sender, 8).await;
    assert_eq!(quarantined, BTreeSet::from([(sender.epoch.to_string(), 77)]));
    // The broker is not asked for any of them again: they are acknowledged.
    assert_eq!(world.count("SELECT count(*) FROM quarantine").await, 8);
    world.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_gateways_record_is_kept_under_the_name_that_it_came_by() {
    let world = world_of(two_gateways(), "").await;
    let port = world.broker.port();
    let mut sender = Sender::connect(port).await;
    let mut other = Sender::connect_as(port, "gw-two", GLASS).await;
    let mut nobody = Sender::connect_as(port, "gw-nobody", GLASS).await;
    let foreign = other.record(whole_second(), &kiln(20.0, 10.0));
    sender.publish("live", 0, std::slice::from_ref(&foreign)).await;
    sender.seq = 1;
    assert_eq!(sender.receipted(0..1).await, [0]);
    // The right one sends it too: it is stored and receipted to it.
    other.publish("live", 0, std::slice::from_ref(&foreign)).await;
    assert!(other.receipted(0..1).await.is_empty());
    assert_eq!(world.count("SELECT count(*) FROM scan").await, 1);
    // One that nobody has registered.
    let unknown = nobody.record(whole_second(), &kiln(20.0, 10.0));
    nobody.publish("live", 0, std::slice::from_ref(&unknown)).await;
    assert_eq!(nobody.receipted(0..1).await, [0]);
    for (gateway, bytes) in [("gw-demo", &foreign), ("gw-nobody", &unknown)] {
        let kept: Vec<Vec<u8>> = kept(&world, gateway).await.into_iter().map(|(_, _, bytes)| bytes).collect();
        assert_eq!(kept, std::slice::from_ref(bytes), "{gateway}");
    }
    wait_until(LIMIT, "an alert a gateway", || async {
        let told = world.webhook.of_kind("quarantine");
        if told.len() == 2 { Ok(()) } else { Err(told) }
    })
    .await;
    assert!(receipts_up_to_a_good_one(&world, &mut sender, 2).await.is_empty());
    world.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_good_lines_of_a_partly_bad_message_are_stored() {
    let world = world_of(two_gateways(), "").await;
    let mut sender = Sender::connect(world.broker.port()).await;
    let at = |second: i64| whole_second() - jiff::SignedDuration::from_secs(600 - second);
    let mut lines: Vec<Vec<u8>> = (0..12).map(|i| sender.record(at(i), &kiln(20.0, 10.0))).collect();
    let bad = [1, 4, 5, 11];
    for index in bad {
        let half = lines[index].len() / 2;
        lines[index].truncate(half);
    }
    sender.publish("backfill", 0, &lines).await;
    assert_eq!(sender.receipted(0..12).await, [1, 4, 5, 11]);
    let sql = "SELECT seq FROM scan ORDER BY seq";
    let stored: Vec<i64> = world.client.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    assert_eq!(stored, [0, 2, 3, 6, 7, 8, 9, 10]);
    let expected: Vec<_> = bad
        .iter()
        .map(|index| {
            let number = i64::try_from(*index).unwrap();
            (Some(sender.epoch.to_string()), Some((number, number)), lines[*index].clone())
        })
        .collect();
    assert_eq!(kept(&world, "gw-demo").await, expected);
    // Again, in another cut: the same.
    sender.publish("backfill", 3, &lines[3..8]).await;
    assert_eq!(sender.receipted(3..8).await, [4, 5]);
    assert_eq!(world.count("SELECT count(*) FROM quarantine").await, 4);
    assert_eq!(world.count("SELECT count(*) FROM scan").await, 8);
    world.centre.stop().await;
}
