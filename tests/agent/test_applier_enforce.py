from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import msgspec
import pytest
from msgspec.structs import replace
from tests.support.policies import (
    DETECTION,
    EXCLUSIONS,
    FILE_SYSTEMS,
    LEVEL,
    RETENTION,
    TAGS,
    choice,
    document,
    excluded_path,
    items,
    number,
    text,
    texts,
)
from tests.support.pretend_products import PretendDevice, PretendProvider, rejection
from tests.support.reports import by_provider, only

from shieldwall.agent.applier.failures import ReleaseIncompleteError
from shieldwall.agent.applier.state import Intent, SavedFile, State
from shieldwall.agent.applier.store import BusyError, Store, UnreadableStateError
from shieldwall.agent.host.errors import ProgramError
from shieldwall.catalog.model import Kind, Limits
from shieldwall.contract.ids import Digest, SettingId
from shieldwall.contract.settings import PolicyDocument, SimpleSetting, SimpleValue
from shieldwall.contract.status import SettingState, StatusReport
from shieldwall.contract.strict_json import decode, digest_of, encode

FIRST, SECOND = PurePosixPath("/etc/first/0.conf"), PurePosixPath("/etc/second/0.conf")
BEFORE = {FIRST: b"somebody = else\n"}
POLICY = document(1, choice(LEVEL, "_0"), number(RETENTION, 90))


@pytest.fixture
def device(tmp_path: Path) -> PretendDevice:
    first = PretendProvider("first", [LEVEL, RETENTION, EXCLUSIONS])
    second = PretendProvider("second", [LEVEL, FILE_SYSTEMS])
    return PretendDevice(directory=tmp_path / "state", providers=[first, second], files=dict(BEFORE))


def test_a_setting_succeeds_once_per_provider_after_it_was_read_back(device: PretendDevice) -> None:
    report = device.applier().enforce([POLICY])

    statuses = by_provider(report, LEVEL)
    assert set(statuses) == {"first", "second"}
    for status in statuses.values():
        assert status.state is SettingState.SUCCEEDED
        assert (status.value, status.read_back) == (f"{LEVEL}_0", f"{LEVEL}_0")
        assert (status.written, status.effective) == (True, True)
        assert (status.policies, status.rule) == ((POLICY.policy_id,), "only")
    assert decode(encode(report), StatusReport) == report


def test_unchanged_policies_write_nothing_and_load_nothing(device: PretendDevice) -> None:
    first = device.applier().enforce([POLICY])
    device.no_more_faults()

    again = device.applier().enforce([POLICY])

    assert device.steps == []
    assert again == first


def test_unassigning_gives_the_files_back_and_keeps_what_others_wrote_meanwhile(device: PretendDevice) -> None:
    device.applier().enforce([POLICY])
    device.files[FIRST] += b"foreign = edit\n"
    device.applier().enforce([document(2, number(RETENTION, 10))])
    assert b"foreign = edit\n" in device.files[FIRST]

    report = device.applier().enforce([])

    assert device.files == {FIRST: b"somebody = else\nforeign = edit\n"}
    assert report.settings == ()


def test_what_was_unassigned_belongs_to_others_again(device: PretendDevice) -> None:
    device.applier().enforce([POLICY])
    device.applier().enforce([])
    device.files[FIRST.with_name("1.conf")] = b""
    device.no_more_faults()

    device.applier().refresh()

    assert device.steps == []
    assert device.files == BEFORE | {FIRST.with_name("1.conf"): b""}


def test_a_provider_that_fails_goes_back_alone(device: PretendDevice) -> None:
    device.applier().enforce([document(1, choice(LEVEL, "_0"))])
    before = dict(device.files)
    device.refusing.add("first")

    report = device.applier().enforce([document(1, choice(LEVEL, "_1"))])

    statuses = by_provider(report, LEVEL)
    assert (statuses["first"].state, statuses["first"].code) == (SettingState.ERROR, "providerFailed")
    assert statuses["first"].read_back == f"{LEVEL}_0"
    assert statuses["second"].state is SettingState.SUCCEEDED
    assert device.files[FIRST] == before[FIRST]
    assert device.files[SECOND] != before[SECOND]


