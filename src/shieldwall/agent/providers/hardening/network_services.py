"""Programs that serve the network, and programs that they have no business starting, by their real paths."""

from __future__ import annotations

from typing import Final

_JAVA: Final = ("8", "11", "17", "21", "25")
_POSTGRESQL: Final = range(11, 19)
_PHP: Final = ("7.4", "8.0", "8.1", "8.2", "8.3", "8.4")

SERVICES: Final = (
    *(f"/usr/sbin/{name}" for name in ("nginx", "apache2", "httpd", "lighttpd", "mysqld", "mariadbd", "named")),
    *(f"/usr/sbin/{name}" for name in ("php-fpm", *(f"php-fpm{version}" for version in _PHP), "vsftpd", "proftpd")),
    *(
        f"/usr/bin/{name}"
        for name in ("caddy", "redis-server", "valkey-server", "memcached", "mongod", "node", "traefik")
    ),
    *(f"/usr/libexec/{name}" for name in ("mysqld", "mariadbd")),
    *(f"/usr/lib/postgresql/{version}/bin/postgres" for version in _POSTGRESQL),
    "/usr/bin/postgres",
    *(f"/usr/lib/jvm/java-{version}-openjdk-{kind}/bin/java" for version in _JAVA for kind in ("amd64", "arm64")),
    *(f"/usr/lib/jvm/java-{version}-openjdk/bin/java" for version in _JAVA),
)
"""Web servers, application servers, databases. One whose program is an interpreter for everything is not among them."""

SHELLS: Final = (
    *(f"/usr/bin/{name}" for name in ("dash", "bash", "zsh", "ksh93", "mksh", "fish", "tcsh", "bsd-csh", "busybox")),
    *(f"/usr/bin/{name}" for name in ("curl", "wget", "nc.openbsd", "nc.traditional", "ncat", "socat", "ftp", "tnftp")),
    *(f"/usr/bin/{name}" for name in ("scp", "sftp", "tftp", "lftp", "aria2c")),
)
"""Shells and programs that fetch something."""
