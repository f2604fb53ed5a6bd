"""``make run``: the whole of Shieldwall on one machine, with sample devices.

In order: server, tenant and keys → an application and its login → policies imported and assigned to a dynamic group →
devices onboarded → their agents running → a sign-in link. Data is kept in ``var/run``; running it again continues.
Every step uses the commands an administrator would use.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import ssl
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from rich.console import Console

from samples.device import SampleDevice, has_program
from samples.processes import SHIELDWALL, Running, SampleError, run, wait_until

REPOSITORY = Path(__file__).parent.parent
POLICIES = REPOSITORY / "samples" / "policies"

GROUPS = (
    ("Linux servers", '(device.deviceOSType -eq "Linux") -and (device.managementType -eq "MicrosoftSense")'),
    ("Build servers", '(device.displayName -eq "build-01")'),
)
ASSIGNMENTS = (
    ("linux-antivirus", "Linux servers"),
    ("linux-exclusions", "Linux servers"),
    ("linux-firewall", "Linux servers"),
    ("linux-antivirus-build", "Build servers"),
    ("linux-exclusions-build", "Build servers"),
)


class Lab:
    """The sample system: where it keeps things, what runs."""

    def __init__(self, data: Path, *, admin_port: int, gateway_port: int) -> None:
        self.console = Console(highlight=False)
        self.data = data
        self.devices_home = data.parent / "devices"
        self.admin_port, self.gateway_port = admin_port, gateway_port
        self.running = Running(logs=data.parent / "logs")
        self.namespaced = os.geteuid() == 0 and has_program("ip") and has_program("nft")
        clamav = has_program("clamd")
        self.devices = tuple(
            SampleDevice(name=name, home=self.devices_home / name, has_mdatp=mdatp, has_clamav=clamav and not mdatp)
            for name, mdatp in (("web-01", True), ("db-01", True), ("build-01", False))
        )
        self.environment = {"SHIELDWALL_CONFIG": str(data.parent / "cli")}

    def shieldwall(self, *words: str) -> str:
        """Run the administrators' command."""
        return run([SHIELDWALL, *words], environment=self.environment)

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """Call the API through the command line."""
        if body is None:
            return json.loads(self.shieldwall("api", method, path) or "null")
        file = self.data.parent / "request.json"
        file.write_text(json.dumps(body))
        return json.loads(self.shieldwall("api", method, path, "--body", str(file)) or "null")

    def start_server(self) -> None:
        """Make the server's data on the first run, then start it and wait until it is ready."""
        if not (self.data / "server.json").exists():
            self._step("Making keys, database and local certificate authority")
            self.shieldwall(
                *("server", "init", "--data", str(self.data)),
                *("--public-url", f"https://localhost:{self.admin_port}"),
                *("--gateway-url", f"https://localhost:{self.gateway_port}"),
            )
        self._step("Starting the server")
        self.running.start("server", [SHIELDWALL, "server", "run", "--data", str(self.data)])
        for port in (self.admin_port, self.gateway_port):
            wait_until(f"port {port} is ready", lambda port=port: _is_ready(port), seconds=60, running=self.running)

    def sign_in(self) -> None:
        """Give the sample system an application of its own, once, and log in with it."""
        app = self.data.parent / "sample-app.json"
        if not app.exists():
            permissions = (
                "DeviceManagementConfiguration.ReadWrite.All",
                "DeviceManagementManagedDevices.ReadWrite.All",
                "DeviceManagementServiceConfig.ReadWrite.All",
                "Group.ReadWrite.All",
                "Device.ReadWrite.All",
                "SecurityAlert.ReadWrite.All",
                "Shieldwall.Onboarding.ReadWrite.All",
            )
            options = [word for permission in permissions for word in ("--permission", permission)]
            words = ("server", "app", "create", "--data", str(self.data), "--name", "Sample system", "--out", str(app))
            self.shieldwall(*words, *options)
        self.shieldwall("login", "--app", str(app))

    def make_policies(self) -> None:
        """Make the groups, import the sample policies and assign them: what is there already is left alone."""
        self._step("Importing and assigning policies")
        groups = {group["displayName"]: group["id"] for group in self.api("GET", "/v1.0/groups")["value"]}
        for name, rule in GROUPS:
            if name not in groups:
                groups[name] = self.api("POST", "/v1.0/groups", _group(name, rule))["id"]
        existing = {policy["name"] for policy in json.loads(self.shieldwall("policy", "list", "--json"))}
        for stem, group in ASSIGNMENTS:
            file = POLICIES / f"{stem}.json"
            if json.loads(file.read_text())["name"] not in existing:
                policy = json.loads(self.shieldwall("policy", "import", str(file), "--json"))[0]
                self.shieldwall("policy", "assign", policy["id"], "--group", groups[group])

    def start_devices(self) -> None:
        """Onboard the devices that have no identity yet, and start every agent."""
        new = [device for device in self.devices if not device.is_onboarded]
        package = self.data.parent / "shieldwall_onboarding.json"
        if new:
            package.unlink(missing_ok=True)
            self.shieldwall("package", "create", "--name", "Sample devices", "--out", str(package))
        for device in self.devices:
            device.prepare(namespaced=self.namespaced)
            device.start(self.running, namespaced=self.namespaced, gateway_port=self.gateway_port)
            if device in new:
                self._step(f"Onboarding {device.name}")
                wait_until(
                    f"{device.name} reaches the gateway",
                    lambda device=device: self._onboard(device, package),
                    seconds=30,
                    running=self.running,
                )
            command = device.agent("run", namespaced=self.namespaced)
            self.running.start(f"{device.name}-agent", command)

    def _onboard(self, device: SampleDevice, package: Path) -> bool:
        try:
            run(device.agent("onboard", str(package), namespaced=self.namespaced))
        except SampleError as error:
            if "gatewayUnreachable" in str(error):
                return False  # its relay is not up yet
            raise
        return True

    def wait_for_enforcement(self) -> None:
        """Wait until every device has reported what is in effect."""
        self._step("Waiting until every device has enforced its policies")

        def settled() -> bool:
            devices = json.loads(self.shieldwall("device", "list", "--json"))
            ours = [each for each in devices if each["deviceName"] in {device.name for device in self.devices}]
            return len(ours) >= len(self.devices) and all(each["shieldwall"]["upToDate"] for each in ours)

        wait_until("every device reports", settled, seconds=120, running=self.running)

    def invite(self) -> str:
        """Make a one-time sign-in link."""
        return self.shieldwall("server", "admin", "invite", "--data", str(self.data)).strip().splitlines()[-1].strip()

    def stop(self) -> None:
        """End everything."""
        self.running.stop()
        for device in self.devices:
            device.stop_clamd()
            if self.namespaced:
                device.remove_network()

    def explain(self, link: str) -> None:
        """Tell the newcomer what runs and where to look."""
        print_ = self.console.print
        print_("\n[bold green]Shieldwall is running.[/]\n")
        print_(f"  Admin center   https://localhost:{self.admin_port}")
        print_(f"  Sign in once   {link}", soft_wrap=True)
        print_(f"  Devices        {', '.join(device.name for device in self.devices)} under {self.devices_home}")
        print_(
            f"  What is in effect on a device:  SHIELDWALL_CONFIG={self.environment['SHIELDWALL_CONFIG']} "
            f"{SHIELDWALL} device effective web-01",
            soft_wrap=True,
        )
        for line in self._left_out():
            print_(f"  [yellow]Left out[/]       {line}")
        print_(f"  Certificates are from an own authority: {self.data / 'tls' / 'ca.pem'}", soft_wrap=True)
        print_("\n  Ctrl-C ends all of it; make run continues with the same data.\n")

    def _left_out(self) -> list[str]:
        lines = []
        if not self.namespaced:
            lines.append("the firewall: a device's own network namespace needs root, iproute2 and nftables")
        if not has_program("clamd"):
            lines.append("ClamAV on build-01: install clamav-daemon to see it")
        return lines

    def _step(self, text: str) -> None:
        self.console.print(f"[cyan]•[/] {text} …")


