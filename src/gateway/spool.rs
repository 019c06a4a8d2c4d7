//! The spool: records on disk until the centre has receipted them. One redb file, `spool.redb`, format 1:
//!
//! - table `records`: sequence number -> the first 8 bytes of the record's SHA-256, then the record's bytes;
//! - table `meta`: `format`, `gateway`, `epoch`, `next` (sequence number), `head` (hash of the newest record ever made),
//!   `cfg` (configuration hash of the last run).
//!
//! Promises, each with a test: what `commit` returned is on disk and survives a kill; sequence numbers and the hash chain
//! go on where they stopped; a damaged file is noticed when it is opened or read, never trusted, never a panic; one
//! file is one epoch, and an epoch's name is never used again; nothing is deleted but by `commit`'s `delete`.
//!
//! Everything here blocks; `keeper` runs it on a thread of its own. Nothing here reads the clock.

/// Where a damaged spool goes.
mod aside;
/// Why the spool did not do what it was asked.
mod error;
/// How records stand in the file.
mod format;
/// The thread that owns the spool, and what it does when the disk fails.
pub mod keeper;
/// How much room there is, and for whom.
pub mod room;
/// A small second file that remembers how far the chain had come.
pub mod witness;

use std::cell::Cell;
use std::path::PathBuf;

use bytes::Bytes;
use jiff::Timestamp;
use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition};

use crate::config::gateway::WhenFull;
use crate::gateway::spool::format::{begin, entry, guarded, length, size, write_place};
use crate::gateway::spool::room::Need;
use crate::mqtt::receipt::Ranges;
use crate::mqtt::record::{Body, Epoch, Hash, Place, Record};

pub use crate::gateway::spool::aside::set_aside;
pub use crate::gateway::spool::error::SpoolError;

const RECORDS: TableDefinition<u64, &[u8]> = TableDefinition::new("records");
const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
const FORMAT: &[u8] = b"1";

/// Where a spool is, whose it is, how much it may hold.
#[derive(Debug, Clone)]
pub struct Settings {
    pub folder: PathBuf,
    pub gateway: String,
    /// Configuration that new records are made under.
    pub cfg: Hash,
    pub cache_bytes: usize,
    /// Room of scans at their full rate; see [`room`].
    pub capacity_bytes: u64,
    pub when_full: WhenFull,
    /// What the gateway's scans need.
    pub need: Need,
}

impl Settings {
    /// The spool's file.
    pub fn file(&self) -> PathBuf {
        self.folder.join("spool.redb")
    }
}

/// One record as it is kept and sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub seq: u64,
    /// The record's line, without line end.
    pub bytes: Bytes,
}

/// A record that was just made, and its hash.
struct Made {
    entry: Entry,
    hash: Hash,
}

/// An open spool.
#[derive(Debug)]
pub struct Spool {
    database: Database,
    settings: Settings,
    epoch: Epoch,
    next: u64,
    head: Hash,
    records: u64,
    bytes: u64,
    previous_cfg: Option<Hash>,
    made: bool,
    /// Sequence number and time of the oldest record, while they are known without reading it.
    oldest: Cell<Option<(u64, Timestamp)>>,
}

impl Spool {
    /// Opens the spool, or makes a new one whose chain goes on from `head`. Every page and record is checked.
    ///
    /// # Errors
    /// See [`SpoolError`]; a `Damaged` file is left where it is.
    pub fn open(settings: &Settings, head: Hash) -> Result<Spool, SpoolError> {
        std::fs::create_dir_all(&settings.folder)
            .map_err(|error| SpoolError::Disk(format!("{}: {error}", settings.folder.display())))?;
        let is_new = !settings.file().exists();
        guarded(|| {
            let mut builder = Database::builder();
            builder.set_cache_size(settings.cache_bytes).set_check_integrity_on_open(true);
            let database = builder.create(settings.file()).map_err(|error| {
                if matches!(error, redb::DatabaseError::DatabaseAlreadyOpen) {
                    return SpoolError::InUse(settings.file());
                }
                redb::Error::from(error).into()
            })?;
            if is_new {
                format::sync_names(&settings.folder)?;
            }
            Spool::start(database, settings, head)
        })
    }

