#!/usr/bin/env python3
"""The command line as a user meets it: exit codes, one-sentence errors, JSON where a machine reads, Ctrl-C.

Environment: TARE (the executable), TARE_DEMO_MODEL. Standard library only.
"""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

TARE = os.environ["TARE"]
ROOT = Path(__file__).resolve().parents[3]
TINY = ROOT / "tests/golden/models/tiny-chat"
DEMO = os.environ.get("TARE_DEMO_MODEL", "")


def run(*args, stdin=None, code=0, env=None):
    done = subprocess.run([TARE, *map(str, args)], input=stdin, capture_output=True, text=True, timeout=90,
                          env={**os.environ, **(env or {})})
    assert done.returncode == code, f"{args}: exit code {done.returncode}, expected {code}\n{done.stdout}{done.stderr}"
    return done.stdout, done.stderr


class Usage(unittest.TestCase):
    def test_exit_codes(self):
        run("--version")
        run("--help")
        run(code=2)
        run("nonsense", code=2)
        run("generate", code=2)
        run("generate", "-m", TINY, "--prompt", "a", "--temperature", "-1", code=2)
        run("completion", "tcsh", code=2)

    def test_errors_are_one_sentence(self):
        for args in (["inspect", "/no/such/model"], ["explain", "org/model"], ["generate", "-m", "org/model", "-p", "x"],
                     ["serve", "/no/such.toml"], ["plugins", "check", "/etc/hostname"]):
            out, err = run(*args, code=1)
            said = (err or out).strip()
            self.assertTrue(said, args)
            self.assertLess(len(err.splitlines()), 3, f"{args}: {err}")
        _, err = run("generate", "-m", "org/model", "-p", "x", code=1)
        self.assertIn("download", err)

    def test_completion_knows_every_subcommand(self):
        for shell in ("bash", "zsh", "fish"):
            out, _ = run("completion", shell)
            for command in ("serve", "generate", "inspect", "explain", "plugins", "tokenize", "bench"):
                self.assertIn(command, out)
        subprocess.run(["bash", "-n"], input=run("completion", "bash")[0], text=True, check=True)


