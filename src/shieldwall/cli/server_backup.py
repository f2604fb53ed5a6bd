"""``shieldwall server backup`` and ``restore``: a whole server in one file (on the server's own console)."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Final

import typer

from shieldwall.cli.presentation import speaking_plainly
from shieldwall.cli.server_tenants import DataOption

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_STREAM: Final = Path("-")
_OWNER_ALONE: Final = 0o077


def backup(
    data: DataOption,
    out: Annotated[Path, typer.Option("--out", help="File for the backup, .gz to compress it; - for standard output.")],
) -> None:
    """Copy a whole server into one file while it runs: database, keys, the signer's memory, certificates, settings.

    The file holds every key: whoever has it is the server. Encrypt it.

    Examples:
      shieldwall server backup --data /var/lib/shieldwall --out /backup/shieldwall.tar.gz

      shieldwall server backup --data /var/lib/shieldwall --out - | age --recipient age1… > shieldwall.tar.age
    """
    from shieldwall.server.backup.taking import TakeBackup  # noqa: PLC0415 - as above
    from shieldwall.server.configuration import settings  # noqa: PLC0415 - slow to import, and only needed here
    from shieldwall.server.observing import upkeep  # noqa: PLC0415 - slow to import, and only needed here
    from shieldwall.server.system import SystemClock  # noqa: PLC0415 - as above

    os.umask(_OWNER_ALONE)
    with speaking_plainly("back up the server"):
        found = settings.load(data)
        with upkeep.noted(found.run, upkeep.Upkeep.BACKUP), _showing() as shown, _written(out) as file:
            room = Path(tempfile.gettempdir()) if out == _STREAM else out.absolute().parent
            take = TakeBackup(clock=SystemClock(), progress=shown.tell)
            contents = take(found, file, room=room, compressed=out.suffix in {".gz", ".tgz"})
        if out != _STREAM:
            size = out.stat().st_size / 1_000_000
            typer.echo(f"{len(contents.files)} files, {size:.1f} MB, of {contents.taken_at} are in {out}.")
            typer.echo("The file holds every key of the server. Encrypt it, and keep it somewhere else.")


def restore(
    source: Annotated[Path, typer.Argument(metavar="BACKUP", help="The backup; - for standard input.")],
    data: DataOption,
    database: Annotated[
        str | None, typer.Option("--database", help="URL of an empty PostgreSQL database, where it is another one now.")
    ] = None,
) -> None:
    """Bring a server back from a backup, into an empty directory. Every device stays onboarded that the backup knows.

    Examples:
      shieldwall server restore /backup/shieldwall.tar.gz --data /var/lib/shieldwall

      age --decrypt shieldwall.tar.age | shieldwall server restore - --data /var/lib/shieldwall
    """
    from shieldwall.server.backup.restoring import Restore  # noqa: PLC0415 - slow to import, and only needed here

    os.umask(_OWNER_ALONE)
    with speaking_plainly("restore the server"):
        with _showing() as shown, _read(source) as file:
            restored = Restore(tell=lambda step: typer.echo(f"{step} …", err=True), progress=shown.tell)(
                file, data, database=database
            )
        typer.echo(f"The server of {restored.contents.taken_at} is back, in {data}.")
        for tenant, incarnation in restored.incarnations.items():
            typer.echo(f"Tenant {tenant} begins incarnation {incarnation}.")
        typer.echo("Devices that were onboarded after that moment have to be onboarded again.")
        typer.echo(f"Back up {restored.settings.keys} again: the incarnation in it is new.")
        typer.echo(f"Next: shieldwall server run --data {data}")


class _Shown:
    """Bars on standard error, one for each part."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def tell(self, what: str, done: int, total: int) -> None:
        """Show how far a part is; small ones are done before anybody sees them."""
        if total > 1_000 and what not in self._tasks:
            self._tasks[what] = self._bars.add_task(what)
        if what in self._tasks:
            self._bars.update(self._tasks[what], completed=done, total=total)


@contextmanager
def _showing() -> Iterator[_Shown]:
    from rich.console import Console  # noqa: PLC0415 - slow to import, and only needed here
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415 - as above

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal) as bars:
        yield _Shown(bars)


@contextmanager
def _written(out: Path) -> Iterator[BinaryIO]:
    """Give a file that is there as a whole or not at all; standard output as it is."""
    if out == _STREAM:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    from shieldwall.server.backup.errors import BackupFileError  # noqa: PLC0415 - loads a part of the server
    from shieldwall.server.signer.key_files import sync_directory  # noqa: PLC0415 - as above

    beside = out.with_name(f".{out.name}.part")
    try:
        with beside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(out)
        sync_directory(out.absolute().parent)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise BackupFileError(f"{out} cannot be written: {error.strerror}.") from None
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


@contextmanager
def _read(source: Path) -> Iterator[BinaryIO]:
    if source == _STREAM:
        yield sys.stdin.buffer
        return
    from shieldwall.server.backup.errors import BackupFileError  # noqa: PLC0415 - loads a part of the server

    try:
        file = source.open("rb")
    except OSError as error:
        raise BackupFileError(f"{source} cannot be read: {error.strerror}.") from None
    with file:
        yield file
