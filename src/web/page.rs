//! The page for people: a table of outlets with live values, limits and state. No script, nothing from elsewhere; it reloads
//! itself, unless the reader switches that off.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::response::Html;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Web;
use super::auth::Caller;
use super::error::Refused;
use super::overview::{ChannelView, View, overview, view};
use super::parameters::Parameters;
use crate::clock;
use crate::domain::plant::Outlet;

/// So many outlets are on the page; the API has them all.
const OUTLETS: usize = 100;

/// The look of the page.
pub(super) async fn style() -> ([(HeaderName, &'static str); 1], &'static str) {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("style.css"))
}

/// The page. When the database does not answer it says so and shows what is known without it.
pub(super) async fn page(
    State(web): State<Arc<Web>>,
    caller: Caller,
    uri: Uri,
) -> Result<Html<String>, Refused> {
    let parameters = Parameters::read(&uri, &["refresh"])?;
    let refresh = parameters.word("refresh", &[("on", true), ("off", false)])?.unwrap_or(true);
    let now = clock::now();
    let plant = web.plant();
    let reached =
        |outlet: &&Arc<Outlet>| caller.reach.covers(&outlet.enterprise.code, &outlet.enterprise.division);
    let all: Vec<Arc<Outlet>> = plant.outlets.iter().filter(reached).cloned().collect();
    let outlets = all.get(..OUTLETS).unwrap_or(&all);
    let mut notes = Vec::new();
    if all.len() > outlets.len() {
        notes.push(format!("The first {OUTLETS} of {} outlets are shown; the API has all.", all.len()));
    }
    let views = match overview(&web, outlets, now).await {
        Ok(views) => views,
        Err(_told_in_the_log) => {
            notes.push("The database does not answer: no live values. See /readyz.".to_owned());
            outlets.iter().map(|outlet| view(outlet, None, Vec::new(), now)).collect()
        }
    };
    Ok(Html(html(&views, &notes, refresh, (now, &web.zone))))
}

fn html(views: &[View], notes: &[String], refresh: bool, (now, zone): (Timestamp, &TimeZone)) -> String {
    let (reload, other, word) = if refresh {
        ("<meta http-equiv=\"refresh\" content=\"5\">", "/?refresh=off", "Stop reloading")
    } else {
        ("", "/", "Reload every 5 s")
    };
    let time = now.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %:z");
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">{reload}\
         <title>Emissions now</title><link rel=\"stylesheet\" href=\"/style.css\"></head><body>\n\
         <header><h1>Emissions now</h1><p>As of {time}. <a href=\"{other}\">{word}</a></p></header>\n<main>\n"
    );
    for note in notes {
        let _infallible = writeln!(page, "<p role=\"status\"><strong>{}</strong></p>", escape(note));
    }
    if views.is_empty() {
        page.push_str("<p>No outlet is registered. <code>cems seed</code> saves a plant.</p>\n");
    }
    for view in views {
        section(&mut page, view);
    }
    page.push_str(FOOT);
    page
}

const FOOT: &str = "</main>\n<footer><h2>For programs</h2><ul>\
    <li><a href=\"/api/v1/openapi.json\">API description (OpenAPI)</a></li><li><a href=\"/api/v1/outlets\">Outlets</a></li>\
    <li><a href=\"/api/v1/alerts\">Alerts of the last day</a></li><li><a href=\"/api/v1/episodes\">Episodes</a></li>\
    <li><a href=\"/readyz\">Readiness</a></li><li><a href=\"/metrics\">Figures</a></li></ul></footer>\n</body></html>\n";

fn section(page: &mut String, view: &View) {
    let code = escape(&view.code);
    let at =
        view.live_at.map_or_else(|| "no scan in the last 5 minutes".to_owned(), |at| format!("scan of {at}"));
    let _infallible = writeln!(
        page,
        "<section><h2>{code}</h2><p>{}, {}. State: <strong class=\"{}\">{}</strong>; {at}. \
         <a href=\"/api/v1/outlets/{code}/averages?period=hour\">Hours</a> \
         <a href=\"/api/v1/outlets/{code}/scans\">Scans</a></p>",
        escape(&view.name),
        escape(&view.enterprise.name),
        if ["reporting"].contains(&view.state) { "well" } else { "wrong" },
        escape(view.state),
    );
    page.push_str(
        "<div class=\"wide\"><table><thead><tr><th scope=\"col\">Channel</th><th scope=\"col\">Measured</th>\
         <th scope=\"col\">Corrected</th><th scope=\"col\">Flag</th><th scope=\"col\">Limits, mg/m3</th>\
         <th scope=\"col\">Open</th></tr></thead><tbody>\n",
    );
    for channel in view.channels.iter().filter(|channel| channel.matters()) {
        row(page, view, channel);
    }
    page.push_str("</tbody></table></div></section>\n");
}

fn row(page: &mut String, view: &View, channel: &ChannelView) {
    let decimals = usize::from(channel.decimals.unwrap_or(1));
    let number =
        |value: Option<f64>| value.map_or("&ndash;".to_owned(), |value| format!("{value:.decimals$}"));
    let live = channel.live.as_ref();
    let limits: Vec<String> = view
        .rules
        .iter()
        .filter(|rule| rule.factor == channel.factor)
        .map(|rule| {
            let reference =
                rule.reference_oxygen.map_or(String::new(), |percent| format!(" at {percent} % O2"));
            format!(
                "<span title=\"{}\">{}{reference} ({}, {})</span>",
                escape(&rule.name),
                rule.limit,
                rule.kind,
                rule.period
            )
        })
        .collect();
    let of_channel = view.open_episodes.iter().filter(|open| open.channel.as_deref() == Some(&*channel.code));
    let mut open: Vec<String> = of_channel.map(|open| escape(&open.kind)).collect();
    open.dedup();
    let _infallible = writeln!(
        page,
        "<tr><th scope=\"row\">{} <small>{}</small></th><td>{} {}</td><td>{}</td><td>{}</td><td>{}</td><td class=\"wrong\">{}</td></tr>",
        escape(&channel.symbol),
        escape(&channel.code),
        number(live.and_then(|live| live.measured)),
        escape(channel.unit.unwrap_or_default()),
        number(live.and_then(|live| live.corrected)),
        live.map_or('-', |live| live.flag),
        limits.join("<br>"),
        open.join(", "),
    );
}

/// Text that HTML shows as it is, also within quotes.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::overview::Operator;

    #[test]
    fn names_cannot_become_markup() {
        assert_eq!(escape("<a href='x' & \"y\">"), "&lt;a href=&#39;x&#39; &amp; &quot;y&quot;&gt;");
        let view = View {
            code: "kiln".to_owned(),
            name: "<script>alert(1)</script>".to_owned(),
            enterprise: Operator {
                code: String::new(),
                name: "A & B".to_owned(),
                industry: String::new(),
                division: String::new(),
            },
            process: None,
            reference_oxygen_percent: None,
            state: "no-data",
            live_at: None,
            channels: Vec::new(),
            rules: Vec::new(),
            open_episodes: Vec::new(),
        };
        let page = html(&[view], &["<b>".to_owned()], false, (Timestamp::UNIX_EPOCH, &TimeZone::UTC));
        assert!(!page.contains("<script") && !page.contains("<b>") && page.contains("A &amp; B"), "{page}");
        assert!(!page.contains("http-equiv"), "refresh is off");
        assert!(!page.contains("style=") && !page.contains("://"), "the content policy forbids it");
    }
}
