//! `[[outlet]]` and `[[outlet.channel]]`: what is measured where, and which registers hold it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::config::check::{self, Check};
use crate::config::document::Section;
use crate::config::gateway::reading::analysers::{Known, Mapped};
use crate::config::gateway::reading::place::check_length;
use crate::config::gateway::reading::{Signal, Trust, signal, target, trust, value_place};
use crate::config::gateway::{Channel, Measured, Number, Outlet, Place, Source, Table};
use crate::domain::plant::{ChannelCode, MAX_CHANNELS, is_outlet_code};

/// What a template's point says of its registers, and a channel with registers of its own.
const OF_REGISTERS: [&str; 9] =
    ["register", "table", "type", "order", "low", "count", "status", "quality", "fresh"];
/// All that a channel may have besides a constant.
const OF_MEASURED: [&str; 12] = [
    "analyser",
    "point",
    "scale",
    "offset",
    "raw_range",
    "value_range",
    "raw_min",
    "raw_max",
    "unit",
    "convert_to",
    "molar_mass_g_mol",
    "period_ms",
];
const LONGEST_PERIOD_MS: i64 = 3_600_000;

/// All outlets, if all are right.
pub fn outlets(root: &mut Section<'_>, analysers: &[Known<'_>]) -> Option<Vec<Outlet>> {
    let sections = root.tables("outlet");
    if sections.is_empty() && !root.has("outlet") {
        root.problem("outlet", "nothing", "at least one table [[outlet]]");
    }
    let mut codes: Vec<String> = Vec::new();
    let mut outlets = Vec::new();
    let mut taken = Taken::default();
    for mut section in sections {
        let outlet = outlet(&mut section, analysers, &mut taken);
        if let Some(outlet) = &outlet {
            if codes.contains(&outlet.code) {
                section.problem("code", &format!("{:?} again", outlet.code), "each outlet once");
            }
            codes.push(outlet.code.clone());
        }
        outlets.push(outlet);
    }
    outlets.into_iter().collect()
}

fn outlet(section: &mut Section<'_>, analysers: &[Known<'_>], taken: &mut Taken) -> Option<Outlet> {
    let code = section.required(
        "code",
        check::text("an outlet's code: 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-'", |text| {
            is_outlet_code(text).then(|| text.to_owned())
        }),
    );
    let period = section.with_default("period_ms", period(), Duration::from_secs(2));
    let sections = section.tables("channel");
    if sections.is_empty() || sections.len() > MAX_CHANNELS {
        section.problem(
            "channel",
            &format!("{} channels", sections.len()),
            "1 to 256 tables [[outlet.channel]]",
        );
    }
    let mut channels: Vec<Option<Channel>> = Vec::new();
    for mut section in sections {
        let channel = channel(&mut section, analysers, period);
        if let Some(channel) = &channel {
            if channels.iter().flatten().any(|other| other.code == channel.code) {
                let found = format!("\"{}\" again", channel.code);
                section.problem("code", &found, "each channel of an outlet once");
            }
            check_timeout(&section, analysers, channel, period);
            taken.take(&section, channel);
        }
        channels.push(channel);
    }
    let mut channels = channels.into_iter().collect::<Option<Vec<Channel>>>()?;
    channels.sort_by_key(|channel| channel.code);
    Some(Outlet { code: code?, period: period?, channels })
}

