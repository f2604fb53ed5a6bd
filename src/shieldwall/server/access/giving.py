"""Giving rights to others: nobody gives more than they hold, neither actions nor scope; pure."""

from __future__ import annotations

from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.access.grants import WHOLE, Access, Grant, Scope


class EscalationError(ShieldwallError):
    """Somebody would give, change or take away rights that they do not hold themselves."""

    code = "escalation"
    remedy = "Ask somebody who holds at least these rights, such as a Global Administrator."


def contains(wider: Scope, narrower: Scope) -> bool:
    """Tell whether everything within one scope is within another."""
    within_tags = wider.tags is None or (narrower.tags is not None and narrower.tags <= wider.tags)
    return within_tags and (wider.groups is None or (narrower.groups is not None and narrower.groups <= wider.groups))


def covers(holder: Access, grant: Grant) -> bool:
    """Tell whether somebody holds every action of a grant at least as widely, each within one grant of their own."""
    return all(any(contains(scope, grant.scope) for scope in holder.scopes(action)) for action in grant.actions)


def require_no_more(holder: Access, grant: Grant) -> None:
    """Refuse a grant that goes beyond what its giver holds.

    Raises:
        EscalationError: Names an action that the giver does not hold so widely.
    """
    for action in sorted(grant.actions):
        if not covers(holder, Grant(frozenset({action}), grant.scope)):
            where = "in the whole tenant" if grant.scope == WHOLE else "within that scope"
            raise EscalationError(f"You do not hold {action.value} {where}.")
