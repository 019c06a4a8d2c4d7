//! Each kind's keys: the smallest channel, the fullest one, and every mistake at once.

use super::{MailTls, NotifyChannel, NotifyKind};
use crate::config::catalogue;
use crate::config::kind::Source;
use crate::config::problem::Problems;

fn parse(channels: &str) -> Result<Vec<NotifyChannel>, Problems> {
    let text = format!("schema = \"plant/1\"\n{channels}");
    catalogue::parse(&[Source { file: "plant.toml".to_owned(), text }]).map(|catalogue| catalogue.notify)
}

fn mistakes(channels: &str) -> Vec<(usize, String)> {
    let problems = parse(channels).expect_err(channels);
    problems.0.into_iter().map(|problem| (problem.line.unwrap(), problem.key)).collect()
}

#[test]
fn each_kind_has_a_smallest_form() {
    let smallest = [
        ("webhook", "url = \"https://a.cn/x\""),
        ("log", ""),
        ("smtp", "host = \"smtp.a.cn\"\nfrom = \"cems@a.cn\"\nto = [\"duty@a.cn\"]"),
        ("dingtalk", "url = \"https://oapi.dingtalk.com/robot/send?access_token={secret:ding-token}\""),
        (
            "wecom",
            "url = \"https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key={secret}\"\nsecret = \"wecom-key\"",
        ),
        ("feishu", "url = \"https://open.feishu.cn/open-apis/bot/v2/hook/{secret:feishu}\""),
        ("http", "url = \"http://sms.a.cn/send\""),
        ("alertmanager", "url = \"http://am.a.cn:9093\""),
    ];
    assert_eq!(smallest.map(|(kind, _)| kind), NotifyKind::ALL.map(NotifyKind::name));
    for (kind, keys) in smallest {
        let channels = parse(&format!("[[notify]]\nname = \"x\"\nkind = \"{kind}\"\n{keys}\n")).unwrap();
        assert_eq!(channels[0].kind.name(), kind);
        assert!(channels[0].enabled && channels[0].broadcast);
        // What is stored comes back as it was.
        let stored = serde_json::to_value(&channels[0].settings).unwrap();
        assert_eq!(serde_json::from_value::<super::Settings>(stored).unwrap(), channels[0].settings);
    }
}

#[test]
fn the_fullest_http_channel_and_mail_are_read() {
    let text = r#"
[[notify]]
name = "sms"
kind = "http"
url = "https://sms.a.cn/v1?to={to}"
secret = "sms"
method = "PUT"
headers = ["Authorization: Bearer {secret}", "X-Id: {id}"]
format = "json"
body = '{"mobile": "{to}", "text": "{short}"}'
success = "/code"
success_equals = 0
per_minute = 100
broadcast = false
[[notify]]
name = "mail"
kind = "smtp"
host = "smtp.a.cn"
port = 2465
tls = "tls"
user = "cems"
secret = "mail"
from = "cems@a.cn"
broadcast = false
"#;
    let channels = parse(text).unwrap();
    let [mail, sms] = channels.as_slice() else { panic!("{channels:?}") };
    assert_eq!(sms.settings.success_equals.as_deref(), Some("0"));
    assert_eq!(sms.settings.headers.len(), 2);
    assert_eq!((mail.settings.tls, mail.settings.port), (Some(MailTls::Tls), Some(2465)));
    assert_eq!(serde_json::to_value(&mail.settings).unwrap()["tls"], "tls");
}

#[test]
fn a_key_of_another_kind_is_refused_where_it_stands() {
    for kind in NotifyKind::ALL {
        let (must, may) = kind.keys();
        let all = [
            "url = \"http://a.cn\"",
            "host = \"a.cn\"",
            "from = \"a@a.cn\"",
            "to = [\"a@a.cn\"]",
            "every_s = 30",
            "format = \"text\"",
            "method = \"POST\"",
            "headers = [\"A: b\"]",
            "success = \"/a\"",
            "per_minute = 5",
            "broadcast = true",
            "port = 25",
            "tls = \"tls\"",
        ];
        let text = format!("[[notify]]\nname = \"x\"\nkind = \"{}\"\n{}\n", kind.name(), all.join("\n"));
        let told = mistakes(&text);
        for (index, line) in all.iter().enumerate() {
            let key = line.split(' ').next().unwrap();
            let known = must.contains(&key) || may.contains(&key);
            let path =
                if key == "success" || key == "format" { continue } else { format!("notify[0].{key}") };
            assert_eq!(told.contains(&(5 + index, path)), !known, "{}: {key}: {told:?}", kind.name());
        }
    }
}

