//! House rules, as a test. Each offence is told with file, line, rule and remedy; each rule is shown a bad sample, because a rule
//! that cannot fail is no rule.

/// A Rust file, its comments and texts told apart from its code.
mod source;

use std::fs;
use std::path::Path;

use source::Source;

/// Which folders (and files) of src/ each folder may use. A new folder needs a line here and in ARCHITECTURE.md.
const MAY_USE: [(&str, &[&str]); 13] = [
    ("domain", &[]),
    ("config", &["domain"]),
    ("mqtt", &["domain", "config", "clock", "shutdown"]),
    ("gateway", &["domain", "mqtt", "config", "clock", "shutdown", "telemetry"]),
    ("store", &["domain", "config", "clock"]),
    ("embedded", &["config", "shutdown"]),
    ("central", &["domain", "mqtt", "store", "web", "config", "clock", "shutdown", "telemetry"]),
    ("web", &["domain", "store", "config", "clock", "shutdown", "telemetry"]),
    ("simulator", &["domain", "config", "clock", "shutdown", "telemetry"]),
    ("clock", &[]),
    ("shutdown", &[]),
    ("telemetry", &["clock"]),
    (
        "cli",
        &[
            "domain",
            "config",
            "mqtt",
            "gateway",
            "store",
            "embedded",
            "central",
            "web",
            "simulator",
            "clock",
            "shutdown",
            "telemetry",
        ],
    ),
];

/// Words that would bring IO, a clock, waiting or logging into domain/.
const NOT_IN_DOMAIN: [&str; 11] = [
    "tokio",
    "async",
    "std::fs",
    "std::net",
    "std::thread",
    "tracing",
    "println",
    "SystemTime",
    "Instant",
    "clock::",
    "Timestamp::now",
];
const NO_FILE_NAMES: [&str; 4] = ["utils", "common", "helpers", "misc"];
const SQL: [&str; 4] = ["SELECT ", "INSERT INTO ", "UPDATE ", "DELETE FROM "];
/// Code that is never written, and what to do instead.
const NEVER: [(&str, &str); 6] = [
    ("super::super", "name the module from `crate::`, so that the edge shows"),
    ("use crate::{", "write one `use crate::...` line a module, so that the edge shows"),
    ("#[ignore", "mend the test or remove it"),
    ("todo!", "write it, or leave it out and say so"),
    ("unimplemented!", "write it, or leave it out and say so"),
    ("#[allow(", "use `#[expect(..., reason = \"...\")]`, which tells when it is no longer needed"),
];
const LINES_WITHOUT_TESTS: usize = 400;
const LINES_OF_TESTS: usize = 800;
/// The one place in tests/ that may sleep.
const WAITING: &str = "tests/it/support/wait.rs";

/// A broken rule.
#[derive(Debug)]
struct Offence {
    file: String,
    line: usize,
    rule: String,
    remedy: String,
}

type Rule = fn(&Source) -> Vec<Offence>;

const RULES: [Rule; 11] = [
    first_line,
    length,
    file_name,
    dependencies,
    domain_words,
    sql,
    module_docs,
    never,
    no_fixed_waiting,
    database_calls,
    only_reads,
];

/// Modbus functions that change something in a device.
const MODBUS_WRITES: [&str; 12] = [
    "WriteSingleCoil",
    "WriteSingleRegister",
    "WriteMultipleCoils",
    "WriteMultipleRegisters",
    "MaskWriteRegister",
    "ReadWriteMultipleRegisters",
    "write_single_coil",
    "write_single_register",
    "write_multiple_coils",
    "write_multiple_registers",
    "masked_write_register",
    "read_write_multiple_registers",
];

/// What waits for the database.
const DATABASE_CALLS: [&str; 10] = [
    ".query(",
    ".query_one(",
    ".query_opt(",
    ".query_raw(",
    ".simple_query(",
    ".execute(",
    ".batch_execute(",
    ".prepare(",
    ".transaction(",
    ".commit(",
];
/// Calls that are bounded otherwise than by `bounded(` right before them, how many, and how.
const BOUNDED_OTHERWISE: [(&str, usize, &str); 4] = [
    ("src/store/connect.rs", 1, "a time-out of its own"),
    ("src/store/scan.rs", 3, "the flight that they travel in is bounded as a whole"),
    ("src/store/due.rs", 1, "it is handed to who bounds it"),
    ("src/store/storage/change.rs", 1, "the answer is looked at inside the bound"),
];

