"""shopctl: the operators' command of the demo's checkout. Standard library only.

    shopctl workers COUNT      have so many workers
    shopctl workers-are COUNT  exit status 0 when there are so many, 1 when not
    shopctl cache on|off       use the price cache, or go round it
    shopctl cache-is on|off    exit status 0 when it is so, 1 when not
    shopctl is-fast SECONDS    exit status 0 when orders take less (95th percentile), 1 not yet

Exit status 75 means that the shop can't be asked now.
"""

import http.client
import json
import sys
from pathlib import Path

TRY_AGAIN = 75
USAGE = 64
ADDRESS = Path(__file__).with_name("shop.address")


def ask(method: str, target: str) -> str:
    """Ask the shop."""
    host, port = ADDRESS.read_text(encoding="ascii").strip().rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=5)
    try:
        connection.request(method, target)
        response = connection.getresponse()
        text = response.read(65536).decode()
    finally:
        connection.close()
    if response.status != 200:
        raise ValueError(text)
    return text


def main(arguments: list[str]) -> int:
    """Do one thing; returns the exit status."""
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return USAGE
    word, value = arguments
    if word in ("workers", "cache"):
        print(f"{word}: {ask('PUT', f'/{word}?to={value}')}")
        return 0
    if word in ("workers-are", "cache-is"):
        now = ask("GET", f"/{word.partition('-')[0]}")
        print(f"{word.partition('-')[0]}: {now}")
        return 0 if now == value else 1
    if word == "is-fast":
        stats = json.loads(ask("GET", "/stats"))
        print(f"95% of orders within {stats['p95_s']:.2f} s, {stats['queue']} in the queue")
        return 0 if stats["p95_s"] < float(value) and not stats["queue"] > stats["workers"] else 1
    print(__doc__, file=sys.stderr)
    return USAGE


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except OSError as error:
        print(f"the shop can't be asked: {error}", file=sys.stderr)
        sys.exit(TRY_AGAIN)
    except ValueError as error:
        print(f"the shop refused: {error}", file=sys.stderr)
        sys.exit(2)
