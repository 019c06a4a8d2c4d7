//! Rows to records: each is rebuilt, its hash is checked, and it takes its place in its epoch's chain. What one row by itself,
//! or with its neighbours, shows is noted here; what all of them show together is in `whole`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use crate::central::intake::{FUTURE, PAST};
use crate::central::verify::Question;
use crate::central::verify::gaps::Claim;
use crate::central::verify::report::{Finding, Kind, LISTED, Place};
use crate::domain::plant::Outlet;
use crate::mqtt::chain::{Chain, Flaw, Gap, Link};
use crate::mqtt::rebuild::{Head, Layout, event};
use crate::mqtt::record::{Epoch, Hash, event as name};
use crate::store::chain::{EventRow, Known, Origin, ScanRow};
use crate::store::read::REGISTERS;

/// Notes are for people; nobody reads more.
const NOTES: usize = 100;
/// What is known elsewhere of a record: its hash.
#[derive(Debug, Clone, Copy)]
pub struct Anchor {
    pub hash: Hash,
    pub of: Source,
    pub seen: bool,
}

/// Who knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    ChainHead,
    /// Somebody who kept a head elsewhere.
    Elsewhere,
    /// The next epoch, which tells that this one's spool was lost.
    LostRange,
}

/// One epoch, as far as it has been read.
#[derive(Debug, Default)]
pub struct Read {
    pub chain: Chain,
    pub scans: u64,
    pub events: u64,
    pub quarantined: u64,
    pub claims: Vec<Claim>,
    pub anchors: BTreeMap<u64, Vec<Anchor>>,
    /// The gateway told that it lost this epoch's spool.
    pub lost: bool,
    /// It begins after the loss of that epoch, whose next number would have been this one.
    pub after_loss: Option<(Epoch, u64)>,
}

/// All that has been read.
pub struct Rows<'q> {
    pub question: Question<'q>,
    gateway_id: i32,
    origins: HashMap<i32, (i32, Epoch, Hash)>,
    names: HashMap<i32, Arc<str>>,
    layouts: HashMap<i32, (Arc<Outlet>, Layout)>,
    pub epochs: BTreeMap<Epoch, Read>,
    pub findings: Vec<Finding>,
    pub total: u64,
    pub notes: Vec<String>,
    /// Records about other times than those asked for, which may fill a gap.
    pub(super) outside: Vec<(Epoch, Link)>,
    wanted: BTreeMap<Epoch, Vec<Gap>>,
    count: u64,
}

