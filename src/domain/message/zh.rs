//! 中文 words of a message. `en` says the same.

use crate::domain::alert::{AlertKind, Phase, Severity};
use crate::domain::alerting::Audience;
use crate::domain::message::Reached;
use crate::domain::message::fact::Fact;
use crate::domain::message::figure::Figure;
use crate::domain::message::moment::{Clock, To};
use crate::domain::message::nature::{Against, Nature};

/// One fact.
pub(super) fn say(fact: &Fact, clock: &Clock<'_>) -> String {
    let minute = |at| clock.time(at, To::Minute);
    match fact {
        Fact::Withdrawn => "本告警已撤销,无需处理".to_owned(),
        Fact::Revised => "数据事后更正,本告警仍成立".to_owned(),
        Fact::Formerly => "原报".to_owned(),
        Fact::SelfTest => advice(AlertKind::SelfTest).to_owned(),
        Fact::Test => "这是测试,没有发生任何情况,无需处理".to_owned(),
        Fact::Window(from, until, period) => clock.span(*from, *until, period),
        Fact::At(at, to) => clock.time(*at, *to),
        Fact::AsOf(at) => format!("截至{}", minute(*at)),
        Fact::Since(at, to) => format!("自{}起", clock.time(*at, *to)),
        Fact::Noticed(at) => format!("{}发现", minute(*at)),
        Fact::CountedFrom(at) => format!("自{}起累计", clock.day(*at)),
        Fact::Until(at) => format!("至{}", minute(*at)),
        Fact::Expires(at) => format!("{}到期", minute(*at)),
        Fact::Figure(what, value, unit) => format!("{}{value}{}", figure(*what), unit_of(unit.as_deref())),
        Fact::Over(ratio) => format!("超标{ratio}倍"),
        Fact::BarelyOver => "超标不足0.01倍".to_owned(),
        Fact::Consecutive(count, period) => format!("连续第{count}{}", counted(period)),
        Fact::Oxygen(oxygen, None) => format!("O₂ {oxygen}%"),
        Fact::Oxygen(oxygen, Some(reference)) => format!("O₂ {oxygen}%(基准{reference}%)"),
        Fact::ReferenceOxygen(reference) => format!("基准O₂ {reference}%"),
        Fact::Valid(valid, expected, part) => {
            let of = expected.map_or(String::new(), |expected| format!("/{expected}"));
            format!("有效{valid}{of}{}", part.as_deref().map_or("", counted_part))
        }
        Fact::MinutesOver(minutes) => format!("已过{minutes}分钟"),
        Fact::Allowed(level, unit) => format!("余下时间均值须低于{level}{}", unit_of(unit.as_deref())),
        Fact::LostAt(at) => format!("若维持现状,{}起无法挽回", minute(*at)),
        Fact::Lost => "本小时均值已无法低于限值".to_owned(),
        Fact::Gateway(name) => format!("网关{name}"),
        Fact::Analyser(name) => format!("分析仪{name}"),
        Fact::Trusted => "设备正常".to_owned(),
        Fact::OutOfControl => "设备失控(质控逾期或不合格),数据存疑".to_owned(),
        Fact::Flagged(letter) => format!("设备状态:{}", flag(letter)),
        Fact::Checked(at, passed) => format!("{}标气{}", clock.day(*at), check(*passed)),
        Fact::Marked(mark) => format!("企业标记:{mark}"),
        Fact::Unmarked => "企业未标记".to_owned(),
        Fact::Reason(reason) => format!("原因:{}", clock.told(reason)),
        Fact::MayFail(may_fail, to_come) => format!("其后{to_come}个时段最多还可有{may_fail}个不合格"),
        Fact::OutOfReach(to_come) => format!("其后{to_come}个时段即使全部合格也无法达到"),
        Fact::Subjects(names, total) => subjects(names, *total),
        Fact::WarnedAt(at) => format!("{}已预警", minute(*at)),
        Fact::Contact(contact) => format!("现场联系:{contact}"),
        Fact::Nature(nature) => format!("性质:{}", nature_of(*nature)),
        Fact::Severity(severity) => format!("级别:{}", severity_of(*severity)),
        Fact::Advice(kind) => format!("处置:{}", advice(*kind)),
        Fact::AdviceWhenLost => {
            "处置:本小时已无法挽回。请立即降低排放,使下一小时达标;查明并记录原因和措施。".to_owned()
        }
        Fact::Has(audience, reached) => format!("{}:({})", audience_of(*audience), reached_of(reached)),
        Fact::AcknowledgeBy(at) => format!("请{}前确认", minute(*at)),
    }
}

