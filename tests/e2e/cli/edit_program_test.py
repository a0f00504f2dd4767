#!/usr/bin/env python3
"""A Program's text is the model: printed, edited by one op, and brought back by a plugin in pure C, it changes the output.

The plugin is compiled here: it answers every config.json with the text in the file that TARE_TEST_PROGRAM names.
"""
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

TARE = os.environ["TARE"]
ROOT = Path(__file__).resolve().parents[3]
TINY = ROOT / "tests/golden/models/tiny-chat"

PLUGIN = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/api/c_program.h"
static int32_t program(const char* config_json, size_t bytes, char** text, char** error) {
  (void)config_json; (void)bytes;
  const char* path = getenv("TARE_TEST_PROGRAM");
  FILE* f = path ? fopen(path, "rb") : NULL;
  if (!f) { *error = malloc(32); strcpy(*error, "no program file"); return 1; }
  fseek(f, 0, SEEK_END); long n = ftell(f); rewind(f);
  *text = malloc((size_t)n + 1); size_t got = fread(*text, 1, (size_t)n, f); (*text)[got] = 0; fclose(f);
  return 0;
}
static void release(char* p) { free(p); }
TARE_C_PROGRAM("test.program_file", "1.0.0", program, release)
"""


def tare(*args, env):
    done = subprocess.run([TARE, *map(str, args)], capture_output=True, text=True, timeout=60, env={**os.environ, **env})
    if done.returncode != 0:
        sys.exit(f"{args}: {done.stdout}{done.stderr}")
    return done.stdout


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "p.c").write_text(PLUGIN)
        subprocess.run(["cc", "-std=c11", "-shared", "-fPIC", f"-I{ROOT}", folder / "p.c", "-o", folder / "p.so"], check=True)
        model = folder / "model"
        model.mkdir()
        for file in TINY.iterdir():
            if file.is_file():
                (model / file.name).write_bytes(file.read_bytes())
        config = json.loads((model / "config.json").read_text())
        text = tare("explain", TINY, "--program", env={})
        config["architectures"] = ["NobodyKnowsThis"]  # so that only the C plugin can answer
        (model / "config.json").write_text(json.dumps(config))

        def tokens(program):
            (folder / "program.txt").write_text(program)
            out = tare("--plugin-path", folder / "p.so", "generate", "-m", model, "--json", "--temperature", "0", "-n", "24",
                       "--ignore-eos", "-p", "the quick brown fox", env={"TARE_TEST_PROGRAM": str(folder / "program.txt")})
            return json.loads(out)["tokens"]

        original = json.loads(tare("generate", "-m", TINY, "--json", "--temperature", "0", "-n", "24", "--ignore-eos", "-p",
                                   "the quick brown fox", env={}))["tokens"]
        assert tokens(text) == original, "the printed Program computes something else"
        edited = text.replace("activation = silu", "activation = relu", 1)
        assert edited != text, "no silu in the Program's text"
        assert tokens(edited) != original, "one op was edited and nothing changed"
        print("the text gives the family's tokens; with one silu made relu it gives others")
    return 0


if __name__ == "__main__":
    sys.exit(main())
