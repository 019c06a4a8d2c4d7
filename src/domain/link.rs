//! The link in a message: a number, an end and a signature, so that nobody can guess or prolong one. Which alert it is of stands in
//! the store under its number.
//!
//! `base64url(number, 16 bytes | end, 8 bytes, seconds since 1970, big-endian | HMAC-SHA256 of both, first 16 bytes)`

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use sha2::Sha256;

/// Signs links.
pub type Key = [u8; 32];

const NUMBER: usize = 16;
const SIGNED: usize = NUMBER + 8;
/// 128 bits: at a million guesses a second one in 10^25 years.
const SIGNATURE: usize = 16;

/// What a link says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Its number in the store.
    pub id: [u8; NUMBER],
    /// From then on it opens nothing, seconds.
    pub expires_at: i64,
}

/// Why a text is no link of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// It was never one, or is cut off.
    Malformed,
    /// It looks like one, with this number, but nobody here signed it.
    Tampered([u8; NUMBER]),
}

impl Link {
    /// The text that goes into an address.
    pub fn sign(&self, key: &Key) -> String {
        let signed = self.signed();
        let mut bytes = signed.to_vec();
        bytes.extend(signature(key, &signed).finalize().into_bytes().iter().take(SIGNATURE));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn signed(&self) -> [u8; SIGNED] {
        let mut signed = [0; SIGNED];
        let (id, end) = signed.split_at_mut(NUMBER);
        id.copy_from_slice(&self.id);
        end.copy_from_slice(&self.expires_at.to_be_bytes());
        signed
    }

    /// Reads a text; the signature is compared in constant time.
    ///
    /// # Errors
    /// [`Wrong`] when nobody with this key wrote it. An expired link is no error here.
    pub fn read(key: &Key, text: &str) -> Result<Link, Wrong> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_no_base64| Wrong::Malformed)?;
        let (id, rest) = bytes.split_first_chunk::<NUMBER>().ok_or(Wrong::Malformed)?;
        let (end, signature_given) = rest.split_first_chunk::<8>().ok_or(Wrong::Malformed)?;
        if signature_given.len() != SIGNATURE {
            return Err(Wrong::Malformed);
        }
        let link = Link { id: *id, expires_at: i64::from_be_bytes(*end) };
        let verified = signature(key, &link.signed()).verify_truncated_left(signature_given);
        verified.map(|()| link).map_err(|_other_key| Wrong::Tampered(*id))
    }

    /// Whether its time is over.
    pub fn is_over(&self, now: Timestamp) -> bool {
        now.as_second() >= self.expires_at
    }
}

fn signature(key: &Key, signed: &[u8]) -> Hmac<Sha256> {
    // HMAC pads a short key with zeros to a block, 64 bytes (RFC 2104).
    let mut block = [0; 64];
    block.split_at_mut(key.len()).0.copy_from_slice(key);
    let mut mac = Hmac::<Sha256>::new(&block.into());
    mac.update(signed);
    mac
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: Key = [7; 32];

    #[test]
    fn what_was_signed_is_read_and_ends_on_time() {
        let link = Link { id: [1; 16], expires_at: 1_795_233_600 };
        let text = link.sign(&KEY);
        assert_eq!(text.len(), 54);
        assert_eq!(Link::read(&KEY, &text), Ok(link));
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        assert!(!link.is_over(at(1_795_233_599)) && link.is_over(at(1_795_233_600)));
    }

    #[test]
    fn another_key_a_cut_or_a_longer_text_is_none() {
        let link = Link { id: [1; 16], expires_at: 1_795_233_600 };
        let text = link.sign(&KEY);
        assert_eq!(Link::read(&[8; 32], &text), Err(Wrong::Tampered([1; 16])));
        for wrong in ["", "x", "%%%", &text[..53], &format!("{text}A"), &format!("{text}="), &"A".repeat(400)]
        {
            assert_eq!(Link::read(&KEY, wrong), Err(Wrong::Malformed), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_changed_letter_is_taken(id: [u8; 16], expires_at: i64, place in 0_usize..54, other in 0_usize..64) {
            const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
            let link = Link { id, expires_at };
            let text = link.sign(&KEY);
            prop_assert_eq!(Link::read(&KEY, &text), Ok(link));
            let mut changed = text.clone().into_bytes();
            changed[place] = LETTERS[other];
            let changed = String::from_utf8(changed).unwrap();
            prop_assume!(changed != text);
            prop_assert!(Link::read(&KEY, &changed).is_err());
        }

        #[test]
        fn no_text_breaks_it(text: String) {
            prop_assert!(Link::read(&KEY, &text).is_err());
        }
    }
}
