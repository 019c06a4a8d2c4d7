//! From the answers of one tick to the scan of an outlet. Pure; what depends on the scan before (a register that changes with each
//! result, a check that failed) is kept here and told.

/// What a checked register holds, beside what it must.
mod compare;
/// Scans of register images.
mod image;

use std::sync::Arc;

use jiff::Timestamp;

use crate::config::gateway::{Channel, Check, Gateway, Measured, Outlet, Source, StatusRegister, Table};
use crate::domain::flag::Flag;
use crate::domain::plant::ChannelCode;
use crate::domain::scan::{Reading, Scan};
use crate::gateway::assemble::compare::{compare, expected};
use crate::gateway::plan::{Block, Inquiry, Spot, inquiries};
use crate::gateway::register;

pub use crate::gateway::assemble::image::{Image, decode_image};

/// What an analyser said to one request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// One a register, or a coil; as many as were asked for.
    pub words: Vec<u16>,
    /// Registers in it that were not read: offset and count.
    pub holes: Vec<(usize, usize)>,
}

impl Answer {
    /// The words of one place, if they were all read.
    fn at(&self, spot: Spot) -> Option<&[u16]> {
        let from = usize::from(spot.offset);
        let end = from + usize::from(spot.count);
        let hole = self.holes.iter().any(|(first, count)| *first < end && from < first + count);
        if hole { None } else { self.words.get(from..end) }
    }
}

/// The answers to an inquiry's blocks, in their order; `None` for a block that was not asked or has no usable answer.
pub type Answers = Vec<Option<Answer>>;

/// A check whose outcome changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Name of the analyser.
    pub analyser: String,
    /// Name of the check.
    pub check: String,
    pub expected: String,
    pub found: String,
    pub agrees: bool,
}

/// The registers behind one channel's reading.
#[derive(Debug, Clone)]
pub struct Raw<'a> {
    pub code: ChannelCode,
    /// `None` for a constant.
    pub measured: Option<&'a Measured>,
    /// Of the value, if they were read.
    pub words: Option<&'a [u16]>,
    /// What they hold before it is converted.
    pub number: Option<f64>,
    /// Status, quality and fresh registers, with their words if they were read.
    pub single: Vec<(Block, Option<u16>)>,
}

/// An outlet's scans: where each reading is found, and what was found before.
pub struct Assembly {
    outlet: String,
    /// What is asked, by analyser.
    pub inquiries: Vec<Arc<Inquiry>>,
    channels: Vec<(ChannelCode, Origin)>,
    /// By inquiry: the analyser's own status registers.
    statuses: Vec<Vec<(Spot, StatusRegister)>>,
    checks: Vec<Checked>,
}

/// Where a channel's readings come from.
enum Origin {
    Constant(f64),
    Measured(Found),
}

struct Found {
    inquiry: u16,
    measured: Arc<Measured>,
    value: Spot,
    /// What few channels have.
    extras: Option<Box<Extras>>,
}

/// Whatever else decides on a channel's reading.
struct Extras {
    /// Of the channel's own status registers, in their order.
    statuses: Vec<Spot>,
    quality: Option<Spot>,
    fresh: Option<Spot>,
    /// What the register of `fresh` held last.
    last: Option<u16>,
    /// Indices of the checks that it depends on.
    checks: Vec<usize>,
}

struct Checked {
    inquiry: usize,
    spot: Spot,
    analyser: String,
    check: Check,
    /// The last outcome; agreement before there is any.
    agrees: bool,
}

impl Assembly {
    /// For one outlet.
    pub fn new(config: &Gateway, outlet: &Outlet) -> Assembly {
        let inquiries = inquiries(config, outlet);
        let (mut checks, mut statuses) = (Vec::new(), Vec::new());
        for (index, inquiry) in inquiries.iter().enumerate() {
            let Some(analyser) = config.analysers.get(inquiry.analyser) else { continue };
            let spot = |status: &StatusRegister| {
                let found = inquiry.spot(Block::new(status.table, status.address, 1), outlet.period);
                (found.unwrap_or(Spot::NOWHERE), status.clone())
            };
            statuses.push(analyser.statuses.iter().map(spot).collect());
            for check in &analyser.checks {
                if let Some(spot) = inquiry.spot(Block::of(&check.place), outlet.period) {
                    let analyser = analyser.name.clone();
                    checks.push(Checked {
                        inquiry: index,
                        spot,
                        analyser,
                        check: check.clone(),
                        agrees: true,
                    });
                }
            }
        }
        let origin = |channel: &Channel| match &channel.source {
            Source::Constant(value) => Some(Origin::Constant(*value)),
            Source::Register(measured) => {
                Found::new((&inquiries, &checks), (channel.code, measured)).map(Origin::Measured)
            }
        };
        let channels = outlet.channels.iter().filter_map(|channel| Some((channel.code, origin(channel)?)));
        let channels = channels.collect();
        Assembly { outlet: outlet.code.clone(), inquiries, channels, statuses, checks }
    }

