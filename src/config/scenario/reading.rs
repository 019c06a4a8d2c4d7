//! From the scenario as written to the scenario as checked. References are resolved to indices here; a name that is wrong
//! once is reported once, not again by everything that refers to it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::config::check;
use crate::config::document::Section;
use crate::config::scenario::{
    Analyser, Channel, Event, EventKind, Number, Order, Outlet, Place, Process, Quantity, Scenario, Table,
};
use crate::domain::plant;
use crate::domain::plant::ChannelCode;

/// A week: longer timelines are surely a slip of units.
const MAX_SECONDS: f64 = 604_800.0;

const TABLES: [(&str, Table); 2] = [("holding", Table::Holding), ("input", Table::Input)];
const ORDERS: [(&str, Order); 4] =
    [("ABCD", Order::Abcd), ("CDAB", Order::Cdab), ("BADC", Order::Badc), ("DCBA", Order::Dcba)];
const PROCESSES: [(&str, Process); 3] = [
    ("cement-kiln", Process::CementKiln),
    ("glass-furnace", Process::GlassFurnace),
    ("carbon-roasting", Process::CarbonRoasting),
];

/// What events may refer to, known even where the rest of an outlet is wrong. A name that is unreadable or taken is `None`.
#[derive(Default)]
struct Names {
    outlet: Option<String>,
    analysers: Vec<Option<String>>,
    channels: Vec<ChannelCode>,
    /// A code is unreadable or taken, so an unknown channel may only be its echo.
    unread_channels: bool,
}

/// Listening addresses with a fixed port, and who has them.
type Addresses = BTreeMap<SocketAddr, String>;

pub(super) fn scenario(mut root: Section<'_>) -> Option<Scenario> {
    let schema = root.required("schema", check::one_of(&[("scenario/1", ())]));
    let seed = root.with_default("seed", check::small(0..=i64::MAX), 1);
    let sections = root.tables("outlet");
    if sections.is_empty() && !root.has("outlet") {
        root.problem("outlet", "nothing", "at least one [[outlet]]");
    }
    let mut names: Vec<Names> = Vec::new();
    let mut addresses = Addresses::new();
    let mut outlets = Vec::new();
    for section in sections {
        let (known, outlet) = outlet(section, &names, &mut addresses);
        names.push(known);
        outlets.push(outlet);
    }
    let events: Vec<Option<Event>> =
        root.tables("event").into_iter().map(|section| event(section, &names)).collect();
    schema?;
    Some(Scenario {
        seed: seed?,
        outlets: outlets.into_iter().collect::<Option<_>>()?,
        events: events.into_iter().collect::<Option<_>>()?,
    })
}

fn outlet(mut section: Section<'_>, earlier: &[Names], addresses: &mut Addresses) -> (Names, Option<Outlet>) {
    let code = section.required(
        "code",
        check::text("a code of 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-'", |text| {
            plant::is_outlet_code(text).then(|| text.to_owned())
        }),
    );
    let again = code.is_some() && earlier.iter().any(|other| other.outlet == code);
    if let Some(code) = code.as_ref().filter(|_| again) {
        section.problem("code", &format!("{code:?} a second time"), "a code of its own for each outlet");
    }
    let process = section.required("process", check::one_of(&PROCESSES));
    let mut names = Names { outlet: code.clone().filter(|_| !again), ..Names::default() };
    let sections = section.tables("analyser");
    if sections.is_empty() && !section.has("analyser") {
        section.problem("analyser", "nothing", "at least one [[outlet.analyser]]");
    }
    let analysers: Vec<Option<Analyser>> =
        sections.into_iter().map(|section| analyser(section, &mut names, addresses)).collect();
    let outlet = (|| {
        Some(Outlet {
            code: code?,
            process: process?,
            analysers: analysers.into_iter().collect::<Option<_>>()?,
        })
    })();
    (names, outlet)
}

