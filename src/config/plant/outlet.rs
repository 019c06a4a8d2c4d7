//! `[[outlet]]` of `plant/1`: its place, and what holds for a time: settings, analysers, channels.

use std::sync::Arc;

use super::outlet_code;
use super::period::{code, dated};
use crate::config::catalogue::written::{
    Head, Places, Written, WrittenAnalyser, WrittenChannel, WrittenOutlet, WrittenSetting,
};
use crate::config::catalogue::{Analyser, Datum, Site};
use crate::config::check;
use crate::config::document::Section;
use crate::config::pollutants::unit;
use crate::domain::plant::{
    ChannelCode, ChannelSettings, CutoffPolicy, Expression, MoistureBasis, OutletSettings, StateBasis,
};

/// Reads one outlet. What is wrong within it is noted; the rest goes on to be checked against the other entries.
pub(super) fn read(section: &mut Section<'_>, written: &mut Written) {
    let places = Places::of(section, &["code", "enterprise", "setting", "channel"]);
    let code = section.required("code", outlet_code());
    if let Some(code) = &code {
        written.declare("outlet", code, places.at("code"));
    }
    let head = head(section, code);
    let mut outlet = WrittenOutlet { places, head, ..WrittenOutlet::default() };
    for mut section in section.tables("setting") {
        let places = Places::of(&section, &["from"]);
        let settings = settings(&mut section);
        match dated(&mut section, settings) {
            Some(settings) => outlet.settings.push(WrittenSetting { places, settings }),
            None => outlet.faulty_entries = true,
        }
    }
    for mut section in section.tables("analyser") {
        analyser(&mut section, &mut outlet);
    }
    for mut section in section.tables("channel") {
        match channel(&mut section) {
            Some(channel) => outlet.channels.push(channel),
            None => outlet.faulty_entries = true,
        }
    }
    written.outlets.push(outlet);
}

fn head(section: &mut Section<'_>, code: Option<String>) -> Option<Head> {
    let datums = Datum::ALL.map(|datum| (datum.name(), datum));
    let name = section.required("name", check::any_text());
    let enterprise = section.required("enterprise", check::any_text());
    let longitude = section.required("longitude", check::number(-180.0..=180.0));
    let latitude = section.required("latitude", check::number(-90.0..=90.0));
    let datum = section.with_default("datum", check::one_of(&datums), Datum::Cgcs2000);
    let stack_height_m = section.required("stack_height_m", check::number(1.0..=1000.0));
    Some(Head {
        code: Arc::from(code?),
        name: name?,
        enterprise: enterprise?,
        site: Site {
            longitude: longitude?,
            latitude: latitude?,
            datum: datum?,
            stack_height_m: stack_height_m?,
        },
    })
}

fn settings(section: &mut Section<'_>) -> Option<OutletSettings> {
    let policies = CutoffPolicy::ALL.map(|policy| (policy.name(), policy));
    let process = section.required("process", code());
    let reference = section.optional("reference_oxygen_percent", check::number(0.0..=20.0));
    let air = section.with_default("oxygen_of_air_percent", check::number(20.0..=21.0), 21.0);
    let cutoff = section.with_default("oxygen_cutoff_percent", check::number(1.0..=20.9), 19.0);
    let policy =
        section.with_default("cutoff_policy", check::one_of(&policies), CutoffPolicy::NotConvertible);
    let pressure =
        section.with_default("ambient_pressure_pa", check::number(30_000.0..=120_000.0), 101_325.0);
    let moisture = section.optional("moisture_fraction", check::number(0.0..=0.9));
    let area = section.optional("area_m2", check::number(0.001..=1000.0));
    let velocity = section.with_default("velocity_coefficient", check::number(0.1..=10.0), 1.0);
    if let (Some(cutoff), Some(air)) = (cutoff, air)
        && cutoff >= air
    {
        section.problem(
            "oxygen_cutoff_percent",
            &cutoff.to_string(),
            &format!("below the oxygen of air, {air}"),
        );
        return None;
    }
    if let (Some(cutoff), Some(Some(reference))) = (cutoff, reference)
        && reference > cutoff
    {
        let allowed = format!("at most oxygen_cutoff_percent, {cutoff}");
        section.problem("reference_oxygen_percent", &reference.to_string(), &allowed);
        return None;
    }
    Some(OutletSettings {
        process: process?,
        reference_oxygen_percent: reference?,
        oxygen_of_air_percent: air?,
        oxygen_cutoff_percent: cutoff?,
        cutoff_policy: policy?,
        ambient_pressure_pa: pressure?,
        moisture_fraction: moisture?,
        area_m2: area?,
        velocity_coefficient: velocity?,
    })
}

