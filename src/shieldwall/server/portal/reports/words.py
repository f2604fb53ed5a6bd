"""The reports there are, and their words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from shieldwall.server.manager.coverage import Covered
from shieldwall.server.portal.language import marked


@dataclass(frozen=True, slots=True)
class Report:
    """One report: where it is, what it is called, and which question it answers."""

    path: str
    title: str
    question: str


POLICIES: Final = Report(
    "/reports/policies",
    marked("Policy status"),
    marked("How does each policy stand on its devices?"),
)
SETTINGS: Final = Report(
    "/reports/settings",
    marked("Setting status"),
    marked("Which single settings fail, conflict or wait, and on how many devices?"),
)
CONFLICTS: Final = Report(
    "/reports/conflicts",
    marked("Conflicts"),
    marked("Where do policies want different values, who wins and why, and what is the way out?"),
)
COVERAGE: Final = Report(
    "/reports/coverage",
    marked("Coverage"),
    marked("Which settings could be set and are not, and which devices have no policy?"),
)
WITHOUT_POLICY: Final = Report(
    "/reports/coverage/devices",
    marked("Devices without a policy"),
    marked("Which active devices does no policy reach?"),
)
"""A part of the report over coverage."""
DRIFT: Final = Report(
    "/reports/drift",
    marked("Drift"),
    marked("Which devices did somebody change, and what was put back?"),
)
STALE: Final = Report(
    "/reports/stale",
    marked("Stale devices"),
    marked("Which devices have not been in touch for long?"),
)
AGENTS: Final = Report(
    "/reports/agents",
    marked("Agent versions"),
    marked("Which versions of the agent are in use, and where is an old one?"),
)
REPORTS: Final = (POLICIES, SETTINGS, CONFLICTS, COVERAGE, DRIFT, STALE, AGENTS)
COVERED: Final = {
    Covered.SET: marked("Set"),
    Covered.UNASSIGNED: marked("Set, assigned to nobody"),
    Covered.UNSET: marked("Not set"),
}
COVERED_STYLES: Final = {Covered.SET: "succeeded", Covered.UNASSIGNED: "pending", Covered.UNSET: "notApplicable"}
