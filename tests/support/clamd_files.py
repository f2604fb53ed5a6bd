"""Strategies for ``clamd.conf`` as others write it: comments, odd white space, any bytes, any line ends."""

from __future__ import annotations

from hypothesis import strategies as st

from shieldwall.agent.providers.clamav.configuration import OFF

_USUAL = st.sampled_from(
    [
        b"# written by hand",
        b"#ScanArchive false",
        b"ScanArchive false",
        b"MaxThreads 12",
        b"\tMaxThreads\t7  ",
        b"  ExcludePath ^/proc/",
        b"ExcludePath ^/sys/\r",
        b"#ExcludePath ^/dev/",
        b"LocalSocket /run/clamav/clamd.ctl",
        b"DatabaseDirectory /var/lib/clamav",
        b"DatabaseDirectory /srv/elsewhere",
        b"OfficialDatabaseOnly yes",
        b"DetectPUA true",
        OFF + b"ExcludePath ^/once-turned-off/",
        OFF,
        b"",
    ]
)
_ANY = st.binary(max_size=12).filter(lambda line: b"\n" not in line)


@st.composite
def clamd_files(draw: st.DrawFn) -> bytes:
    """Draw a configuration that holds no block of ours; its last line may lack its end."""
    lines = draw(st.lists(_USUAL | _ANY, max_size=8))
    return b"\n".join(lines) + draw(st.sampled_from([b"", b"\n", b"\n\n"]))
