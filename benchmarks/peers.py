"""The peers that are measured: Debian's CFEngine and Puppet Server, each in a directory of its own, on loopback alone.

Both get what makes them quick: CFEngine's agent asks for the one file that tells whether anything changed at all, and
Puppet Server keeps its environment, has been asked until its compiler is warm, and neither stores nor reports anything.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote_plus, urlencode

from benchmarks.programs import processor_seconds, run, started, wait_for_port, wait_until

RESOURCES: Final = 30
WARM_UP: Final = 250
"""Catalogs after which the virtual machine has compiled what it will."""
_MOST_TO_START: Final = 1_200.0
"""Seconds of a processor: ten times what its virtual machine takes to start."""
_MOST_AT_REST: Final = 300.0
"""Seconds on the clock without any work: it has ended, or waits for something that does not come."""
_PUPPET_SERVER: Final = Path("/usr/share/puppetserver")
_PUPPET_SETTINGS: Final = Path("/etc/puppet/puppetserver")


@dataclass(frozen=True, slots=True)
class Running:
    """A peer that runs: the processes of its server, and how a device asks it once."""

    pids: list[int]
    ask: Callable[[], None]


def has_cfengine() -> bool:
    """Whether CFEngine is installed."""
    return all(shutil.which(program) for program in ("cf-serverd", "cf-agent", "cf-key"))


def has_puppet_server() -> bool:
    """Whether Puppet Server is installed."""
    return (_PUPPET_SERVER / "puppetserver.jar").exists() and shutil.which("java") is not None


@contextmanager
def cfengine(home: Path, *, port: int) -> Iterator[Running]:
    """Run CFEngine's server; a device's question is a run of its agent that finds that nothing changed."""
    served, hub, host = home / "masterfiles", home / "hub", home / "host"
    for directory in (served, hub / "inputs", host / "inputs"):
        directory.mkdir(parents=True, mode=0o700)
    (served / "cf_promises_validated").write_text("made once\n")
    _promise(hub, _HUB.format(port=port, served=served))
    _promise(host, _HOST.format(port=port, served=served, host=host))
    for place in (hub, host):
        (place / "bin").symlink_to("/usr/bin")  # where it looks for what checks promises
        run("cf-key", environment=_workplace(place))
    serving = ["cf-serverd", "--no-fork", "--file", str(hub / "inputs/promises.cf")]
    with started(serving, home / "hub.log", {**os.environ, **_workplace(hub)}) as pid:
        wait_for_port(port)

        def ask() -> None:
            run("cf-agent", "-K", "-f", str(host / "inputs/promises.cf"), environment=_workplace(host))

        wait_until(lambda: _asked_well(ask, host / "cf_promises_validated"), "the first copy from CFEngine's server")
        yield Running([pid], ask)


@contextmanager
def puppet_server(home: Path, *, port: int, warm_up: int = WARM_UP) -> Iterator[Running]:
    """Run Puppet Server, warm after so many catalogs; a device's question is its catalog, over a new connection."""
    puppet, variable = home / "puppet", home / "var"
    manifests = puppet / "code/environments/production/manifests"
    for directory in (manifests, variable, home / "run", home / "log", home / "gems"):
        directory.mkdir(parents=True)
    (manifests / "site.pp").write_text("\n".join(map(_resource, range(RESOURCES))))
    (puppet / "puppet.conf").write_text(_PUPPET_CONF.format(home=home))
    settings = home / "conf.d"
    shutil.copytree(_PUPPET_SETTINGS / "conf.d", settings)
    (settings / "puppetserver.conf").write_text(_JRUBY.format(home=home))
    (settings / "webserver.conf").write_text(
        f"webserver: {{ client-auth: want, ssl-host: 127.0.0.1, ssl-port: {port} }}\n"
    )
    (settings / "ca.conf").write_text("certificate-authority: { allow-subject-alt-names: true }\n")
    services = home / "services.cfg"
    offered = "".join(each.read_text() for each in sorted((_PUPPET_SETTINGS / "services.d").glob("*.cfg")))
    services.write_text("\n".join(line for line in offered.splitlines() if "analytics" not in line))
    java = [
        *("java", "-Xms1g", "-Xmx1g", "-Djruby.logger.class=com.puppetlabs.jruby_utils.jruby.Slf4jLogger"),
        *("-Dlogappender=STDOUT", "-Djruby.lib=/usr/share/jruby/lib"),
        *("-jar", str(_PUPPET_SERVER / "puppetserver.jar")),
        *("--config", str(settings), "--bootstrap-config", str(services)),
    ]
    with started(java, home / "puppetserver.log") as pid:
        _wait_for_puppet_server(pid, home / "puppetserver.log")
        ask = _catalogs(variable / "ssl", port)
        for _ in range(warm_up):
            ask()
        time.sleep(2)  # what it still compiles in the background is no catalog's
        yield Running([pid], ask)


