//! What a court asks of a verdict besides its figures.

use super::Ground;
use crate::domain::exemption::{Exempted, Exemption};
use crate::domain::limit::AveragingPeriod;
use crate::domain::plant::Position;
use crate::domain::quality::{Cause, out_at};
use crate::domain::source_state::SourceState;
use crate::domain::validity::Overlay;
use crate::domain::window::{Window, lower};

impl Ground<'_> {
    /// Exemptions that apply or not, states that do not fill the window, marks that count, marks that are contested, an instrument out
    /// of control; `None` where there is nothing to say.
    pub(super) fn remark(
        &self,
        window: Window,
        position: Option<Position>,
        exemption: Option<(&Exemption, Exempted)>,
        overlay: &Overlay,
    ) -> Option<String> {
        let mut parts: Vec<String> = Vec::new();
        if let Some((exemption, outcome)) = exemption {
            parts.push(outcome.told(exemption));
        }
        // A state that fills the window is its status; one that does not is told.
        if overlay.occupied(self.needed(window)).state == SourceState::Running {
            for (state, minutes) in overlay.states() {
                parts.push(format!("{} for {minutes} minutes", state.name()));
            }
        }
        for (mark, (at, contest)) in overlay.contests() {
            parts.push(format!(
                "mark {mark} ({}) is contested: {} shows {} at {at}",
                contest.claim.name(),
                contest.signal.channel.as_str(),
                contest.signal.value
            ));
        }
        let channel = position.and_then(|position| self.outlet.channels.get(position));
        let contested = overlay.contests();
        let made_of_minutes = lower(window.period) == Some(AveragingPeriod::Minute);
        for ruled in self.law.marks.iter().filter(|ruled| made_of_minutes && ruled.in_effect()) {
            let is_about = ruled.is_of_state()
                || ruled.mark.channel.is_none_or(|code| channel.is_some_and(|channel| channel.code == code));
            let counts =
                ruled.times.touches(window.start, window.end) && !contested.contains_key(&*ruled.mark.code);
            if is_about && counts {
                parts.push(format!(
                    "mark {} ({}) counts: {}",
                    ruled.mark.code,
                    ruled.claim.name(),
                    ruled.stage.name()
                ));
            }
        }
        if let Some(settings) = channel.and_then(|channel| channel.settings.at(window.start))
            && let Some(out) = out_at(&self.law.out_of_control, &settings.analyser, window.start)
        {
            let cause = match out.cause {
                Cause::Overdue => "overdue",
                Cause::Failed => "failed",
            };
            parts.push(format!(
                "analyser {} out of control since {}: {} {cause}",
                out.analyser, out.times.from, out.kind
            ));
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}
