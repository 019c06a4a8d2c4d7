//! `/api/v1/rules`: the rules of alerting in force, and how often each was right.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::clock;
use crate::domain::alerting::{AlertRule, Scope};
use crate::domain::closing::{Precision, precision};
use crate::domain::token::Reach;
use crate::store::handling::closings;
use crate::web::Web;
use crate::web::auth::Caller;
use crate::web::error::Refused;
use crate::web::parameters::Parameters;

/// Closings of so long count.
const LOOKED_BACK: SignedDuration = SignedDuration::from_hours(90 * 24);

#[derive(Debug, Serialize)]
pub(in crate::web) struct Page {
    at: Timestamp,
    rules: Vec<RuleView>,
}

#[derive(Debug, Serialize)]
struct RuleView {
    #[serde(flatten)]
    rule: AlertRule,
    /// Of the last 90 days; null to who sees only a part, which would tell of the others.
    precision: Option<PrecisionView>,
}

#[derive(Debug, Serialize)]
struct PrecisionView {
    closed: u64,
    confirmed: u64,
    /// Null while nothing is closed.
    share: Option<f64>,
}

/// The rules in force now, by code.
pub(in crate::web) async fn rules(
    State(web): State<Arc<Web>>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<Page>, Refused> {
    Parameters::read(&uri, &[])?;
    let now = clock::now();
    let frames = web.frames();
    let counts: Option<BTreeMap<String, Precision>> = if caller.reach.is_whole() {
        let from = now.checked_sub(LOOKED_BACK).unwrap_or(now);
        let mut lease = web.sessions.lease().await?;
        let closings = closings(lease.client().await?, &frames.alerting, (from, now)).await?;
        lease.keep();
        Some(precision(&closings))
    } else {
        None
    };
    let plant = web.plant();
    let owner = |outlet: &str| {
        let outlet = plant.outlet(outlet)?;
        Some((outlet.enterprise.code.as_str(), outlet.enterprise.division.as_str()))
    };
    let in_force = frames.alerting.rules.iter().filter(|rule| rule.times.holds(now));
    let mut rules: Vec<RuleView> = in_force
        .filter(|rule| concerns(&caller.reach, &rule.scope, rule.scope.outlet.as_deref().and_then(owner)))
        .map(|rule| RuleView {
            rule: rule.clone(),
            precision: counts.as_ref().map(|counts| view(counts, rule)),
        })
        .collect();
    rules.sort_by(|one, other| one.rule.code.cmp(&other.rule.code));
    Ok(Json(Page { at: now, rules }))
}

/// Whether a rule may hold for something within a reach. A rule of another enterprise or outlet is not told.
fn concerns(reach: &Reach, scope: &Scope, owner: Option<(&str, &str)>) -> bool {
    if scope.outlet.is_some() {
        return owner.map_or(reach.is_whole(), |(enterprise, division)| reach.covers(enterprise, division));
    }
    let enterprise = match (&reach.enterprise, &scope.enterprise) {
        (Some(own), Some(of)) => own == of,
        (None | Some(_), None) | (None, Some(_)) => true,
    };
    enterprise && (scope.division.starts_with(&reach.division) || reach.division.starts_with(&scope.division))
}

fn view(counts: &BTreeMap<String, Precision>, rule: &AlertRule) -> PrecisionView {
    let precision = counts.get(&rule.code).copied().unwrap_or_default();
    PrecisionView { closed: precision.closed, confirmed: precision.confirmed, share: precision.share() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_enterprise_is_told_of_general_rules_and_its_own() {
        let reach = Reach { enterprise: Some("E".to_owned()), division: String::new() };
        let scope = |outlet: Option<&str>, enterprise: Option<&str>| Scope {
            outlet: outlet.map(str::to_owned),
            enterprise: enterprise.map(str::to_owned),
            division: String::new(),
        };
        assert!(concerns(&reach, &scope(None, None), None));
        assert!(concerns(&reach, &scope(None, Some("E")), None));
        assert!(!concerns(&reach, &scope(None, Some("F")), None));
        assert!(concerns(&reach, &scope(Some("o"), None), Some(("E", "410800"))));
        assert!(!concerns(&reach, &scope(Some("o"), None), Some(("F", "410800"))));
        assert!(!concerns(&reach, &scope(Some("o"), None), None));
        assert!(concerns(&Reach::default(), &scope(Some("o"), Some("F")), None));
    }
}
