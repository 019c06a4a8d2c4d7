//! Keeps what cannot be accepted: whole, once, and no more of one gateway than its cap. Only a batch that holds something
//! refused comes here; how much is kept already is one row a gateway, so nothing is ever counted.
//!
//! Above the cap nothing is kept and nothing is receipted: the record stays in its gateway's spool and comes again with the
//! gateway's own back-off, which doubles for each record by itself and holds up no other. A person is told.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use jiff::Timestamp;

use crate::central::intake::{Arrival, Taken, take};
use crate::central::pipeline::Writer;
use crate::central::receipts::Receipts;
use crate::central::refusal::{case_of, full, kind_of};
use crate::domain::alert::AlertKind;
use crate::domain::plant::Plant;
use crate::store::episode::{Sighting, observe};
use crate::store::quarantine::{self, Kept};
use crate::store::session::{Failure, bounded};

impl Writer {
    /// Keeps refused records whole and tells a person, in one transaction. What finds no room gets no receipt.
    ///
    /// # Errors
    /// As [`Writer::on_batch`].
    pub async fn keep(
        &mut self,
        refused: Vec<Kept>,
        now: Timestamp,
        receipts: &mut Receipts,
    ) -> Result<(), Failure> {
        let result = self.keep_all(refused, now, receipts).await;
        if result.is_err() {
            self.session.discard();
        }
        result
    }

    async fn keep_all(
        &mut self,
        mut refused: Vec<Kept>,
        now: Timestamp,
        receipts: &mut Receipts,
    ) -> Result<(), Failure> {
        // In one order for all writers, so that they do not wait for each other in a circle.
        refused.sort_by(|a, b| (&a.gateway, &a.payload).cmp(&(&b.gateway, &b.payload)));
        let (plant, frames) =
            (Arc::clone(&self.shared.plant.borrow()), Arc::clone(&self.shared.frames.borrow()));
        let of = (&*plant, &frames.alerting);
        let client = self.session.client().await?;
        bounded(client.batch_execute("BEGIN")).await?;
        let mut levels = quarantine::lock_levels(client, &refused).await?;
        let known = quarantine::known(client, &refused).await?;
        let mut cases: BTreeMap<(AlertKind, &String), Option<Sighting>> = BTreeMap::new();
        let (mut held, mut new, mut withheld): (Vec<&Kept>, Vec<&Kept>, u64) = (Vec::new(), Vec::new(), 0);
        for (kept, known) in refused.iter().zip(known) {
            let level = levels.entry(kept.gateway.clone()).or_default();
            let size = u64::try_from(kept.payload.len()).unwrap_or(u64::MAX);
            let is_full = !known && !self.shared.cap.has_room((level.records, level.bytes), size);
            if is_full {
                withheld += 1;
            } else {
                held.push(kept);
                if known || !quarantine::keep(client, kept).await? {
                    continue;
                }
                level.records += 1;
                level.bytes = level.bytes.saturating_add(size);
                new.push(kept);
            }
            let kind = if is_full { AlertKind::QuarantineFull } else { kind_of(kept) };
            // One a gateway and kind, however many records.
            if let Entry::Vacant(case) = cases.entry((kind, &kept.gateway)) {
                let cap = &self.shared.cap;
                case.insert(if is_full { full(kept, cap, of, now) } else { case_of(kept, of, now) });
            }
        }
        let moved = observe(client, cases.into_values().flatten().collect(), now).await?;
        bounded(client.batch_execute("COMMIT")).await?;
        if moved.alerts > 0 {
            self.shared.outbox.notify_waiters();
        }
        for kept in new {
            tracing::warn!(gateway = kept.gateway, reason = kept.reason, "record kept in quarantine");
            self.shared.meters.quarantined();
            if let Some(gateway) = plant.gateway(&kept.gateway) {
                self.shared.heads.kept(gateway.id, kept);
            }
        }
        for kept in held {
            receipts.kept(kept);
        }
        if withheld > 0 {
            tracing::warn!(records = withheld, "quarantine is full for their gateways: no receipt for these");
            self.shared.meters.withheld(withheld);
        }
        Ok(())
    }

    /// The last resort for a message that the database refuses although it looked acceptable: quarantine, whole.
    ///
    /// # Errors
    /// [`Failure`] when even that fails; nothing is receipted then.
    pub async fn refuse(
        &mut self,
        arrival: &Arrival,
        reason: &str,
        now: Timestamp,
    ) -> Result<Receipts, Failure> {
        let plant = Arc::new(Plant::default());
        let mut receipts = Receipts::default();
        let refused = take(arrival, &plant)
            .into_iter()
            .filter_map(|taken| match taken {
                Taken::Refused(kept) => {
                    Some(Kept { reason: format!("the store refuses it: {reason}"), ..*kept })
                }
                Taken::Scan(_) | Taken::Event(_) => None,
            })
            .collect();
        self.keep(refused, now, &mut receipts).await?;
        Ok(receipts)
    }
}
