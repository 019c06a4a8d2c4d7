//! The short set of the fault harness: every fault once or a few times, with fixed seeds. `make torture` goes on where this ends.

use std::time::Duration;

use crate::harness::account::{Line, heading};
use crate::harness::clock_step;
use crate::harness::edits::superuser_edits;
use crate::harness::faults::{
    Between, Part, bad_line, broker_quota, broker_wipes, duplicates_and_shuffles, gateway_stopped,
    killed_before_the_receipt, kills, power_cuts,
};
use crate::harness::proxy::Mode;
use crate::harness::store_faults::{disk_full, hung, read_only, slow};
use crate::harness::world::{LIMIT, Options, World, microseconds, moment, second};
use crate::support::wait::wait_until;

fn dice(seed: u64) -> fastrand::Rng {
    fastrand::Rng::with_seed(seed)
}

/// A world of so many copies of three outlets and so many centres, on no disk of its own.
async fn world(copies: usize, centres: usize) -> World {
    println!("{}", heading());
    World::start(Options { copies, centres, ..Options::default() }).await.unwrap()
}

/// An oracle that cannot find anything shows nothing.
#[tokio::test(flavor = "multi_thread")]
async fn the_account_finds_what_is_taken_away_altered_and_put_in() {
    let mut world = world(1, 1).await;
    let client = world.client().await;
    let whole = "SELECT measured_at FROM scan WHERE outlet_id = 1 AND flag = repeat('N', 8) ORDER BY 1";
    let rows = wait_until(LIMIT, "three whole scans", || async {
        let rows = client.query(whole, &[]).await.unwrap();
        if rows.len() > 3 { Ok(rows) } else { Err(rows.len()) }
    })
    .await;
    let seconds = |number: usize| rows[number].get::<_, jiff::Timestamp>(0);
    let mut line = Line::of("nothing");
    world.account(&mut line).await;
    line.assert_clean();
    let from = world.started;
    for (statement, at) in [
        ("DELETE FROM scan WHERE outlet_id = 1 AND measured_at = $1", seconds(0)),
        (
            "UPDATE scan SET measured[1] = measured[1] + 0.5 WHERE outlet_id = 1 AND measured_at = $1",
            seconds(1),
        ),
        (
            "UPDATE scan SET measured_at = measured_at - interval '1 hour' WHERE outlet_id = 1 AND measured_at = $1",
            seconds(2),
        ),
    ] {
        assert_eq!(client.execute(statement, &[&at]).await.unwrap(), 1, "{statement}");
    }
    let (account, not_durable) = world.compared(from - 7200, world.accounted).await;
    let found = [account.lost.len(), account.altered.len(), account.invented.len(), not_durable];
    assert_eq!(found, [16, 1, 8, 0], "{account:?}");
    let wrong = world.verified().await;
    assert_eq!(wrong.len(), 1, "of one gateway: {wrong:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn random_kills_of_all_four_lose_nothing_and_edits_are_found() {
    let mut world = world(2, 1).await;
    let mut dice = dice(1);
    for line in kills(&mut world, &mut dice, 8).await {
        line.assert_clean();
    }
    world.at_rest().await.assert_clean();
    superuser_edits(&world, &mut dice, 3).await.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_centres_of_which_one_is_killed_make_each_window_and_alert_once() {
    let mut world = world(1, 2).await;
    let mut dice = dice(2);
    // A minute must close meanwhile.
    let until = second() + 70;
    while second() < until {
        let index = world.kill(Part::Centre, &mut dice).await;
        moment(Duration::from_millis(dice.u64(500..4000))).await;
        world.start_again(Part::Centre, index).await;
        world.stored_after(microseconds(), None).await;
        moment(Duration::from_millis(dice.u64(2000..8000))).await;
    }
    world.at_rest().await.assert_clean();
    assert!(
        world.count("SELECT count(*) FROM average_wide WHERE period = 0").await >= 3,
        "a minute of three outlets"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_broker_and_repeated_messages_lose_and_double_nothing() {
    let mut world = world(1, 2).await;
    let mut dice = dice(3);
    broker_wipes(&mut world, &mut dice, 2).await.assert_clean();
    duplicates_and_shuffles(&mut world, &mut dice, 1).await.assert_clean();
    killed_before_the_receipt(&mut world, 1).await.assert_clean();
    world.at_rest().await.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_drops_messages_loses_nothing() {
    let options = Options { queued: 100, ..Options::default() };
    let mut world = World::start(options).await.unwrap();
    broker_quota(&mut world, &mut dice(4)).await.assert_clean();
    world.at_rest().await.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_lines_to_the_broker_lose_nothing() {
    let mut world = world(1, 1).await;
    for (between, mode, seconds) in [
        (Between::GatewaysAndBroker, Mode::Silent, 9),
        (Between::CentresAndBroker, Mode::Silent, 9),
        (Between::GatewaysAndBroker, Mode::Refuse, 3),
        (Between::CentresAndBroker, Mode::Refuse, 3),
        (Between::GatewaysAndBroker, Mode::Trickle, 6),
        (Between::CentresAndBroker, Mode::HoldOutgoing, 6),
    ] {
        bad_line(&mut world, between, mode, seconds).await.assert_clean();
    }
    world.at_rest().await.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_line_to_the_database_and_a_slow_or_read_only_one_lose_nothing() {
    let mut world = world(1, 1).await;
    bad_line(&mut world, Between::CentresAndDatabase, Mode::Silent, 17).await.assert_clean();
    bad_line(&mut world, Between::CentresAndDatabase, Mode::Trickle, 5).await.assert_clean();
    slow(&mut world, &mut dice(5), 8).await.assert_clean();
    read_only(&mut world, 3).await.assert_clean();
    hung(&mut world, 3).await.assert_clean();
    world.at_rest().await.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_of_the_database_loses_nothing() {
    let options = Options { database_disk: true, ..Options::default() };
    let Some(mut world) = World::start(options).await else { return };
    disk_full(&mut world, 3).await.assert_clean();
    world.at_rest().await.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn power_cuts_of_a_gateway_cost_at_most_the_poll_under_way_and_a_stopped_one_invents_nothing() {
    let options = Options { spool_disk: true, ..Options::default() };
    let Some(mut world) = World::start(options).await else { return };
    power_cuts(&mut world, &mut dice(6), 2).await.assert_clean();
    gateway_stopped(&mut world, 11).await.assert_clean();
    world.at_rest().await.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_doubles_and_hides_nothing() {
    if clock_step::library().is_none() {
        return;
    }
    let mut world = World::start(Options { clock: true, ..Options::default() }).await.unwrap();
    clock_step::steps(&mut world, 3).await.assert_clean();
    let wrong = world.verified().await;
    assert!(wrong.is_empty(), "{wrong:?}");
}
