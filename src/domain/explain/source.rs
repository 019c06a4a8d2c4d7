//! What the source was doing in the hour, by its signals and by what the enterprise and the bureau say; and the hour's substitutes.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::{Comparison, Evidence};
use crate::domain::average::kilograms;
use crate::domain::judgement::Ground;
use crate::domain::mark::Ruled;
use crate::domain::plant::Position;
use crate::domain::quality::Cause;
use crate::domain::validity::Overlay;
use crate::domain::window::Window;

/// The four layers of an hour.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SourceAccount {
    /// What fills the hour.
    pub state: &'static str,
    /// Minutes of each state but running.
    pub minutes: BTreeMap<&'static str, u32>,
    /// The document of the rule that tells states apart; null where none is in force: running.
    pub rule: Option<String>,
    /// Every mark that touches the hour, whether it counts or not.
    pub marks: Vec<MarkAccount>,
    /// Analysers out of control in the hour, in words.
    pub out_of_control: Vec<String>,
}

/// One mark with what became of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MarkAccount {
    pub mark: String,
    /// Null: the whole outlet.
    pub channel: Option<String>,
    pub claim: &'static str,
    pub from: Timestamp,
    pub until: Option<Timestamp>,
    pub author: String,
    pub reason: String,
    pub made_at: Timestamp,
    pub attachment: Option<String>,
    /// `in-force`, `pending`, `late`, `accepted`, `corrected`, `rejected`.
    pub stage: &'static str,
    /// The newest review, in words.
    pub review: Option<String>,
    /// The signal that contests it, in words; the minute is then judged as the signals have it.
    pub contested: Option<String>,
}

impl SourceAccount {
    pub(super) fn of(ground: &Ground<'_>, hour: Window, overlay: &Overlay) -> SourceAccount {
        let contests = overlay.contests();
        let marks = ground.law.marks.iter().filter(|ruled| ruled.times.touches(hour.start, hour.end));
        let out = ground.law.out_of_control.iter().filter(|out| out.times.touches(hour.start, hour.end));
        SourceAccount {
            state: overlay.occupied(ground.regime.counts.hour).state.name(),
            minutes: overlay.states().into_iter().map(|(state, count)| (state.name(), count)).collect(),
            rule: ground.law.source_rule(hour.start).map(|rule| rule.document.clone()),
            marks: marks
                .map(|ruled| {
                    let contest = contests.get(ruled.mark.code.as_str());
                    let contested = contest.map(|(at, contest)| {
                        format!("{} shows {} at {at}", contest.signal.channel.as_str(), contest.signal.value)
                    });
                    mark(ruled, contested)
                })
                .collect(),
            out_of_control: out
                .map(|out| {
                    let cause = match out.cause {
                        Cause::Overdue => "overdue",
                        Cause::Failed => "failed",
                    };
                    format!("{}: {} {cause}, since {}", out.analyser, out.kind, out.times.from)
                })
                .collect(),
        }
    }

    /// Whether there is anything to tell.
    pub(super) fn is_plain(&self) -> bool {
        self.minutes.is_empty() && self.marks.is_empty() && self.out_of_control.is_empty()
    }
}

fn mark(ruled: &Ruled, contested: Option<String>) -> MarkAccount {
    let review = ruled.review.as_ref();
    MarkAccount {
        mark: ruled.mark.code.clone(),
        channel: ruled.mark.channel.map(|channel| channel.to_string()),
        claim: ruled.claim.name(),
        from: ruled.times.from,
        until: ruled.times.until,
        author: ruled.mark.author.clone(),
        reason: ruled.mark.reason.clone(),
        made_at: ruled.mark.made_at,
        attachment: ruled.mark.attachment.clone(),
        stage: ruled.stage.name(),
        review: review.map(|review| {
            format!("{} by {} at {}: {}", review.decision.name(), review.by, review.at, review.reason)
        }),
        contested,
    }
}

/// The mass that stands in for the hour's.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SubstituteAccount {
    pub mass_kg: f64,
    pub table: String,
    pub situation: String,
    /// The hour whose mass it is: the largest of the valid ones that were looked back on.
    pub from_hour: Timestamp,
    pub look_back: u32,
    pub looked_back: u32,
    pub gap_hours: u32,
    pub provisional: bool,
}

/// The substitute of a channel's hour; its mass is compared with the hour that it is from.
pub(super) fn substitute_account(
    position: Position,
    evidence: &Evidence,
    comparison: &mut Comparison,
) -> Option<SubstituteAccount> {
    let found = evidence.substitutes.iter().find(|one| one.position == position)?;
    let of = format!("substitute from hour {}", found.from_hour);
    comparison.numbers(&of, "mass_kg", Some(kilograms(found.mass_mg)), found.from_mass_mg.map(kilograms));
    Some(SubstituteAccount {
        mass_kg: kilograms(found.mass_mg),
        table: found.table.clone(),
        situation: found.situation.clone(),
        from_hour: found.from_hour,
        look_back: found.look_back,
        looked_back: found.looked_back,
        gap_hours: found.gap_hours,
        provisional: found.provisional,
    })
}
