"""Cuts the power of a mounted ext4: EXT4_IOC_SHUTDOWN without flushing the journal. Usage: power_cut.py MOUNT_POINT

Prints the moment just before, in Unix microseconds. What was not made durable by fsync is gone at the next mount, as after a real power cut; every access until then fails with EIO.
"""

import fcntl
import os
import struct
import sys
import time

EXT4_IOC_SHUTDOWN = 0x8004587D
NO_LOG_FLUSH = 2

descriptor = os.open(sys.argv[1], os.O_RDONLY)
print(time.time_ns() // 1000, flush=True)
fcntl.ioctl(descriptor, EXT4_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
