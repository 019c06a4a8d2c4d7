//! `cems gateway plan`: what each line is asked, and whether its time is enough.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::config::gateway::{Gateway, Line, Table};
use crate::gateway::plan::bus_time::{LineTime, lines, request};
use crate::gateway::plan::{Inquiry, Planned, inquiries};
use crate::gateway::probe::ranges;

/// All that is asked, by line.
pub struct Plan<'p> {
    config: &'p Gateway,
    /// By outlet: its code and what is asked for it.
    asked: Vec<(&'p str, Vec<std::sync::Arc<Inquiry>>)>,
    times: Vec<LineTime>,
}

/// One request for one outlet.
struct Entry<'e> {
    outlet: &'e str,
    analyser: &'e str,
    unit: u8,
    planned: &'e Planned,
    takes: Duration,
}

impl Entry<'_> {
    fn used(&self) -> u32 {
        self.planned.used.iter().map(|block| u32::from(block.count)).sum()
    }

    /// The last register.
    fn last(&self) -> u16 {
        self.planned.block.address.saturating_add(self.planned.block.count.saturating_sub(1))
    }
}

impl Plan<'_> {
    /// Of a configuration.
    pub fn of(config: &Gateway) -> Plan<'_> {
        let asked = config.outlets.iter().map(|outlet| (outlet.code.as_str(), inquiries(config, outlet)));
        Plan { config, asked: asked.collect(), times: lines(config) }
    }

    fn entries(&self, index: usize, line: &Line) -> Vec<Entry<'_>> {
        let mut entries = Vec::new();
        for (outlet, inquiries) in &self.asked {
            for inquiry in inquiries {
                let analyser = self.config.analysers.get(inquiry.analyser);
                let Some(analyser) = analyser.filter(|analyser| analyser.line == index) else { continue };
                let entry = |planned| Entry {
                    outlet,
                    analyser: &analyser.name,
                    unit: analyser.unit,
                    planned,
                    takes: request(line, planned.block),
                };
                entries.extend(inquiry.blocks.iter().map(entry));
            }
        }
        entries
    }

    /// One object.
    pub fn json(&self) -> Value {
        let line = |time: &LineTime| {
            let line = self.config.lines.get(time.line)?;
            let requests = self.entries(time.line, line).iter().map(entry_json).collect::<Vec<_>>();
            let analysers = self.config.analysers.iter().filter(|analyser| analyser.line == time.line);
            Some(json!({
                "line": line.name,
                "analysers": analysers.map(|analyser| analyser.name.as_str()).collect::<Vec<_>>(),
                "requests": requests,
                "busy_ms": milliseconds(time.busy),
                "period_ms": milliseconds(time.period),
                "silent_analyser_ms": milliseconds(time.silence),
                "fits": time.fits(),
                "fits_with_one_silent": time.fits_with_one_silent(),
            }))
        };
        json!({"gateway": self.config.name, "lines": self.times.iter().filter_map(line).collect::<Vec<_>>()})
    }
}

fn entry_json(entry: &Entry<'_>) -> Value {
    let block = entry.planned.block;
    json!({
        "outlet": entry.outlet,
        "analyser": entry.analyser,
        "unit": entry.unit,
        "table": block.table.name(),
        "function": function(block.table),
        "first": block.address,
        "last": entry.last(),
        "count": block.count,
        "used": entry.used(),
        "every_ms": milliseconds(entry.planned.every),
        "takes_ms": entry.takes.as_secs_f64() * 1000.0,
    })
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl fmt::Display for Plan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for time in &self.times {
            let Some(line) = self.config.lines.get(time.line) else { continue };
            self.line(f, time, line)?;
        }
        Ok(())
    }
}

impl Plan<'_> {
    fn line(&self, f: &mut fmt::Formatter<'_>, time: &LineTime, line: &Line) -> fmt::Result {
        let entries = self.entries(time.line, line);
        writeln!(f, "line {}", line.name)?;
        writeln!(
            f,
            "  {:16} {:>4}  {:12} {:>8} {:>11} {:>5} {:>5} {:>9} {:>8}",
            "analyser", "unit", "outlet", "table", "registers", "count", "used", "every", "takes"
        )?;
        for entry in &entries {
            let block = entry.planned.block;
            writeln!(
                f,
                "  {:16} {:>4}  {:12} {:>8} {:>11} {:>5} {:>5} {:>7} s {:>5.1} ms",
                entry.analyser,
                entry.unit,
                entry.outlet,
                block.table.name(),
                ranges(block.address..=entry.last()),
                block.count,
                entry.used(),
                entry.planned.every.as_secs_f64(),
                entry.takes.as_secs_f64() * 1000.0
            )?;
        }
        let share = time.busy.as_secs_f64() / time.period.as_secs_f64() * 100.0;
        writeln!(
            f,
            "  {} when all are due: {:.1} ms of {} ms, {share:.1} %: {}",
            if time.requests == 1 { "1 request".to_owned() } else { format!("{} requests", time.requests) },
            time.busy.as_secs_f64() * 1000.0,
            time.period.as_millis(),
            if time.fits() { "it fits" } else { "it does not fit" }
        )?;
        let silent = if time.fits_with_one_silent() { "it fits" } else { "scans are late meanwhile" };
        writeln!(f, "  with one analyser silent {} ms more: {silent}\n", time.silence.as_millis())
    }
}

/// The Modbus function that reads it.
const fn function(table: Table) -> u8 {
    match table {
        Table::Coil => 1,
        Table::Discrete => 2,
        Table::Holding => 3,
        Table::Input => 4,
    }
}
