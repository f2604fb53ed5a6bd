"""What the server sent: signed, whole, and how far the applier trusts it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from shieldwall.agent.applier.state import Stage
from shieldwall.agent.doctor.model import Check, Subject, error, ok, warning

_SYNC: Final = (
    "Run shieldwall-agent sync: it fetches what is missing. If that does not help, look at the server's signer."
)


def signature(subject: Subject) -> Iterable[Check]:
    """Ask whether manifest and policies on disk are signed by the tenant's keys, for this device."""
    state = subject.surroundings.state
    if state.find_identity() is None or state.find_manifest() is None:
        return  # nothing came yet, which other checks say
    delivery = subject.surroundings.enrolled().enforcement.delivery
    manifest = delivery.manifest()
    if manifest is None:
        yield error(
            "signature",
            "The manifest that lies here is not signed for this device by the keys of its tenant.",
            evidence=str(state.directory / "manifest.json"),
            remedy=_SYNC,
        )
        return
    stored = delivery.stored()
    evidence = f"manifest {manifest.manifest_version} of {manifest.issued}, {len(manifest.items)} policies"
    if stored is None:
        yield error(
            "signature",
            "Not every policy of the manifest lies here whole and signed.",
            evidence=evidence,
            remedy=_SYNC,
        )
    else:
        revisions = ", ".join(f"{each.name} (revision {each.revision})" for each in stored[1][:10])
        yield ok("signature", "Manifest and policies are signed by the keys of the tenant.", f"{evidence}: {revisions}")


def stage(subject: Subject) -> Iterable[Check]:
    """Ask whether crashes made the applier fall back."""
    if subject.standing is None or subject.standing.stage is Stage.NORMAL:
        return
    if subject.standing.stage is Stage.SAFE_MODE:
        finding = "After repeated crashes the device takes only what strengthens it (safe mode)."
    else:
        finding = "After repeated crashes the device went back to the policies before the last ones."
    yield error(
        "stage",
        finding,
        evidence=f"stage {subject.standing.stage.value}",
        remedy="Look why: journalctl --unit=shieldwall-applier --unit=shieldwall-agent. Then correct the policy.",
    )


def probation(subject: Subject) -> Iterable[Check]:
    """Tell of a change that waits to be confirmed."""
    waiting = None if subject.standing is None else subject.standing.unconfirmed
    if waiting is not None:
        yield warning(
            "probation",
            "A change of the firewall waits until the server is reached with it; else it goes back by itself.",
            evidence=f"{waiting.seconds_left:.0f} s are left",
            remedy="Nothing needs doing where the next check-in succeeds. Otherwise correct the policy.",
        )
