#!/usr/bin/env python3
"""Tensors of more than 1 GiB and 2 GiB: pack, verify and unpack stay within the memory that docs/benchmarks/bundle-codec.md
states; Ctrl-C in the middle leaves nothing, and the next run works.

    TARE=build/bin/tare python tests/e2e/bundle/large_bundle_test.py [--out FILE.json]

Needs 8 GiB of room in the folder for temporary files (TMPDIR); says so and passes where there is less. Standard library only.
"""
import argparse
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

TARE = os.environ["TARE"]
MIB = 1 << 20
ROOM = 8 << 30
THREADS = 2
# Two blocks of output (4 MiB), and for each thread pieces that are read (0.5 MiB) and a band of 64 x 4096 BF16, plain and
# coded (at most 1.3 MiB); 16 bytes for each of 72,481 tiles, which a vector may hold twice while it grows; 2 MiB for the rest.
PACK_MIB = 4 + THREADS * (0.5 + 1.3) + 2 * 1.2 + 2
# For each thread two tensors, each with a band, plain and coded, two blocks of output and 4096 entries of a table.
UNPACK_MIB = THREADS * 2 * (1.3 + 4 + 0.1) + 2
VERIFY_MIB = THREADS * 2 * (1.3 + 1 + 0.1) + 2
RECORD = {}


def trained_like(count):
    """Bytes of `count` BF16 numbers: random signs and mantissas, exponents as rare as they are small."""
    exponents = bytes((b & 0x80) | 0x3C - min(3, (b & 0x7F).bit_length() and 7 - (b & 0x7F).bit_length()) for b in range(256))
    out = bytearray(2 * count)
    out[0::2] = os.urandom(count)
    out[1::2] = os.urandom(count).translate(exponents)
    return bytes(out)


def make_model(folder):
    """A vector of 1.1 GB and a matrix of 2.4 GB, most of it a hole; both have numbers that look trained."""
    folder.mkdir()
    (folder / "config.json").write_text('{"architectures": ["X"]}')
    vector, rows, columns = 553_648_128, 290_000, 4096
    sizes = {"vector": ([vector], 2 * vector), "matrix": ([rows, columns], 2 * rows * columns)}
    header, at = {}, 0
    for name, (shape, size) in sizes.items():
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    block = trained_like(4 * MIB)
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        begin = file.tell()
        for _ in range(2 * vector // len(block)):
            file.write(block)
        file.truncate(begin + at)
        for place in range(2 * vector, at - len(block), 256 * MIB):
            file.seek(begin + place)
            file.write(block)
    return at


def anonymous_kib(pid):
    try:
        found = re.search(r"RssAnon:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found[1]) if found else 0


def run(*args):
    """Seconds, CPU seconds and the most anonymous memory in MiB, looked at every 5 ms."""
    start, most = time.monotonic(), 0
    process = subprocess.Popen([TARE, *map(str, args)], stdout=subprocess.DEVNULL)
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        most = max(most, anonymous_kib(process.pid))
        time.sleep(0.005)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"{args}: exit code {process.returncode}"
    return time.monotonic() - start, usage.ru_utime + usage.ru_stime, most / 1024


class LargeTensors(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.path = Path(holder.name)
        free = shutil.disk_usage(self.path).free
        if free < ROOM:
            self.skipTest(f"{self.path}: {free >> 20} MiB are free, {ROOM >> 20} MiB are needed")

    def measured(self, what, most, plain, *args):
        seconds, cpu, anonymous = run(*args, "--threads", THREADS)
        RECORD[what] = {"seconds": round(seconds, 2), "cpu_seconds": round(cpu, 2), "anonymous_mib": round(anonymous, 1),
                        "bound_mib": round(most, 1), "bytes": plain}
        print(what, RECORD[what])
        self.assertLess(anonymous, most + self.idle, what)
        self.assertGreater(anonymous, 0.5, what)

    def test_memory_is_bounded(self):
        self.idle = 6  # the program itself with its plugins, before it does anything
        model, bundle, out = self.path / "m", self.path / "m.tare", self.path / "out"
        plain = make_model(model)
        self.assertGreater(plain, (1 << 30) + (2 << 30))
        self.measured("pack", PACK_MIB, plain, "pack", model, "-o", bundle)
        self.measured("verify", VERIFY_MIB, bundle.stat().st_size, "verify", bundle)
        self.measured("unpack", UNPACK_MIB, plain, "unpack", bundle, "-o", out)
        self.measured("verify --against", VERIFY_MIB, plain, "verify", bundle, "--against", model)
        run("verify", bundle, "--against", out)
        self.assertEqual((out / "model.safetensors").stat().st_size, (model / "model.safetensors").stat().st_size)

    def interrupt(self, signal_number, *args):
        """Starts it, and ends it when it has read 64 MiB."""
        process = subprocess.Popen([TARE, *map(str, args), "--threads", "1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   text=True)
        while process.poll() is None:
            found = re.search(r"rchar: (\d+)", Path(f"/proc/{process.pid}/io").read_text())
            if found and int(found[1]) > 64 * MIB:
                break
            time.sleep(0.002)
        process.send_signal(signal_number)
        _, err = process.communicate(timeout=60)
        return process.returncode, err

    def test_what_is_interrupted_leaves_nothing_half(self):
        subprocess.run([TARE, "synth", "smollm2-135m", "--layers", "60", "-o", self.path / "m", "--quiet"], check=True,
                       stdout=subprocess.DEVNULL)
        bundle, out = self.path / "m.tare", self.path / "out"
        for number in (signal.SIGINT, signal.SIGKILL):
            code, err = self.interrupt(number, "pack", self.path / "m", "-o", bundle)
            self.assertEqual(code, 1 if number == signal.SIGINT else -number, err)
            if number == signal.SIGINT:
                self.assertEqual(err.strip().splitlines()[-1], "tare: packing was interrupted")
            self.assertEqual([p.name for p in self.path.iterdir()], ["m"])
        run("pack", self.path / "m", "-o", bundle)
        for number in (signal.SIGINT, signal.SIGKILL):
            code, err = self.interrupt(number, "unpack", bundle, "-o", out)
            self.assertEqual(code, 1 if number == signal.SIGINT else -number, err)
            self.assertFalse(out.exists())
        run("unpack", bundle, "-o", out)
        self.assertEqual(sorted(p.name for p in self.path.iterdir()), ["m", "m.tare", "out"])
        run("verify", bundle, "--against", self.path / "m")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", help="writes what was measured")
    options, rest = parser.parse_known_args()
    result = unittest.main(argv=["large_bundle_test", *rest], exit=False).result
    if options.out and result.wasSuccessful():
        Path(options.out).write_text(json.dumps(RECORD, indent=1) + "\n")
    raise SystemExit(0 if result.wasSuccessful() else 1)
