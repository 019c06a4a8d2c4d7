//! Every kind of alert as people read it, in both languages, from alerts as they are made.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::domain::alert::{Alert, AlertKind, Instrument, Outlook, Phase, Place, Severity};
use crate::domain::alerting::{Audience, Language};
use crate::domain::message::{Context, Flavour, Message, Reached, digest, markdown, message, plain, short};

pub(super) const LINK: &str = "https://cems.example/a/3f9c?k=Zm9v";

pub(super) fn zone() -> TimeZone {
    TimeZone::get("Asia/Shanghai").unwrap()
}

/// A time of 21 November 2026 in Shanghai, or of another day of that month.
fn at(text: &str) -> Timestamp {
    let (day, time) = text.split_once(' ').unwrap_or(("21", text));
    let seconds = if time.len() == 5 { ":00" } else { "" };
    format!("2026-11-{day}T{time}{seconds}+08:00").parse().unwrap()
}

fn kiln() -> Place {
    Place {
        code: "jz-cement-01".to_owned(),
        name: "DA001窑尾".to_owned(),
        enterprise: "XX水泥".to_owned(),
        enterprise_code: "91410800000000000X".to_owned(),
        division: "410800".to_owned(),
        contact: String::new(),
    }
}

fn instrument() -> Instrument {
    Instrument {
        analyser: "gas".to_owned(),
        checked_at: Some(at("20 09:30")),
        passed: Some(true),
        out_of_control: false,
        flag: None,
    }
}

/// Of the kiln's SO2 against its permit: 88.0 against 35.
fn of_so2(kind: AlertKind, started_at: &str, when: &str) -> Alert {
    let mut alert = Alert::new(kind, at(started_at), at(when));
    alert.outlet = Some(kiln());
    (alert.channel, alert.pollutant) = (Some("a21026".to_owned()), Some("SO2".to_owned()));
    (alert.rule, alert.rule_kind) = (Some("permit-so2".to_owned()), Some("violation".to_owned()));
    alert.rule_name = Some("许可限值".to_owned());
    (alert.limit, alert.unit, alert.reference_oxygen) = (Some(35.0), Some("mg/m3".to_owned()), Some(10.0));
    alert
}

/// The model of the issue.
fn exceedance() -> Alert {
    let mut alert = of_so2(AlertKind::Exceedance, "02:00", "03:00");
    (alert.measured, alert.oxygen, alert.corrected) = (Some(60.0), Some(13.5), Some(88.0));
    alert.ratio_over = Some(88.0 / 35.0 - 1.0);
    (alert.period, alert.until) = (Some("hour".to_owned()), Some(at("04:00")));
    alert.consecutive = Some(2);
    (alert.valid, alert.expected, alert.part) = (Some(59), Some(60), Some("minute".to_owned()));
    alert.instrument = Some(Instrument { analyser: String::new(), ..instrument() });
    alert
}

fn of_gateway(kind: AlertKind) -> Alert {
    let mut alert = Alert::new(kind, at("03:12:08"), at("03:15"));
    alert.gateway = Some("gw-jz-017".to_owned());
    alert
}

fn share(mut alert: Alert, share: f64, line: f64) -> Alert {
    (alert.share_percent, alert.line_percent) = (Some(share), Some(line));
    alert
}

fn measured(mut alert: Alert, measured: f64, (limit, unit): (f64, &str)) -> Alert {
    (alert.measured, alert.limit, alert.unit) = (Some(measured), Some(limit), Some(unit.to_owned()));
    alert
}

fn because(mut alert: Alert, reason: &str) -> Alert {
    alert.reason = Some(reason.to_owned());
    alert
}

fn of_outlet(kind: AlertKind) -> Alert {
    let mut alert = of_gateway(kind);
    alert.outlet = Some(Place { contact: "窑尾中控 0391-0000000".to_owned(), ..kiln() });
    alert
}

