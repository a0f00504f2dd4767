#!/usr/bin/env python3
"""Serving bundles on a disk that fills up, and ended in the middle: one sentence, no half file, and the next run works.

    TARE=build/bin/tare python tests/e2e/bundle/serving_bundle_test.py

Standard library only.
"""
import json
import os
import resource
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

TARE = os.environ["TARE"]
MIB = 1 << 20
SERVING = ["--device", "cpu", "--layout", "w12"]


def run(*args, code=0, limit=None):
    """`limit`: bytes that a file may have, as where a disk is full."""

    def restrict():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = subprocess.run([TARE, *map(str, args)], capture_output=True, text=True, timeout=120,
                          preexec_fn=restrict if limit else None, restore_signals=False)
    assert done.returncode == code, f"{args}: exit code {done.returncode}, expected {code}\n{done.stdout}{done.stderr}"
    return done.stdout, done.stderr


def read_by(pid):
    """Bytes that a process has read from files so far; 0 when it has ended."""
    try:
        lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) for line in lines if line.startswith("rchar:"))


class ServingBundles(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.model = Path(cls.folder.name) / "m"
        run("synth", "smollm2-135m", "--layers", "16", "-o", cls.model, "--quiet")
        cls.whole = Path(cls.folder.name) / "whole.tare"
        run("pack", cls.model, "-o", cls.whole, *SERVING)
        cls.bytes = cls.whole.stat().st_size
        cls.plain = (cls.model / "model.safetensors").stat().st_size

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def setUp(self):
        holder = tempfile.TemporaryDirectory(dir=self.folder.name)
        self.addCleanup(holder.cleanup)
        self.path = Path(holder.name)
        self.bundle = self.path / "m.tare"

    def names(self):
        return sorted(p.name for p in self.path.iterdir())

    def packs_again(self):
        run("pack", self.model, "-o", self.bundle, *SERVING)
        self.assertEqual(self.names(), ["m.tare"])
        self.assertEqual(self.bundle.read_bytes(), self.whole.read_bytes())
        run("verify", self.bundle)

    def test_a_full_disk_is_one_sentence_and_no_file(self):
        # In the header's room, in the middle of the weights, and before what is written last.
        for limit in (4096, self.bytes // 2, self.bytes - 1):
            _, err = run("pack", self.model, "-o", self.bundle, *SERVING, code=1, limit=limit)
            last = err.strip().splitlines()[-1]
            self.assertIn("m.tare", last)
            self.assertRegex(last, "File too large|No space left")
            self.assertNotIn("Traceback", err)
            self.assertEqual(self.names(), [])
        self.packs_again()

    def test_a_full_disk_leaves_the_bundle_that_was_there(self):
        self.bundle.write_bytes(b"what was there")
        run("pack", self.model, "-o", self.bundle, *SERVING, code=1, limit=self.bytes // 2)
        self.assertEqual(self.names(), ["m.tare"])
        self.assertEqual(self.bundle.read_bytes(), b"what was there")

    def test_what_is_ended_in_the_middle_leaves_nothing_and_the_next_run_works(self):
        for number in (signal.SIGKILL, signal.SIGINT):
            for share in (0.2, 0.8, 1.4):  # weights are read twice: to choose a code's table, and to write it
                process = subprocess.Popen([TARE, "pack", str(self.model), "-o", str(self.bundle), *SERVING, "--threads",
                                            "1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                while process.poll() is None and read_by(process.pid) < share * self.plain:
                    time.sleep(0.001)
                self.assertIsNone(process.poll(), f"it was done before it was ended, at {share}")
                process.send_signal(number)
                _, err = process.communicate(timeout=60)
                if number == signal.SIGKILL:
                    self.assertEqual(process.returncode, -number, err)
                elif process.returncode != 0:  # it may have been past the last place where it asks
                    self.assertEqual(process.returncode, 1, err)
                    self.assertRegex(err.strip().splitlines()[-1], "^tare: .*packing was interrupted$")
                self.assertIn(self.names(), [[], ["m.tare"]] if process.returncode == 0 else [[]])
        self.packs_again()

    def test_a_bundle_that_lacks_its_end_or_has_a_flipped_bit_is_refused_by_name(self):
        data = bytearray(self.whole.read_bytes())
        for cut in (0, 100, len(data) // 2, len(data) - 1):
            self.bundle.write_bytes(data[:cut])
            _, err = run("verify", self.bundle, code=1)
            self.assertIn("m.tare", err)
            _, err = run("generate", "-m", self.bundle, "--tokens", "1", "2", "--max-tokens", "2", code=1)
            self.assertIn("m.tare", err)
        report = json.loads(run("inspect", self.whole, "--json")[0])
        data[len(data) // 2] ^= 4
        self.bundle.write_bytes(data)
        out, err = run("verify", self.bundle, code=1)
        self.assertTrue(any(t["name"] in out + err for t in report["tensors"]), out + err)


if __name__ == "__main__":
    unittest.main(verbosity=2)
