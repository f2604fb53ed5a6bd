"""Whose a value is that is in effect."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import pytest
from tests.support.policies import LEVEL, RETENTION, catalog, choice, document, number
from tests.support.pretend_products import PretendDevice, PretendProvider, read_lines

from shieldwall.agent.applier.sources import Product, SettingSource, Source, sources
from shieldwall.agent.providers.base import Desired, Files, Kept, Other, Whose
from shieldwall.contract.ids import SettingId
from shieldwall.policy.values import SettingValue

POLICY = document(1, choice(LEVEL, "_0"))
LOCAL = PurePosixPath("/etc/first/1.conf")


class Speaking(PretendProvider):
    """A product whose second file an administrator writes too."""

    def local(self, files: Files, kept: Kept) -> Desired:
        del kept
        content = files.get(LOCAL) or b""
        theirs = [
            line.replace(b"#local ", b"#managed ") for line in content.splitlines() if line.startswith(b"#local ")
        ]
        return dict(read_lines(b"\n".join(theirs)))


def found(
    wanted: SettingValue | None = None,
    now: SettingValue | None = None,
    local: SettingValue | None = None,
    *,
    setting: SettingId = LEVEL,
    manager: str | None = None,
    protected: bool = False,
) -> SettingSource:
    def said(value: SettingValue | None) -> Desired:
        return {} if value is None else {setting: value}

    product = Product(
        name="first", desired=said(wanted), found=said(now), local=said(local), supported=frozenset({setting})
    )
    (source,) = sources(catalog(), product, manager=manager, protected=protected)
    return source


REALTIME, PASSIVE = f"{LEVEL}_0", f"{LEVEL}_2"


@pytest.mark.parametrize(
    ("values", "source", "value", "overruled"),
    [
        ((REALTIME, REALTIME, None), Source.POLICY, REALTIME, None),
        ((REALTIME, REALTIME, PASSIVE), Source.POLICY, REALTIME, PASSIVE),
        ((REALTIME, REALTIME, REALTIME), Source.POLICY, REALTIME, None),
        ((REALTIME, PASSIVE, None), Source.LOCAL_ADMINISTRATOR, PASSIVE, None),
        ((REALTIME, None, None), Source.DEFAULT, PASSIVE, None),
        ((None, PASSIVE, PASSIVE), Source.LOCAL_ADMINISTRATOR, PASSIVE, None),
        ((None, None, REALTIME), Source.LOCAL_ADMINISTRATOR, REALTIME, None),
        ((None, None, None), Source.DEFAULT, PASSIVE, None),
    ],
)
def test_a_value_has_one_source(
    values: tuple[str | None, str | None, str | None], source: Source, value: str, overruled: str | None
) -> None:
    """The values are: wanted by policies, found now, wanted by a local administrator."""
    said = found(*values)

    assert (said.source, said.value, said.local) == (source, value, overruled)


def test_what_an_administrator_may_not_change_is_held_by_tamper_protection() -> None:
    assert found(REALTIME, REALTIME, PASSIVE, protected=True).source is Source.TAMPER_PROTECTION
    assert found(REALTIME, REALTIME, None, protected=True).source is Source.POLICY
    assert found(None, PASSIVE, PASSIVE, protected=True).source is Source.LOCAL_ADMINISTRATOR


def test_on_a_device_of_another_manager_everything_is_theirs() -> None:
    said = found(REALTIME, PASSIVE, None, manager="Intune")

    assert (said.source, said.value, said.manager) == (Source.OTHER_MANAGER, PASSIVE, "Intune")


def test_a_default_that_nobody_knows_is_not_made_up() -> None:
    assert found(setting=SettingId("linux_mdatp_managed_edr_tags")).value is None


def test_the_engine_says_it_for_every_product(tmp_path: Path) -> None:
    device = PretendDevice(
        directory=tmp_path / "state",
        providers=[Speaking("first", [LEVEL, RETENTION]), PretendProvider("second", [RETENTION])],
    )
    device.applier().enforce([POLICY])

    def told(*, protected: bool = False) -> Sequence[tuple[str, str, Source]]:
        return [(each.provider, each.setting, each.source) for each in device.applier().sources(protected=protected)]

    assert told() == [
        ("first", LEVEL, Source.POLICY),
        ("first", RETENTION, Source.DEFAULT),
        ("second", RETENTION, Source.DEFAULT),
    ]
    ours = next(line for line in device.files[LOCAL].splitlines() if line.startswith(b"#managed "))
    device.files[LOCAL] += ours.replace(b"#managed ", b"#local ") + b"\n"
    assert told()[0] == ("first", LEVEL, Source.POLICY), "who wants the same is not overruled"
    device.applier().enforce([document(1, choice(LEVEL, "_1"))])
    assert told(protected=True)[0] == ("first", LEVEL, Source.TAMPER_PROTECTION)
    device.applier().enforce([document(1, number(RETENTION, 3))])
    assert told()[:2] == [("first", LEVEL, Source.LOCAL_ADMINISTRATOR), ("first", RETENTION, Source.POLICY)]


def test_a_product_that_breaks_hides_no_other(tmp_path: Path) -> None:
    first, second = PretendProvider("first", [LEVEL]), PretendProvider("second", [RETENTION])
    device = PretendDevice(directory=tmp_path / "state", providers=[first, second])
    first.support_error = ValueError("broken")

    assert [(each.provider, each.source) for each in device.applier().sources()] == [("second", Source.DEFAULT)]


@pytest.mark.parametrize(
    ("whose", "wanted", "now", "source", "value"),
    [
        (Whose.GROUP_POLICY, None, None, Source.GROUP_POLICY, PASSIVE),
        (Whose.GROUP_POLICY, REALTIME, None, Source.GROUP_POLICY, PASSIVE),
        (Whose.GROUP_POLICY, REALTIME, REALTIME, Source.POLICY, REALTIME),
        (Whose.PRODUCT, None, PASSIVE, Source.DEFAULT, PASSIVE),
        (Whose.PRODUCT, REALTIME, REALTIME, Source.POLICY, REALTIME),
        (Whose.TAMPER_PROTECTION, REALTIME, REALTIME, Source.TAMPER_PROTECTION, PASSIVE),
    ],
)
def test_what_the_product_tells_of_others_counts(
    whose: Whose, wanted: str | None, now: str | None, source: Source, value: str
) -> None:
    product = Product(
        name="first",
        desired={} if wanted is None else {LEVEL: wanted},
        found={} if now is None else {LEVEL: now},
        local={},
        supported=frozenset(),
        others={LEVEL: Other(whose=whose, value=PASSIVE)},
    )

    (said,) = sources(catalog(), product, manager=None, protected=False)

    assert (said.source, said.value) == (source, value)
