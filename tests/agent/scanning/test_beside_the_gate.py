"""A scan on a device whose opens are held: it may open what nobody else may, finds it and moves it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.broker import guarded
from tests.support.private_mounts import in_private_mounts

from shieldwall.agent.scanning import policy

pytestmark = [pytest.mark.root, pytest.mark.clamav]


@in_private_mounts()
def test_a_scan_finds_and_moves_what_the_gate_denies_to_everybody_else(directory: Path) -> None:
    with guarded(directory) as system:
        bad = system.write("bad")
        host = system.clamd.host
        host.write_file(policy.FILE, policy.encode({policy.ENFORCEMENT_LEVEL: "real_time"}))
        assert not system.opens(bad)

        command = [sys.executable, "-I", "-m", "shieldwall.agent.scanning", "--root", str(host.root)]
        done = subprocess.run([*command, "paths", str(bad)], check=False, capture_output=True, text=True, timeout=60)

        assert (done.returncode, done.stderr) == (1, "")
        assert "1 moved to quarantine" in done.stdout
        assert not bad.exists()


@in_private_mounts()
def test_no_other_program_of_that_name_is_let_pass(directory: Path) -> None:
    # A clamd that is slow, as beside much other work, counts as down: then the gate lets pass, above all files of root.
    # Whether somebody is spared is another question, so here nobody passes for that reason.
    with guarded(directory, when_engine_is_down="deny") as system:
        bad = system.write("bad")
        os.chown(bad, 65534, 65534)
        script = f"open('/proc/self/comm', 'w').write('shieldwall-scan'); open({str(bad)!r}).read()"
        as_user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        bad.chmod(0o644)

        for prefix in (as_user, ["env"]):
            words = [*prefix, sys.executable if prefix[0] == "env" else "/usr/bin/python3", "-I", "-c", script]
            done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=30)
            if prefix[0] == "env":
                assert done.returncode == 0, done.stderr
            else:
                assert "Operation not permitted" in done.stderr
