"""The signer on a disk that is full: it signs nothing that it would have to remember, and it does not end."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.private_namespaces import mount, privately
from tests.support.trust import TENANT, HandClock, policy_of

from shieldwall.contract import strict_json
from shieldwall.server.signer.client import SignerClient
from shieldwall.server.signer.errors import LedgerFullError
from shieldwall.server.signer.keys import create_keys
from shieldwall.server.signer.ports import Signer

MOST_REVISIONS = 20_000


@pytest.mark.root
def test_a_full_disk_is_no_reason_to_end(tmp_path: Path) -> None:
    privately(lambda: _on_a_small_disk(tmp_path))


def _on_a_small_disk(data: Path) -> None:
    mount("-t", "tmpfs", "-o", "size=1m,mode=700", "small", str(data))
    create_keys(data / "keys", TENANT, HandClock())
    command = [sys.executable, "-m", "shieldwall.server.signer", str(data)]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process,
        SignerClient(data) as client,
    ):
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            signer = client.for_tenant(TENANT)
            signer.sign_policy(strict_json.encode(policy_of(signer)))
            _fill(data / "filler")
            with pytest.raises(LedgerFullError):
                _sign_on(signer)
            signer.sign_time("0" * 32)  # what needs no memory is signed all the while
            (data / "filler").unlink()

            signer.sign_policy(strict_json.encode(policy_of(signer, revision=MOST_REVISIONS)))

            assert process.poll() is None
        finally:
            process.kill()


def _sign_on(signer: Signer) -> None:
    for revision in range(2, MOST_REVISIONS):
        signer.sign_policy(strict_json.encode(policy_of(signer, revision=revision)))


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(1024)):
            pass
