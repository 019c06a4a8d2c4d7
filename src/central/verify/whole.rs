//! What all rows of a gateway say together: holes, chains that begin where none ended, rows that were there. Pure.

use crate::central::verify::gaps::{Circumstances, Spool, explain};
use crate::central::verify::report::{Begins, EpochReport, Hole, Kind, Place, Report, Why};
use crate::central::verify::rows::{Read, Rows, Source};
use crate::mqtt::chain::Run;
use crate::mqtt::record::{Epoch, Hash};
use crate::mqtt::status::GatewayStatus;
use crate::store::chain::Known;

/// The report on all that was read.
pub fn judge(mut rows: Rows<'_>, heads: &[Known], status: Option<&GatewayStatus>) -> Report {
    let spool = status.map(Spool::of).unwrap_or_default();
    let newest = rows.epochs.keys().next_back().copied();
    let epochs: Vec<Epoch> = rows.epochs.keys().copied().collect();
    let mut reports = Vec::new();
    for epoch in epochs {
        let holes = holes(&mut rows, epoch, newest.filter(|newest| *newest == epoch).map(|_| &spool));
        anchors(&mut rows, epoch);
        if let Some(known) = heads.iter().find(|known| known.epoch == epoch.to_string()) {
            counts(&mut rows, epoch, known, &holes);
        }
        let begins = begins(&mut rows, epoch);
        reports.extend(rows.epochs.get(&epoch).and_then(|read| report(epoch, read, begins, holes)));
    }
    let range = rows.question.range;
    Report {
        gateway: rows.question.gateway.to_owned(),
        from: range.map(|(from, _)| from),
        to: range.map(|(_, to)| to),
        clean: rows.total == 0,
        records: rows.count(),
        epochs: reports,
        findings: rows.findings,
        findings_total: rows.total,
        notes: rows.notes,
    }
}

fn holes(rows: &mut Rows<'_>, epoch: Epoch, newest: Option<&Spool>) -> Vec<Hole> {
    let now = rows.question.now;
    let ranged = rows.question.range.is_some();
    let Some(read) = rows.epochs.get_mut(&epoch) else { return Vec::new() };
    read.claims.sort_unstable_by_key(|claim| (claim.first, claim.last));
    let known = Circumstances { claims: &read.claims, lost: read.lost, newest, now };
    let gaps = read.chain.gaps();
    let holes: Vec<Hole> = gaps
        .iter()
        // Within a time, a chain's beginning is not looked for.
        .filter(|gap| !ranged || gap.after.is_some())
        .flat_map(|gap| explain(gap, &known))
        .collect();
    for hole in holes.iter().filter(|hole| hole.why == Why::Unexplained) {
        let (first, last) = (hole.first, hole.last);
        let after = hole.after.map_or("the beginning".to_owned(), |after| after.to_string());
        let text = format!(
            "records {first} to {last} are missing, between {after} and {}; neither quarantine nor the gateway explains it",
            hole.before
        );
        let place = Place { at: Some(hole.before), seq: i64::try_from(first).ok(), ..of(epoch) };
        rows.found(Kind::Gap, place, text);
    }
    holes
}

fn of(epoch: Epoch) -> Place {
    Place { epoch: Some(epoch.to_string()), ..Place::default() }
}

/// What the centres noted as the newest record, and what somebody kept, must be there.
fn anchors(rows: &mut Rows<'_>, epoch: Epoch) {
    let Some(read) = rows.epochs.get(&epoch) else { return };
    let unseen: Vec<(u64, Hash, Source)> = read
        .anchors
        .iter()
        .flat_map(|(seq, anchors)| anchors.iter().map(move |anchor| (*seq, anchor)))
        .filter(|(_, anchor)| !anchor.seen && anchor.of != Source::LostRange)
        .map(|(seq, anchor)| (seq, anchor.hash, anchor.of))
        .collect();
    let last = read
        .chain
        .runs()
        .next_back()
        .map_or("none is there".to_owned(), |run| format!("the last one there is {}", run.last));
    for (seq, hash, of_whom) in unseen {
        let (table, who) = match of_whom {
            Source::ChainHead => (Some("chain_head"), "chain_head"),
            Source::Elsewhere | Source::LostRange => (None, "the head that was kept elsewhere"),
        };
        let text =
            format!("record {seq} with the hash {hash} was stored, as {who} says, and is gone; {last}");
        let place = Place { table, seq: i64::try_from(seq).ok(), ..of(epoch) };
        rows.found(Kind::Missing, place, text);
    }
}

