"""Write the parts of the documentation that follow from the code: ``python -m tests.support.generated_documentation``.

Tests compare what is on the pages with what this module writes, so the tables cannot go stale unnoticed.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Final

from tests.support.authorization_documentation import authorization_tables
from tests.support.catalog_documentation import catalog_tables
from tests.support.documentation import DOCS, table, write_generated
from tests.support.systemd_host import SystemdHost
from tests.support.windows_documentation import PAGE as WINDOWS
from tests.support.windows_documentation import windows_tables

import shieldwall
from shieldwall.agent.doctor.known import KNOWN
from shieldwall.agent.host.kernel_files import is_kernel_file
from shieldwall.agent.host.ports import Completed
from shieldwall.agent.providers.base import Provider, Support
from shieldwall.agent.providers.macos import MacosDefenderProvider
from shieldwall.agent.providers.registry import linux_providers
from shieldwall.catalog.loader import load
from shieldwall.catalog.model import Catalog, Merge, PolicyTemplate, SettingDefinition
from shieldwall.contract.enrollment import STATUSES, EnrollmentCode
from shieldwall.contract.enrollment_errors import errors_of_code
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import SettingId
from shieldwall.server.gateway.problems import STATUS_OF as DEVICE_STATUS
from shieldwall.server.graph.errors import STATUS_OF as API_STATUS

ERRORS: Final = DOCS / "errors.md"
PROVIDERS: Final = DOCS / "providers.md"
CATALOG: Final = DOCS / "catalog.md"
ENROLLMENT: Final = DOCS / "enrollment.md"
AUTHORIZATION: Final = DOCS / "authorization.md"
DOCTOR: Final = DOCS / "doctor.md"

_GROUPS: Final = {
    "errors-refused": ("trust.refusals", "trust.dsse", "trust.roots"),
    "errors-onboarding": (
        "server.inventory",
        "trust.attestation",
        "trust.certificate_request",
        "trust.device_certificate",
        "trust.endorsement",
        "trust.existing_keys",
        "trust.key_proofs",
        "trust.offboarding",
        "trust.onboarding",
        "trust.onboarding_scripts",
        "trust.tpm",
    ),
    "errors-requests": (
        "contract",
        "trust.request_signature",
        "trust.device_key",
        "server.gateway",
        "server.manager.sequence",
        "server.manager.turns",
        "server.directory.registration",
    ),
    "errors-agent": ("agent",),
    "errors-api": (
        "catalog",
        "policy",
        "server.access",
        "server.openapi",
        "server.directory",
        "server.graph",
        "server.manager",
        "server.portal",
        "server.storage.errors",
        "cli.graph_session",
    ),
    "errors-server": ("server", "trust.certificates", "trust.nkeys", "cli"),
}
"""Which classes stand in which table, by the beginning of their module's name; the longest beginning decides."""

_SKIPPED: Final = ("__main__", "_edge", "migrations.env", "migrations.versions")
_OURS: Final = tuple(
    f"shieldwall.{part}." for part in ("agent", "catalog", "cli", "contract", "policy", "server", "trust")
)
_MERGE: Final = {
    Merge.UNION: "union",
    Merge.MOST_SECURE: "strongest, else newest",
    Merge.AGREE: "must agree",
    Merge.MEMBERS: "member by member",
}


@cache
def error_classes() -> tuple[type[ShieldwallError], ...]:
    """Import all of Shieldwall and return every class of error, the root included."""
    for module in pkgutil.walk_packages(shieldwall.__path__, "shieldwall."):
        if not module.name.endswith(_SKIPPED):
            importlib.import_module(module.name)
    found: set[type[ShieldwallError]] = {ShieldwallError, *_below(ShieldwallError)}
    ours = [kind for kind in found if kind.__module__.startswith(_OURS)]  # a test may derive its own, as stand-ins do
    return tuple(sorted(ours, key=lambda kind: (kind.code, kind.__module__)))


def group_of(kind: type[ShieldwallError]) -> str:
    """Return the name of the table in which a class of error stands."""
    module = f"{kind.__module__.removeprefix('shieldwall.')}."
    places = [
        (len(start), name) for name, starts in _GROUPS.items() for start in starts if module.startswith(f"{start}.")
    ]
    return max(places)[1]


def error_tables() -> dict[str, str]:
    """Write every table of errors."""
    kinds = {name: [kind for kind in error_classes() if group_of(kind) == name] for name in _GROUPS}
    return {
        name: table(("Code", "HTTP", "What happened", "What to do"), map(_error, own)) for name, own in kinds.items()
    }


def provider_tables() -> dict[str, str]:
    """Write, for every policy template, who enforces which of its settings."""
    catalog = load()
    heading = ("Setting", "Where it lands", "Several policies", "Enforced by", "Not applicable")
    tables = {
        f"template-{template.base_id}": _titled(
            template,
            table(
                heading,
                (
                    _setting(catalog, each)
                    for entry in template.settings
                    for each in _with_parts(catalog, entry.definition)
                ),
            ),
        )
        for template in catalog.templates.values()
    }
    return {"templates": "\n".join(tables.values())}


def enrollment_tables() -> dict[str, str]:
    """Write the enrollment codes, and the errors that are shown by one."""
    codes = [
        (str(int(code)), status.published, status.cause, status.remedy, "yes" if status.given else "no")
        for code, status in sorted(STATUSES.items())
    ]
    errors = [
        (str(int(code)), ", ".join(f"`{error}`" for error in errors_of_code(code)))
        for code in EnrollmentCode
        if errors_of_code(code)
    ]
    return {
        "enrollment-codes": table(("Status", "Published as", "Cause", "What to do", "Given"), codes),
        "enrollment-errors": table(("Status", "Errors"), errors),
    }


