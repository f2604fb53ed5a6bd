"""Guided fixes of the way between device and server."""

from __future__ import annotations

from typing import Final

from shieldwall.contract.enrollment import EnrollmentCode
from shieldwall.server.portal.first_run.guides.common import DOCTOR, MANAGED, NEW_PACKAGE, STATUS, SYNC
from shieldwall.server.portal.first_run.guides.model import Guide, Guides, Step, everywhere
from shieldwall.server.portal.language import marked

_REACH: Final = Step(
    what=marked("Knock at the server from the device."),
    how=marked("An answer of any kind means that the way is open; no answer within five seconds means that it is not."),
    commands={
        "linux": "curl --insecure --silent --show-error --max-time 5 --output /dev/null @URL@/ && echo open",
        "windows": "Test-NetConnection @HOST@ -Port @PORT@",
        "macos": "nc -vz -G 5 @HOST@ @PORT@",
    },
)
_FIREWALLS: Final = Step(
    what=marked("See that no firewall stands between."),
    how=marked("The device has to be let out to that one name and port; nothing has to be let in to the device."),
    commands={
        "linux": "sudo nft list ruleset | grep -n drop",
        "windows": "Get-NetFirewallProfile | Format-Table Name, DefaultOutboundAction",
        "macos": "sudo pfctl -s rules",
    },
)
_SERVER: Final = Step(
    what=marked("See that the server runs."),
    how=marked("On the server itself. Other devices that check in are proof as well."),
    commands={"linux": "systemctl status shieldwall\njournalctl -u shieldwall -n 50"},
    path="/devices",
    label=marked("See who checked in lately"),
)
_WHO_ANSWERS: Final = Step(
    what=marked("See whose certificate it is that answers."),
    how=marked("If the issuer is the name of a proxy or a security product, that opens TLS on the way."),
    commands={
        "linux": "openssl s_client -connect @HOST@:@PORT@ -servername @HOST@ </dev/null | "
        "openssl x509 -noout -subject -issuer -enddate",
        "windows": "$tcp = [Net.Sockets.TcpClient]::new('@HOST@', @PORT@)\n"
        "$tls = [Net.Security.SslStream]::new($tcp.GetStream(), $false, { $true })\n"
        "$tls.AuthenticateAsClient('@HOST@')\n$tls.RemoteCertificate.Issuer",
        "macos": "openssl s_client -connect @HOST@:@PORT@ -servername @HOST@ </dev/null | "
        "openssl x509 -noout -subject -issuer -enddate",
    },
)
_EXCEPT: Final = Step(
    what=marked("Except the server from inspection in that proxy."),
    how=marked("Devices trust only the authority that their package names, so that nobody on the way can steer them."),
)
_PROXY: Final = Step(
    what=marked("See which proxy the device uses, and whether it leads to the server."),
    how=marked("The proxy has to allow CONNECT to that name and port."),
    commands={
        "linux": "@AGENT@ status\n"
        "curl --insecure --proxy http://PROXY:PORT --max-time 5 --output /dev/null @URL@/ && echo open",
        "windows": "@AGENT@ status\nnetsh winhttp show proxy",
        "macos": "@AGENT@ status\nscutil --proxy",
    },
)
_OTHER_PROXY: Final = Step(
    what=marked("Onboard with the right proxy, or with none."),
    commands=everywhere("@AGENT@ onboard shieldwall_onboarding.json --proxy http://PROXY:PORT --wait"),
)
_NAME: Final = Step(
    what=marked("Ask for the name of the server on the device."),
    how=marked("An address has to come back, and it has to be the one that the server has."),
    commands={
        "linux": "getent ahosts @HOST@\ncat /etc/resolv.conf",
        "windows": "Resolve-DnsName @HOST@\nGet-DnsClientServerAddress",
        "macos": "dscacheutil -q host -a name @HOST@\nscutil --dns | grep nameserver",
    },
)
_PUBLISH: Final = Step(
    what=marked("Publish the name where the device asks."),
    how=marked("Devices outside your network ask other name servers than those inside."),
)
_NAME_SERVERS: Final = Step(
    what=marked("See whether its name servers answer at all."),
    how=marked("If none does, look at the network of the device first: cable, address, route, VPN."),
    commands={
        "linux": "resolvectl status\nip route",
        "windows": "Get-DnsClientServerAddress\nTest-NetConnection",
        "macos": "scutil --dns\nnetstat -rn | head",
    },
)
_WAIT: Final = Step(
    what=marked("Wait a few minutes: the device tries again by itself."),
    how=marked("It waits longer after each attempt, so that a thousand devices do not come back at once."),
)
_VERSIONS: Final = Step(
    what=marked("Bring agent and server to versions that fit each other."),
    how=marked("The server takes agents that are older than itself. Upgrade the server first."),
    commands=everywhere("@AGENT@ version"),
)
_CAPTIVE: Final = Step(
    what=marked("See whether something else answers in the place of the server."),
    how=marked("A sign-in page of a guest network, or the error page of a proxy, is no answer that an agent can read."),
    commands={
        "linux": "curl --insecure --include --max-time 5 @URL@/ | head -20",
        "windows": "curl.exe --insecure --include --max-time 5 @URL@/",
        "macos": "curl --insecure --include --max-time 5 @URL@/ | head -20",
    },
)
_SIGNER: Final = Step(
    what=marked("Look at the server and its signer."),
    how=marked(
        "A device believes only what the signer of its tenant signed. After restoring a backup, see that the keys are "
        "those from before."
    ),
    commands={"linux": "journalctl -u shieldwall -n 50"},
)
_ANEW: Final = Step(
    what=marked("Publish the policy again that the device refuses."),
    how=marked("The status of the device names it."),
    path="/policies",
    label=marked("Open endpoint security"),
)

