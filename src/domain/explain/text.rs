//! An explanation for people at a terminal: at most 110 columns, wherever the words allow it.

use std::fmt;

use super::{
    ChannelAccount, Explanation, ReadingAccount, ScanAccount, SourceAccount, SubstituteAccount,
    VerdictAccount, WindowAccount,
};
use crate::domain::correction::{Input, Step};

const COLUMNS: usize = 110;
/// Where the second column begins.
const INDENT: usize = 24;

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}, {}", self.outlet, self.outlet_name, self.enterprise)?;
        let process = self.process.as_deref().unwrap_or("none at that time");
        writeln!(f, "asked for {}; process {process}; method {}", self.asked, self.method)?;
        self.differences(f)?;
        for note in &self.notes {
            row(f, "note", note)?;
        }
        if let Some(submitted) = &self.submitted {
            let differs = if submitted.differs { "; it would be another one now" } else { "" };
            let text = format!("at {} by {}: {}{differs}", submitted.at, submitted.by, submitted.reason);
            row(f, "submitted", &text)?;
        }
        if let Some(scan) = &self.scan {
            write_scan(f, scan)?;
        }
        write_source(f, &self.source)?;
        self.channels.iter().try_for_each(|channel| write_channel(f, channel))
    }
}

impl Explanation {
    fn differences(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.differences.is_empty() {
            return writeln!(f, "all {} stored figures agree with what the stored scans give", self.compared);
        }
        let (different, all) = (self.differences.len(), self.compared);
        writeln!(f, "\n!!! {different} OF {all} STORED FIGURES DIFFER FROM WHAT THE STORED SCANS GIVE !!!")?;
        for difference in &self.differences {
            writeln!(
                f,
                "!!! {} {}: stored {}, recomputed {}",
                difference.of, difference.figure, difference.stored, difference.recomputed
            )?;
        }
        Ok(())
    }
}

fn write_scan(f: &mut fmt::Formatter<'_>, scan: &ScanAccount) -> fmt::Result {
    let which = if scan.exact { "exactly this tick" } else { "the nearest before" };
    writeln!(f, "\nSCAN {} ({which})", scan.at)?;
    let record = &scan.record;
    row(f, "received", &scan.received_at.to_string())?;
    row(f, "record", &format!("gateway {}, epoch {}, seq {}", record.gateway, record.epoch, record.seq))?;
    row(f, "hash", &record.hash)?;
    match record.hash_agrees {
        Some(true) => row(f, "", "the record's bytes, made again from the row, have this hash")?,
        Some(false) => {
            writeln!(f, "!!! THE ROW DOES NOT GIVE THIS HASH: IT IS NOT WHAT THE GATEWAY RECORDED !!!")?;
        }
        None => {}
    }
    row(f, "previous record", &record.prev)?;
    row(f, "configuration", &record.cfg)?;
    for condition in &scan.conditions {
        let text = format!("{} ({})", quantity(condition.value, condition.unit), condition.source);
        row(f, condition.name, &text)?;
    }
    Ok(())
}

fn write_source(f: &mut fmt::Formatter<'_>, source: &SourceAccount) -> fmt::Result {
    if source.is_plain() {
        return Ok(());
    }
    writeln!(f, "\nSOURCE in the hour: {}", source.state)?;
    row(f, "told apart by", source.rule.as_deref().unwrap_or("no rule: running"))?;
    for (state, minutes) in &source.minutes {
        row(f, state, &format!("{minutes} minutes"))?;
    }
    for mark in &source.marks {
        let until = mark.until.map_or("further notice".to_owned(), |until| until.to_string());
        let channel = mark.channel.as_ref().map_or(String::new(), |channel| format!(" of {channel}"));
        row(
            f,
            &format!("mark {}", mark.mark),
            &format!("{}{channel}, {} to {until}", mark.claim, mark.from),
        )?;
        row(f, "", &format!("by {} at {}: {}", mark.author, mark.made_at, mark.reason))?;
        row(
            f,
            "",
            &format!(
                "{}{}",
                mark.stage,
                mark.review.as_ref().map_or(String::new(), |review| format!("; {review}"))
            ),
        )?;
        if let Some(contested) = &mark.contested {
            row(f, "", &format!("CONTESTED: {contested}"))?;
        }
    }
    source.out_of_control.iter().try_for_each(|text| row(f, "out of control", text))
}

fn write_substitute(f: &mut fmt::Formatter<'_>, substitute: &SubstituteAccount) -> fmt::Result {
    let finality = if substitute.provisional { "provisional" } else { "final" };
    writeln!(
        f,
        " SUBSTITUTED MASS {} kg, {} {} ({finality})",
        substitute.mass_kg, substitute.table, substitute.situation
    )?;
    let text = format!(
        "the largest of {} valid hours looked back on (of {}), that of {}; the gap has {} hours",
        substitute.looked_back, substitute.look_back, substitute.from_hour, substitute.gap_hours
    );
    row(f, "from", &text)
}