class Listings(unittest.TestCase):
    def test_plugins(self):
        found = json.loads(run("plugins", "--json")[0])
        ids = {p["id"] for p in found["loaded"]}
        self.assertEqual(found["refused"], [])
        self.assertGreater(len(ids), 8)
        kernels = {k for p in found["loaded"] for k in p["kernels"]}
        self.assertIn("linear.cpu_reference", kernels)
        for p in found["loaded"]:
            self.assertIn(p["id"], run("plugins")[0])

    def test_a_text_file_named_so_is_refused_and_the_rest_runs(self):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "fake.so").write_text("not a library")
            found = json.loads(run("--plugin-path", folder, "plugins", "--json")[0])
            self.assertEqual(len(found["refused"]), 1)
            self.assertIn("fake.so", found["refused"][0]["reason"])
            self.assertGreater(len(found["loaded"]), 8)

    def test_devices(self):
        found = json.loads(run("devices", "--json")[0])
        self.assertIn("cpu", [d["id"] for d in found["devices"]])

    def test_devices_says_what_was_found_where(self):
        out, _ = run("devices")
        # A machine with a driver lists its GPUs and the driver's version, the others the library that was looked for.
        self.assertRegex(out, "cuda: (NVIDIA driver for CUDA|no NVIDIA driver: libcuda.so.1)")
        self.assertRegex(out, "jit: NVRTC")
        self.assertRegex(out, "jit: kernel cache")

    def test_the_kernel_cache_is_listed_and_cleared(self):
        with tempfile.TemporaryDirectory() as folder:
            env = {"TARE_KERNEL_CACHE": folder}
            self.assertEqual(run("cache", "list", env=env)[0], f"{folder}: 0 kernels, 0 bytes\n")
            (Path(folder) / ("a" * 32 + ".kernel")).write_bytes(b"no kernel")
            (Path(folder) / "notes.txt").write_text("not ours")
            out, _ = run("cache", "list", env=env)
            self.assertIn("cannot be read", out)
            self.assertIn("1 kernels, 9 bytes", out)
            self.assertEqual(run("cache", "clear", env=env)[0], f"{folder}: 1 kernels removed\n")
            self.assertEqual([f.name for f in Path(folder).iterdir()], ["notes.txt"])
        self.assertIn("not kept", run("cache", "list", env={"TARE_KERNEL_CACHE": "none"})[0])
        _, err = run("cache", "fill", env={"TARE_KERNEL_CACHE": "none"}, code=1)
        self.assertEqual(err, "tare: compiled kernels are not kept on disk: there is no folder to fill\n")
        _, err = run("cache", "fill", "--count", "--sku", "nvidia-none", code=1)
        self.assertIn("no GPU is described as 'nvidia-none', expected one of nvidia-a100-sxm-80gb, ", err)
        _, err = run("cache", "fill", "--count", "--architecture", "sm_70", code=1)
        self.assertIn("the GPU is sm_70, expected sm_80 or newer", err)
        _, err = run("cache", "fill", "--count", "--architecture", "hopper", code=1)
        self.assertEqual(err, "tare: --architecture is 'hopper', expected one such as sm_90a\n")
        run("cache", "fill", "--count", "--architecture", "sm_80", "--sku", "nvidia-h200", code=2)
        run("cache", code=2)

    def test_records_of_a_gpu_are_shown_without_one(self):
        records = [ROOT / "docs/benchmarks/data" / f"linear-cuda-{card}.jsonl" for card in ("h100", "h200", "h100-order")]
        layers = [r for f in records for r in map(json.loads, f.read_text().splitlines()) if r["kind"] == "layer"]
        with tempfile.TemporaryDirectory() as folder:
            page = Path(folder) / "page.html"
            shown = json.loads(run("bench", "linear", *records, "--html", page, "--json")[0])
            self.assertEqual(len(shown["rows"]), len(layers))
            html = page.read_text()
        self.assertEqual(html.count("<svg"), 1)
        for words in ("NVIDIA H100 80GB HBM3", "NVIDIA H200", "Speed-up against the vendor", "price of one order"):
            self.assertIn(words, html)
        fastest = max(layers, key=lambda r: r["vendor_us"] / r["us"])
        self.assertIn(f"{fastest['vendor_us'] / fastest['us']:.2f}x", html)
        self.assertTrue(all(0 <= p["geometric_mean"] < 0.03 for p in shown["order_prices"]), shown["order_prices"])

    @unittest.skipIf(Path("/dev/nvidia0").exists(), "there is a GPU")
    def test_a_gpu_where_there_is_none_is_refused(self):
        _, err = run("generate", "-m", TINY, "-p", "a", "--device", "cuda:0", code=1)
        self.assertIn("no NVIDIA driver", err)

    def test_inspect(self):
        facts = json.loads(run("inspect", TINY, "--json")[0])
        self.assertEqual(facts["architecture"], "LlamaForCausalLM")
        self.assertFalse(facts["expands"])
        self.assertEqual(facts["parameters"], sum(_product(t["shape"]) for t in facts["tensors"]))
        quantised = json.loads(run("inspect", next((ROOT / "tests/golden/models").glob("*/*.Q4_0.gguf")), "--json")[0])
        self.assertTrue(quantised["expands"])
        self.assertIn("rounded once", " ".join(quantised["notes"]))

    def test_explain(self):
        plan = json.loads(run("explain", TINY, "--json", "--batch", "4")[0])
        self.assertEqual(plan["bucket"]["tokens"], 4)
        self.assertTrue(all(s["kernel"] and s["ending"] == "rule" for s in plan["steps"]))
        self.assertEqual(plan["memory"]["total"], sum(plan["memory"][k] for k in ("weights", "workspace", "state")))
        with tempfile.TemporaryDirectory() as folder:  # needs no weights
            for name in ("config.json",):
                (Path(folder) / name).write_bytes((TINY / name).read_bytes())
            run("explain", folder)


def _product(sizes):
    out = 1
    for s in sizes:
        out *= s
    return out


