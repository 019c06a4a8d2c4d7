//! Files and folders named on the command line, read.

use std::path::{Path, PathBuf};

use crate::cli::database::Failure;
use crate::config::kind::Source;

/// No configuration or plant is larger; what is, is some other file.
const LARGEST: u64 = 256 * 1024 * 1024;

/// One file.
pub(super) fn read_file(path: &Path) -> Result<Source, Failure> {
    let failed = |error: &dyn std::fmt::Display| {
        Failure::input(format!("{}: cannot be read: {error}; name a readable text file", path.display()))
    };
    let size = std::fs::metadata(path).map_err(|error| failed(&error))?.len();
    if size > LARGEST {
        return Err(failed(&format!("it has {size} bytes, more than {LARGEST}")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
    Ok(Source { file: path.display().to_string(), text })
}

/// Every file; of a folder its `*.toml`, by name. Every one that cannot be read is told.
pub(super) fn read_all(paths: &[PathBuf]) -> Result<Vec<Source>, Failure> {
    let mut sources = Vec::new();
    let mut failures = Vec::new();
    for path in paths {
        match files_of(path) {
            Ok(files) => {
                for file in files {
                    match read_file(&file) {
                        Ok(source) => sources.push(source),
                        Err(failure) => failures.push(failure.text),
                    }
                }
            }
            Err(failure) => failures.push(failure.text),
        }
    }
    if failures.is_empty() { Ok(sources) } else { Err(Failure::input(failures.join("\n"))) }
}

fn files_of(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let failed = |error: std::io::Error| {
        Failure::input(format!("{}: cannot be listed: {error}; name a readable folder", path.display()))
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        if file.extension().is_some_and(|extension| extension == "toml") {
            files.push(file);
        }
    }
    if files.is_empty() {
        return Err(Failure::input(format!("{}: no *.toml in this folder", path.display())));
    }
    files.sort();
    Ok(files)
}
