//! HTTP POST of the alert's JSON (`domain::alert::Alert`), signed where the channel has a secret. 2xx is delivered; anything else is
//! tried again.
//!
//! `X-Cems-Alert` is the same for every attempt: a receiver drops what it has seen. `X-Cems-Signature: t=SECONDS,v1=HEX` is the
//! HMAC-SHA256 of `SECONDS.BODY`; a receiver makes it again from the bytes it got, compares in constant time, and refuses what is older
//! than some minutes (docs/alerting-channels.md).

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use sha2::Sha256;

use crate::central::notify::call::{self, Call, Reads};
use crate::central::notify::channel::{Outgoing, Sending};
use crate::central::notify::{Answer, later};
use crate::clock;

/// The same for every attempt.
const ALERT: HeaderName = HeaderName::from_static("x-cems-alert");
const SIGNATURE: HeaderName = HeaderName::from_static("x-cems-signature");

/// A client that keeps the bounds but has no guard: for endpoints that nobody's settings choose.
///
/// # Errors
/// A text when TLS cannot be set up.
pub fn client() -> Result<reqwest::Client, String> {
    call::client(None, &[])
}

/// Posts one alert.
pub(super) async fn send(sending: &mut Sending<'_>, out: &Outgoing<'_>) -> Result<Answer, Answer> {
    let body = out.body.to_string();
    let mut headers = json_headers(out.id)?;
    if let Some(secret) = sending.secret().await? {
        let value = HeaderValue::try_from(signature(secret.as_bytes(), clock::now(), body.as_bytes()));
        headers.insert(SIGNATURE, value.map_err(|error| later(error.to_string()))?);
    }
    let url = sending.url().await?;
    let call = Call { method: reqwest::Method::POST, url, headers, body: Some(body), reads: Reads::Status };
    Ok(sending.call(call).await?.by_status())
}

/// What all JSON is posted with.
pub(super) fn json_headers(id: &str) -> Result<HeaderMap, Answer> {
    let id = HeaderValue::try_from(id).map_err(|error| later(format!("the alert's id: {error}")))?;
    Ok(HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json")), (ALERT, id)]))
}

/// JSON to a bot, and what it answers.
pub(super) async fn post_json(
    sending: &Sending<'_>,
    url: reqwest::Url,
    id: &str,
    body: &Value,
) -> Result<call::Reply, Answer> {
    let (headers, body) = (json_headers(id)?, Some(body.to_string()));
    sending.call(Call { method: reqwest::Method::POST, url, headers, body, reads: Reads::Body }).await
}

/// `t=SECONDS,v1=HEX`.
fn signature(secret: &[u8], at: Timestamp, body: &[u8]) -> String {
    let seconds = at.as_second();
    let signed = [format!("{seconds}.").as_bytes(), body].concat();
    format!("t={seconds},v1={}", hex::encode(hmac_sha256(secret, &signed)))
}

/// HMAC-SHA256 (RFC 2104); a key of any length.
pub(super) fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    // The function cannot fail: the method allows for codes whose keys have a length.
    Hmac::<Sha256>::new_from_slice(key)
        .map(|mac| mac.chain_update(message).finalize().into_bytes().to_vec())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_that_of_rfc_4231() {
        // Test cases 1 and 2.
        let code = hmac_sha256(&[0x0b; 20], b"Hi There");
        assert_eq!(hex::encode(code), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
        let code = hmac_sha256(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(hex::encode(code), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
}
