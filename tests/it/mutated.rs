//! Two hundred configurations with a mistake in each, the same at every run: none makes a program panic, and what is refused is refused
//! whole, with file, line and key, before anything is opened.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use cems::config::seeds;
use fastrand::Rng;

use crate::support::servers::{Folder, folder};

const SEED: u64 = 20_261_125;
/// Of each of the four documents: so many with a mistake that is none by chance, and so many that are damaged at random.
const SURE: usize = 25;
const RANDOM: usize = 25;

/// A document, the command that would start something by it, and whom it would talk to.
struct Document {
    name: &'static str,
    text: String,
    start: &'static [&'static str],
}

/// A mistake that the document cannot have meant, and where it is.
struct Mistake {
    text: String,
    line: usize,
    key: String,
}

/// The broker, the analysers and the database of all documents: whoever connects is seen.
struct Neighbour {
    listener: TcpListener,
    folder: Folder,
}

impl Neighbour {
    fn new() -> Neighbour {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Neighbour { listener, folder: folder() }
    }

    fn documents(&self) -> [Document; 4] {
        let port = self.listener.local_addr().unwrap().port();
        let data = self.data().display().to_string();
        let here = |text: &str| {
            let text = text.replace("127.0.0.1:1883", &format!("127.0.0.1:{port}"));
            text.replace("192.168.10.21:502", &format!("127.0.0.1:{port}"))
        };
        let gateway = here(include_str!("../../config/gateway-example.toml"));
        let central = here(include_str!("../../config/central-example.toml"));
        [
            Document {
                name: "gateway.toml",
                text: gateway.replace("/var/lib/cems/gw-example", &data),
                start: &["gateway", "--config"],
            },
            Document {
                name: "central.toml",
                text: central
                    .replace("/var/lib/cems/central", &data)
                    .replace("127.0.0.1:5432", &format!("127.0.0.1:{port}"))
                    .replace("127.0.0.1:8080", "127.0.0.1:0"),
                start: &["central", "--config"],
            },
            Document { name: "plant.toml", text: seeds::demonstration().text, start: &["seed"] },
            Document {
                name: "scenario.toml",
                text: include_str!("../../config/scenario-demo.toml").to_owned(),
                start: &["simulate", "--scenario"],
            },
        ]
    }

    fn data(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }

    /// Runs `cems` on a document in a folder of its own.
    fn cems(&self, arguments: &[&str], name: &str, bytes: &[u8]) -> Output {
        let place = self.folder.path().join("place");
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join(name), bytes).unwrap();
        let port = self.listener.local_addr().unwrap().port();
        let mut command = Command::new(env!("CARGO_BIN_EXE_cems"));
        command.args(arguments).arg(name).current_dir(&place);
        if arguments == ["seed"] {
            command.args(["--database", &format!("postgres://cems@127.0.0.1:{port}/cems")]);
        }
        let output = command.output().unwrap();
        let left: Vec<_> = fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, [name], "nothing was made beside it");
        fs::remove_dir_all(&place).unwrap();
        output
    }

    fn untouched(&self) -> bool {
        self.listener.accept().is_err() && !self.data().exists()
    }
}

/// Lines that hold one whole `key = value`, by their index.
fn sites(text: &str) -> Vec<(usize, String)> {
    let site = |(index, line): (usize, &str)| {
        let (key, _) = line.split_once(" = ")?;
        let is_key = key.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_');
        (is_key && line.parse::<toml::Table>().is_ok()).then(|| (index, key.to_owned()))
    };
    text.lines().enumerate().filter_map(site).collect()
}

fn with_line(text: &str, index: usize, line: &str) -> String {
    let lines = text.lines().enumerate().map(|(other, old)| if other == index { line } else { old });
    lines.collect::<Vec<&str>>().join("\n") + "\n"
}

/// A value of a kind that no key has, or a key that no section has.
fn mistake(text: &str, rng: &mut Rng) -> Mistake {
    let mut sites = sites(text);
    // Of a document of no known schema nothing more can be said.
    sites.retain(|(_, key)| key != "schema");
    let (index, key) = &sites[rng.usize(..sites.len())];
    let line = text.lines().nth(*index).unwrap();
    let (_, value) = line.split_once(" = ").unwrap();
    let (line, key) = match rng.u8(..3) {
        0 => (format!("{key}_x = {value}"), format!("{key}_x")),
        1 => (format!("{key} = [[[true]]]"), key.clone()),
        _ => (format!("{key} = {{ {key} = {{}} }}"), key.clone()),
    };
    Mistake { text: with_line(text, *index, &line), line: index + 1, key }
}

