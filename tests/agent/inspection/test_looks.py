"""What the looks see: on real files below a root, and of programs that say what a test wants."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import pytest
from tests.support.memory_host import MemoryHost, Program
from tests.support.pretend_products import PretendProvider
from tests.support.systemd_host import SystemdHost

from shieldwall.agent.applier.store import UnreadableStateError
from shieldwall.agent.broker import settings as broker
from shieldwall.agent.host.errors import ProgramError
from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.host.ports import Completed, Host
from shieldwall.agent.inspection import antivirus, engines, exhibits, firewall, kernel, own_files, services, storage
from shieldwall.agent.inspection.inspector import Held, Inspector
from shieldwall.agent.inspection.model import Audit, Inspection, OwnFile
from shieldwall.agent.providers.base import Desired, Observation
from shieldwall.agent.providers.clamav import onaccess
from shieldwall.agent.providers.marked_block import BEGIN, END
from shieldwall.contract.ids import SettingId
from shieldwall.contract.strict_json import convert, decode_any, encode


def said(stdout: str, *, returncode: int = 0, stderr: str = "") -> Completed:
    return Completed(returncode=returncode, stdout=stdout.encode(), stderr=stderr.encode())


def auditctl(status: str, rules: str = "No rules\n", *, returncode: int = 0) -> MemoryHost:
    def program(words: Sequence[str], _stdin: bytes) -> Completed:
        return said(status if words[0] == "-s" else rules, returncode=returncode, stderr="Operation not permitted")

    return MemoryHost(programs={"auditctl": program})


FIREWALL = SettingId("firewall")
STATUS = "enabled 2\nfailure 1\npid 512\nbacklog_limit 8192\nlost 7\nbacklog 3\nloginuid_immutable 0 unlocked\n"
RULES = (
    "-w /etc/passwd -p wa -k shieldwall-watches\n-w /etc/shadow -p wa -k somebody\n-a always,exit -F key=shieldwall\n"
)


def test_the_audit_system_is_read() -> None:
    host = auditctl(STATUS, RULES)
    host.files[PurePosixPath("/proc/cmdline")] = b"quiet audit=1\n"

    assert kernel.audit(host) == Audit(
        installed=True,
        enabled=2,
        daemon=512,
        lost=7,
        backlog=3,
        backlog_limit=8192,
        rules=3,
        ours=2,
        at_boot=True,
    )


@pytest.mark.parametrize("host", [auditctl("", returncode=1), auditctl("garbage \0 \xff enabled\n")])
def test_an_audit_system_that_says_nonsense_is_told_of(host: MemoryHost) -> None:
    found = kernel.audit(host)

    assert (found.installed, found.enabled) == (True, None)
    assert found.refused == "Operation not permitted"


def test_limits_are_read_and_use_is_counted_on_the_machine_alone() -> None:
    limits = {each.name: each for each in kernel.limits(LocalHost(Path("/")))}

    assert limits["inotify.max_user_watches"].value > 0
    assert (limits["inotify.max_user_instances"].used or 0) >= 0
    assert kernel.limits(MemoryHost()) == ()


def test_fields_of_the_firmware_that_are_missing_or_cannot_be_read_are_named(tmp_path: Path) -> None:
    assert kernel.hardware(LocalHost(tmp_path)).present is False
    place = tmp_path / "sys/class/dmi/id"
    place.mkdir(parents=True)
    for name in ("sys_vendor", "product_name", "product_uuid"):
        (place / name).write_text("x\n")
    (place / "product_uuid").unlink()
    (place / "product_uuid").mkdir()  # reading fails, as it does on boards with broken tables

    found = kernel.hardware(LocalHost(tmp_path))

    assert found.present
    assert found.unreadable[0] == "board_vendor: not there"
    assert found.unreadable[1].startswith("product_uuid: ")
    assert len(found.unreadable) == 2


def installed(root: Path) -> None:
    for path in ("usr/lib/shieldwall-agent/lib", "etc/shieldwall", "run/shieldwall", "var/lib/shieldwall-applier"):
        (root / path).mkdir(parents=True)
        (root / path).chmod(0o755)
    (root / "var/lib/shieldwall-applier").chmod(0o700)
    code = root / "usr/lib/shieldwall-agent/lib/code.py"
    code.write_text("x")
    code.chmod(0o644)


def test_own_files_that_others_can_change_are_named(tmp_path: Path) -> None:
    installed(tmp_path)
    host = LocalHost(tmp_path)
    assert own_files.faults(host, ()) == ()
    code = tmp_path / "usr/lib/shieldwall-agent/lib/code.py"
    code.chmod(0o666)
    (tmp_path / "var/lib/shieldwall-applier").chmod(0o750)

    found = own_files.faults(host, ())

    assert OwnFile(path=str(code), fault="others may write it (mode 0666)") in found
    assert any("is not private" in each.fault for each in found)
    assert len(found) == 2


@pytest.mark.root
def test_files_of_somebody_else_are_named(tmp_path: Path) -> None:
    installed(tmp_path)
    os.chown(tmp_path / "etc/shieldwall", 64_123, 64_123)

    (found,) = own_files.faults(LocalHost(tmp_path), ())

    assert found == OwnFile(path=str(tmp_path / "etc/shieldwall"), fault="belongs to user 64123 instead of 0")


@pytest.mark.root
def test_a_file_that_is_locked_is_named(tmp_path: Path) -> None:
    installed(tmp_path)
    path = tmp_path / "etc/clamav/clamd.conf"
    path.parent.mkdir()
    path.write_text("x")
    if subprocess.run(["chattr", "+i", path], check=False, capture_output=True).returncode != 0:
        pytest.skip("this file system knows no immutable files")
    try:
        (found,) = own_files.faults(LocalHost(tmp_path), [PurePosixPath("/etc/clamav/clamd.conf")])
    finally:
        subprocess.run(["chattr", "-i", path], check=True)

    assert "is immutable (chattr)" in found.fault


def packaged(*, dpkg: str | None = None, rpm: str | None = None, changed: str = "") -> MemoryHost:
    programs: dict[str, Program] = {}
    if dpkg is not None:
        programs["dpkg-query"] = lambda _words, _stdin: said(f"ii  {dpkg}") if dpkg else said("", returncode=1)
        programs["dpkg"] = lambda words, _stdin: said(changed if words == ["--verify", "shieldwall-agent"] else "")
    if rpm is not None:
        programs["rpm"] = lambda words, _stdin: said(rpm if words[0] == "--query" else changed, returncode=not rpm)
    return MemoryHost(programs=programs)


def test_the_package_is_verified_by_whichever_manager_brought_it() -> None:
    assert own_files.package(packaged()) is None
    assert own_files.package(packaged(dpkg="", rpm="")) is None
    found = own_files.package(packaged(dpkg="1.2"))
    assert found is not None
    assert (found.manager, found.version, found.changed) == ("dpkg", "1.2", ())
    changed = "??5?????? c /etc/x\nmissing     /usr/lib/shieldwall-agent/x\n"
    found = own_files.package(packaged(dpkg="", rpm="1.2-1", changed=changed))
    assert found is not None
    assert (found.manager, len(found.changed)) == ("rpm", 2)


def test_room_and_quarantine_are_measured(tmp_path: Path) -> None:
    host = LocalHost(tmp_path)
    assert storage.places(host) == ()
    assert storage.put_away(host) is None
    place = tmp_path / "var/lib/shieldwall-applier/quarantine"
    place.mkdir(parents=True)
    (place / "20261123T120000Z-0123456789abcdef").write_bytes(b"x" * 1000)
    (place / "20261123T120000Z-0123456789abcdef.json").write_bytes(b"{}")

    quarantine, (room,) = storage.put_away(host), storage.places(host)

    assert quarantine is not None
    assert (quarantine.files, quarantine.size) == (1, 1002)
    assert 0 < room.free <= room.size
    assert room.path == "/var/lib/shieldwall-applier"


def test_services_are_compared_with_their_package() -> None:
    unit = b"[Service]\nPrivateTmp=yes\nProtectSystem=strict\nSystemCallFilter=@system-service\n"
    host = SystemdHost({PurePosixPath("/usr/lib/shieldwall-agent/units/shieldwall-agent.service"): unit})
    fragment = "/usr/lib/systemd/system/shieldwall-agent.service"
    host.active = {"shieldwall-agent.service"}
    host.properties = {
        "LoadState": "loaded",
        "UnitFileState": "enabled",
        "PrivateTmp": "yes",
        "ProtectSystem": "strict",
        "FragmentPath": fragment,
        "DropInPaths": "/etc/systemd/system/shieldwall-agent.service.d/shieldwall-protected.conf",
        "NeedDaemonReload": "no",
    }
    host.programs["systemd-analyze"] = lambda _words, _stdin: said(
        "\n→ Overall exposure level for shieldwall-agent.service: 1.3 OK :-)\n"
    )

    (good,) = [each for each in services.services(host) if each.unit == "shieldwall-agent.service"]
    host.properties |= {"PrivateTmp": "no", "DropInPaths": "/etc/systemd/system/x.d/override.conf"}
    (bad,) = [each for each in services.services(host) if each.unit == "shieldwall-agent.service"]

    assert (good.active, good.missing, good.overlays, good.exposure) == ("active", (), (), 1.3)
    assert (bad.missing, bad.overlays) == (("PrivateTmp=yes",), ("/etc/systemd/system/x.d/override.conf",))


def test_foreign_tables_are_found_beside_ours() -> None:
    listing = """{"nftables": [{"metainfo": {"version": "1.0.6"}},
        {"table": {"family": "inet", "name": "shieldwall", "handle": 1}},
        {"table": {"family": "ip", "name": "filter", "handle": 2}},
        {"chain": {"family": "ip", "table": "filter", "name": "DOCKER", "hook": "forward", "policy": "drop"}}]}"""
    host = MemoryHost(programs={"nft": lambda _words, _stdin: said(listing)})

    found = firewall.look(host)

    assert found is not None
    assert found.ours
    assert [(each.family, each.name, each.manager) for each in found.foreign] == [("ip", "filter", "Docker")]
    assert firewall.look(MemoryHost()) is None


CLAMD = b"LocalSocket /run/clamav/clamd.ctl\nUser root\n"


def test_a_scanner_whose_own_opens_are_held_is_seen() -> None:
    conf = PurePosixPath("/etc/clamav/clamd.conf")
    assert antivirus.on_access(MemoryHost()) is None
    host = MemoryHost({conf: CLAMD.replace(b"root", b"clamav")})
    found = antivirus.on_access(host)
    assert found is not None
    assert (found.wanted, found.engine_user) == (None, "clamav")
    settings = broker.Settings(mode="block", engine_socket="/x", engine_databases="/y", engine_user="somebody")
    host.files[broker.CONFIGURATION] = broker.write(settings)
    found = antivirus.on_access(host)
    assert found is not None
    assert (found.wanted, found.alive, found.engine_spared) == ("broker", False, False)
    del host.files[broker.CONFIGURATION]
    host.files[onaccess.CLAMONACC] = b"OnAccessExcludeUname clamav\n"
    found = antivirus.on_access(host)
    assert found is not None
    assert (found.wanted, found.engine_spared) == ("clamonacc", True)


def test_definitions_are_dated_and_their_mirror_named_without_its_password(tmp_path: Path) -> None:
    place = tmp_path / "db"
    place.mkdir()
    (place / "daily.cvd").write_bytes(b"ClamAV-VDB:20 Nov 2026 08-00 +0000:27000:1:1:x:x:x:1\n")
    content = f"DatabaseDirectory {place}\nPrivateMirror http://alice:hunter2@mirror.example\n"
    host = MemoryHost({PurePosixPath("/etc/clamav/freshclam.conf"): content.encode()})

    found = antivirus.definitions(host)

    assert found is not None
    assert (found.newest, found.version) == ("2026-11-20T08:00:00+00:00", "27000")
    assert found.source == "http://(redacted)@mirror.example"
    assert antivirus.definitions(MemoryHost()) is None


def test_of_configurations_only_our_part_is_shown_and_it_is_redacted() -> None:
    provider = PretendProvider("pretend", [FIREWALL], files=1)
    theirs = b"HTTPProxyPassword hunter2\n"
    files: Mapping[PurePosixPath, bytes] = {
        provider.files()[0]: BEGIN + b"PrivateMirror http://alice:geheim1@mirror\nKey correct-horse\n" + END + theirs
    }
    host = MemoryHost(files)

    found = exhibits.configuration(host, [provider], ["correct-horse"])

    (text,) = found.values()
    assert "PrivateMirror http://(redacted)@mirror" in text
    assert "hunter2" not in text
    assert "correct-horse" not in text
    assert exhibits.configuration(MemoryHost({provider.files()[0]: theirs}), [provider], []) == {}


def test_the_journal_is_bounded_and_redacted() -> None:
    line = "2026-11-23T12:00:00+0000 python[1]: password=hunter2\n"
    asked: list[str] = []

    def journalctl(words: Sequence[str], _stdin: bytes) -> Completed:
        asked.extend(words)
        return said(line * 20_000 + "the end\n")

    host = MemoryHost(programs={"journalctl": journalctl})

    (text,) = exhibits.journals(host, ["shieldwall-agent.service"], []).values()

    assert text.endswith("the end\n")
    assert "hunter2" not in text
    assert len(text) <= 256 * 1024
    assert "--unit=shieldwall-agent.service" in asked
    assert exhibits.journals(MemoryHost(), ["x"], []) == {}


def test_a_bundle_that_would_be_too_large_names_what_it_leaves_out() -> None:
    kept = exhibits.fitting((f"part{number}", "x" * 2**18) for number in range(20))

    assert sum(map(len, kept.values())) <= exhibits.MOST_CHARACTERS + 20 * 64
    assert len(kept) == 20
    assert "left out" in kept["part19"]


def test_an_engine_is_compared_and_probed() -> None:
    provider = PretendProvider("pretend", [FIREWALL], files=1)
    files = provider.render({}, {FIREWALL: "on"}, {}).files
    host = MemoryHost({path: content for path, content in files.items() if content is not None})
    host.programs["show"] = lambda _words, _stdin: said("")

    found = engines.look(host, provider, {FIREWALL: "on"})
    drifted = engines.look(MemoryHost(programs=host.programs), provider, {FIREWALL: "on"})

    assert (found.version, found.desired, found.differing) == ("1.0", 1, ())
    assert [(each.setting, each.code) for each in found.ineffective] == [("firewall", "notLoaded")]
    assert drifted.differing == ("firewall",)
    assert [operation for operation in host.operations if operation.startswith("write")] == []


def test_a_whole_inspection_changes_nothing_and_breaks_part_by_part() -> None:
    class Broken(PretendProvider):
        def observe(self, host: Host, desired: Desired) -> Mapping[SettingId, Observation]:
            del host, desired
            raise ZeroDivisionError("x")

    good, bad = PretendProvider("good", [FIREWALL], files=1), Broken("bad", [FIREWALL], files=1)
    host = MemoryHost(programs={"show": lambda _words, _stdin: said(""), "nft": lambda _words, _stdin: said("garbage")})
    desired = {FIREWALL: "on"}
    inspector = Inspector(
        host=host, providers=lambda: (good, bad), held=lambda: Held(desired={"good": desired, "bad": desired})
    )

    found = inspector(with_exhibits=True)

    assert {each.name: each.trouble for each in found.engines} == {"good": "", "bad": "ZeroDivisionError: x"}
    assert found.unseen.keys() == {"firewall"}
    assert [operation for operation in host.operations if operation.startswith("write")] == []
    assert convert(decode_any(encode(found), max_depth=32), Inspection) == found


def test_an_inspection_without_the_engine_s_memory_says_so_and_shows_no_configuration() -> None:
    def lost() -> Held:
        raise UnreadableStateError("state.json makes no sense.")

    provider = PretendProvider("good", [FIREWALL], files=1)
    host = MemoryHost({provider.files()[0]: BEGIN + b"x\n" + END})

    found = Inspector(host=host, providers=lambda: (provider,), held=lost)(with_exhibits=True)

    assert found.unseen["held"] == "state.json makes no sense."
    assert found.exhibits == {}, "which values are secret is not known"


def test_a_program_that_does_not_start_breaks_its_own_look_alone() -> None:
    def broken(operation: str) -> None:
        if operation.startswith("run"):
            raise ProgramError("nft cannot be started.")

    host = MemoryHost(programs={"nft": lambda _words, _stdin: said("")}, before=broken)
    with pytest.raises(ProgramError):
        firewall.look(host)
