"""A Modbus TCP slave by pymodbus 3: a register image of all number types and word orders. Usage: pymodbus_server.py PORT"""
import struct
import sys

from pymodbus.datastore import ModbusSequentialDataBlock, ModbusServerContext
from pymodbus.server import StartTcpServer

try:
    from pymodbus.datastore import ModbusDeviceContext as Device
except ImportError:
    from pymodbus.datastore import ModbusSlaveContext as Device


def words(value, code, order):
    """The registers of one number; A is the most significant byte."""
    data = struct.pack(">" + code, value)
    if order in ("BADC", "DCBA"):
        data = b"".join(bytes((data[i + 1], data[i])) for i in range(0, len(data), 2))
    registers = list(struct.unpack(">%dH" % (len(data) // 2), data))
    if order in ("CDAB", "DCBA"):
        registers.reverse()
    return registers


holding = [0] * 200
for address, value, code, order in [
    (0, 65000, "H", "ABCD"),
    (1, -1234, "h", "ABCD"),
    (2, 4000000001, "I", "ABCD"),
    (4, 4000000001, "I", "CDAB"),
    (6, -2000000001, "i", "BADC"),
    (8, -2000000001, "i", "DCBA"),
    (10, 31.25, "f", "ABCD"),
    (12, -0.15625, "f", "CDAB"),
    (14, 1.5e-3, "f", "BADC"),
    (16, 1.0e20, "f", "DCBA"),
    (18, 0x1234, "H", "DCBA"),
    (90, 0b1000, "H", "ABCD"),
]:
    for offset, word in enumerate(words(value, code, order)):
        holding[address + offset] = word
inputs = words(9.5, "f", "ABCD") + [0] * 100

# A block that starts at 1 is addressed from 0 on the wire.
device = Device(hr=ModbusSequentialDataBlock(1, holding), ir=ModbusSequentialDataBlock(1, inputs))
StartTcpServer(context=ModbusServerContext(device, single=True), address=("127.0.0.1", int(sys.argv[1])))
