"""msal: a person signs in with their browser, the token is refreshed, taken back, and asked for anew.

The browser is the one that the variable ``BROWSER`` names, as for any program.
"""

import json
import sys

import msal
import requests

told = json.load(sys.stdin)
scopes = ["https://graph.microsoft.com/Group.Read.All", "https://graph.microsoft.com/User.Read"]
app = msal.PublicClientApplication(
    told["publicClientId"], authority=f"{told['url']}/{told['tenant']}", instance_discovery=False
)
graph = f"{told['url']}/v1.0"


def asked(token: str, path: str, method: str = "GET") -> requests.Response:
    return requests.request(method, graph + path, headers={"Authorization": f"Bearer {token}"}, timeout=30)


first = app.acquire_token_interactive(scopes, timeout=60)
if "access_token" not in first:
    sys.exit(json.dumps(first))
(account,) = app.get_accounts()
cached = app.acquire_token_silent(scopes, account=account)
refreshed = app.acquire_token_silent(scopes, account=account, force_refresh=True)
me = asked(first["access_token"], "/me").json()
groups = asked(first["access_token"], "/groups").status_code
forbidden = asked(first["access_token"], "/devices").status_code
taken_back = asked(refreshed["access_token"], "/me/revokeSignInSessions", "POST").status_code
challenged = asked(refreshed["access_token"], "/groups")
header = challenged.headers["WWW-Authenticate"]
claims = header.partition('claims="')[2].partition('"')[0]
again = app.acquire_token_silent_with_error(scopes, account=account, claims_challenge=claims)
print(
    json.dumps(
        {
            "name": first["id_token_claims"]["preferred_username"],
            "account": account["username"],
            "cached": cached["access_token"] == first["access_token"],
            "refreshed": refreshed["access_token"] != first["access_token"],
            "me": me["userPrincipalName"],
            "groups": groups,
            "forbidden": forbidden,
            "takenBack": taken_back,
            "challenged": challenged.status_code,
            "claims": bool(claims),
            "again": again.get("error"),
        }
    )
)
