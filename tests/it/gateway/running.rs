//! Another configuration while the gateway runs, and what it says of itself: the real binary, its signals, its socket and its page.
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use cems::gateway::reload::{NotReloaded, Reloaded};
use cems::gateway::status::{self, Status};
use cems::mqtt::record::{Body, Event, Record};

use crate::gateway::centre::Centre;
use crate::gateway::stub::{Behaviour, Stub};
use crate::gateway::{Gateway, all, assert_chain, config, events, good, reading, scans, until};
use crate::support::servers::{broker, free_port};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_configuration_holds_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let (broker, stub) = (broker().await, Stub::start().await);
    let centre = Centre::start(broker.port()).await;
    centre.receipt_everything();
    let text = config(folder.path(), broker.port(), &[&stub]);
    let gateway = Gateway::start(&text).await;
    let reloader = gateway.running.reloader();
    let parse = |text: &str| cems::config::gateway::parse("test", text).unwrap();
    let waiting = tokio::spawn(gateway.running.wait());
    until("a scan", || !scans(&all(&centre), "outlet-0").is_empty()).await;

    assert_eq!(reloader.apply(parse(&text)).await.unwrap(), Reloaded::Unchanged);
    let elsewhere = text.replace(&folder.path().join("spool").display().to_string(), "/tmp/elsewhere");
    let refused = reloader.apply(parse(&elsewhere)).await.unwrap_err();
    assert!(matches!(refused, NotReloaded::NeedsRestart("gateway.data_dir")), "{refused}");

    // The second channel is read from another register.
    let other = text.replace("register = 50", "register = 51");
    let taken = reloader.apply(parse(&other)).await.unwrap();
    let current = cems::mqtt::record::Hash(parse(&other).hash);
    let previous = cems::mqtt::record::Hash(parse(&text).hash);
    assert_eq!(taken, Reloaded::Changed { previous, current });
    until("scans under the new one", || {
        scans(&all(&centre), "outlet-0").iter().filter(|scan| reading(scan, "a21002") == good(51.0)).count()
            >= 3
    })
    .await;
    gateway.shutdown.cancel();
    waiting.await.unwrap().unwrap();
    until("the last event", || events(&all(&centre)).last().is_some_and(|last| last == "stop")).await;

    let all = all(&centre);
    assert_chain(&all);
    assert_eq!(events(&all), ["start", "configuration", "stop"]);
    // Each record names the configuration that it was made under, and no tick is missing between them.
    let records: Vec<Record> = all.values().map(|line| Record::decode(line).unwrap()).collect();
    let change = records.iter().position(
        |record| matches!(&record.body, Body::Event(Event { event, .. }) if event == "configuration"),
    );
    for (place, record) in records.iter().enumerate() {
        let before = place < change.unwrap();
        assert_eq!(record.cfg, if before { previous } else { current });
        if let Body::Scan(scan) = &record.body {
            let expected = if before { 50.0 } else { 51.0 };
            assert_eq!(reading(scan, "a21002"), good(expected), "{}", scan.at);
        }
    }
    let ticks: Vec<i64> = scans(&all, "outlet-0").iter().map(|scan| scan.at.as_millisecond()).collect();
    assert!(
        ticks.windows(2).all(|pair| pair[1] - pair[0] <= 1000),
        "at most the tick of the change: {ticks:?}"
    );
}

/// The real binary.
struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// With what it logs in a file beside its configuration.
    fn start(file: &Path) -> Process {
        let log = file.with_extension("log");
        let child = Command::new(env!("CARGO_BIN_EXE_cems"))
            .args(["gateway", "run", "--config"])
            .arg(file)
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn();
        Process { child: child.unwrap(), log }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    fn end(mut self) {
        self.signal(rustix::process::Signal::TERM);
        assert!(self.child.wait().unwrap().success(), "{}", self.log());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _ended_already = self.child.wait();
    }
}

