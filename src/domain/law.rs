//! The lists that say how figures are used: states, marks, exemptions, checks, orders, assessments, quotas. Each list only
//! grows. `Law::of` picks out what is about one outlet.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::domain::assessment::Assessment;
use crate::domain::capture::EfficiencyRule;
use crate::domain::exemption::Exemption;
use crate::domain::furnace::FurnaceRule;
use crate::domain::mark::{Mark, Marking, Review, Ruled, rule_on};
use crate::domain::order::{Line, Order, Scope};
use crate::domain::plant::{Outlet, Plant};
use crate::domain::quality::{Check, CheckPlan, OutOfControl, out_of_control};
use crate::domain::quota::{Quota, Target};
use crate::domain::source_state::SourceRule;

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
}

impl Law {
    /// Entries of lists that enter figures and verdicts (source states, marks, exemptions, checks, orders, assessments, quotas).
    pub fn entries(&self) -> usize {
        self.source_rules.len()
            + self.marks.len()
            + self.exemptions.len()
            + self.checks.len()
            + self.orders.len()
            + self.assessments.len()
            + self.furnaces.len()
            + self.quotas.len()
            + self.targets.len()
    }
}

/// What of the law is about one outlet, worked out as far as no signal is needed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OutletLaw {
    pub source_rules: Vec<SourceRule>,
    /// Every mark with its newest review; by beginning.
    pub marks: Vec<Ruled>,
    pub exemptions: Vec<Exemption>,
    pub out_of_control: Vec<OutOfControl>,
    pub orders: Vec<Order>,
}

impl OutletLaw {
    /// How its states are told apart at a time.
    pub fn source_rule(&self, at: jiff::Timestamp) -> Option<&SourceRule> {
        self.source_rules.iter().find(|rule| rule.times.holds(at))
    }

    /// How many minutes before a window of `[start, end)` its signals must be known.
    pub fn look_back_minutes(&self, start: jiff::Timestamp, end: jiff::Timestamp) -> u32 {
        let touching = self.source_rules.iter().filter(|rule| rule.times.touches(start, end));
        touching.map(SourceRule::look_back_minutes).max().unwrap_or(0)
    }
}

/// The lists by what they are about, so that many outlets can be served.
struct Index<'l> {
    law: &'l Law,
    marks: HashMap<&'l str, Vec<&'l Mark>>,
    reviews: HashMap<&'l str, Vec<Review>>,
    plans: HashMap<&'l str, Vec<CheckPlan>>,
    checks: HashMap<&'l str, Vec<Check>>,
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

impl Law {
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
            marks: by(&self.marks, |mark| &mark.outlet, |mark| mark),
            reviews: by(&self.reviews, |review| &review.mark, Clone::clone),
            plans: by(&self.check_plans, |plan| &plan.outlet, Clone::clone),
            checks: by(&self.checks, |check| &check.outlet, Clone::clone),
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
        let ruled = |mark: &&Mark| {
            let marking = law.markings.iter().find(|marking| {
                about(&marking.division, &marking.industry) && marking.times.holds(mark.times.from)
            });
            rule_on(mark, self.reviews.get(&*mark.code).map_or(&[], Vec::as_slice), marking)
        };
        let mut marks: Vec<Ruled> = self.marks.get(code).into_iter().flatten().map(ruled).collect();
        marks.sort_by(|a, b| (a.times, &a.mark.code).cmp(&(b.times, &b.mark.code)));
        let concerns = |order: &&Order| match &order.scope {
            Scope::Outlet(outlet) => outlet == code,
            Scope::Enterprise(credit_code) => *credit_code == enterprise.code,
            Scope::Line(name) => law
                .lines
                .iter()
                .any(|line| line.code == *name && line.outlets.iter().any(|outlet| outlet == code)),
        };
        let none: &[CheckPlan] = &[];
        let no_checks: &[Check] = &[];
        OutletLaw {
            source_rules: law.source_rules.iter().filter(|rule| rule.outlet == code).cloned().collect(),
            marks,
            exemptions: law
                .exemptions
                .iter()
                .filter(|exemption| about(&exemption.division, &exemption.industry))
                .cloned()
                .collect(),
            out_of_control: out_of_control(
                self.plans.get(code).map_or(none, Vec::as_slice),
                self.checks.get(code).map_or(no_checks, Vec::as_slice),
            ),
            orders: law.orders.iter().filter(concerns).cloned().collect(),
        }
    }
}
