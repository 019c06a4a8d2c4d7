//! Why the spool did not do what it was asked: whose fault it is, and what helps.

use std::path::PathBuf;

/// Why the spool did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    #[error("{} is in use by another gateway process; stop that one, or give this one a data_dir of its own", .0.display())]
    InUse(PathBuf),
    #[error("{} belongs to gateway {found:?}, not {expected:?}; give each gateway a data_dir of its own", .file.display())]
    OtherGateway { file: PathBuf, found: String, expected: String },
    #[error("the spool's file is damaged: {0}")]
    Damaged(String),
    #[error(
        "the spool holds {held} bytes of records, capacity {capacity}; connect the centre, or raise spool.capacity_mb"
    )]
    Full { held: u64, capacity: u64 },
    #[error(
        "the disk under the spool failed: {0}; free space on it or replace it, the gateway goes on by itself"
    )]
    Disk(String),
    #[error(
        "the disk under the spool is full: {0}; free space on it, the gateway goes on by itself as soon as there is some"
    )]
    NoSpace(String),
}

impl From<redb::Error> for SpoolError {
    fn from(error: redb::Error) -> SpoolError {
        use std::io::ErrorKind;
        if let redb::Error::Io(io) = &error {
            if matches!(io.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
                return SpoolError::NoSpace(error.to_string());
            }
            let unreadable = matches!(io.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof);
            let kind = if unreadable { SpoolError::Damaged } else { SpoolError::Disk };
            return kind(error.to_string());
        }
        if matches!(error, redb::Error::PreviousIo | redb::Error::DatabaseClosed) {
            return SpoolError::Disk(error.to_string());
        }
        SpoolError::Damaged(error.to_string())
    }
}
