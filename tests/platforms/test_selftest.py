"""The self-test: what a machine was asked and answered is written down, and a replay answers the same."""

from __future__ import annotations

import base64
import json
import plistlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest
from tests.platforms.test_windows_looking import machine
from typer.testing import CliRunner

from shieldwall.agent.applier.grounds import windows_ground
from shieldwall.agent.host import preferences
from shieldwall.agent.host.cim import Cim, LanguageModeError
from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.host.ports import Host
from shieldwall.agent.host.registry.model import RegistryValue
from shieldwall.agent.host.windows.join import read_join
from shieldwall.agent.platforms import WINDOWS, catalog_of
from shieldwall.agent.providers.registry import Management
from shieldwall.agent.providers.windows_defender.landings import landings, properties
from shieldwall.agent.selftest.asking import TRIAL, Result, SelfTest, tried
from shieldwall.agent.selftest.recorder import Notes, NotRecordedError, RecordingCim, RecordingHost
from shieldwall.agent.selftest.recording import FileAnswer, ProgramAnswer, Recording, RecordingError, read, write
from shieldwall.agent.selftest.redacting import Redaction
from shieldwall.cli.shieldwall_agent import app
from shieldwall.testing.recordings import NeverAskedError, RecordedCim, RecordedHost
from shieldwall.testing.windows.defender import PretendDefender
from shieldwall.testing.windows.edr import package
from shieldwall.testing.windows.firewall import PretendFirewall
from shieldwall.testing.windows.machine import PretendWindows

CATALOG = catalog_of(WINDOWS)
EDR_POLICY = r"HKLM\SOFTWARE\Policies\Microsoft\Windows Advanced Threat Protection"
EDR_KEPT = r"HKLM\SOFTWARE\Shieldwall\WindowsEdr"
NO_ID = "00000000-0000-0000-0000-000000000000"
USER = "S-1-5-21-1004336348-1177238915-682003330-512"


def asked(host: Host, cim: Cim) -> Result:
    ground = windows_ground(host, Management(cim=cim), boot_id=lambda: "boot", uptime=lambda: 1.0)
    return SelfTest(host=host, looking=ground.looking, providers=ground.providers(CATALOG), catalog=CATALOG)()


@dataclass
class Recorded:
    result: Result
    recording: Recording
    text: str


def windows(root: Path) -> PretendWindows:
    made = machine(root)
    made.add(PretendDefender(made.registry))
    made.add(PretendFirewall(made.registry))
    made.mount(preferences.MOUNT, preferences.PreferenceStore(made.cim, properties(landings(CATALOG).values())))
    return made


def recorded(made: PretendWindows) -> Recorded:
    notes = Notes()
    result = asked(RecordingHost(made.host, notes), RecordingCim(made.cim, notes))
    content = write(notes.recording(WINDOWS, CATALOG.version, Redaction.of(["DESK-7"])))
    return Recorded(result, read(content), content.decode())


def test_a_replay_says_what_the_machine_said(tmp_path: Path) -> None:
    made = recorded(windows(tmp_path / "real"))

    again = asked(RecordedHost(made.recording, tmp_path / "replayed"), RecordedCim(made.recording))

    assert again.providers == made.result.providers
    assert sum(len(each.supported) for each in again.providers) > 100
    assert again.is_good
    assert again.facts.os_version == made.result.facts.os_version
    assert again.join == made.result.join == "none"


def test_a_machine_under_constrained_language_mode_is_told_and_replayed(tmp_path: Path) -> None:
    real = windows(tmp_path / "real")
    real.cim.failure = LanguageModeError("Constrained Language Mode")
    made = recorded(real)

    again = asked(RecordedHost(made.recording, tmp_path / "replayed"), RecordedCim(made.recording))

    assert not made.result.is_good
    assert again.providers == made.result.providers


def test_the_report_of_the_join_is_recorded_without_its_ids() -> None:
    report = "AzureAdJoined : YES\nDomainJoined : NO\nDeviceId : 6c8de2a4-5e2a-4d5b-9b7e-0d5a7f3b1c22\n"
    answer = ProgramAnswer(command=["dsregcmd.exe", "/status"], stdout=report)
    notes = Notes(programs={(("dsregcmd.exe", "/status"), b""): answer})

    recording = notes.recording(WINDOWS, CATALOG.version, Redaction.of([]))

    assert "6c8de2a4" not in recording.programs[0].stdout
    assert read_join(recording.programs[0].stdout).kind == "directory"