#[test]
fn all_mistakes_of_all_channels_come_at_once() {
    let text = r#"[[notify]]
name = "a"
kind = "webhook"
[[notify]]
name = "b"
kind = "dingtalk"
url = "https://{secret}.cn/x"
per_minute = 21
[[notify]]
name = "c"
kind = "smtp"
host = "smtp.a.cn:25"
from = "CEMS <cems@a.cn>"
to = ["duty@a.cn\r\nBcc: x@y.cn"]
[[notify]]
name = "d"
kind = "http"
url = "http://u:p@a.cn/"
body = '{"to": "{mobile}"}'
headers = ["no colon"]
[[notify]]
name = "e"
kind = "fax"
url = "http://a.cn/"
[[notify]]
name = "f"
kind = "wecom"
url = "https://a.cn/?key={to}"
secret = "Not A Name"
"#;
    let told = mistakes(text);
    let expected = [
        (2, "notify[0].url"),
        (8, "notify[1].url"),
        (9, "notify[1].per_minute"),
        (13, "notify[2].host"),
        (14, "notify[2].from"),
        (15, "notify[2].to[0]"),
        (19, "notify[3].url"),
        (20, "notify[3].body"),
        (21, "notify[3].headers[0]"),
        (24, "notify[4].kind"),
        (30, "notify[5].secret"),
    ];
    assert_eq!(told, expected.map(|(line, key)| (line, key.to_owned())));
}

#[test]
fn keys_that_do_not_go_together_are_told() {
    let smtp = "[[notify]]\nname = \"m\"\nkind = \"smtp\"\nhost = \"a.cn\"\nfrom = \"a@a.cn\"\n";
    let http = "[[notify]]\nname = \"h\"\nkind = \"http\"\nurl = \"http://a.cn\"\n";
    let wecom = "[[notify]]\nname = \"w\"\nkind = \"wecom\"\n";
    for (text, key) in [
        (smtp.to_owned(), "to"),
        (format!("{smtp}to = [\"b@a.cn\"]\nuser = \"u\""), "secret"),
        (format!("{smtp}to = [\"b@a.cn\"]\nsecret = \"s\""), "user"),
        (format!("{smtp}to = [\"b@a.cn\"]\nuser = \"u\"\nsecret = \"s\"\ntls = \"none\""), "tls"),
        (format!("{http}body = '{{\"to\": \"{{to}}\"}}'"), "broadcast"),
        (format!("{http}body = '{{\"to\": {{id}}}}'"), "body"),
        (format!("{http}body = 'to={{id}}'"), "body"),
        (format!("{http}method = \"GET\"\nformat = \"text\"\nbody = \"x\""), "body"),
        (format!("{http}success = \"/code\""), "success"),
        (format!("{http}headers = [\"Authorization: {{secret}}\"]"), "secret"),
        (format!("{wecom}url = \"https://a.cn/?key={{to}}\""), "url"),
    ] {
        let told = mistakes(&text);
        let keys: Vec<&str> = told.iter().map(|(_, key)| key.trim_start_matches("notify[0].")).collect();
        assert_eq!(keys, [key], "{text}");
    }
    parse(&format!("{http}format = \"form\"\nbody = 'id={{id}}&text={{short}}'\n")).unwrap();
}

#[test]
fn the_examples_of_the_documentation_are_right() {
    let text = include_str!("../../../docs/alerting-channels.md");
    let blocks = text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let examples: String = blocks.filter(|block| block.starts_with("[[notify]]")).collect();
    let channels = parse(&examples).unwrap_or_else(|problems| panic!("{problems}"));
    let shown = |kind: &NotifyKind| channels.iter().any(|channel| channel.kind == *kind);
    let missing: Vec<&str> =
        NotifyKind::ALL.iter().filter(|kind| !shown(kind)).map(|kind| kind.name()).collect();
    // The log has no keys to show.
    assert_eq!(missing, ["log"]);
}
