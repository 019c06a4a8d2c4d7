//! What is wrong in a configuration, where it stands, and what is allowed instead.

use std::fmt;

/// One problem in one file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Problem {
    /// The file as it was named, or the environment variable that gave the value.
    pub file: String,
    /// 1-based; `None` for the environment.
    pub line: Option<usize>,
    /// Key path, as `analyser[1].timeout_ms`.
    pub key: String,
    /// The value found, or "nothing".
    pub found: String,
    /// What is allowed, and the remedy where it is not plain.
    pub allowed: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}: found {}; {}", self.key, self.found, self.allowed)
    }
}

/// Where something stands, for problems that show only when all files are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub file: String,
    /// 1-based.
    pub line: usize,
    /// Key path.
    pub key: String,
}

impl Place {
    /// A problem at this place.
    pub fn problem(&self, found: impl Into<String>, allowed: impl Into<String>) -> Problem {
        Problem {
            file: self.file.clone(),
            line: Some(self.line),
            key: self.key.clone(),
            found: found.into(),
            allowed: allowed.into(),
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// All problems of one or more files, in the order of their places.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.0 {
            writeln!(f, "{problem}")?;
        }
        let count = self.0.len();
        write!(
            f,
            "{count} problem{} found; nothing was started or changed",
            if count == 1 { "" } else { "s" }
        )
    }
}

impl std::error::Error for Problems {}
