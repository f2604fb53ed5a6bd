"""msal with an OpenID authority of no special kind, which checks the issuer itself."""

import json
import sys

import msal

told = json.load(sys.stdin)
app = msal.ConfidentialClientApplication(
    told["clientId"],
    client_credential=told["clientSecret"],
    oidc_authority=f"{told['url']}/{told['tenant']}/v2.0",
)
got = app.acquire_token_for_client(scopes=["https://graph.microsoft.com/.default"])
print(json.dumps({"error": got.get("error_description"), "token": got.get("access_token")}))