    /// The scan that these answers make, and the checks whose outcome changed. Every channel that is due is in it; what has no
    /// answer says so. `answered` has the answers by inquiry; `None` when nothing came at all.
    pub fn scan(&mut self, at: Timestamp, answered: &[Option<Answers>]) -> (Scan, Vec<Finding>) {
        let findings = self.look(answered);
        let said: Vec<Said> = self
            .statuses
            .iter()
            .zip(answered)
            .map(|(statuses, answers)| said(statuses, answers.as_ref()))
            .collect();
        let (inquiries, checks) = (&self.inquiries, &self.checks);
        let mut readings = Vec::with_capacity(self.channels.len());
        for (code, origin) in &mut self.channels {
            let reading = match origin {
                Origin::Constant(value) => Some(Reading { value: Some(*value), flag: Flag::SetByHand }),
                Origin::Measured(found) => {
                    let planned = inquiries
                        .get(usize::from(found.inquiry))
                        .and_then(|inquiry| inquiry.blocks.get(usize::from(found.value.block)));
                    let due = planned.is_some_and(|planned| planned.is_due(at));
                    let answers = answered.get(usize::from(found.inquiry)).and_then(Option::as_ref);
                    let said = said.get(usize::from(found.inquiry)).copied().unwrap_or(Said::Unknown);
                    if due { found.reading(answers, said, checks) } else { None }
                }
            };
            readings.extend(reading.map(|reading| (*code, reading)));
        }
        (Scan { outlet: self.outlet.clone(), at, readings }, findings)
    }

    /// The registers behind each channel's reading, as they were answered, in the order of the channels.
    pub fn raw<'a>(&'a self, answered: &'a [Option<Answers>]) -> impl Iterator<Item = Raw<'a>> {
        self.channels.iter().map(|(code, origin)| {
            let Origin::Measured(found) = origin else {
                return Raw { code: *code, measured: None, words: None, number: None, single: Vec::new() };
            };
            let answers = answered.get(usize::from(found.inquiry)).and_then(Option::as_ref);
            let at = |spot: Spot| answers.and_then(|answers| words(answers, spot));
            let place = &found.measured.place;
            let value = at(found.value);
            let extras = found.extras.as_ref();
            let own = extras.map_or(&[][..], |extras| &extras.statuses);
            let own = found.measured.statuses.iter().zip(own);
            let device = self.statuses.get(usize::from(found.inquiry)).into_iter().flatten();
            let statuses = device.map(|(spot, status)| (status, spot)).chain(own);
            let statuses = statuses.map(|(status, spot)| ((status.table, status.address), *spot));
            let quality = found.measured.quality.as_ref().map(|quality| (quality.table, quality.address));
            let others = [
                quality.zip(extras.and_then(|extras| extras.quality)),
                found.measured.fresh.zip(extras.and_then(|extras| extras.fresh)),
            ];
            let others = others.into_iter().flatten();
            let single = statuses.chain(others).map(|((table, address), spot)| {
                (Block::new(table, address, 1), at(spot).and_then(|words| words.first().copied()))
            });
            Raw {
                code: *code,
                measured: Some(&found.measured),
                words: value,
                number: value.and_then(|words| register::raw(words, place.number, place.order)),
                single: single.collect(),
            }
        })
    }

    /// Compares what is checked with what it must be.
    fn look(&mut self, answered: &[Option<Answers>]) -> Vec<Finding> {
        let mut findings = Vec::new();
        for checked in &mut self.checks {
            let answers = answered.get(checked.inquiry).and_then(Option::as_ref);
            let Some(words) = answers.and_then(|answers| words(answers, checked.spot)) else { continue };
            let (agrees, found) = compare(words, &checked.check);
            if agrees != checked.agrees {
                checked.agrees = agrees;
                findings.push(Finding {
                    analyser: checked.analyser.clone(),
                    check: checked.check.name.clone(),
                    expected: expected(&checked.check.expected),
                    found,
                    agrees,
                });
            }
        }
        findings
    }
}

