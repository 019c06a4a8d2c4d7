//! Rows in the order of outlet, time, channel and line, whatever order they came in. A million rows are held; what is more goes to
//! unnamed temporary files, each in order, that are merged. Files are gone with the process.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};

use crate::domain::flag::Flag;

/// Rows held before they go to a file: 32 MB.
const HELD: usize = 1_000_000;
/// Of each file while merging.
const BUFFER: usize = 256 * 1024;
/// Bytes of a row in a file: outlet, at, position, flag, value, line.
const ROW: usize = 4 + 8 + 2 + 1 + 8 + 4;

/// One reading.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Row {
    pub outlet: u32,
    /// Microseconds since 1970.
    pub at: i64,
    pub position: u16,
    pub flag: Flag,
    /// NaN for none.
    pub value: f64,
    pub line: u32,
}

type Key = (u32, i64, u16, u32);

impl Row {
    fn key(&self) -> Key {
        (self.outlet, self.at, self.position, self.line)
    }

    fn says_the_same(&self, other: &Row) -> bool {
        self.flag == other.flag && (self.value.to_bits() == other.value.to_bits())
    }

    fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let mut bytes = [0_u8; ROW];
        let mut rest = bytes.as_mut_slice();
        let letter = u8::try_from(self.flag.letter()).unwrap_or(b'-');
        rest.write_all(&self.outlet.to_le_bytes())?;
        rest.write_all(&self.at.to_le_bytes())?;
        rest.write_all(&self.position.to_le_bytes())?;
        rest.write_all(&[letter])?;
        rest.write_all(&self.value.to_le_bytes())?;
        rest.write_all(&self.line.to_le_bytes())?;
        to.write_all(&bytes)
    }

    /// `None` at the end of the file.
    fn read(from: &mut impl Read) -> io::Result<Option<Row>> {
        let mut bytes = [0_u8; ROW];
        match from.read_exact(&mut bytes) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        let mut rest = bytes.as_slice();
        let outlet = u32::from_le_bytes(take(&mut rest)?);
        let at = i64::from_le_bytes(take(&mut rest)?);
        let position = u16::from_le_bytes(take(&mut rest)?);
        let [letter] = take::<1>(&mut rest)?;
        let value = f64::from_le_bytes(take(&mut rest)?);
        let line = u32::from_le_bytes(take(&mut rest)?);
        let flag = Flag::from_letter(char::from(letter)).unwrap_or(Flag::Absent);
        Ok(Some(Row { outlet, at, position, flag, value, line }))
    }
}

