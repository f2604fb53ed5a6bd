"""The program ``mdatp`` itself: ``health``, ``config``, ``version``, and what goes wrong when it is told to."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from shieldwall.testing.mdatp import health
from shieldwall.testing.mdatp.product import Platform, Product

_SWITCHES: Final[Mapping[str, str]] = {
    "cloud": "cloudService.enabled",
    "passive-mode": "antivirusEngine.passiveMode",
    "real-time-protection": "antivirusEngine.enableRealTimeProtection",
}
"""What ``mdatp config`` takes as enabled or disabled, by where it lands."""
_LEVELS: Final = frozenset({"disabled", "audit", "block", "default"})


def main(arguments: Sequence[str], root: Path, platform: Platform) -> int:
    """Do what the program does; returns the exit code."""
    product = Product(root=root, platform=platform)
    wrong = product.behaviour
    if "--fail-daemon" in arguments or wrong.get("failDaemon"):
        return _refuse("Could not connect to the daemon. It may be that the daemon is not running.")
    time.sleep(wrong.get("slowSeconds", 0))
    match list(arguments):
        case ["health", *rest]:
            return _health(product, rest)
        case ["config", *rest]:
            return _config(product, rest)
        case ["version"]:
            return _say(f"Product version: {health.FACTS['app_version']}")
        case _:
            return _refuse("Usage: mdatp {health|config|version}")


def _health(product: Product, arguments: list[str]) -> int:
    chosen = _option(arguments, "--field")
    feature = _option(arguments, "--details")
    if feature is not None:
        if feature != "tamper_protection" or product.platform != "macos":
            return _refuse(f"Unknown feature {feature}")
        found = health.details(product)
        if chosen is None:
            return _say("\n".join(f"{name:44}: {json.dumps(value)}" for name, value in found.items()))
        return _say(json.dumps(found[chosen])) if chosen in found else _refuse(f"Unknown field {chosen}")
    if chosen is not None:
        shown = health.field(product, chosen)
        return _refuse(f"Unknown field {chosen}") if shown is None else _say(shown)
    if _option(arguments, "--output") == "json":
        written = health.as_json(product)
        return _say(written[: len(written) // 2] if product.behaviour.get("badJson") else written)
    return _say(health.as_text(product))


def _config(product: Product, arguments: list[str]) -> int:
    value = _option(arguments, "--value")
    match arguments:
        case ["behavior-monitoring", *_] if value is not None:
            group = "features" if product.platform == "macos" else "antivirusEngine"
            return _set(product, f"{group}.behaviorMonitoring", value)
        case ["tamper-protection", "enforcement-level", *_] if product.platform == "macos" and value in _LEVELS:
            return _set(product, "tamperProtection.enforcementLevel", None if value == "default" else value)
        case [name, *_] if name in _SWITCHES and value is not None:
            return _set(product, _SWITCHES[name], value in ("true", "enabled"))
        case _:
            return _refuse("Unknown configuration")


def _set(product: Product, landing: str, value: Any) -> int:
    if product.effective(landing)[1] in ("attach", "managed"):
        return _refuse("This setting is managed by your administrator")
    product.set_local(landing, value)
    return _say("Configuration property updated")


def _option(arguments: list[str], name: str) -> str | None:
    at = arguments.index(name) + 1 if name in arguments else len(arguments)
    return arguments[at] if at < len(arguments) else None


def _say(text: str) -> int:
    print(text)  # noqa: T201 - a program speaks on its standard output
    return 0


def _refuse(text: str) -> int:
    print(text, file=sys.stderr)  # noqa: T201 - as above
    return 1
