"""``shieldwall policy history``, ``diff`` and ``rollback``: what a policy was, and the way back."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from shieldwall.cli.graph_session import GraphSession, connected
from shieldwall.cli.moments import moment_in_words, present
from shieldwall.cli.names import POLICIES, find_policy
from shieldwall.cli.options import JsonOption, PolicyArgument, ReasonOption
from shieldwall.cli.presentation import in_words, printable, show_json, show_table, speaking_plainly
from shieldwall.cli.previews import class_in_words
from shieldwall.contract.errors import ShieldwallError


def history(policy: PolicyArgument, *, as_json: JsonOption = False) -> None:
    """Show every revision of a policy: when, by whom, why, and what it did to the protection.

    Example: shieldwall policy history "Linux servers: antivirus"
    """
    with speaking_plainly("show the history", as_json=as_json), connected() as session:
        found = _revisions(session, find_policy(session, policy))
    if as_json:
        show_json(found)
        return
    now = present()
    rows = [
        (
            each["revision"],
            moment_in_words(each["createdDateTime"], now),
            each["createdBy"],
            class_in_words(each["class"]),
            each["settingCount"],
            each["name"],
            each["reason"],
        )
        for each in found
    ]
    show_table(("Revision", "Made", "By", "Effect", "Settings", "Name", "Reason"), rows)


def diff(
    policy: PolicyArgument,
    *,
    since: Annotated[
        int | None, typer.Option("--from", min=1, help="Older revision; the one before by default.")
    ] = None,
    until: Annotated[int | None, typer.Option("--to", min=1, help="Newer revision; the newest by default.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what changed between two revisions of a policy, setting by setting.

    Example: shieldwall policy diff "Linux servers: antivirus" --from 1 --to 3
    """
    with speaking_plainly("compare the revisions", as_json=as_json), connected() as session:
        policy_id = find_policy(session, policy)
        newest = until or int(_revisions(session, policy_id)[0]["revision"])
        older = since or newest - 1
        if older < 1:
            raise ShieldwallError(
                "The policy has one revision, and nothing to compare it with.",
                remedy="Look at it: shieldwall policy show.",
            )
        path = f"{POLICIES}/{policy_id}/revisions/{newest}/changes"
        found = list(session.pages(path, query={"since": str(older)}))
    if as_json:
        show_json(found)
        return
    rows = [
        (
            class_in_words(each["class"]),
            each["displayName"],
            in_words(each["before"]),
            in_words(each["after"]),
        )
        for each in found
    ]
    typer.echo(f"Revision {older} to {newest}")
    show_table(("Effect", "Setting", "Before", "After"), rows, empty="No setting differs.")


def rollback(
    policy: PolicyArgument,
    *,
    to: Annotated[int, typer.Option("--to", min=1, help="The revision whose content shall hold again.")],
    reason: ReasonOption = "",
    as_json: JsonOption = False,
) -> None:
    """Bring back what a policy was: a new revision with the content of an older one.

    Look first at what it would do: shieldwall policy diff NAME --from NEWEST --to OLDER.

    Example: shieldwall policy rollback "Linux servers: antivirus" --to 2 --reason "Scans took too long"
    """
    with speaking_plainly("roll the policy back", as_json=as_json), connected() as session:
        body = {"revision": to, "reason": reason}
        found = session.call("POST", f"{POLICIES}/{find_policy(session, policy)}/rollback", body)
    if as_json:
        show_json(found)
    else:
        newest = found["shieldwall"]["revision"]
        typer.echo(f"{printable(found['name'])} is as in revision {to} again; that is revision {newest}.")


def _revisions(session: GraphSession, policy_id: str) -> list[dict[str, Any]]:
    return list(session.pages(f"{POLICIES}/{policy_id}/revisions"))