fn analyser(section: &mut Section<'_>, outlet: &mut WrittenOutlet) {
    let places = Places::of(section, &["from"]);
    let name = section.required("name", code());
    let maker = section.required("maker", check::any_text());
    let model = section.required("model", check::any_text());
    let serial_number = section.required("serial_number", check::any_text());
    let principle = section.required("principle", check::any_text());
    let range_note = section.optional("range_note", check::any_text());
    let details = || {
        Some(Analyser {
            maker: maker?,
            model: model?,
            serial_number: serial_number?,
            principle: principle?,
            range_note: range_note?,
        })
    };
    let details = dated(section, details());
    let Some(name) = name else {
        outlet.faulty_entries = true;
        return;
    };
    let name: Arc<str> = Arc::from(name);
    outlet.analyser_names.insert(Arc::clone(&name));
    match details {
        Some(details) => outlet.analysers.push(WrittenAnalyser { places, name, details }),
        None => outlet.faulty_entries = true,
    }
}

fn channel(section: &mut Section<'_>) -> Option<WrittenChannel> {
    let keys = ["code", "analyser", "unit", "moisture_basis", "state_basis", "from"];
    let places = Places::of(section, &keys);
    let moisture_words = MoistureBasis::ALL.map(|basis| (basis.name(), basis));
    let state_words = StateBasis::ALL.map(|basis| (basis.name(), basis));
    let code = section.required("code", channel_code());
    let analyser = section.required("analyser", self::code());
    let unit = section.required("unit", unit());
    let moisture_basis = section.optional("moisture_basis", check::one_of(&moisture_words));
    let state_basis = section.optional("state_basis", check::one_of(&state_words));
    let expressions = Expression::ALL.map(|expression| (expression.name(), expression));
    let expression = section.with_default("expression", check::one_of(&expressions), Expression::AsNamed);
    let range = range(section);
    let period_ms = section.with_default("period_ms", check::small(100..=3_600_000), 2000);
    let decimals = section.with_default("decimals", check::small(0..=6), 2);
    let settings = || {
        Some(ChannelSettings {
            analyser: Arc::from(analyser?),
            unit: unit?,
            // Of values that depend on neither, any word will do.
            moisture_basis: moisture_basis?.unwrap_or(MoistureBasis::Wet),
            state_basis: state_basis?.unwrap_or(StateBasis::Actual),
            expression: expression?,
            range: range?,
            period_ms: period_ms?,
            decimals: decimals?,
        })
    };
    let settings = dated(section, settings());
    Some(WrittenChannel {
        places,
        code: code?,
        names_moisture_basis: moisture_basis?.is_some(),
        names_state_basis: state_basis?.is_some(),
        settings: settings?,
    })
}

fn range(section: &mut Section<'_>) -> Option<(f64, f64)> {
    let numbers = section.list("range", check::number(-1e9..=1e9))?;
    match numbers.as_slice() {
        [low, high] if low < high => Some((*low, *high)),
        [low, high] => {
            section.problem(
                "range",
                &format!("[{low}, {high}]"),
                "[lower end, upper end], the lower one first",
            );
            None
        }
        other => {
            let found =
                if section.has("range") { format!("{} numbers", other.len()) } else { "nothing".to_owned() };
            section.problem("range", &found, "two numbers: [lower end, upper end]");
            None
        }
    }
}

pub(in crate::config) fn channel_code<'c>() -> check::Check<'c, ChannelCode> {
    check::text(
        "a factor code of HJ 212, as \"a21026\", with a suffix for a second one, as \"a21026-2\"",
        ChannelCode::new,
    )
}