fn of_period(mut alert: Alert, period: &str, until: &str) -> Alert {
    alert.at = "2026-10-31T16:00:00Z".parse().unwrap();
    alert.started_at = alert.at;
    if period == "quarter" {
        alert.at = "2026-09-30T16:00:00Z".parse().unwrap();
    }
    (alert.period, alert.until) = (Some(period.to_owned()), Some(until.parse().unwrap()));
    (alert.gateway, alert.outlet) = (None, Some(kiln()));
    alert
}

/// An alert of a kind as the platform makes it.
fn example(kind: AlertKind) -> Alert {
    match kind {
        AlertKind::Exceedance => exceedance(),
        AlertKind::HourForecast => hour(kind, Some(24.37), Some(at("03:39:20"))),
        AlertKind::HourToDate => hour(kind, None, None),
        AlertKind::EarlyWarning => {
            let mut alert = of_so2(kind, "03:00:06", "03:00:06");
            (alert.measured, alert.oxygen, alert.corrected) = (Some(60.0), Some(13.5), Some(88.0));
            alert.ratio_over = Some(88.0 / 35.0 - 1.0);
            alert
        }
        AlertKind::NotConvertible => {
            let mut alert = Alert::new(kind, at("03:00:06"), at("03:00:06"));
            alert.outlet = Some(kiln());
            (alert.oxygen, alert.limit, alert.unit) = (Some(19.84), Some(19.0), Some("%".to_owned()));
            alert
        }
        AlertKind::AssessmentAtRisk => {
            let mut alert = share(of_outlet(kind), 95.129, 95.0);
            alert.rule_kind = Some("assessment".to_owned());
            alert.rule_name = Some("超低排放".to_owned());
            because(of_period(alert, "month", "2026-11-30T16:00:00Z"), "3 more hours may fail")
        }
        AlertKind::CaptureForecast => {
            of_period(share(of_outlet(kind), 89.999, 90.0), "quarter", "2026-12-31T16:00:00Z")
        }
        AlertKind::EfficiencyAtRisk => {
            of_period(share(of_outlet(kind), 94.2, 95.0), "month", "2026-11-30T16:00:00Z")
        }
        AlertKind::Quota => {
            let mut alert = share(of_period(of_outlet(kind), "year", "2026-12-31T16:00:00Z"), 90.04, 90.0);
            alert.started_at = "2025-12-31T16:00:00Z".parse().unwrap();
            alert.at = at("03:00");
            (alert.rule, alert.pollutant) = (Some("permit-2026-nox".to_owned()), Some("NOx".to_owned()));
            (alert.corrected, alert.limit, alert.unit) = (Some(108.0482), Some(120.0), Some("t".to_owned()));
            alert
        }
        AlertKind::SelfTest => {
            let mut alert = exceedance();
            alert.kind = kind;
            (alert.severity, alert.test) = (Severity::Notice, true);
            alert
        }
        AlertKind::SilentAnalyser
        | AlertKind::SilentGateway
        | AlertKind::SilentGateways
        | AlertKind::AnalyserFault
        | AlertKind::CalibrationOverdue
        | AlertKind::GatewayClock
        | AlertKind::GatewaySpool
        | AlertKind::GatewayCertificate
        | AlertKind::Backlog
        | AlertKind::LinkDown
        | AlertKind::SilentOutlet
        | AlertKind::Conflict
        | AlertKind::Quarantine
        | AlertKind::QuarantineFull
        | AlertKind::LostRange
        | AlertKind::Database
        | AlertKind::ChannelDown
        | AlertKind::DutyGap => of_operation(kind),
    }
}

