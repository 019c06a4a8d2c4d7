//! What the spool says of itself: in the log, to readiness, and to all who watch its state.

use crate::gateway::spool::Spool;
use crate::gateway::spool::keeper::State;
use crate::gateway::spool::keeper::work::Work;

impl Work {
    /// Says once, at the start, for how long the spool has room.
    pub(super) fn show_room(&self) {
        let state = self.state();
        let hours = state.hours.map_or("unknown".to_owned(), |hours| hours.to_string());
        let left = state.hours_left.map_or("unknown".to_owned(), |hours| hours.to_string());
        tracing::info!(
            file = %self.settings.file().display(),
            records = state.records,
            scan_bytes = state.scan_bytes.round(),
            "the spool holds {hours} hours of scans without a centre; {left} hours of it are free"
        );
    }

    pub(super) fn state(&self) -> State {
        let trouble = self.trouble.as_ref().map(|trouble| trouble.reason.clone());
        let need = &self.settings.need;
        let capacity = self.settings.capacity_bytes;
        let bytes = self.spool.as_ref().map_or(0, Spool::bytes);
        // What is receipted and waits for the next commit to go is no longer held for anybody.
        let records = self.spool.as_ref().map_or(0, Spool::records).saturating_sub(self.receipted.count());
        let oldest =
            self.spool.as_ref().filter(|_| records > 0).and_then(|spool| spool.oldest().ok().flatten());
        State {
            records,
            bytes,
            oldest,
            alarm: trouble.or_else(|| self.thinning.alarm()),
            level: self.level,
            scan_bytes: need.scan_bytes(),
            hours: need.hours(capacity),
            hours_left: need.hours(capacity.saturating_sub(bytes)),
            left_out: self.thinning.left_out(),
        }
    }

    pub(super) fn tell(&mut self) {
        let state = self.state();
        match &state.alarm {
            Some(reason) => self.report.readiness.set("spool", false, reason),
            None => self.report.readiness.set("spool", true, "ok"),
        }
        self.report.state.send_if_modified(|known| {
            let changed = *known != state;
            *known = state;
            changed
        });
    }
}
