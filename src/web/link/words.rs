//! The words of the page around the message, in each language.

use crate::domain::alerting::{Audience, Language};

/// Everything that the page says by itself.
pub(super) struct Words {
    pub html: &'static str,
    pub other: &'static str,
    pub other_language: &'static str,
    pub title: &'static str,
    pub until: &'static str,
    pub nobody: &'static str,
    pub has: &'static str,
    pub given_to: &'static str,
    pub closed_by: &'static str,
    pub more_told_at: &'static str,
    pub name: &'static str,
    pub acknowledge: &'static str,
    pub comment: &'static str,
    pub comment_field: &'static str,
    pub close: &'static str,
    pub reason: &'static str,
    pub action: &'static str,
    pub choose: &'static str,
    pub close_field: &'static str,
    pub history: &'static str,
    pub missing_name: &'static str,
    pub missing_codes: &'static str,
    pub missing_text: &'static str,
    pub missing_words: &'static str,
}

const ZH: Words = Words {
    html: "zh-CN",
    other: "en",
    other_language: "English",
    title: "告警处理",
    until: "链接有效至",
    nobody: "尚无人确认。",
    has: "已确认:",
    given_to: "指派给:",
    closed_by: "已关闭:",
    more_told_at: "未确认将升级通知:",
    name: "您的姓名",
    acknowledge: "我来处理(确认)",
    comment: "添加说明",
    comment_field: "说明",
    close: "关闭告警",
    reason: "原因",
    action: "处置措施",
    choose: "请选择",
    close_field: "补充说明",
    history: "处理记录",
    missing_name: "请填写您的姓名。未作任何更改。",
    missing_codes: "请选择原因和处置措施。未作任何更改。",
    missing_text: "说明须为 1 至 2000 个字。未作任何更改。",
    missing_words: "选择该原因时请补充说明。未作任何更改。",
};

const EN: Words = Words {
    html: "en",
    other: "zh",
    other_language: "中文",
    title: "Alert",
    until: "This link works until",
    nobody: "Nobody has it yet.",
    has: "Acknowledged by",
    given_to: "Given to",
    closed_by: "Closed by",
    more_told_at: "Unless somebody acknowledges, more people are told at",
    name: "Your name",
    acknowledge: "I have it (acknowledge)",
    comment: "Add a comment",
    comment_field: "Comment",
    close: "Close",
    reason: "Reason",
    action: "Action taken",
    choose: "Choose one",
    close_field: "More about it",
    history: "History",
    missing_name: "Please give your name. Nothing was changed.",
    missing_codes: "Please choose a reason and an action. Nothing was changed.",
    missing_text: "A comment has 1 to 2000 characters. Nothing was changed.",
    missing_words: "This reason needs a few words more. Nothing was changed.",
};

/// The words of a language.
pub(super) const fn words(language: Language) -> &'static Words {
    match language {
        Language::Zh => &ZH,
        Language::En => &EN,
    }
}

/// An audience, for people.
pub(super) const fn audience(audience: Audience, language: Language) -> &'static str {
    match (audience, language) {
        (Audience::Enterprise, Language::Zh) => "企业",
        (Audience::Bureau, Language::Zh) => "生态环境部门",
        (Audience::Platform, Language::Zh) => "平台运维",
        (Audience::Enterprise, Language::En) => "Enterprise",
        (Audience::Bureau, Language::En) => "Bureau",
        (Audience::Platform, Language::En) => "Platform",
    }
}

/// What somebody did, for people; as it is where there are no words for it.
pub(super) fn deed(what: &str, language: Language) -> &str {
    match (what, language) {
        ("told", Language::Zh) => "已通知",
        ("seen", Language::Zh) => "已读",
        ("acknowledged", Language::Zh) => "确认",
        ("assigned", Language::Zh) => "指派",
        ("commented", Language::Zh) => "说明",
        ("closed", Language::Zh) => "关闭",
        ("link-refused", Language::Zh) => "链接被拒",
        ("link-refused", Language::En) => "link refused",
        (other, Language::Zh | Language::En) => other,
    }
}

/// Why a link opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::web) enum Why {
    /// Nobody here signed it, or it is cut off.
    Wrong,
    Expired,
    /// It has done this before.
    Reused,
    /// There is nothing to handle.
    Nothing,
    TooMany,
    /// The database does not answer.
    NotNow,
}

impl Why {
    /// As it is counted and noted.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Why::Wrong => "wrong",
            Why::Expired => "expired",
            Why::Reused => "reused",
            Why::Nothing => "nothing-to-handle",
            Why::TooMany => "too-many",
            Why::NotNow => "not-now",
        }
    }

    /// For people, in both languages: whose it is is not known.
    pub(super) const fn texts(self) -> (&'static str, &'static str) {
        match self {
            Why::Wrong => (
                "此链接无效。请完整复制消息中的链接。未作任何更改。",
                "This link is not valid. Copy it whole from the message. Nothing was changed.",
            ),
            Why::Expired => (
                "此链接已过期。请联系值班室或登录平台处理。未作任何更改。",
                "This link has expired. Call the duty desk, or use the platform. Nothing was changed.",
            ),
            Why::Reused => (
                "此链接已用于该操作,不能重复使用。未作任何更改。",
                "This link has been used for that already and does it only once. Nothing was changed.",
            ),
            Why::Nothing => (
                "此告警没有待处理事项。未作任何更改。",
                "There is nothing to handle about this alert. Nothing was changed.",
            ),
            Why::TooMany => (
                "错误链接过多,请一分钟后再试。未作任何更改。",
                "Too many wrong links lately; try again in a minute. Nothing was changed.",
            ),
            Why::NotNow => (
                "系统暂时无法应答,请稍后再试。未作任何更改。",
                "The platform cannot answer now; try again shortly. Nothing was changed.",
            ),
        }
    }
}
