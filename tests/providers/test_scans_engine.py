"""The proof: what a real clamd finds and lets pass under the lists, and what scans then do."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.clamd import MARKER, Clamd, running_clamd
from tests.support.scanning import session_of

from shieldwall.agent.detections import spool
from shieldwall.agent.detections.model import Action, Source
from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.providers.base import Desired, Kept
from shieldwall.agent.providers.scans import ScansProvider, lists
from shieldwall.agent.scanning import policy
from shieldwall.agent.scanning.session import Kind
from shieldwall.catalog.loader import load
from shieldwall.contract.ids import SettingId
from shieldwall.policy.values import Item

pytestmark = pytest.mark.clamav

CATALOG = load()
PROVIDER = ScansProvider(CATALOG)
ENGINE = "linux_mdatp_managed_antivirusengine_"
INDICATORS = "linux_shieldwall_indicators_"
ALLOWED = SettingId(ENGINE + "allowedthreats")
LEVEL = SettingId(ENGINE + "enforcementlevel")
ACTIONS = SettingId(ENGINE + "disallowedthreatactions")
BLOCKED_FILES = SettingId(INDICATORS + "blockedfiles")
ALLOWED_FILES = SettingId(INDICATORS + "allowedfiles")


@pytest.fixture
def clamd() -> Iterator[Clamd]:
    with running_clamd() as running:
        yield running


def enforce(host: LocalHost, desired: Desired, kept: Kept | None = None) -> Kept:
    """Do what the engine does: read, render, write, activate."""
    rendered = PROVIDER.render({path: host.read_file(path) for path in PROVIDER.files()}, desired, kept or {})
    for path, content in rendered.files.items():
        host.write_file(path, content)
    PROVIDER.activate(host)
    return rendered.kept


def indicators(setting: SettingId, *contents: bytes) -> tuple[Item, ...]:
    digests = (hashlib.sha256(content).hexdigest() for content in contents)
    return tuple(Item(((SettingId(f"{setting}_item_sha256"), digest),)) for digest in digests)


def effective(host: LocalHost, desired: Desired) -> dict[SettingId, bool | None]:
    return {setting: seen.effective for setting, seen in PROVIDER.observe(host, desired).items()}


def test_an_allowed_threat_passes_and_letting_go_takes_it_back(clamd: Clamd) -> None:
    bad = clamd.infected("bad")
    assert clamd.detects(bad)

    kept = enforce(clamd.host, {ALLOWED: ("Test.Marker.UNOFFICIAL",)})
    assert not clamd.detects(bad)
    assert effective(clamd.host, {ALLOWED: ("Test.Marker.UNOFFICIAL",)}) == {ALLOWED: True}

    enforce(clamd.host, {}, kept)
    assert [path.name for path in (clamd.root / "var/lib/clamav").iterdir()] == ["test.ndb"]
    assert not clamd.host.locate(policy.FILE).exists()
    clamd.stop()
    clamd.start()
    assert clamd.detects(bad)


def test_letting_go_has_clamd_forget_the_lists(clamd: Clamd) -> None:
    bad = clamd.infected("bad")
    kept = enforce(clamd.host, {ALLOWED: ("Test.Marker",)})
    assert not clamd.detects(bad)

    enforce(clamd.host, {}, kept)

    for _ in range(100):  # it forgets while it goes on answering
        if clamd.detects(bad):
            break
    assert clamd.detects(bad)


def test_a_file_known_by_its_hash_is_found_and_one_that_is_allowed_is_not(clamd: Clamd) -> None:
    (clamd.root / "srv").mkdir()
    known, other = clamd.root / "srv/known", clamd.root / "srv/other"
    known.write_bytes(b"a tool that nobody should have")
    other.write_bytes(b"a tool that nobody should have!")
    tolerated = clamd.infected("tolerated")
    desired: Desired = {
        BLOCKED_FILES: indicators(BLOCKED_FILES, known.read_bytes()),
        ALLOWED_FILES: indicators(ALLOWED_FILES, tolerated.read_bytes()),
    }

    enforce(clamd.host, desired)

    assert [path.name for path in (known, other, tolerated) if clamd.detects(path)] == ["known"]
    (clamd.root / "srv/another").write_bytes(tolerated.read_bytes() + b".")
    assert clamd.detects(clamd.root / "srv/another")
    assert effective(clamd.host, desired) == {BLOCKED_FILES: True, ALLOWED_FILES: True}


def test_a_scan_moves_what_is_known_by_its_hash(clamd: Clamd) -> None:
    (clamd.root / "srv").mkdir()
    known = clamd.root / "srv/known"
    known.write_bytes(b"a tool that nobody should have")
    enforce(clamd.host, {BLOCKED_FILES: indicators(BLOCKED_FILES, known.read_bytes()), LEVEL: f"{LEVEL}_1"})
    values = policy.decode(clamd.host.read_file(policy.FILE))

    session_of(clamd, values).scan(Kind.PATHS, Source.ON_DEMAND_SCAN, [str(clamd.root / "srv")])

    (event,) = spool.read(clamd.host.locate(spool.DIRECTORY))
    assert (event.action, event.threat.startswith(lists.INDICATOR)) == (Action.QUARANTINED, True)
    assert not known.exists()


def test_lists_that_clamd_has_not_loaded_are_seen_and_loaded_by_activating(clamd: Clamd) -> None:
    desired: Desired = {ALLOWED: ("Test.Marker",), LEVEL: f"{LEVEL}_0"}
    rendered = PROVIDER.render({}, desired, {})
    for path, content in rendered.files.items():
        clamd.host.write_file(path, content)
    before = PROVIDER.observe(clamd.host, desired)

    PROVIDER.activate(clamd.host)

    assert {(seen.effective, seen.code) for seen in before.values()} == {(False, "listsNotLoaded")}
    assert effective(clamd.host, desired) == {ALLOWED: True, LEVEL: True}


def test_an_older_list_does_not_pass_for_the_new_one(clamd: Clamd) -> None:
    kept = enforce(clamd.host, {ALLOWED: ("Test.Marker",)})
    newer: Desired = {ALLOWED: ("Test.Marker", "Test.Other")}
    assert PROVIDER.observe(clamd.host, newer)[ALLOWED].code == "listsNotLoaded"

    enforce(clamd.host, newer, kept)

    assert effective(clamd.host, newer) == {ALLOWED: True}


def test_a_list_of_names_that_clamd_lost_is_seen(clamd: Clamd) -> None:
    desired: Desired = {ALLOWED: ("Test.Marker",)}
    enforce(clamd.host, desired)
    clamd.host.write_file(lists.IGNORED, None)
    clamd.stop()
    clamd.start()

    seen = PROVIDER.observe(clamd.host, desired)[ALLOWED]

    assert (seen.effective, seen.code) == (False, "notInEffect")


def test_a_policy_file_that_says_something_else_is_seen(clamd: Clamd) -> None:
    desired: Desired = {LEVEL: f"{LEVEL}_0", ACTIONS: ("restore",)}
    enforce(clamd.host, desired)
    assert effective(clamd.host, desired) == {LEVEL: True, ACTIONS: True}

    clamd.host.write_file(policy.FILE, policy.encode({policy.ENFORCEMENT_LEVEL: "passive"}))

    assert {seen.code for seen in PROVIDER.observe(clamd.host, desired).values()} == {"notInEffect"}


def test_an_engine_that_is_gone_is_seen(clamd: Clamd) -> None:
    desired: Desired = {ALLOWED: (), LEVEL: f"{LEVEL}_0"}
    enforce(clamd.host, desired)
    assert PROVIDER.product_version(clamd.host) == "ready"

    clamd.stop()

    assert {seen.code for seen in PROVIDER.observe(clamd.host, desired).values()} == {"engineNotRunning"}
    assert PROVIDER.product_version(clamd.host) == "engineNotRunning"


def test_a_policy_cannot_blind_the_engine_by_allowing_our_own_markers(clamd: Clamd) -> None:
    enforce(clamd.host, {ALLOWED: ("Shieldwall.Lists", "Shieldwall.Canary", "Test.Other")})

    assert effective(clamd.host, {ALLOWED: ("Test.Other",)}) == {ALLOWED: True}
    assert clamd.detects(clamd.infected("bad"))
    assert MARKER in Path(clamd.root / "srv/bad").read_bytes()
