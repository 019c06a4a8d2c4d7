//! What a gateway and the centre say of themselves: retained JSON, with a last will.

use serde::{Deserialize, Serialize};

/// `cems/v1/{gateway}/status`, retained; every 60 s, at each change, and as last will.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GatewayStatus {
    pub v: u32,
    pub gateway: String,
    pub online: bool,
    /// Software version.
    #[serde(default)]
    pub version: String,
    /// Hash of the configuration in force.
    #[serde(default)]
    pub cfg: String,
    /// Records in the spool.
    #[serde(default)]
    pub spool_records: u64,
    /// How long an empty spool takes scans at their full rate; absent when unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spool_hours: Option<f64>,
    /// How long from now on, when nothing is receipted; absent when unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spool_hours_left: Option<f64>,
    /// The highest of 80, 90, 95 and 100 percent that the spool has reached; 0 for none.
    #[serde(default)]
    pub spool_level: u8,
    /// What is wrong with the spool, while something is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spool_alarm: Option<String>,
    /// Time of the oldest record without a receipt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_unreceipted: Option<String>,
    /// The gateway's clock when it said this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// The end of the client certificate that the connection was made with; absent without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_until: Option<String>,
    /// The gateway's clock minus the centre's; absent while unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_offset_ms: Option<i64>,
    /// How wrong that may be, either way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_offset_error_ms: Option<i64>,
}

impl GatewayStatus {
    /// The last will: what the broker says for a gateway that vanished.
    pub fn offline(gateway: &str) -> GatewayStatus {
        GatewayStatus {
            v: 1,
            gateway: gateway.to_owned(),
            online: false,
            version: String::new(),
            cfg: String::new(),
            spool_records: 0,
            spool_hours: None,
            spool_hours_left: None,
            spool_level: 0,
            spool_alarm: None,
            oldest_unreceipted: None,
            at: None,
            certificate_until: None,
            clock_offset_ms: None,
            clock_offset_error_ms: None,
        }
    }
}

/// `cems/v1/central/status`: each start has an id of its own; a gateway that sees a new one sends what is not receipted
/// again at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CentralStatus {
    pub v: u32,
    pub online: bool,
    /// New for each start of a centre, and each time that it comes back to the broker: what was sent in between has not
    /// reached it.
    pub start: String,
    pub version: String,
}
