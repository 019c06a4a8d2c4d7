//! What the centre says, and what it changes: receipts and announcements of a start. Pure: bytes and time go in.

use std::time::Instant;

use jiff::Timestamp;

use crate::gateway::publish::dispatch::Dispatch;
use crate::mqtt::receipt::{Ranges, Receipt};
use crate::mqtt::record::Epoch;
use crate::mqtt::status::CentralStatus;

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// It changes nothing here: said before, or about another epoch.
    Nothing,
    /// The centre holds these for ever, and they were outstanding: they may be deleted now.
    Settled(Ranges),
    /// Not for us, or not to be understood; the text says why.
    Refused(String),
}

/// Takes a receipt for the gateway of this name, whose spool has this epoch. `ranges` and `quarantined` release alike.
pub fn receipt(dispatch: &mut Dispatch, now: Instant, me: (&str, Option<Epoch>), payload: &[u8]) -> Incoming {
    let receipt = match ours(me, payload) {
        Ok(Some(receipt)) => receipt,
        Ok(None) => return Incoming::Nothing,
        Err(reason) => return Incoming::Refused(reason),
    };
    let settled = dispatch.receipt(now, &held(&receipt));
    if settled.is_empty() { Incoming::Nothing } else { Incoming::Settled(settled) }
}

/// What a receipt covers, and when it left, by the centre's clock. `None` when it is not for us, or from a centre of before that says
/// no time.
pub fn departure(me: (&str, Option<Epoch>), payload: &[u8]) -> Option<(Ranges, Timestamp)> {
    let receipt = ours(me, payload).ok()??;
    let at = receipt.at.as_deref()?.parse().ok()?;
    Some((held(&receipt), at))
}

/// A receipt for this gateway; `None` when it is for another epoch.
fn ours((gateway, epoch): (&str, Option<Epoch>), payload: &[u8]) -> Result<Option<Receipt>, String> {
    let receipt = Receipt::decode(payload, gateway)?;
    Ok(epoch.is_some_and(|epoch| epoch.to_string() == receipt.epoch).then_some(receipt))
}

fn held(receipt: &Receipt) -> Ranges {
    Ranges::from_pairs(receipt.ranges.iter().chain(receipt.quarantined.iter()))
}

/// Takes what a centre says of itself.
pub fn announcement(dispatch: &mut Dispatch, now: Instant, payload: &[u8]) -> Incoming {
    match serde_json::from_slice::<CentralStatus>(payload) {
        Ok(status) => {
            if status.online {
                dispatch.centre_started(now, &status.start);
            }
            Incoming::Nothing
        }
        Err(error) => Incoming::Refused(format!("the centre's status cannot be read: {error}")),
    }
}
