// A pool of workers, one a core, that trains one run a seed. A move of a slider cancels what is running at once.

import type { EngineDescription, Recipe } from "./engine";
import type { FromWorker, ToWorker } from "./worker";

export interface TrainedSeed {
  seed: number;
  returns: number[]; // of each episode
  steps: number[]; // of the environment, at the end of each episode
  entropy: number; // at the end, nats
  gradientNorm: number; // of the last gradient step
  parameters: Float32Array;
  fault: string | null; // why it did not finish
}

export interface TrainOptions {
  /** Called at least ten times a second of a seed's training, with all its episodes so far. */
  onProgress?: (seedIndex: number, returns: readonly number[], steps: readonly number[], done: boolean) => void;
  signal?: AbortSignal;
}

interface Job {
  recipe: Recipe;
  seed: number;
  attempts: number;
  returns: number[];
  steps: number[];
  progress(done: boolean): void;
  finish(result: TrainedSeed): void;
}

interface Slot {
  worker: Worker;
  alive: boolean;
  job: Job | undefined;
  watchdog: number;
}

const SILENCE = 15_000; // milliseconds without a message after which a busy worker is taken for dead

export class Pool {
  private readonly slots: Slot[] = [];
  private queue: Job[] = [];

  /** Start `size` workers. `report` is told when one had to be replaced. */
  constructor(
    private readonly wasm: ArrayBuffer,
    private readonly description: EngineDescription,
    private readonly report: (problem: string) => void,
    readonly size = navigator.hardwareConcurrency,
  ) {
    for (let i = 0; i < size; i += 1) this.addSlot();
  }

  /** Train one run a seed. Rejects with the signal's reason when it is aborted; the workers stop at once. */
  train(recipe: Recipe, seeds: readonly number[], options: TrainOptions = {}): Promise<TrainedSeed[]> {
    const { signal, onProgress } = options;
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const results: TrainedSeed[] = [];
      let missing = seeds.length;
      const jobs = seeds.map((seed, index): Job => {
        const job: Job = {
          recipe,
          seed,
          attempts: 0,
          returns: [],
          steps: [],
          progress: (done) => onProgress?.(index, job.returns, job.steps, done),
          finish: (result) => {
            results[index] = result;
            missing -= 1;
            if (missing === 0) resolve(results);
          },
        };
        return job;
      });
      signal?.addEventListener("abort", () => {
        this.cancel(new Set(jobs));
        reject(signal.reason);
      });
      this.queue.push(...jobs);
      this.assign();
    });
  }

  private cancel(jobs: Set<Job>): void {
    this.queue = this.queue.filter((job) => !jobs.has(job));
    for (const slot of this.slots) if (slot.job && jobs.has(slot.job)) this.replaceWorker(slot);
    this.assign();
  }

  private assign(): void {
    for (const slot of this.slots) {
      if (slot.job !== undefined) continue;
      const job = this.queue.shift();
      if (job === undefined) return;
      if (!slot.alive) this.startWorker(slot);
      slot.job = job;
      job.attempts += 1;
      this.watch(slot);
      post(slot.worker, { type: "train", recipe: job.recipe, seed: job.seed });
    }
  }

  private addSlot(): void {
    const slot: Slot = { worker: undefined!, alive: false, job: undefined, watchdog: 0 };
    this.startWorker(slot);
    this.slots.push(slot);
  }

  private startWorker(slot: Slot): void {
    const worker = new Worker(new URL("worker.js", document.baseURI));
    worker.onmessage = (event: MessageEvent<FromWorker>) => this.receive(slot, event.data);
    worker.onerror = (event) => {
      event.preventDefault();
      this.bury(slot, event.message ?? "it could not be loaded");
    };
    post(worker, { type: "load", wasm: this.wasm, description: this.description });
    slot.worker = worker;
    slot.alive = true;
  }

  private replaceWorker(slot: Slot): void {
    window.clearTimeout(slot.watchdog);
    slot.worker.terminate();
    slot.job = undefined;
    this.startWorker(slot);
  }

  private watch(slot: Slot): void {
    window.clearTimeout(slot.watchdog);
    slot.watchdog = window.setTimeout(() => this.bury(slot, "it fell silent"), SILENCE);
  }

  private receive(slot: Slot, message: FromWorker): void {
    const job = slot.job!;
    if (message.type === "progress") {
      job.returns.push(...message.returns);
      job.steps.push(...message.steps);
      this.watch(slot);
      return job.progress(false);
    }
    const { entropy, gradientNorm, parameters, fault } = message;
    this.release(slot);
    job.progress(true);
    job.finish({
      seed: job.seed,
      returns: job.returns,
      steps: job.steps,
      entropy,
      gradientNorm,
      parameters,
      fault,
    });
  }

  private release(slot: Slot): void {
    window.clearTimeout(slot.watchdog);
    slot.job = undefined;
    this.assign();
  }

  // A worker that dies idle is replaced when there is work again: one that cannot be loaded would die for ever.
  private bury(slot: Slot, reason: string): void {
    const job = slot.job;
    slot.alive = false;
    if (job === undefined) return;
    this.replaceWorker(slot);
    this.report(`A worker that trained seed ${job.seed} died (${reason}). It was replaced.`);
    job.returns.length = 0;
    job.steps.length = 0;
    if (job.attempts < 2) this.queue.unshift(job);
    else this.giveUp(job, reason);
    this.assign();
  }

  private giveUp(job: Job, reason: string): void {
    const none = { returns: [], steps: [], entropy: Number.NaN, gradientNorm: Number.NaN };
    const fault = `The worker died twice: ${reason}.`;
    job.progress(true);
    job.finish({ seed: job.seed, ...none, parameters: new Float32Array(), fault });
  }
}

function post(worker: Worker, message: ToWorker): void {
  worker.postMessage(message);
}
