"""msal: an application signs in with a secret or a certificate. Reads what it is told as JSON, says what it got."""

import json
import sys

import msal

told = json.load(sys.stdin)
credential = told.get("certificate") or told["clientSecret"]
said = {}
for name in ("tenant", "domain"):
    app = msal.ConfidentialClientApplication(
        told["clientId"],
        client_credential=credential,
        authority=f"{told['url']}/{told[name]}",
        instance_discovery=False,
    )
    scope = told.get("scope", f"{told['url']}/.default")
    first = app.acquire_token_for_client(scopes=[scope])
    again = app.acquire_token_for_client(scopes=[scope])
    said[name] = {
        "error": first.get("error"),
        "codes": first.get("error_codes"),
        "tokenType": first.get("token_type"),
        "token": first.get("access_token"),
        "cached": first.get("access_token") == again.get("access_token"),
    }
print(json.dumps(said))
