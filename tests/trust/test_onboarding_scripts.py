"""Files that onboard machines: real shells run them, and nothing of a package's name reaches them."""

from __future__ import annotations

import base64
import os
import shutil
import stat
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from tests.support.samples import NOON, TENANT_ID, HandClock, package_id

from shieldwall.cli.agent_coming import _tell_what_awaits
from shieldwall.contract import strict_json
from shieldwall.server.signer.keys import create_keys
from shieldwall.server.signer.ledger import Ledger
from shieldwall.server.signer.service import SignerService
from shieldwall.trust import moments, strict_base64
from shieldwall.trust.onboarding import OnboardingPackage, open_package
from shieldwall.trust.onboarding_scripts import KINDS, ScriptKind, ScriptPlatformError, make_script

AGENT = """#!/bin/sh
printf '%s\\n' "$*" >> "$TOLD"
[ "$1" = onboard ] && { stat -c '%a' "$2" >> "$TOLD"; cp "$2" "$TOLD.package"; }
exit "${ANSWER:-0}"
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A package for every platform, as devices are given it."""
    folder, clock = tmp_path_factory.mktemp("signer"), HandClock()
    signer = SignerService(
        keys=create_keys(folder / "keys", TENANT_ID, clock), ledger=Ledger(folder / "ledger"), clock=clock
    )
    members: dict[str, Any] = {
        "tenantId": TENANT_ID,
        "packageId": package_id(1),
        "serverUrls": ["https://localhost:8444"],
        "trustRoot": msgspec.to_builtins(signer.trust_root()),
        "onboardingKey": {"kid": "k", "k": strict_base64.encode_url(bytes(32))},
        "notBefore": moments.write(NOON),
        "notAfter": moments.write(NOON + timedelta(days=1)),
        "allowedPlatforms": ["linux", "windows", "macos"],
        "approval": "manual",
        "attestation": "tpm-required",
        "joinType": "full",
    }
    return strict_json.encode(signer.seal_package(msgspec.convert(members, OnboardingPackage)))


def script(kind: ScriptKind, file: bytes) -> str:
    return make_script(kind, open_package(file, NOON), file)


class Machine:
    """A machine of its own in a directory: an agent that notes what it is told, and somebody who seems to be root."""

    def __init__(self, home: Path, *, is_root: bool = True) -> None:
        self.root, self.told = home / "root", home / "told"
        (self.root / "opt/shieldwall/bin").mkdir(parents=True)
        self.commands = home / "bin"
        self.commands.mkdir()
        _program(self.commands / "id", f"#!/bin/sh\necho {0 if is_root else 1000}\n")
        self.home = home

    def with_agent(self) -> Machine:
        _program(self.root / "opt/shieldwall/bin/shieldwall-agent", AGENT)
        return self

    @property
    def package(self) -> Path:
        return self.root / "etc/shieldwall/shieldwall_onboarding.json"

    def run(self, text: str, *options: str, answer: int = 0) -> subprocess.CompletedProcess[str]:
        place = self.home / "onboard.sh"
        place.write_text(text)
        return subprocess.run(
            ["/bin/sh", str(place), "--root", str(self.root), *options],
            env={"PATH": f"{self.commands}:/usr/bin:/bin", "TOLD": str(self.told), "ANSWER": str(answer)},
            capture_output=True,
            text=True,
            check=False,
        )


def _program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def test_the_linux_script_onboards_with_a_package_that_only_its_owner_may_read(file: bytes, tmp_path: Path) -> None:
    machine = Machine(tmp_path).with_agent()

    ran = machine.run(script("linux", file), "--proxy", "http://proxy:3128")

    assert (ran.returncode, ran.stderr) == (0, "")
    told, mode = machine.told.read_text().splitlines()
    assert told == f"onboard {machine.package} --proxy http://proxy:3128 --root {machine.root}"
    assert mode == "600"
    assert Path(f"{machine.told}.package").read_bytes() == file
    assert not machine.package.exists()
    assert list(machine.package.parent.iterdir()) == []
    assert stat.S_IMODE(machine.package.parent.stat().st_mode) == 0o700


def test_run_again_it_leaves_a_machine_alone_that_is_onboarded(file: bytes, tmp_path: Path) -> None:
    machine = Machine(tmp_path).with_agent()

    ran = machine.run(script("linux", file), answer=5)

    assert ran.returncode == 0
    assert "onboarded already" in ran.stdout
    assert not machine.package.exists()


def test_a_machine_that_waits_keeps_the_package_for_the_next_run(file: bytes, tmp_path: Path) -> None:
    machine = Machine(tmp_path).with_agent()

    assert machine.run(script("linux", file), answer=12).returncode == 12
    assert stat.S_IMODE(machine.package.stat().st_mode) == 0o600
    assert machine.run(script("linux", file)).returncode == 0
    assert not machine.package.exists()


