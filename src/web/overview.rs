//! What outlets show right now: their channels with the newest values, the rules in force, what is open.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::Web;
use super::error::Refused;
use crate::domain::alert::AlertKind;
use crate::domain::limit::{Reference, Rule};
use crate::domain::plant::{Channel, Outlet, Position};
use crate::domain::pollutant::Role;
use crate::store::read::live::{self, Newest};

/// Older scans are not the state of now.
const LIVE: SignedDuration = SignedDuration::from_mins(5);
/// Clocks of gateways may be this far ahead.
const AHEAD: SignedDuration = SignedDuration::from_mins(5);
/// Most open episodes in one answer.
const OPEN: i64 = 10_000;

/// One outlet.
#[derive(Debug, Serialize)]
pub(super) struct View {
    pub code: String,
    pub name: String,
    pub enterprise: Operator,
    pub process: Option<String>,
    pub reference_oxygen_percent: Option<f64>,
    /// The most serious kind of what is open; else `reporting`, or `no-data` when there was no scan for five minutes.
    pub state: &'static str,
    /// Tick of the newest scan.
    pub live_at: Option<Timestamp>,
    pub channels: Vec<ChannelView>,
    pub rules: Vec<RuleView>,
    pub open_episodes: Vec<OpenView>,
}

/// Who operates it.
#[derive(Debug, Serialize)]
pub(super) struct Operator {
    pub code: String,
    pub name: String,
    pub industry: String,
    pub division: String,
}

/// One channel; what holds now of it is null when it is not in use.
#[derive(Debug, Serialize)]
pub(super) struct ChannelView {
    pub code: String,
    pub factor: String,
    pub symbol: String,
    pub role: &'static str,
    pub unit: Option<&'static str>,
    pub analyser: Option<String>,
    pub moisture_basis: Option<&'static str>,
    pub state_basis: Option<&'static str>,
    pub range: Option<[f64; 2]>,
    pub period_ms: Option<u32>,
    pub decimals: Option<u8>,
    pub live: Option<Live>,
}

/// A channel in the newest scan.
#[derive(Debug, Serialize)]
pub(super) struct Live {
    pub at: Timestamp,
    pub measured: Option<f64>,
    /// At the outlet's own reference; pollutants only.
    pub corrected: Option<f64>,
    /// After validation.
    pub flag: char,
}

/// A rule in force.
#[derive(Debug, Serialize)]
pub(super) struct RuleView {
    pub code: String,
    pub name: String,
    pub kind: &'static str,
    pub factor: String,
    pub limit: f64,
    pub unit: &'static str,
    pub period: &'static str,
    pub reference_oxygen: Option<f64>,
    pub excess_air: Option<f64>,
    pub comparison: &'static str,
    pub document: String,
    /// How sure the source is.
    pub mark: String,
    pub from: Timestamp,
    pub until: Option<Timestamp>,
}

/// An episode that goes on.
#[derive(Debug, Serialize)]
pub(super) struct OpenView {
    pub id: i64,
    pub kind: String,
    pub channel: Option<String>,
    pub rule: Option<String>,
    /// Analyser or gateway.
    pub subject: Option<String>,
    pub opened_at: Timestamp,
}

/// What these outlets show at `now`.
pub(super) async fn overview(
    web: &Web,
    outlets: &[Arc<Outlet>],
    now: Timestamp,
) -> Result<Vec<View>, Refused> {
    let ids: Vec<i32> = outlets.iter().map(|outlet| outlet.id).collect();
    let from = now.checked_sub(LIVE).unwrap_or(now);
    let to = now.checked_add(AHEAD).unwrap_or(now);
    let mut lease = web.sessions.lease().await?;
    let client = lease.client().await?;
    let newest = live::newest(client, &ids, (from, to)).await?;
    let open = live::open(client, &ids, OPEN).await?;
    lease.keep();
    let newest: HashMap<i32, Newest> = newest.into_iter().map(|newest| (newest.outlet_id, newest)).collect();
    let mut of: HashMap<i32, Vec<OpenView>> = HashMap::new();
    for episode in open {
        of.entry(episode.outlet_id).or_default().push(OpenView {
            id: episode.id,
            kind: episode.kind,
            channel: episode.channel,
            rule: episode.rule,
            subject: Some(episode.subject).filter(|subject| !subject.is_empty()),
            opened_at: episode.opened_at,
        });
    }
    let view = |outlet: &Arc<Outlet>| {
        view(outlet, newest.get(&outlet.id), of.remove(&outlet.id).unwrap_or_default(), now)
    };
    Ok(outlets.iter().map(view).collect())
}

