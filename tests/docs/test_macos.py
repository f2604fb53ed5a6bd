"""``docs/windows-macos.md`` says of every setting of macOS where it lands and how a person sees it."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.documentation import generated
from tests.support.macos import CATALOG, Mac
from tests.support.windows_documentation import PAGE

from shieldwall.testing.mdatp import health


def test_every_setting_of_a_mac_stands_there_with_a_way_to_see_it() -> None:
    rows = [line for line in generated(PAGE)["macos-defender-settings"].splitlines() if line.startswith("| ")]

    for setting in CATALOG.definitions:
        (row, *_) = [row for row in rows if f"`{setting}`" in row]
        assert row.rsplit("|", 2)[1].strip(), f"{setting}: nothing says how to see it"


def test_every_field_that_is_named_is_one_that_the_stand_in_prints(tmp_path: Path) -> None:
    """But for those that say something which no setting of ours steers alone."""
    product = Mac(root=tmp_path).mdatp.product
    printed = {*health.facts(product), *health.settings(product)}

    named = set(re.findall(r"--field ([a-z_]+)`", generated(PAGE)["macos-defender-settings"]))

    assert named - printed == {"cloud_diagnostic_enabled", "data_loss_prevention_status"}