/// The same of what is not about emissions.
fn of_operation(kind: AlertKind) -> Alert {
    let platform = |kind| Alert::new(kind, at("03:12:08"), at("03:15"));
    match kind {
        AlertKind::SilentAnalyser => {
            let mut alert = of_outlet(kind);
            alert.analyser = Some("gas".to_owned());
            alert
        }
        AlertKind::SilentGateway => {
            let mut alert = of_gateway(kind);
            alert.subjects = (1..=12).map(|number| format!("DA{number:03}")).collect();
            alert.subjects_total = Some(20);
            alert
        }
        AlertKind::SilentGateways => {
            let mut alert = platform(kind);
            alert.subjects = vec!["gw-jz-001".to_owned(), "gw-jz-002".to_owned()];
            alert.subjects_total = Some(2);
            alert
        }
        AlertKind::AnalyserFault => {
            let mut alert = of_outlet(kind);
            alert.instrument = Some(Instrument { flag: Some("D".to_owned()), ..instrument() });
            alert
        }
        AlertKind::CalibrationOverdue => {
            let mut alert = of_outlet(kind);
            alert.instrument = Some(Instrument { out_of_control: true, ..instrument() });
            alert
        }
        AlertKind::GatewayClock => measured(of_gateway(kind), 31.24, (30.0, "s")),
        AlertKind::GatewaySpool => {
            let mut alert = share(of_gateway(kind), 91.7, 90.0);
            (alert.measured, alert.unit) = (Some(5.5), Some("h".to_owned()));
            alert
        }
        AlertKind::GatewayCertificate => {
            let mut alert = measured(of_gateway(kind), 6.0, (7.0, "d"));
            alert.until = Some(at("27 08:00"));
            alert
        }
        AlertKind::Backlog => measured(platform(kind), 432.0, (300.0, "s")),
        AlertKind::LinkDown => platform(kind),
        AlertKind::SilentOutlet => of_outlet(kind),
        AlertKind::Conflict | AlertKind::Quarantine | AlertKind::QuarantineFull | AlertKind::LostRange => {
            because(of_gateway(kind), "record 4711 of 2026-11-20T19:00:06Z is not canonical")
        }
        AlertKind::Database => because(platform(kind), "no answer for 15 s"),
        AlertKind::ChannelDown => because(platform(kind), "duty-sms: status 503"),
        AlertKind::DutyGap => because(platform(kind), "team jz-duty"),
        AlertKind::Exceedance
        | AlertKind::HourForecast
        | AlertKind::HourToDate
        | AlertKind::EarlyWarning
        | AlertKind::NotConvertible
        | AlertKind::AssessmentAtRisk
        | AlertKind::CaptureForecast
        | AlertKind::EfficiencyAtRisk
        | AlertKind::Quota
        | AlertKind::SelfTest => panic!("{kind:?} is about emissions"),
    }
}

fn hour(kind: AlertKind, allowed_mg_m3: Option<f64>, lost_at: Option<Timestamp>) -> Alert {
    let mut alert = of_so2(kind, "03:22", "03:22");
    (alert.period, alert.until) = (Some("hour".to_owned()), Some(at("04:00")));
    alert.outlook = Some(Outlook { mean_mg_m3: 53.36, minutes_over: 22, allowed_mg_m3, lost_at });
    if kind == AlertKind::HourToDate {
        alert = share(alert, 91.428, 90.0);
        alert.outlook =
            Some(Outlook { mean_mg_m3: 32.0, minutes_over: 22, allowed_mg_m3: Some(36.73), lost_at });
    }
    alert
}

/// Who has it already, and by when somebody must answer.
pub(super) fn context() -> Context {
    Context {
        link: Some(LINK.to_owned()),
        acknowledge_by: Some(at("04:20")),
        others: vec![(Audience::Enterprise, Reached::Unread)],
    }
}

fn both(alert: &Alert, context: &Context) -> String {
    let say = |language| plain(&message(alert, language, context, &zone()));
    format!("{}\n\n{}", say(Language::Zh), say(Language::En))
}

