//! Verdicts on computed windows, and what follows for episodes. A verdict that changes makes a new revision; an episode whose
//! figures change is revised or withdrawn with the reason, never silently; nobody is paged for history.

use jiff::{SignedDuration, Timestamp};
use tokio_postgres::Client;

use crate::central::pipeline::SOURCE;
use crate::central::warning::describe;
use crate::central::windows::Computed;
use crate::domain::alert::{Alert, AlertKind};
use crate::domain::average::oxygen_of;
use crate::domain::correction::Unwatched;
use crate::domain::episode::{Observation, WINDOW};
use crate::domain::exceedance::{Outcome, Verdict, judge, rules_for};
use crate::domain::limit::Rule;
use crate::domain::window::Window;
use crate::store::episode::{Key, Sighting, observe};
use crate::store::history::{Tell, is_newest, record, withdraw};
use crate::store::session::Failure;
use crate::store::verdict::{NewVerdict, VerdictKey, latest, store};

/// A window that ended longer ago is history: recorded, but nobody is paged for it. Within the hour somebody can still act.
pub const HISTORY: SignedDuration = SignedDuration::from_hours(1);

/// A verdict that is new or other than before, with what it says to an episode.
struct Judged {
    window: Window,
    sighting: Sighting,
    /// `None`: judged for the first time.
    before: Option<Outcome>,
    after: Outcome,
}

/// Judges windows by every rule in force; moves episodes; gives the number of alerts.
pub(super) async fn judge_all(
    client: &Client,
    computed: &[Computed],
    now: Timestamp,
) -> Result<usize, Failure> {
    let windows: Vec<_> = computed.iter().map(|one| (one.row.of, one.row.window)).collect();
    let stored = latest(client, &windows).await?;
    let mut rows = Vec::new();
    let mut judged = Vec::new();
    for one in computed.iter().filter(|one| one.row.of.1 == SOURCE) {
        let window = one.row.window;
        for position in 0..one.outlet.channels.len() {
            for rule in rules_for(&one.outlet, position, window) {
                let verdict = judge(rule, &one.outlet, (window, position), &one.row.channels, &mut Unwatched);
                let key = VerdictKey { of: one.row.of, position, window, rule_id: rule.id };
                let before = stored.get(&key);
                if before.is_some_and(|(_, before)| *before == verdict) {
                    continue;
                }
                let revision = before.map_or(1, |(revision, _)| revision + 1);
                rows.push(NewVerdict { key, revision, verdict });
                let before = before.map(|(_, before)| before.outcome);
                let after = verdict.outcome;
                judged.extend(sighting(one, position, rule, &verdict).map(|sighting| Judged {
                    window,
                    sighting,
                    before,
                    after,
                }));
            }
        }
    }
    store(client, &rows).await?;
    follow(client, judged, now).await
}

/// What the verdicts say to episodes. Gives the number of alerts.
async fn follow(client: &Client, judged: Vec<Judged>, now: Timestamp) -> Result<usize, Failure> {
    let mut live = Vec::new();
    let mut alerts = 0;
    for Judged { window, sighting, before, after } in judged {
        let is_old = now.duration_since(window.end) > HISTORY;
        match (before, after) {
            // Its figures changed, but it is told already.
            (Some(Outcome::Exceeded), Outcome::Exceeded) => {
                alerts += record(client, &sighting, window.end, Tell::Nobody, now).await?;
            }
            (Some(Outcome::Exceeded), Outcome::Met | Outcome::NotValid | Outcome::NotConvertible) => {
                let name = window.period.name();
                let reason =
                    format!("the {name} from {} is {} after recomputation", window.start, after.name());
                withdraw(client, &sighting.key, window, &reason, now).await?;
            }
            (_, Outcome::Exceeded) if is_old => {
                alerts += record(client, &sighting, window.end, Tell::Nobody, now).await?;
            }
            // Found late, but not long ago: a later window has been seen, and this one was met or not judged then.
            (_, Outcome::Exceeded) if !is_newest(client, &sighting).await? => {
                alerts += record(client, &sighting, window.end, Tell::Duty, now).await?;
            }
            (_, Outcome::Exceeded | Outcome::Met) if !is_old => live.push(sighting),
            // Not judged says nothing: an episode neither goes on nor ends by it.
            (_, Outcome::Exceeded | Outcome::Met | Outcome::NotValid | Outcome::NotConvertible) => {}
        }
    }
    observe(client, live, WINDOW, now).await.map(|moved| alerts + moved.alerts)
}

/// What a verdict says to an episode.
fn sighting(one: &Computed, position: usize, rule: &Rule, verdict: &Verdict) -> Option<Sighting> {
    let window = one.row.window;
    let average = one.row.channels.get(position)?;
    let mut alert = Alert::new(AlertKind::Exceedance, window.start, window.start);
    describe(&mut alert, &one.outlet, position, rule);
    alert.measured = average.measured;
    alert.oxygen = oxygen_of(&one.outlet, &one.row.channels);
    alert.corrected = verdict.corrected;
    alert.ratio_over = verdict.ratio_over;
    alert.summary = format!("{} mean: {}", window.period.name(), alert.value_summary());
    let key = Key {
        outlet_id: one.outlet.id,
        position: i16::try_from(position).ok()?,
        rule_id: rule.id,
        kind: AlertKind::Exceedance,
        subject: String::new(),
    };
    let above = verdict.outcome == Outcome::Exceeded;
    let observation = Observation { at: window.start, value: verdict.corrected.unwrap_or(f64::NAN), above };
    Some(Sighting { key, observation, limit: Some(verdict.limit), alert })
}
