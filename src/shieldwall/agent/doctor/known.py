"""Every check by its stable id: what it asks, how grave it can be, what to do. The documentation is made of it."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from shieldwall.agent.doctor.model import Severity

_SEVERITIES: Final = {"o": Severity.OK, "i": Severity.INFO, "w": Severity.WARNING, "e": Severity.ERROR}


class Known(Struct, frozen=True, kw_only=True):
    """One check. ``needs_applier`` says that root's eyes see what it judges."""

    id: str
    severities: tuple[Severity, ...]
    asks: str
    remedy: str
    needs_applier: bool = False


def _known(check: str, severities: str, asks: str, remedy: str, *, needs_applier: bool = False) -> Known:
    return Known(
        id=check,
        severities=tuple(_SEVERITIES[letter] for letter in severities),
        asks=asks,
        remedy=remedy,
        needs_applier=needs_applier,
    )


def _seen(check: str, severities: str, asks: str, remedy: str) -> Known:
    return _known(check, severities, asks, remedy, needs_applier=True)


_NOTHING: Final = "Nothing needs doing."

KNOWN: Final[tuple[Known, ...]] = (
    _known("rights", "w", "May whoever asks see the agent's own files?", "Run it as root."),
    _known("applier", "ie", "Does the process that enforces answer?", "Look at the service `shieldwall-applier`."),
    _known("system", "ow", "Is this a system and a processor that the agent was tried on?", "Report what fails."),
    _seen("dmi", "oi", "Does the firmware say what machine this is?", _NOTHING),
    _known(
        "otherManager",
        "owe",
        "Does somebody else manage this device?",
        "Leave the device to one of the two; see [enrollment](enrollment.md#status-codes).",
    ),
    _known("neighbour", "w", "Is a product here that changes the same things?", "Decide who is in charge of what."),
    _known("suitability", "e", "Can this machine be managed at all?", "Upgrade it, or give its container the rights."),
    _known("domainController", "i", "Is it a domain controller?", _NOTHING),
    _known("identity", "oe", "Is the device onboarded?", "`shieldwall-agent onboard PACKAGE`"),
    _known("key", "oe", "Is the device key readable for its owner alone?", "Onboard anew: the key may be known."),
    _known("tpm", "owe", "Is there a TPM, does it work, is the key in it?", "`shieldwall-agent rotate-key`"),
    _known(
        "certificate", "owe", "Do certificate and key belong together; until when?", "Mostly nothing; or onboard anew."
    ),
    _known("pin", "owe", "Do agent and applier speak of one device and one tenant?", "`shieldwall-agent pin`, as root"),
    _known("network.proxy", "oe", "Does the proxy answer?", "Let it run, or onboard without it."),
    _known("network.name", "oe", "Is the server's name known; does a name server answer?", "Look at the device's DNS."),
    _known(
        "network.family",
        "e",
        "Have device and server an IP version in common? One with IPv6 alone needs an IPv6 address of the server.",
        "Publish such an address, or use NAT64 or a proxy.",
    ),
    _known("network.connection", "oe", "Does the server's port answer?", "Look for a firewall; is the server up?"),
    _known(
        "network.tls",
        "oe",
        "Is the certificate trusted? If not, its issuer is named: a proxy that opens TLS shows its own.",
        "Let the proxy pass the server through, or use a new package.",
    ),
    _known(
        "network.answer",
        "oe",
        "Is it the gateway that answers, signed, and no captive portal or page of a proxy?",
        "Sign in to the network; let the proxy pass on what goes to the server.",
    ),
    _known("clock", "ow", "Does the clock agree with the server's signed time?", "Keep it set by a time service."),
    _known("process", "oe", "Does the agent run?", "Start the service `shieldwall-agent`."),
    _seen("twoAgents", "w", "Do several agents or appliers run at once?", "Keep that of the service."),
    _seen("service", "oiwe", "Do both services run, and start with the machine?", "`systemctl status UNIT`"),
    _seen(
        "sandbox",
        "oiw",
        "Are both confined as the package asks? Names directives that are not in effect, files that change the units, "
        "and the score of systemd-analyze.",
        "Remove what changes the unit.",
    ),
    _seen(
        "ownFiles", "oe", "Can others change our files, or are files locked by chattr?", "`chown`, `chmod`, `chattr`"
    ),
    _seen(
        "package", "oie", "Are the agent's files those of its package (`dpkg --verify`, `rpm -V`)?", "Install it again."
    ),
    _known(
        "lastCheckIn",
        "owe",
        "Have device and server spoken lately? Trouble comes with its [enrollment status](enrollment.md#status-codes).",
        "`shieldwall-agent sync`, and what the finding says.",
    ),
    _known("enrollment", "ow", "What does the server make of this device?", "See [enrollment](enrollment.md)."),
    _known("signature", "oe", "Are manifest and policies on disk whole and signed?", "`shieldwall-agent sync`"),
    _known("settings", "owe", "Is in effect what should be?", "`shieldwall-agent effective`"),
    _known("setting", "e", "Which setting is not, and why?", "`shieldwall-agent effective`"),
    _known("refusedPolicy", "e", "Which policy was refused, and why?", "Publish it again."),
    _known("drift", "ow", "Does somebody change what policies hold?", "Find out who, or change the policy."),
    _known("stage", "e", "Did crashes make the device fall back?", "Read both journals; correct the policy."),
    _known("probation", "w", "Does a change of the firewall wait to be confirmed?", "Wait for the next check-in."),
    _seen(
        "engine.…",
        "oiwe",
        "Of each product: installed, unit running, configured as policies say, seen in effect by a probe?",
        "Look at the product's own log.",
    ),
    _seen("engines", "e", "Is there anything to enforce with?", "Install Microsoft Defender, ClamAV or nftables."),
    _seen(
        "definitions",
        "oiwe",
        "How old are definitions; did the last update, from which mirror, go well?",
        "`freshclam`",
    ),
    _seen(
        "onAccess",
        "oiwe",
        "Are files looked at as they are opened, everywhere, and may the scanner open files itself?",
        "Look at `shieldwall-broker` and `clamav-daemon`.",
    ),
    _seen("quarantine", "ow", "How much lies in quarantine?", "`shieldwall-agent quarantine list`"),
    _seen(
        "firewall", "oiwe", "Is our table loaded; who else decides on the same packets?", "Remove those rules there."
    ),
    _seen(
        "audit",
        "oiwe",
        "Is auditing on, at boot as well, are our rules loaded, are records lost, are rules locked?",
        "Look at auditd.",
    ),
    _seen("limits", "ow", "Does the kernel let enough be watched (inotify, fanotify)?", "Raise the limit by sysctl."),
    _known("disk", "oe", "Is there room for the agent's state?", "Make room."),
    _seen("room", "owe", "Is there room, writable, where something of ours grows?", "Make room; look at dmesg."),
    _seen("unseen", "w", "What could the applier not look at?", "Look what hangs or is broken there."),
)
