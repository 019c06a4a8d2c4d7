"""Writes register_image.json, which the slaves of pymodbus serve and the tests expect: python3 register_image.py > register_image.json

It makes the words by arithmetic on whole numbers. pymodbus_server.py makes them again, with struct, and stops when they differ.
An entry: unit, table, address (0-based), type, order, words, value; `bits` also low and count, and fields that share a register
have the same words; `ascii` has as many registers as words, and its text ends at the first NUL. Units 1, 2 and 17 hold different values, and so do holding and input registers.
"""
import json
import struct

ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")


def in_order(number, registers, order):
    """The registers of a number without a sign; A is its most significant byte."""
    words = [number >> 16 * (registers - 1 - index) & 0xFFFF for index in range(registers)]
    if order in ("CDAB", "DCBA"):
        words = words[::-1]
    if order in ("BADC", "DCBA"):
        words = [(word & 0xFF) << 8 | word >> 8 for word in words]
    return words


def decimal(number, registers):
    """Binary coded: each decimal digit is four bits."""
    return int(str(number).zfill(4 * registers), 16)


def text(letters):
    """Two characters a register, the first in the high byte."""
    padded = letters + "\0" * (16 - len(letters))
    return sum(ord(letter) << 8 * (15 - index) for index, letter in enumerate(padded))


def float_bits(number, registers):
    return int(struct.pack(">f" if registers == 2 else ">d", number).hex(), 16)


def entries(unit, table):
    """All types in all orders; what differs by unit and by table is added to each."""
    more = unit + (100 if table == "input" else 0)
    number = {
        "u16": (1, 0xF1A0 + more),
        "i16": (1, -0x1234 - more),
        "u32": (2, 0xF1B2_C3D0 + more),
        "i32": (2, -0x1234_5678 - more),
        "u64": (4, 0x0001_F2C3_D4E5_F600 + more),
        "i64": (4, -0x0001_2345_6789_ABCD - more),
        "f32": (2, -(more + 0.15625)),
        "f64": (4, more + 0.1),
        "bcd16": (1, 1200 + more),
        "bcd32": (2, 34_567_800 + more),
    }
    for kind, (registers, value) in number.items():
        for order in ORDERS:
            yield kind, order, registers, value, ()
    for kind, registers, value in [
        ("u16", 1, 0xFFFF), ("i16", 1, -0x8000), ("u32", 2, 0xFFFF_FFFF), ("i32", 2, -0x8000_0000), ("u64", 4, 2**64 - 1),
        ("i64", 4, -2**63), ("f32", 2, 0.0), ("f64", 4, 1.0e300), ("bcd16", 1, 9999), ("bcd32", 2, 99_999_999), ("bcd32", 2, 0),
    ]:
        yield kind, "ABCD", registers, value, ()
    # Fields that share a register, and one that is all of it.
    shared = [{"low": 0, "count": 4, "value": 9}, {"low": 4, "count": 3, "value": 5},
              {"low": 7, "count": 8, "value": 0x80 + more}, {"low": 15, "count": 1, "value": 1}]
    for order in ("ABCD", "BADC"):
        yield "bits", order, 1, None, shared
        yield "bits", order, 1, None, [{"low": 0, "count": 16, "value": 0xC000 + more}]
    for order in ("ABCD", "BADC"):
        yield "ascii", order, 8, f"SN-4711-{unit}{table[0].upper()}", ()
    yield "ascii", "ABCD", 8, "SIXTEEN-LETTERS!", ()
    yield "ascii", "ABCD", 8, "", ()


def words(kind, order, registers, value, fields=()):
    if kind.startswith("f"):
        return in_order(float_bits(value, registers), registers, order)
    if kind.startswith("bcd"):
        return in_order(decimal(value, registers), registers, order)
    if kind == "bits":
        return in_order(sum(field["value"] << field["low"] for field in fields), registers, order)
    if kind == "ascii":
        return in_order(text(value), registers, order)
    return in_order(value % (1 << 16 * registers), registers, order)


# What gateway/pymodbus.rs has read since there was one slave only.
FIRST = [
    ("holding", 0, "u16", "ABCD", 1, 65000), ("holding", 1, "i16", "ABCD", 1, -1234),
    ("holding", 2, "u32", "ABCD", 2, 4000000001), ("holding", 4, "u32", "CDAB", 2, 4000000001),
    ("holding", 6, "i32", "BADC", 2, -2000000001), ("holding", 8, "i32", "DCBA", 2, -2000000001),
    ("holding", 10, "f32", "ABCD", 2, 31.25), ("holding", 12, "f32", "CDAB", 2, -0.15625),
    ("holding", 14, "f32", "BADC", 2, struct.unpack("f", struct.pack("f", 1.5e-3))[0]),
    ("holding", 16, "f32", "DCBA", 2, struct.unpack("f", struct.pack("f", 1.0e20))[0]),
    ("holding", 18, "u16", "DCBA", 1, 0x1234), ("holding", 90, "u16", "ABCD", 1, 8), ("input", 0, "f32", "ABCD", 2, 9.5),
]

image = []
for table, address, kind, order, registers, value in FIRST:
    found = words(kind, order, registers, value)
    image.append({"unit": 1, "table": table, "address": address, "type": kind, "order": order, "words": found, "value": value})
for unit in (1, 2, 17):
    for table in ("holding", "input"):
        address = 100
        for kind, order, registers, value, fields in entries(unit, table):
            found = words(kind, order, registers, value, fields)
            place = {"unit": unit, "table": table, "address": address, "type": kind, "order": order}
            image.extend({**place, "words": found, **field} for field in fields or [{"value": value}])
            # A gap after each block of one type and its orders.
            address += registers + (1 if order == "DCBA" else 0)
    for table, pattern in (("coil", 0b1011_0010_0110 + unit), ("discrete", 0b0110_1001_1100 + unit)):
        for index in range(12):
            value = pattern >> index & 1
            entry = {"unit": unit, "table": table, "address": 100 + index, "type": "bit", "words": [value], "value": value}
            image.append(entry)

print("[\n" + ",\n".join(json.dumps(entry) for entry in image) + "\n]")
