//! What one scan came to, for programs: docs/gateway.md describes it.

use serde_json::{Value, json};

use crate::cli::poll::shown::{Polled, form};
use crate::gateway::assemble::Raw;

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
    let mut told = json!({
        "channel": raw.code.as_str(),
        "value": reading.and_then(|reading| reading.value),
        "flag": reading.map(|reading| reading.flag.letter()),
    });
    if let Some(measured) = raw.measured {
        let single = raw.single.iter().map(
            |(block, word)| json!({"table": block.table.name(), "register": block.address, "word": word}),
        );
        let form = form(measured);
        told["analyser"] = json!(polled.name(measured));
        told["table"] = json!(measured.place.table.name());
        told["register"] = json!(measured.place.address);
        told["type"] = json!(form.type_name());
        told["order"] = json!(form.order_name());
        told["words"] = json!(raw.words);
        told["raw"] = json!(raw.number);
        told["others"] = json!(single.collect::<Vec<_>>());
        let times = polled.doing(measured.analyser).and_then(|doing| doing.times);
        told["answer_ms"] = json!(times.map(|(median, _)| median));
    }
    told
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