/// At least as many rows as the centres stored must be there.
fn counts(rows: &mut Rows<'_>, epoch: Epoch, known: &Known, holes: &[Hole]) {
    let Some(read) = rows.epochs.get(&epoch) else { return };
    if rows.question.range.is_some() || holes.iter().any(|hole| hole.why == Why::Retention) {
        return;
    }
    let counted = |number: i64| u64::try_from(number).unwrap_or(0);
    let pairs = [
        (counted(known.records), read.scans + read.events, "scan and event"),
        (counted(known.kept), read.quarantined, "quarantine"),
    ];
    for (stored, there, tables) in pairs.into_iter().filter(|(stored, there, _)| stored > there) {
        let text = format!(
            "{stored} rows of {tables} were stored under this epoch, as chain_head says, and {there} are there"
        );
        rows.found(Kind::Missing, Place { table: Some("chain_head"), ..of(epoch) }, text);
    }
}

/// What an epoch's first record goes on from.
fn begins(rows: &mut Rows<'_>, epoch: Epoch) -> Begins {
    let Some(read) = rows.epochs.get(&epoch) else { return Begins::Unknown };
    let Some(first) = read.chain.runs().next().copied().filter(|run| run.first == 0) else {
        return Begins::Unknown;
    };
    if first.prev == Hash::ZERO {
        from_zeros(rows, epoch, &first);
        return Begins::Zeros;
    }
    if let Some((lost, next)) = read.after_loss {
        return after_loss(rows, epoch, (lost, next));
    }
    let ends = rows.epochs.iter().filter(|(other, _)| **other != epoch).flat_map(|(other, read)| {
        let last = read.chain.runs().next_back().map(|run| run.last);
        read.chain.runs().map(move |run| (*other, *run, last))
    });
    let found = ends.into_iter().find(|(_, run, _)| run.hash == first.prev);
    let place = Place { at: Some(first.first_at), seq: Some(0), ..of(epoch) };
    if let Some((other, run, last)) = found {
        if let Some(last) = last.filter(|last| *last > run.last) {
            let text = format!(
                "it goes on from epoch {other} seq {}, although that epoch has records up to {last}: one of both was put in",
                run.last
            );
            rows.found(Kind::Insertion, place, text);
        }
        return Begins::Behind { epoch: other.to_string(), seq: run.last };
    }
    // Within a time, the record before may be about another one.
    if rows.question.range.is_none() {
        let text = format!(
            "it begins behind a record with the hash {}, which is the end of no other chain: that record is gone, rows \
             were added behind it, or this epoch was put in",
            first.prev
        );
        rows.found(Kind::NoPredecessor, place, text);
    }
    Begins::Unknown
}

/// A gateway begins from zeros once, and again when it lost everything; never while it goes on elsewhere.
fn from_zeros(rows: &mut Rows<'_>, epoch: Epoch, first: &Run) {
    let ends = |read: &Read| read.chain.runs().map(|run| run.last_at).max();
    let earlier = rows.epochs.range(..epoch).filter_map(|(other, read)| Some((*other, ends(read)?)));
    let Some((other, until)) = earlier.max_by_key(|(_, until)| *until) else { return };
    if until > first.first_at {
        let text = format!(
            "it begins from zeros at {}, while epoch {other} goes on until {until}: one of both was put in",
            first.first_at
        );
        let place = Place { at: Some(first.first_at), seq: Some(0), ..of(epoch) };
        rows.found(Kind::Insertion, place, text);
    } else {
        rows.note(format!(
            "epoch {epoch} begins from zeros at {}: the gateway had lost all it knew",
            first.first_at
        ));
    }
}

fn after_loss(rows: &mut Rows<'_>, epoch: Epoch, (before, next): (Epoch, u64)) -> Begins {
    let gone = rows.epochs.get(&before);
    let last = gone.and_then(|read| read.chain.runs().next_back()).map(|run| run.last);
    let Some(seq) = next.checked_sub(1) else { return Begins::BehindLost };
    if let Some(last) = last.filter(|last| *last > seq) {
        rows.note(format!(
            "epoch {epoch} goes on from epoch {before} seq {seq}, the last that the gateway remembered; records up to {last} had arrived"
        ));
    }
    let there = rows.epochs.get(&before).is_some_and(|read| read.chain.has(seq));
    if there { Begins::Behind { epoch: before.to_string(), seq } } else { Begins::BehindLost }
}

/// `None`: nothing of this epoch is there, or of the time asked for.
fn report(epoch: Epoch, read: &Read, begins: Begins, gaps: Vec<Hole>) -> Option<EpochReport> {
    let (first, last) = (read.chain.runs().next(), read.chain.runs().next_back());
    if first.is_none() && read.quarantined == 0 {
        return None;
    }
    Some(EpochReport {
        epoch: epoch.to_string(),
        scans: read.scans,
        events: read.events,
        quarantined: read.quarantined,
        first_seq: first.map(|run| run.first),
        last_seq: last.map(|run| run.last),
        first_at: first.map(|run| run.first_at),
        last_at: last.map(|run| run.last_at),
        head: last.map(|run| run.hash.to_string()),
        begins,
        gaps,
    })
}