/// An answer later than one period belongs to no scan, so waiting longer for it would be in vain.
fn check_timeout(
    section: &Section<'_>,
    analysers: &[Known<'_>],
    channel: &Channel,
    period: Option<Duration>,
) {
    let known = channel.analyser().and_then(|index| analysers.get(index)?.analyser.as_ref());
    let (Some(analyser), Some(period)) = (known, period) else { return };
    if analyser.timeout >= period {
        section.problem(
            "analyser",
            &format!(
                "{:?} with timeout_ms = {}, period_ms = {}",
                analyser.name,
                analyser.timeout.as_millis(),
                period.as_millis()
            ),
            "an analyser whose timeout_ms is shorter than the outlet's period_ms",
        );
    }
}

fn period<'c>() -> Check<'c, Duration> {
    let inner = check::integer(500..=60_000);
    Check::new("milliseconds from 500 to 60000 that divide a minute", move |value| {
        let ms = inner.apply(value).filter(|ms| 60_000 % ms == 0)?;
        u64::try_from(ms).ok().map(Duration::from_millis)
    })
}

/// A channel's own period, in an outlet with this one.
fn slow_period<'c>(outlet: Duration) -> Check<'c, Duration> {
    let step = i64::try_from(outlet.as_millis()).unwrap_or(LONGEST_PERIOD_MS).max(1);
    let inner = check::integer(step..=LONGEST_PERIOD_MS);
    let allowed = format!(
        "milliseconds up to {LONGEST_PERIOD_MS} that are a whole multiple of the outlet's period_ms = {step} and divide an hour"
    );
    Check::new(allowed, move |value| {
        let ms = inner.apply(value).filter(|ms| ms % step == 0 && LONGEST_PERIOD_MS % ms == 0)?;
        u64::try_from(ms).ok().map(Duration::from_millis)
    })
}

/// The code of a channel.
pub fn channel_code<'c>() -> Check<'c, ChannelCode> {
    check::text("a factor code with an optional suffix, as \"a21026\" or \"a21026-2\"", ChannelCode::new)
}

fn channel(section: &mut Section<'_>, analysers: &[Known<'_>], period: Option<Duration>) -> Option<Channel> {
    let code = section.required("code", channel_code());
    if section.has("constant") {
        let value = section.required("constant", check::number(-1e12..=1e12));
        for key in OF_MEASURED.into_iter().chain(OF_REGISTERS) {
            section.refuse(key, "nothing besides `code` and `constant`: a constant is not measured");
        }
        return Some(Channel { code: code?, source: Source::Constant(value?) });
    }
    let known: Vec<&str> = analysers.iter().filter_map(|known| known.name.as_deref()).collect();
    let analyser = section.required(
        "analyser",
        check::text(&format!("the name of an [[analyser]]: {}", known.join(", ")), |text| {
            analysers.iter().position(|known| known.name.as_deref() == Some(text))
        }),
    );
    let period = match period {
        Some(period) => section.with_default("period_ms", slow_period(period), period),
        None => section.optional("period_ms", check::milliseconds(1..=LONGEST_PERIOD_MS)).flatten(),
    };
    let known = analyser.and_then(|analyser| analysers.get(analyser));
    let (place, signal, trust, key) = if section.has("point") {
        point(section, known)
    } else {
        let place = value_place(section);
        let signal = signal(section);
        (place, signal, trust(section), "register")
    };
    if let (Some(place), Some(blocks)) = (place, known.and_then(|known| known.blocks)) {
        check_length(section, key, place, blocks);
    }
    let target = target(section);
    let conversion = signal.zip(target).and_then(|(signal, target)| signal.conversion(section, target));
    if let Some(signal) = signal {
        signal.check_ends(section);
    }
    let Trust { statuses, quality, fresh } = trust?;
    let measured = Measured {
        analyser: analyser?,
        place: place?,
        conversion: Arc::new(conversion?),
        statuses,
        quality: quality.map(Box::new),
        period: period?,
        fresh,
    };
    Some(Channel { code: code?, source: Source::Register(Arc::new(measured)) })
}

type Read = (Option<Place>, Option<Signal>, Option<Trust>, &'static str);

/// A channel whose registers a template knows.
fn point(section: &mut Section<'_>, known: Option<&Known<'_>>) -> Read {
    const NOTHING: Read = (None, None, None, "point");
    let name = section.required("point", check::any_text());
    for key in OF_REGISTERS {
        section.refuse(
            key,
            "nothing besides `point`, which says it; or a channel with its own registers, without `point`",
        );
    }
    let own = signal(section);
    let (Some(name), Some(known)) = (name, known) else { return NOTHING };
    let template = match &known.template {
        Mapped::By(template) => template,
        Mapped::Wrong => return NOTHING,
        Mapped::No => {
            let found = format!("{name:?} of an analyser without template");
            section.problem("point", &found, "an analyser with `template`, or `register` and `type` here");
            return NOTHING;
        }
    };
    let Some(point) = template.points.iter().find(|point| point.name == name) else {
        let points: Vec<&str> = template.points.iter().map(|point| point.name.as_str()).collect();
        let allowed = format!("a point of {} {}: {}", template.maker, template.model, points.join(", "));
        section.problem("point", &format!("{name:?}"), &allowed);
        return NOTHING;
    };
    let signal = own.and_then(|own| point.signal.completed(section, own));
    (Some(point.place), signal, Some(point.trust.clone()), "point")
}

/// Registers that hold values already, by analyser and table.
#[derive(Default)]
struct Taken(BTreeMap<(usize, Table), Vec<(Place, ChannelCode)>>);

impl Taken {
    /// Two values in one register are a wrong address or type, unless they are the same number, or bits of one word.
    fn take(&mut self, section: &Section<'_>, channel: &Channel) {
        let Some(measured) = channel.measured() else { return };
        let place = measured.place;
        let others = self.0.entry((measured.analyser, place.table)).or_default();
        if let Some((other, code)) = others.iter().find(|(other, _)| collide(*other, place)) {
            let key = if section.has("point") { "point" } else { "register" };
            section.problem(
                key,
                &format!("{} of \"{}\", which overlap {} of \"{code}\"", range(place), channel.code, range(*other)),
                "registers that no other value has in part; one register for two channels only with the same type and order, or \
                 as bits",
            );
        }
        others.push((place, channel.code));
    }
}

fn collide(one: Place, other: Place) -> bool {
    let end = |place: Place| u32::from(place.address) + u32::from(place.number.registers());
    let apart = end(one) <= u32::from(other.address) || end(other) <= u32::from(one.address);
    let bits = |place: Place| matches!(place.number, Number::Bits { .. });
    let same_word = bits(one) && bits(other) && one.order == other.order;
    !apart && one != other && !same_word
}

fn range(place: Place) -> String {
    let last = u32::from(place.address) + u32::from(place.number.registers()) - 1;
    if last == u32::from(place.address) {
        format!("register {last}")
    } else {
        format!("registers {}-{last}", place.address)
    }
}
