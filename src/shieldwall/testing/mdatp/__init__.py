"""A stand-in for Microsoft Defender for Endpoint on Linux and macOS: its files, its program ``mdatp``, its outputs.

``PretendMdatp`` puts the program into a directory and says how it misbehaves. It keeps what is published and what is
assumed beside that (``docs/windows-macos.md``): precedence, exclusivity of the channels on macOS, refusals, outputs.
Everything here but ``guard`` needs the standard library alone, so that the program starts at once.
"""

from shieldwall.testing.mdatp.kit import PretendMdatp

__all__ = ["PretendMdatp"]
