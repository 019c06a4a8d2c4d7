//! `spool.witness`, a small file beside the spool: one JSON line with the epoch, the next sequence number and the head of the
//! chain, written now and then. When the spool is lost or damaged, it still says from where on records are missing and
//! what the next chain has to name as its predecessor. It may lag behind; nothing else relies on it.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::gateway::spool::Spool;
use crate::mqtt::record::Hash;

/// How far a spool had come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witness {
    pub epoch: String,
    pub next: u64,
    pub head: String,
}

impl Witness {
    pub fn of(spool: &Spool) -> Witness {
        Witness { epoch: spool.epoch().to_string(), next: spool.next(), head: spool.head().to_string() }
    }

    /// The head, zeros when it cannot be read.
    pub fn head(&self) -> Hash {
        Hash::from_hex(&self.head).unwrap_or(Hash::ZERO)
    }

    /// What is remembered in this folder, if anything readable is.
    pub fn read(folder: &Path) -> Option<Witness> {
        serde_json::from_slice(&fs::read(file(folder)).ok()?).ok()
    }

    /// Whether this folder has one, readable or not.
    pub fn is_in(folder: &Path) -> bool {
        file(folder).exists()
    }

    /// Replaces what is remembered in this folder.
    ///
    /// # Errors
    /// When the file cannot be written; the old one then stays.
    pub fn write(&self, folder: &Path) -> std::io::Result<()> {
        let partial = folder.join("spool.witness.part");
        let mut out = File::create(&partial)?;
        out.write_all(&serde_json::to_vec(self)?)?;
        out.sync_all()?;
        fs::rename(partial, file(folder))
    }
}

fn file(folder: &Path) -> PathBuf {
    folder.join("spool.witness")
}
