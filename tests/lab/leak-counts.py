#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""leak-counts.py DEVICE SECTOR: the metadata snapshot of the thin pool whose metadata starts there is
forgotten, and the reference counts that it raised stay.

This is what a power cut in the middle of release_metadata_snap leaves.
"""
import struct
import sys

BLOCK = 4096
SUPERBLOCK_XOR = 160774
HELD_ROOT = 56


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc


def main():
    start = int(sys.argv[2]) * 512
    with open(sys.argv[1], "r+b", buffering=0) as device:
        device.seek(start)
        block = bytearray(device.read(BLOCK))
        assert struct.unpack_from("<I", block)[0] == crc32c(block[4:]) ^ SUPERBLOCK_XOR
        assert struct.unpack_from("<Q", block, HELD_ROOT)[0] != 0
        struct.pack_into("<Q", block, HELD_ROOT, 0)
        struct.pack_into("<I", block, 0, crc32c(block[4:]) ^ SUPERBLOCK_XOR)
        device.seek(start)
        device.write(block)


main()
