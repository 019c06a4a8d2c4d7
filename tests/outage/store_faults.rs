//! Faults of the database: it hangs, is slow, refuses to write, has no space.

use std::io::Write as _;
use std::time::Duration;

use crate::harness::account::Line;
use crate::harness::world::{World, microseconds, moment};

/// PostgreSQL and its sessions hang for a while.
pub async fn hung(world: &mut World, seconds: u64) -> Line {
    let mut line = Line::of(&format!("PostgreSQL hangs (SIGSTOP) for {seconds} s"));
    world.postgres.pause();
    moment(Duration::from_secs(seconds)).await;
    world.postgres.resume();
    recovered(world, &mut line).await;
    line
}

/// It works in every twentieth part of the time only.
pub async fn slow(world: &mut World, dice: &mut fastrand::Rng, times: usize) -> Line {
    let mut line = Line::of("PostgreSQL is slow (stopped again and again)");
    for _ in 0..times {
        world.postgres.pause();
        moment(Duration::from_millis(dice.u64(200..700))).await;
        world.postgres.resume();
        moment(Duration::from_millis(30)).await;
    }
    recovered(world, &mut line).await;
    line
}

/// Nobody may write. The centre says so, and receipts nothing meanwhile.
pub async fn read_only(world: &mut World, seconds: u64) -> Line {
    let mut line = Line::of(&format!("PostgreSQL is read-only for {seconds} s"));
    let client = world.client().await;
    client.batch_execute("SET default_transaction_read_only = off").await.unwrap();
    client.batch_execute("ALTER SYSTEM SET default_transaction_read_only = on").await.unwrap();
    client.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    world.none_ready().await;
    let receipts = world.spy.receipts().len();
    moment(Duration::from_secs(seconds)).await;
    if world.spy.receipts().len() > receipts {
        line.wrong.push("receipts although nothing can be stored".to_owned());
    }
    client.batch_execute("ALTER SYSTEM RESET default_transaction_read_only").await.unwrap();
    client.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    recovered(world, &mut line).await;
    world.all_ready().await;
    line
}

/// Its disk is filled to the last byte, and freed again. It may end by that; then it is started again, as a service manager would. Needs a
/// world with such a disk.
pub async fn disk_full(world: &mut World, seconds: u64) -> Line {
    let mut line = Line::of(&format!("PostgreSQL's disk is full for {seconds} s"));
    let disk = world.database_disk.as_ref().expect("a world with a disk");
    let filler = disk.path().join("filler");
    let mut hog = std::fs::File::create(&filler).unwrap();
    for size in [1 << 20, 4096, 512] {
        while hog.write_all(&vec![1; size]).is_ok() {}
    }
    let _no_space = hog.sync_all();
    drop(hog);
    // What PostgreSQL has set aside is used up at some time.
    world.none_ready().await;
    moment(Duration::from_secs(seconds)).await;
    std::fs::remove_file(&filler).unwrap();
    if world.postgres.pid().is_none() {
        println!("PostgreSQL has ended by the full disk; it is started again");
        world.postgres.restart().await.unwrap();
    }
    recovered(world, &mut line).await;
    world.all_ready().await;
    line
}

async fn recovered(world: &mut World, line: &mut Line) {
    let took = world.stored_after(microseconds(), None).await;
    line.injected(took);
    println!("{}: readings again after {took:.1} s", line.fault);
    world.account(line).await;
}
