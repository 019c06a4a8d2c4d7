//! The example is right, and each mistake is named with its line and key.
use super::*;

const EXAMPLE: &str = include_str!("../../../config/gateway-example.toml");

#[test]
fn the_example_is_right() {
    let config = parse("example", EXAMPLE).unwrap();
    assert_eq!(config.name, "gw-example");
    assert_eq!((config.mqtt.host.as_str(), config.mqtt.port), ("127.0.0.1", 1883));
    assert_eq!(config.mqtt.user, "gw-example");
    assert_eq!(config.analysers.len(), 2);
    assert_eq!(config.analysers[0].statuses[0].rules.len(), 3);
    let codes: Vec<&str> = config.outlets[0].channels.iter().map(|channel| channel.code.as_str()).collect();
    assert_eq!(codes, ["a19001", "a21026", "a34013"], "sorted");
    assert_eq!(config.outlets[0].channels[2].measured().unwrap().place.order, Order::Cdab);
    assert_eq!(config.spool.cache_bytes, 8 * 1024 * 1024);
    assert_eq!(config.spool.when_full, WhenFull::Thin);
}

#[test]
fn the_hash_changes_with_the_text() {
    let one = parse("a", EXAMPLE).unwrap().hash;
    assert_eq!(parse("b", EXAMPLE).unwrap().hash, one);
    let other = EXAMPLE.replacen("scale = 0.01 ", "scale = 0.02 ", 1);
    assert_ne!(other, EXAMPLE);
    assert_ne!(parse("a", &other).unwrap().hash, one);
}

#[test]
fn the_password_is_never_shown() {
    let text = EXAMPLE.replacen("inflight = 2000", "password = \"s3cret\"\ninflight = 2000", 1);
    let config = parse("a", &text).unwrap();
    assert_eq!(config.mqtt.password.as_deref(), Some("s3cret"));
    assert!(!format!("{config:?}").contains("s3cret"));
}

#[test]
fn each_mistake_is_named() {
    let cases: [(&str, &str, &str); 25] = [
        ("schema = \"gateway/1\"", "schema = \"gateway/2\"", "schema"),
        ("name = \"gw-example\"", "name = \"central\"", "gateway.name"),
        ("name = \"gw-example\"", "name = \"GW 1\"", "gateway.name"),
        ("data_dir = ", "data_folder = ", "gateway.data_dir"),
        ("mqtt://127.0.0.1:1883", "tcp://127.0.0.1:1883", "mqtt.url"),
        ("inflight = 2000", "inflight = 0", "mqtt.inflight"),
        ("cache_mb = 8", "cache_mb = \"much\"", "spool.cache_mb"),
        ("capacity_mb = 1024", "capacity_mb = -1", "spool.capacity_mb"),
        ("when_full = \"thin\"", "when_full = \"forget\"", "spool.when_full"),
        ("receipt_timeout_ms = 5000", "receipt_timeout_ms = 5", "publish.receipt_timeout_ms"),
        ("window = 2000", "window = 0", "publish.window"),
        ("name = \"dust\"", "name = \"gas\"", "analyser[1].name"),
        ("tcp://192.168.10.21:502", "192.168.10.21:502", "analyser[0].link"),
        ("tcp://192.168.10.21:502", "tcp://192.168.10.21", "analyser[0].link"),
        ("unit = 1", "unit = 256", "analyser[0].unit"),
        ("timeout_ms = 400 ", "timeout_ms = 2000 ", "outlet[0].channel[0].analyser"),
        ("{ bit = 15, flag = \"D\" }", "{ bit = 16, flag = \"D\" }", "analyser[0].status.rules[0].bit"),
        ("{ bit = 1, flag = \"C\" }", "{ flag = \"C\" }", "analyser[0].status.rules[1].bit"),
        ("{ value = 4, flag = \"M\" }", "{ value = 4, flag = \"B\" }", "analyser[0].status.rules[2].flag"),
        ("code = \"DA001\"", "code = \"DA 001\"", "outlet[0].code"),
        ("period_ms = 2000", "period_ms = 7000", "outlet[0].period_ms"),
        ("code = \"a19001\"", "code = \"oxygen\"", "outlet[0].channel[1].code"),
        ("code = \"a19001\"", "code = \"a21026\"", "outlet[0].channel[1].code"),
        ("analyser = \"dust\"", "analyser = \"soot\"", "outlet[0].channel[2].analyser"),
        ("order = \"CDAB\"", "order = \"cdab\"", "outlet[0].channel[2].order"),
    ];
    for (from, to, key) in cases {
        let text = EXAMPLE.replacen(from, to, 1);
        assert_ne!(text, EXAMPLE, "{from}");
        let problems = parse("f.toml", &text).unwrap_err();
        let found = problems.0.iter().find(|problem| problem.key == key);
        let problem = found.unwrap_or_else(|| panic!("{to}: {problems}"));
        assert!(problem.line.is_some(), "{problem}");
    }
}

#[test]
fn what_is_missing_is_named_all_at_once() {
    let problems = parse("f.toml", "schema = \"gateway/1\"\n").unwrap_err();
    let keys: Vec<&str> = problems.0.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys, ["analyser", "gateway", "mqtt", "outlet"]);
}
