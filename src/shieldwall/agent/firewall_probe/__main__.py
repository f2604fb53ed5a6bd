"""``python -m shieldwall.agent.firewall_probe``: take packets as JSON on standard input, print the answers as JSON.

In: ``{"source": number, "local": number, "packets": [hexadecimal …], "seconds": number}``. Out: ``{"answers": […]}``,
or ``{"code": …, "reason": …}`` and exit code 1. It ends itself after two seconds, and the device goes with it.
"""

from __future__ import annotations

import json
import signal
import sys
from typing import Final

from shieldwall.agent.firewall_probe.device import CannotProbeError, exchange

_SECONDS: Final = 2


def main() -> int:
    """Send the packets."""
    signal.alarm(_SECONDS)
    asked = json.load(sys.stdin)
    try:
        answers = exchange(
            [bytes.fromhex(packet) for packet in asked["packets"]],
            source=asked["source"],
            local=asked["local"],
            seconds=asked["seconds"],
        )
    except CannotProbeError as error:
        json.dump({"code": error.code, "reason": str(error)}, sys.stdout)
        return 1
    json.dump({"answers": [answer.hex() for answer in answers]}, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
