"""The base install is what a device gets: the agent must not need anything of the server."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]

_WITHOUT_EXTRAS = """
import importlib, pkgutil, sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in FORBIDDEN:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

FORBIDDEN = set(sys.argv[1].split(","))
sys.meta_path.insert(0, Missing())
"""


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _WITHOUT_EXTRAS + code, ",".join(sorted(extras())), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def extras() -> set[str]:
    """Import names of everything that only the extras bring."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    names = {
        requirement.partition(">")[0].partition("[")[0]
        for extra in project["optional-dependencies"].values()
        for requirement in extra
    }
    return {
        {"argon2-cffi": "argon2", "google-re2": "re2"}.get(name, name.replace("-", "_"))
        for name in names - {"shieldwall"}
    }


def test_every_part_of_the_agent_imports_without_the_extras() -> None:
    done = run(
        """
import shieldwall.agent, shieldwall.cli.shieldwall_agent
for module in pkgutil.walk_packages(shieldwall.agent.__path__, "shieldwall.agent."):
    # Edges of Windows are imported by tests/platforms/test_imports.py, as Windows would.
    if not module.name.endswith(("__main__", "_edge")):
        importlib.import_module(module.name)
assert "shieldwall.server" not in sys.modules
"""
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("words", [["--help"], ["status", "--json", "--state", "/nonexistent"], ["doctor", "--help"]])
def test_the_agent_s_command_line_works_without_the_extras(words: list[str]) -> None:
    done = run(
        "sys.argv = ['shieldwall-agent', *sys.argv[2:]]\nfrom shieldwall.cli.shieldwall_agent import main; main()",
        *words,
    )

    assert "Traceback" not in done.stderr
    assert done.stdout or done.stderr


def test_the_applier_loads_nothing_that_reads_files_of_keys_or_certificates() -> None:
    code = """
import shieldwall.agent.applier_main
loaded = {"cryptography.hazmat.primitives.serialization", "cryptography.x509"} & set(sys.modules)
sys.exit(f"loaded {loaded}" if loaded else 0)
"""
    done = run(code)

    assert done.returncode == 0, done.stderr


def test_the_applier_and_the_providers_load_no_network() -> None:
    code = """
import shieldwall.agent.applier.engine, shieldwall.agent.providers.mdatp, shieldwall.agent.providers.nftables
loaded = {"http.client", "ssl", "urllib.request"} & set(sys.modules)
sys.exit(f"loaded {loaded}" if loaded else 0)
"""
    done = run(code)

    assert done.returncode == 0, done.stderr
