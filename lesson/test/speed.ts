// Measure the page and its workers in a real browser: CHROMIUM=… PAGE=http://… node speed.mjs < recipes.json
// Prints JSON; benchmarks/lesson.py sets it beside native training.

import fs from "node:fs";
import { chromium } from "playwright-core";
import type { EngineDescription, Recipe } from "../src/engine";
import type { FromWorker, ToWorker } from "../src/worker";

interface Trained {
  seconds: number; // from the first request to the last answer
  steps: number; // of all seeds
}

const recipes = JSON.parse(fs.readFileSync(0, "utf8")) as { recipe: Recipe; seeds: number; workers: number }[];
const browser = await chromium.launch({ executablePath: process.env["CHROMIUM"]!, args: ["--no-sandbox"] });
const page = await browser.newPage();
await page.goto(process.env["PAGE"]!);
await page.locator("#here .content:not(.waiting)").waitFor();
const paint = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]!.startTime / 1000);
const usable = await page.evaluate(() => performance.now() / 1000);
const trained: Trained[] = [];
for (const asked of recipes) trained.push(await page.evaluate(train, asked));
await browser.close();
process.stdout.write(JSON.stringify({ paint, usable, trained }));

/** Train seeds on workers that have trained before; called in the page. */
async function train({ recipe, seeds, workers }: { recipe: Recipe; seeds: number; workers: number }): Promise<Trained> {
  const wasm = await (await fetch("engine.wasm")).arrayBuffer();
  const description = (await (await fetch("engine.json")).json()) as EngineDescription;

  function run(worker: Worker, seed: number): Promise<number> {
    return new Promise((resolve) => {
      let steps = 0;
      worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
        if (data.type === "done") resolve(steps);
        else steps = data.steps.at(-1) ?? steps;
      };
      worker.postMessage({ type: "train", recipe, seed } satisfies ToWorker);
    });
  }

  const pool = Array.from({ length: workers }, () => new Worker("worker.js"));
  for (const worker of pool) worker.postMessage({ type: "load", wasm, description } satisfies ToWorker);
  await Promise.all(pool.map((worker) => run(worker, 1_000)));
  let [next, steps] = [0, 0];
  const start = performance.now();
  await Promise.all(
    pool.map(async (worker) => {
      while (next < seeds) steps += await run(worker, next++);
    }),
  );
  const seconds = (performance.now() - start) / 1000;
  for (const worker of pool) worker.terminate();
  return { seconds, steps };
}