fn take<const N: usize>(from: &mut &[u8]) -> io::Result<[u8; N]> {
    let mut bytes = [0_u8; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Takes rows in any order.
pub(super) struct Sorter {
    held: Vec<Row>,
    limit: usize,
    files: Vec<File>,
    last: Option<Key>,
    in_order: bool,
}

impl Default for Sorter {
    fn default() -> Sorter {
        Sorter::holding(HELD)
    }
}

impl Sorter {
    fn holding(limit: usize) -> Sorter {
        Sorter { held: Vec::new(), limit, files: Vec::new(), last: None, in_order: true }
    }

    /// One row more.
    pub(super) fn add(&mut self, row: Row) -> io::Result<()> {
        let (outlet, at, position, _) = row.key();
        // Strictly rising means that nothing is there twice.
        self.in_order &= self.last.is_none_or(|last| (last.0, last.1, last.2) < (outlet, at, position));
        self.last = Some(row.key());
        if self.held.len() >= self.limit {
            self.spill()?;
        }
        self.held.push(row);
        Ok(())
    }

    fn spill(&mut self) -> io::Result<()> {
        self.held.sort_unstable_by_key(Row::key);
        let mut file = BufWriter::with_capacity(BUFFER, tempfile::tempfile()?);
        for row in &self.held {
            row.write(&mut file)?;
        }
        self.held.clear();
        self.files.push(file.into_inner().map_err(io::IntoInnerError::into_error)?);
        Ok(())
    }

    /// All rows are in.
    pub(super) fn finish(mut self) -> io::Result<Ordered> {
        if !self.files.is_empty() {
            // What a merge reads is held a buffer a file, not a million rows.
            self.spill()?;
            self.held = Vec::new();
        }
        self.held.sort_unstable_by_key(Row::key);
        Ok(Ordered { held: self.held, files: self.files, may_repeat: !self.in_order })
    }
}

/// Rows in order, to be read more than once.
pub(super) struct Ordered {
    held: Vec<Row>,
    files: Vec<File>,
    may_repeat: bool,
}

impl Ordered {
    /// Whether one reading may be there more than once.
    pub(super) fn may_repeat(&self) -> bool {
        self.may_repeat
    }

    /// Gives pairs of rows that say different things of one channel at one time.
    pub(super) fn contradictions(&mut self, mut each: impl FnMut(&Row, &Row)) -> io::Result<()> {
        let mut before: Option<Row> = None;
        self.each(|row| {
            let same_place =
                |first: &Row| (first.outlet, first.at, first.position) == (row.outlet, row.at, row.position);
            match before.filter(same_place) {
                Some(first) if !first.says_the_same(row) => each(&first, row),
                Some(_) => {}
                None => before = Some(*row),
            }
        })
    }

    /// Gives every row, in order.
    pub(super) fn each(&mut self, mut each: impl FnMut(&Row)) -> io::Result<()> {
        for row in &self.held {
            each(row);
        }
        let mut readers = Vec::with_capacity(self.files.len());
        let mut heads = Vec::with_capacity(self.files.len());
        let mut next = BinaryHeap::with_capacity(self.files.len());
        for file in &mut self.files {
            file.rewind()?;
            let mut reader = BufReader::with_capacity(BUFFER, file);
            let head = Row::read(&mut reader)?;
            if let Some(head) = &head {
                next.push(Reverse((head.key(), readers.len())));
            }
            readers.push(reader);
            heads.push(head);
        }
        while let Some(Reverse((_, index))) = next.pop() {
            let (Some(reader), Some(head)) = (readers.get_mut(index), heads.get_mut(index)) else { break };
            // Files of input that was in order follow one another: stay with one as long as it is the first.
            while let Some(row) = head {
                let is_first = next.peek().is_none_or(|Reverse((key, _))| row.key() <= *key);
                if !is_first {
                    next.push(Reverse((row.key(), index)));
                    break;
                }
                each(row);
                *head = Row::read(reader)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn files_and_memory_give_the_same_order(
            rows in proptest::collection::vec((0_u32..3, -5_i64..40, 0_u16..4, any::<f64>()), 0..200), limit in 1_usize..50,
        ) {
            let rows: Vec<Row> = rows.into_iter().zip(1_u32..).map(|((outlet, at, position, value), line)| {
                Row { outlet, at, position, flag: Flag::Normal, value: if value.is_nan() { f64::NAN } else { value }, line }
            }).collect();
            let mut sorter = Sorter::holding(limit);
            for row in &rows {
                sorter.add(*row).unwrap();
            }
            let mut sorted = rows.clone();
            sorted.sort_by_key(Row::key);
            let mut ordered = sorter.finish().unwrap();
            for _again in 0..2 {
                let mut given = Vec::new();
                ordered.each(|row| given.push(*row)).unwrap();
                let same = given.len() == sorted.len()
                    && given.iter().zip(&sorted).all(|(a, b)| a.key() == b.key() && a.says_the_same(b));
                prop_assert!(same);
            }
            let places: std::collections::BTreeSet<_> = rows.iter().map(|row| (row.outlet, row.at, row.position)).collect();
            prop_assert!(places.len() == rows.len() || ordered.may_repeat());
        }
    }
}
