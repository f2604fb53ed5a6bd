"""The applier over a real clamd and a real freshclam: policies to lists, definitions and scans, and back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import policies as p
from tests.support.clamd import Clamd, running_clamd
from tests.support.mirror import SIGNATURE, require_freshclam
from tests.support.samples import HandClock
from tests.support.scanning import session_of

from shieldwall.agent.applier.engine import Applier
from shieldwall.agent.applier.store import Store
from shieldwall.agent.detections.model import Source
from shieldwall.agent.providers.clamav import ClamavProvider
from shieldwall.agent.providers.freshclam import FreshclamProvider
from shieldwall.agent.providers.scans import ScansProvider
from shieldwall.agent.scanning import policy
from shieldwall.agent.scanning.session import Kind
from shieldwall.contract.ids import TemplateId
from shieldwall.contract.settings import PolicyDocument
from shieldwall.contract.status import SettingState, StatusReport

pytestmark = pytest.mark.clamav

ANTIVIRUS = TemplateId("4cfd164c-5e8a-4ea9-b15d-9aa71e4ffff4_1")
INDICATORS = TemplateId("5f0d7a3e-9c41-4b6f-8e25-3a7c1d94b860_1")
ENGINE = "linux_mdatp_managed_antivirusengine_"
BLOCKED = "linux_shieldwall_indicators_blockedfiles"


@pytest.fixture
def clamd(tmp_path: Path) -> Iterator[Clamd]:
    require_freshclam()
    with running_clamd() as running:
        (tmp_path / "mirror").mkdir()
        (tmp_path / "mirror/own.ndb").write_text(SIGNATURE)
        (running.root / "etc/clamav/freshclam.conf").write_text(
            f"DatabaseDirectory {running.root}/var/lib/clamav\nDatabaseOwner root\nMaxAttempts 1\n"
            f"DatabaseMirror 127.0.0.1:9\nNotifyClamd {running.configuration}\n"
        )
        yield running


def applier_of(clamd: Clamd, directory: Path) -> Applier:
    catalog = p.catalog()
    return Applier(
        host=clamd.host,
        store=Store(directory / "state"),
        providers=[ClamavProvider(catalog), FreshclamProvider(catalog), ScansProvider(catalog)],
        platform="linux",
        catalog=catalog,
        clock=HandClock(),
    )


def antivirus(mirror: Path, level: str) -> PolicyDocument:
    return p.document(
        1,
        p.choice(f"{ENGINE}enforcementlevel", level),
        p.texts(f"{ENGINE}allowedthreats", "Test.Allowed"),
        p.choice(f"{ENGINE}offlinedefinitionupdate", "_enabled"),
        p.text(f"{ENGINE}offlinedefinitionupdateurl", f"{mirror}/own.ndb"),
        template=ANTIVIRUS,
    )


def indicators(content: bytes) -> PolicyDocument:
    digest = hashlib.sha256(content).hexdigest()
    return p.document(2, p.items(BLOCKED, (p.text(f"{BLOCKED}_item_sha256", digest),)), template=INDICATORS)


def states(report: StatusReport) -> dict[tuple[str, str | None], SettingState]:
    return {(status.setting.rpartition("_")[2], status.provider): status.state for status in report.settings}


def test_policies_become_lists_definitions_and_scans_and_leave_nothing_behind(clamd: Clamd, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in clamd.root.rglob("etc/**/*") if path.is_file()}
    applier = applier_of(clamd, tmp_path)
    (clamd.root / "srv").mkdir()
    known = clamd.root / "srv/known"
    known.write_bytes(b"known by its hash")

    report = applier.enforce([antivirus(tmp_path / "mirror", "_1"), indicators(known.read_bytes())])

    found = states(report)
    for setting, provider in (
        ("enforcementlevel", "scans"),
        ("allowedthreats", "scans"),
        ("blockedfiles", "scans"),
        ("offlinedefinitionupdate", "freshclam"),
        ("offlinedefinitionupdateurl", "freshclam"),
    ):
        assert found[setting, provider] is SettingState.SUCCEEDED, report.settings
    assert {status.effective for status in report.settings if status.provider in {"scans", "freshclam"}} == {True}
    assert (clamd.root / "var/lib/clamav/own.ndb").read_text() == SIGNATURE

    values = policy.decode(clamd.host.read_file(policy.FILE))
    session_of(clamd, values).scan(Kind.PATHS, Source.ON_DEMAND_SCAN, [str(known)])
    assert not known.exists()

    applier.release()
    assert {path: path.read_bytes() for path in clamd.root.rglob("etc/**/*") if path.is_file()} == before
    assert {path.name for path in (clamd.root / "var/lib/clamav").iterdir()} - {"freshclam.dat"} == {
        "test.ndb",
        "own.ndb",
    }


def test_a_list_that_somebody_changed_is_put_back(clamd: Clamd, tmp_path: Path) -> None:
    applier = applier_of(clamd, tmp_path)
    document = indicators(b"known by its hash")
    applier.enforce([document])
    (clamd.root / "var/lib/clamav/shieldwall-lists.hsb").write_bytes(b"")

    (status,) = [each for each in applier.refresh().settings if each.provider == "scans"]

    assert (status.state, status.code, status.effective) == (SettingState.SUCCEEDED, "repaired", True)