#[test]
fn an_hourly_exceedance_says_what_the_issue_asks_for() {
    let message = message(&exceedance(), Language::Zh, &context(), &zone());
    assert_eq!(message.title, "【小时超标·许可限值】XX水泥 DA001窑尾 SO₂");
    assert_eq!(
        message.lines[..3],
        [
            "03:00–04:00 折算88.0,限值35 mg/m³,超标1.51倍,连续第2小时",
            "实测60.0,O₂ 13.5%(基准10%),有效59/60分钟",
            "设备正常,20日标气合格;企业未标记",
        ]
    );
    let text = plain(&message);
    assert!(text.ends_with(&format!("\n企业值班:(已通知,未读) 请04:20前确认 {LINK}")), "{text}");
}

#[test]
fn every_kind_in_both_languages() {
    for kind in AlertKind::ALL {
        insta::assert_snapshot!(kind.name(), both(&example(kind), &context()));
    }
}

#[test]
fn every_phase_of_an_exceedance() {
    for phase in Phase::ALL {
        let mut alert = exceedance();
        alert.phase = phase;
        if phase == Phase::Worsened {
            alert.consecutive = Some(3);
            alert = alert.at_level(3);
            alert.warned_at = Some(at("02:10"));
        }
        if matches!(phase, Phase::Revised | Phase::Withdrawn) {
            let reason = "the hour from 2026-11-20T19:00:00Z is met after recomputation";
            alert.reason = Some(reason.to_owned());
        }
        insta::assert_snapshot!(format!("exceedance-{}", phase.name()), both(&alert, &context()));
    }
}

#[test]
fn every_phase_of_every_kind_has_words() {
    for kind in AlertKind::ALL {
        for phase in Phase::ALL {
            let mut alert = example(kind);
            alert.phase = phase;
            for language in Language::ALL {
                let said = message(&alert, language, &context(), &zone());
                let whole = plain(&said);
                for absent in ["None", "null", "NaN", "Some(", "?;", "? "] {
                    assert!(!whole.contains(absent), "{whole}");
                }
                assert!(said.lines.iter().all(|line| !line.is_empty()), "{whole}");
                let asks = whole.contains("确认 http") || whole.contains("acknowledge by");
                assert_eq!(asks, phase != Phase::Withdrawn, "{whole}");
            }
        }
    }
}

#[test]
fn rules_of_other_kinds_are_called_by_their_names() {
    for (kind, name) in [("assessment", "超低排放"), ("order", "重污染天气橙色预警")] {
        let mut alert = exceedance();
        (alert.rule_kind, alert.rule_name) = (Some(kind.to_owned()), Some(name.to_owned()));
        insta::assert_snapshot!(format!("exceedance-of-{kind}"), both(&alert, &context()));
    }
}

#[test]
fn a_lost_hour_is_said_plainly() {
    let alert = hour(AlertKind::HourForecast, None, None);
    let said = both(&alert, &Context::default());
    assert!(said.contains("\n本小时均值已无法低于限值\n"), "{said}");
    assert!(said.contains("\nthe hour's mean can no longer be kept below the limit\n"), "{said}");
    // Nothing is named that could still be kept.
    assert!(!said.contains("所示") && !said.contains("named level"), "{said}");
}

#[test]
fn words_about_a_unit_are_no_unit_and_shares_are_cut() {
    let mut alert = exceedance();
    alert.unit = Some("the channel's unit".to_owned());
    let said = both(&alert, &Context::default());
    assert!(!said.contains("channel"), "{said}");
    alert.unit = Some("%".to_owned());
    alert.rule_kind = Some("assessment".to_owned());
    (alert.corrected, alert.limit, alert.reference_oxygen) = (Some(94.999), Some(95.0), None);
    let said = both(&alert, &Context::default());
    assert!(said.contains("达标率94.99%,要求不低于95%"), "{said}");
}

#[test]
fn what_is_not_known_is_not_said() {
    for kind in AlertKind::ALL {
        let alert = Alert::new(kind, at("03:00"), at("03:00"));
        insta::assert_snapshot!(format!("bare-{}", kind.name()), both(&alert, &Context::default()));
    }
}

