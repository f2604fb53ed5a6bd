"""Making an onboarding package and everything that holds its secret, which is known this once: for every front door."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from shieldwall.contract.messages import Envelope
from shieldwall.contract.strict_json import encode
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.directory.acting import Acting
from shieldwall.server.inventory import packages
from shieldwall.server.inventory.packages import PackageDraft, ServerAddress
from shieldwall.server.storage.records import OnboardingPackageRecord
from shieldwall.trust.onboarding import open_package
from shieldwall.trust.onboarding_scripts import ScriptKind, make_script


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedOut:
    """A package that was made: what stays here, the file for the devices, and the scripts that carry it."""

    record: OnboardingPackageRecord
    envelope: Envelope
    scripts: Mapping[ScriptKind, str]


def hand_out_package(
    services: AdminServices, acting: Acting, draft: PackageDraft, kinds: Collection[ScriptKind]
) -> HandedOut:
    """Make a package that leads to this server, and keep it once all that holds its secret is there.

    Raises:
        InvalidPackageDraftError: The address is not one that a device would accept.
        ScriptPlatformError: A script is for a platform that the package does not let in.
    """
    roots = (services.settings.tls_authority.read_text(),)
    address = ServerAddress(urls=(services.settings.gateway_url,), tls_roots=roots)
    record, envelope = packages.make(acting, services.signer, draft, address)
    file = encode(envelope)
    opened = open_package(file, services.clock.now()) if kinds else None
    scripts = {} if opened is None else {kind: make_script(kind, opened, file) for kind in kinds}
    with services.database.write() as connection:
        packages.keep(connection, acting, record)
    return HandedOut(record=record, envelope=envelope, scripts=scripts)
