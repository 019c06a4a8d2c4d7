//! What a probe found, for programs: docs/gateway.md describes it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::cli::probe::Holding;
use crate::gateway::probe::survey::{Registers, Survey, Unit};
use crate::gateway::probe::{Form, Match, Words, texts};

/// All of it.
pub fn of(link: &str, survey: &Survey, holding: &[Holding<'_>]) -> Value {
    json!({
        "link": link,
        "took_ms": milliseconds(survey.took),
        "units": survey.units.iter().map(unit).collect::<Vec<_>>(),
        "silent": survey.silent,
        "out_of_reach": survey.out_of_reach,
        "not_asked": survey.not_asked,
        "expected": holding.iter().map(expected).collect::<Vec<_>>(),
    })
}

fn milliseconds(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn unit(unit: &Unit) -> Value {
    json!({
        "unit": unit.unit,
        "answer_ms": milliseconds(unit.answered_after),
        "remark": unit.remark,
        "tables": unit.tables.iter().map(table).collect::<Vec<_>>(),
    })
}

fn table(registers: &Registers) -> Value {
    let texts = texts(&registers.words).into_iter().map(|text| {
        json!({"register": text.address, "registers": text.registers, "text": text.text, "exchanged": text.exchanged})
    });
    json!({
        "table": registers.table.name(),
        "refused": registers.refused,
        "unknown": registers.unknown,
        "remark": registers.remark,
        "looked_twice": registers.twice,
        "texts": if registers.table.is_bits() { Vec::new() } else { texts.collect() },
        "registers": registers.words.keys().map(|address| register(registers, *address)).collect::<Vec<_>>(),
    })
}

fn register(registers: &Registers, address: u16) -> Value {
    json!({
        "register": address,
        "word": registers.words.get(&address),
        "moved": registers.moved.contains(&address),
        "as": (!registers.table.is_bits()).then(|| forms(&registers.words, address)),
    })
}

/// By type, then by order.
fn forms(words: &Words, address: u16) -> Value {
    let mut types: BTreeMap<&str, BTreeMap<&str, f64>> = BTreeMap::new();
    for form in Form::all() {
        if let Some(value) = form.read(words, address) {
            types.entry(form.type_name()).or_default().insert(form.order_name(), value);
        }
    }
    json!(types)
}

fn expected(holding: &Holding<'_>) -> Value {
    json!({
        "value": holding.expected.value,
        "found": holding.found.iter().map(|(unit, one)| found(unit, one)).collect::<Vec<_>>(),
    })
}

fn found(unit: &Unit, one: &Match) -> Value {
    let also = one.also.iter().map(|form| json!({"type": form.type_name(), "order": form.order_name()}));
    json!({
        "unit": unit.unit,
        "register": one.address,
        "table": one.table.name(),
        "type": one.form.type_name(),
        "order": one.form.order_name(),
        "scale": one.scale,
        "value": one.value,
        "doubt": one.doubt,
        "moved": one.moved,
        "also": also.collect::<Vec<_>>(),
    })
}
