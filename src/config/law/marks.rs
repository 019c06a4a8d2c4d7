//! States, marks and what follows from them, as documents have them.

use super::{ended_times, own_code, reference, times};
use crate::config::catalogue::written::Written;
use crate::config::check;
use crate::config::document::Section;
use crate::config::plant::period::moment;
use crate::config::plant::{outlet::channel_code, outlet_code};
use crate::config::pollutants::factor_code;
use crate::config::rules::{division_prefix, industry_prefix};
use crate::domain::exemption::Exemption;
use crate::domain::mark::{Claim, Decision, Effect, Mark, Marking, Review};
use crate::domain::plant::ChannelCode;
use crate::domain::source_state::{After, Side, SourceRule, SourceState, StateRule, Test};

/// Longest duration of a test and of "after", minutes: it bounds what must be looked back on.
const LONGEST_MINUTES: i64 = 1440;

pub(super) fn read_shared(root: &mut Section<'_>, written: &mut Written) {
    for mut section in root.tables("marking") {
        let marking = marking(&mut section, written);
        written.law.law.markings.extend(marking);
    }
    for mut section in root.tables("exemption") {
        let exemption = exemption(&mut section, written);
        written.law.law.exemptions.extend(exemption);
    }
}

pub(super) fn read_of_plant(root: &mut Section<'_>, written: &mut Written) {
    for mut section in root.tables("source_rule") {
        let rule = source_rule(&mut section, written);
        written.law.law.source_rules.extend(rule);
    }
    for mut section in root.tables("mark") {
        let mark = mark(&mut section, written);
        written.law.law.marks.extend(mark);
    }
    for mut section in root.tables("review") {
        let review = review(&mut section, written);
        written.law.law.reviews.extend(review);
    }
}

fn marking(section: &mut Section<'_>, written: &mut Written) -> Option<Marking> {
    let effects = Effect::ALL.map(|effect| (effect.name(), effect));
    let code = own_code(section, "marking", written);
    let document = section.required("document", check::any_text());
    let division = section.with_default("division", division_prefix(), String::new());
    let industry = section.with_default("industry", industry_prefix(), String::new());
    let deadline_hours = section.required("deadline_hours", check::small(0..=87_600));
    let effect = section.required("effect", check::one_of(&effects));
    let times = times(section);
    let (division, industry, times) = (division?, industry?, times?);
    let subject = format!("marking in division {division:?} and industry {industry:?}");
    written.law.claim(subject, times, section.place("from"));
    Some(Marking {
        code: code?,
        document: document?,
        times,
        division,
        industry,
        deadline_hours: deadline_hours?,
        effect: effect?,
    })
}

fn exemption(section: &mut Section<'_>, written: &mut Written) -> Option<Exemption> {
    let states = idle_states();
    let code = own_code(section, "exemption", written);
    let document = section.required("document", check::any_text());
    let division = section.with_default("division", division_prefix(), String::new());
    let industry = section.required("industry", industry_prefix());
    let pollutants = section.list("pollutants", factor_code());
    let states = section.list("states", check::one_of(&states));
    let hours_per_year = section.required("hours_per_year", check::small(0..=8784));
    let times = times(section);
    let empty =
        [("pollutants", pollutants.as_ref().map(Vec::len)), ("states", states.as_ref().map(Vec::len))];
    for (key, _) in empty.iter().filter(|(_, length)| *length == Some(0)) {
        section.problem(key, "nothing", "at least one: an exemption names what it is about");
    }
    for pollutant in pollutants.iter().flatten() {
        written.law.need("pollutant", pollutant, section.place("pollutants"));
    }
    Some(Exemption {
        code: code?,
        document: document?,
        times: times?,
        division: division?,
        industry: industry?,
        pollutants: pollutants?,
        states: states?,
        hours_per_year: hours_per_year?,
    })
}

/// Every state but running.
fn idle_states() -> Vec<(&'static str, SourceState)> {
    let idle = SourceState::ALL.into_iter().filter(|state| *state != SourceState::Running);
    idle.map(|state| (state.name(), state)).collect()
}

fn source_rule(section: &mut Section<'_>, written: &mut Written) -> Option<SourceRule> {
    let outlet = section.required("outlet", outlet_code());
    let document = section.required("document", check::any_text());
    let times = times(section);
    let mut states = Vec::new();
    let sections = section.tables("state");
    let expected = sections.len();
    for mut section in sections {
        states.extend(state_rule(&mut section, outlet.as_deref(), written));
    }
    if expected == 0 {
        section.problem("state", "nothing", "at least one [[source_rule.state]]");
        return None;
    }
    let known = |after: &After| states.iter().any(|state| state.state == after.state);
    let afters = states.iter().enumerate().filter_map(|(index, state)| Some((index, state.after?)));
    // With a state that could not be read, an unknown one may be that.
    for (index, after) in afters.filter(|(_, after)| expected == states.len() && !known(after)) {
        let found = format!("{:?}", after.state.name());
        let allowed = "a state that has its own [[source_rule.state]] in this rule";
        section.problem(&format!("state[{index}].after"), &found, allowed);
    }
    let (outlet, times) = (outlet?, times?);
    written.law.need("outlet", &outlet, section.place("outlet"));
    written.law.claim(format!("source_rule of outlet {outlet}"), times, section.place("from"));
    (states.len() == expected).then_some(())?;
    Some(SourceRule { outlet, document: document?, times, states })
}

