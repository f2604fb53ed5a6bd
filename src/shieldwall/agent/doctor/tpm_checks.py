"""The TPM: is there one, does it work, and is the device key in it?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from shieldwall.agent.doctor.model import Check, Subject, error, ok, warning
from shieldwall.agent.host.tpm_device import TPM_DEVICE, TpmError
from shieldwall.agent.service.device_keys import tpm_hash

_PROBE: Final = b"shieldwall-doctor"
_IN_A_FILE: Final = "the device key is in a file"


def tpm(subject: Subject) -> Iterable[Check]:
    """Ask where the device key lives, and whether the TPM does its part."""
    state = subject.surroundings.state
    key = state.find_key()
    in_tpm = key is not None and key.protection == "tpm"
    if state.open_tpm is None:
        if in_tpm:
            yield error(
                "tpm",
                "The device key is in a TPM that is not there any more.",
                evidence=str(TPM_DEVICE),
                remedy="Switch the TPM on in the firmware, or onboard this device again with a new package.",
            )
        else:
            yield ok("tpm", f"This machine shows no TPM 2.0; {_IN_A_FILE}.", str(TPM_DEVICE))
        return
    try:
        with state.open_tpm() as device:
            endorsement = device.endorsement()
        if key is not None and in_tpm:
            key.sign(_PROBE)
    except TpmError as failure:
        told = error if in_tpm else warning
        yield told("tpm", "The TPM does not work.", evidence=failure.cause, remedy=failure.advice)
        return
    certified = "with" if endorsement.certificate is not None else "without"
    evidence = f"endorsement key {tpm_hash(endorsement)}, {certified} a certificate of its maker"
    if key is not None and not in_tpm:
        yield warning(
            "tpm",
            f"This machine has a TPM, and {_IN_A_FILE}.",
            evidence=evidence,
            remedy="Run shieldwall-agent rotate-key: the new key is made in the TPM.",
        )
    else:
        yield ok("tpm", "The TPM works, and device keys are made in it.", evidence)
