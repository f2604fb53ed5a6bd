"""Under which names web servers and application servers run."""

from __future__ import annotations

from typing import Final

WEB_USERS: Final = (
    *("www-data", "nginx", "apache", "httpd", "http", "www", "caddy", "lighttpd", "tomcat", "jetty", "wwwrun"),
)
