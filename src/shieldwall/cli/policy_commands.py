"""``shieldwall policy``: policies as files and on the server."""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from shieldwall.cli.graph_session import GraphSession, RefusedError, connected
from shieldwall.cli.presentation import printable, show_facts, show_json, show_table, speaking_plainly
from shieldwall.contract.errors import InvalidJsonError, ShieldwallError
from shieldwall.contract.strict_json import decode_any

app: Final = typer.Typer(no_args_is_help=True, help="Endpoint security policies: import, assign, look at their status.")

POLICIES: Final = "/beta/deviceManagement/configurationPolicies"
_READ_ONLY: Final = frozenset(
    {
        "id",
        "createdDateTime",
        "lastModifiedDateTime",
        "settingCount",
        "isAssigned",
        "creationSource",
        "priorityMetaData",
        "assignments",
        "supportsScopeTags",
        "shieldwall",
        "version",
    }
)
_EXPORTED: Final = (
    "name",
    "description",
    "platforms",
    "technologies",
    "roleScopeTagIds",
    "templateReference",
    "settings",
)


class InvalidExportError(ShieldwallError):
    """A file that is no exported policy, or one of which the server could make none."""

    code = "invalidExport"
    remedy = "Correct the files at the places named; nothing was made."


JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
PolicyArgument = Annotated[str, typer.Argument(help="Id or exact name of the policy.")]


@app.command("import")
def import_policies(
    files: Annotated[list[Path], typer.Argument(help="Exported policies, one JSON document a file.", exists=True)],
    *,
    as_json: JsonOption = False,
) -> None:
    """Make policies from exported JSON, as Microsoft Graph, Intune and backup tools write it.

    Every file is read, and found valid by the server, before the first policy is made. Ids, dates and assignments of
    the export are left out.

    Example: shieldwall policy import samples/policies/linux-antivirus.json
    """
    with speaking_plainly("import the policies"):
        bodies = [importable(read_export(file), file) for file in files]
        with connected() as session:
            _validate(session, files, bodies)
            made = _create(session, bodies)
    if as_json:
        show_json(made)
    else:
        show_table(("Name", "Id", "Settings"), [(each["name"], each["id"], each["settingCount"]) for each in made])


@app.command("export")
def export_policy(
    policy: PolicyArgument,
    out: Annotated[Path | None, typer.Option("--out", help="File to write; printed when left out.")] = None,
) -> None:
    """Write a policy as JSON that can be imported again.

    Example: shieldwall policy export "Linux servers: antivirus" --out antivirus.json
    """
    with speaking_plainly("export the policy"), connected() as session:
        found = session.call("GET", f"{POLICIES}/{find_policy(session, policy)}", query={"$expand": "settings"})
    exported = {name: found[name] for name in _EXPORTED if name in found}
    if out is None:
        show_json(exported)
        return
    with out.open("w", encoding="utf-8") as file:
        show_json(exported, out=file)
    typer.echo(f"Wrote {out}.")


@app.command("list")
def list_policies(*, as_json: JsonOption = False) -> None:
    """List the policies of the tenant.

    Example: shieldwall policy list --json
    """
    with speaking_plainly("list the policies"), connected() as session:
        found = list(session.pages(POLICIES))
    if as_json:
        show_json(found)
        return
    rows = [
        (
            each["name"],
            each["templateReference"]["templateDisplayName"],
            each["platforms"],
            each["settingCount"],
            "yes" if each["isAssigned"] else "no",
            each["id"],
        )
        for each in found
    ]
    show_table(("Name", "Profile", "Platform", "Settings", "Assigned", "Id"), rows)


@app.command("show")
def show_policy(policy: PolicyArgument, *, as_json: JsonOption = False) -> None:
    """Show a policy, whom it is assigned to, and how many devices stand where.

    Example: shieldwall policy show "Linux servers: antivirus"
    """
    with speaking_plainly("show the policy"), connected() as session:
        policy_id = find_policy(session, policy)
        found = session.call("GET", f"{POLICIES}/{policy_id}", query={"$expand": "settings,assignments"})
        found["statusSummary"] = session.call("GET", f"{POLICIES}/{policy_id}/statusSummary")
    if as_json:
        show_json(found)
        return
    summary = {name: count for name, count in found["statusSummary"].items() if not name.startswith("@")}
    rows = [
        ("Name", found["name"]),
        ("Description", found["description"]),
        ("Profile", found["templateReference"]["templateDisplayName"]),
        ("Revision", found["shieldwall"]["revision"]),
        ("Modified", found["lastModifiedDateTime"]),
        ("Settings", found["settingCount"]),
        ("Assigned to", ", ".join(_target(each["target"]) for each in found["assignments"]) or "nobody"),
        ("Devices", ", ".join(f"{name} {count}" for name, count in summary.items())),
    ]
    show_facts(rows)


