//! What an enterprise says about its data, and what the bureau says about that. Marks and reviews are only ever added; the
//! newest review counts. Whether a mark counts before it is reviewed, and by when it must be made, is data.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::domain::flag::Status;
use crate::domain::plant::ChannelCode;
use crate::domain::source_state::SourceState;
use crate::domain::times::Times;

/// What a mark claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Claim {
    /// The source was in a state; always of the whole outlet.
    State(SourceState),
    /// The instrument was in a condition; of one channel or all.
    Instrument(Condition),
}

/// What an instrument was doing instead of measuring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    Calibration,
    Maintenance,
    Fault,
    NoData,
}

impl Claim {
    pub const ALL: [Claim; 9] = [
        Claim::State(SourceState::Running),
        Claim::State(SourceState::StartUp),
        Claim::State(SourceState::ShutDown),
        Claim::State(SourceState::BankedFire),
        Claim::State(SourceState::Stopped),
        Claim::Instrument(Condition::Calibration),
        Claim::Instrument(Condition::Maintenance),
        Claim::Instrument(Condition::Fault),
        Claim::Instrument(Condition::NoData),
    ];

    /// As written in files and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Claim::State(state) => state.name(),
            Claim::Instrument(Condition::Calibration) => "calibration",
            Claim::Instrument(Condition::Maintenance) => "maintenance",
            Claim::Instrument(Condition::Fault) => "fault",
            Claim::Instrument(Condition::NoData) => "no-data",
        }
    }

    /// The status it gives a minute (HJ 76-2017 App. B).
    pub const fn status(self) -> Option<Status> {
        match self {
            Claim::State(state) => state.status(),
            Claim::Instrument(Condition::Calibration) => Some(Status::Calibration),
            Claim::Instrument(Condition::Maintenance) => Some(Status::Maintenance),
            Claim::Instrument(Condition::Fault) => Some(Status::Fault),
            Claim::Instrument(Condition::NoData) => Some(Status::NoData),
        }
    }
}

/// One mark, as it was made. Never changed: a wrong one is rejected or corrected by a review.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// Public code.
    pub code: String,
    pub outlet: String,
    /// `None`: the whole outlet.
    pub channel: Option<ChannelCode>,
    pub claim: Claim,
    pub times: Times,
    /// The authorised person.
    pub author: String,
    pub reason: String,
    pub made_at: Timestamp,
    /// Where the proof is kept.
    pub attachment: Option<String>,
}

/// What the bureau says of a mark.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Review {
    /// Code of the mark.
    pub mark: String,
    pub at: Timestamp,
    pub by: String,
    pub reason: String,
    pub decision: Decision,
}

/// How a review ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    Accepted,
    Rejected,
    /// Counts, but as the bureau puts it.
    Corrected {
        claim: Claim,
        times: Times,
    },
}

impl Decision {
    /// As written in files and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Decision::Accepted => "accepted",
            Decision::Rejected => "rejected",
            Decision::Corrected { .. } => "corrected",
        }
    }
}

/// A jurisdiction's rule for marks of an industry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Marking {
    pub code: String,
    pub document: String,
    pub times: Times,
    /// Prefix of the divisions, empty for everywhere.
    pub division: String,
    /// Prefix of the industries (GB/T 4754), empty for every industry.
    pub industry: String,
    /// A mark made later than this after the end of its time is late.
    pub deadline_hours: u32,
    pub effect: Effect,
}

/// When a mark in time begins to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    AtOnce,
    WhenAccepted,
}

impl Effect {
    pub const ALL: [Effect; 2] = [Effect::AtOnce, Effect::WhenAccepted];

    /// As written in files.
    pub const fn name(self) -> &'static str {
        match self {
            Effect::AtOnce => "at-once",
            Effect::WhenAccepted => "when-accepted",
        }
    }
}

/// How far a mark has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Counts by a marking rule, not yet reviewed.
    InForce,
    /// Waits for a review: the rule says so, or no marking rule is about this outlet.
    Pending,
    /// Made after the deadline; counts only if it is accepted all the same.
    Late,
    Accepted,
    Corrected,
    Rejected,
}

impl Stage {
    /// As written in answers.
    pub const fn name(self) -> &'static str {
        match self {
            Stage::InForce => "in-force",
            Stage::Pending => "pending",
            Stage::Late => "late",
            Stage::Accepted => "accepted",
            Stage::Corrected => "corrected",
            Stage::Rejected => "rejected",
        }
    }
}

/// A mark with what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Ruled {
    pub mark: Mark,
    /// The newest review.
    pub review: Option<Review>,
    pub stage: Stage,
    /// What counts: the mark's own claim and time, or the correction's.
    pub claim: Claim,
    pub times: Times,
}

impl Ruled {
    /// Whether it is about the source, not an instrument.
    pub const fn is_of_state(&self) -> bool {
        matches!(self.claim, Claim::State(_))
    }

    /// Whether it counts at all (signals may still contradict it).
    pub const fn in_effect(&self) -> bool {
        match self.stage {
            Stage::InForce | Stage::Accepted | Stage::Corrected => true,
            Stage::Pending | Stage::Late | Stage::Rejected => false,
        }
    }
}

