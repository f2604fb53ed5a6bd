"""The package for Windows devices: what is in it, and that the same commit makes the same."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from shieldwall.agent.windows.own_services import OPEN

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts/build-windows-package"
pytestmark = pytest.mark.timeout(600)


def build(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "BUILD": str(directory / "build"),
        "DIST": str(directory / "dist"),
        "SOURCE_DATE_EPOCH": "1767225600",
    }
    return subprocess.run(
        [SCRIPT, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=500, check=False
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("windows")
    done = build(directory)
    if done.returncode != 0 and "error sending request" in done.stderr:
        pytest.skip("The wheels for Windows cannot be fetched here.")
    assert done.returncode == 0, done.stderr
    return directory


def packed(built: Path) -> zipfile.ZipFile:
    (file,) = (built / "dist").glob("*.zip")
    return zipfile.ZipFile(file)


def test_a_device_gets_the_agent_and_nothing_of_the_server(built: Path) -> None:
    with packed(built) as zipped:
        names = zipped.namelist()

    assert "lib/shieldwall/agent/windows/service_edge.py" in names
    assert "lib/shieldwall/catalog/data/windows_antivirus.json" in names
    assert {"scripts/install.ps1", "scripts/uninstall.ps1", "scripts/onboard.ps1", "scripts/offboard.ps1"} <= set(names)
    ours = tuple(f"lib/shieldwall/{part}/" for part in ("server", "testing", "simulator"))
    unwanted = (*ours, "lib/sqlalchemy/", "lib/pythonwin/")
    assert [name for name in names if name.startswith(unwanted)] == []
    assert [name for name in names if name.endswith(".so") or "__pycache__" in name] == []


def test_extensions_are_for_windows_and_lie_where_they_are_looked_for(built: Path) -> None:
    with packed(built) as zipped:
        names = zipped.namelist()
        paths = zipped.read("python/python312._pth").decode().splitlines()

    extensions = [name for name in names if name.endswith(".pyd")]
    assert any(name.startswith("lib/msgspec/") for name in extensions)
    assert any(name.startswith("lib/cryptography/") for name in extensions)
    assert {"lib/win32/win32security.pyd", "lib/win32/win32pipe.pyd", "lib/win32/servicemanager.pyd"} <= set(extensions)
    assert {Path(name).name for name in names if name.startswith("python/")} >= {"pywintypes312.dll"}
    assert paths == ["python312.zip", ".", r"..\lib", r"..\lib\win32", r"..\lib\win32\lib"]


def test_the_same_commit_makes_the_same_zip(built: Path, tmp_path: Path) -> None:
    again = build(tmp_path)

    assert again.returncode == 0, again.stderr
    hashes = {
        hashlib.sha256(file.read_bytes()).hexdigest()
        for directory in (built, tmp_path)
        for file in (directory / "dist").glob("*.zip")
    }
    assert len(hashes) == 1


def test_a_runtime_goes_in_when_it_is_the_one_named(tmp_path: Path) -> None:
    runtime = tmp_path / "python.zip"
    with zipfile.ZipFile(runtime, "w") as made:
        made.writestr("python.exe", b"MZ")
        made.writestr("python312._pth", b"python312.zip\n.\n")
    digest = hashlib.sha256(runtime.read_bytes()).hexdigest()

    refused = build(tmp_path, "--runtime", str(runtime), "--sha256", "0" * 64)
    unnamed = build(tmp_path, "--runtime", str(runtime))
    taken = build(tmp_path, "--runtime", str(runtime), "--sha256", digest)

    assert refused.returncode != 0
    assert unnamed.returncode == 2
    assert taken.returncode == 0, taken.stderr
    with packed(tmp_path) as zipped:
        assert zipped.read("python/python.exe") == b"MZ"
        assert b"lib" in zipped.read("python/python312._pth"), "our paths count, not those of the runtime"


def test_services_have_no_more_than_they_need() -> None:
    services = {each["name"]: each for each in json.loads((ROOT / "package/windows/services.json").read_text())}

    applier, agent = services["ShieldwallApplier"], services["ShieldwallAgent"]
    assert (applier["account"], applier["network"]) == ("LocalSystem", False)
    assert (agent["account"], agent["sidType"]) == (r"NT SERVICE\ShieldwallAgent", "restricted")
    assert agent["privileges"] == ["SeChangeNotifyPrivilege"]
    # As any service, until the device is protected: the applier closes them then (``agent/windows/own_services.py``).
    assert {service["security"] for service in services.values()} == {OPEN}


@pytest.mark.skipif(
    shutil.which("msiinfo") is None or shutil.which("wixl") is None, reason="wixl or msitools are missing"
)
def test_the_msi_holds_the_same_and_starts_the_same_scripts(built: Path) -> None:
    (msi,) = (built / "dist").glob("*.msi")

    def table(name: str) -> list[list[str]]:
        shown = subprocess.run(["msiinfo", "export", msi, name], capture_output=True, text=True, check=True)
        return [line.split("\t") for line in shown.stdout.splitlines()[3:]]

    with packed(built) as zipped:
        assert len(table("File")) == len(zipped.namelist())
    actions = {row[0]: row for row in table("CustomAction")}
    assert "install.ps1" in actions["Configure"][3]
    assert "uninstall.ps1" in actions["Unconfigure"][3]
    deferred, system = 0x400, 0x800
    assert all(
        int(actions[name][1]) & (deferred | system) == deferred | system for name in ("Configure", "Unconfigure")
    )
    order = {row[0]: int(row[2]) for row in table("InstallExecuteSequence")}
    assert order["InstallInitialize"] < order["Unconfigure"] < order["RemoveFiles"] < order["InstallFinalize"]
    assert order["InstallFiles"] < order["Configure"] < order["InstallFinalize"]
    assert order["FindPowerShell"] < min(order["Unconfigure"], order["Configure"])
