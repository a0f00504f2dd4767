#!/usr/bin/env python3
"""tare synth and tare inspect as a user meets them. What inspect says of a model's exponents is counted once more here,
from the file's bytes.

Environment: TARE (the executable). Standard library only.
"""
import array
import json
import math
import os
import re
import signal
import struct
import subprocess
import tempfile
import time
import unittest
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

TARE = os.environ["TARE"]
ROOT = Path(__file__).resolve().parents[3]


def run(*args, code=0, timeout=90):
    done = subprocess.run([TARE, *map(str, args)], capture_output=True, text=True, timeout=timeout)
    assert done.returncode == code, f"{args}: exit code {done.returncode}, expected {code}\n{done.stdout}{done.stderr}"
    return done.stdout, done.stderr


def tensors_of(path):
    """Name to (shape, exponents) of a safetensors file of BF16."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    out = {}
    for name, t in header.items():
        if name == "__metadata__":
            continue
        begin, end = t["data_offsets"]
        codes = array.array("H", data[8 + length + begin : 8 + length + end])
        out[name] = (t["shape"], Counter(c >> 7 & 255 for c in codes))
    return out


def entropy(counts):
    total = sum(counts.values())
    return -sum(n / total * math.log2(n / total) for n in counts.values())


def outside(counts, n):
    return 1 - max(sum(counts[e] for e in range(first, first + n)) for first in range(257 - n)) / sum(counts.values())


class Page(HTMLParser):
    """Collects texts by element; refuses anything that would be fetched."""

    def __init__(self, text):
        super().__init__()
        self.texts, self.stack, self.rows, self.svgs = [], [], 0, 0
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            assert name not in ("src", "href") and not (value or "").startswith("http"), (tag, name, value)
        self.rows += tag == "tr"
        self.svgs += tag == "svg"
        self.stack.append(tag)

    def handle_endtag(self, tag):
        while self.stack and self.stack.pop() != tag:
            pass

    def handle_data(self, data):
        if "script" not in self.stack and "style" not in self.stack:
            self.texts.append(data)


class Synth(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = Path(self.folder.name)

    def test_what_it_says_is_what_is_there(self):
        out, _ = run("synth", "tiny-llama", "-o", self.path / "m", "--seed", "5")
        said = re.search(r"([\d.]+) bits of entropy, ([\d.]+) % outside the best 7, ([\d.]+) % outside", out)
        tensors = {n: c for n, (shape, c) in tensors_of(self.path / "m/model.safetensors").items() if len(shape) == 2}
        total = sum(sum(c.values()) for c in tensors.values())
        means = [sum(f(c) * sum(c.values()) for c in tensors.values()) / total
                 for f in (entropy, lambda c: 100 * outside(c, 7), lambda c: 100 * outside(c, 15))]
        for mean, words, digits in zip(means, said.groups(), (3, 2, 3)):
            self.assertAlmostEqual(mean, float(words), delta=0.51 * 10**-digits)
        self.assertTrue(2.62 <= means[0] <= 2.70 and 2.7 <= means[1] <= 4.3 and 0.02 <= means[2] <= 0.05, means)
        wide = sorted(n for n, c in tensors.items() if outside(c, 7) > 0.3)
        self.assertEqual(wide, sorted(re.findall(r"outlier tensor: (\S+)", out)))
        self.assertEqual(wide, json.loads((self.path / "m/synth.json").read_text())["outlier_tensors"])

    def test_every_family_generates(self):
        for shape in ("tiny-llama", "tiny-mistral", "tiny-qwen3"):
            run("synth", shape, "-o", self.path / shape, "--layers", "2", "--quiet")
            answers = []
            for layout in ("dense", "w12", "w11"):
                out = json.loads(run("generate", "-m", self.path / shape, "--json", "-p", "Hello, wörld", "-n", "8",
                                     "--temperature", "0", "--ignore-eos", "--layout", layout)[0])
                answers.append(out["tokens"])
            self.assertEqual(len(answers[0]), 8)
            self.assertGreater(len(set(answers[0])), 1)  # finite logits that say something
            self.assertEqual(answers[0], answers[1])
            self.assertEqual(answers[0], answers[2])
            text = "any text: 你好\n"
            ids = run("tokenize", "-m", self.path / shape, "--no-special", text)[0]
            self.assertEqual(run("detokenize", "-m", self.path / shape, ids)[0].rstrip("\n"), text.rstrip("\n"))

    def test_bad_input_is_one_sentence_and_leaves_nothing(self):
        (self.path / "full").mkdir()
        (self.path / "full/mine").write_text("x")
        for args, words in ((["lama-3.1-8b", "-o", self.path / "a"], "did you mean 'llama-3.1-8b'?"),
                            (["tiny-llama", "-o", self.path / "full"], "is not empty"),
                            (["tiny-llama", "-o", self.path / "no/where"], "does not exist"),
                            (["tiny-llama", "-o", self.path / "no/where.tare"], "does not exist"),
                            (["llama-3.1-70b", "--layers", "1000", "-o", self.path / "huge.tare"], "free, the model takes"),
                            (["llama-3.1-70b", "--layers", "1000", "-o", self.path / "huge"], "free, the model takes")):
            _, err = run("synth", *args, code=1)
            self.assertEqual(len(err.splitlines()), 1, err)
            self.assertIn(words, err)
        run("synth", "tiny-llama", code=2)
        run("synth", "tiny-llama", "-o", self.path / "a", "--layers", "0", code=2)
        self.assertEqual([p.name for p in self.path.iterdir()], ["full"])

    def test_a_bundle_holds_the_same_numbers(self):
        run("synth", "tiny-mistral", "-o", self.path / "m", "--layers", "2", "--seed", "9", "--quiet")
        run("synth", "tiny-mistral", "-o", self.path / "m.tare", "--layers", "2", "--seed", "9", "--quiet")
        self.assertEqual(sorted(p.name for p in self.path.iterdir()), ["m", "m.tare"])
        run("verify", self.path / "m.tare", "--against", self.path / "m")

    def test_ctrl_c_leaves_nothing(self):
        process = subprocess.Popen([TARE, "synth", "smollm2-135m", "-o", self.path / "m", "--layers", "200", "--threads", "1"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while not list(self.path.glob("m.partial-*/model.safetensors")) and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 1, err)
        self.assertEqual(err.strip().splitlines()[-1], "tare: stopped; nothing was left behind")
        self.assertEqual(list(self.path.iterdir()), [])


class Inspect(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.path = Path(cls.folder.name)
        cls.model = cls.path / "m"
        run("synth", "tiny-qwen3", "-o", cls.model, "--layers", "3", "--quiet")

    def test_exponents_are_those_of_the_file(self):
        found = json.loads(run("inspect", self.model, "--json")[0])
        tensors = tensors_of(self.model / "model.safetensors")
        self.assertEqual(len(found["tensors"]), len(tensors))
        for t in found["tensors"]:
            shape, counts = tensors[t["name"]]
            weights = t["weights"]
            self.assertEqual(t["shape"], shape)
            first = weights["first_exponent"]
            self.assertEqual({first + i: n for i, n in enumerate(weights["exponent_counts"]) if n}, dict(counts))
            self.assertAlmostEqual(weights["exponent_entropy_bits"], entropy(counts), places=9)
            self.assertAlmostEqual(weights["outside_best_7"], outside(counts, 7), places=9)
            self.assertAlmostEqual(weights["outside_best_15"], outside(counts, 15), places=9)
            self.assertEqual(weights["outlier"], len(shape) == 2 and outside(counts, 7) > 0.1)
        outliers = [t["name"] for t in found["tensors"] if t["weights"]["outlier"]]
        self.assertEqual(outliers, json.loads((self.model / "synth.json").read_text())["outlier_tensors"])

    def test_layouts_say_their_bytes_and_where_they_fall_back(self):
        found = json.loads(run("inspect", self.model, "--json")[0])
        plain, layouts = found["weights"]["plain_bytes"], found["weights"]["layouts"]
        self.assertEqual(plain, sum(t["presented_bytes"] for t in found["tensors"]))
        self.assertLess(layouts["w12/cpu-tiles"]["bytes"] / plain, 0.758)
        self.assertLess(layouts["w11/cpu-tiles"]["bytes"] / plain, 0.72)
        self.assertEqual(layouts["w11/cpu-tiles"]["fall_back"], 2)
        self.assertEqual(layouts["w12/cpu-tiles"]["fall_back"], 0)
        self.assertLess(found["weights"]["entropy_limit_bytes"] / plain, 0.68)
        for t in found["tensors"]:
            for laid in t["weights"]["layouts"]:
                falls = laid["layout"].startswith("w11") and t["weights"]["outlier"]
                self.assertEqual("w11 does not pay" in laid["note"], falls, t["name"])
        text = run("inspect", self.model, "--tensors")[0]
        self.assertIn("w11 does not pay: ", text)
        self.assertEqual(len(re.findall("outlier tensor: ", text)), 2)
        for t in found["tensors"]:
            self.assertIn(t["name"], text)

    def test_threads_change_nothing(self):
        self.assertEqual(run("inspect", self.model, "--json", "--threads", "1")[0],
                         run("inspect", self.model, "--json", "--threads", "7")[0])

    def test_the_page_stands_alone_and_has_every_tensor(self):
        target = self.path / "page.html"
        run("inspect", self.model, "--html", target)
        text = target.read_text()
        page = Page(text)
        said = "".join(page.texts)
        for t in tensors_of(self.model / "model.safetensors"):
            self.assertIn(t, said)
        for title in ("What can be saved", "Exponents of all BF16 matrices", "Saved by layer", "Outlier tensors",
                      "Layouts that fall back", "Every tensor"):
            self.assertIn(title, said)
        self.assertGreaterEqual(page.svgs, 7)
        self.assertNotIn("nan", said.lower().split())
        run("inspect", self.model, "--html", target)
        self.assertEqual(target.read_text(), text)

    def test_a_bundle_says_its_codecs(self):
        bundle = self.path / "m.tare"
        run("pack", self.model, "-o", bundle)
        folder, packed = (json.loads(run("inspect", p, "--json")[0]) for p in (self.model, bundle))
        self.assertEqual(len(packed["tensors"]), len(folder["tensors"]))
        for a, b in zip(folder["tensors"], packed["tensors"]):
            self.assertEqual(a["name"], b["name"])
            codec = b["weights"].pop("codec")
            self.assertEqual(a["weights"], b["weights"])  # the same numbers
            self.assertIn(codec, ("exp-ans", "raw"))
            if len(a["shape"]) == 2:
                self.assertEqual(codec, "exp-ans")
                self.assertLess(b["stored_bytes"], 0.75 * b["presented_bytes"])
        said = packed["weights"]
        self.assertEqual(said["bundle_bytes"], sum(t["stored_bytes"] for t in packed["tensors"]))
        self.assertEqual(sum(said["codecs"].values()), len(packed["tensors"]))
        self.assertTrue(said["entropy_limit_bytes"] < said["bundle_bytes"] < 0.68 * said["plain_bytes"], said)
        text = run("inspect", bundle, "--tensors", "--html", self.path / "bundle.html")[0]
        self.assertIn("in this bundle", text)
        self.assertIn("exp-ans", "".join(Page((self.path / "bundle.html").read_text()).texts))
        data = bytearray(bundle.read_bytes())
        data[len(data) // 2] ^= 1
        (self.path / "bad.tare").write_bytes(data)
        _, err = run("inspect", self.path / "bad.tare", code=1)
        self.assertEqual(len(err.splitlines()), 1, err)
        self.assertIn("tensor '", err)

    def test_quick_reads_no_weights(self):
        found = json.loads(run("inspect", self.model, "--json", "--quick")[0])
        self.assertNotIn("weights", found)
        run("inspect", self.model, "--quick", "--html", self.path / "x.html", code=2)

    def test_bad_input_is_one_sentence(self):
        short = self.path / "short"
        short.mkdir()
        for name in ("config.json", "tokenizer.json"):
            (short / name).write_bytes((self.model / name).read_bytes())
        (short / "model.safetensors").write_bytes((self.model / "model.safetensors").read_bytes()[:100000])
        for args in (["/etc/hostname"], [self.path / "none"], [self.path], [short],
                     [self.model, "--html", self.path / "no/page.html"], [self.model, "--html", self.path]):
            _, err = run("inspect", *args, code=1)
            self.assertEqual(len(err.splitlines()), 1, err)
            self.assertIn(str(args[-1]), err)


if __name__ == "__main__":
    unittest.main(verbosity=2)
