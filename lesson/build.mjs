// Build the page: node build.mjs [OUT] [ENGINE]. ENGINE is the folder of engine.wasm and engine.json, OUT itself if
// it is not given.

import { build } from "esbuild";
import { cp, mkdir, readdir } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
const out = path.resolve(process.argv[2] ?? path.join(here, "../src/pgrad/lesson/site"));
const engine = process.argv[3];
const katex = path.join(here, "node_modules/katex/dist");

await build({
  entryPoints: [path.join(here, "src/main.ts"), path.join(here, "src/worker.ts")],
  outdir: out,
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2022",
  legalComments: "none",
  logLevel: "warning",
});

for (const file of ["index.html", "style.css"]) await cp(path.join(here, file), path.join(out, file));
if (engine) for (const file of ["engine.wasm", "engine.json"]) await cp(path.join(engine, file), path.join(out, file));

// For browsers that cannot compute: src/recorded-figures.ts names them.
const images = path.join(here, "../docs/images");
await mkdir(path.join(out, "images"), { recursive: true });
for (const file of await readdir(images)) {
  if (/^(theory_.*|training_curve)\.png$/.test(file)) await cp(path.join(images, file), path.join(out, "images", file));
}

// KaTeX's stylesheet names three formats of each font; every browser that runs the engine reads woff2.
await mkdir(path.join(out, "katex/fonts"), { recursive: true });
await cp(path.join(katex, "katex.min.css"), path.join(out, "katex/katex.min.css"));
for (const font of await readdir(path.join(katex, "fonts"))) {
  if (font.endsWith(".woff2")) await cp(path.join(katex, "fonts", font), path.join(out, "katex/fonts", font));
}