fn first_line(source: &Source) -> Vec<Offence> {
    let told = source.text.starts_with("//!");
    source.unless(
        told,
        1,
        "the first line of a file is its `//!` doc",
        "say in one line what the file is for",
    )
}

fn length(source: &Source) -> Vec<Offence> {
    let is_tests = source.path.starts_with("tests/") || source.path.ends_with("/tests.rs");
    let (counted, limit) = if is_tests {
        (source.code.len(), LINES_OF_TESTS)
    } else {
        let tests = source.code.iter().position(|line| line.trim() == "#[cfg(test)]");
        (tests.unwrap_or(source.code.len()), LINES_WITHOUT_TESTS)
    };
    let rule = format!("{counted} lines; at most {limit} (without the tests at the end of a file of src/)");
    source.unless(counted <= limit, limit, &rule, "move one noun of it to a file of its own")
}

fn file_name(source: &Source) -> Vec<Offence> {
    let mut parts = source.path.trim_end_matches(".rs").split('/');
    let bad = parts.any(|part| NO_FILE_NAMES.contains(&part));
    source.unless(
        !bad,
        1,
        &format!("no file or folder is named {}", NO_FILE_NAMES.join(", ")),
        "name it after what is in it",
    )
}

fn dependencies(source: &Source) -> Vec<Offence> {
    let Some(below) = source.path.strip_prefix("src/") else { return Vec::new() };
    let own = below.split('/').next().unwrap_or_default().trim_end_matches(".rs");
    if ["main", "lib"].contains(&own) {
        return Vec::new();
    }
    let Some((_, may_use)) = MAY_USE.iter().find(|(folder, _)| *folder == own) else {
        let remedy = "add it to MAY_USE in tests/it/tidy.rs and to the table in ARCHITECTURE.md";
        return source.unless(false, 1, &format!("{own} has no line in the table of dependencies"), remedy);
    };
    let mut offences = Vec::new();
    for (number, line) in source.numbered() {
        for (start, _) in line.match_indices("crate::") {
            // A dollar sign or a letter before: $crate, or another crate's name.
            if line[..start]
                .ends_with(|letter: char| letter.is_alphanumeric() || letter == '_' || letter == '$')
            {
                continue;
            }
            let rest = &line[start + "crate::".len()..];
            let used: String =
                rest.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect();
            if used != own && !may_use.contains(&used.as_str()) {
                let rule = format!("{own} may not use {used}; it may use: {}", may_use.join(", "));
                offences.push(source.offence(
                    number,
                    &rule,
                    "hand it in from cli, or move what is shared to domain",
                ));
            }
        }
    }
    offences
}

fn domain_words(source: &Source) -> Vec<Offence> {
    if !source.path.starts_with("src/domain/") {
        return Vec::new();
    }
    let found = NOT_IN_DOMAIN.iter().flat_map(|word| source.find(word).map(move |line| (line, word)));
    let rule = |word: &str| format!("domain has no IO, clock, waiting or logging; found {word:?}");
    found.map(|(line, word)| source.offence(line, &rule(word), "let time and data be handed in")).collect()
}

fn sql(source: &Source) -> Vec<Offence> {
    if source.path.starts_with("src/store/") || !source.path.starts_with("src/") {
        return Vec::new();
    }
    let found = source.texts.iter().filter(|(_, text)| SQL.iter().any(|word| text.contains(word)));
    found
        .map(|(line, _)| source.offence(*line, "all SQL is in src/store", "make it a function of store"))
        .collect()
}

