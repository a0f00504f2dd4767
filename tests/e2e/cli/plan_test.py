#!/usr/bin/env python3
"""tare plan, explain and serve's [tuning] and [[model]] memory as a user meets them.

Environment: TARE (the executable), TARE_DEMO_MODEL. Standard library only.
"""
import array
import json
import math
import os
import random
import signal
import subprocess
import tempfile
import unittest
from pathlib import Path

TARE = os.environ["TARE"]
ROOT = Path(__file__).resolve().parents[3]
TINY = ROOT / "tests/golden/models/tiny-chat"
SHAPES = {  # config.json of a 1.24 B model: plans need no weights
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 128256, "hidden_size": 2048,
    "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32, "num_key_value_heads": 8,
    "head_dim": 64, "hidden_act": "silu", "max_position_embeddings": 131072, "rms_norm_eps": 1e-05,
    "rope_theta": 500000.0, "tie_word_embeddings": True, "attention_bias": False, "mlp_bias": False,
    "bos_token_id": 1, "eos_token_id": 2, "torch_dtype": "bfloat16"}


def run(*args, code=0, env=None):
    done = subprocess.run([TARE, *map(str, args)], capture_output=True, text=True, timeout=90,
                          env={**os.environ, "TARE_TUNING_DATABASE": "none", **(env or {})})
    assert done.returncode == code, f"{args}: exit code {done.returncode}, expected {code}\n{done.stdout}{done.stderr}"
    return done.stdout, done.stderr


def plan(*args):
    return json.loads(run("plan", *args, "--json")[0])


def layouts(report):
    return sorted((row["matrices"], row["layout"], row["count"]) for row in report["rows"])


