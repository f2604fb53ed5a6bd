// Buttons that copy what stands beside them. They come from the server and are seen only where this runs.
document.documentElement.classList.add("scripted");

document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("button.copy");
  if (!button) return;
  const source = button.closest("[data-copy]").querySelector("pre, code, input");
  await navigator.clipboard.writeText(source.value ?? source.textContent);
  const words = button.textContent;
  button.textContent = button.dataset.copied;
  document.getElementById("said").textContent = button.dataset.copied;
  setTimeout(() => {
    button.textContent = words;
    document.getElementById("said").textContent = "";
  }, 2000);
});
