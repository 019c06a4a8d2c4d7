//! Records put into messages.

use bytes::Bytes;

use crate::gateway::spool::Entry;

/// One record a line.
pub fn lines(entries: &[Entry]) -> Bytes {
    let mut payload = Vec::with_capacity(entries.iter().map(|entry| entry.bytes.len() + 1).sum());
    for (index, entry) in entries.iter().enumerate() {
        if index > 0 {
            payload.push(b'\n');
        }
        payload.extend_from_slice(&entry.bytes);
    }
    payload.into()
}

/// Messages of at most so many bytes; each of one unbroken run, as they all are of one commit.
pub fn cut(entries: &[Entry], most_bytes: usize) -> Vec<&[Entry]> {
    let mut messages = Vec::new();
    let mut rest = entries;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fitting = rest.iter().take_while(|entry| {
            bytes += entry.bytes.len() + 1;
            bytes <= most_bytes
        });
        let (message, later) = rest.split_at(fitting.count().max(1));
        messages.push(message);
        rest = later;
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(sizes: &[usize]) -> Vec<Entry> {
        let entry = |(seq, size): (u64, &usize)| Entry { seq, bytes: vec![b'x'; *size].into() };
        (0..).zip(sizes).map(entry).collect()
    }

    #[test]
    fn messages_are_cut_to_size_and_hold_everything_once() {
        let entries = entries(&[10, 10, 10, 50, 5]);
        let cuts: Vec<Vec<u64>> =
            cut(&entries, 22).iter().map(|message| message.iter().map(|entry| entry.seq).collect()).collect();
        assert_eq!(cuts, [vec![0, 1], vec![2], vec![3], vec![4]]);
        assert_eq!(lines(&entries[..2]).as_ref(), b"xxxxxxxxxx\nxxxxxxxxxx");
    }
}
