//! Another configuration while the spool is open.

use crate::gateway::event;
use crate::gateway::spool::keeper::NotKept;
use crate::gateway::spool::keeper::work::Work;
use crate::gateway::spool::room::Need;
use crate::mqtt::receipt::Ranges;
use crate::mqtt::record::Hash;

impl Work {
    /// What was made under the old configuration is on disk before the new one holds.
    pub(super) fn reconfigure(&mut self, cfg: Hash, need: Need) -> Result<(), NotKept> {
        self.resync = true;
        let Some(spool) = self.spool.as_mut().filter(|_| self.held.is_empty() && self.trouble.is_none())
        else {
            return Err(NotKept::Later);
        };
        spool.reconfigure(cfg);
        let previous = std::mem::replace(&mut self.settings.cfg, cfg);
        self.settings.need = need;
        self.settings.need.start_from(spool.records(), spool.bytes());
        self.held.push_back(event::configuration(previous, cfg));
        self.commit_held(&Ranges::default());
        Ok(())
    }
}