def main() -> int:
    """Run the sample system until Ctrl-C. Returns the exit code."""
    parser = argparse.ArgumentParser(description="The whole of Shieldwall on one machine, with sample devices.")
    parser.add_argument("--data", type=Path, default=REPOSITORY / "var" / "run", help="where the server keeps its data")
    parser.add_argument("--admin-port", type=int, default=8443)
    parser.add_argument("--gateway-port", type=int, default=8444)
    parser.add_argument("--once", action="store_true", help="end as soon as every device has enforced its policies")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    lab = Lab(options.data.resolve(), admin_port=options.admin_port, gateway_port=options.gateway_port)
    try:
        lab.start_server()
        lab.sign_in()
        lab.make_policies()
        lab.start_devices()
        lab.wait_for_enforcement()
        lab.explain(lab.invite())
        while not options.once:
            lab.running.check()
            time.sleep(1)
    except SampleError as error:
        lab.console.print(f"[red]{error}[/]", markup=True)
        return 1
    except KeyboardInterrupt:
        lab.console.print("\nEnding …")
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C does not leave half of it running
        lab.stop()
    return 0


def _group(name: str, rule: str) -> dict[str, Any]:
    return {
        "displayName": name,
        "mailEnabled": False,
        "mailNickname": name.lower().replace(" ", "-"),
        "securityEnabled": True,
        "groupTypes": ["DynamicMembership"],
        "membershipRule": rule,
        "membershipRuleProcessingState": "On",
    }


def _is_ready(port: int) -> bool:
    # Only asks whether somebody answers; what is sent to the server later is verified by its authority.
    unverified = ssl._create_unverified_context()  # noqa: S323, SLF001
    try:
        with urllib.request.urlopen(f"https://localhost:{port}/readyz", context=unverified, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main())
