//! The files of `[mqtt.tls]`, read and checked. Each problem is told at its key: what is to be there, what is, what to do.

use std::fs::File;
use std::io::Read as _;
use std::sync::Arc;

use jiff::Timestamp;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, InconsistentKeys, RootCertStore};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use crate::config::broker::{Client, PemFile, Tls};
use crate::config::problem::{Problem, Problems};

/// No file of certificates is larger; what is, is some other file.
const LARGEST: u64 = 4 * 1024 * 1024;

/// What the files hold: all that a handshake needs.
#[derive(Clone)]
pub struct Keys {
    pub(super) config: Arc<ClientConfig>,
    /// The end of our client certificate, if we have one.
    pub certificate_until: Option<Timestamp>,
}

/// From when to when a certificate is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Validity {
    from: Timestamp,
    until: Timestamp,
}

/// A certificate that ends within so many days is spoken of.
const SOON_DAYS: i64 = 30;

/// What to say of a client certificate that ends soon.
pub fn ends_soon(until: Timestamp, now: Timestamp) -> Option<String> {
    let days = until.duration_since(now).as_hours().div_euclid(24);
    (days < SOON_DAYS).then(|| {
        format!(
            "our client certificate (mqtt.tls.certificate) ends in {} days; have it renewed: the next connection takes the new one",
            days.max(0)
        )
    })
}

/// Checks the files of a role before it starts, if it has any. Not whether our certificate is in force: one that has ended is no reason
/// to measure nothing after a power cut. The connection says so, and takes the renewed one without a restart.
///
/// # Errors
/// See [`load`].
pub fn check(files: Option<&Tls>) -> Result<(), Problems> {
    files.map_or(Ok(()), |files| read_files(files, None).map(drop))
}

/// Reads the files. Blocks while it does.
///
/// # Errors
/// Every file that cannot be read or does not hold what it should, a key of another certificate, and a client certificate
/// that is not in force at `now`.
pub fn load(files: &Tls, now: Timestamp) -> Result<Keys, Problems> {
    read_files(files, Some(now))
}

/// As [`load`]; without a time, in force or not.
fn read_files(files: &Tls, now: Option<Timestamp>) -> Result<Keys, Problems> {
    let (roots, proof) =
        (roots(&files.ca), files.client.as_ref().map(|client| proof(client, now)).transpose());
    let (roots, proof) = match (roots, proof) {
        (Ok(roots), Ok(proof)) => (roots, proof),
        (roots, proof) => {
            let found = [roots.err(), proof.err()];
            return Err(Problems(found.into_iter().flatten().flatten().collect()));
        }
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let defect = |error: &rustls::Error| {
        let found = format!("TLS that cannot be set up: {error}");
        Problems(vec![files.ca.place.problem(found, "what rustls takes; this is a defect, please report it")])
    };
    let builder = builder.map_err(|error| defect(&error))?.with_root_certificates(roots);
    let (config, certificate_until) = match (proof, &files.client) {
        (Some(proof), Some(client)) => {
            let config = builder.with_client_auth_cert(proof.chain, proof.key);
            let config = config.map_err(|error| Problems(vec![unfit_key(client, &error)]))?;
            (config, Some(proof.until))
        }
        _ => (builder.with_no_client_auth(), None),
    };
    Ok(Keys { config: Arc::new(config), certificate_until })
}

fn roots(ca: &PemFile) -> Result<RootCertStore, Vec<Problem>> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca).map_err(|problem| vec![problem])? {
        roots.add(certificate).map_err(|error| {
            let allowed = "certificates of authorities in PEM form; have the file made again";
            vec![problem(ca, &format!("in which a certificate cannot be used ({error})"), allowed)]
        })?;
    }
    Ok(roots)
}

/// A client certificate with its chain and key.
struct Proof {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    until: Timestamp,
}

fn proof(client: &Client, now: Option<Timestamp>) -> Result<Proof, Vec<Problem>> {
    let chain = certificates(&client.certificate);
    let in_force =
        chain.as_deref().ok().and_then(|chain| chain.first()).map(|own| in_force(client, own, now));
    let until = in_force.transpose();
    match (chain, until, key(&client.key)) {
        (Ok(chain), Ok(Some(until)), Ok(key)) => Ok(Proof { chain, key, until }),
        (chain, until, key) => Err([chain.err(), until.err(), key.err()].into_iter().flatten().collect()),
    }
}

