"""What a guided fix is made of: steps to look at, the commands to look with, and how to know that it worked. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, get_args
from urllib.parse import urlsplit

from shieldwall.contract.enrollment import EnrollmentCode

System: TypeAlias = Literal["linux", "windows", "macos"]
SYSTEMS: Final[tuple[System, ...]] = get_args(System)
AGENT: Final[Mapping[System, str]] = MappingProxyType(
    {
        "linux": "sudo shieldwall-agent",
        "windows": '& "$env:ProgramFiles\\Shieldwall\\shieldwall-agent.cmd"',
        "macos": "sudo shieldwall-agent",
    }
)
"""How the agent is called, as whoever may do everything; on Windows in a PowerShell of an administrator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing to look at: what to do, why or what to expect, the commands for it, a page of ours to do it on.

    Commands may say ``@AGENT@``, ``@URL@``, ``@HOST@`` and ``@PORT@``: the agent as it is called on that system, and
    where devices find this server. ``path`` is a route without parameters.
    """

    what: str
    how: str = ""
    commands: Mapping[System, str] = field(default_factory=dict)
    path: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guide:
    """The way out of one enrollment status. ``fixed`` says how to know that it is over."""

    meaning: str
    steps: tuple[Step, ...]
    fixed: str


Guides: TypeAlias = Mapping[EnrollmentCode, Guide]


def everywhere(command: str) -> Mapping[System, str]:
    """Say a command that is the same on every system."""
    return dict.fromkeys(SYSTEMS, command)


def filled(guide: Guide, gateway_url: str) -> Guide:
    """Put this server's address for devices, and the agent's name on each system, into the commands of a guide."""
    parts = urlsplit(gateway_url)
    known = {"@URL@": gateway_url, "@HOST@": parts.hostname or "", "@PORT@": str(parts.port or 443)}
    return replace(guide, steps=tuple(_filled(step, known) for step in guide.steps))


def _filled(step: Step, known: Mapping[str, str]) -> Step:
    return replace(step, commands={system: _said(text, system, known) for system, text in step.commands.items()})


def _said(text: str, system: System, known: Mapping[str, str]) -> str:
    for name, value in {**known, "@AGENT@": AGENT[system]}.items():
        text = text.replace(name, value)
    return text