class Text(unittest.TestCase):
    def test_there_and_back(self):
        text = "Hello, wörld! 你好\n"
        ids = run("tokenize", "-m", TINY, "--no-special", text)[0]
        self.assertEqual(run("detokenize", "-m", TINY, ids)[0].rstrip("\n"), text.rstrip("\n"))

    def test_lines(self):
        lines = [json.dumps(t) for t in ("one", "two\nlines", "")]
        out = run("tokenize", "-m", TINY, "--jsonl", "--no-special", stdin="\n".join(lines) + "\n")[0].splitlines()
        self.assertEqual(len(out), 3)
        back = run("detokenize", "-m", TINY, "--jsonl", stdin="\n".join(out) + "\n")[0].splitlines()
        self.assertEqual([json.loads(b) for b in back], ["one", "two\nlines", ""])
        out, _ = run("tokenize", "-m", TINY, "--jsonl", stdin='"good"\nbad\n"good"\n', code=1)
        self.assertIn("error", json.loads(out.splitlines()[1]))

    def test_template(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "t.jinja"
            path.write_text("{{ strftime_now('%Y-%m-%d') }}: {% for m in messages %}{{ m.content }}{% endfor %}")
            context = json.dumps({"messages": [{"role": "user", "content": "hi"}]})
            self.assertEqual(run("template", "--template", path, "--now", "2024-02-29", context)[0].strip(), "2024-02-29: hi")
            self.assertIn("hi", run("template", "--model", TINY, context)[0])
            path.write_text("{% for %}")
            _, err = run("template", "--template", path, "{}", code=1)
            self.assertEqual(len(err.splitlines()), 1)


class Generate(unittest.TestCase):
    def generate(self, *args, model=TINY):
        return json.loads(run("generate", "-m", model, "--json", "--temperature", "0", *args)[0])

    def test_the_same_tokens_however_it_is_cut(self):
        prompt = "the quick brown fox jumps over the lazy dog again and again"
        base = self.generate("-p", prompt, "-n", "24", "--ignore-eos")
        self.assertEqual(base["output_tokens"], 24)
        self.assertEqual(base["finish_reason"], "length")
        for more in (["--chunk", "1"], ["--chunk", "7"], ["--threads", "1"]):
            self.assertEqual(self.generate("-p", prompt, "-n", "24", "--ignore-eos", *more)["tokens"], base["tokens"], more)

    def test_a_seed_repeats(self):
        def drawn(seed):
            out = run("generate", "-m", TINY, "--json", "-p", "once", "-n", "16", "--seed", seed, "--ignore-eos")[0]
            return json.loads(out)["tokens"]
        self.assertEqual(drawn(7), drawn(7))
        self.assertNotEqual(drawn(7), drawn(8))

    def test_generation_config_says_how_to_sample_where_no_option_does(self):
        with tempfile.TemporaryDirectory() as folder:
            model = Path(folder) / "model"
            shutil.copytree(TINY, model)
            path = model / "generation_config.json"
            had = json.loads(path.read_text()) if path.exists() else {}
            path.write_text(json.dumps({**had, "do_sample": False, "temperature": 5}))
            def drawn(seed, *args):
                out, err = run("generate", "-m", model, "--json", "-p", "once", "-n", "16", "--seed", seed, "--ignore-eos", *args)
                return json.loads(out)["tokens"]
            greedy = self.generate("-p", "once", "-n", "16", "--ignore-eos")["tokens"]
            self.assertEqual(drawn(7), greedy)
            self.assertEqual(drawn(8), greedy)
            self.assertNotEqual(drawn(7, "--generation-config", "off"), drawn(8, "--generation-config", "off"))
            self.assertNotEqual(drawn(7, "--temperature", "1"), drawn(8, "--temperature", "1"))
            path.write_text(json.dumps({**had, "top_k": 1, "temperature": -3}))
            _, err = run("generate", "-m", model, "--json", "-p", "once", "-n", "2")
            self.assertIn("generation_config.json has temperature -3, expected a number from 0 to 10000", err)
            self.assertEqual(drawn(7), greedy)  # of one token there is no choice

    def test_a_prompt_beyond_the_context_is_refused_with_both_numbers(self):
        _, err = run("generate", "-m", TINY, "--context", "8", "-p", "word " * 50, code=1)
        self.assertIn("8", err)
        self.assertRegex(err, r"\d+ tokens")

    def test_a_budget_too_small_is_refused_with_figures(self):
        _, err = run("generate", "-m", TINY, "--memory", "1KiB", "-p", "x", code=1)
        self.assertRegex(err, r"\d+.*budget")

    def test_ctrl_c_ends_cleanly(self):
        process = subprocess.Popen([TARE, "generate", "-m", str(TINY), "-p", "a", "-n", "100000", "--ignore-eos", "--json",
                                    "--context", "256"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        self.assertIn(process.returncode, (0, 130), err)  # 0: it had ended by itself

    @unittest.skipUnless(DEMO and Path(DEMO).exists(), "no demo model")
    def test_the_demo_model_knows_paris(self):
        out = self.generate("-p", "The capital of France is", "-n", "6", model=DEMO)
        self.assertIn("Paris", out["text"])


class Serve(unittest.TestCase):
    def check(self, toml, code=1):
        with tempfile.NamedTemporaryFile("w", suffix=".toml", dir=ROOT / "tests/golden/models") as file:
            file.write(toml)
            file.flush()
            return run("serve", file.name, "--check", code=code)

    def test_a_config_of_one_line_is_valid(self):
        out, _ = self.check('[[model]]\nsource = "tiny-chat"\n', code=0)
        self.assertIn("weights", out)

    def test_mistakes_name_line_key_and_the_nearest_key(self):
        _, err = self.check('[server]\nlisten = "127.0.0.1:0"\n[[model]]\nsource = "tiny-chat"\ncontxt = 64\n')
        for part in (":5", "contxt", "context"):
            self.assertIn(part, err)
        _, err = self.check('[[model]]\nsource = 3\n')
        self.assertIn("source", err)
        _, err = self.check('[engine]\nqueue = -4\n[[model]]\nsource = "tiny-chat"\n')
        self.assertIn("queue", err)

    def test_a_path_prints_the_toml_that_it_used(self):
        out, _ = run("serve", TINY, "--check")
        self.assertIn("[[model]]", out)
        toml = out[: out.index("memory ledger")]
        self.check(toml.replace(str(TINY), "tiny-chat"), code=0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
