"""The options by which devices are found, and the address they make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypeAlias
from urllib.parse import urlencode

import typer

MACHINES: Final = "/beta/deviceManagement/machines"

SortBy: TypeAlias = Literal[
    "name",
    "lastCheckIn",
    "os",
    "health",
    "agentVersion",
    "exposure",
    "state",
    "policyState",
    "managedBy",
    "enrollmentCode",
    "attestation",
    "tag",
    "registered",
]

SearchOption = Annotated[
    str | None, typer.Option("--search", help="Words in name, tag, system, model; or how an id begins.")
]
HealthOption = Annotated[
    list[str] | None, typer.Option("--health", help="active, inactive or impaired; several times.")
]
StatusOption = Annotated[
    list[str] | None, typer.Option("--onboarding", help="pending, onboarded, offboarding, offboarded; several times.")
]
StateOption = Annotated[list[str] | None, typer.Option("--state", help="State of the device; several times.")]
CodeOption = Annotated[list[str] | None, typer.Option("--enrollment-code", help="Enrollment status code.")]
SystemOption = Annotated[list[str] | None, typer.Option("--os", help="Linux, Windows, Windows Server or macOS.")]
VersionOption = Annotated[str | None, typer.Option("--os-version", help="Version of the system, exactly.")]
TagOption = Annotated[list[str] | None, typer.Option("--tag", help="A tag it has; several times: all of them.")]
ManagerOption = Annotated[str | None, typer.Option("--managed-by", help="MDE, or the name of another manager.")]
AgentOption = Annotated[str | None, typer.Option("--agent-version", help="Version of the agent, exactly.")]
AttestationOption = Annotated[list[str] | None, typer.Option("--attestation", help="none, tofu or tpm.")]
DriftedOption = Annotated[bool | None, typer.Option("--drifted/--not-drifted", help="Whether settings drifted.")]
DuplicateOption = Annotated[
    bool | None, typer.Option("--duplicate/--no-duplicate", help="Whether another device names the same hardware.")
]
BeforeOption = Annotated[str | None, typer.Option("--seen-before", help="Last check-in before this time (ISO 8601).")]
AfterOption = Annotated[str | None, typer.Option("--seen-after", help="Last check-in at or after this time.")]
GroupFilterOption = Annotated[str | None, typer.Option("--group", help="Id of a group it belongs to.")]
RetiredOption = Annotated[bool, typer.Option("--include-retired", help="Show those that left as well.")]
SortOption = Annotated[SortBy, typer.Option("--sort", help="What the list is sorted by.")]
DescendingOption = Annotated[bool, typer.Option("--descending", help="Turn the order round.")]
MostOption = Annotated[int, typer.Option("--most", min=1, help="Show at most so many.")]


def address(asked: Mapping[str, Any], *, path: str = MACHINES) -> str:
    """Write the address of a list; what was not asked does not stand there."""
    words = {name: _words(value) for name, value in asked.items() if value is not None and value != []}
    return f"{path}?{urlencode(words, doseq=True)}" if words else path


def _words(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value
