//! Which registers hold a number or a text, and in which form: `register`, `table`, `type`, `order`, and what the type needs.

use crate::config::check::{one_of, small};
use crate::config::document::Section;
use crate::config::gateway::{Blocks, Number, Order, Place, Table};

pub const TABLES: [(&str, Table); 4] = [
    ("holding", Table::Holding),
    ("input", Table::Input),
    ("coil", Table::Coil),
    ("discrete", Table::Discrete),
];
pub const ORDERS: [(&str, Order); 4] =
    [("ABCD", Order::Abcd), ("CDAB", Order::Cdab), ("BADC", Order::Badc), ("DCBA", Order::Dcba)];
/// All types but the last are those of values; a text is only compared.
const TYPES: [(&str, Type); 13] = [
    ("bit", Type::Plain(Number::Bit)),
    ("u16", Type::Plain(Number::U16)),
    ("i16", Type::Plain(Number::I16)),
    ("u32", Type::Plain(Number::U32)),
    ("i32", Type::Plain(Number::I32)),
    ("u64", Type::Plain(Number::U64)),
    ("i64", Type::Plain(Number::I64)),
    ("f32", Type::Plain(Number::F32)),
    ("f64", Type::Plain(Number::F64)),
    ("bcd16", Type::Plain(Number::Bcd16)),
    ("bcd32", Type::Plain(Number::Bcd32)),
    ("bits", Type::Bits),
    ("ascii", Type::Ascii),
];

#[derive(Debug, Clone, Copy)]
enum Type {
    Plain(Number),
    Bits,
    Ascii,
}

/// Where a value is.
pub fn value_place(section: &mut Section<'_>) -> Option<Place> {
    place(section, TYPES.split_last().map_or(&[], |(_text, values)| values))
}

/// Where a number or a text is.
pub fn any_place(section: &mut Section<'_>) -> Option<Place> {
    place(section, &TYPES)
}

fn place(section: &mut Section<'_>, types: &[(&str, Type)]) -> Option<Place> {
    let has_texts = types.len() == TYPES.len();
    let registers = if has_texts { section.optional("registers", small::<u16>(1..=125)) } else { Some(None) };
    let address = section.required("register", small::<u16>(0..=65_535));
    let table = table(section);
    let written = section.required("type", one_of(types));
    let low = section.optional("low", small::<u8>(0..=15));
    let count = section.optional("count", small::<u8>(1..=16));
    let order = section.optional("order", one_of(&ORDERS));
    let (address, table, written) = (address?, table?, written?);
    let number = number(section, written, (low?, count?), registers?)?;
    let order = order?;
    if table.is_bits() != (number == Number::Bit) {
        let allowed = if table.is_bits() {
            "\"bit\": a coil or a discrete input holds one bit"
        } else {
            "\"bit\" is for the tables coil and discrete; a bit of a register is type = \"bits\" with low and count = 1"
        };
        section.problem("type", &format!("a type that table = {:?} does not have", table.name()), allowed);
        return None;
    }
    if number == Number::Bit && order.is_some() {
        section.problem("order", "an order of a single bit", "no order, which is for the bytes of registers");
    }
    let last = 0x1_0000 - u32::from(number.registers());
    if u32::from(address) > last {
        let allowed = format!("at most {last}, since its {} registers end at 65535", number.registers());
        section.problem("register", &address.to_string(), &allowed);
        return None;
    }
    Some(Place { table, address, number, order: order.unwrap_or(Order::Abcd) })
}

fn number(
    section: &Section<'_>,
    written: Type,
    (low, count): (Option<u8>, Option<u8>),
    registers: Option<u16>,
) -> Option<Number> {
    let found = [
        ("low", low.map(u16::from), "bits", "the bit with which it begins"),
        ("count", count.map(u16::from), "bits", "how many bits"),
        ("registers", registers, "ascii", "how many registers of two characters each"),
    ];
    let needs = match written {
        Type::Plain(_) => "",
        Type::Bits => "bits",
        Type::Ascii => "ascii",
    };
    for (key, value, of, what) in found {
        match value {
            None if of == needs => section.problem(key, "nothing", &format!("{what}, for type = {of:?}")),
            Some(value) if of != needs => {
                section.problem(key, &value.to_string(), &format!("{key} only with type = {of:?}"));
            }
            Some(_) | None => {}
        }
    }
    match written {
        Type::Plain(number) => Some(number),
        Type::Ascii => Some(Number::Ascii { registers: registers? }),
        Type::Bits => {
            let (low, count) = (low?, count?);
            if low + count > 16 {
                let allowed = format!("at most {}, since a register has 16 bits", 16 - low);
                section.problem("count", &format!("{count} from bit {low} on"), &allowed);
                return None;
            }
            Some(Number::Bits { low, count })
        }
    }
}

/// `table`.
pub fn table(section: &mut Section<'_>) -> Option<Table> {
    section.with_default("table", one_of(&TABLES), Table::Holding)
}

/// One register: `register` and `table`.
pub fn register(section: &mut Section<'_>) -> Option<(Table, u16)> {
    let address = section.required("register", small(0..=65_535));
    let table = table(section);
    Some((table?, address?))
}

/// A number or text that is longer than one request may be cannot be read in one, so never as it was at one moment.
pub fn check_length(section: &Section<'_>, key: &str, place: Place, blocks: Blocks) {
    let registers = place.number.registers();
    if registers > blocks.max_registers {
        section.problem(
            key,
            &format!("{registers} registers that belong together"),
            &format!(
                "at most max_registers = {} of the analyser: allow it more in a request, or ask for less",
                blocks.max_registers
            ),
        );
    }
}
