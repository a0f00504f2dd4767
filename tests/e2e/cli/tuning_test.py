#!/usr/bin/env python3
"""tare tuning as a user meets it: text files in and out, merge, diff, prune, and what is wrong with them.

Environment: TARE (the executable). Standard library only.
"""
import json
import os
import sqlite3
import stat
import subprocess
import tempfile
import unittest
from pathlib import Path

TARE = os.environ["TARE"]
ROOT = Path(__file__).resolve().parents[3]
TINY = ROOT / "tests/golden/models/tiny-chat"
PROBLEM = "linear/1 n=64+32+32 k=64 bf16 x=bf16 y=bf16+bf16+bf16"
KERNEL = "linear.cpu_highway"


def entry(rows=1, us=12.5, date="2026-01-31", **changes):
    out = {"problem": PROBLEM, "layout": "dense/cpu-tiles", "numerics": "k-seq-fma", "rows": rows, "kernel": KERNEL,
           "config": "{prefetch = 8}", "us": us, "spread": 0.25, "first_us": us, "runner_up": "", "runner_up_us": 0.0,
           "gb_s": 9.5, "share": 0.5, "baseline": "k {}", "baseline_us": 13.0, "exact": True, "hash": "h1",
           "versions": "tare 0.1.0", "date": date}
    out.update(changes)
    return out


def toml_value(v):
    return json.dumps(v)


def write(path, entries, sku="made-up", **header):
    top = {"schema": 1, "architecture": "x86-64", "sku": sku, "op": "linear", "device": "A made-up CPU", "units": 4}
    top.update(header)
    lines = [f"{k} = {toml_value(v)}" for k, v in top.items()] + ["entries = ["]
    lines += ["  {" + ", ".join(f"{k} = {toml_value(v)}" for k, v in e.items()) + "}," for e in entries]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines + ["]"]) + "\n")
    return path


