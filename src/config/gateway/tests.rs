//! The example is right, and each mistake is named with its line and key.
use super::*;
use crate::domain::flag::Flag;

const EXAMPLE: &str = include_str!("../../../config/gateway-example.toml");

#[test]
fn the_example_is_right() {
    let config = parse("example", EXAMPLE).unwrap();
    assert_eq!(config.name, "gw-example");
    assert_eq!((config.mqtt.host.as_str(), config.mqtt.port), ("127.0.0.1", 1883));
    assert_eq!(config.mqtt.user, "gw-example");
    assert_eq!((config.lines.len(), config.analysers.len()), (3, 3));
    assert_eq!(config.analysers[0].statuses[0].rules.len(), 3);
    let codes: Vec<&str> = config.outlets[0].channels.iter().map(|channel| channel.code.as_str()).collect();
    assert_eq!(codes, ["a19001", "a21026", "a34013"], "sorted");
    assert_eq!(config.outlets[0].channels[2].measured().unwrap().place.order, Order::Cdab);
    assert_eq!(config.spool.cache_bytes, 8 * 1024 * 1024);
    assert_eq!(config.spool.when_full, WhenFull::Thin);
}

#[test]
fn the_example_says_what_its_comments_say() {
    let config = parse("example", EXAMPLE).unwrap();
    let bus = &config.lines[0];
    let port = SerialPort { device: "/dev/ttyS0".into(), baud: 19_200, parity: Parity::Even, stop_bits: 1 };
    assert_eq!((bus.name.as_str(), &bus.link), ("bus", &Link::Serial(port)));
    assert_eq!(bus.turnaround, Duration::from_millis(5));
    assert_eq!(config.lines[1].name, "tcp://192.168.10.21:502");
    assert_eq!((config.analysers[1].line, config.analysers[2].line), (2, 0));
    let flow = &config.analysers[2];
    assert_eq!(flow.blocks, Blocks { max_registers: 60, max_gap: 4 });
    let rules: Vec<StatusCondition> = flow.statuses.iter().map(|status| status.rules[0].when).collect();
    assert_eq!(rules, [StatusCondition::Mask { mask: 0x30, value: 0x10 }, StatusCondition::Value(1)]);
    assert_eq!(flow.checks[0].expected, Expected::Number(500.0));
    assert_eq!(flow.checks[0].channels, [ChannelCode::new("a21002").unwrap()]);
    assert_eq!(flow.checks[1].expected, Expected::Text("SN-4711".to_owned()));
    let channels = &config.outlets[1].channels;
    let codes: Vec<&str> = channels.iter().map(|channel| channel.code.as_str()).collect();
    assert_eq!(codes, ["a01006", "a01012", "a01014", "a21002", "z00001"]);
    assert!(
        matches!(channels[0].source, Source::Constant(value) if value.to_bits() == 101.325_f64.to_bits())
    );
    let measured: Vec<&Measured> = channels.iter().filter_map(Channel::measured).collect();
    let temperature = &measured[0].conversion;
    assert_eq!((temperature.scale, temperature.offset, temperature.under), (0.0125, -50.0, Some(3600.0)));
    let moisture = measured[1];
    assert_eq!((moisture.period, moisture.fresh), (Duration::from_mins(1), Some((Table::Input, 8))));
    assert_eq!(moisture.statuses.len(), 1);
    let nox = measured[2];
    assert_eq!((nox.place.number, nox.place.order), (Number::F64, Order::Dcba));
    assert_eq!(Some(nox.conversion.unit.factor), Some(46.0 / 22.4));
    let quality = nox.quality.as_ref().unwrap();
    assert_eq!(
        (quality.mask, quality.good.as_slice(), quality.flag),
        (0xFF, [0, 192].as_slice(), Flag::Fault)
    );
    assert_eq!(nox.period, Duration::from_secs(5));
    assert_eq!(measured[3].place.number, Number::Bits { low: 4, count: 4 });
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

/// The example with each change is refused at this key, with this found value or remedy, and nowhere else.
#[track_caller]
fn refused(cases: &[(&str, &str, &str, &str)]) {
    for (from, to, key, told) in cases {
        let text = EXAMPLE.replacen(from, to, 1);
        assert_ne!(text, EXAMPLE, "{from}");
        let problems = parse("f.toml", &text).unwrap_err();
        let [problem] = problems.0.as_slice() else { panic!("{to}: {problems}") };
        assert_eq!(problem.key, *key, "{to}: {problem}");
        assert!(problem.line.is_some() && problem.to_string().contains(told), "{told}: {problem}");
    }
}

#[test]
fn each_mistake_of_a_line_is_named() {
    let link = "link = \"rtu:///dev/ttyS0\"";
    refused(&[
        (link, "link = \"rtu://dev/ttyS0\"", "line[0].link", "\"rtu:///dev/NAME\""),
        (link, "link = \"serial:/dev/ttyS0\"", "line[0].link", "\"rtu+tcp://HOST:PORT\""),
        (link, "link = \"rtu+tcp://10.0.0.1:70000\"", "line[0].link", "found"),
        ("baud = 19200", "baud = 300", "line[0].baud", "from 1200 to 921600"),
        ("parity = \"even\"", "parity = \"E\"", "line[0].parity", "one of \"none\", \"even\", \"odd\""),
        ("stop_bits = 1", "stop_bits = 3", "line[0].stop_bits", "from 1 to 2"),
        ("turnaround_ms = 5 ", "turnaround_ms = -5 ", "line[0].turnaround_ms", "from 0"),
        ("usual_answer_ms = 20 ", "usual_answer_ms = 20000 ", "line[0].usual_answer_ms", "to 10000"),
        (
            "slowest_answer_ms = 1000",
            "slowest_answer_ms = 300",
            "line[0].slowest_answer_ms",
            "found 300, with an analyser that has timeout_ms = 500; at least 500",
        ),
        ("turnaround_ms = 5 ", "turnaround = 5 ", "line[0].turnaround", "an unknown key"),
        ("line = \"bus\"", "line = \"train\"", "analyser[2].line", "the name of a [[line]]: bus"),
        ("line = \"bus\"", "link = \"rtu:///dev/ttyS0\"", "analyser[2].link", "a serial port is a [[line]]"),
        (
            "line = \"bus\"",
            "line = \"bus\"\nlink = \"tcp://a:1\"",
            "analyser[2].link",
            "both `line` and `link`",
        ),
        ("line = \"bus\"", "", "analyser[2].link", "line = the name of a [[line]]"),
        ("unit = 3 ", "unit = 0 ", "analyser[2].unit", "1 to 247 on an RTU line"),
        ("unit = 3 ", "unit = 248 ", "analyser[2].unit", "1 to 247 on an RTU line"),
        (
            "link = \"tcp://192.168.10.22:502\"",
            "link = \"rtu+tcp://192.168.10.21:502\"",
            "analyser[1].link",
            "one protocol at one address",
        ),
        (
            "link = \"tcp://192.168.10.22:502\"\nunit = 2",
            "link = \"tcp://192.168.10.21:502\"\nunit = 1",
            "analyser[1].unit",
            "found 1, which \"gas\" has on the same line",
        ),
        (
            "link = \"tcp://192.168.10.22:502\"\nunit = 2\ntimeout_ms = 400",
            "link = \"rtu+tcp://192.168.10.22:502\"\nunit = 2\ntimeout_ms = 1500",
            "analyser[1].timeout_ms",
            "at most 1000, or a [[line]] with a larger slowest_answer_ms",
        ),
        ("max_registers = 60", "max_registers = 126", "analyser[2].max_registers", "from 1 to 125"),
        ("max_gap = 4 ", "max_gap = 121 ", "analyser[2].max_gap", "from 0 to 120"),
    ]);
}

#[test]
fn two_lines_are_two() {
    let second = "[[line]]\nname = \"bus 2\"\nlink = \"rtu:///dev/ttyS0\"\nbaud = 9600\n\n[[analyser]]\nname = \"gas\"";
    refused(&[
        ("[[analyser]]\nname = \"gas\"", second, "line[1].link", "one [[line]] for all analysers there"),
        (
            "[[analyser]]\nname = \"gas\"",
            &second.replace("bus 2", "bus").replace("ttyS0\"\nbaud = 9600", "ttyS1\""),
            "line[1].name",
            "each line has a name of its own",
        ),
        (
            "[[analyser]]\nname = \"gas\"",
            &second.replace("rtu:///dev/ttyS0", "tcp://10.0.0.9:502"),
            "line[1].baud",
            "only for a serial port",
        ),
    ]);
}

#[test]
fn each_mistake_of_an_analyser_is_named() {
    let mask = "{ mask = 0x0030, value = 0x0010, flag = \"M\" }";
    let rule = |rule: &str| format!("{{ {rule}, flag = \"M\" }}");
    let check = "type = \"u16\"\nexpect = 500";
    refused(&[
        (mask, &rule("mask = 0x30"), "analyser[2].status[0].rules[0].value", "`mask` without `value`"),
        (mask, &rule("mask = 0, value = 0"), "analyser[2].status[0].rules[0].mask", "from 1"),
        (mask, &rule("mask = 0x30, value = 1"), "analyser[2].status[0].rules[0].value", "never applies"),
        (mask, &rule("mask = 0x30, bit = 1"), "analyser[2].status[0].rules[0].mask", "both `bit` and `mask`"),
        (mask, &rule("bit = 1, value = 1"), "analyser[2].status[0].rules[0].value", "both `bit` and `value`"),
        ("{ value = 1, flag", "{ value = 2, flag", "analyser[2].status[1].rules[0].value", "from 0 to 1"),
        ("{ value = 1, flag", "{ bit = 1, flag", "analyser[2].status[1].rules[0].bit", "from 0 to 0"),
        (
            "name = \"serial number\"",
            "name = \"measuring range of NO\"",
            "analyser[2].check[1].name",
            "each check",
        ),
        (
            check,
            "type = \"u16\"\nexpect = \"500\"",
            "analyser[2].check[0].expect",
            "a number, or type = \"ascii\"",
        ),
        (check, "type = \"u16\"\nexpect = nan", "analyser[2].check[0].expect", "a number, or a text"),
        (check, "type = \"ascii\"\nexpect = \"A\"", "analyser[2].check[0].registers", "how many registers"),
        ("expect = \"SN-4711\"", "expect = 4711", "analyser[2].check[1].expect", "a text, since type"),
        (
            "expect = \"SN-4711\"",
            "expect = \"SN-471147\"",
            "analyser[2].check[1].expect",
            "at most 8 characters",
        ),
        (
            "expect = \"SN-4711\"",
            "expect = \" SN\"",
            "analyser[2].check[1].expect",
            "without blanks around it",
        ),
        ("registers = 4 ", "registers = 126 ", "analyser[2].check[1].registers", "from 1 to 125"),
        ("registers = 4 ", "registers = 61 ", "analyser[2].check[1].registers", "at most max_registers = 60"),
        ("register = 200", "register = 65533", "analyser[2].check[1].register", "at most 65532"),
        (
            "channels = [\"a21002\"]",
            "channels = [\"NOx\"]",
            "analyser[2].check[0].channels[0]",
            "a factor code",
        ),
        (
            "channels = [\"a21002\"]",
            "channels = [\"a21026\"]",
            "analyser[2].check[0].channels",
            "\"a21026\", which is not asked from this analyser; channels of this analyser: a01012, a01014, a21002, z00001",
        ),
        ("# template = \"NAME\" ", "template = \"a\" ", "analyser[1].template", "that is in no file"),
        ("# template = \"NAME\" ", "template = \"../a\" ", "analyser[1].template", "without \".toml\""),
    ]);
}

#[test]
fn each_mistake_of_a_channels_registers_is_named() {
    let bits = "type = \"bits\"\nlow = 4                          # from this bit on; 0 is the least significant\ncount = 4";
    let f64 = "register = 0\ntable = \"input\"\ntype = \"f64\"";
    refused(&[
        ("type = \"bcd16\"", "type = \"ascii\"", "outlet[1].channel[2].type", "\"bcd32\", \"bits\""),
        ("type = \"bcd16\"", "type = \"bit\"", "outlet[1].channel[2].type", "with low and count = 1"),
        (bits, "type = \"bits\"\nlow = 4", "outlet[1].channel[3].count", "how many bits"),
        (bits, "type = \"bits\"\ncount = 4", "outlet[1].channel[3].low", "the bit with which it begins"),
        (bits, "type = \"bits\"\nlow = 9\ncount = 8", "outlet[1].channel[3].count", "at most 7"),
        (bits, "type = \"u16\"\nlow = 9", "outlet[1].channel[3].low", "low only with type = \"bits\""),
        (
            f64,
            "register = 65533\ntable = \"input\"\ntype = \"f64\"",
            "outlet[1].channel[0].register",
            "at most 65532",
        ),
        (f64, "register = 0\ntable = \"coil\"\ntype = \"f64\"", "outlet[1].channel[0].type", "holds one bit"),
        (f64, "register = 0\ntable = \"coil\"\ntype = \"bit\"", "outlet[1].channel[0].order", "no order"),
        (
            f64,
            "register = 0\ntable = \"inputs\"\ntype = \"f64\"",
            "outlet[1].channel[0].table",
            "\"discrete\"",
        ),
        (
            f64,
            "register = 2\ntable = \"input\"\ntype = \"f64\"",
            "outlet[1].channel[1].register",
            "found register 5 of \"a01012\", which overlap registers 2-5 of \"a21002\"; registers that no other value has",
        ),
        (
            "register = 7\ntable = \"input\"\ntype = \"bits\"",
            "register = 6\ntable = \"input\"\ntype = \"bits\"",
            "outlet[1].channel[3].register",
            "only with the same type and order, or as bits",
        ),
    ]);
}

#[test]
fn each_mistake_of_a_channels_value_is_named() {
    let raw = "raw_range = [4000, 20000]";
    let to = "convert_to = \"mg/m3\"";
    let nox = "unit = \"ppm\" ";
    refused(&[
        (raw, "raw_range = [4000, 4000]", "outlet[1].channel[1].raw_range", "two different numbers"),
        (raw, "raw_range = [4000]", "outlet[1].channel[1].raw_range", "two different numbers"),
        (raw, "", "outlet[1].channel[1].raw_range", "found nothing"),
        (
            raw,
            &format!("{raw}\nscale = 2"),
            "outlet[1].channel[1].scale",
            "either scale and offset, or raw_range",
        ),
        (
            raw,
            &format!("{raw}\noffset = 2"),
            "outlet[1].channel[1].offset",
            "either scale and offset, or raw_range",
        ),
        ("value_range = [0, 200]", "", "outlet[1].channel[1].value_range", "found nothing"),
        ("scale = 0.01\nperiod", "scale = 0\nperiod", "outlet[1].channel[2].scale", "other than 0"),
        ("raw_max = 600 ", "raw_max = -5 ", "outlet[1].channel[0].raw_max", "more than raw_min = -5"),
        (
            nox,
            "unit = \"PPM\" ",
            "outlet[1].channel[0].unit",
            "one of the units ppb ppm % ug/m3 mg/m3 g/m3 Pa hPa",
        ),
        (nox, "", "outlet[1].channel[0].convert_to", "also `unit`"),
        (
            to,
            "convert_to = \"kPa\"",
            "outlet[1].channel[0].convert_to",
            "ppm and kPa measure different quantities",
        ),
        (to, "convert_to = \"%\"", "outlet[1].channel[0].molar_mass_g_mol", "from ppm to % no molar mass"),
        (to, "", "outlet[1].channel[0].molar_mass_g_mol", "only together with convert_to"),
        ("molar_mass_g_mol = 46", "", "outlet[1].channel[0].molar_mass_g_mol", "NOx as NO2 46"),
        (
            "molar_mass_g_mol = 46",
            "molar_mass_g_mol = 0",
            "outlet[1].channel[0].molar_mass_g_mol",
            "from 1 to 1000",
        ),
    ]);
}

#[test]
fn each_mistake_of_when_a_value_counts_is_named() {
    let quality = "mask = 0x00FF, good = [0, 192], flag = \"D\"";
    refused(&[
        (
            "period_ms = 60000",
            "period_ms = 7000",
            "outlet[1].channel[2].period_ms",
            "the outlet's period_ms = 5000",
        ),
        ("period_ms = 60000", "period_ms = 35000", "outlet[1].channel[2].period_ms", "divide an hour"),
        ("period_ms = 60000", "period_ms = 7200000", "outlet[1].channel[2].period_ms", "up to 3600000"),
        (
            quality,
            "mask = 0x00FF, good = [], flag = \"D\"",
            "outlet[1].channel[0].quality.good",
            "at least one word",
        ),
        (quality, "mask = 0x00FF, good = [256]", "outlet[1].channel[0].quality.good", "never found"),
        (quality, "good = [0], flag = \"N\"", "outlet[1].channel[0].quality.flag", "\"F\", \"M\""),
        (
            "fresh = { register = 8",
            "fresh = { address = 8, register = 8",
            "outlet[1].channel[2].fresh.address",
            "unknown",
        ),
        ("fresh = { register = 8, table = \"input\" }", "fresh = 8", "outlet[1].channel[2].fresh", "a table"),
        ("constant = 101.325", "constant = \"high\"", "outlet[1].channel[4].constant", "a number"),
        (
            "constant = 101.325",
            "constant = 101.325\nregister = 1",
            "outlet[1].channel[4].register",
            "nothing besides `code` and `constant`",
        ),
    ]);
}

#[test]
fn what_is_longer_than_a_request_is_refused_wherever_it_stands() {
    let text = EXAMPLE.replacen("max_registers = 60", "max_registers = 3", 1);
    let problems = parse("f.toml", &text).unwrap_err();
    let told: Vec<String> =
        problems.0.iter().map(|problem| format!("{} {}", problem.key, problem.found)).collect();
    assert_eq!(
        told,
        [
            "analyser[2].check[1].registers 4 registers that belong together",
            "outlet[1].channel[0].register 4 registers that belong together"
        ]
    );
}

#[test]
fn what_may_share_registers() {
    let again = |code: &str, rest: &str| {
        format!("{EXAMPLE}\n[[outlet.channel]]\ncode = \"{code}\"\nanalyser = \"flow\"\n{rest}")
    };
    let bits = "register = 7\ntable = \"input\"\ntype = \"bits\"\nlow = 0\ncount = 5\n";
    let same = "register = 0\ntable = \"input\"\ntype = \"f64\"\norder = \"DCBA\"\n";
    let table = "register = 1\ntable = \"holding\"\ntype = \"f64\"\n";
    for rest in [bits, same, table] {
        parse("f.toml", &again("a21003", rest)).unwrap_or_else(|problems| panic!("{rest}: {problems}"));
    }
    for rest in [
        bits.replace("count = 5", "count = 5\norder = \"BADC\""),
        same.replace("DCBA", "ABCD"),
        same.replace("f64", "i64"),
        same.replace("register = 0", "register = 3"),
    ] {
        let problems = parse("f.toml", &again("a21003", &rest)).unwrap_err();
        assert_eq!(problems.0[0].key, "outlet[1].channel[5].register", "{rest}");
    }
}

#[test]
fn a_coil_is_a_value() {
    let text = format!(
        "{EXAMPLE}\n[[outlet.channel]]\ncode = \"z00002\"\nanalyser = \"flow\"\nregister = 65535\ntable = \"coil\"\ntype = \"bit\"\n"
    );
    let config = parse("f.toml", &text).unwrap();
    let place = config.outlets[1].channels.last().unwrap().measured().unwrap().place;
    assert_eq!((place.table, place.number, place.address), (Table::Coil, Number::Bit, 65_535));
}

#[test]
fn many_mistakes_are_told_at_once_and_none_follows_from_another() {
    let mut text = EXAMPLE.to_owned();
    for (from, to) in [
        ("baud = 19200", "baud = 1"),
        ("unit = 3 ", "unit = \"three\" "),
        ("type = \"f64\"", "type = \"f80\""),
        ("unit = \"ppm\" ", "unit = \"per mille\" "),
        ("low = 4 ", "low = 16 "),
    ] {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    let problems = parse("f.toml", &text).unwrap_err();
    let keys: Vec<&str> = problems.0.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "line[0].baud",
            "analyser[2].unit",
            "outlet[1].channel[0].type",
            "outlet[1].channel[0].unit",
            "outlet[1].channel[3].low"
        ]
    );
}

#[test]
fn what_is_missing_is_named_all_at_once() {
    let problems = parse("f.toml", "schema = \"gateway/1\"\n").unwrap_err();
    let keys: Vec<&str> = problems.0.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys, ["analyser", "gateway", "mqtt", "outlet"]);
}