fn analyser(mut section: Section<'_>, names: &mut Names, addresses: &mut Addresses) -> Option<Analyser> {
    let name = section.required(
        "name",
        check::text("a name of 1 to 64 of a-z, 0-9 and '-'", |text| {
            let valid = (1..=64).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            valid.then(|| text.to_owned())
        }),
    );
    let again = name.is_some() && names.analysers.contains(&name);
    if let Some(name) = name.as_ref().filter(|_| again) {
        section.problem("name", &format!("{name:?} a second time"), "a name of its own within the outlet");
    }
    names.analysers.push(name.clone().filter(|_| !again));
    let listen = section.required(
        "listen",
        check::text("ADDRESS:PORT, as \"127.0.0.1:0\" (port 0: any free port)", |text| text.parse().ok()),
    );
    check_address(&section, listen, addresses);
    let unit = section.required("unit", check::small(1..=247));
    let mut taken = Taken::default();
    let sections = section.tables("channel");
    if sections.is_empty() {
        section.problem("channel", "no channel", "at least one channel = [{ code = …, register = …, … }]");
    }
    let channels: Vec<Option<Channel>> =
        sections.into_iter().map(|section| channel(section, names, &mut taken)).collect();
    let status = match section.optional_table("status") {
        Some(section) => Some(status(section, &mut taken)?),
        None => None,
    };
    Some(Analyser {
        name: name?,
        listen: listen?,
        unit: unit?,
        channels: channels.into_iter().collect::<Option<_>>()?,
        status,
    })
}

fn check_address(section: &Section<'_>, listen: Option<SocketAddr>, addresses: &mut Addresses) {
    let Some(listen) = listen.filter(|listen| listen.port() != 0) else { return };
    if let Some(other) = addresses.get(&listen) {
        section.problem(
            "listen",
            &format!("{listen}, which {other} has"),
            "an address of its own for each analyser",
        );
    } else {
        addresses.insert(listen, section.path().to_owned());
    }
}

fn channel(mut section: Section<'_>, names: &mut Names, taken: &mut Taken) -> Option<Channel> {
    let code = section.required(
        "code",
        check::text(&known_codes(), |text| {
            let code = ChannelCode::new(text)?;
            Some((code, Quantity::of_factor(code.factor())?))
        }),
    );
    match code {
        Some((code, _)) if names.channels.contains(&code) => {
            names.unread_channels = true;
            section.problem(
                "code",
                &format!("{code} a second time"),
                "each code once an outlet; name a second measurement with a suffix, as a21026-2",
            );
        }
        Some((code, _)) => names.channels.push(code),
        None => names.unread_channels = true,
    }
    let place = place(&mut section);
    let number = number(&mut section);
    let scale = section.with_default("scale", check::number(1e-6..=1e6), 1.0);
    let offset = section.with_default("offset", check::number(-1e6..=1e6), 0.0);
    let noise = section.with_default("noise", check::number(0.0..=1e3), 0.0);
    let range_max = section.optional("range_max", check::number(1e-3..=1e6));
    let (place, number) = (place?, number?);
    taken.take(&section, place, number.width())?;
    let (code, quantity) = code?;
    let (scale, offset) = (scale?, offset?);
    Some(Channel { code, quantity, place, number, scale, offset, noise: noise?, range_max: range_max? })
}

fn known_codes() -> String {
    let codes: Vec<&str> = Quantity::ALL.iter().map(|(code, _)| *code).collect();
    format!(
        "a channel that processes here have: {} (with a suffix, as a21026-2, if need be)",
        codes.join(", ")
    )
}

fn status(mut section: Section<'_>, taken: &mut Taken) -> Option<Place> {
    let place = place(&mut section)?;
    taken.take(&section, place, 1)?;
    Some(place)
}

fn place(section: &mut Section<'_>) -> Option<Place> {
    let register = section.required("register", check::small(0..=65535));
    let table = section.with_default("table", check::one_of(&TABLES), Table::Holding);
    Some(Place { table: table?, register: register? })
}

fn number(section: &mut Section<'_>) -> Option<Number> {
    type Make = fn(Order) -> Number;
    const TYPES: [(&str, Make); 5] = [
        ("u16", |_| Number::U16),
        ("i16", |_| Number::I16),
        ("u32", Number::U32),
        ("i32", Number::I32),
        ("f32", Number::F32),
    ];
    let make = section.required("type", check::one_of(&TYPES));
    let order = section.with_default("order", check::one_of(&ORDERS), Order::Abcd);
    let number = make?(order?);
    if number.width() == 1 && section.has("order") {
        section.problem("order", "an order for a single register", "order with u32, i32 and f32 only");
        return None;
    }
    Some(number)
}

/// Registers of one analyser that are spoken for.
#[derive(Default)]
struct Taken(BTreeMap<(Table, u16), String>);

impl Taken {
    fn take(&mut self, section: &Section<'_>, place: Place, width: u16) -> Option<()> {
        let Some(last) = place.register.checked_add(width - 1) else {
            section.problem("register", "65535 for two registers", "a value that ends at register 65535");
            return None;
        };
        for register in place.register..=last {
            if let Some(other) = self.0.get(&(place.table, register)) {
                let found = format!("register {register}, which {other} has");
                section.problem("register", &found, "registers that nothing else uses in the same table");
                return None;
            }
        }
        for register in place.register..=last {
            self.0.insert((place.table, register), section.path().to_owned());
        }
        Some(())
    }
}