def test_a_component_that_came_back_takes_the_settings_at_the_next_refresh(device: PretendDevice) -> None:
    device.refusing.add("first")
    device.applier().enforce([POLICY])
    device.refusing.clear()

    report = device.applier().refresh()

    assert by_provider(report, LEVEL)["first"].state is SettingState.SUCCEEDED


def test_after_a_roll_back_that_could_not_be_loaded_the_old_files_are_loaded_later(device: PretendDevice) -> None:
    device.refusing.add("first")
    device.applier().enforce([POLICY])
    device.refusing.clear()
    device.no_more_faults()

    assert device.applier().recover() == ("first",)

    assert "load first" in device.steps
    assert device.applier().recover() == ()


@pytest.mark.parametrize("place", ["render_error", "support_error"])
@pytest.mark.parametrize("error", [ProgramError("It hangs."), KeyError("a defect")])
def test_whatever_a_provider_raises_stays_with_it(device: PretendDevice, place: str, error: Exception) -> None:
    device.applier().enforce([POLICY])
    before = device.files[FIRST]
    setattr(device.providers[0], place, error)

    report = device.applier().enforce([document(1, choice(LEVEL, "_1"))])

    statuses = by_provider(report, LEVEL)
    assert statuses["first"].state is SettingState.ERROR
    assert statuses["first"].code == ("programFailed" if isinstance(error, ProgramError) else "providerBroken")
    assert statuses["second"].state is SettingState.SUCCEEDED
    assert device.files[FIRST] == before, "what holds stays, as long as nobody knows better"


def test_a_value_that_reads_differently_afterwards_is_an_error_and_undone(device: PretendDevice) -> None:
    device.providers[0].misreads = True

    report = device.applier().enforce([POLICY])

    assert by_provider(report, LEVEL)["first"].code == "readBackDiffers"
    assert device.files[FIRST] == BEFORE[FIRST]


def test_what_a_probe_does_not_see_is_not_called_a_success(device: PretendDevice) -> None:
    device.providers[0].deaf = True

    status = by_provider(device.applier().enforce([POLICY]), LEVEL)["first"]

    assert (status.state, status.code, status.effective) == (SettingState.ERROR, "notEffective", False)
    assert status.written
    assert "notLoaded" in (status.reason or "")


def test_policies_in_conflict_leave_the_setting_as_it_was_and_are_all_named(device: PretendDevice) -> None:
    def tagged(policy: int, tag: str) -> PolicyDocument:
        tags = items(TAGS, (choice(f"{TAGS}_item_key", "_0"), text(f"{TAGS}_item_value", tag)))
        return document(policy, tags, template=DETECTION)

    status = only(device.applier().enforce([tagged(1, "red"), tagged(2, "blue")]), TAGS)

    assert status.state is SettingState.CONFLICT
    assert len(status.policies) == 2
    assert "differ" in (status.reason or "")


def test_losers_and_the_rule_that_decided_are_told(device: PretendDevice) -> None:
    strong, weak = document(1, choice(LEVEL, "_0")), document(2, choice(LEVEL, "_2"))

    status = by_provider(device.applier().enforce([strong, weak]), LEVEL)["first"]

    assert (status.policies, status.losers) == ((strong.policy_id,), (weak.policy_id,))
    assert status.rule == "mostSecure"


def test_a_setting_that_nobody_enforces_is_not_applicable_and_says_why(device: PretendDevice) -> None:
    setting = SettingId("linux_mdatp_managed_antivirusengine_scanarchives")

    status = only(device.applier().enforce([document(1, choice(setting, "_true"))]), setting)

    assert (status.state, status.code) == (SettingState.NOT_APPLICABLE, "noProvider")


def test_without_its_product_a_setting_is_not_applicable_and_what_was_written_is_taken_back(
    device: PretendDevice,
) -> None:
    device.applier().enforce([POLICY])
    device.providers[0].installed = False

    status = by_provider(device.applier().refresh(), LEVEL)["first"]

    assert (status.state, status.code) == (SettingState.NOT_APPLICABLE, "notApplicable")
    assert status.reason == "first is not installed."
    assert device.files[FIRST] == BEFORE[FIRST]