    fn start(database: Database, settings: &Settings, head: Hash) -> Result<Spool, SpoolError> {
        let mut spool = Spool {
            database,
            settings: settings.clone(),
            epoch: Epoch::new(),
            next: 0,
            head,
            records: 0,
            bytes: 0,
            previous_cfg: None,
            made: true,
            oldest: Cell::new(None),
        };
        let write = begin(&spool.database)?;
        {
            let mut meta = write.open_table(META).map_err(redb::Error::from)?;
            let records = write.open_table(RECORDS).map_err(redb::Error::from)?;
            if meta.is_empty().map_err(redb::Error::from)? {
                let put = |meta: &mut redb::Table<'_, &str, &[u8]>, key: &str, value: &[u8]| {
                    meta.insert(key, value).map(drop).map_err(redb::Error::from)
                };
                put(&mut meta, "format", FORMAT)?;
                put(&mut meta, "gateway", settings.gateway.as_bytes())?;
                put(&mut meta, "epoch", spool.epoch.to_string().as_bytes())?;
                write_place(&mut meta, 0, head, settings.cfg)?;
            } else {
                spool.read_meta(&meta)?;
                spool.check_records(&records)?;
                spool.made = false;
            }
        }
        write.commit().map_err(redb::Error::from)?;
        Ok(spool)
    }

    fn read_meta(&mut self, meta: &redb::Table<'_, &str, &[u8]>) -> Result<(), SpoolError> {
        let text = |key: &str| -> Result<String, SpoolError> {
            let value = meta.get(key).map_err(redb::Error::from)?;
            let bytes = value.map(|value| value.value().to_vec());
            bytes
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .ok_or_else(|| SpoolError::Damaged(format!("no readable `{key}` in it")))
        };
        let unreadable = |key: &str| SpoolError::Damaged(format!("no readable `{key}` in it"));
        if text("format")?.as_bytes() != FORMAT {
            return Err(SpoolError::Damaged(format!("format {:?} is not known here", text("format")?)));
        }
        let found = text("gateway")?;
        if found != self.settings.gateway {
            let expected = self.settings.gateway.clone();
            return Err(SpoolError::OtherGateway { file: self.settings.file(), found, expected });
        }
        self.epoch = Epoch::from_hex(&text("epoch")?).ok_or_else(|| unreadable("epoch"))?;
        self.next = text("next")?.parse().map_err(|_not_a_number| unreadable("next"))?;
        self.head = Hash::from_hex(&text("head")?).ok_or_else(|| unreadable("head"))?;
        self.previous_cfg = Some(Hash::from_hex(&text("cfg")?).ok_or_else(|| unreadable("cfg"))?);
        Ok(())
    }

    fn check_records(&mut self, records: &redb::Table<'_, u64, &[u8]>) -> Result<(), SpoolError> {
        for item in records.iter().map_err(redb::Error::from)? {
            let (seq, value) = item.map_err(redb::Error::from)?;
            let entry = entry(seq.value(), value.value())?;
            if entry.seq >= self.next {
                return Err(SpoolError::Damaged(format!("record {} is beyond the end", entry.seq)));
            }
            self.records += 1;
            self.bytes += size(&entry);
        }
        Ok(())
    }

    /// Appends records for `bodies`, in this order, and deletes what `delete` names, in one commit that is on disk when
    /// this returns. Gives the records made.
    ///
    /// # Errors
    /// [`SpoolError`]; then nothing has changed, except that after `Disk` it may have: open again and compare
    /// [`Spool::head`] with [`Spool::head_after`].
    pub fn commit(&mut self, bodies: &[Body], delete: &Ranges) -> Result<Vec<Entry>, SpoolError> {
        let made = self.encode(bodies);
        let head = made.last().map_or(self.head, |made| made.hash);
        let added: u64 = made.iter().map(|made| size(&made.entry)).sum();
        let (mut gone, mut freed) = (0_u64, 0_u64);
        guarded(|| {
            let write = begin(&self.database)?;
            {
                let mut records = write.open_table(RECORDS).map_err(redb::Error::from)?;
                for (first, last) in delete.iter() {
                    let forget = |_seq: u64, value: &[u8]| {
                        gone += 1;
                        freed += length(value.len());
                        false
                    };
                    records.retain_in(first..=last, forget).map_err(redb::Error::from)?;
                }
                let kept = self.bytes.saturating_sub(freed);
                let capacity = room::with_events(self.settings.capacity_bytes);
                if added > 0 && kept + added > capacity {
                    return Err(SpoolError::Full { held: kept, capacity });
                }
                for Made { entry, hash } in &made {
                    let bytes = format::CHECK_BYTES + entry.bytes.len();
                    let mut value = records.insert_reserve(entry.seq, bytes).map_err(redb::Error::from)?;
                    format::fill(value.as_mut(), *hash, &entry.bytes);
                }
                let mut meta = write.open_table(META).map_err(redb::Error::from)?;
                write_place(&mut meta, self.next + length(made.len()), head, self.settings.cfg)?;
            }
            write.commit().map_err(redb::Error::from)?;
            Ok(())
        })?;
        self.next += length(made.len());
        self.head = head;
        self.records = (self.records + length(made.len())).saturating_sub(gone);
        self.bytes = (self.bytes + added).saturating_sub(freed);
        let known = self.oldest.get().filter(|(seq, _)| !delete.contains(*seq));
        // What was just made may be all that there is.
        let first = made.first().zip(bodies.first()).filter(|_| self.records == length(made.len()));
        self.oldest.set(first.map(|(made, body)| (made.entry.seq, body.at())).or(known));
        Ok(made.into_iter().map(|made| made.entry).collect())
    }

    /// Records are made under this configuration from now on.
    pub fn reconfigure(&mut self, cfg: Hash) {
        self.settings.cfg = cfg;
    }

    /// Bytes that a record of this body would take.
    pub fn size_of(&self, body: &Body) -> u64 {
        length(self.place(self.next, self.head).encode(body).len() + format::CHECK_BYTES)
    }

    /// The head that a commit of these bodies would give.
    pub fn head_after(&self, bodies: &[Body]) -> Hash {
        self.encode(bodies).last().map_or(self.head, |made| made.hash)
    }

    fn place(&self, seq: u64, prev: Hash) -> Place<'_> {
        Place { gateway: &self.settings.gateway, epoch: self.epoch, seq, prev, cfg: self.settings.cfg }
    }

    fn encode(&self, bodies: &[Body]) -> Vec<Made> {
        let (mut seq, mut head) = (self.next, self.head);
        let mut made = Vec::with_capacity(bodies.len());
        for body in bodies {
            let bytes = self.place(seq, head).encode(body);
            head = Hash::of(&bytes);
            made.push(Made { entry: Entry { seq, bytes: bytes.into() }, hash: head });
            seq += 1;
        }
        made
    }

    /// Gives room within the file that no record needs back to the disk. Takes seconds when much is held.
    ///
    /// # Errors
    /// As [`Spool::commit`]; nothing is lost.
    pub fn compact(&mut self) -> Result<(), SpoolError> {
        guarded(|| match self.database.compact() {
            Ok(_) => Ok(()),
            Err(redb::CompactionError::Storage(error)) => Err(redb::Error::from(error).into()),
            Err(other) => Err(SpoolError::Disk(other.to_string())),
        })
    }

    /// The newest unbroken run of records within `first..=last`, oldest first: at most `most` records and, unless a single
    /// one is larger, `most_bytes`.
    ///
    /// # Errors
    /// `Damaged` or `Disk`.
    pub fn newest(
        &self,
        within: (u64, u64),
        most: usize,
        most_bytes: usize,
    ) -> Result<Vec<Entry>, SpoolError> {
        guarded(|| {
            let read = self.database.begin_read().map_err(redb::Error::from)?;
            let records = read.open_table(RECORDS).map_err(redb::Error::from)?;
            let mut run: Vec<Entry> = Vec::new();
            let mut size = 0;
            for item in records.range(within.0..=within.1).map_err(redb::Error::from)?.rev() {
                let (seq, value) = item.map_err(redb::Error::from)?;
                let entry = entry(seq.value(), value.value())?;
                size += entry.bytes.len() + 1;
                let broken = run.last().is_some_and(|next| next.seq != entry.seq + 1);
                if broken || run.len() >= most || (size > most_bytes && !run.is_empty()) {
                    break;
                }
                run.push(entry);
            }
            run.reverse();
            Ok(run)
        })
    }

    /// The sequence numbers of all records.
    ///
    /// # Errors
    /// `Damaged` or `Disk`.
    pub fn ranges(&self) -> Result<Ranges, SpoolError> {
        guarded(|| {
            let read = self.database.begin_read().map_err(redb::Error::from)?;
            let records = read.open_table(RECORDS).map_err(redb::Error::from)?;
            let mut pairs: Vec<(u64, u64)> = Vec::new();
            for item in records.iter().map_err(redb::Error::from)? {
                let seq = item.map_err(redb::Error::from)?.0.value();
                match pairs.last_mut() {
                    Some((_, last)) if *last + 1 == seq => *last = seq,
                    Some(_) | None => pairs.push((seq, seq)),
                }
            }
            Ok(Ranges::from_pairs(pairs))
        })
    }

    /// The time that the oldest record is about.
    ///
    /// # Errors
    /// `Damaged` or `Disk`.
    pub fn oldest(&self) -> Result<Option<Timestamp>, SpoolError> {
        if let Some((_, at)) = self.oldest.get() {
            return Ok(Some(at));
        }
        guarded(|| {
            let read = self.database.begin_read().map_err(redb::Error::from)?;
            let records = read.open_table(RECORDS).map_err(redb::Error::from)?;
            let Some((seq, value)) = records.first().map_err(redb::Error::from)? else { return Ok(None) };
            let entry = entry(seq.value(), value.value())?;
            let record =
                Record::decode(&entry.bytes).map_err(|defect| SpoolError::Damaged(defect.to_string()))?;
            self.oldest.set(Some((record.seq, record.at())));
            Ok(Some(record.at()))
        })
    }

    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Sequence number of the next record.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Hash of the newest record ever made in this epoch.
    pub fn head(&self) -> Hash {
        self.head
    }

    /// Records held.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Bytes of the records held.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The configuration of the run before, when there was one.
    pub fn previous_cfg(&self) -> Option<Hash> {
        self.previous_cfg
    }

    /// Whether opening it made it.
    pub fn is_new(&self) -> bool {
        self.made
    }
}

#[cfg(test)]
mod tests;