/// A mark under its newest review and the marking rule that is about its outlet at its beginning.
pub fn rule_on(mark: &Mark, reviews: &[Review], marking: Option<&Marking>) -> Ruled {
    let review = reviews.iter().filter(|review| review.mark == mark.code).max_by_key(|review| review.at);
    let (stage, claim, times) = match review.map(|review| review.decision) {
        Some(Decision::Accepted) => (Stage::Accepted, mark.claim, mark.times),
        Some(Decision::Rejected) => (Stage::Rejected, mark.claim, mark.times),
        Some(Decision::Corrected { claim, times }) => (Stage::Corrected, claim, times),
        None => (unreviewed(mark, marking), mark.claim, mark.times),
    };
    Ruled { mark: mark.clone(), review: review.cloned(), stage, claim, times }
}

fn unreviewed(mark: &Mark, marking: Option<&Marking>) -> Stage {
    let Some(marking) = marking else { return Stage::Pending };
    let end = mark.times.until.unwrap_or(mark.made_at);
    let deadline = end.checked_add(SignedDuration::from_hours(i64::from(marking.deadline_hours)));
    if deadline.is_ok_and(|deadline| mark.made_at > deadline) {
        return Stage::Late;
    }
    match marking.effect {
        Effect::AtOnce => Stage::InForce,
        Effect::WhenAccepted => Stage::Pending,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn stop_mark(made_at: &str) -> Mark {
        Mark {
            code: "m-1".to_owned(),
            outlet: "kiln".to_owned(),
            channel: None,
            claim: Claim::State(SourceState::Stopped),
            times: Times { from: at("2026-11-21T04:00:00Z"), until: Some(at("2026-11-21T08:00:00Z")) },
            author: "Shift leader".to_owned(),
            reason: "Ring fell".to_owned(),
            made_at: at(made_at),
            attachment: None,
        }
    }

    fn marking(effect: Effect) -> Marking {
        Marking {
            code: "cement".to_owned(),
            document: "A marking rule".to_owned(),
            times: Times { from: Timestamp::MIN, until: None },
            division: String::new(),
            industry: "C30".to_owned(),
            deadline_hours: 12,
            effect,
        }
    }

    fn review(time: &str, decision: Decision) -> Review {
        Review {
            mark: "m-1".to_owned(),
            at: at(time),
            by: "Bureau".to_owned(),
            reason: "seen".to_owned(),
            decision,
        }
    }

    #[test]
    fn without_a_marking_rule_a_mark_waits_for_the_bureau() {
        let mark = stop_mark("2026-11-21T09:00:00Z");
        assert_eq!(rule_on(&mark, &[], None).stage, Stage::Pending);
        assert_eq!(rule_on(&mark, &[], Some(&marking(Effect::WhenAccepted))).stage, Stage::Pending);
        assert_eq!(rule_on(&mark, &[], Some(&marking(Effect::AtOnce))).stage, Stage::InForce);
    }

    #[test]
    fn the_deadline_is_the_rule_s_and_counts_from_the_end() {
        let rule = marking(Effect::AtOnce);
        let stage = |made_at| rule_on(&stop_mark(made_at), &[], Some(&rule)).stage;
        assert_eq!(stage("2026-11-21T20:00:00Z"), Stage::InForce);
        assert_eq!(stage("2026-11-21T20:00:01Z"), Stage::Late);
        let late = stop_mark("2026-12-01T00:00:00Z");
        let accepted = [review("2026-12-02T00:00:00Z", Decision::Accepted)];
        assert!(rule_on(&late, &accepted, Some(&rule)).in_effect());
    }

    #[test]
    fn the_newest_review_counts_and_both_versions_stay() {
        let mark = stop_mark("2026-11-21T09:00:00Z");
        let shorter = Times { from: at("2026-11-21T05:00:00Z"), until: Some(at("2026-11-21T06:00:00Z")) };
        let corrected = Decision::Corrected { claim: Claim::State(SourceState::ShutDown), times: shorter };
        let reviews =
            [review("2026-11-23T00:00:00Z", corrected), review("2026-11-22T00:00:00Z", Decision::Rejected)];
        let ruled = rule_on(&mark, &reviews, None);
        assert_eq!(
            (ruled.stage, ruled.claim, ruled.times),
            (Stage::Corrected, Claim::State(SourceState::ShutDown), shorter)
        );
        assert_eq!(ruled.mark, mark);
        assert!(!rule_on(&mark, &reviews[1..], Some(&marking(Effect::AtOnce))).in_effect());
    }

    proptest! {
        #[test]
        fn the_order_of_reviews_does_not_matter(mut days in prop::collection::vec((1_i64..28, 0_usize..3), 1..6)) {
            days.sort_unstable();
            days.dedup_by_key(|(day, _)| *day);
            let mark = stop_mark("2026-11-21T09:00:00Z");
            let decisions = [Decision::Accepted, Decision::Rejected,
                Decision::Corrected { claim: Claim::Instrument(Condition::Fault), times: mark.times }];
            let mut reviews: Vec<Review> = days.iter()
                .map(|(day, which)| review(&format!("2026-12-{day:02}T00:00:00Z"), decisions[*which]))
                .collect();
            let forwards = rule_on(&mark, &reviews, None);
            reviews.reverse();
            prop_assert_eq!(forwards, rule_on(&mark, &reviews, None));
        }
    }

    #[test]
    fn names_are_distinct() {
        let mut names: Vec<&str> = Claim::ALL.iter().map(|claim| claim.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Claim::ALL.len());
    }
}