def test_names_and_ids_are_not_in_a_recording(tmp_path: Path) -> None:
    real = windows(tmp_path)
    real.registry.fill(
        r"HKLM\SOFTWARE\Policies\Microsoft\Windows Defender\Exclusions\Paths",
        {r"C:\Users\maria\build": RegistryValue.text("0"), USER: RegistryValue.text("maria@contoso.example")},
    )

    text = recorded(real).text.lower()

    for name in ("desk-7", "6f0e8d9c", "4c4c4544", "maria", "1004336348"):
        assert name not in text


def test_packages_of_the_sensor_are_in_no_recording_under_whatever_name(tmp_path: Path) -> None:
    real = windows(tmp_path)
    secret = package("11111111-1111-4111-8111-111111111111", "c2VjcmV0")
    names = ("OnboardingInfo", "696C1FA1-4030-4FA4-8713-FAF9B2EA7C0A")
    real.registry.fill(EDR_POLICY, {name: RegistryValue.text(secret) for name in names})
    real.registry.fill(EDR_KEPT, {f"Before {name}": RegistryValue.text(secret) for name in names})

    text = recorded(real).text

    assert "696C1FA1" in text, "the keys were looked at"
    assert "c2VjcmV0" not in text
    assert "11111111-1111" not in text


def test_of_binary_files_only_what_can_be_read_is_recorded() -> None:
    plist = plistlib.dumps({"tenantId": "6c8de2a4-5e2a-4d5b-9b7e-0d5a7f3b1c22", "level": 1}, fmt=plistlib.FMT_BINARY)
    files = {
        name: FileAnswer(path=name, base64=base64.b64encode(content).decode())
        for name, content in (("/plist", plist), ("/other", b"\xff\xfeDESK-7"))
    }

    found = {each.path: each for each in Notes(files=files).recording(WINDOWS, "1", Redaction.of(["DESK-7"])).files}

    assert plistlib.loads(base64.b64decode(found["/plist"].base64 or "")) == {"tenantId": NO_ID, "level": 1}
    assert found["/other"].base64 == ""


def test_a_self_test_that_reads_changes_nothing(tmp_path: Path) -> None:
    real = windows(tmp_path)
    before = real.registry.read("HKLM")

    recorded(real)

    assert real.registry.read("HKLM") == before
    assert real.registry.operations == []
    assert real.cim.calls == []
    with pytest.raises(NotRecordedError):
        RecordingHost(real.host, Notes()).write_file(PurePosixPath("/x"), b"")
    with pytest.raises(NotRecordedError):
        RecordingCim(real.cim, Notes()).invoke("n", "c", "m", {})


def test_the_trial_comes_back_and_goes(tmp_path: Path) -> None:
    real = windows(tmp_path)
    before = real.registry.read(r"HKLM\SOFTWARE\Shieldwall\SelfTest")

    assert tried(real.host, WINDOWS) == ""
    assert real.registry.operations != []
    assert real.registry.read(r"HKLM\SOFTWARE\Shieldwall\SelfTest") == before

    real.registry.refused.add(r"HKLM\SOFTWARE\Shieldwall")
    assert "denied" in tried(real.host, WINDOWS)
    assert tried(LocalHost(tmp_path), "linux") == ""
    assert not (tmp_path / str(TRIAL["linux"])[1:]).exists()


def test_what_nobody_asked_is_not_made_up(tmp_path: Path) -> None:
    host = RecordedHost(recorded(windows(tmp_path / "real")).recording, tmp_path / "replayed")

    with pytest.raises(NeverAskedError):
        host.read_file(PurePosixPath("/never"))
    with pytest.raises(NeverAskedError):
        host.run(["never"])
    with pytest.raises(NeverAskedError):
        host.find_program("never")


def test_a_file_that_is_no_recording_is_refused() -> None:
    for content in (b"", b"{}", b'{"format":2,"platform":"linux","agentVersion":"1","catalogVersion":"1"}'):
        with pytest.raises(RecordingError):
            read(content)


def test_the_command_records_this_machine(tmp_path: Path) -> None:
    root, file = tmp_path / "root", tmp_path / "recording.json"
    root.mkdir()

    done = CliRunner().invoke(app, ["--root", str(root), "selftest", "--record", str(file), "--apply", "--json"])

    assert done.exit_code == 0, done.output
    shown = json.loads(done.stdout)
    assert shown["trial"] == ""
    assert {each["provider"] for each in shown["providers"]} > {"mdatp", "nftables", "audit"}
    assert read(file.read_bytes()).platform == "linux"
    assert file.stat().st_mode & 0o077 == 0
