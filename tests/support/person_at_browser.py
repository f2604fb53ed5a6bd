"""A person at a browser, for programs that open one: signs in with a one-time code, agrees, goes where they are sent.

Programs start it by the variable ``BROWSER``, with the address to open. ``PERSON_SIGNS_IN_BY`` is the link of an
invitation, ``PERSON_TRUSTS`` the certificate authority of the server.
"""

from __future__ import annotations

import os
import re
import ssl
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx


def browser_for(link: str, authority: Path) -> dict[str, str]:
    """Return the environment in which a program finds this browser, and whose person it is."""
    return {
        "BROWSER": f"{sys.executable} {Path(__file__)} %s",
        "PERSON_SIGNS_IN_BY": link,
        "PERSON_TRUSTS": str(authority),
    }


def visit(where: str, link: str, authority: str) -> None:
    """Open an address of the identity platform and do all that a person would."""
    trust = ssl.create_default_context(cafile=authority)
    origin = "https://" + urlsplit(where).netloc
    with httpx.Client(verify=trust, timeout=30, headers={"Origin": origin}) as browser:
        code = parse_qs(urlsplit(link).query)["code"][0]
        signed_in = browser.post(f"{origin}/sign-in", data={"code": code})
        assert signed_in.status_code == 303, signed_in.text
        page = browser.get(where)
        assert page.status_code == 200, page.text
        found = re.search(r'name="csrf" value="([0-9a-f]+)"[^<]*<button name="decision"', page.text.replace("\n", ""))
        assert found is not None, page.text
        answer = browser.post(where, data={"csrf": found[1], "decision": "yes"})
        assert answer.status_code == 303, answer.text
    httpx.get(answer.headers["location"], timeout=30).raise_for_status()


if __name__ == "__main__":
    visit(sys.argv[1], os.environ["PERSON_SIGNS_IN_BY"], os.environ["PERSON_TRUSTS"])
