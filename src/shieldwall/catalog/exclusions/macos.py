"""What must never be hidden on macOS, whose volumes do not tell upper from lower case."""

from __future__ import annotations

from typing import Final

from shieldwall.catalog.exclusions.landscape import Landscape
from shieldwall.catalog.exclusions.linux import INTERPRETERS, PROGRAM_FOLDERS, SCRIPTS

MACOS: Final = Landscape(
    system=("/usr", "/applications", "/library", "/users", "/private", "/private/var", "/private/etc"),
    agent=(
        "/applications/shieldwall.app",
        "/etc/shieldwall",
        "/library/application support/shieldwall",
        "/opt/shieldwall",
        "/private/etc/shieldwall",
        "/private/var/db/shieldwall",
        "/usr/local/bin/shieldwall",
        "/usr/local/bin/shieldwall-agent",
        "/var/db/shieldwall",
    ),
    engine=(
        "/applications/microsoft defender.app",
        "/library/application support/microsoft/defender",
        "/library/logs/microsoft/mdatp",
        "/usr/local/bin/mdatp",
    ),
    sealed=("/system",),
    broad=(
        "/.vol",
        "/bin",
        "/cores",
        "/library/application support",
        "/library/frameworks",
        "/library/launchagents",
        "/library/launchdaemons",
        "/opt/homebrew",
        "/opt/homebrew/bin",
        "/private/tmp",
        "/private/var/folders",
        "/private/var/root",
        "/private/var/tmp",
        "/tmp",  # noqa: S108 - as above
        "/users/shared",
        "/usr/lib",
        "/usr/local",
        "/var/folders",
        "/var/root",
        "/var/tmp",  # noqa: S108 - as above
        "/volumes",
    ),
    crowded=(
        "/users//library",
        "/users//library/application support",
        "/users//library/launchagents",
        "/users//downloads",
    ),
    volumes=("/volumes/", "/volumes//applications", "/volumes//library", "/volumes//system", "/volumes//users"),
    program_folders=(*PROGRAM_FOLDERS, "/opt/homebrew/bin"),
    interpreters=(*INTERPRETERS, "automator", "osacompile", "osascript", "swift", "xcrun"),
    engine_programs=("microsoft defender", "mdatp", "wdavdaemon", "wdavdaemon_enterprise", "wdavdaemon_unprivileged"),
    program_extensions=SCRIPTS | {"app", "bundle", "command", "dylib", "kext", "mpkg", "pkg", "scpt", "so", "workflow"},
    folds_case=True,
)
