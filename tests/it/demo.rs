//! `cems demo` as a newcomer runs it.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;

use crate::support::servers::folder;
use crate::support::wait::wait_until;

#[tokio::test(flavor = "multi_thread")]
async fn once_ends_with_an_alert_and_nothing_lost() {
    let folder = folder();
    let run = Command::new(env!("CARGO_BIN_EXE_cems"))
        .args(["demo", "--once", "--past-hours", "1", "--listen", "127.0.0.1:0", "--data"])
        .arg(folder.path())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_mins(2), run).await.expect("within 120 s").unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!((report["lost"].as_i64(), report["duplicated"].as_i64()), (Some(0), Some(0)), "{report}");
    assert_eq!(report["readings_served"], report["readings_stored"]);
    assert!(report["readings_served"].as_i64().unwrap() > 200, "{report}");
    let latency = report["register_to_alert_ms"].as_i64().unwrap();
    assert!((0..=2000).contains(&latency), "{latency} ms");
    let alert = &report["alert"];
    assert_eq!(
        (alert["outlet"]["code"].as_str(), alert["channel"].as_str()),
        (Some("demo-cement-kiln"), Some("a21026"))
    );
    assert!((alert["corrected"].as_f64().unwrap() - 88.0).abs() < 3.0, "{alert}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_demo_leaves_nothing_running() {
    let folder = folder();
    let mut demo = Command::new(env!("CARGO_BIN_EXE_cems"))
        .args(["demo", "--past-hours", "0", "--listen", "127.0.0.1:0", "--data"])
        .arg(folder.path())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let name = folder.path().file_name().unwrap().to_str().unwrap().to_owned();
    wait_until(Duration::from_secs(30), "live scans in the ledger", || async {
        let served =
            std::fs::read_to_string(folder.path().join("ledger.jsonl")).unwrap_or_default().lines().count();
        if served > 10 { Ok(()) } else { Err(served) }
    })
    .await;
    assert!(processes_of(&name) >= 2, "its servers run");
    demo.kill().await.unwrap();
    wait_until(Duration::from_secs(10), "its servers to be gone", || async {
        let left = processes_of(&name);
        if left == 0 { Ok(()) } else { Err(left) }
    })
    .await;
}

/// Living processes whose command line names the folder.
fn processes_of(folder: &str) -> usize {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter(|process| {
            let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(folder)
                && !line.starts_with(env!("CARGO_BIN_EXE_cems").as_bytes())
        })
        .count()
}
