"""What the page on protection says in numbers and kinds is what the code has."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final, get_args, get_type_hints

from tests.support.documentation import DOCS, table_rows

from shieldwall.agent.applier.window import START_COSTS
from shieldwall.agent.service.attempts import MOST_WAITING
from shieldwall.contract.messages import TamperAttempt
from shieldwall.policy.protection import DEFAULT_WINDOW, LONGEST_WINDOW, MAX_EXCLUDED, MAX_GROUPS, SHORTEST_WINDOW
from shieldwall.trust.offboarding import DEFAULT_LIFETIME, LONGEST_LIFETIME

TEXT: Final = (DOCS / "protection.md").read_text()
LINES: Final = " ".join(TEXT.split())


def test_every_kind_of_alert_about_tampering_is_there_and_no_other() -> None:
    section = TEXT.partition("## Alerts\n")[2].partition("\n## ")[0]
    named = {kind for row in table_rows(section) for kind in re.findall(r"`(tamper\.\w+)`", row[0])}
    told = {f"tamper.{kind}" for kind in get_args(get_type_hints(TamperAttempt)["kind"])}

    assert named == told | {"tamper.leftWhileProtected"}


def test_the_numbers_are_those_of_the_code() -> None:
    default, longest = (window // timedelta(hours=1) for window in (DEFAULT_WINDOW, LONGEST_WINDOW))
    shortest = SHORTEST_WINDOW // timedelta(minutes=1)
    for words in (
        f"{default} hours unless said otherwise, at least {shortest} minutes and at most {longest} hours",
        f"expires after {DEFAULT_LIFETIME.days} days unless said otherwise",
        f"and after {LONGEST_LIFETIME.days} at the latest",
        f"At most {MAX_GROUPS} groups and {MAX_EXCLUDED:,} excluded devices",
        f"at most {MOST_WAITING} different attempts",
    ):
        assert words in LINES, words
    assert timedelta(minutes=1).total_seconds() == START_COSTS
