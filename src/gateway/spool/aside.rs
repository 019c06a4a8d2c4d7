//! Where a damaged spool goes.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::gateway::spool::SpoolError;

/// Moves a damaged spool out of the way, whole; gives its new name.
///
/// # Errors
/// When it cannot be renamed.
pub fn set_aside(file: &Path, now: Timestamp) -> Result<PathBuf, SpoolError> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".damaged-{}", now.as_millisecond()));
    let aside = file.with_file_name(name);
    std::fs::rename(file, &aside)
        .map_err(|error| SpoolError::Disk(format!("{} cannot be set aside: {error}", file.display())))?;
    Ok(aside)
}