class Plans(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.model = Path(cls.folder.name) / "shapes-1b"
        cls.model.mkdir()
        (cls.model / "config.json").write_text(json.dumps(SHAPES))

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_plans_at_three_budgets_differ_and_hold(self):
        seen = []
        for share in (100, 78, 72):
            report = plan(self.model, "--weights", f"{share}%")
            self.assertLessEqual(report["memory"]["weights"], report["plain_bytes"] * share / 100)
            self.assertEqual(sum(r["bytes"] for r in report["rows"]) + report["other_bytes"],
                             report["memory"]["weights"])
            self.assertNotIn(layouts(report), seen)
            seen.append(layouts(report))
            # Nothing was tuned, but what is no product was launched: a part of the step is measured.
            self.assertGreater(report["other_seconds"], 0)
            self.assertGreater(report["steps"][0]["measured_share"], 0)

    def made_up_tuning(self, folder):
        """A database in which codes are faster than plain weights for one row, w11 most, and slower for many."""
        entries = []
        for code in ("dense", "w12", "w11"):
            explained = json.loads(run("explain", self.model, "--layout", code, "--json")[0])
            for group in explained["pipelines"]:
                outputs = sum(int(n) for n in group["sizes"].split(" x ")[0].split("+"))
                for problem in group["problems"]:
                    for r in group["ranges"]:
                        rows = r["last"]
                        factor = {"dense": 1, "w12": 0.78 if rows < 32 else 1.08, "w11": 0.73 if rows < 32 else 1.12}[code]
                        us = factor * outputs * (0.1 + 0.002 * rows)
                        entries.append({
                            "problem": problem, "layout": group["layout"], "numerics": r["numerics"], "rows": rows,
                            "kernel": r["kernel"], "config": r["config"], "us": us, "spread": us / 100, "first_us": us,
                            "runner_up": "", "runner_up_us": 0.0, "gb_s": 9.5, "share": 0.5, "baseline": "k {}",
                            "baseline_us": us, "exact": True, "hash": "h1", "versions": "made up", "date": "2026-01-31"})
        sku = plan(self.model)["sku"]
        lines = [f'{k} = {json.dumps(v)}' for k, v in {"schema": 1, "architecture": "x86-64", "sku": sku, "op": "linear",
                                                       "device": "made up", "units": 2}.items()] + ["entries = ["]
        lines += ["  {" + ", ".join(f"{k} = {json.dumps(v)}" for k, v in e.items()) + "}," for e in entries] + ["]"]
        path = Path(folder) / "linear.toml"
        path.write_text("\n".join(lines) + "\n")
        database = str(Path(folder) / "tuning.db")
        run("tuning", "import", path, "--sku", sku, "--database", database)
        return {"TARE_TUNING_DATABASE": database}

    def test_tuned_plans_at_three_budgets_differ_where_a_budget_costs_time(self):
        with tempfile.TemporaryDirectory() as folder:
            env = self.made_up_tuning(folder)
            plans = {}
            for objective in ("throughput", "latency"):
                for share in (100, 78, 72):
                    out, _ = run("plan", self.model, "--objective", objective, "--weights", f"{share}%", "--json", env=env)
                    report = json.loads(out)
                    self.assertLessEqual(report["memory"]["weights"], report["plain_bytes"] * share / 100)
                    self.assertTrue(all(row["measured"] for row in report["rows"]), report["rows"])
                    plans[objective, share] = report
        full, middle, small = (plans["throughput", share] for share in (100, 78, 72))
        for a, b in ((full, middle), (middle, small), (full, small)):
            self.assertNotEqual(layouts(a), layouts(b))
        prompts = [p["steps"][-1] for p in (full, middle, small)]
        self.assertEqual([(s["rows"], s["of"]) for s in prompts], [(512, "prompt")] * 3)
        plain = [sum(r["bytes"] for r in p["rows"] if r["layout"].startswith("dense")) for p in (full, middle, small)]
        self.assertEqual(plain, sorted(set(plain), reverse=True))  # less and less lies plain
        # The code that is both smallest and fastest for one row takes everything, whatever the budget.
        for share in (100, 78, 72):
            self.assertEqual({row["layout"] for row in plans["latency", share]["rows"]}, {"w11/cpu-tiles"})

    def test_objectives(self):
        for objective, code in (("latency", "dense"), ("balanced", "w12"), ("memory", "w11")):
            report = plan(self.model, "--objective", objective)
            self.assertEqual({r["layout"].split("/")[0] for r in report["rows"]}, {code})
        mix = plan(self.model, "--objective", "mix:1=0.5,512=0.5")
        self.assertEqual([s["rows"] for s in mix["steps"]], [1, 512])
        self.assertGreater(mix["steps"][1]["seconds"], mix["steps"][0]["seconds"])
        _, err = run("plan", self.model, "--objective", "speed", code=1)
        self.assertIn("mix:1=0.7,16=0.3", err)
        _, err = run("plan", self.model, "--objective", "mix:1=0.5,2000=0.5", code=1)
        self.assertIn("a step of 2000 tokens, a step takes at most 512", err)
        small = plan(self.model, "--objective", "mix:1=0.5,3=0.5", "--chunk", "3", "--sequences", "2")
        self.assertEqual([(s["rows"], s["of"]) for s in small["steps"]], [(1, "sequences"), (3, "prompt")])

    def test_memory_holds_everything(self):
        budget = 2 << 30
        report = plan(self.model, "--memory", "2GiB")
        self.assertLessEqual(report["memory"]["total"], budget)
        self.assertGreater(report["memory"]["state_tokens"], 1000)
        self.assertLess(report["memory"]["weights"], report["plain_bytes"])

    def test_what_does_not_fit_is_refused_with_figures(self):
        _, err = run("plan", self.model, "--memory", "1GiB", code=1)
        self.assertIn(str(1 << 30), err)
        self.assertRegex(err, r"need at least \d{10} bytes")
        self.assertEqual(len(err.splitlines()), 1)
        _, err = run("plan", self.model, "--layout", "dense", "--weights", "80%", code=1)  # a cap and what exceeds it
        self.assertRegex(err, r"the weights take \d{10} bytes in the layout dense, there are \d{10} for them")
        _, err = run("plan", self.model, "--weights", "0%", code=1)
        self.assertIn("the most that weights may take is '0%'", err)
        _, err = run("plan", self.model, "--sku", "nvidia-h100-sxm", "--memory", "1GiB", code=1)
        self.assertIn(str(1 << 30), err)

    def test_described_devices_and_ranks(self):
        one = plan(self.model, "--sku", "nvidia-h100-sxm")
        eight = plan(self.model, "--sku", "nvidia-h100-sxm", "--ranks", "8")
        self.assertTrue(one["described"])
        self.assertEqual(eight["ranks"], 8)
        self.assertAlmostEqual(eight["memory"]["weights"] / one["memory"]["weights"], 1 / 8, places=2)
        self.assertEqual(eight["memory"]["state_bytes_per_token"] * 8, one["memory"]["state_bytes_per_token"])
        self.assertLess(eight["steps"][0]["seconds"], one["steps"][0]["seconds"])
        # The weights stream at the described bandwidth.
        self.assertAlmostEqual(one["rows"][0]["seconds"], one["rows"][0]["bytes"] / 3350e9, places=9)
        text, _ = run("plan", self.model, "--sku", "nvidia-h100-sxm", "--ranks", "8")
        self.assertIn("each of 8 ranks", text)
        _, err = run("plan", self.model, "--sku", "nvidia-h100", code=1)
        self.assertIn("nvidia-h100-sxm", err)
        _, err = run("plan", self.model, "--sku", "nvidia-h100-sxm", "--ranks", "3", code=1)
        self.assertIn("32 heads to divide over 3 ranks", err)
        self.assertEqual(len(err.splitlines()), 1)
        _, err = run("plan", self.model, "--ranks", "2", code=1)
        self.assertIn("--sku", err)


def write_model(folder, exponents):
    """A small Llama of random BF16 numbers whose exponents are spread evenly over so many values."""
    rng = random.Random(1)
    config = {**SHAPES, "vocab_size": 512, "hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": 2,
              "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 4096}
    shapes = {"model.embed_tokens.weight": (512, 256), "model.norm.weight": (256,)}
    for i in range(2):
        at = f"model.layers.{i}."
        shapes.update({at + "input_layernorm.weight": (256,), at + "post_attention_layernorm.weight": (256,),
                       at + "self_attn.q_proj.weight": (256, 256), at + "self_attn.k_proj.weight": (128, 256),
                       at + "self_attn.v_proj.weight": (128, 256), at + "self_attn.o_proj.weight": (256, 256),
                       at + "mlp.gate_proj.weight": (1024, 256), at + "mlp.up_proj.weight": (1024, 256),
                       at + "mlp.down_proj.weight": (256, 1024)})
    header, data = {}, bytearray()
    for name, shape in shapes.items():
        begin, count = len(data), math.prod(shape)
        numbers = array.array("H", (rng.getrandbits(1) << 15 | (120 - rng.randrange(exponents)) << 7 |
                                    rng.getrandbits(7) for _ in range(count)))
        data += numbers.tobytes()
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [begin, len(data)]}
    text = json.dumps(header).encode()
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + data)