fn module_docs(source: &Source) -> Vec<Offence> {
    let is_table = source.path.ends_with("/mod.rs") || source.path == "src/lib.rs";
    let lines: Vec<&str> = source.text.lines().collect();
    let mut offences = Vec::new();
    for (number, line) in source.numbered().filter(|_| is_table) {
        let declared = line
            .trim_start_matches("pub ")
            .trim_start_matches("pub(crate) ")
            .trim_start_matches("pub(super) ");
        let before = number.checked_sub(2).and_then(|index| lines.get(index)).copied().unwrap_or_default();
        let is_module = declared.starts_with("mod ") && declared.trim_end().ends_with(';');
        if is_module && !before.starts_with("///") && before.trim() != "#[cfg(test)]" {
            let rule = "each module in a mod.rs has a `///` line above it";
            offences.push(source.offence(number, rule, "say what the reader finds there"));
        }
    }
    offences
}

fn never(source: &Source) -> Vec<Offence> {
    let found =
        NEVER.iter().flat_map(|(word, remedy)| source.find(word).map(move |line| (line, word, remedy)));
    let mut offences: Vec<Offence> = found
        .map(|(line, word, remedy)| source.offence(line, &format!("`{word}` is not written here"), remedy))
        .collect();
    // Spelled so that this file may hold it.
    let marks = [concat!("FIX", "ME"), concat!("XX", "X"), concat!("TO", "DO")];
    for (index, line) in source.text.lines().enumerate() {
        if marks.iter().any(|mark| line.contains(mark)) {
            let rule = format!("no comment says {}", marks.join(", "));
            offences.push(source.offence(index + 1, &rule, "do it now, or write down as a decision why not"));
        }
    }
    offences
}

fn no_fixed_waiting(source: &Source) -> Vec<Offence> {
    if !source.path.starts_with("tests/") || source.path == WAITING {
        return Vec::new();
    }
    let remedy = "wait for a condition with support::wait::wait_until";
    source.find("sleep(").map(|line| source.offence(line, "no test waits for a time", remedy)).collect()
}

/// A server that hangs must not hold anybody for ever: its own time-outs end with it.
fn database_calls(source: &Source) -> Vec<Offence> {
    let talks = ["src/store/", "src/central/", "src/web/", "src/cli/"];
    if !talks.iter().any(|folder| source.path.starts_with(folder)) {
        return Vec::new();
    }
    let allowed = BOUNDED_OTHERWISE.iter().find(|(path, ..)| *path == source.path);
    let allowed = allowed.map_or(0, |(_, count, _)| *count);
    let code = source.code.join("\n");
    let mut unbounded = Vec::new();
    for call in DATABASE_CALLS {
        for (start, _) in code.match_indices(call) {
            let part_of_receiver = |letter: char| letter.is_alphanumeric() || "_.&\n ".contains(letter);
            // That of an address is none.
            if code[start..].starts_with(".query()") {
                continue;
            }
            if !code[..start].trim_end_matches(part_of_receiver).ends_with("bounded(") {
                unbounded.push(code[..start].lines().count());
            }
        }
    }
    unbounded.sort_unstable();
    let remedy = "write `bounded(client.query(..)).await`, or use store::session::query and its kin";
    let line = |line: &usize| source.offence(*line, "every call of the database has a bound", remedy);
    if unbounded.len() == allowed { Vec::new() } else { unbounded.iter().map(line).collect() }
}

/// A gateway must not be able to change what it measures.
fn only_reads(source: &Source) -> Vec<Offence> {
    if !source.path.starts_with("src/") {
        return Vec::new();
    }
    let remedy = "ask with the functions 1 to 4 only";
    let found = MODBUS_WRITES.iter().chain(&["Request::Custom"]).flat_map(|word| source.find(word));
    found.map(|line| source.offence(line, "nothing here writes to an analyser", remedy)).collect()
}

fn offences(source: &Source) -> Vec<Offence> {
    RULES.iter().flat_map(|rule| rule(source)).collect()
}

#[test]
fn every_file_keeps_the_house_rules() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = 0;
    let mut told = Vec::new();
    for folder in ["src", "tests", "benches", "examples"] {
        for path in rust_files(&root.join(folder)) {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            files += 1;
            told.extend(offences(&Source::read(&name, &fs::read_to_string(&path).unwrap())));
        }
    }
    assert!(files > 20, "only {files} files were looked at");
    let lines: Vec<String> =
        told.iter().map(|o| format!("{}:{}: {}; {}", o.file, o.line, o.rule, o.remedy)).collect();
    assert!(lines.is_empty(), "{} house rules broken:\n{}", lines.len(), lines.join("\n"));
}

