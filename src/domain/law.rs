//! The lists that say how figures are used: states, marks, exemptions, checks, orders, assessments, quotas. Each list only
//! grows. `Law::of` picks out what is about one outlet.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::alerting::Alerting;
use crate::domain::assessment::Assessment;
use crate::domain::capture::EfficiencyRule;
use crate::domain::exemption::Exemption;
use crate::domain::furnace::FurnaceRule;
use crate::domain::mark::{Mark, Marking, Review, Ruled, Stage, rule_on};
use crate::domain::order::{Line, Order, Scope};
use crate::domain::plant::{ChannelCode, Outlet, Plant};
use crate::domain::quality::{Check, CheckPlan, OutOfControl, out_of_control};
use crate::domain::quota::{Quota, Target};
use crate::domain::source_state::SourceRule;
use crate::domain::times::Times;

/// All lists.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Law {
    pub source_rules: Vec<SourceRule>,
    pub markings: Vec<Marking>,
    pub marks: Vec<Mark>,
    pub reviews: Vec<Review>,
    pub exemptions: Vec<Exemption>,
    pub check_plans: Vec<CheckPlan>,
    pub checks: Vec<Check>,
    pub efficiencies: Vec<EfficiencyRule>,
    pub lines: Vec<Line>,
    pub orders: Vec<Order>,
    pub assessments: Vec<Assessment>,
    pub furnaces: Vec<FurnaceRule>,
    pub quotas: Vec<Quota>,
    pub targets: Vec<Target>,
    /// Who is told.
    pub alerting: Alerting,
}

/// What of the law is about one outlet, worked out as far as no signal is needed. Marks and checks grow without end: where many
/// outlets are served the rest is kept (the frame), and they are added for a time by [`OutletLaw::with`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OutletLaw {
    pub source_rules: Vec<SourceRule>,
    pub markings: Vec<Marking>,
    pub exemptions: Vec<Exemption>,
    pub check_plans: Vec<CheckPlan>,
    pub efficiencies: Vec<EfficiencyRule>,
    pub orders: Vec<Order>,
    /// Of rules that judge the outlet.
    pub assessments: Vec<Assessment>,
    pub furnaces: Vec<FurnaceRule>,
    /// Every mark with its newest review; by beginning.
    pub marks: Vec<Ruled>,
    pub out_of_control: Vec<OutOfControl>,
    /// The checks that this rests on.
    pub checks: Vec<Check>,
}

impl OutletLaw {
    /// How its states are told apart at a time.
    pub fn source_rule(&self, at: Timestamp) -> Option<&SourceRule> {
        self.source_rules.iter().find(|rule| rule.times.holds(at))
    }

    /// How many minutes before a window of `[start, end)` its signals must be known.
    pub fn look_back_minutes(&self, start: Timestamp, end: Timestamp) -> u32 {
        let touching = self.source_rules.iter().filter(|rule| rule.times.touches(start, end));
        touching.map(SourceRule::look_back_minutes).max().unwrap_or(0)
    }

    /// The same frame with the marks, reviews and checks of the outlet. Reviews of other marks are passed over.
    #[must_use]
    pub fn with(mut self, marks: &[Mark], reviews: &[Review], checks: &[Check]) -> OutletLaw {
        let of_mark = by(reviews, |review| &review.mark, Clone::clone);
        let ruled = |mark: &Mark| {
            let marking = self.markings.iter().find(|marking| marking.times.holds(mark.times.from));
            rule_on(mark, of_mark.get(&*mark.code).map_or(&[], Vec::as_slice), marking)
        };
        self.marks = marks.iter().map(ruled).collect();
        wait_after_rejection(&mut self.marks);
        self.marks.sort_by(|a, b| (a.times, &a.mark.code).cmp(&(b.times, &b.mark.code)));
        self.out_of_control = out_of_control(&self.check_plans, checks);
        self.checks = checks.to_vec();
        self
    }
}

/// What was rejected once waits for the bureau when it is claimed again, under whatever code.
fn wait_after_rejection(marks: &mut [Ruled]) {
    let rejected: Vec<(bool, Option<ChannelCode>, Times)> = marks
        .iter()
        .filter(|ruled| ruled.stage == Stage::Rejected)
        .map(|ruled| (ruled.is_of_state(), ruled.mark.channel, ruled.times))
        .collect();
    for ruled in marks.iter_mut().filter(|ruled| ruled.stage == Stage::InForce) {
        let is_same = |(of_state, channel, times): &(bool, Option<ChannelCode>, Times)| {
            let same_channel =
                channel.is_none() || ruled.mark.channel.is_none() || *channel == ruled.mark.channel;
            *of_state == ruled.is_of_state() && same_channel && times.overlaps(&ruled.times)
        };
        if rejected.iter().any(is_same) {
            ruled.stage = Stage::Pending;
        }
    }
}

