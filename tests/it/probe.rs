//! `cems probe`, `cems poll` and `cems gateway plan` as a user runs them, on slaves that are not of our making and on one that
//! answers little.

use std::fmt::Write as _;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use cems::clock::monotonic;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::pymodbus;
use crate::support::servers::free_port;
use crate::support::wait::wait_until;

/// What the default ranges may take.
const PROMISED: Duration = Duration::from_secs(10);

async fn cems(arguments: &str) -> Output {
    let arguments: Vec<String> = arguments.split_whitespace().map(str::to_owned).collect();
    tokio::process::Command::new(env!("CARGO_BIN_EXE_cems")).args(arguments).output().await.unwrap()
}

async fn json(arguments: &str, code: i32) -> Value {
    let output = cems(&format!("{arguments} --json")).await;
    assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

async fn listening(port: u16) {
    wait_until(Duration::from_secs(30), "the slave listens", || TcpStream::connect(("127.0.0.1", port)))
        .await;
}

/// The line for the configuration that a found value has, in short.
fn best(expected: &Value) -> String {
    let best = &expected["found"][0];
    let word = |key: &str| best[key].as_str().unwrap().to_owned();
    format!(
        "unit {} {} {} {} {} x {}",
        best["unit"],
        word("table"),
        best["register"],
        word("type"),
        word("order"),
        best["scale"]
    )
}

/// Two units answer, eight are silent, on a line that bears one question at a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_float_is_found_with_type_order_and_scale_within_ten_seconds() {
    let Some((_server, port)) = pymodbus::start_rtu_over_tcp() else { return };
    listening(port).await;
    let started = monotonic();
    let found = json(
        &format!(
            "probe rtu+tcp://127.0.0.1:{port} --expect 31.25 --expect -0.1563 --expect -1.15625 --expect 0.03125 \
             --expect 4000000.001 --expect 65.00"
        ),
        0,
    )
    .await;
    let took = started.elapsed();
    assert!(took < PROMISED, "{took:?}");
    println!("the probe took {took:?}");
    let units: Vec<&Value> = found["units"].as_array().unwrap().iter().map(|unit| &unit["unit"]).collect();
    assert_eq!(units, [1, 2]);
    assert_eq!(found["silent"], serde_json::json!([3, 4, 5, 6, 7, 8, 9, 10]));
    let best: Vec<String> = found["expected"].as_array().unwrap().iter().map(best).collect();
    assert_eq!(best[0], "unit 1 holding 10 f32 ABCD x 1.0");
    assert_eq!(best[1], "unit 1 holding 12 f32 CDAB x 1.0");
    assert_eq!(best[3], "unit 1 holding 10 f32 ABCD x 0.001", "a scaled float");
    assert_eq!(best[4], "unit 1 holding 2 u32 ABCD x 0.001");
    assert_eq!(best[5], "unit 1 holding 0 u16 ABCD x 0.001");
    let orders = |expected: &Value| -> Vec<String> {
        let found =
            expected["found"].as_array().unwrap().iter().filter(|one| one["doubt"].as_u64() < Some(2));
        found.map(|one| format!("{} {}", one["register"], one["order"].as_str().unwrap())).collect()
    };
    let four = orders(&found["expected"][2]);
    for expected in ["162 ABCD", "164 CDAB", "166 BADC", "168 DCBA"] {
        assert!(four.iter().any(|one| one == expected), "{expected} in {four:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_answers_to_any_unit_is_told_once() {
    let Some((_server, port)) = pymodbus::start() else { return };
    listening(port).await;
    let output = cems(&format!("probe tcp://127.0.0.1:{port} --unit 1-4 --expect 31.3")).await;
    assert_eq!(output.status.code(), Some(0));
    let told = text(&output.stdout);
    for line in [
        "units 3-4 hold the same as unit 1: this device seems to answer to any unit",
        "unit 2, holding: 0-200 answered",
        "31.3 within 1 % is here, the best first:",
        "  register = 10  table = \"holding\"  type = \"f32\"  order = \"ABCD\"  scale = 1.0",
    ] {
        assert!(told.lines().any(|found| found.starts_with(line)), "{line} in\n{told}");
    }
    assert!(!told.contains("unit 3, holding"), "{told}");
    let row = told.lines().find(|line| line.starts_with("      10 ")).unwrap();
    assert_eq!(
        row.split_whitespace().collect::<Vec<_>>(),
        ["10", "41fa", "16890", "1106903040", "16890", "31.25*", "2.367e-41", "1,3-8,14"]
    );
    let nowhere =
        cems(&format!("probe tcp://127.0.0.1:{port} --unit 1 --registers 0-60 --expect 7.777e9")).await;
    assert_eq!(nowhere.status.code(), Some(3));
    assert!(text(&nowhere.stdout).contains("7777000000: no register holds it within 1 %"));
}

/// How many connections a device serves at the same time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Serves {
    Many,
    One,
}

/// Only unit 7 is there. It has holding registers 0 to 49 and 100 to 119, where 3 counts and the others hold their address; no input
/// registers.
async fn serve_little(serves: Serves) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::new(AtomicU16::new(0));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let conversation = converse(stream, Arc::clone(&count));
            match serves {
                Serves::Many => drop(tokio::spawn(conversation)),
                Serves::One => conversation.await,
            }
        }
    });
    port
}

