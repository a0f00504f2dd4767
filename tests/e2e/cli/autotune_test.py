#!/usr/bin/env python3
"""tare autotune as a user meets it: a model from scratch and again, a report, qualification, bad input.

Environment: TARE (the executable). Standard library only.
"""
import contextlib
import json
import os
import resource
import signal
import sqlite3
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

TARE = os.environ["TARE"]
ROOT = Path(__file__).resolve().parents[3]
TINY = ROOT / "tests/golden/models/tiny-chat"
SMALL = ["--layouts", "dense,w12", "--chunk", "8", "--sequences", "4"]


def command(*args):
    return [TARE, "autotune", *map(str, args)]


def run(*args, code=0):
    done = subprocess.run(command(*args), capture_output=True, text=True, timeout=100)
    assert done.returncode == code, f"{args}: exit code {done.returncode}, expected {code}\n{done.stdout}{done.stderr}"
    return done.stdout, done.stderr


class Autotune(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.db = Path(self.folder.name) / "tuning.db"

    def tune(self, *args, code=0):
        return json.loads(run(TINY, *SMALL, "--database", self.db, "--json", *args, code=code)[0])

    def measured(self):
        """Candidates that the database has kept so far."""
        try:
            with contextlib.closing(sqlite3.connect(f"file:{self.db}?mode=ro", uri=True)) as opened:
                return opened.execute("SELECT count(*) FROM tried").fetchone()[0]
        except sqlite3.Error:
            return 0  # not made yet

    def test_a_model_is_tuned_once_and_served_with_it(self):
        page = Path(self.folder.name) / "report.html"
        first = self.tune("--report", page)
        self.assertEqual((first["unfinished"], first["failed"], first["known"]), (0, 0, 0))
        self.assertEqual(first["failures"], [])
        for choice in first["choices"]:
            self.assertTrue(choice["exact"], choice)
            # On a busy machine a candidate may be ruled out by what the default took: then it is counted there.
            self.assertGreaterEqual(len(choice["tried"]) + choice["pruned"], 3, choice)
            self.assertEqual(choice["tried"][0]["name"], choice["baseline"])
            self.assertEqual(len(choice["hash"]), 16)
            self.assertLessEqual(choice["us"], choice["baseline_us"])  # the default stays unless it is beaten
        html = page.read_text()
        self.assertIn("<svg", html)
        self.assertIn("Every candidate", html)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        second = self.tune()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)  # of processors: the wall's time is also that of others
        self.assertLess(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1)
        self.assertEqual((second["known"], second["tuned"]), (len(first["choices"]), 0))
        env = {**os.environ, "TARE_TUNING_DATABASE": str(self.db)}
        done = subprocess.run([TARE, "explain", str(TINY), "--chunk", "8", "--sequences", "4"], env=env,
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("exact", done.stdout)

    def test_what_was_chosen_can_be_measured_again(self):
        tuned = self.tune()
        choices = {(c["problem"], c["layout"], c["rows"]) for c in tuned["choices"] if
                   f"{c['kernel']} {c['config']}" != c["baseline"]}
        done = subprocess.run(command(TINY, *SMALL, "--database", self.db, "--json", "--check"), capture_output=True,
                              text=True, timeout=100)
        self.assertIn(done.returncode, (0, 3), done.stderr)  # 3: one is slower, as on a busy machine it may be
        found = json.loads(done.stdout)
        self.assertEqual({(c["problem"], c["layout"], c["rows"]) for c in found["choices"]}, choices)
        self.assertEqual((found["defaults"], found["missing"]), (len(tuned["choices"]) - len(choices), 0))
        self.assertEqual(done.returncode, 3 if found["slower"] else 0)
        _, err = run("--check", "--database", self.db, code=1)
        self.assertIn("give MODEL", err)

    def test_numbers_are_kept_until_renumbered(self):
        before = {c["problem"]: c["numerics"] for c in self.tune()["choices"]}
        out, err = run(TINY, *SMALL, "--database", self.db, "--json", "--renumber")
        self.assertIn("outputs may change", err)
        self.assertTrue(any(n["relative_time"] for n in json.loads(out)["numerics"]))
        self.assertTrue(before)

    def test_two_tuners_at_once(self):
        first = subprocess.Popen(command(TINY, "--database", self.db), stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
        try:
            lock = None
            while first.poll() is None and lock is None:
                lock = next(iter(Path(self.folder.name).glob("*.lock")), None)
                if lock and not lock.read_text():
                    lock = None
            self.assertIsNone(first.poll(), "the first tuner ended before the second came")
            _, err = run(TINY, "--database", self.db, code=1)
            self.assertIn(f"another autotuner (process {first.pid})", err)
        finally:
            first.send_signal(signal.SIGKILL)
            first.wait()
        done = self.tune()  # the lock went with its holder, what was measured is whole
        self.assertEqual(done["unfinished"], 0)

    def test_an_interrupted_run_says_so_and_goes_on(self):
        process = subprocess.Popen(command(TINY, "--database", self.db), stdout=subprocess.PIPE, text=True)
        while process.poll() is None and self.measured() == 0:
            time.sleep(0.01)
        self.assertIsNone(process.poll(), "it ended before it was interrupted")
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0)
        self.assertIn("the next run goes on from there", out)

    def test_a_budget_that_is_too_small(self):
        _, err = run(TINY, *SMALL, "--database", self.db, "--budget", "1ms", code=1)
        self.assertIn("a budget of 1ms is too small", err)
        _, err = run(TINY, "--database", self.db, "--budget", "soon", code=1)
        self.assertIn("'soon', expected a duration", err)

    def test_databases_that_are_damaged_or_cannot_be_written(self):
        self.db.write_bytes(b"no database at all" * 1000)
        out, err = run(TINY, *SMALL, "--database", self.db, "--json")
        self.assertIn("was damaged: it is kept aside", err)
        self.assertEqual(json.loads(out)["unfinished"], 0)
        self.assertTrue(list(Path(self.folder.name).glob("*.corrupt-1")))
        _, err = run(TINY, "--database", "/proc/nowhere/tuning.db", code=1)
        self.assertIn("cannot be opened", err)

    def test_wrong_names(self):
        _, err = run(TINY, "--database", self.db, "--layouts", "w13", code=1)
        self.assertIn("'w13' is none of those", err)
        _, err = run("--database", self.db, "--shapes", "llama-9-1b", code=1)
        self.assertIn("no shape 'llama-9-1b'", err)

    def test_a_device_is_qualified(self):
        folder = Path(self.folder.name) / "db"
        # --shared: tests run beside others.
        out, err = run("--shapes", "tiny-llama", *SMALL, "--database", self.db, "--output", folder, "--shared", "--json")
        done = json.loads(out)
        self.assertIn("nobody has measured", err)
        self.assertEqual(done["verdict"], "qualified")
        self.assertGreater(sum(g["checked"] for g in done["gates"]), 1000)
        self.assertTrue(all(g["failure"] == "" for g in done["gates"]))
        self.assertEqual(len(done["files"]), 1)
        self.assertIn(done["sku"], Path(done["files"][0]).read_text())
        listed = subprocess.run([TARE, "tuning", "list", "--database", str(self.db)], capture_output=True, text=True)
        self.assertEqual(listed.returncode, 0, listed.stderr)
        self.assertIn("linear/1", listed.stdout)

    def test_a_device_that_serves_is_not_qualified_and_what_is_tuned_on_it_is_marked(self):
        env = {**os.environ, "TARE_TUNING_DATABASE": str(self.db)}
        server = subprocess.Popen([TARE, "serve", str(TINY), "--listen", "127.0.0.1:0"], env=env, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            while "listening on" not in (line := server.stdout.readline()):
                self.assertNotEqual(line, "", "the server ended")
            folder = Path(self.folder.name) / "db"
            refused = subprocess.run(command("--shapes", "tiny-llama", *SMALL, "--output", folder), env=env,
                                     capture_output=True, text=True, timeout=60)
            self.assertEqual(refused.returncode, 1, refused.stdout)
            self.assertIn(f"a server (process {server.pid}) runs on it", refused.stderr)
            self.assertIn("--shared", refused.stderr)
            self.assertFalse(folder.exists())
            tuned = subprocess.run(command(TINY, *SMALL, "--json"), env=env, capture_output=True, text=True, timeout=100)
            self.assertEqual(tuned.returncode, 0, tuned.stderr)
            self.assertIn("figures may be wrong", tuned.stderr)
            self.assertIn(str(server.pid), json.loads(tuned.stdout)["shared_with"])
            shown = subprocess.run([TARE, "tuning", "show", "linear/1"], env=env, capture_output=True, text=True, timeout=60)
            self.assertIn("shared device", shown.stdout)
        finally:
            server.terminate()
            server.wait(timeout=30)
            server.stdout.close()


if __name__ == "__main__":
    unittest.main(verbosity=2)