def test_a_refusal_of_the_agent_is_handed_on_and_leaves_no_secret(file: bytes, tmp_path: Path) -> None:
    machine = Machine(tmp_path).with_agent()

    assert machine.run(script("linux", file), answer=8).returncode == 8
    assert not machine.package.exists()


def test_nothing_happens_without_root_or_without_an_agent(file: bytes, tmp_path: Path) -> None:
    for number, machine in enumerate((Machine(tmp_path / "a", is_root=False).with_agent(), Machine(tmp_path / "b"))):
        ran = machine.run(script("linux", file))
        assert ran.returncode == 3, number
        assert not machine.told.exists()
        assert not machine.package.parent.exists()


def test_an_unknown_option_is_refused(file: bytes, tmp_path: Path) -> None:
    assert Machine(tmp_path).with_agent().run(script("linux", file), "--quick").returncode == 2


@pytest.mark.parametrize("kind", ["linux", "macos"])
def test_shells_find_no_fault(file: bytes, tmp_path: Path, kind: ScriptKind) -> None:
    place = tmp_path / "onboard.sh"
    place.write_text(script(kind, file))
    checks = [["/bin/sh", "-n", str(place)], ["bash", "-n", str(place)]]
    if found := shutil.which("shellcheck"):
        checks.append([found, "--shell=sh", "--severity=style", str(place)])
    for check in checks:
        ran = subprocess.run(check, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_windows_script_holds_the_package_and_lets_no_others_read_it(file: bytes) -> None:
    text = script("windows", file)

    assert "\n" not in text.replace("\r\n", "")
    content = text.partition("$content = @'\r\n")[2].partition("\r\n'@")[0]
    assert base64.b64decode(content) == file
    assert "icacls.exe" in text
    assert text.index("icacls.exe") < text.index("WriteAllBytes")


def test_the_playbook_is_one_and_its_package_is_whole(file: bytes, tmp_path: Path) -> None:
    text = script("ansible", file)
    (play,) = yaml.safe_load(text)
    assert base64.b64decode(play["vars"]["shieldwall_package"].replace(" ", "")) == file
    place = next(task for task in play["tasks"] if task["name"] == "Place the package")
    assert (place["ansible.builtin.copy"]["mode"], place["no_log"]) == ("0600", True)
    if found := shutil.which("ansible-playbook"):
        playbook = tmp_path / "onboard.yml"
        playbook.write_text(text)
        ran = subprocess.run(
            [found, "--syntax-check", "--inventory", "localhost,", str(playbook)],
            env={**os.environ, "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_user_data_writes_the_linux_script_and_runs_it(file: bytes, tmp_path: Path) -> None:
    text = script("cloud-init", file)
    assert text.startswith("#cloud-config\n")
    data = yaml.safe_load(text)
    (written,) = data["write_files"]
    assert base64.b64decode(written["content"]).decode() == script("linux", file)
    assert written["permissions"] == "0700"
    assert data["runcmd"][0] == ["sh", written["path"]]
    if found := shutil.which("cloud-init"):
        place = tmp_path / "user-data"
        place.write_text(text)
        ran = subprocess.run(
            [found, "schema", "--config-file", str(place)], capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr


def test_no_placeholder_is_left_and_everything_is_plain_text(file: bytes) -> None:
    for kind in KINDS:
        text = script(kind, file)
        assert text.isascii()
        assert not {"@TENANT@", "@PACKAGE@", "@EXPIRES@", "@CONTENT@", "@INDENTED@", "@START@", "@DECODE@"} & {
            f"@{word}@" for word in text.split("@")
        }
        assert package_id(1) in text


def test_a_package_for_other_platforms_makes_no_script(file: bytes) -> None:
    windows = msgspec.structs.replace(open_package(file, NOON), allowed_platforms=("windows",))

    assert make_script("windows", windows, file)
    for kind in ("linux", "macos", "ansible", "cloud-init"):
        with pytest.raises(ScriptPlatformError):
            make_script(kind, windows, file)


def test_a_package_says_what_awaits_and_older_ones_still_open(file: bytes) -> None:
    package = open_package(file, NOON)
    assert (package.approval, package.attestation, package.join_type) == ("manual", "tpm-required", "full")

    members = msgspec.to_builtins(package)
    for newer in ("approval", "attestation", "joinType"):
        del members[newer]
    older = msgspec.convert(members, OnboardingPackage)
    assert (older.approval, older.attestation, older.join_type) == ("auto", "optional", "synthetic")


def test_the_agent_tells_a_person_what_awaits(file: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    package = open_package(file, NOON)
    _tell_what_awaits(package)
    assert "an administrator has to let the device in" in (told := capsys.readouterr().out)
    assert "TPM" in told

    _tell_what_awaits(msgspec.structs.replace(package, approval="auto", attestation="optional"))
    assert capsys.readouterr().out == ""
