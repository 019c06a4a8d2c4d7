//! Mail. The way is protected by TLS unless the channel says otherwise, and a password never travels without it. Every attempt has the
//! same Message-ID, so that a mail that was taken twice is shown once.

use std::time::{Duration, SystemTime};

use lettre::message::Mailbox;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, Message as Letter};

use crate::central::notify::call::chain;
use crate::central::notify::channel::{Outgoing, Sending};
use crate::central::notify::form::{fit, line, plain};
use crate::central::notify::{Answer, later};
use crate::clock;
use crate::config::notify::{MailTls, Settings};

/// Of one address of the server.
const LONGEST_CONNECT: Duration = Duration::from_secs(4);

/// Sends one message.
pub(super) async fn send(sending: &mut Sending<'_>, out: &Outgoing<'_>) -> Result<Answer, Answer> {
    let recipients = recipients(&sending.settings, out.recipient)?;
    let from: Address = address(sending.settings.from.as_deref().unwrap_or_default())
        .map_err(|reason| later(format!("from: {reason}")))?;
    let letter = letter(out, &from, &recipients)?;
    let credentials = match (sending.settings.user.clone(), sending.secret().await?) {
        (Some(user), Some(password)) => Some(Credentials::new(user, password)),
        _ => None,
    };
    let mut connection = connect(sending, from.domain()).await?;
    let sent = converse(&mut connection, credentials, (from, &recipients), &letter).await;
    if sent.is_ok() {
        // Taken is taken, however it ends.
        let _goodbye = tokio::time::timeout(Duration::from_secs(1), connection.quit()).await;
    }
    sent
}

fn recipients(settings: &Settings, recipient: &str) -> Result<Vec<Address>, Answer> {
    if !recipient.is_empty() {
        let refused = |reason| Answer::Refused { reason, status: None };
        return Ok(vec![address(recipient).map_err(refused)?]);
    }
    let all: Result<Vec<Address>, String> = settings.to.iter().map(|text| address(text)).collect();
    let all = all.map_err(|reason| later(format!("to: {reason}")))?;
    if all.is_empty() {
        return Err(later(
            "the channel has no addresses for what goes to all; set `to` in the plant".to_owned(),
        ));
    }
    Ok(all)
}

fn address(text: &str) -> Result<Address, String> {
    text.parse().map_err(|_error| format!("{:?} is no mail address", fit(&line(text), 80, |_| 1)))
}

/// The mail as it is sent. The subject is one line and every header is encoded: no name adds another.
fn letter(out: &Outgoing<'_>, from: &Address, to: &[Address]) -> Result<Vec<u8>, Answer> {
    let unusable = |error: lettre::error::Error| later(format!("no mail can be made of it: {error}"));
    let id: String =
        out.id.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-').collect();
    let raw = |name: &'static str, value: &str| {
        HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
    };
    let mut letter = Letter::builder()
        .from(Mailbox::new(Some("CEMS".to_owned()), from.clone()))
        .subject(fit(&line(&out.message.title), 200, |_| 1))
        .date(SystemTime::from(clock::now()))
        .message_id(Some(format!("<{id}@{}>", from.domain())))
        .raw_header(raw("X-Cems-Alert", &id))
        // Whoever is away must not answer us.
        .raw_header(raw("Auto-Submitted", "auto-generated"))
        .header(ContentType::TEXT_PLAIN);
    for address in to {
        letter = letter.to(Mailbox::new(None, address.clone()));
    }
    Ok(letter.body(plain(out.message)).map_err(unusable)?.formatted())
}

/// To the first address of the server that answers.
async fn connect(sending: &Sending<'_>, domain: &str) -> Result<AsyncSmtpConnection, Answer> {
    let settings = &sending.settings;
    let host = settings.host.clone();
    let host = host.ok_or_else(|| later("the channel has no host; set it in the plant".to_owned()))?;
    let tls = settings.tls.unwrap_or_default();
    let port = settings.port.unwrap_or(tls.port());
    let addresses = sending.post.guard.addresses(&host, port).await.map_err(|refusal| later(refusal.0))?;
    let hello = ClientId::Domain(domain.to_owned());
    let mut failure = later(format!("{host} has no address"));
    for address in addresses {
        let at_once = (tls == MailTls::Tls).then(|| protection(sending, &host)).transpose()?;
        let connecting =
            AsyncSmtpConnection::connect_tokio1(address, Some(LONGEST_CONNECT), &hello, at_once, None);
        match tokio::time::timeout(LONGEST_CONNECT, connecting).await {
            Ok(Ok(mut connection)) => {
                if tls == MailTls::Starttls {
                    let protection = protection(sending, &host)?;
                    let secured = connection.starttls(protection, &hello).await;
                    secured.map_err(|error| failed("TLS with the mail server", &error))?;
                }
                return Ok(connection);
            }
            Ok(Err(error)) => failure = failed("the mail server cannot be reached", &error),
            Err(_late) => {
                failure =
                    later(format!("the mail server did not answer within {} s", LONGEST_CONNECT.as_secs()))
            }
        }
    }
    Err(failure)
}

