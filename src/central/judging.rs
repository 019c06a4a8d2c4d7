//! Verdicts on computed windows, and what follows for episodes. A verdict that changes makes a new revision; an episode whose
//! figures change is revised or withdrawn with the reason, never silently; nobody is paged for history.

/// What an exceedance is told with.
mod facts;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tokio_postgres::Client;

use crate::central::pipeline::SOURCE;
use crate::central::warning::{describe, place};
use crate::central::windows::Computed;
use crate::domain::alert::{Alert, AlertKind};
use crate::domain::alerting::AlertRule;
use crate::domain::average::oxygen_of;
use crate::domain::episode::{Observation, WINDOW};
use crate::domain::exceedance::{Outcome, Verdict};
use crate::domain::judgement::{By, Judged};
use crate::domain::law::OutletLaw;
use crate::domain::order::Demand;
use crate::domain::window::Window;
use crate::store::average::Of;
use crate::store::episode::{Key, Sighting, observe};
use crate::store::frame::Frames;
use crate::store::history::{Tell, is_newest, record, restate, withdraw};
use crate::store::session::Failure;
use crate::store::verdict::{NewVerdict, Stored, VerdictKey, latest, store};

/// A window that ended longer ago is history: recorded, but nobody is paged for it. Within the hour somebody can still act.
pub const HISTORY: SignedDuration = SignedDuration::from_hours(1);

/// A verdict that is new or other than before, with what it says to an episode.
struct News<'f> {
    window: Window,
    key: VerdictKey,
    sighting: Sighting,
    /// By what rule it is told; `None`: exceedances are not told there.
    watch: Option<&'f AlertRule>,
    /// `None`: judged for the first time.
    before: Option<Verdict>,
    after: Outcome,
    remark: Option<String>,
}

/// A figure that was told and changes by this share of itself is told again.
const MATERIAL: f64 = 0.1;

/// What judging did.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub alerts: usize,
    /// Windows of which a verdict is new or other than before, with the outlet's code.
    pub changed: BTreeSet<(String, Of, Window)>,
}

