#!/usr/bin/env python3
"""How near the planner's predicted step is to the measured one, and how plans change with the budget.

    python tests/bench/planner/plan_accuracy.py --tare build/bin/tare --model MODEL --out docs/benchmarks/data/plan-accuracy.json

Tunes the model's products for steps of one token (and, with --rows 512, of up to so many) into a database of its own,
asks `tare plan` for one layout after the other and under three budgets of weights, and runs `tare bench model` for each of
them right behind. Nobody else should compute meanwhile: the read bandwidth of each run is recorded beside it. Standard
library only.
"""
import argparse
import json
import os
import statistics
import subprocess
import tempfile
from pathlib import Path


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tare", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--out")
    parser.add_argument("--rows", type=int, default=1, help="most tokens of a step that is tuned")
    parser.add_argument("--objective", default="latency", help="of the three budgets")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--generate", type=int, default=16)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--database", help="one that is there already, instead of tuning")
    o = parser.parse_args()
    limits = ["--chunk", str(o.rows), "--sequences", str(min(o.rows, 64)), "--threads", str(o.threads)]
    with tempfile.TemporaryDirectory() as folder:
        database = o.database or str(Path(folder) / "tuning.db")
        environment = {**os.environ, "TARE_TUNING_DATABASE": database}

        def run(*args):
            done = subprocess.run([o.tare, *args], env=environment, capture_output=True, text=True)
            if done.returncode != 0:
                raise SystemExit(f"{' '.join(args)}: {done.stderr}")
            return done.stdout

        if not o.database:
            run("autotune", o.model, *limits)
        records = []
        asked = [("layout", l, ["--layout", l]) for l in ("dense", "w12", "w11")]
        asked += [("weights", w, ["--weights", w, "--objective", o.objective]) for w in ("100%", "78%", "72%")]
        for kind, name, options in asked:
            common = [*limits, *options, "--context", "1024"]
            plan = json.loads(run("plan", o.model, *common, "--json"))
            bench = json.loads(run("bench", "model", o.model, *common, "--prompt", str(o.rows), "--generate", str(o.generate),
                                   "--repeat", str(o.rounds), "--json"))
            measured = statistics.median(1 / rate for rate in bench["decode_all"])
            predicted = plan["steps"][0]["seconds"]
            # A prompt of --rows tokens is one step; the plan predicts it where the objective counts such steps.
            full = next((s["seconds"] for s in plan["steps"] if s["rows"] == o.rows and o.rows > 1), None)
            prompt = o.rows / bench["prompt_tokens_per_second"]
            layouts = {}
            for row in plan["rows"]:
                layouts[row["layout"]] = layouts.get(row["layout"], 0) + row["count"]
            records.append({"kind": kind, "name": name, "objective": plan["objective"], "products_by_layout": layouts,
                            "planned_weight_bytes": plan["memory"]["weights"],
                            "weight_bytes": bench["weight_bytes"], "plain_bytes": plan["plain_bytes"],
                            "predicted_ms": 1e3 * predicted, "measured_ms": 1e3 * measured,
                            "ratio": predicted / measured, "all_ms": [1e3 / r for r in bench["decode_all"]],
                            "rows": o.rows, "predicted_full_ms": 1e3 * full if full else None,
                            "measured_full_ms": 1e3 * prompt,
                            "read_gb_s": bench["read_bandwidth_bytes_per_second"] / 1e9})
            r = records[-1]
            print(f"{kind} {name}: {layouts}, {100 * r['weight_bytes'] / r['plain_bytes']:.1f} % of plain, "
                  f"predicted {r['predicted_ms']:.1f} ms, measured {r['measured_ms']:.1f} ms ({100 * r['ratio'] - 100:+.1f} %)"
                  + (f", {o.rows} rows: predicted {1e3 * full:.0f} ms, measured {1e3 * prompt:.0f} ms" if full else "") +
                  f", reading {r['read_gb_s']:.1f} GB/s", flush=True)
        if o.out:
            version, cpu = run("--version").strip(), plan["device"]
            Path(o.out).write_text(json.dumps({"version": version, "device": cpu, "model": Path(o.model).name,
                                               "records": records}, indent=1) + "\n")


if __name__ == "__main__":
    main()