GUIDES: Final[Guides] = {
    EnrollmentCode.DOCUMENT_REFUSED: Guide(
        meaning=marked(
            "The device did not believe a document that the server sent: its signature, its age or its contents are "
            "not right. It goes on with what it believed last."
        ),
        steps=(STATUS, _SIGNER, _ANEW, SYNC),
        fixed=MANAGED,
    ),
    EnrollmentCode.NO_CONNECTION: Guide(
        meaning=marked("Nothing answers the device where the server should be."),
        steps=(_REACH, _FIREWALLS, _SERVER, SYNC),
        fixed=MANAGED,
    ),
    EnrollmentCode.SERVER_NOT_TRUSTED: Guide(
        meaning=marked("Something answers for the server, and the device does not accept its certificate."),
        steps=(_WHO_ANSWERS, _EXCEPT, NEW_PACKAGE),
        fixed=MANAGED,
    ),
    EnrollmentCode.PROXY: Guide(
        meaning=marked("The proxy that the device was given does not lead to the server."),
        steps=(_PROXY, _OTHER_PROXY, SYNC),
        fixed=MANAGED,
    ),
    EnrollmentCode.SERVER_BUSY: Guide(
        meaning=marked("The server answered that it cannot serve now: it is busy, starting, or its signer is away."),
        steps=(_WAIT, _SERVER, SYNC),
        fixed=MANAGED,
    ),
    EnrollmentCode.UNREADABLE_ANSWER: Guide(
        meaning=marked("What answered does not speak the protocol that the agent knows."),
        steps=(_CAPTIVE, _VERSIONS, SYNC),
        fixed=MANAGED,
    ),
    EnrollmentCode.NAME_UNKNOWN: Guide(
        meaning=marked("The name servers of the device answered that there is no such name as the server's."),
        steps=(_NAME, _PUBLISH, SYNC),
        fixed=MANAGED,
    ),
    EnrollmentCode.NAME_SERVICE_SILENT: Guide(
        meaning=marked("No name server answered the device, so it could not ask where the server is."),
        steps=(_NAME_SERVERS, _NAME, DOCTOR),
        fixed=MANAGED,
    ),
}
