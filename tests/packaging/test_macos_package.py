"""The package for Macs: jobs that agree with the code, scripts that are scripts, a layout that is always the same."""

from __future__ import annotations

import os
import plistlib
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from shieldwall import __version__
from shieldwall.agent.macos import places

REPOSITORY = Path(__file__).parents[2]
PACKAGE = REPOSITORY / "package/macos"
BUILD = REPOSITORY / "scripts/build-macos-package"
JOBS = {"agent": places.AGENT_JOB, "applier": places.APPLIER_JOB}
PROGRAMS = str(places.PROGRAMS)


def job(name: str) -> dict[str, Any]:
    found: dict[str, Any] = plistlib.loads((PACKAGE / f"launchd/{JOBS[name]}.plist").read_bytes())
    return found


@pytest.mark.parametrize("name", JOBS)
def test_a_job_starts_our_program_in_its_sandbox(name: str) -> None:
    words = job(name)["ProgramArguments"]

    assert words[:3] == ["/usr/bin/sandbox-exec", "-f", f"{PROGRAMS}/sandbox/{name}.sb"]
    assert words[3:6] == [f"{PROGRAMS}/bin/python3", "-I", "-m"]
    assert (PACKAGE / f"sandbox/{name}.sb").exists()
    assert find_spec(words[6]) is not None
    assert job(name)["Label"] == JOBS[name]


@pytest.mark.parametrize("name", JOBS)
def test_a_job_keeps_what_it_makes_to_itself_and_leaves_no_cores(name: str) -> None:
    limits = job(name)["HardResourceLimits"]

    assert (job(name)["Umask"], limits["Core"]) == (0o077, 0)
    assert set(job(name)["EnvironmentVariables"]) == {"PATH", "LC_ALL"}


def test_the_applier_is_root_and_always_there_and_the_agent_neither() -> None:
    applier, agent = job("applier"), job("agent")

    assert "UserName" not in applier
    assert (applier["RunAtLoad"], applier["KeepAlive"]) == (True, True)
    assert (agent["UserName"], agent["GroupName"]) == (places.AGENT_USER, places.AGENT_USER)
    assert "RunAtLoad" not in agent
    waits_for = {Path(path) for path, there in agent["KeepAlive"]["PathState"].items() if there}
    assert waits_for == {places.AGENT_STATE / name for name in ("identity.json", "pending.json")}


def test_neither_writes_its_log_where_the_other_may() -> None:
    agent, applier = (PurePosixPath(job(name)["StandardErrorPath"]) for name in ("agent", "applier"))

    assert agent.parent != applier.parent
    script = (PACKAGE / "scripts/postinstall").read_text()
    assert f"chown root:wheel {applier.parent}\n" in script
    assert f'chown "$user:$user" {agent.parent}\n' in script


def test_sandboxes_leave_the_applier_no_network_and_the_agent_no_files() -> None:
    applier, agent = ((PACKAGE / f"sandbox/{name}.sb").read_text() for name in ("applier", "agent"))

    assert "(deny network*)" in applier
    assert re.findall(r"\(allow network\*[^\n]*", applier) == [
        "(allow network* (local unix-socket))",
        "(allow network* (remote unix-socket))",
    ]
    assert "(deny network" not in agent
    assert "(deny process-exec*)" in agent
    for text, places_to_write in (
        (applier, ["/Library/Preferences", str(places.AGENT_STATE.parent), "/private/var/run/shieldwall"]),
        (agent, [str(places.AGENT_STATE)]),
    ):
        assert "(deny file-write*)" in text
        written = text[text.index("(allow file-write*") :].split("\n\n")[0]
        assert re.findall(r'"([^"]+)"', written) == [*places_to_write, "/private/var/folders", "/dev/null"]
    for text in (applier, agent):
        assert text.count("(") == text.count(")")


@pytest.mark.parametrize("script", ["scripts/preinstall", "scripts/postinstall", "uninstall"])
def test_a_script_is_a_script_and_may_be_run(script: str) -> None:
    subprocess.run(["sh", "-n", str(PACKAGE / script)], check=True, timeout=10)

    assert os.access(PACKAGE / script, os.X_OK)