async fn converse(mut stream: TcpStream, count: Arc<AtomicU16>) {
    let mut request = [0; 12];
    while stream.read_exact(&mut request).await.is_ok() {
        if request[6] == 7 && stream.write_all(&answer(request, &count)).await.is_err() {
            return;
        }
    }
}

fn answer(request: [u8; 12], count: &AtomicU16) -> Vec<u8> {
    let number = |at: usize| u16::from_be_bytes([request[at], request[at + 1]]);
    let (first, last) = (number(8), number(8) + number(10) - 1);
    let inside = |from, to| (from..=to).contains(&first) && (from..=to).contains(&last);
    let pdu = match request[7] {
        3 if inside(0, 49) || inside(100, 119) => {
            let mut pdu = vec![3, (number(10) * 2) as u8];
            for address in first..=last {
                let word = if address == 3 { count.fetch_add(1, Ordering::Relaxed) } else { address };
                pdu.extend(word.to_be_bytes());
            }
            pdu
        }
        3 => vec![0x83, 2],
        other => vec![other | 0x80, 1],
    };
    let mut answer = request[..4].to_vec();
    answer.extend([0, (pdu.len() + 1) as u8, 7]);
    answer.extend(pdu);
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_registers_silent_units_and_what_moves() {
    let port = serve_little(Serves::Many).await;
    let started = monotonic();
    let found = json(&format!("probe tcp://127.0.0.1:{port}"), 0).await;
    let took = started.elapsed();
    println!("the probe took {took:?}");
    assert!(took < PROMISED, "{took:?}");
    assert_eq!(found["silent"], serde_json::json!([1, 2, 3, 4, 5, 6, 8, 9, 10]));
    let [holding, input] = found["units"][0]["tables"].as_array().unwrap().as_slice() else {
        panic!("{found}")
    };
    let registers: Vec<u64> = holding["registers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["register"].as_u64().unwrap())
        .collect();
    assert!(registers.iter().copied().eq((0..50).chain(100..120)), "{registers:?}");
    assert_eq!(holding["refused"].as_array().unwrap().len(), 201 - 70);
    let moved = holding["registers"].as_array().unwrap().iter().filter(|one| one["moved"] == true);
    assert_eq!(moved.map(|one| &one["register"]).collect::<Vec<_>>(), [3]);
    assert_eq!(
        (input["refused"].as_array().unwrap().len(), input["registers"].as_array().unwrap().len()),
        (201, 0)
    );
    assert_eq!(input["remark"], "the unit does not know this table (illegal function)");
}

/// Most connections get no answer: their units are asked again, one by one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_serves_one_connection_is_found() {
    let port = serve_little(Serves::One).await;
    let arguments = format!("probe tcp://127.0.0.1:{port} --timeout-ms 200 --registers 0-9 --table holding");
    let found = json(&arguments, 0).await;
    assert_eq!(found["silent"], serde_json::json!([1, 2, 3, 4, 5, 6, 8, 9, 10]));
    assert_eq!(found["units"][0]["tables"][0]["registers"].as_array().unwrap().len(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_there_is_told_with_what_to_try() {
    let port = serve_little(Serves::Many).await;
    let output = cems(&format!("probe tcp://127.0.0.1:{port} --unit 1-3 --timeout-ms 50")).await;
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stdout).contains("no unit answers; try other units"), "{output:?}");
    let output = cems(&format!("probe tcp://127.0.0.1:{}", free_port())).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("no link to tcp://127.0.0.1:"), "{output:?}");
    for (arguments, told) in [
        ("tcp://127.0.0.1", "a line is tcp://HOST:PORT, rtu+tcp://HOST:PORT or rtu:///dev/DEVICE"),
        ("tcp://a:1 --expect 0", "0 is in too many registers"),
        ("tcp://a:1 --registers 9-3", "a range is FIRST-LAST or one number; found \"9-3\""),
        ("tcp://a:1 --table coils", "a table is holding, input, coil or discrete; found \"coils\""),
        ("tcp://a:1 --tolerance 60%", "a tolerance is a share from 0 to 50 %"),
        ("rtu:///dev/ttyUSB0 --unit 0-3", "--unit: found 0; an RTU line has units 1 to 247"),
    ] {
        let output = cems(&format!("probe {arguments}")).await;
        assert_eq!(output.status.code(), Some(2), "{arguments}");
        assert!(text(&output.stderr).contains(told), "{arguments}: {output:?}");
        assert!(output.stdout.is_empty(), "{arguments}");
    }
    let help = text(&cems("probe --help").await.stdout);
    assert!(help.contains("Only the functions 1 to 4 are ever used"), "{help}");
}

/// A configuration for a slave of pymodbus.
fn config(port: u16, more: &str) -> tempfile::NamedTempFile {
    let text = format!(
        "schema = \"gateway/1\"\n[gateway]\nname = \"gw-test\"\ndata_dir = \"/nowhere\"\n[mqtt]\nurl = \"mqtt://127.0.0.1:1\"\n\
         [[analyser]]\nname = \"gas\"\nlink = \"tcp://127.0.0.1:{port}\"\nunit = 1\ntimeout_ms = 700\n\
         [analyser.status]\nregister = 90\nrules = [{{ bit = 3, flag = \"C\" }}]\n\
         [[analyser]]\nname = \"dust\"\nlink = \"tcp://127.0.0.1:{port}\"\nunit = 2\n\
         [[outlet]]\ncode = \"DA001\"\nperiod_ms = 2000\n\
         [[outlet.channel]]\ncode = \"a21026\"\nanalyser = \"gas\"\nregister = 10\ntype = \"f32\"\n\
         [[outlet.channel]]\ncode = \"a19001\"\nanalyser = \"gas\"\nregister = 0\ntype = \"u16\"\nscale = 0.001\n\
         [[outlet.channel]]\ncode = \"a34013\"\nanalyser = \"dust\"\ntable = \"input\"\nregister = 164\ntype = \"f32\"\norder = \"CDAB\"\n{more}"
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn poll_once_shows_words_values_and_flags() {
    let Some((_server, port)) = pymodbus::start() else { return };
    listening(port).await;
    let file = config(port, "");
    let polled = json(&format!("poll --once --config {}", file.path().display()), 0).await;
    let channel = |index: usize| {
        let channel = &polled["channels"][index];
        (
            channel["channel"].as_str().unwrap(),
            channel["words"].clone(),
            channel["value"].as_f64(),
            channel["flag"].clone(),
        )
    };
    assert_eq!(channel(0), ("a19001", serde_json::json!([65_000]), Some(65.0), "C".into()));
    assert_eq!(channel(1), ("a21026", serde_json::json!([0x41FA, 0]), Some(31.25), "C".into()));
    // Of unit 2, input registers.
    assert_eq!(channel(2), ("a34013", serde_json::json!([0x5000, 0xC2CC]), Some(-102.15625), "N".into()));
    assert_eq!(polled["channels"][1]["others"][0]["word"], 8, "the status register");
    assert!(polled["channels"][1]["answer_ms"].as_f64().is_some());
    assert_eq!(
        (&polled["analysers"][0]["answered"], &polled["analysers"][0]["fault"]),
        (&3.into(), &Value::Null)
    );

    let more = "[[outlet.channel]]\ncode = \"a21002\"\nanalyser = \"gas\"\nregister = 700\ntype = \"u16\"\n";
    let file = config(port, more);
    let output = cems(&format!("poll --once --config {}", file.path().display())).await;
    assert_eq!(output.status.code(), Some(3), "a channel has no value");
    let told = text(&output.stdout);
    let row = told.lines().find(|line| line.contains("a19001")).unwrap();
    let row: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(row[..10], ["a19001", "gas", "holding", "0", "u16", "ABCD", "fde8", "65000", "x", "0.001"]);
    assert_eq!((row[10], row[12..].join(" ")), ("65", "ms C calibration (holding 90 = 0008)".to_owned()));
    assert!(told.contains("it refuses holding 700: check table, address and type"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn poll_without_a_link_says_so() {
    let port = free_port();
    let file = config(port, "");
    let output = cems(&format!("poll --once --config {}", file.path().display())).await;
    assert_eq!(output.status.code(), Some(3));
    let told = text(&output.stdout);
    assert!(told.contains("0 requests answered, 1 not; fault: no link: Connection refused"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_plan_of_a_gateway() {
    let file = config(5020, "");
    let path = file.path().display();
    let output = cems(&format!("gateway plan --config {path}")).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let expected = "\
line tcp://127.0.0.1:5020
  analyser         unit  outlet          table   registers count  used     every    takes
  gas                 1  DA001         holding           0     1     1       2 s   5.0 ms
  gas                 1  DA001         holding       10-11     2     2       2 s   5.0 ms
  gas                 1  DA001         holding          90     1     1       2 s   5.0 ms
  dust                2  DA001           input     164-165     2     2       2 s   5.0 ms
  4 requests when all are due: 20.0 ms of 2000 ms, 1.0 %: it fits
  with one analyser silent 1000 ms more: it fits

";
    assert_eq!(text(&output.stdout), expected);
    let plan = json(&format!("gateway plan --config {path}"), 0).await;
    let request = &plan["lines"][0]["requests"][1];
    assert_eq!(
        (&request["function"], &request["first"], &request["last"]),
        (&3.into(), &10.into(), &11.into())
    );
    assert_eq!(plan["lines"][0]["fits"], true);
}

/// What does not fit is shown, and is a problem.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_that_cannot_fit_is_wrong_input() {
    let mut more = "[[outlet]]\ncode = \"DA002\"\nperiod_ms = 500\n".to_owned();
    for channel in 0..100 {
        let register = channel * 100;
        write!(
            more,
            "[[outlet.channel]]\ncode = \"a{channel:05}\"\nanalyser = \"dust\"\nregister = {register}\ntype = \"u16\"\n"
        )
        .unwrap();
    }
    let file = config(5020, &more);
    let output = cems(&format!("gateway plan --config {}", file.path().display())).await;
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(text(&output.stderr).contains("that take 520 ms, with a period of 500 ms"), "{output:?}");
}