impl Found {
    fn new(
        (inquiries, checks): (&[Arc<Inquiry>], &[Checked]),
        (code, measured): (ChannelCode, &Arc<Measured>),
    ) -> Option<Found> {
        let index = inquiries.iter().position(|inquiry| inquiry.analyser == measured.analyser)?;
        let inquiry = inquiries.get(index)?;
        let single =
            |(table, address): (Table, u16)| inquiry.spot(Block::new(table, address, 1), measured.period);
        let statuses = measured.statuses.iter().map(|status| single((status.table, status.address)));
        let quality = measured.quality.as_ref().map(|quality| (quality.table, quality.address));
        let concerns = |checked: &Checked| {
            checked.inquiry == index
                && (checked.check.channels.is_empty() || checked.check.channels.contains(&code))
        };
        let concerned = checks.iter().enumerate().filter(|(_, checked)| concerns(checked));
        let extras = Extras {
            statuses: statuses.collect::<Option<_>>()?,
            quality: quality.and_then(single),
            fresh: measured.fresh.and_then(single),
            last: None,
            checks: concerned.map(|(index, _)| index).collect(),
        };
        Some(Found {
            inquiry: u16::try_from(index).ok()?,
            measured: Arc::clone(measured),
            value: inquiry.spot(Block::of(&measured.place), measured.period)?,
            extras: extras.is_any().then(|| Box::new(extras)),
        })
    }

    /// The reading, of an analyser that has `said` how it is; `None` when it has no new result.
    fn reading(&mut self, answers: Option<&Answers>, said: Said, checks: &[Checked]) -> Option<Reading> {
        let Some(answers) = answers else { return Some(Reading::NO_ANSWER) };
        if let Some(extras) = &mut self.extras
            && let Some(spot) = extras.fresh
        {
            let Some([word]) = words(answers, spot) else { return Some(Reading::NO_ANSWER) };
            // What stood there before the first look may be a result of long ago.
            let before = extras.last.replace(*word);
            if before.is_none_or(|before| before == *word) {
                return None;
            }
        }
        let Said::Known(flag) = said else { return Some(Reading::NO_ANSWER) };
        Some(self.trusted(answers, flag, checks).unwrap_or(Reading::NO_ANSWER))
    }

    /// `None` when a register is missing: without its status word nobody knows whether a value can be trusted.
    fn trusted(&self, answers: &Answers, said: Option<Flag>, checks: &[Checked]) -> Option<Reading> {
        let value = words(answers, self.value)?;
        let flag = match &self.extras {
            Some(extras) => extras.flag(&self.measured, said, (answers, checks))?,
            None => said,
        };
        let raw = register::raw(value, self.measured.place.number, self.measured.place.order);
        Some(register::reading(raw, &self.measured.conversion, flag.unwrap_or(Flag::Normal)))
    }
}

impl Extras {
    /// Whether there is anything in it.
    fn is_any(&self) -> bool {
        !self.statuses.is_empty() || self.quality.is_some() || self.fresh.is_some() || !self.checks.is_empty()
    }

    /// The channel's flag, of an analyser that has `said` its own; `None` when a register is missing.
    #[expect(clippy::option_option, reason = "a missing register is not the same as no flag")]
    fn flag(
        &self,
        measured: &Measured,
        said: Option<Flag>,
        (answers, checks): (&Answers, &[Checked]),
    ) -> Option<Option<Flag>> {
        let mut flag = said;
        for (spot, status) in self.statuses.iter().zip(&measured.statuses) {
            let [word] = words(answers, *spot)? else { return None };
            flag = flag.or_else(|| register::status(*word, status));
        }
        if let (Some(quality), Some(spot)) = (&measured.quality, self.quality) {
            let [word] = words(answers, spot)? else { return None };
            flag = flag.or_else(|| register::quality(*word, quality));
        }
        // Not normal: a rule that says "normal" cannot outweigh a range or a unit that is another.
        for index in &self.checks {
            let checked = checks.get(*index)?;
            words(answers, checked.spot)?;
            if !checked.agrees && flag.is_none_or(|flag| flag == Flag::Normal) {
                flag = Some(Flag::Fault);
            }
        }
        Some(flag)
    }
}

/// What an analyser says of itself.
#[derive(Debug, Clone, Copy)]
enum Said {
    /// One of its status registers is missing.
    Unknown,
    /// Nothing, or this.
    Known(Option<Flag>),
}

/// What an analyser's own status registers say.
fn said(statuses: &[(Spot, StatusRegister)], answers: Option<&Answers>) -> Said {
    let Some(answers) = answers else { return Said::Unknown };
    let mut flag = None;
    for (spot, status) in statuses {
        let Some([word]) = words(answers, *spot) else { return Said::Unknown };
        flag = flag.or_else(|| register::status(*word, status));
    }
    Said::Known(flag)
}

fn words(answers: &Answers, spot: Spot) -> Option<&[u16]> {
    answers.get(usize::from(spot.block))?.as_ref()?.at(spot)
}

#[cfg(test)]
mod tests;
