// Answer a list of questions to the engine, for tests/lesson/test_engine.py: node engine.mjs SITE < questions.json.

import fs from "node:fs";
import path from "node:path";
import { Engine, type Recipe } from "../src/engine";

interface Question {
  call: "theorem" | "moments" | "estimates" | "softmax" | "entropy" | "uniform" | "reset" | "step" | "rewardsToGo";
  args: never[];
}

interface Training {
  recipe: Recipe;
  seed: number;
  parameters?: number[]; // to begin with
  iterations?: number; // else to the end
  states?: never[];
}

const site = process.argv[2]!;
const description = JSON.parse(fs.readFileSync(path.join(site, "engine.json"), "utf8"));
const engine = await Engine.load(fs.readFileSync(path.join(site, "engine.wasm")), description);

/** Train as asked; return everything that a test looks at. */
function trained({ recipe, seed, parameters, iterations = Infinity, states = [] }: Training): object {
  const run = engine.run(recipe, seed);
  if (parameters) run.load(Float32Array.from(parameters));
  const [before, episode] = [run.probabilities(states), run.episode(seed)];
  const [returns, steps, norms]: number[][] = [[], [], []];
  for (let k = 0; k < iterations; k++) {
    const progress = run.advance(1);
    returns!.push(...progress.returns);
    steps!.push(...progress.steps);
    norms!.push(progress.gradientNorm);
    if (progress.finished) break;
  }
  const after = Array.from(run.parameters);
  run.free();
  return { returns, steps, norms, before: Array.from(before), episode, parameters: after };
}

const questions = JSON.parse(fs.readFileSync(0, "utf8")) as (Question | Training)[];
const plain = (_: string, value: unknown): unknown => (value instanceof Float64Array ? Array.from(value) : value);
const answers = questions.map((question) =>
  "call" in question ? (engine[question.call] as (...args: never[]) => unknown)(...question.args) : trained(question),
);
process.stdout.write(JSON.stringify(answers, plain));