/// The lists by what they are about, so that many outlets can be served.
struct Index<'l> {
    law: &'l Law,
    source_rules: HashMap<&'l str, Vec<SourceRule>>,
    furnaces: HashMap<&'l str, Vec<FurnaceRule>>,
    plans: HashMap<&'l str, Vec<CheckPlan>>,
    marks: HashMap<&'l str, Vec<Mark>>,
    reviews: HashMap<&'l str, Vec<Review>>,
    checks: HashMap<&'l str, Vec<Check>>,
    assessments: HashMap<&'l str, Vec<Assessment>>,
}

fn by<'l, T, U>(
    entries: &'l [T],
    key: impl Fn(&'l T) -> &'l str,
    value: impl Fn(&'l T) -> U,
) -> HashMap<&'l str, Vec<U>> {
    let mut groups: HashMap<&str, Vec<U>> = HashMap::new();
    for entry in entries {
        groups.entry(key(entry)).or_default().push(value(entry));
    }
    groups
}

fn of_key<T: Clone>(groups: &HashMap<&str, Vec<T>>, key: &str) -> Vec<T> {
    groups.get(key).cloned().unwrap_or_default()
}

impl Law {
    /// Takes over what a jurisdiction's rules bring besides limits, list by list, where they bring any.
    pub fn judge_by(&mut self, other: Law) {
        fn take<T>(own: &mut Vec<T>, other: Vec<T>) {
            if !other.is_empty() {
                *own = other;
            }
        }
        take(&mut self.markings, other.markings);
        take(&mut self.exemptions, other.exemptions);
        take(&mut self.assessments, other.assessments);
        take(&mut self.efficiencies, other.efficiencies);
        take(&mut self.targets, other.targets);
    }

    /// What is about one outlet.
    pub fn of(&self, outlet: &Outlet) -> OutletLaw {
        self.index().of(outlet)
    }

    /// What is about each outlet of a plant, by its code.
    pub fn by_outlet(&self, plant: &Plant) -> BTreeMap<Arc<str>, OutletLaw> {
        let index = self.index();
        plant.outlets.iter().map(|outlet| (Arc::clone(&outlet.code), index.of(outlet))).collect()
    }

    fn index(&self) -> Index<'_> {
        Index {
            law: self,
            source_rules: by(&self.source_rules, |rule| &rule.outlet, Clone::clone),
            furnaces: by(&self.furnaces, |rule| &rule.outlet, Clone::clone),
            plans: by(&self.check_plans, |plan| &plan.outlet, Clone::clone),
            marks: by(&self.marks, |mark| &mark.outlet, Clone::clone),
            reviews: by(&self.reviews, |review| &review.mark, Clone::clone),
            checks: by(&self.checks, |check| &check.outlet, Clone::clone),
            assessments: by(&self.assessments, |assessment| &assessment.rule, Clone::clone),
        }
    }
}

impl Index<'_> {
    fn of(&self, outlet: &Outlet) -> OutletLaw {
        let (code, enterprise) = (&*outlet.code, &*outlet.enterprise);
        let law = self.law;
        let about = |division: &str, industry: &str| {
            enterprise.division.starts_with(division) && enterprise.industry.starts_with(industry)
        };
        let concerns = |order: &&Order| match &order.scope {
            Scope::Outlet(outlet) => outlet == code,
            Scope::Enterprise(credit_code) => *credit_code == enterprise.code,
            Scope::Line(name) => law
                .lines
                .iter()
                .any(|line| line.code == *name && line.outlets.iter().any(|outlet| outlet == code)),
        };
        let markings = law.markings.iter().filter(|entry| about(&entry.division, &entry.industry));
        let exemptions = law.exemptions.iter().filter(|entry| about(&entry.division, &entry.industry));
        let efficiencies = law.efficiencies.iter().filter(|entry| about(&entry.division, &entry.industry));
        // Versions of a rule share its code.
        let rules: BTreeSet<&str> = outlet.rules.iter().map(|rule| rule.code.as_str()).collect();
        let frame = OutletLaw {
            source_rules: of_key(&self.source_rules, code),
            markings: markings.cloned().collect(),
            exemptions: exemptions.cloned().collect(),
            check_plans: of_key(&self.plans, code),
            efficiencies: efficiencies.cloned().collect(),
            orders: law.orders.iter().filter(concerns).cloned().collect(),
            assessments: rules.into_iter().flat_map(|rule| of_key(&self.assessments, rule)).collect(),
            furnaces: of_key(&self.furnaces, code),
            ..OutletLaw::default()
        };
        let marks = of_key(&self.marks, code);
        let reviews: Vec<Review> = marks.iter().flat_map(|mark| of_key(&self.reviews, &mark.code)).collect();
        frame.with(&marks, &reviews, &of_key(&self.checks, code))
    }
}
