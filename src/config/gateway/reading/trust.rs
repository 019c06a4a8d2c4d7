//! What says whether a value is to be trusted: status words, a quality word, a register that changes with each result.

use crate::config::check::{one_of, small};
use crate::config::document::Section;
use crate::config::gateway::reading::place::register;
use crate::config::gateway::{Quality, StatusCondition, StatusRegister, StatusRule, Table};
use crate::domain::flag::Flag;

/// Flags that an analyser can give; the others are found here or set by people.
const STATUS_FLAGS: [(&str, Flag); 6] = [
    ("N", Flag::Normal),
    ("F", Flag::InstrumentOff),
    ("M", Flag::Maintenance),
    ("D", Flag::Fault),
    ("C", Flag::Calibration),
    ("T", Flag::OverRange),
];

/// What says whether one channel's value is to be trusted.
#[derive(Debug, Clone)]
pub struct Trust {
    pub statuses: Vec<StatusRegister>,
    pub quality: Option<Quality>,
    pub fresh: Option<(Table, u16)>,
}

/// `status`, `quality`, `fresh` of a channel or a point.
pub fn trust(section: &mut Section<'_>) -> Option<Trust> {
    let statuses = statuses(section);
    let quality = section.optional_table("quality").map(|mut table| quality(&mut table));
    let fresh = section.optional_table("fresh").map(|mut table| register(&mut table));
    // What is written and is no table has its problem already.
    let no_table = (quality.is_none() && section.has("quality")) || (fresh.is_none() && section.has("fresh"));
    if no_table {
        return None;
    }
    Some(Trust {
        statuses: statuses?,
        quality: if let Some(quality) = quality { Some(quality?) } else { None },
        fresh: if let Some(fresh) = fresh { Some(fresh?) } else { None },
    })
}

/// `[status]`, or several `[[status]]`.
pub fn statuses(section: &mut Section<'_>) -> Option<Vec<StatusRegister>> {
    let registers: Vec<Option<StatusRegister>> =
        section.one_or_more("status").into_iter().map(|mut status| status_register(&mut status)).collect();
    registers.into_iter().collect()
}

fn status_register(section: &mut Section<'_>) -> Option<StatusRegister> {
    let register = register(section);
    let table = register.map_or(Table::Holding, |(table, _)| table);
    let sections = section.tables("rules");
    if sections.is_empty() {
        section.problem("rules", "nothing", "at least one rule, as {bit = 0, flag = \"D\"}");
    }
    let rules: Vec<Option<StatusRule>> = sections.into_iter().map(|mut one| rule(&mut one, table)).collect();
    let rules = rules.into_iter().collect::<Option<_>>()?;
    let (table, address) = register?;
    Some(StatusRegister { table, address, rules })
}

fn rule(section: &mut Section<'_>, table: Table) -> Option<StatusRule> {
    // A coil or a discrete input is one bit.
    let (last_bit, largest) = if table.is_bits() { (0, 1) } else { (15, 65_535) };
    let bit = section.optional("bit", small(0..=last_bit));
    let mask = section.optional("mask", small::<u16>(1..=largest));
    let value = section.optional("value", small::<u16>(0..=largest));
    let flag = section.required("flag", one_of(&STATUS_FLAGS));
    let allowed = "a rule with `bit`, or with `value`, or with `mask` and `value`";
    let when = match (bit?, mask?, value?) {
        (Some(bit), None, None) => StatusCondition::Bit(bit),
        (None, None, Some(value)) => StatusCondition::Value(value),
        (None, Some(mask), Some(value)) => {
            if value & !mask != 0 {
                let found = format!("{value} with mask = {mask}, which never applies");
                section.problem("value", &found, "no bit besides those of the mask");
                return None;
            }
            StatusCondition::Mask { mask, value }
        }
        (Some(_), None, Some(_)) => {
            section.problem("value", "both `bit` and `value`", allowed);
            return None;
        }
        (Some(_), Some(_), _) => {
            section.problem("mask", "both `bit` and `mask`", allowed);
            return None;
        }
        (None, Some(_), None) => {
            section.problem("value", "`mask` without `value`", allowed);
            return None;
        }
        (None, None, None) => {
            section.problem("bit", "none of `bit`, `value` and `mask`", allowed);
            return None;
        }
    };
    Some(StatusRule { when, flag: flag? })
}

fn quality(section: &mut Section<'_>) -> Option<Quality> {
    let register = register(section);
    let largest = if register.is_some_and(|(table, _)| table.is_bits()) { 1 } else { 65_535 };
    let mask = section.with_default("mask", small::<u16>(1..=largest), 65_535);
    let good = section.list("good", small::<u16>(0..=largest));
    let flags = STATUS_FLAGS.get(1..).unwrap_or_default();
    let flag = section.with_default("flag", one_of(flags), Flag::Fault);
    let (mask, good) = (mask?, good?);
    if good.is_empty() {
        section.problem("good", "nothing", "at least one word that says that the value is good, as [0, 192]");
        return None;
    }
    if let Some(never) = good.iter().find(|good| **good & !mask != 0) {
        let found = format!("{never} with mask = {mask}, which is never found");
        section.problem("good", &found, "words without a bit besides those of the mask");
        return None;
    }
    let (table, address) = register?;
    Some(Quality { table, address, mask, good, flag: flag? })
}
