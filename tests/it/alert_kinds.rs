//! Each kind of alert, provoked as it comes about: by scans, statuses and events as gateways send them. Its words are compared in both
//! languages.

/// What values show.
mod values;
/// Assessments, capture rates, efficiency, checks.
mod risks;
/// What gateways say of themselves.
mod gateways;
/// Silences, links, backlog, records that are refused.
mod platform;

use serde_json::Value;

use crate::support::told::{said, told};
use crate::support::wait::wait_until;
use crate::support::world::{LIMIT, World};

/// What was told of a kind, once there are so many.
async fn alerts(world: &World, kind: &str, times: usize) -> Vec<Value> {
    wait_until(LIMIT, kind, || async {
        let told = world.webhook.of_kind(kind);
        if told.len() >= times { Ok(told) } else { Err(world.webhook.alerts()) }
    })
    .await
}

/// Waits until no episode of a kind is open.
async fn over(world: &World, kind: &str) {
    wait_until(LIMIT, kind, || async {
        let sql = format!("SELECT count(*) FROM episode WHERE kind = '{kind}' AND state = 'open'");
        let open = world.count(&sql).await;
        if open == 0 { Ok(()) } else { Err(open) }
    })
    .await;
}

/// The newest alert of a kind and phase in both languages.
async fn words(world: &World, kind: &str, phase: &str) -> String {
    let (zh, en) = told(&world.client, kind, phase).await;
    format!("{zh}\n\n{en}")
}

/// An alert that was received, in both languages; every number gives way, since they depend on the day of the test.
fn words_of(body: &Value) -> String {
    let (zh, en) = said(&serde_json::from_value(body.clone()).unwrap());
    let mut masked = String::new();
    for letter in format!("{zh}\n\n{en}").chars() {
        let goes_on = masked.ends_with('#');
        match letter {
            '0'..='9' | '.' if goes_on => {}
            '0'..='9' => masked.push('#'),
            other => masked.push(other),
        }
    }
    masked
}

/// A rule of alerting of its own for this world: the default of its kind with other columns.
async fn rule(world: &World, kind: &str, other: &str) {
    let sql = format!(
        "INSERT INTO law_entry (list, subject, valid_from, body, revision, stored_at) \
         SELECT 'alert_rule', 'test-{kind}', '1971-01-01T00:00:00Z', body || '{{\"code\": \"test-{kind}\"}}' || '{other}'::jsonb, \
         (SELECT revision + 1 FROM plant_revision), now() FROM law_entry WHERE list = 'alert_rule' AND subject = '{kind}'"
    );
    assert_eq!(world.client.execute(&sql, &[]).await.unwrap(), 1);
    world.client.execute("UPDATE plant_revision SET revision = revision + 1", &[]).await.unwrap();
}
