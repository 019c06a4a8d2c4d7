//! Three analysers on one RTU line, by configuration alone: one whose map names a register that is not there, one that falls silent, one
//! that does not measure what the configuration says.
use std::fmt::Write as _;

use cems::domain::flag::Flag;
use cems::domain::scan::{Reading, Scan};
use cems::mqtt::record::{Body, Event, Record};

use crate::gateway::centre::Centre;
use crate::gateway::rtu_stub::{Behaviour, LAST_ADDRESS, RtuStub, held};
use crate::gateway::{Gateway, all, good, reading, scans, until};
use crate::support::servers::broker;

fn configuration(folder: &std::path::Path, broker: u16, stub: &RtuStub) -> String {
    let mut text = format!(
        "schema = \"gateway/1\"\n[gateway]\nname = \"gw-test\"\ndata_dir = \"{}\"\n[mqtt]\nurl = \"mqtt://127.0.0.1:{broker}\"\n\
         [[line]]\nname = \"bus\"\nlink = \"rtu+tcp://127.0.0.1:{}\"\nslowest_answer_ms = 300\n",
        folder.join("spool").display(),
        stub.port()
    );
    for unit in 1..=3 {
        write!(text, "[[analyser]]\nname = \"a{unit}\"\nline = \"bus\"\nunit = {unit}\ntimeout_ms = 200\n")
            .unwrap();
    }
    text.push_str(
        "[[analyser.check]]\nname = \"measuring range\"\nregister = 20\ntype = \"u16\"\nexpect = 500\n",
    );
    text.push_str("[[outlet]]\ncode = \"o\"\nperiod_ms = 1000\n");
    for (code, analyser, register) in [
        ("a21026", "a1", 10),
        ("a21002", "a1", LAST_ADDRESS),
        ("a19001", "a1", LAST_ADDRESS + 1),
        ("a34013", "a2", 5),
        ("a01012", "a3", 7),
    ] {
        write!(
            text,
            "[[outlet.channel]]\ncode = \"{code}\"\nanalyser = \"{analyser}\"\nregister = {register}\ntype = \"u16\"\n"
        )
        .unwrap();
    }
    text
}

fn told(centre: &Centre, name: &str) -> Vec<Event> {
    let records = all(centre);
    let bodies = records.values().map(|line| Record::decode(line).unwrap().body);
    let events = bodies.filter_map(|body| match body {
        Body::Event(event) if event.event == name => Some(event),
        Body::Event(_) | Body::Scan(_) => None,
    });
    events.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn analysers_on_one_line_cost_each_other_nothing_but_time() {
    let folder = tempfile::tempdir().unwrap();
    let (broker, stub) = (broker().await, RtuStub::behind_a_port(&[1, 2, 3]).await);
    let centre = Centre::start(broker.port()).await;
    centre.receipt_everything();
    let gateway = Gateway::start(&configuration(folder.path(), broker.port(), &stub)).await;
    let held = |unit, address| good(f64::from(held(unit, address)));
    let well = |scan: &Scan| {
        reading(scan, "a21026") == held(1, 10)
            && reading(scan, "a21002") == held(1, LAST_ADDRESS)
            && reading(scan, "a19001") == Reading::NO_ANSWER
            && reading(scan, "a34013") == held(2, 5)
            && reading(scan, "a01012") == Reading { flag: Flag::Fault, ..held(3, 7) }
    };
    let latest = |holds: &dyn Fn(&Scan) -> bool| scans(&all(&centre), "o").last().is_some_and(holds);
    until("what can be read is read beside the register that is not there", || latest(&well)).await;
    let refused = told(&centre, "registers-refused");
    assert_eq!((refused.len(), refused[0].detail["registers"].as_str()), (1, "holding 2048"));
    let checks = told(&centre, "analyser-check");
    assert_eq!(checks.len(), 1, "told once");
    let said = |key: &str| checks[0].detail[key].as_str();
    let found = crate::gateway::rtu_stub::held(3, 20).to_string();
    assert_eq!([said("expected"), said("found"), said("agrees")], ["500", &found, "false"]);

    stub.behave(2, Behaviour::Hang);
    let silent = |scan: &Scan| {
        reading(scan, "a34013") == Reading::NO_ANSWER
            && reading(scan, "a21026") == held(1, 10)
            && reading(scan, "a01012").value.is_some()
    };
    until("the silent one is flagged and the others go on", || latest(&silent)).await;
    let from = scans(&all(&centre), "o").len();
    until("more scans", || scans(&all(&centre), "o").len() >= from + 4).await;
    assert!(scans(&all(&centre), "o")[from..].iter().all(silent), "every one of them");
    stub.behave(2, Behaviour::Serve);
    until("it comes back by itself", || latest(&well)).await;
    gateway.stop().await;
    assert!(scans(&all(&centre), "o").iter().all(|scan| {
        let value = reading(scan, "a34013");
        value == held(2, 5) || value == Reading::NO_ANSWER
    }));
}