/// The end of our own certificate.
fn in_force(client: &Client, own: &CertificateDer<'_>, now: Option<Timestamp>) -> Result<Timestamp, Problem> {
    let file = &client.certificate;
    let Some(Validity { from, until }) = validity(own) else {
        return Err(problem(
            file,
            "whose first certificate cannot be read",
            "our certificate first, then those that lead to its authority; have the file made again",
        ));
    };
    let Some(now) = now else { return Ok(until) };
    // The day is enough, and the same words come at each attempt of that day.
    let clock = format!("or set this machine's clock, which says {}", now.strftime("%F"));
    if now >= until {
        let allowed = format!("a certificate in force; have it renewed, {clock}");
        return Err(problem(file, &format!("which expired at {until}"), &allowed));
    }
    if now < from {
        let allowed = format!("a certificate in force; wait until then, {clock}");
        return Err(problem(file, &format!("which is not valid before {from}"), &allowed));
    }
    Ok(until)
}

fn validity(certificate: &CertificateDer<'_>) -> Option<Validity> {
    let (_rest, certificate) = X509Certificate::from_der(certificate).ok()?;
    let validity = certificate.validity();
    let from = Timestamp::from_second(validity.not_before.timestamp()).ok()?;
    let until = Timestamp::from_second(validity.not_after.timestamp()).ok()?;
    Some(Validity { from, until })
}

fn certificates(file: &PemFile) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let allowed = "certificates in PEM form, as -----BEGIN CERTIFICATE-----";
    let text = read(file)?;
    let found: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_none) => Err(problem(file, "in which there is no certificate", allowed)),
        Err(error) => Err(problem(file, &format!("which is no PEM ({error})"), allowed)),
    }
}

fn key(file: &PemFile) -> Result<PrivateKeyDer<'static>, Problem> {
    let allowed = "a private key in PEM form, as -----BEGIN PRIVATE KEY-----";
    let text = read(file)?;
    match PrivateKeyDer::from_pem_slice(&text) {
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) if String::from_utf8_lossy(&text).contains("ENCRYPTED") => {
            let allowed = "a key without a passphrase, readable by us alone: openssl pkey -in OLD -out NEW";
            Err(problem(file, "whose key is encrypted", allowed))
        }
        Err(pem::Error::NoItemsFound) => Err(problem(file, "in which there is no private key", allowed)),
        Err(error) => Err(problem(file, &format!("which is no PEM ({error})"), allowed)),
    }
}

fn read(file: &PemFile) -> Result<Vec<u8>, Problem> {
    let mut text = Vec::new();
    let reading = File::open(&file.path).and_then(|open| open.take(LARGEST).read_to_end(&mut text));
    match reading {
        Ok(_length) => Ok(text),
        Err(error) => Err(problem(
            file,
            &format!("which cannot be read: {error}"),
            "a file in PEM form that we may read",
        )),
    }
}

fn unfit_key(client: &Client, error: &rustls::Error) -> Problem {
    if matches!(error, rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) {
        let found = format!("which is not the key of {}", client.certificate.path.display());
        problem(&client.key, &found, "the private key that this certificate was made for")
    } else {
        let allowed = "a key by RSA, ECDSA (P-256, P-384) or Ed25519";
        problem(&client.key, &format!("which cannot be used ({error})"), allowed)
    }
}

fn problem(file: &PemFile, found: &str, allowed: &str) -> Problem {
    file.place.problem(format!("{}, {found}", file.path.display()), allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_spoken_of_thirty_days_before_its_end() {
        let until: Timestamp = "2026-12-31T00:00:00Z".parse().unwrap();
        let said = |now: &str| ends_soon(until, now.parse().unwrap());
        assert_eq!(said("2026-12-01T00:00:00Z"), None);
        assert!(said("2026-12-01T00:00:01Z").unwrap().contains("ends in 29 days"));
        assert!(said("2026-12-30T12:00:00Z").unwrap().contains("ends in 0 days"));
        assert!(said("2027-02-01T00:00:00Z").unwrap().contains("ends in 0 days"));
    }
}
