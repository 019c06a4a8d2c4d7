//! How records and the place in the chain stand in the file, and how its failures are caught.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use bytes::Bytes;
use redb::{Database, Durability};

use crate::gateway::spool::{Entry, SpoolError};
use crate::mqtt::record::Hash;

pub const CHECK_BYTES: usize = 8;

/// Writes what stands in the file for a record with this hash: [`CHECK_BYTES`] of it, then the record's bytes.
pub fn fill(value: &mut [u8], hash: Hash, bytes: &[u8]) {
    if let (Some((check, rest)), Some(digits)) =
        (value.split_first_chunk_mut::<CHECK_BYTES>(), hash.0.first_chunk::<CHECK_BYTES>())
    {
        *check = *digits;
        rest.copy_from_slice(bytes);
    }
}

pub fn begin(database: &Database) -> Result<redb::WriteTransaction, SpoolError> {
    let mut write = database.begin_write().map_err(redb::Error::from)?;
    write.set_durability(Durability::Immediate).map_err(redb::Error::from)?;
    Ok(write)
}

pub fn write_place(
    meta: &mut redb::Table<'_, &str, &[u8]>,
    next: u64,
    head: Hash,
    cfg: Hash,
) -> Result<(), redb::Error> {
    meta.insert("next", next.to_string().as_bytes())?;
    meta.insert("head", head.to_string().as_bytes())?;
    meta.insert("cfg", cfg.to_string().as_bytes())?;
    Ok(())
}

pub fn entry(seq: u64, value: &[u8]) -> Result<Entry, SpoolError> {
    let damaged = || SpoolError::Damaged(format!("record {seq} does not match its check bytes"));
    let (check, bytes) = value.split_at_checked(CHECK_BYTES).ok_or_else(damaged)?;
    let matches = Hash::of(bytes).0.starts_with(check);
    matches.then(|| Entry { seq, bytes: Bytes::copy_from_slice(bytes) }).ok_or_else(damaged)
}

pub fn size(entry: &Entry) -> u64 {
    length(entry.bytes.len() + CHECK_BYTES)
}

pub fn length(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// Makes the name of a new file and of its folder as durable as its content.
pub fn sync_names(folder: &Path) -> Result<(), SpoolError> {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_no_current_folder| folder.to_owned());
    for folder in [Some(absolute.as_path()), absolute.parent()].into_iter().flatten() {
        let synced = File::open(folder).and_then(|folder| folder.sync_all());
        synced.map_err(|error| SpoolError::Disk(format!("{}: {error}", folder.display())))?;
    }
    Ok(())
}

/// A damaged file may make redb panic; that is damage, not the end of the gateway.
pub fn guarded<T>(work: impl FnOnce() -> Result<T, SpoolError>) -> Result<T, SpoolError> {
    let done = catch_unwind(AssertUnwindSafe(work));
    done.unwrap_or_else(|_panic| Err(SpoolError::Damaged("its contents contradict each other".to_owned())))
}
