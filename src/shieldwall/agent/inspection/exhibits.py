"""Parts of a bundle that root alone can read: our part of the engines' configuration, the journal of our services.

What others wrote into those files stays where it is, and so does what the applier remembers of the time before it: both
may hold what is nobody's business. Everything passes the redaction before it leaves the applier.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import Final

import msgspec

from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.kernel_files import is_kernel_file
from shieldwall.agent.host.ports import Host
from shieldwall.agent.inspection import redaction
from shieldwall.agent.inspection.model import LONGEST, LONGEST_EXHIBIT, MOST_EXHIBITS
from shieldwall.agent.providers import marked_block
from shieldwall.agent.providers.base import Provider
from shieldwall.contract.errors import ShieldwallError

MOST_CHARACTERS: Final = 2 * 1024 * 1024
"""Of all parts together; so much fits into one frame, however it is written."""
JOURNAL_LINES: Final = 2000
_SECONDS: Final = 20.0
_OURS: Final = "shieldwall"
_MANAGED_DOCUMENTS: Final = frozenset({"mdatp_managed.json"})
_PROGRAMS: Final = (
    ("systemd", ("systemctl", "--version")),
    ("nft", ("nft", "--version")),
    ("clamd", ("clamd", "--version")),
    ("freshclam", ("freshclam", "--version")),
    ("auditctl", ("auditctl", "-v")),
)


def configuration(host: Host, providers: Sequence[Provider], known: Iterable[str]) -> dict[str, str]:
    """Return our part of each file of each product."""
    found: dict[str, str] = {}
    for provider in providers:
        values: list[str] = []
        for path in provider.files():
            with contextlib.suppress(ShieldwallError):
                content = host.read_file(path)
                if content is None:
                    continue
                if is_kernel_file(path):
                    values.append(f"{path} = {content.decode(errors='replace').strip()}\n")
                elif (ours := _ours(path, content)) is not None:
                    found[f"engines/{provider.name}{path}"[:LONGEST]] = _plain(ours, known)
        if values:
            found[f"engines/{provider.name}/kernel.txt"] = _plain("".join(values).encode(), known)
    return found


def journals(host: Host, units: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """Return what services of ours said last. Raises: HostError."""
    journalctl = host.find_program("journalctl")
    if journalctl is None:
        return {}
    found = {}
    for unit in units:
        words = ("--no-pager", "--quiet", "--no-hostname", "--output=short-iso", f"--lines={JOURNAL_LINES}")
        done = host.run([journalctl, f"--unit={unit}", *words], timeout_seconds=_SECONDS)
        if done.stdout:
            found[f"journal/{unit}.txt"] = _plain(done.stdout[-4 * LONGEST_EXHIBIT :], known, last=True)
    return found


def versions(host: Host) -> dict[str, str]:
    """Return which versions of other people's programs are here, as each of them says."""
    said: dict[str, str] = {}
    for name, (program, *words) in _PROGRAMS:
        path = host.find_program(program)
        if path is None:
            continue
        try:
            done = host.run([path, *words], timeout_seconds=_SECONDS)
        except HostError as error:
            said[name] = error.cause[:LONGEST]
            continue
        lines = (done.stdout or done.stderr).decode(errors="replace").splitlines()
        said[name] = lines[0][:LONGEST] if lines else ""
    return {"programs.json": _plain(msgspec.json.format(msgspec.json.encode(said), indent=2), ())}


def fitting(parts: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Keep what fits, in order; a part that does not fit is named, so that nobody believes it was empty."""
    kept: dict[str, str] = {}
    size = 0
    for name, content in parts:
        if len(kept) >= MOST_EXHIBITS - 1:
            break
        written = len(msgspec.json.encode(content))
        if size + written > MOST_CHARACTERS:
            content, written = "(left out: the bundle is full)\n", 64  # noqa: PLW2901 - what stands for it
        kept[name] = content
        size += written
    return kept


def _ours(path: PurePosixPath, content: bytes) -> bytes | None:
    if marked_block.is_managed(content):
        lines = marked_block.block(content)
        return b"(our block lost its beginning or its end)\n" if lines is None else b"\n".join(lines) + b"\n"
    whole = _OURS in str(path) or path.name in _MANAGED_DOCUMENTS
    return content if whole else None


def _plain(content: bytes, known: Iterable[str], *, last: bool = False) -> str:
    """Decode, redact, and cut: of a journal the end counts, of a file the beginning."""
    text = redaction.text(content.decode(errors="replace"), known=known)
    text = "".join(each if each.isprintable() or each in "\n\t" else "\N{REPLACEMENT CHARACTER}" for each in text)
    return text[-LONGEST_EXHIBIT:] if last else text[:LONGEST_EXHIBIT]
