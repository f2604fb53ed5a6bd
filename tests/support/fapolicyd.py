"""The real fapolicyd in private namespaces, started and stopped by a stand-in for systemctl; never over the real ``/``.

It watches nothing but file systems in memory, and there are none but those that the test made.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

from tests.support.private_namespaces import mount

from shieldwall.agent.host.local import LocalHost

COVERED: Final = (
    *("/run", "/home", "/etc/systemd/system", "/etc/shieldwall", "/var/lib/shieldwall-applier", "/etc/fapolicyd"),
    "/var/lib/fapolicyd",
)
_SYSTEMCTL: Final = """\
#!/bin/sh
pid=$(cat /run/fapolicyd-test.pid 2>/dev/null)
stop() { [ -z "$pid" ] || { kill "$pid"; while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done; }
         rm -f /run/fapolicyd-test.pid; }
case "$1" in
    is-active) [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null ;;
    stop) stop ;;
    restart)
        stop
        fagenrules >/dev/null 2>&1
        : >/var/lib/fapolicyd/log # or what the one before said would be taken for the word of this one
        fapolicyd --debug-deny >/var/lib/fapolicyd/log 2>&1 &
        echo $! >/run/fapolicyd-test.pid
        for _ in $(seq 100); do
            grep -q 'Starting to listen' /var/lib/fapolicyd/log && exit 0
            sleep 0.1
        done
        tail -5 /var/lib/fapolicyd/log >&2
        exit 1 ;;
esac
"""


def machine_with_fapolicyd(*, enabled_by_others: bool = False) -> LocalHost:
    """Cover what would be touched, configure fapolicyd for here, and return the machine; only inside ``privately``."""
    shipped = Path("/etc/fapolicyd/fapolicyd.conf").read_text()
    own = {"uid": "root", "gid": "root", "watch_fs": "tmpfs", "trust": "file", "permissive": "0"}
    lines = [line for line in shipped.splitlines() if line.partition("=")[0].strip() not in own]
    for place in COVERED:
        mount("-t", "tmpfs", "-o", "mode=755", "cover", place)
    for name in ("rules.d", "trust.d"):
        (Path("/etc/fapolicyd") / name).mkdir()
    settings = [*lines, *(f"{name} = {value}" for name, value in own.items())]
    Path("/etc/fapolicyd/fapolicyd.conf").write_text("\n".join(settings) + "\n")
    Path("/etc/fapolicyd/fapolicyd.trust").write_text("")
    for name in ("/run/systemd/system", "/run/fapolicyd"):  # the latter by tmpfiles.d otherwise
        Path(name).mkdir(parents=True)
    if enabled_by_others:
        Path("/etc/systemd/system/multi-user.target.wants").mkdir()
        Path("/etc/systemd/system/multi-user.target.wants/fapolicyd.service").write_text("[Unit]\n")
    programs = Path("/run/programs")
    programs.mkdir()
    (programs / "systemctl").write_text(_SYSTEMCTL)
    (programs / "systemctl").chmod(0o755)
    return LocalHost(Path("/"), program_directories=[programs, Path("/usr/bin"), Path("/usr/sbin")])


def stop() -> None:
    subprocess.run(["/run/programs/systemctl", "stop"], check=False)


def stand_in(program: str, place: str) -> None:
    """Let a program of the machine be, for this process, a copy of another one on a file system that is watched."""
    copy = Path("/home") / f"of-{Path(place).name}"
    shutil.copy(Path(program).resolve(), copy)
    copy.chmod(0o755)
    mount("--bind", str(copy), place)