impl<'q> Rows<'q> {
    /// Nothing is read yet.
    pub fn new(question: &Question<'q>, gateway_id: i32, origins: HashMap<i32, Origin>) -> Rows<'q> {
        let plant = question.plant;
        let served =
            |outlet: &&Arc<Outlet>| outlet.gateways.iter().any(|(name, _)| **name == *question.gateway);
        let layouts = plant
            .outlets
            .iter()
            .filter(served)
            .map(|outlet| (outlet.id, (Arc::clone(outlet), Layout::of(outlet))))
            .collect();
        let parsed = origins.into_iter().filter_map(|(id, origin)| {
            Some((id, (origin.gateway_id, Epoch::from_hex(&origin.epoch)?, hash(&origin.cfg)?)))
        });
        let origins: HashMap<i32, (i32, Epoch, Hash)> = parsed.collect();
        let own = origins.values().filter(|origin| origin.0 == gateway_id);
        Rows {
            question: *question,
            gateway_id,
            epochs: own.map(|origin| (origin.1, Read::default())).collect(),
            origins,
            names: plant.gateways.iter().map(|gateway| (gateway.id, Arc::clone(&gateway.name))).collect(),
            layouts,
            findings: Vec::new(),
            total: 0,
            notes: Vec::new(),
            outside: Vec::new(),
            wanted: BTreeMap::new(),
            count: 0,
        }
    }

    /// Outlets that the gateway speaks or spoke for.
    pub fn outlets(&self) -> Vec<i32> {
        self.layouts.keys().copied().collect()
    }

    /// Records rebuilt so far.
    pub fn count(&self) -> u64 {
        self.count
    }

    pub fn found(&mut self, kind: Kind, place: Place, text: String) {
        self.total += 1;
        if self.findings.len() < LISTED {
            self.findings.push(Finding { kind, place, text });
        }
    }

    pub fn note(&mut self, text: String) {
        if self.notes.len() < NOTES {
            self.notes.push(text);
        }
    }

    pub fn in_range(&self, at: Timestamp) -> bool {
        self.question.range.is_none_or(|(from, to)| from <= at && at < to)
    }

    /// What the centres noted, and what somebody kept, must be there.
    pub fn expect(&mut self, heads: &[Known]) {
        for (epoch, seq, hash) in self.question.heads {
            self.anchor(*epoch, *seq, *hash, Source::Elsewhere);
        }
        for known in heads {
            let Some(epoch) = Epoch::from_hex(&known.epoch) else { continue };
            self.epochs.entry(epoch).or_default();
            let Some((seq, head, at)) = &known.head else { continue };
            if let (Ok(seq), Some(hash), true) = (u64::try_from(*seq), hash(head), self.in_range(*at)) {
                self.anchor(epoch, seq, hash, Source::ChainHead);
            }
        }
    }

    fn anchor(&mut self, epoch: Epoch, seq: u64, hash: Hash, of: Source) {
        let anchors = &mut self.epochs.entry(epoch).or_default().anchors;
        anchors.entry(seq).or_default().push(Anchor { hash, of, seen: false });
    }

    /// One row of `scan`.
    pub fn scan(&mut self, row: &ScanRow) {
        let Some((outlet, layout)) = self.layouts.get(&row.outlet_id) else { return };
        let mut place = Place {
            table: Some("scan"),
            outlet: Some(outlet.code.to_string()),
            at: Some(row.at),
            epoch: None,
            seq: Some(row.seq),
            id: None,
        };
        let Some((gateway_id, epoch, cfg)) = self.origins.get(&row.provenance_id).copied() else {
            let text = format!("its provenance {} is not known; no gateway made it", row.provenance_id);
            return self.found(Kind::Insertion, place, text);
        };
        place.epoch = Some(epoch.to_string());
        if gateway_id != self.gateway_id {
            let other = self.names.get(&gateway_id).map_or("", |name| name);
            if !outlet.served_by(other, row.at) {
                let text = format!(
                    "it says that gateway {other:?} made it, which did not speak for the outlet then"
                );
                self.found(Kind::Insertion, place, text);
            }
            return;
        }
        let head = head(self.question.gateway, (epoch, cfg), (row.seq, &row.prev, row.at));
        let rebuilt = head.and_then(|head| {
            if row.source_id != REGISTERS {
                return Err(format!(
                    "it is of source {}; a gateway's records are of source {REGISTERS}",
                    row.source_id
                ));
            }
            received(row.at, row.received_at)?;
            layout.scan(&head, &row.measured, &row.flag).map(|bytes| Hash::of(&bytes))
        });
        self.epochs.entry(epoch).or_default().scans += 1;
        self.take(place, epoch, rebuilt, (&row.hash, &row.prev, row.at));
    }

    /// One row of `event`.
    pub fn event(&mut self, row: &EventRow) {
        let place = Place {
            table: Some("event"),
            at: Some(row.at),
            epoch: Some(row.epoch.clone()),
            seq: Some(row.seq),
            ..Place::default()
        };
        let Some(epoch) = Epoch::from_hex(&row.epoch) else { return };
        if row.event == name::LOST_RANGE {
            self.lost_range(epoch, row);
        }
        if !self.in_range(row.at) {
            self.outside.extend(link(row.seq, (&row.hash, &row.prev, row.at)).map(|link| (epoch, link)));
            return;
        }
        let origin = self.origins.get(&row.provenance_id);
        let cfg =
            origin.filter(|origin| (origin.0, origin.1) == (self.gateway_id, epoch)).map(|origin| origin.2);
        let rebuilt = cfg
            .ok_or_else(|| format!("its provenance {} is not of this gateway and epoch", row.provenance_id))
            .and_then(|cfg| head(self.question.gateway, (epoch, cfg), (row.seq, &row.prev, row.at)))
            .and_then(|head| {
                received(row.at, row.received_at)?;
                event(&head, &row.event, &row.detail).map(|bytes| Hash::of(&bytes))
            });
        self.epochs.entry(epoch).or_default().events += 1;
        self.take(place, epoch, rebuilt, (&row.hash, &row.prev, row.at));
    }

    /// An event that tells which spool was lost, and so what the record before this one was.
    fn lost_range(&mut self, epoch: Epoch, row: &EventRow) {
        let detail: BTreeMap<String, String> = serde_json::from_str(&row.detail).unwrap_or_default();
        let Some(lost) = detail.get("epoch").and_then(|epoch| Epoch::from_hex(epoch)) else { return };
        self.epochs.entry(lost).or_default().lost = true;
        let next = detail.get("next").and_then(|next| next.parse::<u64>().ok());
        if let (0, Some(next), Some(prev)) = (row.seq, next, hash(&row.prev)) {
            self.epochs.entry(epoch).or_default().after_loss = Some((lost, next));
            if let Some(last) = next.checked_sub(1) {
                self.anchor(lost, last, prev, Source::LostRange);
            }
        }
    }

    fn take(
        &mut self,
        place: Place,
        epoch: Epoch,
        rebuilt: Result<Hash, String>,
        (stored, prev, at): (&[u8], &[u8], Timestamp),
    ) {
        self.count += 1;
        let seq = place.seq.unwrap_or(-1);
        match rebuilt {
            Ok(rebuilt) if rebuilt.0.as_slice() == stored => {}
            Ok(rebuilt) => {
                let text = format!(
                    "the bytes rebuilt from the row have the hash {rebuilt}, its own is {}: something in it was changed",
                    hex::encode(stored)
                );
                self.found(Kind::Alteration, place.clone(), text);
            }
            Err(text) => self.found(Kind::Alteration, place.clone(), text),
        }
        match link(seq, (stored, prev, at)) {
            Some(link) => self.link(&place, epoch, link),
            None => self.found(
                Kind::Alteration,
                place,
                "number, hash or prev is none that a record has".to_owned(),
            ),
        }
    }

    pub(super) fn link(&mut self, place: &Place, epoch: Epoch, link: Link) {
        let read = self.epochs.entry(epoch).or_default();
        let flaws = read.chain.add(link);
        let mut other = None;
        for anchor in read.anchors.get_mut(&link.seq).into_iter().flatten() {
            // Of two rows with one number, one may be the right one.
            if anchor.hash == link.hash {
                anchor.seen = true;
            } else if flaws != [Flaw::Fork] {
                (anchor.seen, other) = (true, Some(*anchor));
            }
        }
        if let Some(anchor) = other {
            let who = match anchor.of {
                Source::ChainHead => "table chain_head",
                Source::Elsewhere => "the head that was kept elsewhere",
                Source::LostRange => "the epoch that goes on from it",
            };
            let text = format!("its hash is {}, but {who} says {}", link.hash, anchor.hash);
            self.found(Kind::Alteration, place.clone(), text);
        }
        for flaw in flaws {
            match flaw {
                Flaw::Fork => {
                    self.found(
                        Kind::Fork,
                        place.clone(),
                        "another row claims the same epoch and number".to_owned(),
                    );
                }
                Flaw::Broken { seq, named, found } => {
                    let place = Place { seq: i64::try_from(seq).ok(), ..place.clone() };
                    let text = format!(
                        "record {seq} names {named} as its predecessor, but the record before it has the hash {found}: one of the \
                         two was changed or put in its place"
                    );
                    self.found(Kind::BrokenLink, place, text);
                }
                Flaw::TimeBack { seq, before, at } => {
                    self.note(format!("epoch {epoch} seq {seq}: the time goes back from {before} to {at}, as the gateway recorded it"));
                }
            }
        }
    }

    /// The numbers that are missing among records of the time asked for, when others may have them: first and last.
    pub fn look_elsewhere(&mut self) -> Option<(i64, i64)> {
        self.question.range?;
        let gaps = |read: &Read| {
            let mut gaps = read.chain.gaps();
            gaps.retain(|gap| gap.after.is_some());
            gaps
        };
        self.wanted = self.epochs.iter().map(|(epoch, read)| (*epoch, gaps(read))).collect();
        for (epoch, link) in std::mem::take(&mut self.outside) {
            self.fill(epoch, link);
        }
        let all = || self.wanted.values().flatten();
        let first = all().map(|gap| gap.first).min()?;
        let last = all().map(|gap| gap.last).max()?;
        Some((i64::try_from(first).unwrap_or(i64::MAX), i64::try_from(last).unwrap_or(i64::MAX)))
    }

    /// One row of `scan` about another time than those asked for.
    pub fn elsewhere(&mut self, row: &ScanRow) {
        let origin = self.origins.get(&row.provenance_id).copied();
        if let Some((gateway_id, epoch, _)) = origin
            && gateway_id == self.gateway_id
            && let Some(link) = link(row.seq, (&row.hash, &row.prev, row.at))
        {
            self.fill(epoch, link);
        }
    }

    fn fill(&mut self, epoch: Epoch, link: Link) {
        let wanted = |gap: &Gap| (gap.first..=gap.last).contains(&link.seq);
        if self.wanted.get(&epoch).is_some_and(|gaps| gaps.iter().any(wanted)) {
            let place = Place {
                at: Some(link.at),
                epoch: Some(epoch.to_string()),
                seq: i64::try_from(link.seq).ok(),
                ..Place::default()
            };
            self.link(&place, epoch, link);
        }
    }
}

fn hash(bytes: &[u8]) -> Option<Hash> {
    bytes.try_into().ok().map(Hash)
}

fn link(seq: i64, (stored, prev, at): (&[u8], &[u8], Timestamp)) -> Option<Link> {
    Some(Link { seq: u64::try_from(seq).ok()?, prev: hash(prev)?, hash: hash(stored)?, at })
}

fn head<'r>(
    gateway: &'r str,
    (epoch, cfg): (Epoch, Hash),
    (seq, prev, at): (i64, &[u8], Timestamp),
) -> Result<Head<'r>, String> {
    let none = || "number or prev is none that a record has".to_owned();
    let seq = u64::try_from(seq).map_err(|_negative| none())?;
    Ok(Head { gateway, epoch, cfg, seq, prev: hash(prev).ok_or_else(none)?, at })
}

/// Nothing was ever taken that was received long before or after its time.
fn received(at: Timestamp, received_at: Timestamp) -> Result<(), String> {
    let age = received_at.duration_since(at);
    if age < -FUTURE || age > PAST {
        return Err(format!("it was received at {received_at}, when no centre would have taken it"));
    }
    Ok(())
}