fn rust_files(folder: &Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let (folders, files): (Vec<_>, Vec<_>) = paths.into_iter().partition(|path| path.is_dir());
    let rust = files.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    rust.chain(folders.iter().flat_map(|folder| rust_files(folder))).collect()
}

/// The one rule that a file breaks, with its line.
#[track_caller]
fn breaks(path: &str, text: &str, line: usize, rule: &str) {
    let found = offences(&Source::read(path, text));
    assert_eq!(found.len(), 1, "{path}: {found:?}");
    assert_eq!((found[0].line, found[0].rule.contains(rule)), (line, true), "{found:?}");
}

#[track_caller]
fn keeps(path: &str, text: &str) {
    let found = offences(&Source::read(path, text));
    assert!(found.is_empty(), "{path}: {found:?}");
}

#[test]
fn every_folder_of_src_is_in_the_table_and_every_name_in_the_table_exists() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (folder, may_use) in MAY_USE {
        for name in may_use.iter().chain([&folder]) {
            assert!(
                src.join(name).is_dir() || src.join(format!("{name}.rs")).is_file(),
                "{name} is no part of src/"
            );
        }
    }
    breaks("src/newcomer/mod.rs", "//! New.\n", 1, "no line in the table");
}

#[test]
fn a_file_begins_with_its_doc() {
    breaks("src/domain/a.rs", "use std::fmt;\n", 1, "`//!`");
}

#[test]
fn a_file_is_short() {
    let long = format!("//! Doc.\n{}", "fn a() {}\n".repeat(LINES_WITHOUT_TESTS));
    breaks("src/domain/a.rs", &long, LINES_WITHOUT_TESTS, "401 lines");
    keeps("tests/it/a.rs", &long);
    let tested = format!("//! Doc.\n#[cfg(test)]\n{}", "fn a() {}\n".repeat(LINES_WITHOUT_TESTS));
    keeps("src/domain/a.rs", &tested);
    let long = format!("//! Doc.\n{}", "fn a() {}\n".repeat(LINES_OF_TESTS));
    breaks("src/domain/a/tests.rs", &long, LINES_OF_TESTS, "801 lines");
}

#[test]
fn a_file_is_named_after_what_is_in_it() {
    breaks("src/domain/utils.rs", "//! Doc.\n", 1, "is named");
    breaks("tests/it/common/mod.rs", "//! Doc.\n", 1, "is named");
    keeps("src/domain/common_cause.rs", "//! Doc.\n");
}

#[test]
fn a_folder_uses_what_the_table_allows() {
    breaks(
        "src/simulator/a.rs",
        "//! Doc.\nuse crate::gateway::decode;\n",
        2,
        "simulator may not use gateway",
    );
    breaks(
        "src/store/a.rs",
        "//! Doc.\n\nfn a() { crate::mqtt::record::f() }\n",
        3,
        "store may not use mqtt",
    );
    breaks("src/clock.rs", "//! Doc.\nuse crate::domain::a;\n", 2, "clock may not use domain");
    keeps(
        "src/gateway/a.rs",
        "//! Doc, crate::central.\nuse crate::gateway::b;\nuse crate::mqtt::record; // crate::web\n",
    );
    keeps("src/gateway/a.rs", "//! Doc.\nconst A: &str = \"crate::central\";\nuse my_crate::central;\n");
}

#[test]
fn domain_is_pure() {
    breaks("src/domain/a.rs", "//! Doc.\nuse std::fs;\n", 2, "std::fs");
    breaks("src/domain/a.rs", "//! Doc.\nasync fn a() {}\n", 2, "async");
    breaks("src/domain/a.rs", "//! Doc.\nfn a(at: Instant) {}\n", 2, "Instant");
    keeps("src/domain/a.rs", "//! Nothing is async here: no tokio.\n/* println */ struct Instantaneous;\n");
    keeps("src/gateway/a.rs", "//! Doc.\nuse std::fs;\n");
}