fn state_rule(section: &mut Section<'_>, outlet: Option<&str>, written: &mut Written) -> Option<StateRule> {
    let words = idle_states();
    let state = section.required("state", check::one_of(&words));
    let after = section.optional("after", check::one_of(&words));
    let minutes = section.optional("after_minutes", check::small(1..=LONGEST_MINUTES));
    let mut tests = Vec::new();
    let sections = section.tables("test");
    let expected = sections.len();
    for mut section in sections {
        let test = test(&mut section);
        if let (Some(test), Some(outlet)) = (test, outlet) {
            written.law.need_channel(outlet, test.channel, section.place("channel"));
        }
        tests.extend(test);
    }
    if expected == 0 {
        section.problem("test", "nothing", "at least one [[source_rule.state.test]]");
        return None;
    }
    let after = match (after?, minutes?) {
        (None, None) => None,
        (Some(state), Some(minutes)) => Some(After { state, minutes }),
        (Some(_), None) | (None, Some(_)) => {
            section.problem(
                "after_minutes",
                "one of the two alone",
                "after and after_minutes together, or neither",
            );
            return None;
        }
    };
    (tests.len() == expected).then_some(())?;
    Some(StateRule { state: state?, tests, after })
}

fn test(section: &mut Section<'_>) -> Option<Test> {
    let line = || check::number(-1e9..=1e9);
    let channel = section.required("channel", channel_code());
    let above = section.optional("above", line());
    let below = section.optional("below", line());
    let code = section.optional("code", line());
    let release = section.optional("release", line());
    let minutes = section.with_default("minutes", check::small(1..=LONGEST_MINUTES), 1);
    let release = release?;
    let side = match (above?, below?, code?) {
        (Some(line), None, None) => Side::Above { line, release: release.unwrap_or(line) },
        (None, Some(line), None) => Side::Below { line, release: release.unwrap_or(line) },
        (None, None, Some(code)) => Side::Is { code },
        (None, None, None) => {
            section.problem("above", "nothing", "one of above, below or code");
            return None;
        }
        (above, ..) => {
            let key = if above.is_some() { "above" } else { "below" };
            section.problem(key, "more than one", "one of above, below or code");
            return None;
        }
    };
    let (wrong_side, allowed) = match side {
        Side::Above { line, release } => {
            (release > line, "at most the line `above`: the test lets go below it")
        }
        Side::Below { line, release } => {
            (release < line, "at least the line `below`: the test lets go above it")
        }
        Side::Is { .. } => (release.is_some(), "nothing: a code has no release line"),
    };
    if wrong_side {
        section.problem("release", &release.unwrap_or_default().to_string(), allowed);
        return None;
    }
    Some(Test { channel: channel?, side, minutes: minutes? })
}

fn mark(section: &mut Section<'_>, written: &mut Written) -> Option<Mark> {
    let claims = Claim::ALL.map(|claim| (claim.name(), claim));
    let code = own_code(section, "mark", written);
    let outlet = section.required("outlet", outlet_code());
    let channel = section.optional("channel", channel_code());
    let claim = section.required("claim", check::one_of(&claims));
    let times = ended_times(section);
    let author = section.required("author", check::any_text());
    let reason = section.required("reason", check::any_text());
    let made_at = section.required("made_at", moment());
    let attachment = section.optional("attachment", check::any_text());
    if let Some(outlet) = &outlet {
        written.law.need("outlet", outlet, section.place("outlet"));
        if let Some(Some(channel)) = channel {
            written.law.need_channel(outlet, channel, section.place("channel"));
        }
    }
    if let (Some(code), Some(made_at)) = (&code, made_at) {
        written.law.marks.insert(code.clone(), made_at);
    }
    let (outlet, channel, claim, times) = (outlet?, channel?, claim?, times?);
    written.law.claim(mark_subject(&outlet, channel, claim), times, section.place("from"));
    if let (Claim::State(_), Some(channel)) = (claim, channel) {
        let allowed =
            format!("no channel: {:?} is a state of the source, so of the whole outlet", claim.name());
        section.problem("channel", &format!("{:?}", channel.as_str()), &allowed);
        return None;
    }
    Some(Mark {
        code: code?,
        outlet,
        channel,
        claim,
        times,
        author: author?,
        reason: reason?,
        made_at: made_at?,
        attachment: attachment?,
    })
}

/// Marks of one subject must not claim the same time.
fn mark_subject(outlet: &str, channel: Option<ChannelCode>, claim: Claim) -> String {
    let about = match claim {
        Claim::State(_) => "the source",
        Claim::Instrument(_) => "instruments",
    };
    let channel = channel.map_or_else(|| "all channels".to_owned(), |channel| format!("channel {channel}"));
    format!("marks about {about} of outlet {outlet}, {channel}")
}

fn review(section: &mut Section<'_>, written: &mut Written) -> Option<Review> {
    let claims = Claim::ALL.map(|claim| (claim.name(), claim));
    let decisions = ["accepted", "rejected", "corrected"].map(|word| (word, word));
    let mark = reference(section, "mark", "mark", written);
    let at = section.required("at", moment());
    let by = section.required("by", check::any_text());
    let reason = section.required("reason", check::any_text());
    let decision = match section.required("decision", check::one_of(&decisions)) {
        Some("accepted") => Some(Decision::Accepted),
        Some("rejected") => Some(Decision::Rejected),
        Some(_corrected) => {
            let claim = section.required("claim", check::one_of(&claims));
            let times = ended_times(section);
            claim.zip(times).map(|(claim, times)| Decision::Corrected { claim, times })
        }
        None => None,
    };
    let (mark, at) = (mark?, at?);
    written.law.reviews.push((mark.clone(), at, section.place("at")));
    Some(Review { mark, at, by: by?, reason: reason?, decision: decision? })
}
