//! What the slaves of pymodbus serve: tests/it/register_image.json, which is read by them and by the tests that expect it.

use serde::Deserialize;
use serde_json::Value;

/// One value in a table of one unit.
#[derive(Debug, Clone, Deserialize)]
pub struct Entry {
    pub unit: u8,
    /// holding, input, coil, discrete
    pub table: String,
    /// 0-based, as it travels.
    pub address: u16,
    /// As in a template: u16 i16 u32 i32 u64 i64 f32 f64 bcd16 bcd32 bits ascii bit
    #[serde(rename = "type")]
    pub number: String,
    /// ABCD CDAB BADC DCBA; of no meaning to a coil or a discrete input.
    #[serde(default)]
    pub order: String,
    /// Of `bits`: the lowest bit.
    pub low: Option<u8>,
    /// Of `bits`: how many.
    pub count: Option<u8>,
    /// What is in the registers; 0 or 1 for a coil or a discrete input.
    pub words: Vec<u16>,
    /// A number, or a text of `ascii`, whose end is its first NUL.
    pub value: Value,
}

/// All of it.
pub fn register_image() -> Vec<Entry> {
    serde_json::from_str(include_str!("../register_image.json")).unwrap()
}

/// Every type stands there in every order, in both tables of registers, for each unit.
#[test]
fn the_image_is_complete() {
    let image = register_image();
    let is_there = |unit: u8, table: &str, number: &str, order: &str| {
        let same = |entry: &&Entry| {
            entry.unit == unit && entry.table == table && entry.number == number && entry.order == order
        };
        image.iter().any(|entry| same(&entry))
    };
    let numbers = ["u16", "i16", "u32", "i32", "u64", "i64", "f32", "f64", "bcd16", "bcd32"];
    for unit in [1, 2, 17] {
        for table in ["holding", "input"] {
            for (number, order) in
                numbers.iter().flat_map(|n| ["ABCD", "CDAB", "BADC", "DCBA"].map(|o| (n, o)))
            {
                assert!(is_there(unit, table, number, order), "{unit} {table} {number} {order}");
            }
            assert!(is_there(unit, table, "bits", "BADC") && is_there(unit, table, "ascii", "BADC"));
        }
        assert!(is_there(unit, "coil", "bit", "") && is_there(unit, "discrete", "bit", ""));
    }
    for entry in &image {
        let registers = match entry.number.as_str() {
            "bit" | "u16" | "i16" | "bcd16" | "bits" => 1,
            "u32" | "i32" | "f32" | "bcd32" => 2,
            "u64" | "i64" | "f64" => 4,
            "ascii" => 8,
            other => panic!("{other}"),
        };
        assert_eq!(entry.words.len(), registers, "{entry:?}");
        assert_eq!(entry.low.is_some() && entry.count.is_some(), entry.number == "bits", "{entry:?}");
        assert_eq!(entry.value.is_string(), entry.number == "ascii", "{entry:?}");
        assert!(entry.address + registers as u16 <= 600, "the slaves serve 600 of each table: {entry:?}");
    }
    // 31.25 is 0x41FA_0000.
    let float = image.iter().find(|entry| entry.address == 10).unwrap();
    assert_eq!((float.words.as_slice(), float.value.as_f64()), (&[0x41FA, 0][..], Some(31.25)));
}