@app.command("assign")
def assign_policy(
    policy: PolicyArgument,
    *,
    group: Annotated[list[str] | None, typer.Option("--group", help="Id or name of a group that gets it.")] = None,
    exclude: Annotated[list[str] | None, typer.Option("--exclude", help="Id or name of a group left out.")] = None,
    all_devices: Annotated[bool, typer.Option("--all-devices", help="Every device gets it.")] = False,
) -> None:
    """Say which groups get a policy. What is given replaces the assignments there are; nothing given unassigns it.

    Example: shieldwall policy assign "Linux servers: antivirus" --group "Linux servers"
    """
    prefix = "#microsoft.graph."
    with speaking_plainly("assign the policy"), connected() as session:
        included = [_group_target(f"{prefix}groupAssignmentTarget", find_group(session, each)) for each in group or []]
        excluded = [
            _group_target(f"{prefix}exclusionGroupAssignmentTarget", find_group(session, each))
            for each in exclude or []
        ]
        everyone = [{"target": {"@odata.type": f"{prefix}allDevicesAssignmentTarget"}}] if all_devices else []
        body = {"assignments": [*everyone, *included, *excluded]}
        session.call("POST", f"{POLICIES}/{find_policy(session, policy)}/assign", body)
    show_table(("Policy", "Assignments"), [(policy, len(body["assignments"]))])


@app.command("delete")
def delete_policy(
    policy: PolicyArgument,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a policy; devices go back to their state from before it.

    Example: shieldwall policy delete "Linux servers: antivirus" --yes
    """
    if not yes:
        typer.confirm(f"Delete {policy}? Devices lose what it brought.", abort=True)
    with speaking_plainly("delete the policy"), connected() as session:
        session.call("DELETE", f"{POLICIES}/{find_policy(session, policy)}")
    typer.echo(f"Deleted {printable(policy)}.")


def _validate(session: GraphSession, files: Sequence[Path], bodies: Sequence[dict[str, Any]]) -> None:
    findings: list[str] = []
    for file, body in zip(files, bodies, strict=True):
        try:
            session.call("POST", f"{POLICIES}/validate", body)
        except RefusedError as error:
            if error.status != HTTPStatus.BAD_REQUEST:
                raise
            findings += [f"{file}: {finding}" for finding in getattr(error, "__notes__", None) or [error.cause]]
    if findings:
        refused = InvalidExportError("The server finds them not valid.")
        for finding in findings:
            refused.add_note(finding)
        raise refused


def _create(session: GraphSession, bodies: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    try:
        for body in bodies:
            policy = session.call("POST", POLICIES, body)
            made.append(policy)
    except ShieldwallError as error:
        for policy in made:
            error.add_note(f"Made before that: {policy['name']} {policy['id']}")
        raise
    return made


def find_policy(session: GraphSession, wanted: str) -> str:
    """Turn an id or exact name into the id of a policy. Raises: ShieldwallError when none or several fit."""
    return _find(session, POLICIES, "name", wanted, "policy")


def find_group(session: GraphSession, wanted: str) -> str:
    """Turn an id or exact name into the id of a group. Raises: ShieldwallError when none or several fit."""
    return _find(session, "/v1.0/groups", "displayName", wanted, "group")


def read_export(file: Path) -> dict[str, Any]:
    """Read an exported policy: UTF-8, or UTF-16 with its mark as some tools write. Raises: InvalidExportError."""
    try:
        content = file.read_bytes()
        if content[:2] in {b"\xff\xfe", b"\xfe\xff"}:
            content = content.decode("utf-16").encode()
        document = decode_any(content.removeprefix(b"\xef\xbb\xbf"))
    except OSError as error:
        raise InvalidExportError(f"{file} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise InvalidExportError(f"{file}: the document is neither UTF-8 nor UTF-16.") from None
    except InvalidJsonError as error:
        raise InvalidExportError(f"{file}: {error.cause}") from None
    if not isinstance(document, dict):
        raise InvalidExportError(f"{file}: expected one policy, an object.")
    return document


def importable(document: dict[str, Any], file: Path) -> dict[str, Any]:
    """Keep what makes the policy; leave out what the other server said about it. Raises: InvalidExportError."""
    body = {
        name: value
        for name, value in document.items()
        if name not in _READ_ONLY and "@odata." not in name and not name.startswith("#")
    }
    if "settings" not in body or "name" not in body:
        raise InvalidExportError(f"{file}: this is not an exported policy: it has no name or no settings.")
    return body


def _find(session: GraphSession, listing: str, name: str, wanted: str, kind: str) -> str:
    if re.fullmatch(r"[0-9a-fA-F-]{36}", wanted):
        return wanted
    found = [each["id"] for each in session.pages(listing) if each[name] == wanted]
    if len(found) == 1:
        return str(found[0])
    if not found:
        raise ShieldwallError(f"There is no {kind} named {wanted!r}.", remedy=f"List them: shieldwall {kind} list.")
    raise ShieldwallError(f"{len(found)} {kind} objects are named {wanted!r}.", remedy="Use the id instead.")


def _group_target(kind: str, group_id: str) -> dict[str, Any]:
    return {"target": {"@odata.type": kind, "groupId": group_id}}


def _target(target: dict[str, Any]) -> str:
    kind = target["@odata.type"].removeprefix("#microsoft.graph.")
    words = {"groupAssignmentTarget": "group", "exclusionGroupAssignmentTarget": "not group"}
    return f"{words.get(kind, 'all devices')} {target.get('groupId', '')}".strip()