const fn figure(what: Figure) -> &'static str {
    match what {
        Figure::Corrected => "折算",
        Figure::Mean => "均值",
        Figure::Scan => "瞬时值",
        Figure::ScanCorrected => "瞬时折算",
        Figure::ToDate => "本小时至今均值",
        Figure::Measured => "实测",
        Figure::Used => "已排放",
        Figure::ClockOffset => "时钟偏差",
        Figure::Behind => "滞后",
        Figure::Remaining => "剩余",
        Figure::Value => "数值",
        Figure::Limit => "限值",
        Figure::Permitted => "许可量",
        Figure::CutOff => "折算上限",
        Figure::Bound => "界限",
        Figure::ShareOfLimit => "为限值的",
        Figure::ShareUsed => "已用",
        Figure::ShareMet => "达标率",
        Figure::Capture => "预计有效捕集率",
        Figure::Efficiency => "预计传输有效率",
        Figure::Share => "占比",
        Figure::AtLeast => "要求不低于",
        Figure::Reached => "提醒线",
    }
}

/// What a unit is called after a number.
fn unit_of(unit: Option<&str>) -> String {
    match unit.unwrap_or_default() {
        "" => String::new(),
        "%" => "%".to_owned(),
        "mg/m3" => " mg/m³".to_owned(),
        "m3/h" => " m³/h".to_owned(),
        "C" => "℃".to_owned(),
        "s" => "秒".to_owned(),
        "min" | "minutes" => "分钟".to_owned(),
        "h" | "hours" => "小时".to_owned(),
        "d" | "days" => "天".to_owned(),
        "t" => "吨".to_owned(),
        "events" => "次".to_owned(),
        other => format!(" {other}"),
    }
}

fn counted(period: &str) -> &'static str {
    match period {
        "hour" => "小时",
        "day" => "天",
        "month" => "个月",
        _ => "个时段",
    }
}

fn counted_part(part: &str) -> &'static str {
    match part {
        "minute" => "分钟",
        "hour" => "小时",
        "day" => "天",
        _ => "",
    }
}

fn flag(letter: &str) -> String {
    match letter {
        "F" => "停运".to_owned(),
        "M" => "维护".to_owned(),
        "S" => "人工设定".to_owned(),
        "D" => "故障".to_owned(),
        "C" => "校准".to_owned(),
        "T" => "超量程".to_owned(),
        "B" => "通信故障".to_owned(),
        other => other.to_owned(),
    }
}

const fn check(passed: Option<bool>) -> &'static str {
    match passed {
        Some(true) => "合格",
        Some(false) => "不合格",
        None => "检查",
    }
}

fn subjects(names: &[String], total: u32) -> String {
    if names.is_empty() {
        return format!("涉及{total}个");
    }
    let more = if usize::try_from(total).is_ok_and(|total| total > names.len()) { "等" } else { "" };
    format!("涉及{total}个:{}{more}", names.join("、"))
}

const fn nature_of(nature: Nature) -> &'static str {
    match nature {
        Nature::Violation => "违法(超过排放标准或许可限值)",
        Nature::Assessment => "考核(未达考核要求,不是违法判定)",
        Nature::Order => "管控指令(未执行指令,不是限值超标判定)",
        Nature::Warning(None) => "预警,不作判定",
        Nature::Warning(Some(Against::Violation)) => "预警,不作判定(对照排放标准或许可限值)",
        Nature::Warning(Some(Against::Assessment)) => "预警,不作判定(对照考核要求)",
        Nature::Warning(Some(Against::Order)) => "预警,不作判定(对照管控指令)",
        Nature::Quantity => "总量提醒,不作判定",
        Nature::Operation => "运维告警,不是超标判定",
    }
}

