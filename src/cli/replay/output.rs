//! Rows of a replay as one JSON array or as CSV, written as they come. docs/replay.md describes both.

use std::io::{self, Write};

use crate::domain::replay::Row;

/// Form of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// One array of objects
    Json,
    /// The same fields as columns; verdicts, substitute and capture as JSON
    Csv,
}

const HEADER: &str = "outlet,channel,period,start,origin,measured,standard,dry,corrected,min,max,n_valid,n_expected,status,flag,\
                      valid,mass_kg,method,revision,verdicts,substituted_kg,substitute,capture";

/// Writes rows. The first error is kept, and nothing is written after it.
pub(super) struct Rows<W> {
    to: W,
    format: Format,
    outcome: io::Result<()>,
    first: bool,
}

impl<W: Write> Rows<W> {
    pub(super) fn new(to: W, format: Format) -> Rows<W> {
        Rows { to, format, outcome: Ok(()), first: true }
    }

    /// One row more.
    pub(super) fn put(&mut self, row: &Row<'_>) {
        if self.outcome.is_ok() {
            self.outcome = match self.format {
                Format::Json => self.json(row),
                Format::Csv => self.csv(row),
            };
            self.first = false;
        }
    }

    fn json(&mut self, row: &Row<'_>) -> io::Result<()> {
        self.to.write_all(if self.first { b"[\n" } else { b",\n" })?;
        serde_json::to_writer(&mut self.to, row).map_err(io::Error::from)
    }

    fn csv(&mut self, row: &Row<'_>) -> io::Result<()> {
        if self.first {
            writeln!(self.to, "{HEADER}")?;
        }
        let to = &mut self.to;
        write!(to, "{},{},{},{},{}", row.outlet, row.channel, row.period, row.start, row.origin)?;
        for figure in [row.measured, row.standard, row.dry, row.corrected, row.min, row.max] {
            comma_and(to, figure)?;
        }
        write!(to, ",{},{},{},{},{}", row.n_valid, row.n_expected, row.status, row.flag, row.valid)?;
        comma_and(to, row.mass_kg)?;
        write!(to, ",{},{},{}", row.method, row.revision, quoted(&row.verdicts)?)?;
        comma_and(to, row.substituted_kg)?;
        let substitute = row.substitute.as_ref().map(quoted).transpose()?.unwrap_or_default();
        let capture = row.capture.as_ref().map(quoted).transpose()?.unwrap_or_default();
        writeln!(to, ",{substitute},{capture}")
    }

    /// The end of the array, and everything on its way.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.outcome?;
        match (self.format, self.first) {
            (Format::Json, true) => self.to.write_all(b"[]\n")?,
            (Format::Json, false) => self.to.write_all(b"\n]\n")?,
            (Format::Csv, true) => writeln!(self.to, "{HEADER}")?,
            (Format::Csv, false) => {}
        }
        self.to.flush()
    }
}

/// As JSON in one field.
fn quoted(value: &impl serde::Serialize) -> io::Result<String> {
    let json = serde_json::to_string(value).map_err(io::Error::from)?;
    Ok(format!("\"{}\"", json.replace('"', "\"\"")))
}

fn comma_and(to: &mut impl Write, figure: Option<f64>) -> io::Result<()> {
    match figure {
        Some(figure) => write!(to, ",{figure}"),
        None => to.write_all(b","),
    }
}
