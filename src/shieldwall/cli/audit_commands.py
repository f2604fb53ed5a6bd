"""``shieldwall audit``: who did what to what, when."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from shieldwall.cli.graph_session import connected
from shieldwall.cli.listing import EveryOption, ODataOption, TopOption, first_of, text_of
from shieldwall.cli.moments import moment_in_words, parsed_moment, present
from shieldwall.cli.options import JsonOption
from shieldwall.cli.presentation import show_facts, show_json, show_table, speaking_plainly

app: Final = typer.Typer(no_args_is_help=True, help="The audit trail: list, show.")

AUDIT_EVENTS: Final = "/beta/deviceManagement/auditEvents"
_ACTOR: Final = (
    "actor/userPrincipalName",
    "actor/applicationDisplayName",
    "actor/userId",
    "actor/applicationId",
)
"""What somebody may be named by: a person or a program, by name or id."""
_ANY_OF_A_KIND: Final = ".*"


@app.command("list")
def list_events(
    *,
    since: Annotated[str | None, typer.Option("--since", help="From when on: 24h, 7d, or a moment.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Up to when: 1h, or a moment.")] = None,
    actor: Annotated[str | None, typer.Option("--actor", help="Who did it: name or id.")] = None,
    activity: Annotated[
        str | None, typer.Option("--activity", help="What was done: policy.created, or all of a kind: 'policy.*'.")
    ] = None,
    about: Annotated[str | None, typer.Option("--object", help="Id of what it was done to.")] = None,
    odata: ODataOption = None,
    top: TopOption = 50,
    every: EveryOption = False,
    as_json: JsonOption = False,
) -> None:
    """List what was done, newest first: the last fifty acts, or those that fit every option given.

    Example: shieldwall audit list --since 7d --activity 'policy.*' --actor ada@contoso.com
    """
    now = present()
    with speaking_plainly("list the audit trail", as_json=as_json), connected() as session:
        conditions = _conditions(now, since=since, until=until, actor=actor, activity=activity, about=about)
        wanted = [*conditions, *([f"({odata})"] if odata else [])]
        query = {"$filter": " and ".join(wanted)} if wanted else {}
        found = first_of(session, AUDIT_EVENTS, query, None if every else top)
    if as_json:
        show_json(found)
        return
    rows = [
        (
            moment_in_words(each["activityDateTime"], now),
            who(each),
            each["activityType"],
            ", ".join(about["displayName"] for about in each["resources"]),
            each["id"],
        )
        for each in found
    ]
    show_table(("When", "Who", "What", "Object", "Id"), rows, empty="Nothing was done.")


@app.command("show")
def show_event(
    event: Annotated[str, typer.Argument(help="Id of the event, as 'audit list' shows it.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Show one event, with what it changed.

    Example: shieldwall audit show 3f2b8c1e-6f0a-4f7e-9d0c-0a1b2c3d4e5f
    """
    with speaking_plainly("show the event", as_json=as_json), connected() as session:
        found = session.call("GET", f"{AUDIT_EVENTS}/{quote(event, safe='')}")
    if as_json:
        show_json(found)
        return
    show_facts(
        [
            ("When", moment_in_words(found["activityDateTime"], present())),
            ("What", f"{found['activity']} ({found['activityType']})"),
            ("Who", who(found)),
            ("From", found["actor"]["ipAddress"] or "-"),
            ("Correlation", found["correlationId"]),
            *((about["type"], f"{about['displayName']} ({about['resourceId']})") for about in found["resources"]),
        ]
    )
    changed = [
        (each["displayName"], _shown(each["oldValue"]), _shown(each["newValue"]))
        for about in found["resources"]
        for each in about["modifiedProperties"]
    ]
    if changed:
        typer.echo()
        show_table(("Property", "Before", "After"), changed)


def who(event: dict[str, Any]) -> str:
    """Name whoever did it: a person by their user name, a program by its name."""
    actor = event["actor"]
    return str(actor["userPrincipalName"] or actor["applicationDisplayName"] or actor["type"])


def _conditions(
    now: datetime, *, since: str | None, until: str | None, actor: str | None, activity: str | None, about: str | None
) -> list[str]:
    """Write what is asked as conditions of a filter. Raises: InvalidMomentError."""
    wanted = []
    if since is not None:
        wanted.append(f"activityDateTime ge {_written(parsed_moment(since, now))}")
    if until is not None:
        wanted.append(f"activityDateTime le {_written(parsed_moment(until, now))}")
    if actor is not None:
        wanted.append(f"({' or '.join(f'{member} eq {text_of(actor)}' for member in _ACTOR)})")
    if activity is not None and activity.endswith(_ANY_OF_A_KIND):
        wanted.append(f"startswith(activityType,{text_of(activity[:-1])})")
    elif activity is not None:
        wanted.append(f"activityType eq {text_of(activity)}")
    if about is not None:
        wanted.append(f"resources/any(r:r/resourceId eq {text_of(about)})")
    return wanted


def _written(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def _shown(value: str | None) -> str:
    return "-" if value is None else value
