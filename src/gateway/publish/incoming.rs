//! What the centre says, and what it changes: receipts and announcements of a start. Pure: bytes and time go in.

use std::time::Instant;

use jiff::Timestamp;

use crate::gateway::publish::dispatch::Dispatch;
use crate::gateway::publish::offset::Offsets;
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
pub fn receipt(
    (dispatch, offsets): (&mut Dispatch, &mut Offsets),
    (wall, now): (Timestamp, Instant),
    (gateway, epoch): (&str, Option<Epoch>),
    payload: &[u8],
) -> Incoming {
    let receipt = match Receipt::decode(payload, gateway) {
        Ok(receipt) => receipt,
        Err(reason) => return Incoming::Refused(reason),
    };
    if epoch.is_none_or(|epoch| epoch.to_string() != receipt.epoch) {
        return Incoming::Nothing;
    }
    let held = Ranges::from_pairs(receipt.ranges.iter().chain(receipt.quarantined.iter()));
    // A centre of before says no time, and a time that cannot be read says nothing.
    if let Some(at) = receipt.at.as_deref().and_then(|at| at.parse().ok()) {
        offsets.receipt(&held, (wall, now), at);
    }
    let settled = dispatch.receipt(now, &held);
    if settled.is_empty() { Incoming::Nothing } else { Incoming::Settled(settled) }
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
