#!/usr/bin/env python3
"""cuda:0 on machines where something is missing, too old, unknown, full or wrong: one sentence.

A driver that computes nothing stands in for NVIDIA's (tests/cuda/fake_driver.c), so this needs no GPU.
Environment: TARE (the executable), TARE_BINARY_DIR. Standard library only.
"""
import json
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

TARE = os.environ["TARE"]
BUILD = Path(os.environ["TARE_BINARY_DIR"])
ROOT = Path(__file__).resolve().parents[3]
MODEL = ROOT / "tests/golden/models/llama-plain"
# sm_80 has few kernels, which compile quickly.
AMPERE = {"FAKE_CUDA_NAME": "NVIDIA A100-SXM4-80GB", "FAKE_CUDA_MAJOR": "8", "FAKE_CUDA_FREE": str(1 << 30)}
SMALL = ["--layouts", "w12", "--chunk", "2", "--sequences", "2"]


def has_driver():
    done = subprocess.run([TARE, "devices"], capture_output=True, text=True, timeout=60)
    return "no NVIDIA driver" not in done.stdout


def has_compiler():
    done = subprocess.run([TARE, "devices"], capture_output=True, text=True, timeout=60)
    return "jit: NVRTC" in done.stdout


class Machine(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.driver = self.folder / "driver"
        self.driver.mkdir()
        (self.driver / "libcuda.so.1").symlink_to(BUILD / "tests/fake_cuda_driver.so")

    def tune(self, *args, code=0, fake=True, program=TARE, database=None, **settings):
        env = {**os.environ, "TARE_KERNEL_CACHE": str(BUILD / "kernel-cache"), **settings}
        if fake:
            env["LD_LIBRARY_PATH"] = f"{self.driver}:{os.environ.get('LD_LIBRARY_PATH', '')}"
        command = [program, "autotune", "--device", "cuda:0", "--database", str(database or self.folder / "tuning.db")]
        done = subprocess.run([*command, *map(str, args)], env=env, capture_output=True, text=True, timeout=170)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout, done.stderr

    def refused(self, *command, fake=True, **settings):
        """Any command on cuda:0 that ends with exit code 1 and says nothing on stdout; its last line."""
        env = {**os.environ, "TARE_DEVICE": "cuda:0", "TARE_KERNEL_CACHE": str(BUILD / "kernel-cache"), **settings}
        if fake:
            env["LD_LIBRARY_PATH"] = f"{self.driver}:{os.environ.get('LD_LIBRARY_PATH', '')}"
        done = subprocess.run([TARE, *map(str, command)], env=env, capture_output=True, text=True, timeout=100)
        self.assertEqual((done.returncode, done.stdout), (1, ""), done.stdout + done.stderr)
        return done.stderr.strip().splitlines()[-1]

    def refusal(self, *args, **settings):
        """Exit code 1, nothing on stdout, and the sentence, which is the last line."""
        out, err = self.tune(*args, code=1, **settings)
        self.assertEqual(out, "")
        self.assertFalse((self.folder / "out").exists())
        return err.strip().splitlines()[-1]


class Refusals(Machine):
    def test_no_driver(self):
        if has_driver():
            self.skipTest("there is a driver")
        self.assertIn("no NVIDIA driver: libcuda.so.1", self.refusal(MODEL, *SMALL, fake=False))

    def test_a_driver_that_is_too_old(self):
        self.assertIn("the NVIDIA driver supports CUDA 12.4, the kernels need 13.0: update to driver 580 or newer",
                      self.refusal(MODEL, *SMALL, FAKE_CUDA_VERSION="12040"))

    def test_a_driver_that_cannot_be_used_is_not_passed_over_in_silence(self):
        def checked(**settings):
            env = {**os.environ, "LD_LIBRARY_PATH": f"{self.driver}:{os.environ.get('LD_LIBRARY_PATH', '')}", **settings}
            done = subprocess.run([TARE, "serve", MODEL, "--check"], env=env, capture_output=True, text=True, timeout=100)
            self.assertEqual(done.returncode, 0, done.stderr)
            devices = subprocess.run([TARE, "devices"], env=env, capture_output=True, text=True, timeout=60).stdout
            return [line for line in done.stderr.splitlines() if "cuda" in line], devices

        for settings, sentence in (({"FAKE_CUDA_VERSION": "12040"}, "update to driver 580 or newer"),
                                   ({"FAKE_CUDA_INIT": "999"}, "cuInit: CUDA_ERROR_FAKE 999")):
            lines, devices = checked(**settings)
            self.assertEqual(len(lines), 1, lines)
            self.assertIn(sentence, lines[0])
            said = lines[0].split("cuda is not used: ")[1]
            self.assertIn("cuda: " + said, devices.splitlines())
        self.assertEqual(checked(FAKE_CUDA_DEVICES="0")[0], [])  # nothing that could be used

    def test_a_driver_without_a_gpu(self):
        self.assertIn("cuda:0 does not exist: this machine has 0 GPUs",
                      self.refusal(MODEL, *SMALL, FAKE_CUDA_DEVICES="0"))

    def test_commands_that_run_a_model_say_the_same(self):
        generate = ["generate", "--model", MODEL, "--device", "cuda:0", "--tokens", "1,2", "--max-tokens", "2"]
        serve = ["serve", MODEL, "--listen", "127.0.0.1:0"]
        for command in (generate, serve, ["explain", MODEL, "--device", "cuda:0"], ["bench", "linear"]):
            self.assertIn("update to driver 580 or newer", self.refused(*command, FAKE_CUDA_VERSION="12040"))
            if not has_driver():
                self.assertIn("no NVIDIA driver: libcuda.so.1", self.refused(*command, fake=False))
        self.assertIn("the GPU is sm_70, expected sm_80 or newer", self.refused(*generate, FAKE_CUDA_MAJOR="7"))
        self.assertIn("the GPU is sm_70, expected sm_80 or newer", self.refused(*serve, FAKE_CUDA_MAJOR="7"))

    def test_no_compiler(self):
        # Elsewhere, so that what lies beside the build tree is not found.
        program = self.folder / "elsewhere/bin/tare"
        program.parent.mkdir(parents=True)
        shutil.copy(TARE, program)
        (self.folder / "elsewhere/lib").symlink_to(Path(TARE).parent.parent / "lib")
        home = {"HOME": str(self.folder), "XDG_CACHE_HOME": str(self.folder / "cache"), "TARE_NVRTC": "/nowhere"}
        found = subprocess.run([program, "devices"], env={**os.environ, **home}, capture_output=True, text=True)
        if "jit: NVRTC 1" in found.stdout:
            self.skipTest("a toolkit is installed")
        sentence = self.refusal(MODEL, *SMALL, program=str(program), **home, **AMPERE)
        self.assertIn("NVRTC, the CUDA run-time compiler, was not found (install a CUDA 13 toolkit or run "
                      "jit/fetch_nvrtc.sh)", sentence)
        self.assertIn("not in /nowhere", sentence)

    def test_too_little_device_memory(self):
        sentence = self.refusal(MODEL, *SMALL, **{**AMPERE, "FAKE_CUDA_FREE": "1000000"})
        self.assertRegex(sentence, r"cuMem\w+ \(\d+ bytes for .*\): CUDA_ERROR_OUT_OF_MEMORY 2, out of memory; free "
                                   "device memory or lower the budget")

    def test_databases_that_cannot_be_kept(self):
        self.assertIn("cannot be opened", self.refusal(MODEL, *SMALL, database="/proc/nowhere/tuning.db"))
        if os.geteuid() == 0:
            return  # who may write everything
        database = self.folder / "read-only.db"
        self.tune(MODEL, *SMALL, database=database, **AMPERE)
        database.chmod(0o444)
        self.assertIn("is read-only", self.refusal(MODEL, *SMALL, "--chunk", "4", database=database, **AMPERE))


@unittest.skipUnless(has_compiler(), "no NVRTC: jit/fetch_nvrtc.sh fetches it")
class CudaCompiled(Machine):
    def test_an_architecture_that_the_compiler_does_not_know(self):
        out, err = self.tune("--shapes", "tiny-llama", *SMALL, "--output", self.folder / "out", code=1,
                             FAKE_CUDA_NAME="NVIDIA Noether", FAKE_CUDA_MAJOR="99", FAKE_CUDA_FREE=str(1 << 30))
        self.assertEqual(out, "")
        self.assertIn("nobody has measured nvidia-noether (NVIDIA Noether, 132 units) yet", err.splitlines()[0])
        self.assertIn("does not compile for sm_990a: a GPU that is newer than it needs a newer CUDA run-time compiler",
                      err.splitlines()[-1])
        self.assertFalse((self.folder / "out").exists())

    def test_a_model_that_does_not_fit(self):
        command = ["generate", "--model", MODEL, "--device", "cuda:0", "--tokens", "1,2", "--max-tokens", "2"]
        self.assertRegex(self.refused(*command, **{**AMPERE, "FAKE_CUDA_FREE": "2000000"}),
                         r"cuMem\w+ \(\d+ bytes for llama-plain/weights\): CUDA_ERROR_OUT_OF_MEMORY")
        self.assertRegex(self.refused(*command, "--memory", "200000", **AMPERE),
                         r"its weights take \d+ bytes .*, the memory budget is 200000 bytes")

    def test_a_gpu_that_nobody_measured_is_qualified(self):
        out, err = self.tune("--shapes", "tiny-llama", *SMALL, "--output", self.folder / "out", "--json",
                             **{**AMPERE, "FAKE_CUDA_NAME": "NVIDIA Noether"})
        self.assertIn("nobody has measured nvidia-noether (NVIDIA Noether, 132 units) yet", err.splitlines()[0])
        done = json.loads(out)
        self.assertEqual(done["verdict"], "qualified", done)
        self.assertGreater(sum(g["checked"] for g in done["gates"]), 50)
        self.assertEqual([g["failure"] for g in done["gates"] if g["failure"]], [])
        self.assertEqual(done["files"], [str(self.folder / "out/sm80/nvidia-noether/linear.toml")])

    def test_a_kernel_that_fails_its_gate_is_reported_and_never_chosen(self):
        # The head, gate and up have another kernel by rule, whose numbers are the truth; the other products have none.
        done = json.loads(self.tune(MODEL, "--layouts", "w12", "--chunk", "4", "--json", code=4,
                                    FAKE_CUDA_FREE=str(1 << 30), FAKE_CUDA_WRONG="portable")[0])
        reasons = {(f["problem"], f["rows"]): f["reason"] for f in done["failures"]}
        self.assertTrue(all("kernel = portable" in f["config"] for f in done["failures"]), done["failures"])
        tuned = [c for c in done["choices"] if c["state"] == "tuned" and "portable" not in c["config"]]
        beaten = [c for c in tuned if (c["problem"], c["rows"]) in reasons]
        self.assertTrue(beaten, done)
        for choice in beaten:
            self.assertRegex(reasons[choice["problem"], choice["rows"]],
                             r"gives other bits than linear\.cuda(\+gated)? {kernel = strip")
            for tried in choice["tried"]:
                self.assertEqual(bool(tried["refused"]), "kernel = portable" in tried["name"], tried)
            self.assertTrue(choice["exact"])
        failed = [c for c in done["choices"] if c["state"] == "failed"]
        self.assertTrue(failed, done)
        for choice in failed:
            self.assertIn("every kernel failed the exactness gate", choice["note"])
            self.assertIn("for a row alone than among", reasons[choice["problem"], choice["rows"]])

    def test_a_qualification_in_which_a_kernel_is_wrong_fails_with_its_name(self):
        out, _ = self.tune("--shapes", "tiny-llama", *SMALL, "--output", self.folder / "out", "--json", code=4,
                           **{**AMPERE, "FAKE_CUDA_WRONG": "portable"})
        done = json.loads(out)
        self.assertIn("failed: linear.cuda {kernel = portable", done["verdict"])
        self.assertIn("gives other bits for a row alone than among", done["verdict"])

    def test_a_cache_that_is_filled_without_a_gpu_has_all_that_a_qualification_compiles(self):
        cache = {"TARE_KERNEL_CACHE": str(self.folder / "kernels")}
        env = {**os.environ, **cache}

        def fill(*args):
            command = [TARE, "cache", "fill", "--architecture", "sm_80", "--shapes", "tiny-llama,tiny-llama", *SMALL]
            done = subprocess.run([*command, "--json", *args], env=env, capture_output=True, text=True, timeout=170)
            self.assertEqual(done.returncode, 0, done.stderr)
            return json.loads(done.stdout)

        counted = fill("--count")
        self.assertFalse((self.folder / "kernels").exists())
        filled = fill()
        kept = sorted(f.name for f in (self.folder / "kernels").iterdir())
        self.assertEqual(filled["compiled"], len(kept))
        shape, again, gates = filled["parts"]
        self.assertEqual((shape["name"], again["problems"], again["shared"]), ("tiny-llama", 0, shape["problems"]))
        self.assertEqual([p["candidates"] for p in counted["parts"]], [p["candidates"] for p in filled["parts"]])
        self.assertGreater(gates["candidates"], 20)
        self.assertEqual(fill()["compiled"], 0)
        done = json.loads(self.tune("--shapes", "tiny-llama", *SMALL, "--output", self.folder / "out", "--json",
                                    **AMPERE, **cache)[0])
        self.assertEqual(len(done["choices"]), shape["choices"])
        self.assertEqual(sorted(f.name for f in (self.folder / "kernels").iterdir()), kept)

    def test_the_bench_writes_hashes_and_shows_them_without_a_gpu(self):
        # The driver computes nothing: bits are not compared.
        records = self.folder / "records.jsonl"
        env = {**os.environ, **AMPERE, "TARE_KERNEL_CACHE": str(BUILD / "kernel-cache"),
               "LD_LIBRARY_PATH": f"{self.driver}:{os.environ.get('LD_LIBRARY_PATH', '')}"}
        done = subprocess.run([TARE, "bench", "linear", "--device", "cuda:0", "--shape", "tiny-llama", "--rows", "1,256",
                               "--free-order", "--no-check", "--out", records], env=env, capture_output=True, text=True,
                              timeout=170)
        self.assertEqual((done.returncode, done.stderr), (1, ""), done.stdout)  # it unpacks nothing exactly
        layers = [r for r in map(json.loads, records.read_text().splitlines()) if r["kind"] == "layer"]
        self.assertEqual([r["tokens"] for r in layers], [1, 256])
        for layer in layers:
            self.assertEqual((layer["nvrtc"], layer["architecture"]), ("13.0.88", "sm_80"))
            self.assertEqual(len(layer["kernels"]), 4)
            for kernel in layer["kernels"]:
                self.assertRegex(kernel["ptx"], r"^[0-9a-f]{32}$")
            self.assertGreater(layer["free_order_us"], 0)
        self.assertIn("price of one order of sums: ", done.stdout)
        page = self.folder / "page.html"
        shown = subprocess.run([TARE, "bench", "linear", records, "--html", page, "--json"], capture_output=True,
                               text=True, timeout=60)
        rows = json.loads(shown.stdout)["rows"]
        self.assertEqual([r["ptx"] for r in rows], [[k["ptx"] for k in r["kernels"]] for r in layers])
        self.assertIn("<svg", page.read_text())

    def test_kernels_that_cannot_be_kept(self):
        out, err = self.tune(MODEL, "--layouts", "w12", "--chunk", "1", "--json", TARE_KERNEL_CACHE="/proc/nowhere",
                             **AMPERE)
        self.assertEqual(json.loads(out)["unfinished"], 0)
        self.assertEqual(err.count("cannot create the kernel cache /proc/nowhere"), 1)
        self.assertIn("kernels will be compiled again at the next start", err)


if __name__ == "__main__":
    unittest.main(verbosity=2)
