//! What goes into a commit, and what follows from it: levels, thinning, the end of trouble, lost records.

use crate::clock;
use crate::gateway::event;
use crate::gateway::spool::format::size;
use crate::gateway::spool::keeper::work::{COMMIT_MAX, Work};
use crate::gateway::spool::room::Need;
use crate::gateway::spool::{Entry, SpoolError, room};
use crate::mqtt::receipt::Ranges;
use crate::mqtt::record::{Body, event as name};

impl Work {
    /// Deletes what is receipted and commits what is held: in one commit, unless there is trouble or little room. Then the
    /// deletion goes first, as it makes room. When not all fits, as much as does. On a full disk only deletions are done: what
    /// is left of the reserve is for them.
    pub(super) fn commit_held(&mut self, delete: &Ranges) {
        let mut delete = delete.clone();
        let mut most = COMMIT_MAX;
        loop {
            self.tell_of_lost();
            let no_space = self.reserve.is_given_up();
            let scarce = self.trouble.is_some() || self.level > 0;
            let most_now = if no_space || (scarce && !delete.is_empty()) { 0 } else { most };
            if most_now > 0 {
                self.thin();
            }
            let Some(spool) = self.spool.as_mut() else { return };
            let held = self.held.make_contiguous();
            let bodies = held.get(..most_now).unwrap_or(held);
            let count = bodies.len();
            if count == 0 && delete.is_empty() {
                return;
            }
            match spool.commit(bodies, &delete) {
                Ok(entries) => {
                    measure(&mut self.settings.need, bodies, &entries);
                    self.held.drain(..count);
                    self.compaction.wanted |= no_space && !delete.is_empty();
                    delete = Ranges::default();
                    self.look_at_level();
                    if count > 0 {
                        self.tell_publisher(entries);
                        self.recover();
                    }
                }
                Err(error @ SpoolError::Full { .. }) => {
                    self.fail(&error);
                    if count == 0 || (count == 1 && delete.is_empty()) {
                        return;
                    }
                    // One record is left out of the next try, or half of them; at last only the deletion is done.
                    most = count / 2;
                }
                Err(error) => {
                    self.doubtful = Some((spool.head_after(bodies), count));
                    self.fail(&error);
                    return;
                }
            }
        }
    }

    /// Leaves out the scans that a full spool does not take.
    fn thin(&mut self) {
        let Some(spool) = &self.spool else { return };
        // Far from full, nobody needs to know the size of each record.
        if !self.thinning.matters(spool.bytes(), self.held.len()) {
            return;
        }
        let was = self.thinning.alarm();
        self.thinning.admit(&mut self.held, spool.bytes(), clock::monotonic(), |body| spool.size_of(body));
        let is = self.thinning.alarm();
        match (&was, &is) {
            (None, Some(reason)) => tracing::error!(reason, "scans are left out"),
            (Some(_), None) => tracing::info!("the spool has room again, all scans are kept"),
            (None, None) | (Some(_), Some(_)) => {}
        }
    }

    /// A record tells when the spool reaches 80, 90, 95 or 100 percent, and when it is well below again.
    fn look_at_level(&mut self) {
        let Some(spool) = &self.spool else { return };
        let level = room::level(self.level, spool.bytes(), self.settings.capacity_bytes);
        if level != self.level {
            let before = std::mem::replace(&mut self.level, level);
            let state = self.state();
            tracing::warn!(
                level,
                before,
                records = state.records,
                hours_left = state.hours_left,
                "the spool's level"
            );
            self.held.push_back(event::spool_level(before, &state));
        }
    }

    /// When nothing is held any more, trouble has passed; a record tells of it.
    fn recover(&mut self) {
        if let Some(trouble) = self.trouble.take_if(|_| self.held.is_empty()) {
            tracing::info!(since = %trouble.since, "the spool works again");
            let detail = [
                ("since", trouble.since.to_string()),
                ("until", clock::now().to_string()),
                ("reason", trouble.reason),
            ];
            self.held.push_back(event::now(name::SPOOL_ALARM, detail));
        }
    }

    /// Tells of lost records as soon as there is a spool to tell it in.
    fn tell_of_lost(&mut self) {
        if self.trouble.is_none()
            && self.spool.is_some()
            && let Some(lost) = self.lost.take()
        {
            tracing::error!(records = lost.records, "records were lost while the spool did not take any");
            let detail = [
                ("records", lost.records.to_string()),
                ("from", lost.from.to_string()),
                ("until", lost.until.to_string()),
                ("reason", "the spool took no records for longer than memory could hold them".to_owned()),
            ];
            self.held.push_back(event::now(name::LOST_RANGE, detail));
        }
    }
}

fn measure(need: &mut Need, bodies: &[Body], entries: &[Entry]) {
    for (body, entry) in bodies.iter().zip(entries) {
        if let Body::Scan(_) = body {
            need.measure(size(entry));
        }
    }
}