class Tuning(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.folder = Path(self.temporary.name)
        self.database = self.folder / "state" / "tuning.db"

    def tearDown(self):
        self.temporary.cleanup()

    def run_tare(self, *args, code=0):
        done = subprocess.run([TARE, *map(str, args)], capture_output=True, text=True, timeout=60,
                              env={**os.environ, "TARE_TUNING_DATABASE": str(self.database)})
        self.assertEqual(done.returncode, code, f"{args}\n{done.stdout}{done.stderr}")
        return done.stdout, done.stderr

    def tuning(self, *args, code=0):
        return self.run_tare("tuning", *args, code=code)

    def entries(self, source="user"):
        return json.loads(self.tuning("show", "linear/1", source, "--json")[0])["entries"]

    def test_import_show_list_export_come_back(self):
        path = write(self.folder / "db" / "linear.toml", [entry(1), entry(8, 20.0)])
        _, err = self.tuning("import", path, code=1)  # of no device that is here
        self.assertIn("made-up", err)
        self.assertIn("--sku made-up", err)
        out, _ = self.tuning("import", path, "--sku", "made-up")
        self.assertIn("2 entries offered, 2 new, 0 replaced", out)
        listed = json.loads(self.tuning("list", "--json")[0])
        self.assertEqual(listed["kind"], "database")
        self.assertEqual([(p["sku"], p["problem"], p["entries"], p["rows"]) for p in listed["problems"]],
                         [("made-up", PROBLEM, 2, [1, 8])])
        shown, _ = self.tuning("show", "n=64+32+32")
        for said in (PROBLEM, KERNEL, "12.50 us", "9.5 GB/s", "50 % of the roofline", "default k {}", "tare 0.1.0", "h1"):
            self.assertIn(said, shown)
        _, err = self.tuning("show", "n=1 k=1", code=1)
        self.assertIn("n=1 k=1", err)
        # Nobody knows how many units a made-up device has, but the file does.
        _, err = self.tuning("export", self.folder / "out", code=1)
        self.assertIn("made-up", err)
        self.tuning("export", self.folder / "out", path)
        written = self.folder / "out" / "x86-64" / "made-up" / "linear.toml"
        self.assertEqual(self.entries(written), self.entries())
        self.assertIn("0 differ, 2 are equal", self.tuning("diff", written, "user")[0])

    def test_a_devices_own_entries_are_exported(self):
        sku = next(d["sku"] for d in json.loads(self.run_tare("devices", "--json")[0])["devices"] if d["id"] == "cpu")
        self.tuning("import", write(self.folder / "mine.toml", [entry()], sku=sku))
        self.tuning("export", self.folder / "out")
        self.assertTrue((self.folder / "out" / "x86-64" / sku / "linear.toml").is_file())

    def test_merge_rules_and_diff(self):
        a = write(self.folder / "a.toml", [entry(1, 10.0, "2026-01-01"), entry(2, 5.0)])
        b = write(self.folder / "b.toml", [entry(1, 20.0, "2026-02-01", config="{prefetch = 16}"), entry(4, 7.0)])
        out, _ = self.tuning("diff", a, b)
        self.assertIn("1 only in", out)
        self.assertIn("1 differ, 0 are equal", out)
        for rule, us in (("newest", 20.0), ("fastest", 10.0)):
            database = self.folder / f"{rule}.db"
            self.tuning("merge", a, b, "--prefer", rule, "--database", database)
            entries = self.entries(database)
            self.assertEqual([e["rows"] for e in entries], [1, 2, 4])
            self.assertEqual(entries[0]["us"], us)
        out, _ = self.tuning("merge", a, "--prefer", "given", "--dry-run", "--database", self.folder / "newest.db")
        self.assertIn("1 replaced", out)
        self.assertEqual(self.entries(self.folder / "newest.db")[0]["us"], 20.0)
        # An order of sums that is kept stays.
        with sqlite3.connect(self.folder / "newest.db") as db:
            db.execute("INSERT INTO numerics VALUES('made-up', ?, 'first')", (PROBLEM,))
        with sqlite3.connect(self.folder / "fastest.db") as db:
            db.execute("INSERT INTO numerics VALUES('made-up', ?, 'second')", (PROBLEM,))
        out, _ = self.tuning("merge", self.folder / "fastest.db", "--database", self.folder / "newest.db")
        self.assertIn("1 problems keep the order of sums", out)

    def test_prune(self):
        path = write(self.folder / "a.toml", [entry(1, date="2020-01-01"), entry(2, kernel="linear.gone"),
                                              entry(4, hash="another build")])
        self.tuning("import", path, "--sku", "made-up")
        _, err = self.tuning("prune", code=1)
        self.assertIn("--stale", err)
        out, _ = self.tuning("prune", "--older-than", "2021-01-01", "--dry-run")
        self.assertIn("1 entries would go", out)
        self.assertEqual(len(self.entries()), 3)
        self.tuning("prune", "--older-than", "2021-01-01")
        self.assertEqual([e["rows"] for e in self.entries()], [2, 4])
        out, _ = self.tuning("prune", "--stale")
        self.assertIn("the kernel linear.gone is gone", out)
        _, err = self.tuning("prune", "--older-than", "a while", code=1)
        self.assertIn("90d", err)
        self.tuning("prune", "--other-skus")
        self.assertEqual(json.loads(self.tuning("list", "--json")[0])["problems"], [])

    def test_bad_files_are_one_sentence(self):
        good = entry()
        for name, entries, header, said in (
                ("unknown field", [{**good, "colour": "red"}], {}, "colour"),
                ("missing field", [{k: v for k, v in good.items() if k != "kernel"}], {}, "kernel"),
                ("schema", [good], {"schema": 2}, "schema"),
                ("twice", [good, good], {}, "two entries"),
                ("another op", [good], {"op": "attention"}, "attention"),
                ("rows", [entry(3)], {}, "3")):
            with self.subTest(name):
                _, err = self.tuning("import", write(self.folder / "bad.toml", entries, **header), "--sku", "made-up",
                                     code=1)
                self.assertIn(said, err)
                self.assertIn("bad.toml", err)
                self.assertEqual(len(err.splitlines()), 1)
                self.assertFalse(self.database.exists())
        # In another SKU's folder.
        write(self.folder / "db" / "x86-64" / "another" / "linear.toml", [good])
        _, err = self.tuning("list", self.folder / "db", code=1)
        self.assertIn("another", err)
        self.assertIn("made-up", err)
        (self.folder / "no.toml").write_text("schema = ")
        self.tuning("list", self.folder / "no.toml", code=1)
        self.tuning("list", self.folder / "nothing", code=1)

    def test_corrupt_and_read_only_databases(self):
        self.tuning("import", write(self.folder / "a.toml", [entry()]), "--sku", "made-up")
        content = self.database.read_bytes()
        self.database.write_bytes(b"no database at all, " * 400)
        for extra in ("-wal", "-shm"):
            Path(f"{self.database}{extra}").unlink(missing_ok=True)
        _, err = self.tuning("list", code=1)
        self.assertIn(str(self.database), err)
        # Commands that only ask go on without it, say it, and keep it aside.
        out, err = self.run_tare("explain", TINY)
        self.assertIn("kept aside", err)
        self.assertIn("Pipelines", out)
        self.assertTrue(Path(f"{self.database}.corrupt-1").exists())
        self.tuning("import", self.folder / "a.toml", "--sku", "made-up")
        self.assertEqual(len(self.entries()), 1)
        if os.geteuid() == 0:  # who may write everything sees no read-only file
            return
        self.database.write_bytes(content)
        os.chmod(self.database, stat.S_IRUSR)
        os.chmod(self.database.parent, stat.S_IRUSR | stat.S_IXUSR)
        try:
            _, err = self.tuning("import", self.folder / "a.toml", "--sku", "made-up", code=1)
            self.assertIn("read-only", err)
            self.assertEqual(len(self.entries()), 1)
        finally:
            os.chmod(self.database.parent, stat.S_IRWXU)

    def test_endings(self):
        """What explain says of a choice: exact, stale, nearest or rule, and why."""
        sku = next(d["sku"] for d in json.loads(self.run_tare("devices", "--json")[0])["devices"] if d["id"] == "cpu")

        def ending():
            groups = json.loads(self.run_tare("explain", TINY, "--json")[0])["pipelines"]
            return next((r["ending"], r["note"]) for g in groups if "q_proj" in g["matrices"] for r in g["ranges"])
        group = next(g for g in json.loads(self.run_tare("explain", TINY, "--json")[0])["pipelines"]
                     if "q_proj" in g["matrices"])
        first = group["ranges"][0]
        self.assertEqual(first["ending"], "rule")
        good = entry(problem=group["problems"][0], layout=group["layout"], numerics=first["numerics"],
                     kernel=first["kernel"], config=first["config"], hash="")
        self.tuning("import", write(self.folder / "mine.toml", [good], sku=sku))
        self.assertEqual(ending()[0], "exact")
        self.assertIn("2026-01-31", ending()[1])
        self.tuning("import", write(self.folder / "mine.toml", [{**good, "hash": "another build"}], sku=sku),
                    "--prefer", "given")
        self.assertIn(ending()[0], ("stale", "exact"))  # exact: a kernel without a hash
        self.tuning("import", write(self.folder / "mine.toml", [{**good, "kernel": "linear.gone"}], sku=sku), "--prefer",
                    "given")
        self.assertEqual(ending()[0], "rule")


if __name__ == "__main__":
    unittest.main(verbosity=2)
