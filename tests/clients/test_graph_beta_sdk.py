"""The SDK of Microsoft Graph beta, unmodified: policies made, assigned and read back, and managed devices."""

from __future__ import annotations

from tests.clients.conftest import Service
from tests.support.graph_bodies import a_policy

LEVEL = "linux_mdatp_managed_antivirusengine_enforcementlevel"


def test_the_beta_sdk_makes_a_policy_assigns_it_and_reads_it_back(service: Service) -> None:
    template = a_policy()["templateReference"]["templateId"]
    said = service.run("graph_beta_sdk", template=template, definition=LEVEL, choice=f"{LEVEL}_0")

    assert said["found"] == [
        {
            "platforms": ["linux"],
            "technologies": ["microsoftSense"],
            "targets": ["#microsoft.graph.allDevicesAssignmentTarget"],
            "settings": [[LEVEL, f"{LEVEL}_0"]],
        }
    ]
    assert said["settings"] == 1
    assert (said["description"], said["isAssigned"], said["copy"]) == ("Changed by the beta SDK", True, "Copy")
    assert said["devices"] == ["srv-01", "srv-03", "srv-05", "srv-07", "srv-09"]
    assert said["agents"] == ["msSense"]
    assert said["more"]
    assert said["templates"] > 5
