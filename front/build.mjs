// Bundles what browsers load into the portal's static files, each name with a digest of its content, so that browsers
// may keep it for ever; `manifest.json` says which name stands for what. The text beside each file is its gzip form.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));
const target = join(here, "../src/shieldwall/server/portal/static/built");
const { outputFiles } = await build({
  absWorkingDir: here,
  entryPoints: { main: "source/main.js", passkeys: "source/passkeys.js", style: "source/styles/style.css" },
  bundle: true,
  minify: true,
  format: "iife",
  target: ["chrome120", "firefox121", "safari17"],
  legalComments: "none",
  outdir: target,
  write: false,
});

rmSync(target, { recursive: true, force: true });
mkdirSync(target, { recursive: true });
const manifest = {};
const put = (name, contents) => {
  const digest = createHash("sha256").update(contents).digest("hex").slice(0, 16);
  const kept = name.replace(/(\.\w+)$/, `-${digest}$1`);
  manifest[name] = kept;
  writeFileSync(join(target, kept), contents);
  writeFileSync(join(target, `${kept}.gz`), gzipSync(contents, { level: 9 }));
};
for (const { path, contents } of outputFiles) put(path.slice(target.length + 1), contents);
put("icon.svg", readFileSync(join(here, "source/icon.svg")));
writeFileSync(join(target, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);
