"""What must never be hidden on Linux."""

from __future__ import annotations

from typing import Final

from shieldwall.catalog.exclusions.landscape import Landscape, with_other_names

INTERPRETERS: Final = (
    *("ash", "awk", "bash", "bun", "busybox", "csh", "dash", "deno", "dotnet", "env", "expect", "fish", "gawk"),
    *("guile", "java", "ksh", "ld-linux-aarch64.so", "ld-linux-x86-64.so", "lua", "luajit", "mawk", "mksh"),
    *("mono", "node", "nodejs", "perl", "php", "pwsh", "pypy", "python", "rbash", "ruby", "sh"),
    *("tclsh", "tcsh", "zsh"),
)
PROGRAM_FOLDERS: Final = ("/bin", "/sbin", "/usr/bin", "/usr/local/bin", "/usr/local/sbin", "/usr/sbin")
LOADERS: Final = (
    *("ld-linux.so", "ld-linux-aarch64.so", "ld-linux-armhf.so", "ld-linux-x86-64.so"),
    *("ld-musl-aarch64.so", "ld-musl-x86_64.so"),
)
"""What runs any program that is named to it."""
_LINKS: Final = {"/bin": "/usr/bin", "/lib": "/usr/lib", "/sbin": "/usr/sbin", "/var/run": "/run"}
"""Where today's distributions put links, and where these lead."""
SCRIPTS: Final = frozenset({"bash", "jar", "php", "pl", "ps1", "py", "rb", "sh", "zsh"})
"""Extensions of what an interpreter runs."""

LINUX: Final = Landscape(
    system=("/usr",),
    agent=with_other_names(
        (
            "/etc/shieldwall",
            "/opt/shieldwall",
            "/run/shieldwall",
            "/usr/bin/shieldwall",
            "/usr/bin/shieldwall-agent",
            "/usr/lib/shieldwall",
            "/usr/local/bin/shieldwall",
            "/usr/local/bin/shieldwall-agent",
            "/var/lib/shieldwall",
        ),
        _LINKS,
    ),
    engine=with_other_names(
        (
            "/etc/clamav",
            "/etc/opt/microsoft/mdatp",
            "/opt/microsoft/mdatp",
            "/run/clamav",
            "/usr/bin/clamdscan",
            "/usr/bin/clamscan",
            "/usr/bin/freshclam",
            "/usr/bin/mdatp",
            "/usr/sbin/clamd",
            "/usr/sbin/clamonacc",
            "/var/lib/clamav",
            "/var/opt/microsoft/mdatp",
        ),
        _LINKS,
    ),
    broad=(
        "/boot",
        "/dev",
        "/dev/shm",  # noqa: S108 - refused as an exclusion, not used
        "/home",
        "/lib",
        "/lib64",
        "/media",
        "/mnt",
        "/root",
        "/tmp",  # noqa: S108 - as above
        "/usr/lib",
        "/usr/lib64",
        "/usr/local",
        "/var/tmp",  # noqa: S108 - as above
    ),
    volumes=("/media/", "/media//", "/mnt/", "/run/media", "/run/media/", "/run/media//"),
    program_folders=PROGRAM_FOLDERS,
    interpreters=INTERPRETERS,
    loaders=LOADERS,
    engine_programs=("clamd", "clamdscan", "clamonacc", "clamscan", "freshclam", "mdatp", "wdavdaemon"),
    program_extensions=SCRIPTS | {"appimage", "elf", "ko", "run", "so"},
)
