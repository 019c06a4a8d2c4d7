//! The bodies that bots and gateways get, whole, and what their answers mean.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cems::central::notify::Answer;
use cems::central::notify::channel::Post;
use cems::clock;
use cems::domain::alerting::Language;
use cems::domain::message::Message;
use serde_json::{Value, json};

use super::endpoints::hmac;
use super::stub::Stub;
use super::{ID, channel, hostile, inside, message, reason, secrets, sent};

const TAKEN: Answer = Answer::Taken { status: Some(200) };

#[tokio::test(flavor = "multi_thread")]
async fn dingtalk_gets_markdown_with_its_signature_in_the_address() {
    let folder = secrets(&[("sign", "SECabc"), ("token", "t0ken")]);
    let stub = Stub::saying("{\"errcode\":0,\"errmsg\":\"ok\"}").await;
    let post = Post::new(&inside(Some(folder.path())));
    let bot =
        channel("dingtalk", &stub.url("/robot/send?access_token={secret:token}"), json!({"secret": "sign"}));
    assert_eq!(sent(&post, &bot, "", &message()).await, TAKEN);
    let asked = stub.last();
    assert_eq!(asked.query("access_token"), "t0ken");
    let stamp = asked.query("timestamp");
    assert!((clock::now().as_millisecond() - stamp.parse::<i64>().unwrap()).abs() < 5000, "{stamp}");
    assert_eq!(asked.query("sign"), STANDARD.encode(hmac(b"SECabc", format!("{stamp}\nSECabc").as_bytes())));
    let text = "**【小时超标·许可限值】XX水泥 DA001窑尾 SO₂**\n\n03:00–04:00 折算88.0,限值35 mg/m³,超标1.51倍\n\n设备正常 \"ok\"\n\n\
                [查看并确认](https://cems.example/a/abc)";
    let title = message().title;
    let expected =
        json!({"msgtype": "markdown", "markdown": {"title": title, "text": text}, "at": {"isAtAll": false}});
    assert_eq!(asked.json(), expected);
    // Somebody is called by number or by id, and nobody else, whatever is in the names.
    assert_eq!(sent(&post, &bot, "13800000000", &hostile()).await, TAKEN);
    let body = stub.last().json();
    assert_eq!(body["at"], json!({"isAtAll": false, "atMobiles": ["13800000000"]}));
    let text = body["markdown"]["text"].as_str().unwrap();
    assert_eq!(text.matches('@').count(), 1);
    assert!(
        text.ends_with("\n\n@13800000000") && text.matches("](").count() == 1 && !text.contains('<'),
        "{text}"
    );
    assert_eq!(sent(&post, &bot, "manager4711", &message()).await, TAKEN);
    assert_eq!(stub.last().json()["at"], json!({"isAtAll": false, "atUserIds": ["manager4711"]}));
}