def test_scripts_speak_of_the_places_that_the_code_knows() -> None:
    uninstall, postinstall = (PACKAGE / "uninstall").read_text(), (PACKAGE / "scripts/postinstall").read_text()

    for text in (uninstall, postinstall):
        assert f"user={places.AGENT_USER}\n" in text
        assert f"support='{places.AGENT_STATE.parent}'\n" in text
    assert places.APPLIER_SOCKET.parent == Path("/var/run/shieldwall")
    assert "/var/run/shieldwall" in uninstall
    assert '"/private/var/run/shieldwall"' in (PACKAGE / "sandbox/applier.sb").read_text()


@pytest.fixture
def payload(tmp_path: Path) -> Path:
    made = tmp_path / "payload"
    for name in ("agent", "server", "testing", "simulator"):
        (made / "shieldwall" / name).mkdir(parents=True)
    for name in ("other.dist-info", "other/__pycache__"):
        (made / name).mkdir(parents=True)
    for name in ("agent/a.py", "server/b.py", "testing/c.py", "simulator/d.py"):
        (made / "shieldwall" / name).write_text("")
    for name in ("other/d.pyi",):
        (made / name).write_text("")
    (made / "other.dist-info/RECORD").write_text("a machine's own")
    (made / "other.dist-info/METADATA").write_text("Name: other")
    return made


def build(*words: str, architecture: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1767225600"}
    return subprocess.run(
        [str(BUILD), "--architecture", architecture, *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment,
    )


@pytest.mark.skipif(shutil.which("pkgbuild") is not None, reason="a Mac builds the package as well")
def test_the_layout_is_the_same_each_time_and_holds_nothing_of_the_server(payload: Path, tmp_path: Path) -> None:
    layout = REPOSITORY / "build/macos-package/x86_64"
    runtime = tmp_path / "runtime"
    (runtime / "bin").mkdir(parents=True)
    (runtime / "bin/python3").write_text("a python")

    first = build("--payload", str(payload), "--runtime", str(runtime), architecture="x86_64")
    manifest = (layout / "manifest").read_text()
    second = build("--payload", str(payload), "--runtime", str(runtime), architecture="x86_64")

    assert (first.returncode, second.returncode) == (0, 0), first.stderr
    assert "are on a Mac alone" in first.stdout
    assert (layout / "manifest").read_text() == manifest
    names = {line.rpartition(" root/")[2] for line in manifest.splitlines()}
    assert any(name.endswith("site-packages/shieldwall/agent/a.py") for name in names)
    assert not any(f"shieldwall/{part}" in name for name in names for part in ("server", "testing", "simulator"))
    assert not any(name.endswith((".pyi", "/RECORD")) for name in names)
    assert f"link {PROGRAMS}/python/bin/python3 root{PROGRAMS}/bin/python3" in manifest
    assert f"link {PROGRAMS}/bin/shieldwall-agent root/usr/local/bin/shieldwall-agent" in manifest
    for directory in ("Library/LaunchDaemons", "Library/Shieldwall/launchd"):
        for name in JOBS.values():
            assert (layout / f"root/{directory}/{name}.plist").read_bytes() == (
                PACKAGE / f"launchd/{name}.plist"
            ).read_bytes()
    assert (layout / f"root{PROGRAMS}/pyvenv.cfg").read_text().startswith(f"home = {PROGRAMS}/python/bin\n")
    assert f"python={PROGRAMS}/python/bin/python3\n" in (layout / "scripts/preinstall").read_text()
    described = ET.parse(layout / "distribution.xml").getroot()  # noqa: S314 - a file of our own
    options = described.find("options")
    references = [each for each in described.iter("pkg-ref") if each.text]
    assert options is not None
    assert options.get("hostArchitectures") == "x86_64"
    assert [(each.get("version"), each.text) for each in references] == [
        (__version__, "shieldwall-agent-component.pkg")
    ]


def test_there_are_no_other_macs() -> None:
    refused = build(architecture="ppc")

    assert (refused.returncode, refused.stderr) == (2, "There is no Mac of ppc.\n")