fn event(mut section: Section<'_>, names: &[Names]) -> Option<Event> {
    let after = section.required("after_s", duration(0.0));
    let lasts = section.optional("for_s", duration(0.001));
    let outlets: Vec<Option<&str>> = names.iter().map(|names| names.outlet.as_deref()).collect();
    let outlet = section.required("outlet", position(&outlets)).flatten();
    let names = outlet.and_then(|outlet| names.get(outlet));
    let kind = kind(&mut section, names);
    Some(Event { after: after?, lasts: lasts?, outlet: outlet?, kind: kind? })
}

fn kind(section: &mut Section<'_>, names: Option<&Names>) -> Option<EventKind> {
    type Read = fn(&mut Section<'_>, Option<&Names>) -> Option<EventKind>;
    const KINDS: [(&str, Read); 8] = [
        ("rise", rise),
        ("air-leak", air_leak),
        ("calibration", |s, names| Some(EventKind::Calibration { analyser: analyser_of(s, names)? })),
        ("maintenance", |s, names| Some(EventKind::Maintenance { analyser: analyser_of(s, names)? })),
        ("fault", |s, names| Some(EventKind::Fault { analyser: analyser_of(s, names)? })),
        ("silent-analyser", |s, names| Some(EventKind::SilentAnalyser { analyser: analyser_of(s, names)? })),
        ("silent-outlet", |_, _| Some(EventKind::SilentOutlet)),
        ("stopped-source", |_, _| Some(EventKind::StoppedSource)),
    ];
    let read = section.required("kind", check::one_of(&KINDS));
    let Some(read) = read else {
        // Which keys belong to it is unknown, so none of them is called unknown.
        for key in ["channel", "to", "within_s", "analyser"] {
            let _whatever = section.optional(key, check::Check::new("", |_| Some(())));
        }
        return None;
    };
    read(section, names)
}

fn rise(section: &mut Section<'_>, names: Option<&Names>) -> Option<EventKind> {
    let channel = section.required(
        "channel",
        check::text(&channels_of(names), |text| {
            let code = ChannelCode::new(text)?;
            let known = names.is_none_or(|names| names.unread_channels || names.channels.contains(&code));
            known.then_some(code)
        }),
    );
    let to = section.required("to", check::number(-1e6..=1e6));
    let within = section.with_default("within_s", duration(0.0), Duration::ZERO);
    Some(EventKind::Rise { channel: channel?, to: to?, within: within? })
}

fn channels_of(names: Option<&Names>) -> String {
    let codes: Vec<&str> =
        names.iter().flat_map(|names| names.channels.iter().map(ChannelCode::as_str)).collect();
    format!("a channel of the outlet: {}", codes.join(", "))
}

fn air_leak(section: &mut Section<'_>, _names: Option<&Names>) -> Option<EventKind> {
    let to = section.required("to", check::number(0.0..=20.9));
    let within = section.with_default("within_s", duration(0.0), Duration::ZERO);
    Some(EventKind::AirLeak { oxygen_percent: to?, within: within? })
}

fn analyser_of(section: &mut Section<'_>, names: Option<&Names>) -> Option<usize> {
    let Some(names) = names else {
        section.required("analyser", check::any_text());
        return None;
    };
    let analysers: Vec<Option<&str>> = names.analysers.iter().map(Option::as_deref).collect();
    section.required("analyser", position(&analysers)).flatten()
}

/// Which of the names it is. While one of them could not be read, an unknown name may be its echo and passes as `None`.
fn position<'c>(names: &'c [Option<&'c str>]) -> check::Check<'c, Option<usize>> {
    let known: Vec<String> = names.iter().flatten().map(|name| format!("{name:?}")).collect();
    check::text(&format!("one of {}", known.join(", ")), |text| {
        match names.iter().position(|name| *name == Some(text)) {
            Some(index) => Some(Some(index)),
            None => names.contains(&None).then_some(None),
        }
    })
}

/// Seconds with or without decimals, a week at most.
fn duration<'c>(from: f64) -> check::Check<'c, Duration> {
    let inner = check::number(from..=MAX_SECONDS);
    let allowed = format!("seconds, {}", inner.allowed());
    check::Check::new(allowed, move |value| {
        inner.apply(value).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
    })
}
