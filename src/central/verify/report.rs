//! What a verification found. The JSON form is described in docs/verify.md.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

use crate::mqtt::record::time_text;

/// So many findings are kept with their places; the rest is counted.
pub const LISTED: usize = 1000;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The bytes rebuilt from a row do not have its hash, or no record can have stood for the row.
    Alteration,
    /// Two rows claim one number.
    Fork,
    /// A record names a predecessor other than the one that is stored.
    BrokenLink,
    /// Numbers are missing and nothing explains it.
    Gap,
    /// More was stored than is there now.
    Missing,
    /// A chain begins behind a record that is not stored.
    NoPredecessor,
    /// Rows that the chains of this gateway leave no room for.
    Insertion,
}

impl Kind {
    /// As in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Alteration => "alteration",
            Kind::Fork => "fork",
            Kind::BrokenLink => "broken-link",
            Kind::Gap => "gap",
            Kind::Missing => "missing",
            Kind::NoPredecessor => "no-predecessor",
            Kind::Insertion => "insertion",
        }
    }
}

/// Where something is; what does not apply is null.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Place {
    /// `scan`, `event`, `quarantine` or `chain_head`.
    pub table: Option<&'static str>,
    pub outlet: Option<String>,
    pub at: Option<Timestamp>,
    pub epoch: Option<String>,
    pub seq: Option<i64>,
    /// The row of quarantine.
    pub id: Option<i64>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            self.table.map(str::to_owned),
            self.id.map(|id| format!("id {id}")),
            self.outlet.as_ref().map(|outlet| format!("of {outlet}")),
            self.at.map(|at| format!("at {at}")),
            self.epoch.as_ref().map(|epoch| format!("epoch {epoch}")),
            self.seq.map(|seq| format!("seq {seq}")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        f.write_str(&parts.join(" "))
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub kind: Kind,
    #[serde(flatten)]
    pub place: Place,
    pub text: String,
}

/// Why numbers are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// Kept whole, not as a record, and their bytes are what the next record names as its predecessor.
    Quarantine,
    /// Kept whole under these numbers, but nothing proves that the bytes are those of these numbers.
    QuarantineUnproven,
    /// The gateway told that it lost this spool.
    Lost,
    /// The gateway may still have them in its spool.
    Awaited,
    /// Older than what is kept of scans.
    Retention,
    /// A finding.
    Unexplained,
}

impl Why {
    const fn text(self) -> &'static str {
        match self {
            Why::Quarantine => "in quarantine",
            Why::QuarantineUnproven => "in quarantine, as far as can be told",
            Why::Lost => "lost by the gateway, as it told",
            Why::Awaited => "awaited: the gateway may still have them",
            Why::Retention => "older than what is kept",
            Why::Unexplained => "NOT EXPLAINED",
        }
    }
}

/// Missing numbers of one epoch, and the times of the records around them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Hole {
    pub first: u64,
    pub last: u64,
    pub why: Why,
    pub after: Option<Timestamp>,
    pub before: Timestamp,
}

/// Where an epoch's chain begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Begins {
    /// From nothing.
    Zeros,
    /// Behind this record.
    Behind { epoch: String, seq: u64 },
    /// Behind a record that the gateway lost before it was stored, as it told.
    BehindLost,
    /// Its first record is not among those looked at.
    Unknown,
}

/// One epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EpochReport {
    pub epoch: String,
    pub scans: u64,
    pub events: u64,
    /// Rows of quarantine whose record belongs here.
    pub quarantined: u64,
    pub first_seq: Option<u64>,
    pub last_seq: Option<u64>,
    pub first_at: Option<Timestamp>,
    pub last_at: Option<Timestamp>,
    /// Hash of the last record: whoever keeps it elsewhere can prove later that nothing before it was changed.
    pub head: Option<String>,
    pub begins: Begins,
    pub gaps: Vec<Hole>,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    pub gateway: String,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    /// Nothing was found.
    pub clean: bool,
    /// Rows of scan and event whose bytes were rebuilt.
    pub records: u64,
    pub epochs: Vec<EpochReport>,
    /// The first [`LISTED`] of them.
    pub findings: Vec<Finding>,
    pub findings_total: u64,
    /// What a person may want to know, but is no fault.
    pub notes: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict =
            if self.clean { "clean".to_owned() } else { format!("{} findings", self.findings_total) };
        write!(f, "gateway {}: {} records rebuilt", self.gateway, self.records)?;
        if let (Some(from), Some(to)) = (self.from, self.to) {
            write!(f, " of {from} to {to}")?;
        }
        writeln!(f, ", {verdict}")?;
        for epoch in &self.epochs {
            write!(f, "{epoch}")?;
        }
        for finding in &self.findings {
            writeln!(f, "!!! {}: {}: {}", finding.kind.name(), finding.place, finding.text)?;
        }
        let unlisted = self.findings_total.saturating_sub(u64::try_from(self.findings.len()).unwrap_or(0));
        if unlisted > 0 {
            writeln!(f, "!!! and {unlisted} more findings that are not listed")?;
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        Ok(())
    }
}

impl fmt::Display for EpochReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "epoch {}: {} scans, {} events, {} in quarantine",
            self.epoch, self.scans, self.events, self.quarantined
        )?;
        if let (Some(first), Some(last)) = (self.first_seq, self.last_seq) {
            write!(f, ", seq {first} to {last}")?;
        }
        if let (Some(first), Some(last)) = (self.first_at, self.last_at) {
            write!(f, ", {} to {}", time_text(first), time_text(last))?;
        }
        match &self.begins {
            Begins::Zeros => write!(f, ", begins from zeros")?,
            Begins::Behind { epoch, seq } => write!(f, ", begins behind {epoch} seq {seq}")?,
            Begins::BehindLost => write!(f, ", begins behind a record that was lost")?,
            Begins::Unknown => {}
        }
        writeln!(f)?;
        if let Some(head) = &self.head {
            writeln!(f, "  head {head}")?;
        }
        for gap in &self.gaps {
            writeln!(f, "  missing seq {} to {}: {}", gap.first, gap.last, gap.why.text())?;
        }
        Ok(())
    }
}
