//! Why a broker cannot be had: one sentence each, with what to do. The same cause always gives the same words, so that whoever
//! logs can say them once.

use std::io;
use std::time::Duration;

use rumqttc::ConnectionError;
use rustls::{AlertDescription, CertificateError, InvalidMessage};

use crate::config::broker::Tls;

/// Whom the sentence is about.
#[derive(Clone, Copy)]
pub struct Broker<'b> {
    pub host: &'b str,
    pub port: u16,
}

impl std::fmt::Display for Broker<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// A connection that was not made, or that broke.
pub fn of_connection(at: Broker<'_>, error: &ConnectionError) -> String {
    if let ConnectionError::Io(error) = error {
        no_broker(at, error)
    } else if let ConnectionError::ConnectionRefused(code) = error {
        format!(
            "the broker at {at} refused us ({code:?}); check mqtt.user, mqtt.password, mqtt.tls.certificate and the broker's access list"
        )
    } else {
        format!("the broker connection to {at} broke: {error}")
    }
}

/// Nobody answers.
pub fn no_broker(at: Broker<'_>, error: &io::Error) -> String {
    format!("no broker at {at}: {error}; start it or correct mqtt.url")
}

/// Nobody takes the connection, or shakes hands, in time.
pub fn slow(at: Broker<'_>, limit: Duration, tls: bool) -> String {
    let (what, seconds) = (if tls { "TLS with" } else { "connection to" }, limit.as_secs());
    format!("no {what} {at} within {seconds} s; look whether it hangs, or correct mqtt.url")
}

/// Connected, and nothing moves.
pub fn hung(at: Broker<'_>, longest: Duration) -> String {
    format!("the broker at {at} took nothing for {} s; look whether it hangs", longest.as_secs())
}

/// Somebody answers, and hangs up instead of shaking hands.
pub fn hung_up(at: Broker<'_>) -> String {
    format!(
        "{at} hangs up at the greeting of TLS; correct the port in mqtt.url, or write mqtt:// if it has no TLS"
    )
}

/// The error of TLS inside one of reading or writing, if it is one.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "what needs no remedy of its own is told by rustls in its words"
)]
pub fn of_tls(at: Broker<'_>, files: &Tls, error: &io::Error) -> Option<String> {
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    Some(match error {
        rustls::Error::InvalidCertificate(error) => of_certificate(at, files, error),
        rustls::Error::AlertReceived(alert) => of_alert(at, files, *alert),
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            format!(
                "{at} answers, but not in TLS; correct the port in mqtt.url, or write mqtt:// if it has no TLS"
            )
        }
        error => format!(
            "no TLS with the broker at {at}: {error}; look at the broker's log and its settings of TLS"
        ),
    })
}

/// What is wrong with the broker's certificate.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "what needs no remedy of its own is told by rustls in its words"
)]
fn of_certificate(at: Broker<'_>, files: &Tls, error: &CertificateError) -> String {
    let clock = "or set this machine's clock if that is wrong";
    match error {
        CertificateError::ExpiredContext { not_after, .. } => format!(
            "the certificate of the broker at {at} expired at {}; renew it at the broker, {clock}",
            time(not_after.as_secs())
        ),
        CertificateError::Expired => {
            format!("the certificate of the broker at {at} has expired; renew it at the broker, {clock}")
        }
        CertificateError::NotValidYetContext { not_before, .. } => format!(
            "the certificate of the broker at {at} is not valid before {}; exchange it at the broker, {clock}",
            time(not_before.as_secs())
        ),
        CertificateError::UnknownIssuer | CertificateError::BadSignature => format!(
            "the certificate of the broker at {at} was signed by nobody in {}; put the certificate of its authority there (mqtt.tls.ca), \
             and take care that this is our broker",
            files.ca.path.display()
        ),
        CertificateError::NotValidForNameContext { presented, .. } => {
            let names: Vec<&str> = presented.iter().map(|name| plain_name(name)).collect();
            format!(
                "the certificate of the broker at {at} is for {}, not for {}; write a name of the certificate in mqtt.url, or have one made \
                 for {}",
                if names.is_empty() { "no name".to_owned() } else { names.join(", ") },
                at.host,
                at.host
            )
        }
        error => {
            format!("the certificate of the broker at {at} is refused: {error}; exchange it at the broker")
        }
    }
}

/// What the broker says against us.
fn of_alert(at: Broker<'_>, files: &Tls, alert: AlertDescription) -> String {
    let Some(client) = &files.client else {
        return format!(
            "the broker at {at} refused us ({alert:?}); it may want a client certificate: set mqtt.tls.certificate and mqtt.tls.key"
        );
    };
    let ours = client.certificate.path.display();
    if alert == AlertDescription::CertificateExpired {
        format!("the broker at {at} says that our certificate {ours} has expired; have it renewed")
    } else if alert == AlertDescription::UnknownCA {
        format!(
            "the broker at {at} does not know who signed our certificate {ours}; have it signed by the broker's authority (its cafile), with \
             the chain in the file"
        )
    } else if alert == AlertDescription::CertificateRevoked {
        format!("the broker at {at} says that our certificate {ours} is revoked; have a new one made")
    } else {
        format!("the broker at {at} refused our certificate {ours} ({alert:?}); the broker's log says why")
    }
}

fn time(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    time.map_or_else(|| "a time out of range".to_owned(), |time| time.to_string())
}

/// `broker.example` of `DnsName("broker.example")`, as rustls gives it.
fn plain_name(name: &str) -> &str {
    name.split('"').nth(1).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_as_people_write_them() {
        assert_eq!(plain_name("DnsName(\"broker.example\")"), "broker.example");
        assert_eq!(plain_name("IpAddress(127.0.0.1)"), "IpAddress(127.0.0.1)");
        assert_eq!(time(0), "1970-01-01T00:00:00Z");
    }
}
