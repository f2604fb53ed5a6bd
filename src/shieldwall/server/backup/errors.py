"""What can go wrong with a backup, in words that say what to do."""

from __future__ import annotations

from shieldwall.contract.errors import ShieldwallError


class BadBackupError(ShieldwallError):
    """The file is no backup of a server, or not whole."""

    code = "badBackup"
    remedy = "Use another backup. A file that was cut short or changed is never restored in part."


class BackupFileError(ShieldwallError):
    """The file of a backup, or the place that it is restored to, cannot be read or written."""

    code = "backupFile"
    remedy = "Name a file that is there, or a directory that you may write to and that has room; then try again."


class RestoreTargetError(ShieldwallError):
    """There is something already where the server should be restored to."""

    code = "restoreTarget"
    remedy = "Restore into an empty directory, with PostgreSQL into an empty database; nothing is ever overwritten."


class DatabaseToolError(ShieldwallError):
    """PostgreSQL's own program for copies is missing or failed."""

    code = "databaseTool"
    remedy = "Install the PostgreSQL client of the server's version (Debian: postgresql-client), and see what it said."
