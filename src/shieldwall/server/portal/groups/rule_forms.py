"""What the editor of rules is handed and shows: a rule read from a form, what is wrong with it, whom it would name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import DeviceId, GroupId
from shieldwall.policy.rule_building import JOINING, condition, joined
from shieldwall.policy.rule_tokens import InvalidRuleError
from shieldwall.policy.rule_tree import KINDS, MEMBER_OF, Operator, Quantifier
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.admin.sight import Sight
from shieldwall.server.directory.group_rules import Trial, checked_rule, try_rule
from shieldwall.server.directory.names import visible
from shieldwall.server.portal.forms import InvalidFormError
from shieldwall.server.portal.groups.words import KIND_WORDS, OPERATOR_WORDS
from shieldwall.server.storage.fleets import fleets
from shieldwall.server.storage.groups import groups as stored_groups
from shieldwall.server.storage.groups.groups import GroupOrder
from shieldwall.server.storage.records import Group, Page

SAMPLES: Final = 10
_MOST_GROUPS: Final = 200
Named = tuple[tuple[DeviceId, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong with a rule; where it is a character of it, the rule stands in two parts around that one."""

    cause: str
    advice: str
    before: str = ""
    at: str = ""
    after: str = ""
    place: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What is said of a rule while it is being written: what is wrong with it, or whom it names."""

    fault: Fault | None = None
    trial: Trial | None = None
    named: Named = ()
    gained: Named = ()
    lost: Named = ()


def what_is_said(
    services: AdminServices, connection: Connection, sight: Sight, group_id: GroupId | None, rule: str
) -> Said:
    """Try a rule on the fleet, or on part of a large one."""
    if not rule:
        return Said()
    tenant = services.tenant.id
    try:
        trial = try_rule(connection, tenant, group_id, checked_rule(connection, tenant, group_id, rule))
    except ShieldwallError as error:
        return Said(fault=fault_of(rule, error))
    return Said(
        trial=trial,
        named=samples(connection, sight, trial.named),
        gained=samples(connection, sight, trial.moves.gained),
        lost=samples(connection, sight, trial.moves.lost),
    )


def samples(connection: Connection, sight: Sight, device_ids: frozenset[DeviceId]) -> Named:
    """Return the names of some of these devices, of those that are seen."""
    few = sorted(device_ids)[: SAMPLES * 5]
    seen = sorted(sight.devices_among(connection, few))[:SAMPLES]
    return tuple(sorted(fleets.names(connection, seen).items(), key=lambda each: each[1].casefold()))


def fault_of(rule: str, error: ShieldwallError) -> Fault:
    """Show where a rule is wrong."""
    if not isinstance(error, InvalidRuleError):
        return Fault(cause=error.cause, advice=error.advice)
    place = error.position
    return Fault(
        cause=error.cause,
        advice=error.advice,
        before=rule[:place],
        at=rule[place : place + 1] or "▯",
        after=rule[place + 1 :],
        place=place,
    )


def rule_of(form: Mapping[str, str]) -> str:
    """Read a rule. Raises: InvalidFormError."""
    rule = on_one_line(form.get("rule", ""))
    if visible(rule) != rule:  # the page would carry it on as it shows it, and save another rule than it tried
        raise InvalidFormError("Rule: it holds characters that cannot be seen.")
    return rule


def on_one_line(rule: str) -> str:
    """Write a rule without ends of lines: a browser makes two characters of each, and here characters are counted."""
    return rule.replace("\r\n", " ").replace("\n", " ").replace("\t", " ").strip()


def with_condition(connection: Connection, sight: Sight, rule: str, form: Mapping[str, str]) -> str:
    """Add the condition that was chosen; groups are named by their names or ids. Raises: InvalidRuleError."""
    name, operator, value = form.get("property", ""), form.get("operator", ""), form.get("value", "")
    if name == MEMBER_OF:
        operator = Quantifier.ANY.value
        known = {each.display_name.casefold(): each.id for each in groups_like(connection, sight, "")}
        value = ",".join(str(known.get(each.strip().casefold(), each.strip())) for each in value.split(","))
    return joined(rule, form.get("joining", JOINING[0]), condition(name, operator, value))


def groups_like(connection: Connection, sight: Sight, text: str) -> tuple[Group, ...]:
    """Return some groups that are seen, by a part of their name."""
    like = (stored_groups.named_like(text),) if text else ()
    page = Page(size=_MOST_GROUPS, where=(*sight.groups(), *like))
    return stored_groups.list_groups(connection, sight.tenant_id, page, GroupOrder.NAME)


def choices() -> dict[str, Any]:
    """Return what conditions are built of."""
    return {
        "properties": [(name, KIND_WORDS[kind]) for name, kind in KINDS.items()],
        "operators": [(each.value, OPERATOR_WORDS[each.value]) for each in Operator],
        "joinings": JOINING,
    }
