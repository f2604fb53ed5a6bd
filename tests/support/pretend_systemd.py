"""A systemctl that notes what it is asked, for hosts whose files are under a root of their own."""

from __future__ import annotations

from pathlib import Path

from tests.support.namespaces import Namespace, NamespaceHost

_SYSTEMCTL = """#!/bin/sh
echo "$@" >> {directory}/asked
test "$1" != "$(cat {directory}/refused 2>/dev/null)" || exit 1
case "$1" in
is-active) test -e {directory}/active ;;
start|restart) test ! -e {directory}/broken && touch {directory}/active ;;
stop) rm -f {directory}/active ;;
show) cat {directory}/wanted ;;
esac
"""


class SystemdHost(NamespaceHost):
    """A host that says it runs systemd."""

    def __init__(self, root: Path, namespace: Namespace) -> None:
        super().__init__(root, namespace)
        self._directory = root / "pretend"
        self._directory.mkdir(parents=True)
        (root / "run/systemd/system").mkdir(parents=True)
        program = self._directory / "systemctl"
        program.write_text(_SYSTEMCTL.format(directory=self._directory))
        program.chmod(0o755)
        self._program_directories = (self._directory, *self._program_directories)
        self.wanted("")

    @property
    def asked(self) -> list[str]:
        """What systemctl was asked since the last look."""
        path = self._directory / "asked"
        words = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return words

    def wanted(self, targets: str) -> None:
        """Say which targets want any unit."""
        (self._directory / "wanted").write_text(f"{targets}\n")

    def refuse(self, verb: str) -> None:
        """Let one verb fail, whatever it is about; an empty one lets all succeed again."""
        (self._directory / "refused").write_text(verb)

    def fail(self) -> None:
        """Let units die and not start again."""
        (self._directory / "broken").touch()
        self.die()

    def die(self) -> None:
        """Let units die."""
        (self._directory / "active").unlink(missing_ok=True)