def test_items_that_cannot_be_expressed_are_named_and_the_others_count(device: PretendDevice) -> None:
    device.providers[0].rejected = {LEVEL: rejection("cannot"), RETENTION: rejection("no", SettingState.NOT_APPLICABLE)}

    report = device.applier().enforce([POLICY])

    level, retention = by_provider(report, LEVEL)["first"], only(report, RETENTION)
    assert (level.state, level.code) == (SettingState.ERROR, "cannot")
    assert (retention.state, retention.code) == (SettingState.NOT_APPLICABLE, "no")
    assert level.items == rejection("cannot")
    assert by_provider(report, LEVEL)["second"].state is SettingState.SUCCEEDED
    device.no_more_faults()
    assert device.applier().refresh() == report
    assert device.steps == [], "what cannot be expressed is no drift"


def test_items_are_reported_as_plain_json(device: PretendDevice) -> None:
    policy = document(1, items(EXCLUSIONS, excluded_path("/srv/b"), excluded_path("/srv/a")))

    status = only(device.applier().enforce([policy]), EXCLUSIONS)

    assert [item[f"{EXCLUSIONS}_item_path"] for item in status.value] == ["/srv/a", "/srv/b"]
    assert status.read_back == status.value


BAD = number(RETENTION, 9_999)


def test_a_bad_policy_is_refused_and_the_others_apply(device: PretendDevice) -> None:
    bad = document(1, BAD)

    report = device.applier().enforce([bad, document(2, choice(LEVEL, "_0"))])

    (refused,) = report.refused
    assert (refused.policy_id, refused.digest) == (bad.policy_id, digest_of(bad))
    assert "settings[0]" in refused.cause
    assert by_provider(report, LEVEL)["first"].state is SettingState.SUCCEEDED
    assert by_provider(report, RETENTION) == {}


def test_a_refused_revision_leaves_the_last_good_one_in_force(device: PretendDevice) -> None:
    good = document(1, number(RETENTION, 90))
    device.applier().enforce([good])

    report = device.applier().enforce([msgspec.structs.replace(good, revision=2, settings=(BAD,))])

    assert only(report, RETENTION).value == 90
    assert [refused.code for refused in report.refused] != []
    assert device.applier().refresh() == report


def drift_in_file(device: PretendDevice) -> None:
    device.files[FIRST] = BEFORE[FIRST]


def drift_in_component(device: PretendDevice) -> None:
    device.loaded["first"] = b""


@pytest.mark.parametrize("drift", [drift_in_file, drift_in_component])
def test_drift_is_put_back_and_reported_once(device: PretendDevice, drift: Callable[[PretendDevice], None]) -> None:
    applied = device.applier().enforce([POLICY])
    files, loaded = dict(device.files), dict(device.loaded)
    drift(device)

    repaired = device.applier().refresh()

    assert (device.files, device.loaded) == (files, loaded)
    statuses = by_provider(repaired, LEVEL)
    assert (statuses["first"].state, statuses["first"].code) == (SettingState.SUCCEEDED, "repaired")
    assert statuses["second"].code is None
    assert device.applier().refresh() == applied


def test_a_changed_policy_is_no_drift(device: PretendDevice) -> None:
    device.applier().enforce([POLICY])

    report = device.applier().enforce([document(1, choice(LEVEL, "_1"))])

    assert by_provider(report, LEVEL)["first"].code is None


def test_refreshing_an_unmanaged_device_does_nothing(device: PretendDevice) -> None:
    assert device.applier().refresh() == StatusReport()
    assert device.steps == []


def test_the_target_is_in_every_report_until_the_next(device: PretendDevice) -> None:
    target = digest_of("target")

    assert device.applier().enforce([POLICY], target=target).target == target
    assert device.applier().refresh().target == target


def test_a_product_that_will_not_let_go_is_remembered(device: PretendDevice) -> None:
    device.applier().enforce([POLICY])
    device.refusing.add("first")

    with pytest.raises(ReleaseIncompleteError, match="first"):
        device.applier().release()
    assert device.files == BEFORE, "a component that is down is no reason to keep settings"
    with pytest.raises(ReleaseIncompleteError, match="first"):
        device.applier().release()
    assert device.loaded["first"] != BEFORE[FIRST]
    device.refusing.clear()
    device.files[FIRST.with_name("1.conf")] = b""
    device.applier().release()

    assert device.files == BEFORE | {FIRST.with_name("1.conf"): b""}, "what was let go belongs to others"
    assert device.loaded["first"] == BEFORE[FIRST]
    assert device.applier().refresh() == StatusReport()