@cache
def answers(setting: SettingId) -> tuple[tuple[str, Support], ...]:
    """Return what the providers say of a setting, or of its members, on a machine where every product is there."""
    definition = load().definition(setting)
    parts = definition.children if definition.merge is Merge.MEMBERS else (setting,)
    asked = (*providers(), MacosDefenderProvider(load()))
    said = ((provider.name, provider.support(_with_everything(), part)) for provider in asked for part in parts)
    return tuple((name, answer) for name, answer in said if answer is not None)


def enforcers(setting: SettingId) -> tuple[str, ...]:
    """Name the providers that enforce a setting."""
    return tuple(dict.fromkeys(name for name, answer in answers(setting) if answer.applicable))


def refusals(setting: SettingId) -> tuple[str, ...]:
    """Say which providers know a setting and cannot enforce it, and why."""
    given = ((name, answer.reason) for name, answer in answers(setting) if not answer.applicable)
    return tuple(f"{name}: {reason}" for name, reason in dict.fromkeys(given) if name not in enforcers(setting))


@cache
def providers() -> tuple[Provider, ...]:
    """Return all providers."""
    catalog = load()
    return linux_providers(catalog)


@cache
def _with_everything() -> SystemdHost:
    return whole_machine()


def whole_machine() -> SystemdHost:
    """Make a machine in memory with every product, whose programs are content with whatever they are told."""

    def willing(_arguments: Sequence[str], _stdin: bytes) -> Completed:
        return Completed(returncode=0, stdout=b"{}", stderr=b"")

    def auditctl(_arguments: Sequence[str], _stdin: bytes) -> Completed:
        return Completed(returncode=0, stdout=b"enabled 1\n", stderr=b"")

    values = (path for provider in providers() for path in provider.files() if is_kernel_file(path))
    configuration = {
        **dict.fromkeys(values, b"0\n"),
        PurePosixPath("/etc/clamav/clamd.conf"): b"LocalSocket /run/clamav/clamd.ctl\n",
        PurePosixPath("/etc/clamav/freshclam.conf"): b"",
        PurePosixPath("/etc/audit/auditd.conf"): b"",
        PurePosixPath("/etc/fapolicyd/fapolicyd.conf"): b"",
    }
    programs = ("mdatp", "nft", "ip", "mount", "apt-get", "dpkg-query")
    return SystemdHost(configuration, programs={**dict.fromkeys(programs, willing), "auditctl": auditctl})


def doctor_tables() -> dict[str, str]:
    """Return the table of the doctor's checks."""
    rows = [
        (
            f"`{check.id}`{' *' if check.needs_applier else ''}",
            check.asks,
            ", ".join(severity.value for severity in check.severities),
            check.remedy,
        )
        for check in KNOWN
    ]
    return {"doctor-checks": table(("Check", "Asks", "Severities", "What to do"), rows)}


def contents() -> dict[Path, dict[str, str]]:
    """Return everything that is generated, by page and name."""
    return {
        ERRORS: error_tables(),
        PROVIDERS: provider_tables(),
        CATALOG: catalog_tables(),
        ENROLLMENT: enrollment_tables(),
        AUTHORIZATION: authorization_tables(),
        DOCTOR: doctor_tables(),
        WINDOWS: windows_tables(),
    }


def main() -> None:
    """Write the pages."""
    for page, parts in contents().items():
        write_generated(page, parts)


def _below(kind: type[ShieldwallError]) -> Iterator[type[ShieldwallError]]:
    for below in kind.__subclasses__():
        yield below
        yield from _below(below)


def _error(kind: type[ShieldwallError]) -> tuple[str, str, str, str]:
    cause = " ".join((kind.__doc__ or "").split("\n\n")[0].split())
    shown = sorted({DEVICE_STATUS.get(kind.code), API_STATUS.get(kind.code)} - {None}, key=str)
    return f"`{kind.code}`", ", ".join(map(str, shown)), cause.replace("``", "`"), kind.remedy


def _with_parts(catalog: Catalog, setting: SettingId) -> Iterator[SettingId]:
    """Yield a setting, and below it every one that a provider answers for by itself; members of items are none."""
    yield setting
    for child in catalog.definition(setting).nested():
        yield from (each for each in _with_parts(catalog, child) if each != child or answers(each))


def _setting(catalog: Catalog, setting: SettingId) -> tuple[str, str, str, str, str]:
    definition: SettingDefinition = catalog.definition(setting)
    name = definition.display_name
    node = f"{definition.base_uri or ''}{definition.offset_uri or ''}"
    place = definition.landing or node
    where = f"`{place}`" if place else "not published"
    by, refused = ", ".join(enforcers(setting)), " ".join(refusals(setting))
    if lasting := [option.display_name for option in definition.until_restart]:
        name += f" (*{', '.join(lasting)}* holds until the next restart)"
    return f"{name}<br>`{setting}`", where, _MERGE[definition.merge], by or ("" if refused else "nothing yet"), refused


def _titled(template: PolicyTemplate, text: str) -> str:
    return f"### {template.display_name}\n\nTemplate `{template.id}`, family `{template.family}`.\n\n{text}"


if __name__ == "__main__":
    main()