/// Stores what is said of the windows where it is new; moves episodes. Submitted periods keep their verdicts.
pub(super) async fn judge_all(
    client: &Client,
    computed: &[Computed<'_>],
    (frames, laws, zone): (&Frames, &BTreeMap<String, OutletLaw>, &TimeZone),
    now: Timestamp,
) -> Result<Told, Failure> {
    let windows: Vec<_> = computed.iter().map(|one| (one.row.of, one.row.window)).collect();
    let stored = latest(client, &windows).await?;
    let mut rows = Vec::new();
    let mut news = Vec::new();
    let mut told = Told::default();
    for one in computed.iter().filter(|one| one.row.of.1 == SOURCE && !one.is_locked) {
        let window = one.row.window;
        for judged in &one.judged {
            // An entry that another save took away meanwhile: the next revision of the plant judges.
            let Some(rule_id) = frames.number(&judged.by) else { continue };
            let position = VerdictKey::position_of(judged.position);
            let key = VerdictKey { of: one.row.of, position, window, rule_id };
            let before = stored.get(&key);
            if before.is_some_and(|stored| stored.verdict == judged.verdict && stored.remark == judged.remark)
            {
                continue;
            }
            told.changed.insert((one.outlet.code.to_string(), one.row.of, window));
            let revision = before.map_or(1, |stored| stored.revision + 1);
            let (verdict, remark) = (judged.verdict, judged.remark.clone());
            rows.push(NewVerdict { key, revision, verdict, remark: remark.clone() });
            let before = before.map(|stored| stored.verdict);
            let mut sighting = sighting(one, judged, &key);
            facts::fill(&mut sighting.alert, one, judged, laws.get(&*one.outlet.code));
            let watch = frames.watched(one.outlet.id).rule(AlertKind::Exceedance, window.end);
            let after = verdict.outcome;
            news.push(News { window, key, sighting, watch, before, after, remark });
        }
    }
    let gone = no_longer_in_force(computed, &stored, frames);
    for (code, key, before) in gone {
        let verdict =
            Verdict { outcome: Outcome::NotInForce, corrected: None, ratio_over: None, ..before.verdict };
        rows.push(NewVerdict { key, revision: before.revision + 1, verdict, remark: None });
        told.changed.insert((code, key.of, key.window));
        if before.verdict.outcome.is_adverse() {
            let name = key.window.period.name();
            let reason =
                format!("what judged the {name} from {} is no longer in force for it", key.window.start);
            for subject in [String::new(), name.to_owned()] {
                let (outlet_id, kind) = (key.of.0, AlertKind::Exceedance);
                let of = Key { outlet_id, position: key.position, rule_id: key.rule_id, kind, subject };
                told.alerts += withdraw(client, &of, key.window, &reason, now).await?;
            }
        }
    }
    store(client, &rows).await?;
    facts::grade(client, &mut news, zone).await?;
    told.alerts += follow(client, news, now).await?;
    Ok(told)
}

/// An outlet's code, and by position and rule what is said of a window.
type Given = (String, HashSet<(i16, i32)>);

/// Stored verdicts on the computed windows that nobody gives any more: a rule that ended or has another version for that time, an outlet
/// with another process.
fn no_longer_in_force<'s>(
    computed: &[Computed<'_>],
    stored: &'s HashMap<VerdictKey, Stored>,
    frames: &Frames,
) -> Vec<(String, VerdictKey, &'s Stored)> {
    let mut judged: HashMap<(Of, Window), Given> = HashMap::new();
    for one in computed.iter().filter(|one| one.row.of.1 == SOURCE && !one.is_locked) {
        let given = one.judged.iter().filter_map(|judged| {
            Some((VerdictKey::position_of(judged.position), frames.number(&judged.by)?))
        });
        judged.insert((one.row.of, one.row.window), (one.outlet.code.to_string(), given.collect()));
    }
    let is_gone = |(key, before): (&VerdictKey, &'s Stored)| {
        let (code, given) = judged.get(&(key.of, key.window))?;
        let gone =
            before.verdict.outcome != Outcome::NotInForce && !given.contains(&(key.position, key.rule_id));
        gone.then(|| (code.clone(), *key, before))
    };
    stored.iter().filter_map(is_gone).collect()
}

/// What the verdicts say to episodes. Gives the number of alerts.
async fn follow(client: &Client, news: Vec<News<'_>>, now: Timestamp) -> Result<usize, Failure> {
    let mut live = Vec::new();
    let mut alerts = 0;
    for News { window, sighting, watch, before, after, remark, .. } in news {
        // What nobody watches is recorded like history.
        let is_old = now.duration_since(window.end) > HISTORY || watch.is_none();
        match (before.is_some_and(|before| before.outcome.is_adverse()), after) {
            // It is told already, and told again when the figures are quite other ones.
            (true, after) if after.is_adverse() => {
                alerts += record(client, &sighting, window.end, Tell::Nobody, now).await?;
                if let Some(reason) = restated(window, before, &sighting) {
                    alerts += restate(client, &sighting, window, &reason, now).await?;
                }
            }
            (true, after) => {
                let (name, after) = (window.period.name(), after.name());
                let why = remark.map_or(String::new(), |remark| format!(" ({remark})"));
                let reason = format!("the {name} from {} is {after} after recomputation{why}", window.start);
                alerts += withdraw(client, &sighting.key, window, &reason, now).await?;
            }
            (false, after) if after.is_adverse() && is_old => {
                alerts += record(client, &sighting, window.end, Tell::Nobody, now).await?;
            }
            // Found late, but not long ago: a later window has been seen, and this one was met or not judged then.
            (false, after) if after.is_adverse() && !is_newest(client, &sighting).await? => {
                alerts += record(client, &sighting, window.end, Tell::Duty, now).await?;
            }
            (false, Outcome::Exceeded | Outcome::NotMet | Outcome::Met) if !is_old => live.push(sighting),
            // Not judged says nothing: an episode neither goes on nor ends by it.
            (
                false,
                Outcome::Exceeded
                | Outcome::NotMet
                | Outcome::Met
                | Outcome::NotValid
                | Outcome::NotConvertible
                | Outcome::Exempt
                | Outcome::NotInForce,
            ) => {}
        }
    }
    observe(client, live, now).await.map(|moved| alerts + moved.alerts)
}

/// Why an exceedance is told again, when its figure is quite another one than before.
fn restated(window: Window, before: Option<Verdict>, sighting: &Sighting) -> Option<String> {
    let (was, is) = (before?.corrected?, sighting.alert.corrected?);
    let name = window.period.name();
    ((is - was).abs() > MATERIAL * was.abs()).then(|| {
        format!("the {name} from {} is {} after recomputation, not {}", window.start, short(is), short(was))
    })
}

/// For people: one decimal, of small figures four.
fn short(value: f64) -> String {
    if value.abs() < 1.0 { format!("{value:.4}") } else { format!("{value:.1}") }
}

/// What a verdict says to an episode.
fn sighting(one: &Computed<'_>, judged: &Judged<'_>, key: &VerdictKey) -> Sighting {
    let (window, verdict) = (one.row.window, &judged.verdict);
    let average = judged.position.and_then(|position| one.row.channels.get(position));
    let mut alert = Alert::new(AlertKind::Exceedance, window.start, window.start);
    match (judged.by, judged.position) {
        (By::Rule(rule), Some(position)) => describe(&mut alert, one.outlet, position, rule),
        (By::Rule(_) | By::Order(_) | By::Furnace(_) | By::Assessment(_), position) => {
            let channel = position.and_then(|position| one.outlet.channels.get(position));
            alert.outlet = Some(place(one.outlet));
            alert.channel = channel.map(|channel| channel.code.to_string());
            alert.pollutant = channel.map(|channel| channel.factor.symbol.clone());
            alert.rule = Some(judged.by.code().to_owned());
            alert.rule_kind = Some(judged.by.kind().name().to_owned());
            alert.rule_name = Some(judged.by.name().to_owned());
            alert.limit = Some(verdict.limit);
            alert.unit = Some(judged.by.unit(window).to_owned());
            alert.reference_oxygen = judged.by.reference_oxygen();
        }
    }
    alert.measured = average.and_then(|average| average.measured);
    alert.oxygen = oxygen_of(one.outlet, &one.row.channels);
    alert.corrected = verdict.corrected;
    alert.ratio_over = verdict.ratio_over;
    alert.summary = summary(one, judged, &alert);
    let key = Key {
        outlet_id: one.outlet.id,
        position: key.position,
        rule_id: key.rule_id,
        kind: AlertKind::Exceedance,
        subject: subject(judged, window),
    };
    let above = verdict.outcome.is_adverse();
    let observation =
        Observation { at: window.start, value: verdict.corrected.unwrap_or(f64::NAN), above, level: 1 };
    let limit = Some(verdict.limit);
    Sighting { key, observation, limit, hold: SignedDuration::ZERO, clear: WINDOW, alert }
}

/// A furnace rule judges five minutes and days: each has its own episodes.
fn subject(judged: &Judged<'_>, window: Window) -> String {
    match judged.by {
        By::Furnace(_) => window.period.name().to_owned(),
        By::Rule(_) | By::Order(_) | By::Assessment(_) => String::new(),
    }
}

fn summary(one: &Computed<'_>, judged: &Judged<'_>, alert: &Alert) -> String {
    let period = one.row.window.period.name();
    let remark = judged.remark.as_deref();
    let (code, name) = (&one.outlet.code, judged.by.name());
    match judged.by {
        By::Order(order) if !matches!(order.demand, Demand::Limit { .. }) => {
            format!("{period}: {code} against order {name}: {}", remark.unwrap_or("it emits"))
        }
        By::Assessment(_) => {
            format!("{period}: {code} {}: {}", judged.by.code(), remark.unwrap_or("not met"))
        }
        By::Furnace(_) => {
            let value = judged.verdict.corrected.map_or("?".to_owned(), |value| format!("{value:.1}"));
            let unit = judged.by.unit(one.row.window);
            format!("{period}: {code} furnace {value} {unit} against {} {unit}", judged.verdict.limit)
        }
        By::Rule(_) | By::Order(_) => {
            let more = remark.map_or(String::new(), |remark| format!("; {remark}"));
            format!("{period} mean: {}{more}", alert.value_summary())
        }
    }
}