/// The system's authorities and those of the settings vouch for the host.
fn protection(sending: &Sending<'_>, host: &str) -> Result<TlsParameters, Answer> {
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let unusable = |error: Error| later(format!("TLS cannot be set up: {}", chain(&error)));
    let mut builder = TlsParameters::builder(host.to_owned());
    for pem in sending.post.authorities.iter() {
        builder = builder.add_root_certificate(Certificate::from_pem(pem).map_err(unusable)?);
    }
    builder.build().map_err(unusable)
}

async fn converse(
    connection: &mut AsyncSmtpConnection,
    credentials: Option<Credentials>,
    (from, to): (Address, &[Address]),
    letter: &[u8],
) -> Result<Answer, Answer> {
    if let Some(credentials) = credentials {
        let login = connection.auth(&[Mechanism::Plain, Mechanism::Login], &credentials).await;
        login.map_err(|error| failed("the mail server refuses the login", &error))?;
    }
    let begun = connection.command(Mail::new(Some(from), Vec::new())).await;
    begun.map_err(|error| failed("the mail server refuses the sender", &error))?;
    let mut taken = 0_usize;
    let mut refused = None;
    for recipient in to {
        match connection.command(Rcpt::new(recipient.clone(), Vec::new())).await {
            Ok(_welcome) => taken += 1,
            Err(error) if error.status().is_none() => {
                return Err(failed("the mail server broke off", &error));
            }
            Err(error) => {
                let answer = failed("the mail server refuses the recipient", &error);
                // Of one who may be written to later and one who never can, the first counts.
                if refused.is_none() || error.is_transient() {
                    refused = Some(if error.is_permanent() { for_ever(answer) } else { answer });
                }
            }
        }
    }
    if let Some(answer) = refused {
        if taken == 0 {
            return Err(answer);
        }
        tracing::warn!(refused = to.len() - taken, "a mail server refuses some of a channel's recipients");
    }
    let content = connection.command(Data).await;
    content.map_err(|error| failed("the mail server refuses the mail", &error))?;
    let done = connection.message(letter).await.map_err(|error| {
        let answer = failed("the mail server refuses the mail", &error);
        if error.is_permanent() { for_ever(answer) } else { answer }
    })?;
    Ok(Answer::Taken { status: done.code().to_string().parse().ok() })
}

fn failed(what: &str, error: &Error) -> Answer {
    let status = error.status().and_then(|code| code.to_string().parse().ok());
    Answer::Later { reason: format!("{what}: {}", chain(error)), after: None, status }
}

fn for_ever(answer: Answer) -> Answer {
    match answer {
        Answer::Later { reason, status, .. } => Answer::Refused { reason, status },
        other @ (Answer::Taken { .. } | Answer::Refused { .. }) => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::alerting::Language;
    use crate::domain::message::Message;

    #[test]
    fn no_title_and_no_recipient_adds_a_header() {
        let message = Message {
            language: Language::Zh,
            title: "超标\r\nBcc: all@evil.cn\n\nbody\0".to_owned(),
            lines: vec![".\r\nQUIT".to_owned()],
            link: None,
        };
        let out =
            Outgoing { id: "1-2\r\nX: y", recipient: "", message: &message, body: &serde_json::Value::Null };
        let to = [address("duty@a.cn").unwrap()];
        let letter = String::from_utf8(letter(&out, &address("cems@a.cn").unwrap(), &to).unwrap()).unwrap();
        let (head, _body) = letter.split_once("\r\n\r\n").unwrap();
        let names: Vec<&str> = head
            .split("\r\n")
            .filter(|line| !line.starts_with(' '))
            .map(|line| line.split_once(':').unwrap().0)
            .collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        let expected = [
            "Auto-Submitted",
            "Content-Transfer-Encoding",
            "Content-Type",
            "Date",
            "From",
            "MIME-Version",
            "Message-ID",
            "Subject",
            "To",
            "X-Cems-Alert",
        ];
        assert_eq!(sorted, expected, "{head}");
        assert!(head.is_ascii());
        for bad in ["duty@a.cn\r\nRCPT TO:<x@y.cn>", "a b@c.cn", "nobody", "<a@b.cn>", ""] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }
}
