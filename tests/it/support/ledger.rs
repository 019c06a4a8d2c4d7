//! The oracle of "none lost, none twice, none altered": what the analysers served against what stands in the table. It
//! shares no code with the product: its own reading of the ledger, its own ticks, its own SQL.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tokio_postgres::Client;

/// The gateway of the tests scans once a second.
const PERIOD_US: i64 = 1_000_000;

/// One answer of an analyser.
#[derive(Debug, Clone, PartialEq)]
pub struct Served {
    /// Unix microseconds.
    pub at: i64,
    pub outlet: String,
    pub flag: String,
    /// By channel code.
    pub values: BTreeMap<String, Option<f64>>,
}

impl Served {
    /// The whole second that it was served in, and so the tick of its scan.
    pub fn second(&self) -> i64 {
        self.at.div_euclid(PERIOD_US)
    }
}

/// All whole lines of a ledger.
pub fn read(text: &str) -> Vec<Served> {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(line).collect()
}

fn line(line: &str) -> Served {
    let json: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let text = |key: &str| json[key].as_str().unwrap().to_owned();
    let values = json["values"].as_object().unwrap().iter();
    Served {
        at: microseconds(&text("at")),
        outlet: text("outlet"),
        flag: text("flags"),
        values: values.map(|(code, value)| (code.clone(), value.as_f64())).collect(),
    }
}

/// Unix microseconds of `2026-11-21T04:00:06.003127Z`, by days counted from 0000-03-01 on.
fn microseconds(text: &str) -> i64 {
    let number = |from: usize, to: usize| text[from..to].parse::<i64>().unwrap();
    assert_eq!((text.len(), &text[26..]), (27, "Z"), "{text}");
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    let seconds = days * 86_400 + number(11, 13) * 3600 + number(14, 16) * 60 + number(17, 19);
    seconds * 1_000_000 + number(20, 26)
}

/// Outlet, channel, tick in Unix seconds.
pub type Place = (String, String, i64);

/// One reading in the database: value and the analyser's flag.
pub type Stored = (Option<f64>, String);

/// All stored readings before a second; more than one at a place is a duplicate.
pub async fn stored(client: &Client, before: i64) -> BTreeMap<Place, Vec<Stored>> {
    stored_between(client, 0, before).await
}

/// The same, from a second on.
pub async fn stored_between(client: &Client, from: i64, before: i64) -> BTreeMap<Place, Vec<Stored>> {
    let sql = "SELECT o.code, c.code, extract(epoch FROM s.measured_at)::float8, s.measured[c.position + 1], \
               substr(s.flag, c.position + 1, 1) FROM scan s JOIN outlet o ON o.id = s.outlet_id \
               JOIN channel c ON c.outlet_id = s.outlet_id \
               WHERE s.measured_at >= to_timestamp($1::int8) AND extract(epoch FROM s.measured_at) < $2::int8::numeric";
    let mut found: BTreeMap<Place, Vec<Stored>> = BTreeMap::new();
    for row in client.query(sql, &[&from, &before]).await.unwrap() {
        let second: f64 = row.get(2);
        assert_eq!(second, second.trunc(), "every tick is a whole second");
        found.entry((row.get(0), row.get(1), second as i64)).or_default().push((row.get(3), row.get(4)));
    }
    found
}

/// What became of the served readings.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Account {
    pub served: usize,
    /// Served readings that stand in the table, to the last bit.
    pub stored: usize,
    /// Served readings that do not, but a row says that no answer came in time.
    pub explained: usize,
    pub lost: Vec<Place>,
    pub duplicated: Vec<Place>,
    /// Stored with another value or flag than was served.
    pub altered: Vec<Place>,
    /// Stored values that nobody served.
    pub invented: Vec<Place>,
}

impl Account {
    /// None lost, none twice, none altered, none invented.
    pub fn is_clean(&self) -> bool {
        [&self.lost, &self.duplicated, &self.altered, &self.invented].iter().all(|places| places.is_empty())
    }
}

