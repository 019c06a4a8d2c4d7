//! From scans or lower windows to figures, and what the law says of them. Reads the database; writes nothing.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use tokio::task::yield_now;
use tokio_postgres::Client;

use crate::central::pipeline::Shared;
use crate::domain::assessment::Counted;
use crate::domain::average::{ChannelAverage, StoredScan, Terms, average_scans, average_windows};
use crate::domain::correction::Unwatched;
use crate::domain::judgement::{Ground, Judged, Parts};
use crate::domain::law::OutletLaw;
use crate::domain::limit::AveragingPeriod;
use crate::domain::plant::{Outlet, Position};
use crate::domain::validity::Overlay;
use crate::domain::window::{Window, lower};
use crate::store::average::{self, Averages};
use crate::store::frame::Frames;
use crate::store::scan;
use crate::store::session::{Failure, query};
use crate::store::verdict::{VerdictKey, counted};

/// What is to be computed.
pub(super) struct Subject {
    pub outlet: Arc<Outlet>,
    pub of: average::Of,
    pub window: Window,
}

/// What it is computed with.
pub(super) struct Basis<'b> {
    pub client: &'b Client,
    pub shared: &'b Shared,
    pub frames: &'b Frames,
    /// By outlet code.
    pub laws: &'b BTreeMap<String, OutletLaw>,
}

/// One window of one outlet with its averages and what is said of them.
pub(in crate::central) struct Computed<'g> {
    pub(in crate::central) outlet: &'g Outlet,
    pub(in crate::central) row: Averages,
    pub(in crate::central) judged: Vec<Judged<'g>>,
    /// The figures differ from those stored, or none are.
    pub(super) is_news: bool,
    /// It belongs to a submitted period: nothing of it changes.
    pub(in crate::central) is_locked: bool,
}

/// The law of a minute: nothing lies over it, and no list is about it.
static NONE: std::sync::LazyLock<OutletLaw> = std::sync::LazyLock::new(OutletLaw::default);

impl Basis<'_> {
    pub(super) fn ground<'g>(&'g self, subject: &'g Subject) -> Ground<'g> {
        Ground {
            outlet: &subject.outlet,
            law: self.laws.get(&*subject.outlet.code).unwrap_or(&NONE),
            regime: self.shared.regime,
            zone: &self.shared.zone,
        }
    }
}

fn computed<'g>(
    subject: &'g Subject,
    channels: Vec<ChannelAverage>,
    judged: Vec<Judged<'g>>,
) -> Computed<'g> {
    Computed {
        outlet: &subject.outlet,
        row: Averages { of: subject.of, window: subject.window, revision: 1, channels },
        judged,
        is_news: true,
        is_locked: false,
    }
}

/// So many scans are worked through at a stretch, some half a millisecond: the thread that does it serves live messages too, and of
/// thousands of minutes that end together it would keep them waiting for a tenth of a second.
const STRETCH: usize = 256;

/// Minutes, from scans.
pub(super) async fn minutes<'g>(
    basis: &'g Basis<'_>,
    subjects: &'g [Subject],
) -> Result<Vec<Computed<'g>>, Failure> {
    let outlets: Vec<i32> = subjects.iter().map(|subject| subject.of.0).collect();
    let sources: Vec<i16> = subjects.iter().map(|subject| subject.of.1).collect();
    let low: Vec<Timestamp> = subjects.iter().map(|subject| subject.window.start).collect();
    let high: Vec<Timestamp> = subjects.iter().map(|subject| subject.window.end).collect();
    let earliest = low.iter().min().copied().unwrap_or(Timestamp::UNIX_EPOCH);
    let latest = high.iter().max().copied().unwrap_or(Timestamp::UNIX_EPOCH);
    let rows =
        query(basis.client, scan::OF_WINDOWS, &[&outlets, &sources, &low, &high, &earliest, &latest]).await;
    let mut scans: HashMap<(average::Of, Timestamp), Vec<StoredScan>> = HashMap::new();
    for (index, row) in rows?.into_iter().enumerate() {
        if index % STRETCH == 0 {
            yield_now().await;
        }
        let (of, scan) = scan::of_row(&row);
        let start = Window::containing(AveragingPeriod::Minute, scan.at, &basis.shared.zone).start;
        scans.entry((of, start)).or_default().push(scan);
    }
    let (mut all, mut read) = (Vec::with_capacity(subjects.len()), 0);
    for subject in subjects {
        // Without scans there is nothing to compute from: retention may have dropped them, and what was made of them stands.
        let Some(scans) = scans.get(&(subject.of, subject.window.start)) else { continue };
        read += scans.len();
        if read >= STRETCH {
            read = 0;
            yield_now().await;
        }
        let channels = average_scans(subject.window, &subject.outlet, scans, basis.shared.regime);
        let parts = (&Parts::new(), Overlay::NONE);
        let judged = basis.ground(subject).judge(subject.window, &channels, parts, &mut Unwatched);
        all.push(computed(subject, channels, judged));
    }
    Ok(all)
}

