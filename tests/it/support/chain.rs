//! The whole chain: plant, broker, centre, database and webhook, all real.

use std::time::Duration;

use tokio_postgres::Client;

use crate::support::centre::{Centre, Webhook, notify, seed};
use crate::support::database::{TestDatabase, database};
use crate::support::formulas;
use crate::support::ledger::{Account, compare, stored};
use crate::support::plant::Plant;
use crate::support::servers::{Own, broker};
use crate::support::wait::wait_until;

pub const LIMIT: Duration = Duration::from_secs(20);

/// On the database that all tests share, with a broker of its own.
pub struct Chain {
    pub plant: Plant,
    pub centre: Centre,
    pub client: Client,
    pub webhook: Webhook,
    pub database: TestDatabase,
    pub broker: Own<cems::embedded::Mosquitto>,
}

impl Chain {
    /// Readings flow into the table when this returns. `more` is appended to the centre's configuration.
    pub async fn start(more: &str) -> Chain {
        let (database, broker, webhook) = (database().await, broker().await, Webhook::listen().await);
        let mut client = database.client().await;
        seed(&mut client, &[notify(&webhook)]).await;
        let centre = Centre::start(database.url(), broker.port(), more).await;
        all_ready(&centre).await;
        let plant = Plant::start(broker.port()).await;
        flows(&client, cems::clock::now().as_second(), LIMIT).await;
        Chain { plant, centre, client, webhook, database, broker }
    }
}

/// Waits until the centre says that all its parts are ready.
pub async fn all_ready(centre: &Centre) {
    wait_until(LIMIT, "the centre to be ready", || async {
        let readiness = &centre.reporting.readiness;
        if readiness.all_ready() { Ok(()) } else { Err(readiness.parts()) }
    })
    .await;
}

/// Waits until every outlet has a stored scan with all values of a tick at or after this second.
pub async fn flows(client: &Client, from: i64, limit: Duration) {
    let sql = "SELECT count(DISTINCT outlet_id) FROM scan WHERE extract(epoch FROM measured_at) >= $1::int8::numeric \
               AND flag = repeat('N', 8)";
    wait_until(limit, "readings in the table", || async {
        let outlets: i64 = client.query_one(sql, &[&from]).await.unwrap().get(0);
        if outlets == 3 { Ok(()) } else { Err(outlets) }
    })
    .await;
}

/// Waits until everything that was served before this second is accounted for, then demands that all is clean.
pub async fn nothing_lost(plant: &Plant, client: &Client, before: i64) -> Account {
    let account = || async {
        let stored = stored(client, before).await;
        compare(&plant.served(), &stored, before)
    };
    wait_until(LIMIT, "all that was served", || async {
        let account = account().await;
        if account.lost.is_empty() { Ok(()) } else { Err(account) }
    })
    .await;
    let account = account().await;
    assert!(account.is_clean(), "{account:?}");
    assert_eq!(account.served, account.stored + account.explained);
    // An oracle over nothing shows nothing, and explanations must stay exceptions.
    assert!(account.stored > 100 && account.explained * 10 < account.stored, "{account:?}");
    account
}

/// Compares every closed minute with one made from the ledger: so many rows, a pollutant each, at least.
pub async fn minutes_agree(plant: &Plant, client: &Client, at_least: usize) {
    let sql = "SELECT outlet, channel, extract(epoch FROM start)::int8, measured, dry, corrected, n_valid::int, n_expected::int \
               FROM average WHERE period = 'minute' AND origin = 'computed' AND channel = ANY ($1) \
               AND extract(epoch FROM start) < $2::int8::numeric";
    let waiting =
        "SELECT count(*) FROM due WHERE period = 0 AND extract(epoch FROM start) < $1::int8::numeric";
    let rows = wait_until(LIMIT, "all closed minutes", || async {
        // A minute is closed 4 s after its end, and again a little after late data.
        let before = cems::clock::now().as_second() - 65;
        let waiting: i64 = client.query_one(waiting, &[&before]).await.unwrap().get(0);
        let rows = client.query(sql, &[&&formulas::POLLUTANTS[..], &before]).await.unwrap();
        if waiting == 0 && rows.len() >= at_least { Ok(rows) } else { Err((waiting, rows.len())) }
    })
    .await;
    let stored = stored(client, i64::from(i32::MAX)).await;
    let present = |place: &_| stored.get(place).is_some_and(|rows| rows[0].0.is_some());
    let expected = formulas::minutes(&plant.served(), present);
    for row in &rows {
        let place = (row.get(0), row.get(1), row.get(2));
        let minute = expected.get(&place).unwrap_or_else(|| panic!("nothing was served for {place:?}"));
        let figures: [(Option<f64>, Option<f64>); 3] = [
            (row.get(3), Some(minute.measured)),
            (row.get(4), Some(minute.dry)),
            (row.get(5), minute.corrected),
        ];
        for (found, expected) in figures {
            let agree = found.zip(expected).is_some_and(|(found, expected)| formulas::close(found, expected));
            assert!(agree || found == expected, "{place:?}: {found:?}, by hand {expected:?}");
        }
        assert_eq!((row.get::<_, i32>(6), row.get::<_, i32>(7)), (minute.n_valid, 60), "{place:?}");
    }
}
