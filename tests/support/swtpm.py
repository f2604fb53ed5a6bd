"""A TPM 2.0 in software, as a process of its own behind a Unix socket; with a maker that certifies it, when asked."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from shieldwall.agent.host.tpm import Tpm


@dataclass(frozen=True)
class EmulatedTpm:
    """A running TPM. ``maker`` holds the certificates of the maker's authorities, root first."""

    path: Path
    maker: tuple[str, ...] = ()

    def open(self) -> Tpm:
        return Tpm(self.path)


@contextmanager
def running_tpm(*, endorsed: bool = False, socket: Path | None = None) -> Iterator[EmulatedTpm]:
    """Make and start a new TPM; it and all its keys are gone in the end."""
    # Not under pytest's own directory: the path of a Unix socket may not be long.
    with tempfile.TemporaryDirectory(prefix="swtpm-") as name:
        directory = Path(name)
        state = directory / "state"
        state.mkdir()
        maker = _certified(directory, state) if endorsed else ()
        path = socket or directory / "tpm"
        process = subprocess.Popen(
            [
                *("swtpm", "socket", "--tpm2", "--tpmstate", f"dir={state}", "--flags", "startup-clear"),
                *("--server", f"type=unixio,path={path}", "--ctrl", f"type=unixio,path={directory / 'control'}"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            deadline = time.monotonic() + 10
            while not path.exists():
                assert process.poll() is None, "swtpm ended"
                assert time.monotonic() < deadline, "swtpm does not start"
                time.sleep(0.01)
            yield EmulatedTpm(path=path, maker=maker)
        finally:
            process.terminate()
            process.wait(10)


def _certified(directory: Path, state: Path) -> tuple[str, ...]:
    """Let a maker of our own manufacture the TPM, with certificates in it as real makers put them there."""
    authority = directory / "maker"
    authority.mkdir()
    (directory / "maker.conf").write_text(
        f"statedir = {authority}\nsigningkey = {authority}/key.pem\n"
        f"issuercert = {authority}/issuer.pem\ncertserial = {authority}/serial\n"
    )
    (directory / "maker.options").write_text(
        "--platform-manufacturer Shieldwall\n--platform-version 1\n--platform-model test\n"
    )
    (directory / "setup.conf").write_text(
        f"create_certs_tool = {shutil.which('swtpm_localca')}\ncreate_certs_tool_config = {directory}/maker.conf\n"
        f"create_certs_tool_options = {directory}/maker.options\nactive_pcr_banks = sha256\n"
    )
    subprocess.run(
        ["swtpm_setup", "--tpm2", "--tpmstate", state, "--create-ek-cert", "--config", directory / "setup.conf"],
        check=True,
        capture_output=True,
    )
    return (authority / "swtpm-localca-rootca-cert.pem").read_text(), (authority / "issuer.pem").read_text()
