"""A person at a browser, for programs that open one: signs in with a one-time code, agrees, goes where they are sent.

Programs start it by the variable ``BROWSER``, with the address to open. ``PERSON_SIGNS_IN_BY`` is the link of an
invitation, ``PERSON_TRUSTS`` the certificate authority of the server.
"""

from __future__ import annotations

import html
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
        "BROWSER": f"{sys.executable} {Path(__file__)} %s &",  # beside the program that opens it, as browsers are
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
    go_back(answer).raise_for_status()


def go_back(answer: httpx.Response) -> httpx.Response:
    """Go where the application waits: by the address of a redirect, or by the form that a page posts by itself."""
    if answer.status_code == 303:
        return httpx.get(answer.headers["location"], timeout=30)
    form = answer.text.partition("data-continue")[2]
    action = re.search(
        r'action="([^"]+)"', answer.text[answer.text.rindex("<form", 0, answer.text.index("data-continue")) :]
    )
    assert action is not None, answer.text
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form))
    return httpx.post(html.unescape(action[1]), data={name: html.unescape(each) for name, each in fields.items()})


if __name__ == "__main__":
    visit(sys.argv[1], os.environ["PERSON_SIGNS_IN_BY"], os.environ["PERSON_TRUSTS"])