def _wait_for_puppet_server(pid: int, log: Path) -> None:
    """Wait until it has started, by its own work: on a busy machine a start takes as long as it takes.

    Raises:
        TimeoutError: It works and works, or does nothing any more.
    """
    work, moved = 0.0, time.monotonic()
    while "has successfully started" not in _text(log):
        if (worked := processor_seconds([pid])) > work:
            work, moved = worked, time.monotonic()
        if work > _MOST_TO_START or time.monotonic() - moved > _MOST_AT_REST:
            raise TimeoutError(f"Puppet Server did not start in {work:.0f} s of a processor: {_text(log)[-500:]}")
        time.sleep(0.2)


def _catalogs(ssl_directory: Path, port: int) -> Callable[[], None]:
    context = ssl.create_default_context(cafile=str(ssl_directory / "certs/ca.pem"))
    context.load_cert_chain(ssl_directory / "certs/localhost.pem", ssl_directory / "private_keys/localhost.pem")
    values = {f"fact_{number}": f"value {number}" for number in range(40)} | {"hostname": "localhost", "os": "Debian"}
    facts = json.dumps({"name": "localhost", "values": values, "timestamp": "2026-01-01T00:00:00Z"})
    asked = {"environment": "production", "facts_format": "application/json", "facts": quote_plus(facts)}
    body = urlencode(asked).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}

    def ask() -> None:
        connection = http.client.HTTPSConnection("localhost", port, context=context, timeout=120)
        connection.request("POST", "/puppet/v3/catalog/localhost", body, headers)
        answer = connection.getresponse()
        said = answer.read()
        connection.close()
        assert answer.status == 200, said[:500]
        made = [each for each in json.loads(said)["resources"] if each["type"] == "File"]
        assert len(made) == RESOURCES, f"{len(made)} resources"

    return ask


def _resource(number: int) -> str:
    return (
        f"file {{ '/srv/{number}': ensure => file, mode => '0644', content => \"of ${{facts['fact_{number}']}}\\n\" }}"
    )


def _asked_well(ask: Callable[[], None], copied: Path) -> bool:
    ask()
    return copied.exists()


def _promise(place: Path, policy: str) -> None:
    promises = place / "inputs/promises.cf"
    promises.write_text(policy)
    promises.chmod(0o600)


def _workplace(place: Path) -> dict[str, str]:
    return {"CFENGINE_TEST_OVERRIDE_WORKDIR": str(place)}


def _text(file: Path) -> str:
    return file.read_text(errors="replace") if file.exists() else ""


_HUB: Final = """
body common control {{ bundlesequence => {{ "nothing" }}; }}
bundle agent nothing {{ }}
body server control
{{
  port => "{port}"; bindtointerface => "127.0.0.1";
  allowconnects => {{ "127.0.0.1" }}; allowallconnects => {{ "127.0.0.1" }}; trustkeysfrom => {{ "127.0.0.1" }};
}}
bundle server access_rules
{{
  access: "{served}" admit_ips => {{ "127.0.0.1" }};
}}
"""
_HOST: Final = """
body common control {{ bundlesequence => {{ "update" }}; }}
body copy_from served
{{
  source => "{served}/cf_promises_validated"; servers => {{ "127.0.0.1" }}; portnumber => "{port}";
  compare => "digest"; trustkey => "true"; preserve => "true";
}}
bundle agent update
{{
  files: "{host}/cf_promises_validated" copy_from => served;
}}
"""
_PUPPET_CONF: Final = """
[main]
certname = localhost
user = root
group = root
confdir = {home}/puppet
codedir = {home}/puppet/code
vardir = {home}/var
ssldir = {home}/var/ssl
rundir = {home}/run
logdir = {home}/log
dns_alt_names = localhost
[server]
environment_timeout = unlimited
reports = none
storeconfigs = false
"""
_JRUBY: Final = """
jruby-puppet: {{
  ruby-load-path: [/usr/lib/puppetserver/ruby/vendor_ruby]
  gem-home: {home}/gems
  gem-path: [{home}/gems, "/usr/lib/puppetserver/vendored-jruby-gems"]
  server-conf-dir: {home}/puppet
  server-code-dir: {home}/puppet/code
  server-var-dir: {home}/var
  server-run-dir: {home}/run
  server-log-dir: {home}/log
  max-active-instances: 1
}}
http-client: {{ }}
profiler: {{ enabled: false }}
"""
