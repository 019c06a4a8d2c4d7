//! What one scan came to, for programs: docs/gateway.md describes it.

use serde_json::{Value, json};

use crate::cli::poll::shown::{Polled, form};
use crate::gateway::assemble::Raw;
use crate::gateway::probe::Form;

/// One scan of one outlet.
pub fn of(polled: &Polled<'_>) -> Value {
    let channels: Vec<Value> = polled.raw.iter().map(|raw| channel(polled, raw)).collect();
    let analysers: Vec<Value> = polled.asked.iter().filter_map(|index| analyser(polled, *index)).collect();
    json!({
        "outlet": polled.outlet.code,
        "at": polled.at.to_string(),
        "channels": channels,
        "analysers": analysers,
    })
}

fn channel(polled: &Polled<'_>, raw: &Raw<'_>) -> Value {
    let reading = polled.reading(raw.code);
    let measured = raw.measured;
    let form = measured.map(form);
    let others = raw
        .single
        .iter()
        .map(|(block, word)| json!({"table": block.table.name(), "register": block.address, "word": word}));
    let times = measured.and_then(|measured| polled.doing(measured.analyser)).and_then(|doing| doing.times);
    json!({
        "channel": raw.code.as_str(),
        "value": reading.and_then(|reading| reading.value),
        "flag": reading.map(|reading| reading.flag.letter()),
        "analyser": measured.map(|measured| polled.name(measured)),
        "table": measured.map(|measured| measured.place.table.name()),
        "register": measured.map(|measured| measured.place.address),
        "type": form.map(Form::type_name),
        "order": form.map(Form::order_name),
        "words": raw.words,
        "raw": raw.number,
        "others": others.collect::<Vec<_>>(),
        "answer_ms": times.filter(|_| raw.words.is_some()).map(|(median, _)| median),
    })
}

fn analyser(polled: &Polled<'_>, index: usize) -> Option<Value> {
    let (analyser, doing) = (polled.config.analysers.get(index)?, polled.doing(index)?);
    let failed = polled.failed.iter().filter(|finding| finding.analyser == analyser.name);
    let failed = failed
        .map(|finding| json!({"check": finding.check, "expected": finding.expected, "found": finding.found}));
    Some(json!({
        "analyser": analyser.name,
        "line": polled.config.lines.get(analyser.line).map(|line| line.name.as_str()),
        "unit": analyser.unit,
        "answered": doing.answered,
        "failed": doing.failed,
        "fault": doing.fault,
        "refused": doing.refused,
        "failed_checks": failed.collect::<Vec<_>>(),
    }))
}
