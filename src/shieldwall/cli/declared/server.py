"""The server's side of declared objects: reading what is there, and carrying a plan out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from shieldwall.cli.declared.authored import decided
from shieldwall.cli.declared.change_sets import Countable, change_set, created, ids_of, in_names
from shieldwall.cli.declared.objects import NAMED_BY, Json, Kind, Present
from shieldwall.cli.declared.planning import Action, Change, Plan
from shieldwall.cli.declared.references import with_names
from shieldwall.cli.graph_session import GraphSession
from shieldwall.cli.names import FILTERS, GROUPS, POLICIES, REUSABLE_SETTINGS
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.strict_json import encode

LISTINGS: Final[Mapping[Kind, str]] = {
    Kind.GROUP: GROUPS,
    Kind.FILTER: FILTERS,
    Kind.REUSABLE_SETTING: REUSABLE_SETTINGS,
    Kind.POLICY: POLICIES,
}
CHANGE_SET: Final = f"{POLICIES}/changeSet"


def everything_on(session: GraphSession) -> list[Present]:
    """Read everything that can be declared, in names."""
    listed = {kind: _listed(session, kind) for kind in Kind}
    names = {kind: {each["id"]: each[NAMED_BY[kind]] for each in found} for kind, found in listed.items()}
    present: list[Present] = []
    for kind, found in listed.items():
        for resource in found:
            document = decided(kind, resource)
            present.append(
                Present(
                    kind=kind,
                    id=resource["id"],
                    document=_in_order(with_names(document, names)) if kind is Kind.POLICY else document,
                    revision=resource["shieldwall"]["revision"] if kind is Kind.POLICY else None,
                )
            )
    return present


def previews_of(session: GraphSession, plan: Plan, known: Countable) -> list[tuple[str, Json]]:
    """Ask what a plan would do: the policies as one, each group and filter whose rule changes by itself."""
    found: list[tuple[str, Json]] = []
    if known.body["changes"]:
        with naming(known.names):
            found.append(("All policies together", session.call("POST", f"{CHANGE_SET}/preview", known.body)))
    for kind, member in ((Kind.GROUP, "membershipRule"), (Kind.FILTER, "rule")):
        for change in plan.of(kind, Action.CHANGE):
            if member in change.members and change.present and change.document:
                path = f"{LISTINGS[kind]}/{change.present.id}/preview"
                preview = session.call("POST", path, {member: change.document[member]})
                found.append((f"The {kind} {change.name!r} by itself", preview))
    return found


@contextmanager
def naming(names: Sequence[str]) -> Iterator[None]:
    """Put the names of policies into what the server says about a change set."""
    try:
        yield
    except ShieldwallError as error:
        error.cause = in_names(error.cause, names)
        error.__notes__ = [in_names(note, names) for note in getattr(error, "__notes__", ())]
        raise


class Carrying:
    """Carries a plan out, step by step; ``done`` says what has been done, should a step fail."""

    def __init__(self, session: GraphSession, plan: Plan, present: list[Present], reason: str) -> None:
        self._session = session
        self._plan = plan
        self._reason = reason
        self.ids = ids_of(present)
        self.done: list[str] = []

    def prepare(self) -> None:
        """Make and change groups, filters and reusable settings. Raises: ShieldwallError, with what was done before."""
        for kind in (Kind.GROUP, Kind.FILTER, Kind.REUSABLE_SETTING):
            for change in self._plan.of(kind, Action.CREATE):
                made = self._call(change, "POST", LISTINGS[kind], created(change))
                self.ids[kind][change.name] = made["id"]
            for change in self._plan.of(kind, Action.CHANGE):
                assert change.present is not None
                self._call(change, "PATCH", f"{LISTINGS[kind]}/{change.present.id}", _changed(change))

    def publish(self) -> None:
        """Save all policies at once. Raises: ShieldwallError, with what was done before."""
        body = change_set(self._plan, self.ids, self._reason)
        if body["changes"]:
            with naming([change.name for change in self._plan.of(Kind.POLICY)]):
                self._noting("POST", CHANGE_SET, body)
            self.done.append(f"saved {len(body['changes'])} policies at once")

    def clean_up(self) -> None:
        """Delete groups, filters and reusable settings that nobody refers to any more. Raises: as before."""
        for change in self._plan.changes:
            if change.action is Action.DELETE and change.kind is not Kind.POLICY and change.present is not None:
                self._call(change, "DELETE", f"{LISTINGS[change.kind]}/{change.present.id}", None)

    def _call(self, change: Change, method: str, path: str, body: Json | None) -> Any:
        answer = self._noting(method, path, body)
        self.done.append(f"{change.action} {change.kind} {change.name!r}")
        return answer

    def _noting(self, method: str, path: str, body: Json | None) -> Any:
        try:
            return self._session.call(method, path, body, reason=self._reason)
        except ShieldwallError as error:
            for each in self.done:
                error.add_note(f"Done before that: {each}")
            raise


def _listed(session: GraphSession, kind: Kind) -> list[Json]:
    query = {"$expand": "settings,assignments,shieldwall"} if kind is Kind.POLICY else None
    return list(session.pages(LISTINGS[kind], query=query))


def _in_order(policy: Json) -> Json:
    """Order assignments by what they say; a server goes by ids, which are others on every server."""
    return policy | {"assignments": sorted(policy["assignments"], key=encode)}


def _changed(change: Change) -> Json:
    """Write the members that differ; a group's kind, for one, may not be sent again."""
    document = change.document or {}
    return {member: document[member] for member in change.members if member in document}
