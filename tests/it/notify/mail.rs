//! Mail, to a server of the test's own, read by a reader that shares no code with what wrote it: Python's.

use std::io::Write as _;
use std::net::IpAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use cems::central::notify::Answer;
use cems::central::notify::channel::{Channel, Post};
use cems::clock;
use cems::config::central::Alerting;
use serde_json::{Value, json};

use super::mail_server::{MailServer, Manner};
use super::stub::acceptor;
use super::{ID, channel, hostile, inside, message, reason, secrets, sent};
use crate::support::certificates::{Authority, FAR, LONG_AGO, ONCE};

const READER: &str = "import sys, json, email, email.policy\n\
    mail = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)\n\
    print(json.dumps({'headers': [[k, str(v)] for k, v in mail.items()], 'text': mail.get_content(), 'type': mail.get_content_type(), \
    'charset': mail.get_content_charset(), 'defects': [str(d) for d in mail.defects]}))";

/// A mail as Python understands it.
fn read(data: &str) -> Value {
    let mut python = Command::new("python3")
        .args(["-c", READER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    python.stdin.take().unwrap().write_all(data.as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

fn header<'m>(mail: &'m Value, name: &str) -> Vec<&'m str> {
    let headers = mail["headers"].as_array().unwrap().iter();
    headers.filter(|header| header[0] == name).map(|header| header[1].as_str().unwrap()).collect()
}

fn by(server: &MailServer, tls: &str, more: &Value) -> Channel {
    let mut settings = json!({"host": "localhost", "port": server.address.port(), "tls": tls, "from": "cems@example.cn",
        "to": ["desk@example.cn", "bureau@example.cn"]});
    settings.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    channel("smtp", "", settings)
}

fn post(alerting: &Alerting) -> Post {
    Post::with_lookup(alerting, Arc::new(|_host| Box::pin(async { Ok(vec![IpAddr::from([127, 0, 0, 1])]) })))
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_arrives_by_starttls_and_by_tls_with_a_login_and_can_be_read() {
    let folder = secrets(&[("mail", "pass word")]);
    let authority = Authority::new(folder.path(), "authority");
    let tls = acceptor(&authority.issue("localhost", (LONG_AGO, FAR)));
    let post = post(&Alerting { ca: Some(authority.certificate.clone()), ..inside(Some(folder.path())) });
    let login = Some(("cems", "pass word"));
    let starting =
        MailServer::listen(Manner { starttls: Some(tls.clone()), login, ..Manner::default() }).await;
    let at_once = MailServer::listen(Manner { tls: Some(tls), login, ..Manner::default() }).await;
    for (server, tls) in [(&starting, "starttls"), (&at_once, "tls")] {
        let with_login = by(server, tls, &json!({"user": "cems", "secret": "mail"}));
        assert_eq!(
            sent(&post, &with_login, "", &message()).await,
            Answer::Taken { status: Some(250) },
            "{tls}"
        );
        // The same again, as after an answer that was lost: the same mail.
        assert_eq!(
            sent(&post, &with_login, "", &message()).await,
            Answer::Taken { status: Some(250) },
            "{tls}"
        );
        let [first, second] = &server.taken()[..] else { panic!("{:?}", server.taken()) };
        assert!(first.by_tls && second.by_tls);
        assert_eq!(first.from, "MAIL FROM:<cems@example.cn>");
        assert_eq!(first.to, ["RCPT TO:<desk@example.cn>", "RCPT TO:<bureau@example.cn>"]);
        let mail = read(&first.data);
        assert_eq!(mail["defects"], json!([]));
        assert_eq!(header(&mail, "Subject"), [message().title]);
        assert_eq!(header(&mail, "To"), ["desk@example.cn, bureau@example.cn"]);
        assert_eq!(header(&mail, "From"), ["CEMS <cems@example.cn>"]);
        assert_eq!(header(&mail, "X-Cems-Alert"), [ID]);
        assert_eq!(header(&mail, "Message-ID"), [format!("<{ID}@example.cn>")]);
        assert_eq!(header(&read(&second.data), "Message-ID"), header(&mail, "Message-ID"));
        assert_eq!((&mail["type"], &mail["charset"]), (&json!("text/plain"), &json!("utf-8")));
        let text = mail["text"].as_str().unwrap().replace("\r\n", "\n");
        let expected =
            format!("{}\n{}\n{}", message().title, message().lines.join("\n"), message().link.unwrap());
        assert_eq!(text.trim_end(), expected);
        let date = jiff::fmt::rfc2822::parse(header(&mail, "Date")[0]).unwrap();
        assert!(clock::now().duration_since(date.timestamp()).as_secs() < 60);
    }
    // Before TLS nothing was said but that it is wanted.
    assert_eq!(starting.plain(), ["EHLO example.cn", "STARTTLS", "EHLO example.cn", "STARTTLS"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_trust_or_without_tls_nothing_is_sent() {
    let folder = secrets(&[]);
    let [authority, other] = ["authority", "other"].map(|name| Authority::new(folder.path(), name));
    let post = post(&Alerting { ca: Some(authority.certificate.clone()), ..inside(None) });
    for (issuer, until, word) in [(&authority, ONCE, "expired"), (&other, FAR, "UnknownIssuer")] {
        let tls = acceptor(&issuer.issue("localhost", (LONG_AGO, until)));
        let starting = MailServer::listen(Manner { starttls: Some(tls.clone()), ..Manner::default() }).await;
        let at_once = MailServer::listen(Manner { tls: Some(tls), ..Manner::default() }).await;
        for (server, how) in [(starting, "starttls"), (at_once, "tls")] {
            let told = reason(sent(&post, &by(&server, how, &Value::Null), "", &message()).await);
            assert!(told.contains(word), "{how}: {told}");
            assert!(server.taken().is_empty() && !server.plain().iter().any(|line| line.starts_with("MAIL")));
        }
    }
    let plain = MailServer::listen(Manner::default()).await;
    let told = reason(sent(&post, &by(&plain, "starttls", &Value::Null), "", &message()).await);
    assert!(told.contains("STARTTLS is not supported"), "{told}");
    assert!(plain.taken().is_empty());
    // Only where the channel says so.
    assert_eq!(
        sent(&post, &by(&plain, "none", &Value::Null), "", &message()).await,
        Answer::Taken { status: Some(250) }
    );
    assert!(!plain.taken()[0].by_tls);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_name_and_no_recipient_adds_a_header_or_a_command() {
    let server = MailServer::listen(Manner::default()).await;
    let post = post(&inside(None));
    let channel = by(&server, "none", &Value::Null);
    assert_eq!(
        sent(&post, &channel, "duty@example.cn", &hostile()).await,
        Answer::Taken { status: Some(250) }
    );
    let taken = server.taken();
    assert_eq!(taken[0].to, ["RCPT TO:<duty@example.cn>"]);
    let mail = read(&taken[0].data);
    assert_eq!(header(&mail, "Bcc"), Vec::<&str>::new());
    assert!(header(&mail, "Subject")[0].contains("**a** [b](http://evil)  Bcc: x@evil.cn"), "{mail}");
    for bad in ["duty@example.cn>\r\nRCPT TO:<x@evil.cn", "duty", "a@b.cn, c@d.cn"] {
        let answer = sent(&post, &channel, bad, &message()).await;
        assert!(matches!(answer, Answer::Refused { .. }), "{bad}: {answer:?}");
    }
    assert_eq!(server.taken().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_mail_server_says_decides_whether_it_is_tried_again() {
    let folder = secrets(&[("mail", "an old one")]);
    let post = post(&inside(Some(folder.path())));
    let refuses = vec![("nobody@", "550 5.1.1 no such user"), ("later@", "451 4.7.1 greylisted")];
    let server = MailServer::listen(Manner { refuses, ..Manner::default() }).await;
    let channel = by(&server, "none", &Value::Null);
    let answer = sent(&post, &channel, "nobody@example.cn", &message()).await;
    let Answer::Refused { reason: told, status: Some(550) } = answer else { panic!("{answer:?}") };
    assert!(told.contains("no such user"), "{told}");
    let answer = sent(&post, &channel, "later@example.cn", &message()).await;
    let Answer::Later { reason: told, status: Some(451), .. } = answer else { panic!("{answer:?}") };
    assert!(told.contains("greylisted"), "{told}");
    // One bad address among those that get everything keeps nobody else from it.
    let all = by(&server, "none", &json!({"to": ["nobody@example.cn", "desk@example.cn"]}));
    assert_eq!(sent(&post, &all, "", &message()).await, Answer::Taken { status: Some(250) });
    assert_eq!(server.taken()[0].to, ["RCPT TO:<desk@example.cn>"]);
    let full = MailServer::listen(Manner { after_data: "552 5.3.4 too big", ..Manner::default() }).await;
    let answer = sent(&post, &by(&full, "none", &Value::Null), "", &message()).await;
    assert!(matches!(answer, Answer::Refused { status: Some(552), .. }), "{answer:?}");
    // A login that is refused is our own fault: it waits for whoever mends it.
    let authority = Authority::new(folder.path(), "authority");
    let tls = Some(acceptor(&authority.issue("localhost", (LONG_AGO, FAR))));
    let closed =
        MailServer::listen(Manner { tls, login: Some(("cems", "right")), ..Manner::default() }).await;
    let trusting = self::post(&Alerting { ca: Some(authority.certificate), ..inside(Some(folder.path())) });
    let login = by(&closed, "tls", &json!({"user": "cems", "secret": "mail"}));
    let told = reason(sent(&trusting, &login, "", &message()).await);
    assert!(told.contains("refuses the login") && told.contains("wrong password"), "{told}");
    let silent = MailServer::listen(Manner { hangs: true, ..Manner::default() }).await;
    let started = clock::monotonic();
    let told = reason(sent(&post, &by(&silent, "none", &Value::Null), "", &message()).await);
    assert!(told.contains("did not answer") && started.elapsed() < Duration::from_secs(11), "{told}");
}