/// Damage that may or may not leave a document that means something.
fn damage(text: &str, rng: &mut Rng) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    let place = rng.usize(..bytes.len());
    let lines: Vec<&str> = text.lines().collect();
    let line = rng.usize(..lines.len());
    let sites = sites(text);
    let (index, key) = &sites[rng.usize(..sites.len())];
    let value = |value: &str| with_line(text, *index, &format!("{key} = {value}")).into_bytes();
    match rng.u8(..12) {
        0 => bytes.truncate(place),
        1 => bytes[place] = rng.u8(..),
        2 => bytes.insert(place, rng.u8(..)),
        3 => drop(bytes.drain(place..(place + rng.usize(1..40)).min(text.len()))),
        4 => return with_line(text, line, "").into_bytes(),
        5 => return with_line(text, line, &format!("{0}\n{0}", lines[line])).into_bytes(),
        6 => {
            return value(
                ["-1", "0", "9223372036854775807", "1e308", "-1e-320", "nan", "inf"][rng.usize(..7)],
            );
        }
        7 => return value("\"\""),
        8 => return value(&format!("\"{}\"", "x".repeat(100_000))),
        9 => return value("\"\\u0000\u{202e}\\n\""),
        10 => return value("2026-11-25T00:00:00+08:00"),
        _ => {
            let other = rng.usize(..lines.len());
            return with_line(&with_line(text, line, lines[other]), other, lines[line]).into_bytes();
        }
    }
    bytes
}

fn stderr(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!text.contains("panicked"), "{text}");
    text
}

#[test]
fn a_mistake_is_refused_with_its_line_and_key_before_anything_is_opened() {
    let neighbour = Neighbour::new();
    let mut rng = Rng::with_seed(SEED);
    for Document { name, text, start } in neighbour.documents() {
        for number in 0..SURE {
            let Mistake { text, line, key } = mistake(&text, &mut rng);
            let output = neighbour.cems(start, name, text.as_bytes());
            let told = stderr(&output);
            let what = format!("{name}, mistake {number}, line {line}, {key}:\n{told}");
            assert_eq!(output.status.code(), Some(2), "{what}");
            let place = format!("{name}:{line}: ");
            let names = |told: &str| {
                told.strip_prefix(&place).and_then(|rest| rest.split(": ").next()).map(str::to_owned)
            };
            let keys: Vec<String> = told.lines().filter_map(names).collect();
            // An entry of a list has its number behind the key.
            let last =
                |path: &String| path.rsplit('.').next().and_then(|last| last.split('[').next()) == Some(&key);
            assert!(keys.iter().any(last), "{what}");
            assert!(told.contains("nothing was started or changed"), "{what}");
            assert!(neighbour.untouched(), "{what}");
        }
    }
}

#[test]
fn damage_of_any_kind_is_refused_with_a_place_or_is_none() {
    let neighbour = Neighbour::new();
    let mut rng = Rng::with_seed(SEED + 1);
    let mut outcomes: BTreeMap<(&str, i32), usize> = BTreeMap::new();
    for Document { name, text, .. } in neighbour.documents() {
        for number in 0..RANDOM {
            let bytes = damage(&text, &mut rng);
            let output = neighbour.cems(&["check-config", "--json"], name, &bytes);
            let what = format!("{name}, damage {number}: {}", stderr(&output));
            let code = output.status.code().unwrap_or_else(|| panic!("{what}"));
            *outcomes.entry((name, code)).or_default() += 1;
            if std::str::from_utf8(&bytes).is_err() {
                assert!(code == 2 && what.contains("cannot be read"), "{what}");
                continue;
            }
            let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            let problems = told["problems"].as_array().unwrap();
            assert_eq!(code, if problems.is_empty() { 0 } else { 2 }, "{what}");
            let last = bytes.split(|byte| *byte == b'\n').count() as u64;
            for problem in problems {
                let line = problem["line"].as_u64().unwrap_or_else(|| panic!("{problem}"));
                assert!((1..=last).contains(&line), "{problem}");
                assert!(!problem["key"].as_str().unwrap().is_empty(), "{problem}");
                assert!(Path::new(problem["file"].as_str().unwrap()).ends_with(name), "{problem}");
                // Nobody wants to read a hundred thousand letters again.
                assert!(problem.to_string().len() < 2000, "{what}{} bytes", problem.to_string().len());
            }
        }
    }
    assert!(neighbour.untouched());
    println!("by file and exit code: {outcomes:?}");
    assert!(outcomes.keys().any(|(_, code)| *code == 2) && outcomes.values().sum::<usize>() == 4 * RANDOM);
}
