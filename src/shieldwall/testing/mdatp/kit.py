"""Putting the stand-in on a machine, and telling it how to misbehave."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from shieldwall.testing.mdatp.product import BEHAVIOUR, Platform, Product

_SOURCES: Final = Path(__file__).parents[3]
_SCRIPT: Final = """\
#!{python} -I
import sys
from pathlib import Path

sys.path.insert(0, {sources!r})
from shieldwall.testing.mdatp.program import main

sys.exit(main(sys.argv[1:], Path(__file__).resolve().parents[{depth}], {platform!r}))
"""


@dataclass(frozen=True, kw_only=True)
class PretendMdatp:
    """Defender on the machine whose ``/`` is ``root``.

    The program finds its files by where it lies itself, so a machine that is moved takes it along.
    """

    root: Path
    platform: Platform = "linux"

    @property
    def product(self) -> Product:
        """What the program knows: which values are in effect."""
        return Product(root=self.root, platform=self.platform)

    def install(self, directory: str = "bin") -> Path:
        """Put ``mdatp`` into a directory below the root, which is made; returns where it lies."""
        program = self.root / directory / "mdatp"
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(
            _SCRIPT.format(
                python=sys.executable,
                sources=str(_SOURCES),
                depth=len(Path(directory).parts),
                platform=self.platform,
            )
        )
        program.chmod(0o755)
        return program

    def behave(self, **how: Any) -> None:
        """Say what goes wrong from now on; nothing does when nothing is said.

        ``failDaemon``: the daemon cannot be reached, every command fails. ``slowSeconds``: answers come late.
        ``badJson``: ``health`` prints half a document. ``noticeSeconds``: a file is heeded when it is so old.
        ``portalTamperProtection``: the level that the portal asks for.
        """
        (self.root / BEHAVIOUR).write_text(json.dumps(how))
