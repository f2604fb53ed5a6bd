"""``server push init``: keys for a message broker, its certificate, and the file that it is started with.

NATS's own form of configuration: https://docs.nats.io/running-a-nats-service/configuration. It trusts our operator's
word about who may do what (``tokens``), so it holds no list of devices, however many there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from shieldwall.contract import strict_json
from shieldwall.contract.clock import Clock
from shieldwall.contract.errors import InvalidJsonError, ShieldwallError
from shieldwall.server.configuration.settings import FILE, ServerSettings, store, write_private
from shieldwall.server.configuration.settings_file import PushSettings, SettingsFile
from shieldwall.server.push import key_files, tokens
from shieldwall.trust.certificates import LocalAuthority
from shieldwall.trust.nkeys import KeyUse, name_of

DEFAULT_PORT: Final = 4222
CONFIGURATION: Final = "nats.conf"
_CONFIGURATION: Final = """\
# Made by `shieldwall server push init`. Start: nats-server --config {place}/nats.conf
listen: "0.0.0.0:{port}"

# Who may listen to what, and who may wake, stands in tokens that this operator vouches for.
operator: {operator}
resolver: MEMORY
resolver_preload: {{
  {account_name}: {account}
}}

tls {{
  cert_file: "{place}/server.pem"
  key_file: "{place}/server.key"
  timeout: 10
}}

# Nothing passes but empty messages.
max_payload: 64
max_control_line: 8192
max_pending: 65536
# A device at rest sends a few bytes every four minutes.
ping_interval: "4m"
max_connections: 1000000
"""


class InvalidBrokerError(ShieldwallError):
    """The broker cannot be reached like that."""

    code = "invalidBroker"
    remedy = "Give its address as tls://HOST:PORT, and how many devices it wakes a second as 1 to 100,000."


def broker_at(url: str, per_second: int) -> PushSettings:
    """Return the settings of a broker. Raises: InvalidBrokerError."""
    try:
        return strict_json.decode(strict_json.encode({"url": url, "perSecond": per_second}), PushSettings)
    except InvalidJsonError:
        raise InvalidBrokerError(f"A broker at {url[:128]!r} that wakes {per_second} a second is none.") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetUpPush:
    """Make what a broker needs."""

    clock: Clock

    def __call__(self, settings: ServerSettings, push: PushSettings, out: Path) -> Path:
        """Write a broker's directory to ``out``, note the broker in ``server.json``, and return its configuration.

        Keys that are there stay; a certificate is made anew, by the local authority that devices trust already.
        """
        keys = key_files.make(settings.push_keys)
        now = self.clock.now()
        out.mkdir(mode=0o700, parents=True, exist_ok=True)
        authority = LocalAuthority.from_pem(
            settings.tls_authority_key.read_bytes(), settings.tls_authority.read_bytes()
        )
        host, port = _place_of(push)
        chain, key = authority.issue_server([host], now)
        write_private(out / "server.pem", chain.encode("ascii"))
        write_private(out / "server.key", key.encode("ascii"))
        write_private(
            out / CONFIGURATION,
            _CONFIGURATION.format(
                place=out.resolve(),
                port=port,
                operator=tokens.operator_token(keys.operator, now),
                account_name=name_of(KeyUse.ACCOUNT, keys.account.public_key()),
                account=tokens.account_token(keys.operator, keys.account, now),
            ).encode("ascii"),
        )
        file = strict_json.decode((settings.data / FILE).read_bytes(), SettingsFile)
        store(settings.data, msgspec.structs.replace(file, push=push))
        return out / CONFIGURATION


def _place_of(push: PushSettings) -> tuple[str, int]:
    parts = urlsplit(push.url)
    assert parts.hostname is not None, "a broker's address has a host"
    return parts.hostname, parts.port or DEFAULT_PORT
