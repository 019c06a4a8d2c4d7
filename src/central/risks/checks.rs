//! Analysers out of control: a check is overdue or was failed. One episode an analyser; it ends with the good check.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::central::risks::Look;
use crate::central::seen::by;
use crate::central::warning::place;
use crate::domain::alert::{Alert, AlertKind, Instrument};
use crate::domain::alerting::AlertRule;
use crate::domain::plant::Outlet;
use crate::domain::quality::{Cause, Check, OutOfControl, out_at, out_of_control};
use crate::store::episode::{Key, Sighting};
use crate::store::frame::last_checks;
use crate::store::session::Failure;

impl Look<'_> {
    /// The analysers of these outlets that are out of control now.
    pub(super) async fn checks(&self, outlets: &[Arc<Outlet>]) -> Result<Vec<Sighting>, Failure> {
        let codes: Vec<&str> = outlets.iter().map(|outlet| &*outlet.code).collect();
        let mut of_outlet: BTreeMap<String, Vec<Check>> = BTreeMap::new();
        for check in last_checks(self.client, &codes, self.now).await? {
            of_outlet.entry(check.outlet.clone()).or_default().push(check);
        }
        let mut seen = Vec::new();
        for outlet in outlets {
            let Some(rule) = self.rule(AlertKind::CalibrationOverdue, outlet) else { continue };
            let checks = of_outlet.remove(&*outlet.code).unwrap_or_default();
            let spans = out_of_control(&self.frames.of(&outlet.code).check_plans, &checks);
            let analysers: BTreeSet<&str> = spans.iter().map(|span| span.analyser.as_str()).collect();
            let out = analysers.into_iter().filter_map(|analyser| out_at(&spans, analyser, self.now));
            seen.extend(out.map(|span| self.of_span(rule, outlet, span)));
        }
        Ok(seen)
    }

    fn of_span(&self, rule: &AlertRule, outlet: &Outlet, span: &OutOfControl) -> Sighting {
        let analyser = &span.analyser;
        let mut alert = Alert::new(AlertKind::CalibrationOverdue, span.times.from, self.now);
        let last = span
            .last_good
            .map_or("none is known before".to_owned(), |at| format!("the last good one was at {at}"));
        let told = match span.cause {
            Cause::Overdue => format!("check {} is overdue since {}; {last}", span.kind, span.times.from),
            Cause::Failed => format!("check {} was failed at {}; {last}", span.kind, span.times.from),
        };
        alert.outlet = Some(place(outlet));
        alert.analyser = Some(analyser.clone());
        let (checked_at, passed) = match span.cause {
            Cause::Overdue => (span.last_good, span.last_good.map(|_| true)),
            Cause::Failed => (Some(span.times.from), Some(false)),
        };
        alert.instrument = Some(Instrument {
            analyser: analyser.clone(),
            checked_at,
            passed,
            out_of_control: true,
            flag: None,
        });
        alert.summary = format!("outlet {}: analyser {analyser} is out of control: {told}", outlet.code);
        alert.reason = Some(told);
        let kind = AlertKind::CalibrationOverdue;
        let key = Key { outlet_id: outlet.id, position: -1, rule_id: 0, kind, subject: analyser.clone() };
        by(rule, key, (1, 1.0), alert)
    }
}