/// Compares all that was served before the second `before` with what is stored of it.
pub fn compare(served: &[Served], stored: &BTreeMap<Place, Vec<Stored>>, before: i64) -> Account {
    let mut wanted: BTreeMap<Place, Vec<Stored>> = BTreeMap::new();
    for answer in served.iter().filter(|answer| answer.second() < before) {
        for (channel, value) in &answer.values {
            let place = (answer.outlet.clone(), channel.clone(), answer.second());
            wanted.entry(place).or_default().push((*value, answer.flag.clone()));
        }
    }
    let mut account = Account::default();
    for (place, answers) in &wanted {
        account.served += answers.len();
        match stored.get(place).map(Vec::as_slice) {
            None => account.lost.push(place.clone()),
            Some([row]) if answers.iter().any(|answer| same(answer, row)) => {
                account.stored += 1;
                // Of two answers within one second the other one came too late for the scan before.
                settle_late(&mut account, stored, place, answers.len() - 1);
            }
            Some([row]) if no_answer(row) => account.explained += answers.len(),
            Some([_]) => account.altered.push(place.clone()),
            Some(_) => account.duplicated.push(place.clone()),
        }
    }
    let places: BTreeSet<&Place> = wanted.keys().collect();
    for (place, rows) in stored.iter().filter(|(place, _)| !places.contains(place)) {
        if rows.iter().any(|row| row.0.is_some()) {
            account.invented.push(place.clone());
        } else if rows.len() > 1 {
            account.duplicated.push(place.clone());
        }
    }
    account
}

fn settle_late(account: &mut Account, stored: &BTreeMap<Place, Vec<Stored>>, place: &Place, late: usize) {
    let before = (place.0.clone(), place.1.clone(), place.2 - 1);
    let told = stored.get(&before).is_some_and(|rows| rows.iter().all(no_answer));
    if told {
        account.explained += late;
    } else {
        account.lost.extend(std::iter::repeat_n(before, late));
    }
}

fn same(answer: &Stored, row: &Stored) -> bool {
    answer.0.map(f64::to_bits) == row.0.map(f64::to_bits) && answer.1 == row.1
}

fn no_answer(row: &Stored) -> bool {
    row.0.is_none() && row.1 == "B"
}

#[test]
fn the_oracle_finds_each_fault() {
    let text = "{\"at\":\"2026-11-21T04:00:06.003127Z\",\"outlet\":\"o\",\"flags\":\"N\",\"values\":{\"a\":1.5,\"b\":2.5}}\n{\"torn";
    let served = read(text);
    assert_eq!(served[0].at, 1_795_233_606_003_127);
    let second = served[0].second();
    let place = |channel: &str, second: i64| ("o".to_owned(), channel.to_owned(), second);
    let normal = |value: f64| (Some(value), "N".to_owned());
    let good: BTreeMap<Place, Vec<Stored>> =
        [(place("a", second), vec![normal(1.5)]), (place("b", second), vec![normal(2.5)])].into();
    let account = |stored: &BTreeMap<Place, Vec<Stored>>| compare(&served, stored, second + 1);
    let clean = account(&good);
    assert_eq!((clean.served, clean.stored, clean.is_clean()), (2, 2, true));
    assert_eq!(compare(&served, &good, second).served, 0);

    let mut with = good.clone();
    with.remove(&place("a", second));
    assert_eq!(account(&with).lost, [place("a", second)]);
    with.insert(place("a", second), vec![(None, "B".to_owned())]);
    assert_eq!((account(&with).explained, account(&with).is_clean()), (1, true));
    with.insert(place("a", second), vec![normal(1.5), normal(1.5)]);
    assert_eq!(account(&with).duplicated, [place("a", second)]);
    for wrong in [normal(1.500_000_000_000_000_2), (Some(1.5), "C".to_owned()), (None, "D".to_owned())] {
        with.insert(place("a", second), vec![wrong]);
        assert_eq!(account(&with).altered, [place("a", second)]);
    }
    with.insert(place("a", second), vec![normal(1.5)]);
    with.insert(place("a", second - 1), vec![normal(1.5)]);
    assert_eq!(account(&with).invented, [place("a", second - 1)]);

    // An answer that came after its scan was closed, in the second of the next one.
    let late =
        Served { at: served[0].at - 2000, values: [("a".to_owned(), Some(7.0))].into(), ..served[0].clone() };
    let both = [late, served[0].clone()];
    assert_eq!(compare(&both, &good, second + 1).lost, [place("a", second - 1)]);
    let mut told = good;
    told.insert(place("a", second - 1), vec![(None, "B".to_owned())]);
    assert!(compare(&both, &told, second + 1).is_clean());
}
