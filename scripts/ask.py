#!/usr/bin/env python3
"""ask.py URL MODEL QUESTION: one streamed chat completion, printed as it comes, then tokens/s. Standard library only."""
import json
import sys
import time
import urllib.request


def main() -> int:
    url, model, question = sys.argv[1:4]
    body = {
        "model": model,
        "messages": [{"role": "user", "content": question}],
        "max_tokens": 96,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    request = urllib.request.Request(
        url + "/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    print(f"> {question}\n")
    start, first, usage, text = time.monotonic(), None, None, ""
    with urllib.request.urlopen(request, timeout=120) as response:
        for line in response:
            if not line.startswith(b"data: ") or line.strip() == b"data: [DONE]":
                continue
            event = json.loads(line[6:])
            usage = event.get("usage") or usage
            for choice in event["choices"]:
                piece = choice["delta"].get("content") or ""
                first = first or (time.monotonic() if piece else None)
                text += piece
                print(piece, end="", flush=True)
    end = time.monotonic()
    if not text.strip() or usage is None or first is None:
        print("the server gave no text", file=sys.stderr)
        return 1
    rate = (usage["completion_tokens"] - 1) / max(end - first, 1e-9)
    print(f"\n\n{usage['prompt_tokens']} prompt tokens, first token after {1000 * (first - start):.0f} ms, "
          f"{usage['completion_tokens']} tokens at {rate:.1f} tokens/s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
