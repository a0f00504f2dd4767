#!/usr/bin/env python3
"""Starts a server on the tiny chat model and runs the official OpenAI clients for Python and Node against it."""
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

TARE = os.environ["TARE"]
ROOT = Path(__file__).resolve().parents[3]


def main() -> int:
    server = subprocess.Popen([TARE, "serve", str(ROOT / "tests/golden/models/tiny-chat"), "--listen", "127.0.0.1:0"],
                              stdout=subprocess.PIPE, text=True)
    try:
        url, deadline = None, time.monotonic() + 30
        while url is None and time.monotonic() < deadline:
            line = server.stdout.readline()
            if not line:
                sys.exit("the server ended before it listened")
            found = re.search(r"listening on (http://\S+)", line)
            url = found.group(1) if found else None
        code = subprocess.run(["bash", str(ROOT / "tests/e2e/clients/run.sh"), url + "/v1"], cwd=ROOT).returncode
    finally:
        server.send_signal(signal.SIGTERM)
        ended = server.wait(timeout=40)
    if ended != 0:
        sys.exit(f"the server ended with {ended} after SIGTERM, expected 0")
    return code


if __name__ == "__main__":
    sys.exit(main())