async fn status_of(folder: &Path) -> Option<Status> {
    status::ask(&folder.join("spool")).await.ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_gateway_says_how_it_is_and_takes_signals() {
    let folder = tempfile::tempdir().unwrap();
    let (broker, stub, silent) = (broker().await, Stub::start().await, Stub::start().await);
    silent.behave(Behaviour::Hang);
    let centre = Centre::start(broker.port()).await;
    centre.receipt_everything();
    let page = free_port();
    let text = config(folder.path(), broker.port(), &[&stub, &silent]);
    let text = format!("{text}[status]\nlisten = \"127.0.0.1:{page}\"\n");
    let file = folder.path().join("gateway.toml");
    std::fs::write(&file, &text).unwrap();
    let process = Process::start(&file);

    let path = folder.path().to_owned();
    let seen =
        crate::support::wait::wait_until(crate::gateway::LIMIT, "the status of both analysers", || {
            let path = path.clone();
            async move {
                match status_of(&path).await {
                    Some(status)
                        if status.analysers.len() == 2
                            && status.analysers[1].fault.is_some()
                            && status.last_receipt.is_some() =>
                    {
                        Ok(status)
                    }
                    other => Err(other.map(|status| status.analysers)),
                }
            }
        })
        .await;
    assert_eq!(seen.gateway, "gw-test");
    assert_eq!((seen.analysers[0].capture, &seen.analysers[0].fault), (Some(1.0), &None));
    assert_eq!(seen.analysers[1].capture, Some(0.0));
    assert!(seen.analysers[0].answer_ms_p99.is_some() && seen.parts["broker"].ready);
    assert_eq!(seen.outlets[0].readings.len(), 2);

    shown_to_people(&file, page).await;

    // A wrong file changes nothing, a right one changes all.
    std::fs::write(
        &file,
        text.replace("register = 50", "register = 70000").replace("unit = 7", "unit = 700"),
    )
    .unwrap();
    process.signal(rustix::process::Signal::HUP);
    until("it is refused", || process.log().contains("the configuration is refused, the old one stays"))
        .await;
    let log = process.log();
    assert!(log.contains("channel[1].register") && log.contains("analyser[1].unit"), "every problem: {log}");
    let before = scans(&all(&centre), "outlet-0").len();
    until("scans go on", || scans(&all(&centre), "outlet-0").len() >= before + 3).await;
    assert!(scans(&all(&centre), "outlet-0").iter().all(|scan| reading(scan, "a21002") == good(50.0)));
    std::fs::write(&file, text.replace("register = 50", "register = 51")).unwrap();
    process.signal(rustix::process::Signal::HUP);
    until("the new configuration", || {
        scans(&all(&centre), "outlet-0").last().is_some_and(|scan| reading(scan, "a21002") == good(51.0))
    })
    .await;
    process.end();
    assert!(status_of(folder.path()).await.is_none(), "it has stopped");
    assert!(!folder.path().join("spool/status.sock").exists());
}

/// The same by the command, and as a page.
async fn shown_to_people(file: &Path, page: u16) {
    let shown = Command::new(env!("CARGO_BIN_EXE_cems"))
        .args(["gateway", "status", "--config"])
        .arg(file)
        .output()
        .unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("! analyser a1: no answer in time"), "{shown}");
    let http = cems::central::notify::webhook::client().unwrap();
    let body = |path: &str| {
        let (http, url) = (http.clone(), format!("http://127.0.0.1:{page}{path}"));
        async move { http.get(url).send().await.unwrap().text().await.unwrap() }
    };
    let html = body("/").await;
    assert!(html.contains("<h1>gw-test</h1>") && html.contains("class=\"bad\""), "{html}");
    assert!(body("/metrics").await.contains("cems_gateway_capture_ratio"));
    let json: Status = serde_json::from_str(&body("/status.json").await).unwrap();
    assert_eq!(json.gateway, "gw-test");
}
