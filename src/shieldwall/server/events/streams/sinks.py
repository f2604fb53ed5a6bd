"""Where the audit stream goes: files and syslog receivers. A sink takes a batch as a whole, or raises."""

from __future__ import annotations

import asyncio
import fcntl
import os
import ssl
import struct
import termios
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from shieldwall.contract import strict_json
from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.events.payloads import payload
from shieldwall.server.events.streams.syslog import MOST_DATAGRAM_BYTES, octet_counted, syslog_message
from shieldwall.server.storage.engine.outbox import Event

CONNECT_SECONDS: Final = 10.0
WRITE_SECONDS: Final = 30.0
_LOOK_AGAIN_SECONDS: Final = 0.01
_READ_AT_ONCE: Final = 4_096


class SinkFailedError(ShieldwallError):
    """A sink of the audit stream did not take a batch; it is offered again."""

    code = "sinkFailed"
    remedy = "See that the file can be written, or that the syslog receiver listens and trusts and is trusted."


class Sink(Protocol):
    """Takes events."""

    async def write(self, events: Sequence[Event]) -> None:
        """Take a batch for good. Raises: SinkFailedError."""

    async def close(self) -> None:
        """Let go of what is open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSink:
    """A file of JSON lines. It is opened for each batch, so that one that was rotated away is left in peace."""

    path: Path

    async def write(self, events: Sequence[Event]) -> None:
        """Append a batch and wait until it is on disk. Raises: SinkFailedError."""
        lines = b"".join(strict_json.encode(payload(event)) + b"\n" for event in events)
        try:
            await asyncio.to_thread(self._append, lines)
        except OSError as error:
            raise SinkFailedError(f"{self.path} cannot be written: {error.strerror or error}.") from error

    async def close(self) -> None:
        """Nothing is open between batches."""

    def _append(self, lines: bytes) -> None:
        is_new = not self.path.exists()
        descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "r+b", buffering=0) as file:
            end = file.seek(0, os.SEEK_END)
            if end and os.pread(file.fileno(), 1, end - 1) != b"\n":
                lines = b"\n" + lines  # somebody was killed within a line; its event comes again
            left = memoryview(lines)
            while left:
                left = left[file.write(left) :]
            os.fsync(file.fileno())
        if is_new:
            directory = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)


@dataclass(slots=True, kw_only=True)
class DatagramSink:
    """Syslog over UDP (RFC 5426): one message a datagram. Nobody says whether it arrived."""

    host: str
    port: int
    own_name: str
    _transport: asyncio.DatagramTransport | None = None

    async def write(self, events: Sequence[Event]) -> None:
        """Send a batch. Raises: SinkFailedError: The name cannot be resolved, or the network is down."""
        try:
            if self._transport is None:
                loop = asyncio.get_running_loop()
                async with asyncio.timeout(CONNECT_SECONDS):
                    self._transport, _ = await loop.create_datagram_endpoint(
                        asyncio.DatagramProtocol, remote_addr=(self.host, self.port)
                    )
            for event in events:
                self._transport.sendto(syslog_message(event, self.own_name, MOST_DATAGRAM_BYTES))
            await asyncio.sleep(0)
        except (OSError, TimeoutError) as error:
            await self.close()
            raise SinkFailedError(f"Nothing can be sent to {self.host}: {error}.") from error

    async def close(self) -> None:
        """Close the socket."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None


@dataclass(slots=True, kw_only=True)
class StreamSink:
    """Syslog over TCP (RFC 6587, octet counting) or TLS (RFC 5425).

    The receiver never says what it took, so a batch counts once the other machine has acknowledged its last byte and
    the connection still stands. What is lost inside the receiver after that, nobody can know.
    """

    host: str
    port: int
    own_name: str
    trust: Callable[[], ssl.SSLContext] | None = None
    """Makes what TLS needs; ``None`` is plain TCP."""
    _writer: asyncio.StreamWriter | None = field(default=None, repr=False)
    _watch: asyncio.Task[None] | None = field(default=None, repr=False)

    async def write(self, events: Sequence[Event]) -> None:
        """Send a batch and wait until it arrived. Raises: SinkFailedError."""
        try:
            writer = await self._connected()
            async with asyncio.timeout(WRITE_SECONDS):
                for event in events:
                    writer.write(octet_counted(syslog_message(event, self.own_name)))
                    await writer.drain()
                while _unacknowledged(writer):  # noqa: ASYNC110 - the system has no event for this
                    await asyncio.sleep(_LOOK_AGAIN_SECONDS)
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)  # a receiver that is going says so about now
            if writer.is_closing():
                raise ConnectionResetError("the receiver hung up")
        except (OSError, TimeoutError) as error:
            await self.close()
            cause = str(error) or "it took too long"
            raise SinkFailedError(f"{self.host}:{self.port} does not take the audit stream: {cause}.") from error

    async def close(self) -> None:
        """Close the connection."""
        writer, watch, self._writer, self._watch = self._writer, self._watch, None, None
        if watch is not None:
            watch.cancel()
        if writer is not None:
            writer.close()
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(1):
                    await writer.wait_closed()

    async def _connected(self) -> asyncio.StreamWriter:
        if self._writer is not None and not self._writer.is_closing():
            return self._writer
        await self.close()
        async with asyncio.timeout(CONNECT_SECONDS):
            context = None if self.trust is None else await asyncio.to_thread(self.trust)
            reader, self._writer = await asyncio.open_connection(
                self.host, self.port, ssl=context, server_hostname=self.host if context else None
            )
        self._watch = asyncio.create_task(_until_the_end(reader, self._writer))
        return self._writer


async def _until_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read what nobody asked for until the receiver hangs up, and then hang up too."""
    with suppress(OSError):
        while await reader.read(_READ_AT_ONCE):
            pass
    writer.close()


def _unacknowledged(writer: asyncio.StreamWriter) -> int:
    """Return how many bytes have not been acknowledged by the other machine (tcp(7), SIOCOUTQ), or not even sent."""
    if writer.is_closing():
        return 0
    waiting: int = writer.transport.get_write_buffer_size()
    (queued,) = struct.unpack("i", fcntl.ioctl(writer.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4)))
    return waiting + int(queued)
