//! What an exceedance is told with: its window, how many there were in a row, how grave that is, whether the instrument is to be trusted,
//! and what the enterprise has marked.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tokio_postgres::Client;

use crate::central::judging::News;
use crate::central::windows::Computed;
use crate::domain::alert::{Alert, Instrument};
use crate::domain::average::ChannelAverage;
use crate::domain::flag::Status;
use crate::domain::judgement::Judged;
use crate::domain::law::OutletLaw;
use crate::domain::limit::AveragingPeriod;
use crate::domain::plant::Position;
use crate::domain::quality::CheckResult;
use crate::domain::window::{Window, lower};
use crate::store::session::Failure;
use crate::store::verdict::{VerdictKey, adverse_before};

/// So many windows are looked back for those in a row, and so many where these were not enough.
const BACK: [i32; 2] = [24, 24 * 31];

/// What is known of the window itself. Without the law, as for a single minute, nobody has looked for checks and marks.
pub(super) fn fill(alert: &mut Alert, one: &Computed<'_>, judged: &Judged<'_>, law: Option<&OutletLaw>) {
    let window = one.row.window;
    (alert.period, alert.until) = (Some(window.period.name().to_owned()), Some(window.end));
    let average = judged.position.and_then(|position| one.row.channels.get(position));
    if let (Some(average), Some(part)) = (average, lower(window.period)) {
        (alert.valid, alert.expected) = (Some(average.n_valid), Some(average.n_expected));
        alert.part = Some(part.name().to_owned());
    }
    let Some(law) = law else { return };
    if let (Some(position), Some(average)) = (judged.position, average) {
        alert.instrument = instrument(one, (position, average), law);
    }
    alert.marked = marked(one, judged.position, law);
}

/// The analyser behind a channel: its last check before the window's end, and whether its data are out of control.
fn instrument(
    one: &Computed<'_>,
    (position, average): (Position, &ChannelAverage),
    law: &OutletLaw,
) -> Option<Instrument> {
    let window = one.row.window;
    let settings = one.outlet.channels.get(position)?.settings.at(window.start)?;
    let analyser = settings.analyser.to_string();
    let made = law.checks.iter().filter(|check| check.analyser == analyser && check.at < window.end);
    let last = made.max_by_key(|check| check.at);
    let out = law.out_of_control.iter().filter(|span| span.analyser == analyser);
    let out_of_control = out.into_iter().any(|span| span.times.touches(window.start, window.end));
    let flag = match average.status {
        Status::Calibration | Status::Maintenance | Status::OverRange | Status::Fault => {
            Some(average.status.letter().to_string())
        }
        Status::Normal
        | Status::SourceStopped
        | Status::StartUp
        | Status::ShutDown
        | Status::BankedFire
        | Status::NoData => None,
    };
    Some(Instrument {
        analyser,
        checked_at: last.map(|check| check.at),
        passed: last.map(|check| check.result == CheckResult::Passed),
        out_of_control,
        flag,
    })
}

/// What the enterprise claims of the window, each claim once.
fn marked(one: &Computed<'_>, position: Option<Position>, law: &OutletLaw) -> Option<String> {
    let window = one.row.window;
    let code = position.and_then(|position| one.outlet.channels.get(position)).map(|channel| channel.code);
    let concerns = |channel| channel == code || code.is_none();
    let mut claims: Vec<&str> = law
        .marks
        .iter()
        .filter(|ruled| ruled.times.touches(window.start, window.end))
        .filter(|ruled| ruled.mark.channel.is_none_or(|channel| concerns(Some(channel))))
        .map(|ruled| ruled.claim.name())
        .collect();
    claims.sort_unstable();
    claims.dedup();
    (!claims.is_empty()).then(|| claims.join(", "))
}

/// Counts the windows in a row of what is to be told, and grades it by them and by how far it is over.
pub(super) async fn grade(client: &Client, news: &mut [News<'_>], zone: &TimeZone) -> Result<(), Failure> {
    let mut wanted: Vec<usize> = news
        .iter()
        .enumerate()
        .filter(|(_, news)| news.after.is_adverse() && news.window.period <= AveragingPeriod::Day)
        .map(|(index, _)| index)
        .collect();
    for back in BACK {
        let asked: Vec<(VerdictKey, Timestamp)> = wanted
            .iter()
            .filter_map(|index| news.get(*index))
            .map(|news| (news.key, low(news, back)))
            .collect();
        if asked.is_empty() {
            break;
        }
        let found = adverse_before(client, &asked).await?;
        let mut full = Vec::new();
        for (index, before) in wanted.into_iter().zip(found) {
            let Some(news) = news.get_mut(index) else { continue };
            let run = in_a_row(news.window, &before, zone);
            news.sighting.alert.consecutive = Some(run);
            if i64::from(run) > i64::from(back) {
                full.push(index);
            }
        }
        wanted = full;
    }
    for News { sighting, watch, .. } in news.iter_mut() {
        let (Some(watch), alert) = (watch, &sighting.alert) else { continue };
        let by_ratio = alert.ratio_over.map_or(0, |ratio| watch.level_of(ratio));
        let by_count = alert.consecutive.map_or(0, |count| watch.level_of_count(count));
        let level = by_ratio.saturating_add(1).max(by_count);
        sighting.observation.level = level;
        sighting.alert = watch.grade(alert.clone(), level);
    }
    Ok(())
}

fn low(news: &News<'_>, back: i32) -> Timestamp {
    let length: SignedDuration = news.window.end.duration_since(news.window.start);
    length.checked_mul(back).and_then(|far| news.window.start.checked_sub(far).ok()).unwrap_or(Timestamp::MIN)
}

/// How many windows up to this one are above, `before` being those above before it, newest first.
fn in_a_row(window: Window, before: &[Timestamp], zone: &TimeZone) -> u32 {
    let mut first = window;
    let mut run = 1;
    for start in before {
        let Ok(within) = first.start.checked_sub(SignedDuration::from_secs(1)) else { break };
        let previous = Window::containing(window.period, within, zone);
        if *start != previous.start {
            break;
        }
        (first, run) = (previous, run + 1);
    }
    run
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_in_a_row_are_counted_back_to_the_first_gap() {
        let at = |hour: i64| Timestamp::from_second(hour * 3600).unwrap();
        let window = Window::containing(AveragingPeriod::Hour, at(10), &TimeZone::UTC);
        let run = |before: &[i64]| {
            in_a_row(window, &before.iter().map(|hour| at(*hour)).collect::<Vec<_>>(), &TimeZone::UTC)
        };
        assert_eq!(run(&[]), 1);
        assert_eq!(run(&[9, 8]), 3);
        assert_eq!(run(&[9, 7, 6]), 2);
        assert_eq!(run(&[8]), 1);
        // A day of 23 hours is a day.
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let noon = |day: i8| jiff::civil::date(2026, 3, day).at(12, 0, 0, 0).to_zoned(zone.clone()).unwrap();
        let day = |of: i8| Window::containing(AveragingPeriod::Day, noon(of).timestamp(), &zone);
        assert_eq!(in_a_row(day(30), &[day(29).start, day(28).start], &zone), 3);
    }
}