#[test]
fn sql_stays_in_store() {
    let select = "//! Doc.\nconst A: &str = \"x\n SELECT 1\";\n";
    breaks("src/web/a.rs", select, 2, "SQL");
    breaks("src/embedded/a.rs", "//! Doc.\nfn a() { f(r#\"DELETE FROM \"t\"\"#) }\n", 2, "SQL");
    keeps("src/store/a.rs", select);
    keeps("tests/it/a.rs", select);
    keeps("src/embedded/a.rs", "//! SELECT 1\nconst A: &str = \"CREATE DATABASE a\";\n");
}

#[test]
fn a_table_of_contents_says_what_is_where() {
    breaks("src/domain/mod.rs", "//! Doc.\n\n/// One.\npub mod one;\npub mod two;\n", 5, "`///`");
    keeps("src/domain/mod.rs", "//! Doc.\n/// One.\nmod one;\n#[cfg(test)]\nmod tests;\n");
}

#[test]
fn some_things_are_never_written() {
    breaks("src/domain/a.rs", "//! Doc.\nuse super::super::b;\n", 2, "super::super");
    breaks("src/domain/a.rs", "//! Doc.\nfn a() { todo!() }\n", 2, "todo!");
    breaks("src/domain/a.rs", "//! Doc.\nfn a() { unimplemented!() }\n", 2, "unimplemented!");
    breaks("tests/it/a.rs", "//! Doc.\n#[test]\n#[ignore]\nfn a() {}\n", 3, "#[ignore");
    breaks("src/domain/a.rs", "//! Doc.\n#[allow(dead_code)]\nfn a() {}\n", 2, "#[allow(");
    breaks("src/domain/a.rs", concat!("//! Doc.\n// FIX", "ME: later\n"), 2, "no comment says");
    let group = offences(&Source::read("src/cli/a.rs", "//! Doc.\nuse crate::{clock, domain};\n"));
    assert!(group.iter().any(|offence| offence.rule.contains("use crate::{")), "{group:?}");
}

#[test]
fn a_gateway_only_reads() {
    breaks(
        "src/gateway/a.rs",
        "//! Doc.\nfn a() { Request::WriteSingleRegister(1, 2) }\n",
        2,
        "writes to an analyser",
    );
    breaks(
        "src/cli/a.rs",
        "//! Doc.\nfn a() { context.write_single_coil(1, true) }\n",
        2,
        "writes to an analyser",
    );
    keeps("src/gateway/a.rs", "//! Doc.\nfn a() { Request::ReadCoils(1, 2) }\n");
}

#[test]
fn tests_wait_for_conditions() {
    breaks("tests/it/a.rs", "//! Doc.\nfn a() { std::thread::sleep(b) }\n", 2, "waits for a time");
    keeps(WAITING, "//! Doc.\nfn a() { std::thread::sleep(b) }\n");
    keeps("tests/it/a.rs", "//! Doc.\nfn a() { f(\"pg_sleep(60)\") }\n");
}

#[test]
fn a_call_of_the_database_is_bounded() {
    breaks(
        "src/store/a.rs",
        "//! Doc.\nlet rows = client\n    .query(sql, &[])\n    .await?;\n",
        3,
        "has a bound",
    );
    breaks("src/cli/a.rs", "//! Doc.\ntransaction.commit().await?;\n", 2, "has a bound");
    breaks(
        "src/web/a.rs",
        "//! Doc.\nbounded(sleep()); client.execute(sql, &[]).await?;\n",
        2,
        "has a bound",
    );
    keeps("src/store/a.rs", "//! Doc.\nlet rows = bounded(client.query(sql, &[])).await?;\n");
    keeps(
        "src/central/a.rs",
        "//! Doc.\nbounded(\n    self.client\n        .batch_execute(sql),\n)\n.await?;\nquery(client, sql, &[]).await?;\n",
    );
    keeps("src/gateway/a.rs", "//! Doc.\nwrite.commit()?;\n");
}
