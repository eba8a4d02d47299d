// A worker holds an engine of its own and trains one run at a time. It is cancelled by terminating it.

import { Engine, type EngineDescription, type Recipe } from "./engine";

export type ToWorker =
  { type: "load"; wasm: ArrayBuffer; description: EngineDescription } | { type: "train"; recipe: Recipe; seed: number };

export type FromWorker =
  | { type: "progress"; returns: Float64Array; steps: Float64Array } // since the last message
  | { type: "done"; entropy: number; gradientNorm: number; parameters: Float32Array; fault: string | null };

const PATIENCE = 50; // milliseconds of training between two messages, about

let loading: Promise<Engine>;

self.onmessage = (event: MessageEvent<ToWorker>) => {
  const message = event.data;
  if (message.type === "load") loading = Engine.load(message.wasm, message.description);
  else void loading.then((engine) => train(engine, message.recipe, message.seed)).catch(fail);
};

function train(engine: Engine, recipe: Recipe, seed: number): void {
  const run = engine.run(recipe, seed);
  let iterations = 1;
  for (;;) {
    const start = performance.now();
    const { returns, steps, entropy, gradientNorm, finished, fault } = run.advance(iterations);
    send({ type: "progress", returns, steps });
    if (finished || fault !== null) {
      send({ type: "done", entropy, gradientNorm, parameters: run.parameters, fault });
      run.free();
      return;
    }
    iterations = nextIterations(iterations, performance.now() - start);
  }
}

function nextIterations(iterations: number, elapsed: number): number {
  if (elapsed < PATIENCE / 2) return 2 * iterations;
  return elapsed > PATIENCE ? Math.ceil(iterations / 2) : iterations;
}

function send(message: FromWorker): void {
  self.postMessage(message);
}

// An error thrown outside of a promise reaches the pool as the worker's "error" event.
function fail(reason: unknown): void {
  setTimeout(() => {
    throw reason;
  });
}