#[tokio::test(flavor = "multi_thread")]
async fn wecom_gets_markdown_or_text_where_somebody_is_called() {
    let folder = secrets(&[("key", "k-1")]);
    let stub = Stub::saying("{\"errcode\":0,\"errmsg\":\"ok\"}").await;
    let post = Post::new(&inside(Some(folder.path())));
    let url = stub.url("/cgi-bin/webhook/send?key={secret}");
    let bot = channel("wecom", &url, json!({"secret": "key"}));
    assert_eq!(sent(&post, &bot, "", &message()).await, TAKEN);
    assert_eq!(stub.last().target, "/cgi-bin/webhook/send?key=k-1");
    let content = "**【小时超标·许可限值】XX水泥 DA001窑尾 SO₂**\n\n03:00–04:00 折算88.0,限值35 mg/m³,超标1.51倍\n\n设备正常 \"ok\"\n\n\
                   [查看并确认](https://cems.example/a/abc)";
    assert_eq!(stub.last().json(), json!({"msgtype": "markdown", "markdown": {"content": content}}));
    assert_eq!(sent(&post, &bot, "zhang3", &hostile()).await, TAKEN);
    let body = stub.last().json();
    assert_eq!((&body["msgtype"], &body["text"]["mentioned_list"]), (&json!("text"), &json!(["zhang3"])));
    let text = body["text"]["content"].as_str().unwrap();
    assert!(text.starts_with("＠all ＜at user_id") && !text.contains(['@', '<', '\r', '\u{7}']), "{text}");
    let by_text = channel("wecom", &url, json!({"secret": "key", "format": "text"}));
    assert_eq!(sent(&post, &by_text, "", &message()).await, TAKEN);
    let expected = "【小时超标·许可限值】XX水泥 DA001窑尾 SO₂\n03:00–04:00 折算88.0,限值35 mg/m³,超标1.51倍\n设备正常 \"ok\"\nhttps://cems.example/a/abc";
    assert_eq!(stub.last().json(), json!({"msgtype": "text", "text": {"content": expected}}));
    for everybody in ["@all", "ALL"] {
        let answer = sent(&post, &bot, everybody, &message()).await;
        assert!(matches!(answer, Answer::Refused { .. }), "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn feishu_gets_rich_text_with_its_signature_in_the_body() {
    let folder = secrets(&[("sign", "fs-secret")]);
    let stub = Stub::saying("{\"code\":0,\"msg\":\"success\"}").await;
    let post = Post::new(&inside(Some(folder.path())));
    let bot = channel("feishu", &stub.url("/open-apis/bot/v2/hook/x"), json!({"secret": "sign"}));
    assert_eq!(sent(&post, &bot, "ou_84aad", &message()).await, TAKEN);
    let mut body = stub.last().json();
    let fields = body.as_object_mut().unwrap();
    let (stamp, sign) = (fields.remove("timestamp").unwrap(), fields.remove("sign").unwrap());
    let stamp = stamp.as_str().unwrap();
    assert!((clock::now().as_second() - stamp.parse::<i64>().unwrap()).abs() <= 5);
    assert_eq!(sign, STANDARD.encode(hmac(format!("{stamp}\nfs-secret").as_bytes(), b"")));
    let expected = json!({"msg_type": "post", "content": {"post": {"zh_cn": {"title": message().title, "content": [
        [{"tag": "text", "text": "03:00–04:00 折算88.0,限值35 mg/m³,超标1.51倍"}],
        [{"tag": "text", "text": "设备正常 \"ok\""}],
        [{"tag": "a", "text": "查看并确认", "href": "https://cems.example/a/abc"}],
        [{"tag": "at", "user_id": "ou_84aad"}],
    ]}}}});
    assert_eq!(body, expected);
    let english = Message { language: Language::En, ..hostile() };
    assert_eq!(sent(&post, &bot, "", &english).await, TAKEN);
    let body = stub.last().json();
    let post_of = &body["content"]["post"]["en_us"];
    assert!(
        !post_of.to_string().contains("<at") && !post_of["title"].as_str().unwrap().contains('@'),
        "{post_of}"
    );
    assert_eq!(post_of["content"][2][0]["text"], "Open and acknowledge");
    // The older form of its answer.
    stub.says(200, "{\"StatusCode\":0,\"StatusMessage\":\"success\"}");
    assert_eq!(sent(&post, &bot, "", &message()).await, TAKEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_with_a_code_is_a_failure_and_too_many_is_a_rest() {
    let post = Post::new(&inside(None));
    let stub = Stub::saying("").await;
    let minute = Some(Duration::from_mins(1));
    for (kind, status, body, after) in [
        ("dingtalk", 200, json!({"errcode": 310_000, "errmsg": "sign not match"}), None),
        ("dingtalk", 200, json!({"errcode": 130_101, "errmsg": "send too fast"}), minute),
        ("wecom", 200, json!({"errcode": 93_000, "errmsg": "invalid webhook url"}), None),
        ("wecom", 200, json!({"errcode": 45_009, "errmsg": "api freq out of limit"}), minute),
        (
            "feishu",
            200,
            json!({"code": 19_021, "msg": "sign match fail or timestamp is not within one hour"}),
            None,
        ),
        ("feishu", 200, json!({"code": 11_232, "msg": "frequency limited"}), minute),
        ("feishu", 400, json!({"code": 9_499, "msg": "too many request"}), minute),
    ] {
        stub.says(status, &body.to_string());
        let answer = sent(&post, &channel(kind, &stub.url("/"), Value::Null), "", &message()).await;
        let Answer::Later { reason, after: told, status: Some(found) } = answer else { panic!("{answer:?}") };
        assert_eq!((told, found), (after, status), "{kind}: {body}");
        let text = body.get("errmsg").or(body.get("msg")).and_then(Value::as_str).unwrap();
        assert!(reason.contains(text), "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_gets_what_its_templates_say_and_no_name_breaks_out() {
    let folder = secrets(&[("sms", "k\"ey")]);
    let stub = Stub::saying("{\"result\":{\"code\":0}}").await;
    let post = Post::new(&inside(Some(folder.path())));
    let sms = json!({"secret": "sms", "method": "PUT", "headers": ["Authorization: Key {secret}", "X-Title: {title}"],
        "body": "{\"to\":[\"{to}\"],\"text\":\"{short}\",\"all\":\"{text}\",\"id\":\"{id}\",\"key\":\"{secret}\"}",
        "success": "/result/code", "success_equals": "0"});
    let sms = channel("http", &stub.url("/v1/{to}/send?id={id}&link={link}"), sms);
    let to = "138&x=1\"},{/../";
    assert_eq!(sent(&post, &sms, to, &hostile()).await, TAKEN);
    let asked = stub.last();
    assert_eq!(asked.method, "PUT");
    assert_eq!(
        asked.target,
        format!("/v1/138%26x%3D1%22%7D%2C%7B%2F..%2F/send?id={ID}&link=https%3A%2F%2Fcems.example%2Fa%2Fabc")
    );
    assert_eq!(asked.header("authorization"), "Key k\"ey");
    assert!(asked.header("x-title").starts_with("@all <at"), "{}", asked.header("x-title"));
    assert_eq!(asked.header("bcc"), "");
    let body = asked.json();
    let keys: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["all", "id", "key", "text", "to"]);
    assert_eq!((&body["to"], &body["key"]), (&json!([to]), &json!("k\"ey")));
    assert!(body["text"].as_str().unwrap().chars().count() <= 70);
    assert_eq!(body["all"].as_str().unwrap().lines().count(), 4);
    stub.says(200, "{\"result\":{\"code\":23,\"text\":\"no credit\"}}");
    assert!(reason(sent(&post, &sms, "1", &message()).await).contains("/result/code is \"23\", not \"0\""));

    let form = json!({"format": "form", "body": "to={to}&text={short}"});
    let form = channel("http", &stub.url("/"), form);
    assert_eq!(sent(&post, &form, "13800000000", &hostile()).await, TAKEN);
    let asked = stub.last();
    assert_eq!(asked.header("content-type"), "application/x-www-form-urlencoded");
    assert_eq!(asked.body.matches('&').count(), 1);
    assert!(asked.body.starts_with("to=13800000000&text=%40all%20%3Cat"), "{}", asked.body);

    let get = channel("http", &stub.url("/call?n={to}&say={title}"), json!({"method": "GET"}));
    assert_eq!(sent(&post, &get, "110", &message()).await, TAKEN);
    let asked = stub.last();
    assert_eq!((asked.method.as_str(), asked.body.as_str()), ("GET", ""));
    assert_eq!((asked.query("n"), asked.query("say")), ("110".to_owned(), message().title));
}