const fn severity_of(severity: Severity) -> &'static str {
    match severity {
        Severity::Notice => "提示",
        Severity::Warning => "警告",
        Severity::Serious => "严重",
        Severity::Critical => "特别严重",
    }
}

const fn audience_of(audience: Audience) -> &'static str {
    match audience {
        Audience::Enterprise => "企业值班",
        Audience::Bureau => "监管值班",
        Audience::Platform => "平台值班",
    }
}

fn reached_of(reached: &Reached) -> String {
    match reached {
        Reached::NotTold => "未通知".to_owned(),
        Reached::Unread => "已通知,未读".to_owned(),
        Reached::Seen => "已通知,已读".to_owned(),
        Reached::Acknowledged { by } => format!("{by}已确认"),
    }
}

/// What has become of an episode, before its name.
pub(super) const fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Begun => "",
        Phase::Worsened => "升级·",
        Phase::Revised => "更正·",
        Phase::Withdrawn => "已撤销·",
    }
}

/// What an exceedance is called, by its period and the kind of its rule.
pub(super) fn exceedance(period: Option<&str>, against: Option<Against>) -> String {
    let period = match period.unwrap_or_default() {
        "minute" => "分钟",
        "5-minute" => "5分钟",
        "10-minute" => "10分钟",
        "30-minute" => "30分钟",
        "hour" => "小时",
        "day" => "日均",
        "month" => "月度",
        "quarter" => "季度",
        "year" => "年度",
        _ => "",
    };
    match against {
        None | Some(Against::Violation) => format!("{period}超标"),
        Some(Against::Assessment) => format!("{period}考核不达标"),
        Some(Against::Order) => format!("{period}违反管控指令"),
    }
}

/// What the rule is called where it has no name.
pub(super) const fn rule(against: Against) -> &'static str {
    match against {
        Against::Violation => "排放限值",
        Against::Assessment => "考核",
        Against::Order => "指令",
    }
}

/// What the other kinds are called.
pub(super) const fn kind(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::Exceedance => "超标",
        AlertKind::HourForecast => "小时超标预测·预警",
        AlertKind::HourToDate => "小时均值预警",
        AlertKind::EarlyWarning => "瞬时值预警",
        AlertKind::NotConvertible => "氧量超上限,无法折算",
        AlertKind::AssessmentAtRisk => "考核预警",
        AlertKind::SilentAnalyser => "分析仪无应答",
        AlertKind::SilentOutlet => "排口无数据",
        AlertKind::SilentGateway => "网关失联",
        AlertKind::SilentGateways => "多个网关同时失联",
        AlertKind::LinkDown => "平台与消息服务器断开",
        AlertKind::AnalyserFault => "分析仪故障",
        AlertKind::CalibrationOverdue => "校准逾期",
        AlertKind::CaptureForecast => "有效捕集率预警",
        AlertKind::EfficiencyAtRisk => "传输有效率预警",
        AlertKind::Conflict => "数据记录冲突",
        AlertKind::Quarantine => "记录被隔离",
        AlertKind::QuarantineFull => "隔离区已满",
        AlertKind::LostRange => "记录丢失",
        AlertKind::Quota => "许可排放量",
        AlertKind::GatewayClock => "网关时钟偏差",
        AlertKind::GatewaySpool => "网关缓存将满",
        AlertKind::GatewayCertificate => "网关证书将到期",
        AlertKind::Database => "数据库异常",
        AlertKind::Backlog => "处理积压",
        AlertKind::ChannelDown => "通知渠道不通",
        AlertKind::DutyGap => "值班空缺",
        AlertKind::SelfTest => "链路自检",
    }
}

