//! A gateway's status for people: as text for a terminal, and as a page that renews itself. The worst comes first.

use std::fmt::Write as _;

use crate::gateway::status::{AnalyserStatus, OutletStatus, Status};

/// What is wrong, in sentences; empty when all is well.
fn troubles(status: &Status) -> Vec<String> {
    let mut troubles = Vec::new();
    for (name, part) in status.parts.iter().filter(|(_, part)| !part.ready) {
        troubles.push(format!("{name}: {} (since {})", part.detail, part.since));
    }
    troubles.extend(status.spool.alarm.iter().map(|alarm| format!("spool: {alarm}")));
    for analyser in &status.analysers {
        if let Some(fault) = &analyser.fault {
            troubles.push(format!("analyser {}: {fault}", analyser.name));
        }
        if !analyser.refused.is_empty() {
            let registers = analyser.refused.join(", ");
            troubles.push(format!("analyser {} refuses registers {registers}", analyser.name));
        }
    }
    troubles
}

/// For a terminal.
pub fn text(status: &Status) -> String {
    let mut out = String::new();
    // Writing into a string cannot fail.
    let _infallible = write_text(&mut out, status);
    out
}

fn write_text(out: &mut String, status: &Status) -> std::fmt::Result {
    let short: String = status.cfg.chars().take(12).collect();
    writeln!(
        out,
        "{} (cems {}), configuration {short}, running since {}",
        status.gateway, status.version, status.started
    )?;
    let troubles = troubles(status);
    if troubles.is_empty() {
        writeln!(out, "all is well at {}", status.at)?;
    }
    for trouble in &troubles {
        writeln!(out, "! {trouble}")?;
    }
    writeln!(out, "\nspool     {}", spool(status))?;
    writeln!(out, "receipts  last {}", status.last_receipt.as_deref().unwrap_or("never"))?;
    writeln!(
        out,
        "\n{:<24} {:>4}  {:>9} {:>9}  {:>8} {:>8}  last answer",
        "analyser", "unit", "last hour", "all", "median", "p99"
    )?;
    for one in &status.analysers {
        let [hour, all, median, p99, last] = cells(one);
        writeln!(out, "{:<24} {:>4}  {hour:>9} {all:>9}  {median:>8} {p99:>8}  {last}", one.name, one.unit)?;
    }
    for outlet in &status.outlets {
        writeln!(out, "\noutlet {}, every {} ms, {}", outlet.code, outlet.period_ms, last_scan(outlet))?;
        for reading in &outlet.readings {
            let value = reading.value.map_or("no value".to_owned(), |value| value.to_string());
            writeln!(out, "  {:<12} {value:>20} {}", reading.channel, reading.flag)?;
        }
    }
    Ok(())
}

fn spool(status: &Status) -> String {
    let spool = &status.spool;
    let left = spool.hours_left.map_or("unknown".to_owned(), |hours| format!("{hours:.1} h"));
    let oldest = spool.oldest.as_ref().map_or(String::new(), |oldest| format!(", the oldest of {oldest}"));
    format!("{} records without a receipt{oldest}; room for {left} without a connection", spool.records)
}

fn last_scan(outlet: &OutletStatus) -> String {
    outlet.last_scan.as_ref().map_or("no scan yet".to_owned(), |at| format!("last scan {at}"))
}

/// Capture of the last hour and since the start, median and p99 of the answer times, the last answer.
fn cells(analyser: &AnalyserStatus) -> [String; 5] {
    let percent =
        |share: Option<f64>| share.map_or("-".to_owned(), |share| format!("{:.2} %", share * 100.0));
    let ms = |time: Option<f64>| time.map_or("-".to_owned(), |time| format!("{time} ms"));
    [
        percent(analyser.capture_last_hour),
        percent(analyser.capture),
        ms(analyser.answer_ms_median),
        ms(analyser.answer_ms_p99),
        analyser.last_answer.clone().unwrap_or_else(|| "never".to_owned()),
    ]
}

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;margin:1.5rem;max-width:72rem;color:#16202a;background:#fbfcfd}\
table{border-collapse:collapse;margin:.5rem 0 1.5rem}td,th{padding:.2rem .8rem;text-align:right;border-bottom:1px solid #d8dee4}\
td:first-child,th:first-child{text-align:left}.bad{background:#fde8e6;border-left:4px solid #c4291c;padding:.5rem .8rem;margin:.3rem 0}\
.good{background:#e6f4ea;border-left:4px solid #1e7d34;padding:.5rem .8rem}tr.bad td{background:#fde8e6}small{color:#5a6772}\
@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0e1318}.bad,tr.bad td{background:#43191a}.good{background:#12331d}\
td,th{border-color:#2b343d}small{color:#93a1ad}}";

/// The page.
pub fn html(status: &Status) -> String {
    let mut out = String::new();
    // Writing into a string cannot fail.
    let _infallible = write_html(&mut out, status);
    out
}

fn write_html(out: &mut String, status: &Status) -> std::fmt::Result {
    let name = escape(&status.gateway);
    write!(
        out,
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <meta http-equiv=\"refresh\" content=\"5\"><title>{name}</title><style>{STYLE}</style><h1>{name}</h1>\
         <p><small>cems {}, configuration {}, since {}, as of {}</small></p>",
        escape(&status.version),
        escape(&status.cfg),
        escape(&status.started),
        escape(&status.at)
    )?;
    let troubles = troubles(status);
    if troubles.is_empty() {
        out.write_str("<p class=\"good\">All is well.</p>")?;
    }
    for trouble in &troubles {
        write!(out, "<p class=\"bad\">{}</p>", escape(trouble))?;
    }
    write!(
        out,
        "<p>Spool: {}. Last receipt: {}.</p>",
        escape(&spool(status)),
        escape(status.last_receipt.as_deref().unwrap_or("never"))
    )?;
    out.write_str(
        "<table><tr><th>Analyser<th>Line<th>Unit<th>Capture, last hour<th>since start<th>Answer, median<th>p99<th>Last answer</tr>",
    )?;
    for one in &status.analysers {
        let class = if one.fault.is_some() { " class=\"bad\"" } else { "" };
        write!(out, "<tr{class}><td>{}<td>{}<td>{}", escape(&one.name), escape(&one.line), one.unit)?;
        for cell in cells(one) {
            write!(out, "<td>{}", escape(&cell))?;
        }
        out.write_str("</tr>")?;
    }
    out.write_str("</table>")?;
    for outlet in &status.outlets {
        let (code, last) = (escape(&outlet.code), escape(&last_scan(outlet)));
        write!(out, "<h2>{code}</h2><p><small>every {} ms, {last}</small></p><table>", outlet.period_ms)?;
        out.write_str("<tr><th>Channel<th>Value<th>Flag</tr>")?;
        for reading in &outlet.readings {
            let class = if reading.flag == 'N' { "" } else { " class=\"bad\"" };
            let value = reading.value.map_or("no value".to_owned(), |value| value.to_string());
            write!(out, "<tr{class}><td>{}<td>{value}<td>{}</tr>", escape(&reading.channel), reading.flag)?;
        }
        out.write_str("</table>")?;
    }
    out.write_str("</html>")
}

fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            other => safe.push(other),
        }
    }
    safe
}
