//! What tests read of messages: `support::told` itself.

use cems::domain::alert::{Alert, AlertKind};
use cems::store::migrate::migrate;
use jiff::SignedDuration;

use crate::support::database::database;
use crate::support::told::{TIME, told, without_times};

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_alert_of_a_kind_and_phase_is_told() {
    let database = database().await;
    let mut client = database.client().await;
    migrate(&mut client).await.unwrap();
    let at = "2026-11-20T19:00:00Z".parse().unwrap();
    for (seconds, gateway) in [(0, "gw-old"), (60, "gw-new")] {
        let mut alert = Alert::new(AlertKind::SilentGateway, at, at);
        alert.gateway = Some(gateway.to_owned());
        let now = at + SignedDuration::from_secs(seconds);
        cems::store::alert::put(&client, &alert, (0, 1), now).await.unwrap();
    }
    let (zh, en) = told(&client, "silent-gateway", "begun").await;
    assert!(zh.contains("gw-new") && zh.contains(TIME), "{zh}");
    assert!(en.contains("gw-new") && en.contains(TIME), "{en}");
}

#[test]
fn times_give_way_and_nothing_else_does() {
    assert_eq!(
        without_times("03:00–04:00 折算88.0,限值35 mg/m³,连续第2小时"),
        "<time>–<time> 折算88.0,限值35 mg/m³,连续第2小时"
    );
    assert_eq!(without_times("自11月20日03:00起,20日标气合格"), "自<time>起,<time>标气合格");
    assert_eq!(without_times("since 20 Nov 03:00:02, 59/60 minutes"), "since <time>, 59/60 minutes");
    assert_eq!(without_times("expires 26 Dec 05:13, since 26 Nov 2026"), "expires <time>, since <time>");
    assert_eq!(without_times("2026年第4季度;Q4 2026;2026年11月"), "<time>;<time>;<time>");
    assert_eq!(without_times("20 Nov 2025, Nov 2026, gw-1 2 may fail"), "<time>, <time>, gw-1 2 may fail");
}