/// The first thing to do: what [`AlertKind::advice`] says.
const fn advice(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::Exceedance => "均值高于限值。请联系企业值班,检查治理设施,记录原因和措施。",
        AlertKind::HourForecast => {
            "本小时尚未结束:在所示时刻之前把排放降到所示水平以下,小时均值即可低于限值。"
        }
        AlertKind::HourToDate => "本小时至今的均值接近限值,尚未判定。请立即检查负荷、燃料和治理设施。",
        AlertKind::EarlyWarning => "单次扫描高于预警线,时段尚未判定。企业仍可把均值降到限值以下。",
        AlertKind::NotConvertible => "氧量高于折算上限,无法判定。请检查是否漏风、挡板未关或污染源已停运。",
        AlertKind::AssessmentAtRisk => {
            "本月达标小时比例可能不足。请看还允许多少小时不达标,并据此安排本月余下时间。"
        }
        AlertKind::SilentAnalyser => "网关在运行,但这台分析仪没有应答。请检查其电源、网线和Modbus设置。",
        AlertKind::SilentOutlet => "网关在运行,但该排口没有任何分析仪应答。请检查站房的电源、网络和交换机。",
        AlertKind::SilentGateway => "收不到该网关的任何数据。请检查其电源和网络;读数保存在网关缓存中。",
        AlertKind::SilentGateways => {
            "多个网关同时失联。请检查它们共用的部分:网络运营商、消息服务器地址、证书。读数保存在各网关缓存中。"
        }
        AlertKind::LinkDown => {
            "中心连不上MQTT消息服务器,收不到任何网关的数据。请检查消息服务器及到它的网络。"
        }
        AlertKind::AnalyserFault => "分析仪自报故障,其数值不计。请报修,期间按规定进行手工监测。",
        AlertKind::CalibrationOverdue => "自到期时起分析仪失控,数据不计。请校准并记录结果。",
        AlertKind::CaptureForecast => {
            "即使此后一切正常,本季度有效捕集率也可能不达标。请查明缺失了哪些小时及原因。"
        }
        AlertKind::EfficiencyAtRisk => {
            "传输有效率可能不达标。请查找迟到或缺失的小时,并把仍在缓存中的数据发出。"
        }
        AlertKind::Conflict => {
            "出现与已存记录位置相同而内容不同的第二条记录。以先存的为准,两条均保留。按疑似篡改处理。"
        }
        AlertKind::Quarantine => "记录未被接收,已连同原因完整保存。请排除原因,再从隔离区重试。",
        AlertKind::QuarantineFull => {
            "被拒记录现留在网关缓存中,缓存会逐渐变满。请排除原因,再用 `cems quarantine retry` 或 `discard` 腾出空间。"
        }
        AlertKind::LostRange => "网关丢失了别处没有的记录。请登记缺失时段,并检查网关磁盘。",
        AlertKind::Quota => "许可排放量已用去一部分。请对照剩余时间核对进度,安排减排或申请变更。",
        AlertKind::GatewayClock => "网关时钟不准,读数的时间因此有误。请在偏差扩大前检查其对时服务(NTP)。",
        AlertKind::GatewaySpool => "网关无法上传测得的数据,磁盘逐渐变满。请检查其连接,注意还剩多少小时。",
        AlertKind::GatewayCertificate => "证书到期后网关将无法连接。请签发新证书并放到位,无需重启。",
        AlertKind::Database => {
            "数据库无应答或无法存储,因此不能判定;读数在各网关中等待。请检查其服务器和磁盘。"
        }
        AlertKind::Backlog => "任务积压,结果延迟。请查看数据库和各中心的负荷;若持续,增加一个中心。",
        AlertKind::ChannelDown => {
            "告警无法经该渠道送达;有其他渠道的人员改由其他渠道通知。请检查其地址、密钥和服务。"
        }
        AlertKind::DutyGap => "该班组目前无人值班,已改为通知默认班组。请补齐值班表。",
        AlertKind::SelfTest => "这是对通知链路的测试。没有发生任何情况,无需处理。",
    }
}
