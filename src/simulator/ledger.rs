//! The ledger: what was served, durable before it is sent. It is the witness for "none lost, none twice".
//!
//! One JSON object a line, one line for each answer that carried at least one whole channel:
//! ```json
//! {"at":"2026-11-21T04:00:06.003127Z","outlet":"demo-cement-kiln","analyser":"gas","unit":1,"function":4,"address":0,
//!  "words":[16889,39322,900],"flags":"N","values":{"a19001":9.0,"a21026":31.200000762939453}}
//! ```
//! (broken here for reading). `at`: when the request came in, UTC, microseconds; the registers are those of this moment.
//! `address`, `words`: the block as asked for and as answered. `flags`: one letter of HJ 212-2017 table 8 for the analyser, by
//! its status bits: D fault, M maintenance, C calibration, T over range (the first that is set), else N; always N for an
//! analyser without a status register. `values`: by channel code, sorted, what the words stand for in the channel's unit
//! (`raw * scale + offset` in double precision); only channels whose registers lie wholly within the block; null for a
//! register that holds NaN or infinity.
//!
//! Promises: a line is on the disk (fdatasync) before its answer is sent; answers that wait at the same time share one sync.
//! Lines are appended; a line torn by a crash is cut off at the next opening (its answer was never sent). A line says that an
//! answer was about to leave: who breaks the connection off in that moment has a line and no answer. When a line cannot
//! be written the request is answered by exception 4 (device failure) and no value leaves.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

/// Answers that may wait for one sync.
const QUEUE: usize = 1024;
/// Longer than any line: 125 words and as many channels.
const TAIL_BYTES: u64 = 64 * 1024;

/// One answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry<'e> {
    pub at: Timestamp,
    pub outlet: &'e str,
    pub analyser: &'e str,
    pub unit: u8,
    /// 3 or 4.
    pub function: u8,
    pub address: u16,
    pub words: &'e [u16],
    /// Letter of HJ 212-2017 table 8.
    pub flag: char,
    /// By channel code.
    pub values: BTreeMap<&'e str, f64>,
}

#[derive(Serialize)]
struct Line<'e> {
    at: String,
    outlet: &'e str,
    analyser: &'e str,
    unit: u8,
    function: u8,
    address: u16,
    words: &'e [u16],
    flags: char,
    /// serde_json writes what is not finite as null.
    values: &'e BTreeMap<&'e str, f64>,
}

impl Entry<'_> {
    /// The line with its end.
    ///
    /// # Errors
    /// Only when encoding into memory fails.
    pub fn encode(&self) -> io::Result<Vec<u8>> {
        let mut line = serde_json::to_vec(&Line {
            at: format!("{:.6}", self.at),
            outlet: self.outlet,
            analyser: self.analyser,
            unit: self.unit,
            function: self.function,
            address: self.address,
            words: self.words,
            flags: self.flag,
            values: &self.values,
        })?;
        line.push(b'\n');
        Ok(line)
    }
}

/// The writing end; cloned freely. The writer ends when the last clone is gone.
#[derive(Debug, Clone)]
pub struct Ledger {
    queue: mpsc::Sender<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    line: Vec<u8>,
    durable: oneshot::Sender<Result<(), Arc<io::Error>>>,
}

/// Why a line is not durable.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LedgerError {
    #[error("the ledger cannot be written: {0}; free space on its disk or name another file")]
    Write(#[source] Arc<io::Error>),
    #[error("the ledger's writer has ended")]
    Ended,
}

impl Ledger {
    /// Opens the file, making it if need be, cuts off a torn last line, and starts the writer on a thread of its own. The
    /// handle ends after the last clone of the ledger.
    ///
    /// # Errors
    /// When the file cannot be opened, read or synced.
    pub fn open(path: &Path) -> io::Result<(Ledger, tokio::task::JoinHandle<()>)> {
        let writer = Writer::open(path)?;
        let (queue, waiting) = mpsc::channel(QUEUE);
        let handle = tokio::task::spawn_blocking(move || writer.run(waiting));
        Ok((Ledger { queue }, handle))
    }

    /// Returns when the entry is on the disk.
    ///
    /// # Errors
    /// When it is not.
    pub async fn write(&self, entry: &Entry<'_>) -> Result<(), LedgerError> {
        let line = entry.encode().map_err(|error| LedgerError::Write(Arc::new(error)))?;
        let (durable, answer) = oneshot::channel();
        self.queue.send(Waiting { line, durable }).await.map_err(|_closed| LedgerError::Ended)?;
        let written = answer.await.map_err(|_closed| LedgerError::Ended)?;
        written.map_err(LedgerError::Write)
    }
}

struct Writer {
    path: PathBuf,
    file: File,
    /// Bytes that are whole lines on the disk.
    durable: u64,
}

impl Writer {
    fn open(path: &Path) -> io::Result<Writer> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let durable = end_of_last_line(&mut file)?;
        file.set_len(durable)?;
        file.sync_all()?;
        // A new file exists after a crash only when its folder is synced too.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        Ok(Writer { path: path.to_owned(), file, durable })
    }

    fn run(mut self, mut waiting: mpsc::Receiver<Waiting>) {
        let mut batch = Vec::with_capacity(QUEUE);
        let mut failing = false;
        while let Some(first) = waiting.blocking_recv() {
            batch.push(first);
            while batch.len() < QUEUE
                && let Ok(next) = waiting.try_recv()
            {
                batch.push(next);
            }
            let lines: Vec<u8> = batch.iter().flat_map(|waiting| &waiting.line).copied().collect();
            let result = self.append(&lines).map_err(Arc::new);
            if let Err(error) = &result
                && !failing
            {
                tracing::error!(file = %self.path.display(), %error, "ledger cannot be written; analysers answer with a device failure");
            }
            failing = result.is_err();
            for waiting in batch.drain(..) {
                // Whoever no longer waits has gone away with its connection.
                let _gone = waiting.durable.send(result.clone());
            }
        }
    }

    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(lines).and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => {
                self.durable = self.durable.saturating_add(u64::try_from(lines.len()).unwrap_or(u64::MAX));
                Ok(())
            }
            Err(error) => {
                // None of these answers is sent, so none of these lines may stay.
                self.file.set_len(self.durable)?;
                Err(error)
            }
        }
    }
}

/// Where the last whole line ends.
fn end_of_last_line(file: &mut File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let from = length.saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut tail)?;
    match tail.iter().rposition(|byte| *byte == b'\n') {
        Some(end) => Ok(from + u64::try_from(end + 1).map_err(io::Error::other)?),
        None if from == 0 => Ok(0),
        None => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the last 64 KiB have no line end, so this is no ledger; name another file",
        )),
    }
}

#[cfg(test)]
mod tests;
