"""Slaves by pymodbus 3: the units, types and orders of register_image.json.

    pymodbus_server.py PORT                     Modbus TCP (any unit that the image has not answers as unit 1)
    pymodbus_server.py tcp PORT                 Modbus TCP
    pymodbus_server.py rtu-over-tcp PORT        RTU frames in a TCP stream
    pymodbus_server.py rtu DEVICE               RTU on a serial line, 19200 8N1

On a line, a unit that is not there keeps silent; by Modbus TCP it is answered with an exception. The registers are made of the
image's values, by struct; when they are not the image's words, the script says so and ends.
"""
import json
import logging
import os
import struct
import sys

from pymodbus.datastore import ModbusSequentialDataBlock, ModbusServerContext
from pymodbus.server import StartSerialServer, StartTcpServer

try:
    from pymodbus.datastore import ModbusDeviceContext as Device
except ImportError:
    from pymodbus.datastore import ModbusSlaveContext as Device

# Its warnings are of what will be in version 4, its errors of units that are not there.
logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)

CODES = {"u16": "H", "i16": "h", "u32": "I", "i32": "i", "u64": "Q", "i64": "q", "f32": "f", "f64": "d"}
SIZE = 600


def packed(entry):
    """The bytes of an entry, most significant first."""
    kind, value = entry["type"], entry["value"]
    if kind in CODES:
        return struct.pack(">" + CODES[kind], value)
    if kind in ("bcd16", "bcd32"):
        return bytes.fromhex("%0*d" % (4 if kind == "bcd16" else 8, value))
    if kind == "bits":
        return struct.pack(">H", value << entry["low"])
    if kind == "ascii":
        return struct.pack("%ds" % (2 * len(entry["words"])), value.encode("ascii"))
    raise ValueError(kind)


def words(entry):
    """The registers of an entry; A is the most significant byte."""
    data, order = packed(entry), entry["order"]
    if order in ("BADC", "DCBA"):
        data = b"".join(bytes((data[i + 1], data[i])) for i in range(0, len(data), 2))
    registers = list(struct.unpack(">%dH" % (len(data) // 2), data))
    if order in ("CDAB", "DCBA"):
        registers.reverse()
    return registers


def devices():
    """A device a unit, with its four tables."""
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "register_image.json"), encoding="utf-8") as file:
        image = json.load(file)
    units = {}
    for entry in image:
        tables = units.setdefault(entry["unit"], {
            "holding": [0] * SIZE, "input": [0] * SIZE, "coil": [False] * SIZE, "discrete": [False] * SIZE,
        })
        table, address = tables[entry["table"]], entry["address"]
        if entry["type"] == "bit":
            table[address] = bool(entry["value"])
            continue
        for offset, word in enumerate(words(entry)):
            # Fields of bits share a register.
            if table[address + offset] & word:
                sys.exit("register_image.json: %r lies over another entry" % entry)
            table[address + offset] |= word
    for entry in image:
        tables, address = units[entry["unit"]], entry["address"]
        found = [int(word) for word in tables[entry["table"]][address : address + len(entry["words"])]]
        if found != entry["words"]:
            sys.exit("register_image.json: %r: its value makes the words %r" % (entry, found))
    # A block that starts at 1 is addressed from 0 on the wire.
    block = lambda values: ModbusSequentialDataBlock(1, values)
    return {
        unit: Device(hr=block(t["holding"]), ir=block(t["input"]), co=block(t["coil"]), di=block(t["discrete"]))
        for unit, t in units.items()
    }


def main(arguments):
    if len(arguments) == 1:
        # Unit 0 stands for all that are not there.
        context = ModbusServerContext({**devices(), 0: devices()[1]}, single=False)
        StartTcpServer(context=context, address=("127.0.0.1", int(arguments[0])))
        return
    link, where = arguments
    units = devices()
    context = ModbusServerContext(units, single=False)
    if link == "tcp":
        StartTcpServer(context=context, address=("127.0.0.1", int(where)))
        return
    # Not in every pymodbus 3.
    from pymodbus import FramerType

    # pymodbus 3.16 answers for a unit that is not there, whatever `ignore_missing_devices` says.
    def silent(sending, frame):
        return b"" if sending and frame[0] not in units else frame

    if link == "rtu-over-tcp":
        StartTcpServer(
            context=context, framer=FramerType.RTU, address=("127.0.0.1", int(where)), trace_packet=silent
        )
    elif link == "rtu":
        StartSerialServer(
            context=context, framer=FramerType.RTU, port=where, baudrate=19200, bytesize=8, parity="N", stopbits=1,
            trace_packet=silent,
        )
    else:
        sys.exit(__doc__)


main(sys.argv[1:])
