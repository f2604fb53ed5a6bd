"""azure-identity: an application signs in with a secret, and with a certificate from a file."""

import json
import sys

from azure.identity import CertificateCredential, ClientSecretCredential

told = json.load(sys.stdin)
where = {"authority": told["url"], "disable_instance_discovery": True}
credentials = {"secret": ClientSecretCredential(told["tenant"], told["clientId"], told["clientSecret"], **where)}
if "certificateFile" in told:
    credentials["certificate"] = CertificateCredential(
        told["tenant"], told["clientId"], told["certificateFile"], **where
    )
print(
    json.dumps(
        {name: each.get_token("https://graph.microsoft.com/.default").token for name, each in credentials.items()}
    )
)
