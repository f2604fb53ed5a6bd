"""``shieldwall device``: who is managed, and what is in effect there."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer

from shieldwall.cli.graph_session import GraphSession, connected
from shieldwall.cli.listing import ODataOption, OrderOption, asked_of
from shieldwall.cli.machine_queries import (
    MACHINES,
    AfterOption,
    AgentOption,
    AttestationOption,
    BeforeOption,
    CodeOption,
    DescendingOption,
    DriftedOption,
    DuplicateOption,
    GroupFilterOption,
    HealthOption,
    ManagerOption,
    MostOption,
    RetiredOption,
    SearchOption,
    SortOption,
    StateOption,
    StatusOption,
    SystemOption,
    TagOption,
    VersionOption,
    address,
)
from shieldwall.cli.moments import moment_in_words, present
from shieldwall.cli.options import DeviceArgument, JsonOption
from shieldwall.cli.presentation import member_in_words, show_facts, show_json, show_table, speaking_plainly
from shieldwall.contract.errors import ShieldwallError

app: Final = typer.Typer(no_args_is_help=True, help="Devices: list, show, what is in effect, sync, tag, offboard.")

DEVICES: Final = "/beta/deviceManagement/managedDevices"


@app.command("list")
def list_devices(
    *,
    search: SearchOption = None,
    health: HealthOption = None,
    onboarding: StatusOption = None,
    state: StateOption = None,
    enrollment_code: CodeOption = None,
    system: SystemOption = None,
    os_version: VersionOption = None,
    tag: TagOption = None,
    managed_by: ManagerOption = None,
    agent_version: AgentOption = None,
    attestation: AttestationOption = None,
    drifted: DriftedOption = None,
    duplicate: DuplicateOption = None,
    seen_before: BeforeOption = None,
    seen_after: AfterOption = None,
    group: GroupFilterOption = None,
    include_retired: RetiredOption = False,
    sort: SortOption = "name",
    descending: DescendingOption = False,
    most: MostOption = 1_000_000,
    odata: ODataOption = None,
    order: OrderOption = None,
    as_json: JsonOption = False,
) -> None:
    """List devices: all but those that left, or those that fit every option given.

    --filter and --order ask in OData instead, of every device that is known.

    Example: shieldwall device list --health impaired --os Linux --tag edge --sort lastCheckIn

    Example: shieldwall device list --filter "startswith(deviceName,'edge-')" --order 'lastSyncDateTime desc'
    """
    asked = _asked(locals())
    with speaking_plainly("list the devices", as_json=as_json), connected() as session:
        in_odata = asked_of(odata=odata, order=order)
        if in_odata and {name for name, value in asked.items() if value} != {"sort"}:
            raise ShieldwallError("A list is asked in one way.", remedy="Say it all in --filter, or leave it out.")
        pages = session.pages(DEVICES, query=in_odata) if in_odata else session.pages(address(asked))
        found = list(islice(pages, most))
    if as_json:
        show_json(found)
        return
    now = present()
    rows = [
        (
            each["deviceName"],
            each["shieldwall"]["health"],
            each["operatingSystem"],
            each["osVersion"],
            each["shieldwall"]["managedBy"],
            moment_in_words(each["lastSyncDateTime"], now) if each["lastSyncDateTime"] else "never",
            "yes" if each["shieldwall"]["upToDate"] else "pending",
            each["id"],
        )
        for each in found
    ]
    show_table(("Device", "Health", "System", "Version", "Managed by", "Last check-in", "Up to date", "Id"), rows)


@app.command("export")
def export_devices(
    *,
    out: Annotated[Path, typer.Option("--out", help="File to write; must not exist.", dir_okay=False)],
    file_format: Annotated[Literal["csv", "json"], typer.Option("--format", help="csv or json.")] = "csv",
    search: SearchOption = None,
    health: HealthOption = None,
    onboarding: StatusOption = None,
    state: StateOption = None,
    enrollment_code: CodeOption = None,
    system: SystemOption = None,
    os_version: VersionOption = None,
    tag: TagOption = None,
    managed_by: ManagerOption = None,
    agent_version: AgentOption = None,
    attestation: AttestationOption = None,
    drifted: DriftedOption = None,
    duplicate: DuplicateOption = None,
    seen_before: BeforeOption = None,
    seen_after: AfterOption = None,
    group: GroupFilterOption = None,
    include_retired: RetiredOption = False,
    sort: SortOption = "name",
    descending: DescendingOption = False,
) -> None:
    """Write the devices that fit to a file; no cell of the CSV is taken for a formula.

    Example: shieldwall device export --out devices.csv --os Linux
    """
    asked = _asked(locals()) | {"format": file_format}
    with speaking_plainly("export the devices"), connected() as session:
        try:
            with out.open("xb") as stream:
                session.download(address(asked, path=f"{MACHINES}/export"), stream)
        except OSError as error:
            raise ShieldwallError(
                f"{out} cannot be written: {error.strerror}.", remedy="Name a file that is not there yet."
            ) from None
        except ShieldwallError:
            out.unlink()
            raise
    typer.echo(f"Wrote {out}.")


@app.command("count")
def count_devices(
    *, search: SearchOption = None, include_retired: RetiredOption = False, as_json: JsonOption = False
) -> None:
    """Count devices by health, state, system, manager, version, tag and more.

    Example: shieldwall device count
    """
    asked = _asked({"search": search, "include_retired": include_retired})
    with speaking_plainly("count the devices", as_json=as_json), connected() as session:
        found = session.call("GET", address(asked, path=f"{MACHINES}/facets"))
    if as_json:
        show_json(found)
        return
    rows = [(facet, word or "-", count) for facet, words in found["facets"].items() for word, count in words.items()]
    show_table(("What", "Which", "Devices"), rows)


@app.command("show")
def show_device(device: DeviceArgument, *, as_json: JsonOption = False) -> None:
    """Show one device.

    Example: shieldwall device show web-01
    """
    with speaking_plainly("show the device", as_json=as_json), connected() as session:
        found = session.call("GET", f"{DEVICES}/{find_device(session, device)}")
    if as_json:
        show_json(found)
        return
    ours = found.pop("shieldwall")
    enrolled = ours.pop("enrollment")
    ours["enrollment"] = f"{enrolled['code']} ({enrolled['status']}): {enrolled['cause']} {enrolled['remedy']}"
    rows = [
        (name, member_in_words(name, value))
        for name, value in (found | ours).items()
        if not name.startswith("@") and value is not None
    ]
    show_facts(rows)


@app.command("effective")
def effective_settings(device: DeviceArgument, *, as_json: JsonOption = False) -> None:
    """Show what is in effect on a device: value, state, who set it, why.

    Example: shieldwall device effective web-01
    """
    with speaking_plainly("show what is in effect", as_json=as_json), connected() as session:
        found = list(session.pages(f"{DEVICES}/{find_device(session, device)}/effectiveSettings"))
    if as_json:
        show_json(found)
        return
    rows = [
        (
            each["displayName"],
            each["displayValue"],
            each["state"],
            each["provider"] or "",
            ", ".join(deciding(policy) for policy in each["policies"] if policy["won"]),
            ", ".join(outvoted(policy) for policy in each["policies"] if not policy["won"]),
            each["explanation"],
        )
        for each in found
    ]
    show_table(("Setting", "Value", "State", "Provider", "Policy", "Others wanted", "Why"), rows)


def deciding(policy: dict[str, Any]) -> str:
    """Name a policy that won: its revision, and the groups through which the device got it."""
    brought = (each.get("displayName", "all devices") for each in policy["broughtBy"])
    return f"{policy['name']} {policy['revision']} ({', '.join(brought) or 'assigned no more'})"


def outvoted(policy: dict[str, Any]) -> str:
    """Name a policy that did not win, and what it wanted."""
    return f"{policy['name']}: {policy['value']}"


def find_device(session: GraphSession, wanted: str) -> str:
    """Turn an id or exact name into the id of a device. Raises: ShieldwallError when none or several fit."""
    asked = {"search": wanted[:256] or None, "includeRetired": True}
    found: list[dict[str, Any]] = [
        each for each in session.pages(address(asked)) if wanted.lower() in {each["id"], each["deviceName"].lower()}
    ]
    if len(found) == 1:
        return str(found[0]["id"])
    if not found:
        raise ShieldwallError(f"There is no device {wanted!r}.", remedy="List them: shieldwall device list.")
    raise ShieldwallError(f"{len(found)} devices are named {wanted!r}.", remedy="Use the id instead.")


def _asked(options: Mapping[str, Any]) -> dict[str, Any]:
    """Name options as the API does."""
    return {
        name: options.get(option) or None if option in _FLAGS else options.get(option)
        for option, name in _NAMES.items()
    }


_FLAGS: Final = frozenset({"include_retired", "descending"})
_NAMES: Final = {
    "search": "search",
    "health": "health",
    "onboarding": "onboardingStatus",
    "state": "state",
    "enrollment_code": "enrollmentCode",
    "system": "os",
    "os_version": "osVersion",
    "tag": "tag",
    "managed_by": "managedBy",
    "agent_version": "agentVersion",
    "attestation": "attestation",
    "drifted": "drifted",
    "duplicate": "duplicate",
    "seen_before": "seenBefore",
    "seen_after": "seenAfter",
    "group": "group",
    "include_retired": "includeRetired",
    "sort": "sort",
    "descending": "descending",
}