/// Hours and longer, from the latest revisions of the next lower level; what is made of minutes also with the minutes before it that
/// states look back on.
pub(super) async fn coarser<'g>(
    basis: &'g Basis<'_>,
    subjects: &'g [Subject],
    period: AveragingPeriod,
) -> Result<Vec<Computed<'g>>, Failure> {
    let Some(level) = lower(period) else { return Ok(Vec::new()) };
    let of_minutes = level == AveragingPeriod::Minute;
    let known_from = |subject: &Subject| {
        if of_minutes { basis.ground(subject).known_from(subject.window) } else { subject.window.start }
    };
    let spans: Vec<(average::Of, Timestamp, Timestamp)> =
        subjects.iter().map(|subject| (subject.of, known_from(subject), subject.window.end)).collect();
    let mut latest: HashMap<average::Of, Parts> = average::latest(basis.client, level, &spans)
        .await?
        .into_iter()
        .map(|(of, starts)| {
            (of, starts.into_iter().map(|(start, (_, channels))| (start, channels)).collect())
        })
        .collect();
    let mut all = Vec::with_capacity(subjects.len());
    for subject in subjects {
        let (ground, window) = (basis.ground(subject), subject.window);
        let Some(parts) = latest.get_mut(&subject.of) else { continue };
        // As above: what has no parts any more is not computed again.
        if parts.range(window.start..window.end).next().is_none() {
            continue;
        }
        let n_expected = u32::try_from(window.parts(&basis.shared.zone).len()).unwrap_or(0);
        let overlay = ground.overlay(window, parts);
        let terms = Terms { regime: basis.shared.regime, n_expected, overlay: &overlay };
        let channels = average_windows(window, &subject.outlet, parts, terms);
        let mut judged = ground.judge(window, &channels, (parts, &overlay), &mut Unwatched);
        let counts = counts(basis, subject).await?;
        judged.extend(ground.judge_counted(window, &|code, period, position| {
            counts.get(&(code.to_owned(), period, position)).copied().unwrap_or_default()
        }));
        all.push(computed(subject, channels, judged));
    }
    Ok(all)
}

/// Code, period of the verdicts, numbers of the rule's versions, channels.
type Wanted<'w> = (&'w str, AveragingPeriod, Vec<i32>, Vec<Option<Position>>);

type Counts = HashMap<(String, AveragingPeriod, Option<Position>), Counted>;

/// The stored verdicts that furnace days and assessments of a window count.
async fn counts(basis: &Basis<'_>, subject: &Subject) -> Result<Counts, Failure> {
    let (window, law) = (subject.window, basis.ground(subject).law);
    let mut wanted: Vec<Wanted<'_>> = Vec::new();
    if window.period == AveragingPeriod::Day {
        for rule in &law.furnaces {
            let number = basis.frames.entry("furnace", &rule.code).into_iter().collect();
            wanted.push((&rule.code, AveragingPeriod::FiveMinutes, number, vec![None]));
        }
    }
    for assessment in law.assessments.iter().filter(|one| one.over.period() == window.period) {
        let rules = || subject.outlet.rules.iter().filter(|rule| rule.code == assessment.rule);
        let Some(period) = rules().map(|rule| rule.period).next() else { continue };
        let positions = (0..subject.outlet.channels.len()).map(Some).collect();
        wanted.push((&assessment.rule, period, rules().map(|rule| rule.id).collect(), positions));
    }
    let mut counts = Counts::new();
    for (code, period, rules, positions) in wanted {
        let numbers: Vec<i16> = positions.iter().copied().map(VerdictKey::position_of).collect();
        let span = (period, window.start, window.end);
        let found = counted(basis.client, subject.of, (&rules, &numbers), span).await?;
        for (position, number) in positions.into_iter().zip(numbers) {
            if let Some(counted) = found.get(&number) {
                counts.insert((code.to_owned(), period, position), *counted);
            }
        }
    }
    Ok(counts)
}

/// Marks those whose figures differ from the latest stored revision, and numbers them as the next one.
pub(super) async fn compare(client: &Client, computed: &mut [Computed<'_>]) -> Result<(), Failure> {
    let Some(period) = computed.first().map(|computed| computed.row.window.period) else { return Ok(()) };
    let spans: Vec<(average::Of, Timestamp, Timestamp)> =
        computed.iter().map(|one| (one.row.of, one.row.window.start, one.row.window.end)).collect();
    let latest = average::latest(client, period, &spans).await?;
    for one in computed {
        let stored = latest.get(&one.row.of).and_then(|starts| starts.get(&one.row.window.start));
        if let Some((revision, channels)) = stored {
            one.is_news = *channels != one.row.channels;
            one.row.revision = revision + i32::from(one.is_news);
        }
    }
    Ok(())
}
