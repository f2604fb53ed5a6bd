"""Where the rows of a report come from: a source is made for one question, and reads what that asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol, TypeAlias

from sqlalchemy import Connection

from shieldwall.catalog.model import Catalog
from shieldwall.contract.ids import TenantId, parse_policy_id
from shieldwall.server.graph.reports import columns
from shieldwall.server.graph.reports.asking import Asked, Checked, check
from shieldwall.server.graph.reports.columns import Column, Type, text
from shieldwall.server.graph.reports.tables import Row, decided, fitting
from shieldwall.server.reporting.held import HeldFleet
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.policies import policies
from shieldwall.server.storage.records import PolicyHead

NOBODY: Final[Row] = {"UPN": None, "UserId": None, "UserName": None}
"""Devices of this channel have no users."""
POLICY_TEXTS: Final = ("PolicyId", "PolicyName", "PolicyBaseTypeName")
POLICY_KINDS: Final = (
    Column(name="UnifiedPolicyType", type=Type.NUMBER, words=columns.POLICY_TYPE_WORDS),
    Column(name="UnifiedPolicyPlatformType", type=Type.NUMBER, words=columns.PLATFORM_WORDS),
)
"""Columns that say of which kind and for which platform a policy is."""
POLICY_COLUMNS: Final = (*text(*POLICY_TEXTS), *POLICY_KINDS)
"""Columns that say which policy a row is about."""
_AT_ONCE: Final = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a source reads with."""

    connection: Connection
    catalog: Catalog
    tenant_id: TenantId
    fleet: HeldFleet | None = None
    """The fleet in memory, where it is there and as the database is: the same counts, sooner."""


class Source(Protocol):
    """The rows of a report, for one question."""

    @property
    def columns(self) -> Sequence[Column]:
        """The columns there are."""

    def read(self, asked: Asked, checked: Checked) -> tuple[int, Sequence[Row]]:
        """Return how many rows fit, and those of the part asked for. Raises: InvalidQueryError."""


Making: TypeAlias = Callable[[Reading, Asked], Source]
"""Makes the source of a report for one question. Raises: InvalidQueryError, NotFoundError, InvalidIdError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InMemory:
    """Rows that were read already: settings, policies, what one device has. ``shared`` are values that all have."""

    columns: Sequence[Column]
    rows: Sequence[Row]
    shared: Row = field(default_factory=dict)

    def read(self, asked: Asked, checked: Checked) -> tuple[int, Sequence[Row]]:
        """Return how many rows fit, and those of the part asked for."""
        left = decided(checked, self.shared)
        found = [] if left is None else fitting((self.shared | row for row in self.rows), left)
        return len(found), found[asked.skip : asked.skip + asked.top]


def in_portions(source: Source, asked: Asked) -> Iterator[Row]:
    """Yield every row that fits, in portions, however many there are."""
    checked = check(asked, source.columns)
    part = replace(asked, skip=0, top=_AT_ONCE)
    while True:
        _, rows = source.read(part, checked)
        yield from rows
        if len(rows) < _AT_ONCE:
            return
        part = replace(part, skip=part.skip + _AT_ONCE)


def policy_of(reading: Reading, asked: Asked) -> PolicyHead:
    """Return the policy that the filter names. Raises: InvalidQueryError, InvalidIdError, NotFoundError."""
    policy_id = parse_policy_id(asked.required("PolicyId"))
    for found in policies.heads(reading.connection, reading.tenant_id, policy_id):
        return found
    raise NotFoundError(f"There is no policy {policy_id}.")


def all_policies(reading: Reading) -> Sequence[PolicyHead]:
    """Return the policies of the tenant."""
    return policies.heads(reading.connection, reading.tenant_id)


def policy_row(reading: Reading, policy: PolicyHead) -> Row:
    """Return the values of these columns."""
    return {
        "PolicyId": policy.id,
        "PolicyName": policy.name,
        "PolicyBaseTypeName": columns.POLICY_TYPE,
        "UnifiedPolicyType": columns.policy_type(reading.catalog.template(policy.template_id).family),
        "UnifiedPolicyPlatformType": columns.platform(policy.platforms),
    }