fn write_channel(f: &mut fmt::Formatter<'_>, channel: &ChannelAccount) -> fmt::Result {
    let unit = channel.unit.unwrap_or("not in use");
    let analyser = channel.analyser.as_deref().unwrap_or("none");
    let title = format!("{} {}, {unit}, analyser {analyser} ", channel.channel, channel.symbol);
    writeln!(f, "\n{title:-<COLUMNS$}")?;
    if let Some(reading) = &channel.reading {
        write_reading(f, reading, channel.unit.unwrap_or_default())?;
    }
    write_window(f, &channel.minute)?;
    write_window(f, &channel.hour)?;
    if let Some(substitute) = &channel.substitute {
        write_substitute(f, substitute)?;
    }
    channel.verdicts.iter().try_for_each(|verdict| write_verdict(f, verdict))
}

fn write_reading(f: &mut fmt::Formatter<'_>, reading: &ReadingAccount, unit: &str) -> fmt::Result {
    writeln!(f, " READING")?;
    row(f, "measured", &format!("{}, flag {}", quantity(reading.measured, unit), reading.device_flag))?;
    row(f, "validation", &reading.validation)?;
    reading.steps.iter().try_for_each(|step| write_step(f, step))
}

fn write_window(f: &mut fmt::Formatter<'_>, window: &WindowAccount) -> fmt::Result {
    let state = if window.closed { "" } else { ", NOT CLOSED YET" };
    let stored = window.stored_revision.map_or("not stored".to_owned(), |n| format!("stored revision {n}"));
    writeln!(f, " {} {} to {}, {stored}{state}", window.period.to_uppercase(), window.start, window.end)?;
    let Some(figures) = &window.figures else { return row(f, "", "no data") };
    let low_high =
        figures.min.zip(figures.max).map_or(String::new(), |(min, max)| format!("; min {min}, max {max}"));
    let text = format!(
        "{} of {} counted, {} needed: {}{low_high}",
        figures.n_valid,
        figures.n_expected,
        figures.n_needed,
        if figures.valid { "valid" } else { "NOT VALID" },
    );
    row(f, "values", &text)?;
    window.steps.iter().try_for_each(|step| write_step(f, step))
}

fn write_verdict(f: &mut fmt::Formatter<'_>, verdict: &VerdictAccount) -> fmt::Result {
    let stored = if verdict.stored { "" } else { ", not stored" };
    writeln!(f, " RULE {} ({}{stored}): {}", verdict.rule, verdict.kind, verdict.verdict.to_uppercase())?;
    row(f, "name", &verdict.name)?;
    row(f, "document", &format!("{} [{}]", verdict.document, verdict.mark))?;
    let reference = match (verdict.reference_oxygen, verdict.excess_air) {
        (Some(percent), _) => format!("at {percent} % O2"),
        (None, Some(alpha)) => format!("at excess air {alpha}"),
        (None, None) => "without conversion".to_owned(),
    };
    let reference = if verdict.unit == "mg/m3" { format!(" {reference}") } else { String::new() };
    row(f, "limit", &format!("{} {}{reference}; {}", verdict.limit, verdict.unit, verdict.comparison))?;
    if let Some(remark) = &verdict.remark {
        row(f, "remark", remark)?;
    }
    verdict.steps.iter().try_for_each(|step| write_step(f, step))
}

fn write_step(f: &mut fmt::Formatter<'_>, step: &Step) -> fmt::Result {
    let note = step.note.as_ref().map_or(String::new(), |note| format!("; {note}"));
    row(f, step.name, &format!("{}{note}", quantity(step.result, step.unit)))?;
    let inputs: Vec<String> = step.inputs.iter().map(shown).collect();
    let inputs = if inputs.is_empty() { String::new() } else { format!(" with {}", inputs.join(", ")) };
    row(f, "", &format!("= {}{inputs}", step.formula))?;
    row(f, "", &format!("[{}]", step.clause))
}

fn shown(input: &Input) -> String {
    format!("{} {}", input.name, quantity(input.value, input.unit))
}

fn quantity(value: Option<f64>, unit: &str) -> String {
    match (value, unit) {
        (None, _) => "none".to_owned(),
        (Some(value), "" | "1") => value.to_string(),
        (Some(value), unit) => format!("{value} {unit}"),
    }
}

/// A name and a text that is broken between words.
fn row(f: &mut fmt::Formatter<'_>, name: &str, text: &str) -> fmt::Result {
    let mut line = format!("   {name:<width$}", width = INDENT - 3);
    let mut empty = true;
    for word in text.split(' ') {
        if !empty && line.chars().count() + 1 + word.chars().count() > COLUMNS {
            writeln!(f, "{}", line.trim_end())?;
            line = " ".repeat(INDENT + 2);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    writeln!(f, "{}", line.trim_end())
}
