//! Endpoints that answer well, badly, late or never, and those that must not be spoken to.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cems::central::notify::Answer;
use cems::central::notify::channel::Post;
use cems::central::notify::guard::Lookup;
use cems::clock;
use cems::config::central::{Alerting, HostPattern};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::stub::{Mode, Stub};
use super::{ID, channel, inside, message, reason, secrets, sent};
use crate::support::certificates::{Authority, FAR, LONG_AGO, ONCE, Pair};

/// Every name leads here.
fn leads_to(ip: &str) -> Lookup {
    let ip: IpAddr = ip.parse().unwrap();
    Arc::new(move |_host| Box::pin(async move { Ok(vec![ip]) }))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_decides_and_a_wish_to_wait_is_kept() {
    let post = Post::new(&inside(None));
    let stub = Stub::listen(Mode::Answers(204, Vec::new(), String::new())).await;
    let webhook = channel("webhook", &stub.url("/hook"), Value::Null);
    let send = async || sent(&post, &webhook, "", &message()).await;
    assert_eq!(send().await, Answer::Taken { status: Some(204) });
    let asked = stub.last();
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("POST", "/hook"));
    assert_eq!(asked.header("x-cems-alert"), ID);
    assert_eq!(asked.header("content-type"), "application/json");
    assert_eq!(asked.header("x-cems-signature"), "");
    assert_eq!(asked.json()["kind"], "exceedance");
    for status in [400, 401, 404, 408, 500, 503] {
        stub.says(status, "no");
        let answer = send().await;
        let Answer::Later { reason, after: None, status: Some(told) } = answer else { panic!("{answer:?}") };
        assert_eq!(told, status);
        assert!(reason.contains(&status.to_string()), "{reason}");
    }
    for (retry_after, seconds) in [("7", Some(7)), ("Sun, 06 Nov 1994 08:49:37 GMT", Some(0)), ("soon", None)]
    {
        stub.now(Mode::Answers(429, vec![("retry-after", retry_after.to_owned())], String::new()));
        let answer = send().await;
        let Answer::Later { after, status: Some(429), .. } = answer else { panic!("{answer:?}") };
        assert_eq!(after, seconds.map(Duration::from_secs), "{retry_after}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_followed_elsewhere() {
    let elsewhere = Stub::saying("{}").await;
    let post = Post::new(&inside(None));
    for status in [301, 302, 307, 308] {
        let stub =
            Stub::listen(Mode::Answers(status, vec![("location", elsewhere.url("/"))], String::new())).await;
        let told =
            reason(sent(&post, &channel("webhook", &stub.url("/"), Value::Null), "", &message()).await);
        assert!(told.contains(&status.to_string()) && told.contains("elsewhere"), "{told}");
        assert_eq!(stub.asked().len(), 1);
    }
    assert!(elsewhere.asked().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_hangs_or_never_ends_holds_nobody_for_long() {
    let (hangs, endless) = (Stub::listen(Mode::Hangs).await, Stub::listen(Mode::Endless).await);
    let post = Post::new(&inside(None));
    let timed = async |kind: &str, url: String, settings: Value| {
        let started = clock::monotonic();
        let answer = sent(&post, &channel(kind, &url, settings), "", &message()).await;
        (answer, started.elapsed())
    };
    let rule = json!({"success": "/code", "success_equals": "0"});
    let (hung, status_only, with_body, bot) = tokio::join!(
        timed("webhook", hangs.url("/"), Value::Null),
        timed("webhook", endless.url("/"), Value::Null),
        timed("http", endless.url("/"), rule),
        timed("dingtalk", endless.url("/"), Value::Null),
    );
    println!(
        "hangs {:?}, endless: status {:?}, body {:?}, bot {:?}",
        hung.1, status_only.1, with_body.1, bot.1
    );
    assert!(reason(hung.0).contains("within 10 s"));
    assert!((9.5..11.0).contains(&hung.1.as_secs_f64()), "{:?}", hung.1);
    assert_eq!(status_only.0, Answer::Taken { status: Some(200) });
    assert!(reason(with_body.0).contains("no JSON"));
    assert!(reason(bot.0).contains("without a code"));
    for took in [status_only.1, with_body.1, bot.1] {
        assert!(took < Duration::from_secs(3), "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_trusts_the_authorities_it_is_given_and_nothing_that_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let [known, unknown] = ["known", "unknown"].map(|name| Authority::new(folder.path(), name));
    let taken = Mode::Answers(200, Vec::new(), String::new());
    let post = |ca: Option<&Path>| {
        let alerting = Alerting { ca: ca.map(Path::to_owned), ..inside(None) };
        Post::with_lookup(&alerting, leads_to("127.0.0.1"))
    };
    let send = async |post: &Post, stub: &Stub| {
        let url = format!("https://localhost:{}/", stub.address.port());
        sent(post, &channel("webhook", &url, Value::Null), "", &message()).await
    };
    let at = async |pair: &Pair| Stub::listen_by_tls(taken.clone(), pair).await;
    let good = at(&known.issue("localhost", (LONG_AGO, FAR))).await;
    let with = post(Some(&known.certificate));
    assert_eq!(send(&with, &good).await, Answer::Taken { status: Some(200) });
    assert!(reason(send(&post(None), &good).await).contains("UnknownIssuer"));
    assert!(reason(send(&post(Some(&unknown.certificate)), &good).await).contains("UnknownIssuer"));
    let ended = at(&known.issue("localhost", (LONG_AGO, ONCE))).await;
    let told = reason(send(&with, &ended).await);
    assert!(told.contains("expired") && !told.contains(&format!("{}", ended.address.port())), "{told}");
    let other = at(&known.issue("other.example.cn", (LONG_AGO, FAR))).await;
    assert!(reason(send(&with, &other).await).contains("not valid for name"));
    for stub in [&ended, &other] {
        assert!(stub.asked().is_empty());
    }
    // A file that is missing or holds nothing is told by what waits for it.
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "nothing").unwrap();
    for (ca, word) in [(empty, "no certificate"), (folder.path().join("none.pem"), "cannot be read")] {
        let told = reason(send(&post(Some(&ca)), &good).await);
        assert!(told.contains("[alerting] ca") && told.contains(word), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_name_server_costs_seconds_and_no_other_channel_anything() {
    let stub = Stub::saying("").await;
    let lookup: Lookup = Arc::new(|host: String| {
        Box::pin(async move {
            if host.starts_with("slow") {
                std::future::pending::<()>().await;
            }
            Ok(vec![IpAddr::from([127, 0, 0, 1])])
        })
    });
    let post = Post::with_lookup(&inside(None), lookup);
    let timed = async |host: &str| {
        let started = clock::monotonic();
        let url = format!("http://{host}.example.cn:{}/", stub.address.port());
        let answer = sent(&post, &channel("webhook", &url, Value::Null), "", &message()).await;
        (answer, started.elapsed())
    };
    let ((slow, took), (quick, quickly)) = tokio::join!(timed("slow"), timed("quick"));
    let told = reason(slow);
    assert!(told.contains("name server") && told.contains("slow.example.cn"), "{told}");
    assert!(took < Duration::from_secs(6), "{took:?}");
    assert_eq!(quick, Answer::Taken { status: Some(200) });
    assert!(quickly < Duration::from_secs(2), "{quickly:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_leads_inside_is_not_connected_to() {
    let stub = Stub::saying("").await;
    let number = stub.address.port();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let counted: Lookup = Arc::new(move |_host| {
        count.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move { Ok(vec![IpAddr::from([127, 0, 0, 1])]) })
    });
    let strict = Alerting::default();
    for (lookup, url) in [
        (leads_to("127.0.0.1"), format!("http://inside.example.cn:{number}/")),
        (counted, format!("http://counted.example.cn:{number}/")),
        (leads_to("1.1.1.1"), format!("http://127.0.0.1:{number}/")),
        (leads_to("1.1.1.1"), format!("http://2130706433:{number}/")),
        (leads_to("1.1.1.1"), format!("http://[::ffff:127.0.0.1]:{number}/")),
    ] {
        let strictly = Post::with_lookup(&strict, lookup);
        for _ in 0..3 {
            let told = reason(sent(&strictly, &channel("webhook", &url, Value::Null), "", &message()).await);
            assert!(told.contains("allow_private"), "{url}: {told}");
        }
    }
    assert!(stub.asked().is_empty());
    // Once an attempt: what is connected to is what was judged, not what a second answer says.
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    let allowed_hosts = vec![HostPattern::parse("*.example.cn").unwrap()];
    let post = Post::with_lookup(&Alerting { allowed_hosts, ..inside(None) }, leads_to("127.0.0.1"));
    let good = channel("webhook", &format!("http://a.example.cn:{number}/"), Value::Null);
    assert_eq!(sent(&post, &good, "", &message()).await, Answer::Taken { status: Some(200) });
    let told = reason(sent(&post, &channel("webhook", &stub.url("/"), Value::Null), "", &message()).await);
    assert!(told.contains("127.0.0.1") && told.contains("allowed_hosts"), "{told}");
    assert_eq!(stub.asked().len(), 1);
}

/// RFC 2104 once more, by its text.
pub(super) fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut block = [0_u8; 64];
    block[..key.len()].copy_from_slice(key);
    let pad = |with: u8| block.map(|byte| byte ^ with);
    let inner = Sha256::digest([&pad(0x36)[..], text].concat());
    Sha256::digest([&pad(0x5c)[..], &inner[..]].concat()).to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_signed_as_the_documentation_says() {
    let folder = secrets(&[("hook", "a long secret"), ("token", "t/o+k en")]);
    let stub = Stub::saying("").await;
    let post = Post::new(&inside(Some(folder.path())));
    let signed = channel("webhook", &stub.url("/in?key={secret:token}"), json!({"secret": "hook"}));
    assert_eq!(sent(&post, &signed, "", &message()).await, Answer::Taken { status: Some(200) });
    let asked = stub.last();
    assert_eq!(asked.query("key"), "t/o+k en");
    let (stamp, code) = asked.header("x-cems-signature").split_once(",v1=").unwrap();
    let seconds = stamp.strip_prefix("t=").unwrap();
    assert!((clock::now().as_second() - seconds.parse::<i64>().unwrap()).abs() <= 5);
    assert_eq!(code, hex::encode(hmac(b"a long secret", format!("{seconds}.{}", asked.body).as_bytes())));
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_missed_with_a_remedy_and_never_repeated() {
    let folder = secrets(&[("token", "tok-en/4711")]);
    let stub =
        Stub::saying("{\"errcode\":300001,\"errmsg\":\"token tok-en/4711 (tok-en%2F4711) does not exist\"}")
            .await;
    let post = Post::new(&inside(Some(folder.path())));
    let told = reason(
        sent(&post, &channel("webhook", &stub.url("/"), json!({"secret": "nothing-there"})), "", &message())
            .await,
    );
    assert!(told.contains("CEMS_SECRET_NOTHING_THERE") && told.contains("nothing-there"), "{told}");
    assert!(stub.asked().is_empty());
    let bot = channel("dingtalk", &stub.url("/robot/send?access_token={secret:token}"), Value::Null);
    let told = reason(sent(&post, &bot, "", &message()).await);
    assert!(told.contains("300001: token (secret) ((secret)) does not exist"), "{told}");
    // Nor when nobody is there, with the secret in path and query.
    let gone = channel("webhook", "http://127.0.0.1:1/tok/{secret:token}?a={secret:token}", Value::Null);
    let told = reason(sent(&post, &gone, "", &message()).await);
    assert!(told.contains("cannot be reached") && !told.contains("4711"), "{told}");
    let broken = channel("webhook", "http://127.0.0.1:1/", json!({"secret": 5}));
    assert!(reason(sent(&post, &broken, "", &message()).await).contains("save the channel again"));
}