/// What an outlet shows.
pub(super) fn view(outlet: &Outlet, newest: Option<&Newest>, open: Vec<OpenView>, now: Timestamp) -> View {
    let settings = outlet.settings.at(now);
    let enterprise = &outlet.enterprise;
    let channels = outlet.channels.iter().enumerate();
    View {
        code: outlet.code.to_string(),
        name: outlet.name.clone(),
        enterprise: Operator {
            code: enterprise.code.clone(),
            name: enterprise.name.clone(),
            industry: enterprise.industry.clone(),
            division: enterprise.division.clone(),
        },
        process: settings.map(|settings| settings.process.clone()),
        reference_oxygen_percent: settings.and_then(|settings| settings.reference_oxygen_percent),
        state: state(&open, newest),
        live_at: newest.map(|newest| newest.at),
        channels: channels.map(|(position, channel)| channel_view(channel, position, newest, now)).collect(),
        rules: rules(outlet, now).map(rule_view).collect(),
        open_episodes: open,
    }
}

fn state(open: &[OpenView], newest: Option<&Newest>) -> &'static str {
    let worst = AlertKind::ALL.into_iter().find(|kind| open.iter().any(|open| open.kind == kind.name()));
    match (worst, newest) {
        (Some(kind), _) => kind.name(),
        (None, Some(_)) => "reporting",
        (None, None) => "no-data",
    }
}

/// The rules in force for what the outlet emits and measures now.
fn rules(outlet: &Outlet, now: Timestamp) -> impl Iterator<Item = &Rule> {
    let process = outlet.settings.at(now).map(|settings| settings.process.as_str());
    outlet.rules.iter().map(AsRef::as_ref).filter(move |rule: &&Rule| {
        rule.limit.holds(now)
            && Some(rule.process.as_str()) == process
            && outlet.channels.iter().any(|channel| channel.factor.code == rule.factor)
    })
}

fn channel_view(
    channel: &Channel,
    position: Position,
    newest: Option<&Newest>,
    now: Timestamp,
) -> ChannelView {
    let settings = channel.settings.at(now);
    let basis = |applies: bool| settings.filter(|_| applies);
    let live = newest.map(|newest| Live {
        at: newest.at,
        measured: newest.measured.get(position).copied().flatten(),
        corrected: newest.corrected.get(position).copied().flatten(),
        flag: newest.flags.chars().nth(position).unwrap_or('-'),
    });
    ChannelView {
        code: channel.code.to_string(),
        factor: channel.factor.code.clone(),
        symbol: channel.factor.symbol.clone(),
        role: channel.factor.role.name(),
        unit: settings.map(|settings| settings.unit.name()),
        analyser: settings.map(|settings| settings.analyser.to_string()),
        moisture_basis: basis(channel.factor.role.has_moisture_basis()).map(|s| s.moisture_basis.name()),
        state_basis: basis(channel.factor.role.has_state_basis()).map(|s| s.state_basis.name()),
        range: settings.map(|settings| settings.range.into()),
        period_ms: settings.map(|settings| settings.period_ms),
        decimals: settings.map(|settings| settings.decimals),
        live,
    }
}

fn rule_view(rule: &Rule) -> RuleView {
    let (reference_oxygen, excess_air) = match rule.reference {
        Reference::None => (None, None),
        Reference::OxygenPercent(percent) => (Some(percent), None),
        Reference::ExcessAir(alpha) => (None, Some(alpha)),
    };
    RuleView {
        code: rule.code.clone(),
        name: rule.name.clone(),
        kind: rule.kind.name(),
        factor: rule.factor.clone(),
        limit: rule.limit.value,
        unit: "mg/m3",
        period: rule.period.name(),
        reference_oxygen,
        excess_air,
        comparison: rule.comparison.name(),
        document: rule.document.clone(),
        mark: rule.mark.clone(),
        from: rule.limit.from,
        until: rule.limit.until,
    }
}

impl ChannelView {
    /// Whether a person who watches the outlet looks at it first.
    pub(super) fn matters(&self) -> bool {
        [Role::Pollutant, Role::Oxygen].iter().any(|role| role.name() == self.role)
    }
}