def test_a_file_that_cannot_be_put_back_keeps_its_provider_from_going_on(device: PretendDevice) -> None:
    device.applier().enforce([document(1, choice(LEVEL, "_0"))])
    old = device.files[FIRST]
    device.no_more_faults()
    broken = False

    def read_only(step: str, _number: int) -> None:
        nonlocal broken
        if step == f"write {FIRST.with_name('1.conf')}":
            broken = True
        if broken and step.startswith("write /etc/first"):
            raise ProgramError("Read-only file system.")

    device.fault = read_only
    device.applier().enforce([document(1, choice(LEVEL, "_1"))])
    assert device.files[FIRST] != old, "half written, and not to be undone yet"

    report = device.applier().enforce([document(1, choice(LEVEL, "_1"))])
    assert by_provider(report, LEVEL)["first"].state is SettingState.ERROR

    device.no_more_faults()
    device.applier().recover()
    assert device.files[FIRST] == old


def test_only_one_applier_works_at_a_time(device: PretendDevice) -> None:
    device.applier().enforce([POLICY])
    with Store(device.directory).locked():
        for act in (device.applier().refresh, device.applier().release, device.applier().recover):
            with pytest.raises(BusyError):
                act()
    device.applier().refresh()


@pytest.mark.parametrize("content", [b"", b"{", b'{"format": 2}', b'{"intents": 7}', b"\x00"])
def test_a_state_that_makes_no_sense_touches_nothing(device: PretendDevice, content: bytes) -> None:
    device.applier().enforce([POLICY])
    files = dict(device.files)
    (device.directory / "state.json").write_bytes(content)

    with pytest.raises(UnreadableStateError):
        device.applier().enforce([])

    assert device.files == files
    assert (device.directory / "state.json").read_bytes() == content


def test_what_is_remembered_is_for_root_alone(device: PretendDevice) -> None:
    device.applier().enforce([POLICY])

    assert device.directory.stat().st_mode & 0o777 == 0o700
    assert (device.directory / "state.json").stat().st_mode & 0o777 == 0o600
    assert json.loads((device.directory / "state.json").read_bytes())["committedAt"].startswith("2026-11-23T12:00")


def test_what_is_saved_is_what_is_loaded(device: PretendDevice) -> None:
    device.files[FIRST] = bytes(range(256))
    device.refusing.add("first")
    device.applier().enforce([POLICY, document(2, texts(FILE_SYSTEMS, "nfs", "fuse"))])
    store = Store(device.directory)

    state = store.load()
    store.save(state)

    assert state.intents[0].files[0].content == bytes(range(256))
    assert store.load() == state


def test_what_says_the_same_is_understood_once_and_everything_else_anew(device: PretendDevice) -> None:
    device.applier().enforce([POLICY])
    store = Store(device.directory)

    state = store.load()
    assert store.load() is state
    Store(device.directory).save(msgspec.structs.replace(state, target=Digest("ab" * 32)))
    assert store.load().target == "ab" * 32
    (device.directory / "state.json").write_bytes(b"{}")
    assert store.load() == State()
    (device.directory / "state.json").write_bytes(b"nonsense")
    with pytest.raises(UnreadableStateError):
        store.load()


def test_a_secret_is_enforced_and_never_reported(device: PretendDevice) -> None:
    definitions = dict(device.catalog.definitions)
    definitions[RETENTION] = msgspec.structs.replace(definitions[RETENTION], kind=Kind.SIMPLE_SECRET, limits=Limits())
    device.catalog = replace(device.catalog, definitions=definitions)
    secret = SimpleSetting(definition=RETENTION, value=SimpleValue(kind="secret", value="s3cret"))

    report = device.applier().enforce([document(1, secret)])

    assert only(report, RETENTION).state is SettingState.SUCCEEDED
    assert b"s3cret" not in encode(report)


def test_of_two_changes_begun_the_newer_says_how_to_go_back_and_others_keep_theirs() -> None:
    older, other = Intent(provider="first", files=()), Intent(provider="second", files=())
    newer = Intent(provider="first", files=(SavedFile(path="/a", content=b"a"),))

    state = State(intents=(older, other)).intending([newer])

    assert set(state.intents) == {newer, other}
