// Lets forms with data-passkey be sent with a passkey's answer: asks the server what to ask, the browser for the answer,
// and then sends the form like any other. Forms with data-continue are sent at once.
const toBytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
const toText = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replace(/=+$/, "");
const withBytes = (each) => ({ ...each, id: toBytes(each.id) });

function asked(options) {
  const known = { ...options, challenge: toBytes(options.challenge) };
  if (known.user) known.user = withBytes(known.user);
  if (known.allowCredentials) known.allowCredentials = known.allowCredentials.map(withBytes);
  if (known.excludeCredentials) known.excludeCredentials = known.excludeCredentials.map(withBytes);
  return known;
}

function written(credential) {
  const response = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (credential.response[name]) response[name] = toText(credential.response[name]);
  }
  if (credential.response.getTransports) response.transports = credential.response.getTransports();
  return JSON.stringify({ id: credential.id, rawId: toText(credential.rawId), type: credential.type, response });
}

function say(form, what) {
  const problem = form.querySelector("[data-passkey-problem]");
  problem.textContent = form.querySelector(`[data-says="${what}"]`).textContent;
  problem.hidden = false;
}

async function answer(form) {
  const fields = new URLSearchParams(new FormData(form));
  const told = await fetch(form.dataset.options, { method: "POST", body: fields, redirect: "manual" }).catch(
    () => null,
  );
  if (told && (told.status === 401 || told.type === "opaqueredirect")) return location.reload(); // asks who this is
  if (!told?.ok) return say(form, told && told.status === 429 ? "slower" : "answer");
  const publicKey = asked(await told.json());
  try {
    const credential = await navigator.credentials[form.dataset.passkey]({ publicKey });
    form.elements.credential.value = written(credential);
  } catch (error) {
    return say(form, error.name === "InvalidStateError" ? "known" : "refused");
  }
  form.submit();
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  const button = form.querySelector("button"); // disabled, so that nobody presses it before this script is there
  if (!window.PublicKeyCredential || !navigator.credentials) {
    say(form, "missing");
    continue;
  }
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    form.querySelector("[data-passkey-problem]").hidden = true;
    await answer(form);
    button.disabled = false;
  });
  button.disabled = false;
}
for (const form of document.querySelectorAll("form[data-continue]")) form.submit();