#[test]
fn a_test_cannot_be_taken_for_an_alert() {
    let mut marked = exceedance();
    marked.test = true;
    for alert in [example(AlertKind::SelfTest), marked] {
        let zh = message(&alert, Language::Zh, &context(), &zone());
        assert!(
            zh.title.starts_with("【测试·")
                && zh.lines[0].contains("测试")
                && zh.lines[0].contains("无需处理"),
            "{zh:?}"
        );
        let en = message(&alert, Language::En, &context(), &zone());
        assert!(
            en.title.starts_with("【TEST · ") && en.lines[0].to_lowercase().contains("this is a test"),
            "{en:?}"
        );
    }
}

#[test]
fn others_are_told_of_by_how_far_they_are() {
    let mut context = context();
    context.others = vec![
        (Audience::Enterprise, Reached::Acknowledged { by: "shift A".to_owned() }),
        (Audience::Bureau, Reached::NotTold),
        (Audience::Platform, Reached::Seen),
    ];
    let zh = message(&exceedance(), Language::Zh, &context, &zone());
    let last = "企业值班:(shift A已确认);监管值班:(未通知);平台值班:(已通知,已读) 请04:20前确认";
    assert_eq!(zh.lines.last().unwrap(), last);
}

fn many() -> Vec<Alert> {
    let mut alerts: Vec<Alert> = (0..9).map(|_| example(AlertKind::EarlyWarning)).collect();
    alerts.extend((0..4).map(|_| exceedance()));
    alerts.push(example(AlertKind::SilentGateway));
    alerts
}

#[test]
fn many_are_one_message_with_counts_and_the_gravest_first() {
    let alerts = many();
    let alerts: Vec<&Alert> = alerts.iter().collect();
    let say = |language| plain(&digest(&alerts, 37, language, &zone(), Some(LINK.to_owned())));
    insta::assert_snapshot!("digest", format!("{}\n\n{}", say(Language::Zh), say(Language::En)));
    let none = digest(&[], 3, Language::Zh, &zone(), None);
    assert_eq!((none.title.as_str(), none.lines), ("【告警汇总】共3条", vec!["另有3条".to_owned()]));
}

#[test]
fn every_form_of_an_exceedance() {
    let said = message(&exceedance(), Language::Zh, &context(), &zone());
    for flavour in Flavour::ALL {
        insta::assert_snapshot!(format!("markdown-{flavour:?}"), markdown(&said, flavour));
    }
    insta::assert_snapshot!("short", short(&said, 140));
}

#[test]
fn a_short_form_never_cuts_the_link() {
    let said = message(&exceedance(), Language::Zh, &context(), &zone());
    for most in 0..200 {
        let text = short(&said, most);
        assert!(text.chars().count() <= most, "{text}");
        assert_eq!(text.contains("http"), text.ends_with(&format!(" {LINK}")), "{text}");
    }
    let whole = Message { lines: vec![], ..said };
    assert_eq!(short(&whole, 1000), format!("{} {LINK}", whole.title));
}

#[test]
fn names_cannot_forge_mention_or_link() {
    let mut alert = exceedance();
    let place = alert.outlet.as_mut().unwrap();
    place.enterprise = "【已撤销】\r\n@所有人 <at user_id=\"all\">".to_owned();
    place.name = "[x](https://evil.example/a) # *b* ![i](http://e.example)\u{202e}\u{200b}".to_owned();
    let said = message(&alert, Language::Zh, &Context::default(), &zone());
    assert_eq!(
        said.title,
        "【小时超标·许可限值】(已撤销) ＠所有人 ＜at user_id=\"all\"＞ (x)(https：／/evil．example/a) # *b* !(i)(http：／/e．example) SO₂"
    );
    let text = markdown(&said, Flavour::WeCom);
    let first = text.lines().next().unwrap();
    assert!(first.starts_with("**【小时超标") && first.matches('*').count() == 4, "{first}");
}