class Budget(unittest.TestCase):
    """The budget holds whatever the numbers are: state is sized when the weights are in place."""

    def generate(self, model, memory, code=0):
        return run("generate", "-m", model, "--tokens", "1", "2", "3", "--max-tokens", "4", "--ignore-eos", "--layout",
                   "w12", "--memory", str(memory), code=code)

    def test_weights_that_grow_take_from_state_or_are_refused(self):
        with tempfile.TemporaryDirectory() as name:
            for exponents, grows in ((4, False), (28, True)):
                folder = Path(name) / str(exponents)
                folder.mkdir()
                write_model(folder, exponents)
                memory = plan(folder, "--layout", "w12")["memory"]
                tight = memory["weights"] + memory["workspace"] + 16 * 32 * memory["state_bytes_per_token"]
                if not grows:
                    self.generate(folder, tight)
                    continue
                _, err = self.generate(folder, tight, code=1)
                self.assertIn(f"{memory['weights']} bytes of weights were expected", err)
                self.assertIn(str(tight), err)
                self.generate(folder, tight + 2 * memory["weights"] // 3)  # as much as plain numbers take more


class Explain(unittest.TestCase):
    def test_every_matrix_and_bucket_has_its_pipeline_and_reason(self):
        report = json.loads(run("explain", TINY, "--json")[0])
        self.assertEqual({g["matrices"] for g in report["pipelines"]},
                         {"self_attn.q_proj+k_proj+v_proj", "self_attn.o_proj", "mlp.gate_proj+up_proj",
                          "mlp.down_proj", "lm_head"})
        for group in report["pipelines"]:
            rows = 1
            for r in group["ranges"]:
                self.assertEqual(r["first"], rows)
                self.assertEqual(r["ending"], "rule")
                self.assertTrue(r["kernel"])
                rows = r["last"] + 1
        self.assertIn("Pipelines by matrix and rows", run("explain", TINY)[0])


class Serving(unittest.TestCase):
    def settings(self, text):
        path = Path(self.folder.name) / "tare.toml"
        path.write_text(text)
        return path

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()

    def tearDown(self):
        self.folder.cleanup()

    def test_on_miss_fail_names_the_problem_and_the_command(self):
        path = self.settings(f'[tuning]\non_miss = "fail"\n[device]\nuse = "cpu"\n[[model]]\nsource = "{TINY}"\n')
        _, err = run("serve", "--check", path, code=1)
        self.assertIn("never measured", err)
        self.assertIn("linear/1 n=64+32+32 k=64", err)
        self.assertIn(f"tare autotune {TINY}", err)
        self.assertEqual(len(err.splitlines()), 1)

    def test_memory_and_objective(self):
        for text, fits in (('memory = "33MiB"', True), ('memory = "200KiB"', False), ('objective = "mix:1=1"', True)):
            path = self.settings(f'[device]\nuse = "cpu"\n[[model]]\nsource = "{TINY}"\n{text}\n')
            out, err = run("serve", "--check", path, code=0 if fits else 1)
            if not fits:
                self.assertIn("204800", err)
            else:
                self.assertRegex(out, r"layouts +9 products in ")


    def tokens(self, env):
        out, _ = run("generate", "-m", TINY, "--tokens", "5", "9", "17", "--max-tokens", "12", "--ignore-eos",
                     "--temperature", "0", "--json", env=env)
        return json.loads(out)["tokens"]

    def start(self, path, env):
        """Serves until it listens, then stops; what it said on standard error."""
        serving = subprocess.Popen([TARE, "serve", str(path), "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, env={**os.environ, **env})
        try:
            for line in serving.stdout:
                if line.startswith("listening"):
                    break
            else:
                self.fail(serving.stderr.read())
        finally:
            serving.send_signal(signal.SIGINT)
            err = serving.communicate(timeout=60)[1]
        self.assertEqual(serving.returncode, 0, err)
        return err

    def test_on_miss_tune_measures_once_and_changes_no_token(self):
        env = {"TARE_TUNING_DATABASE": str(Path(self.folder.name) / "tuning.db")}
        before = self.tokens({"TARE_TUNING_DATABASE": "none"})
        path = self.settings('[tuning]\non_miss = "tune"\nbudget = "60s"\n[device]\nuse = "cpu"\n[engine]\n'
                             f'max_batch = 2\nmax_step_tokens = 4\n[[model]]\nsource = "{TINY}"\nlayout = "dense"\n')
        run("serve", "--check", path, env=env)  # a check measures nothing
        self.assertFalse(Path(env["TARE_TUNING_DATABASE"]).exists())
        self.assertIn("measuring", self.start(path, env))
        self.assertNotIn("measuring", self.start(path, env))
        report = json.loads(run("explain", TINY, "--chunk", "4", "--sequences", "2", "--layout", "dense", "--json",
                                env=env)[0])
        for group in report["pipelines"]:
            for r in group["ranges"]:
                self.assertEqual(r["ending"], "exact")
                self.assertGreater(r["us"], 0)
        self.assertEqual(self.tokens(env), before)
        self.assertEqual(len(before), 12)

    def test_on_miss_tune_without_a_place_to_keep_it_serves_by_rule(self):
        path = self.settings(f'[tuning]\non_miss = "tune"\n[device]\nuse = "cpu"\n[[model]]\nsource = "{TINY}"\n')
        self.assertIn("cannot be kept", self.start(path, {"TARE_TUNING_DATABASE": "none"}))


if __name__ == "__main__":
    unittest.main(verbosity=2)
