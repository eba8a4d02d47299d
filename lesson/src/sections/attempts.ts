// Attempts at CartPole: one recipe, thirty seeds. Sections 9 and 10 train them, and each is trained once a visit.

import type { Engine, Recipe } from "../engine";
import type { Pool, TrainedSeed } from "../pool";
import { format } from "../ui";

export const SEEDS: readonly number[] = Array.from({ length: 30 }, (_, i) => i);
export const SOLVED = 475; // a mean return that counts as solved
export const WINDOW = 50; // episodes that a mean is taken over
export const LONGEST = 500; // steps of an episode, one reward each

export type Interval = readonly [low: number, high: number];

/** What a seed has done so far. */
export interface SeedRun {
  returns: readonly number[];
  trained: TrainedSeed | undefined; // once it has ended
}

export interface Attempt {
  recipe: Recipe;
  runs: SeedRun[]; // one a seed
}

/** Begin an attempt, with the seeds of it that have been trained before. */
export function newAttempt(recipe: Recipe): Attempt {
  const known = trainedBefore(recipe);
  return { recipe, runs: SEEDS.map((_, i) => ({ returns: known[i]?.returns ?? [], trained: known[i] })) };
}

const trained = new Map<string, (TrainedSeed | undefined)[]>();

function trainedBefore(recipe: Recipe): (TrainedSeed | undefined)[] {
  const key = recipeKey(recipe);
  if (!trained.has(key)) trained.set(key, []);
  return trained.get(key)!;
}

/** Return a text that two recipes share only if they are the same. */
export function recipeKey(recipe: Recipe): string {
  return JSON.stringify(Object.entries(recipe).sort());
}

/** Train the seeds that are missing. Rejects when it is aborted; the seeds that have ended are kept. */
export async function complete(pool: Pool, attempt: Attempt, signal: AbortSignal, update: () => void): Promise<void> {
  const missing = SEEDS.filter((seed) => attempt.runs[seed]!.trained === undefined);
  await Promise.all(missing.map((seed) => trainSeed(pool, attempt, seed, signal, update)));
}

async function trainSeed(
  pool: Pool,
  attempt: Attempt,
  seed: number,
  signal: AbortSignal,
  update: () => void,
): Promise<void> {
  const run = attempt.runs[seed]!;
  const onProgress = (_: number, returns: readonly number[]): void => {
    run.returns = returns;
    update();
  };
  const [result] = await pool.train(attempt.recipe, [seed], { signal, onProgress });
  run.returns = result!.returns;
  run.trained = result;
  trainedBefore(attempt.recipe)[seed] = result;
  update();
}

/** Return the seeds that have ended. */
export function ended({ runs }: Attempt): SeedRun[] {
  return runs.filter((run) => run.trained !== undefined);
}

/** Return, for each episode, the mean return of the last 50 up to it; of fewer at the start. */
export function runningMean(returns: readonly number[]): Float64Array {
  const means = new Float64Array(returns.length);
  let sum = 0;
  returns.forEach((G, i) => {
    sum += G - (returns[i - WINDOW] ?? 0);
    means[i] = sum / Math.min(i + 1, WINDOW);
  });
  return means;
}

export type Fate = "solved" | "collapsed" | "other";

/** Tell how a seed ended: at 475 or more, below half of its own best mean of 50 episodes, or neither. */
export function fate(means: Float64Array): Fate {
  const last = means.at(-1) ?? Number.NaN;
  if (last >= SOLVED) return "solved";
  return last < Math.max(...means.subarray(WINDOW - 1)) / 2 ? "collapsed" : "other";
}

export interface Summary {
  last: number[]; // mean of the last 50 episodes, of each seed that has ended
  mean: number; // over seeds
  interval: Interval; // of that mean, 95 %
  worst: number;
  fates: Record<Fate, number>; // seeds
  faults: number; // seeds whose training had to stop
  steps: number; // of the environment, mean over seeds
}

/** Sum up the seeds that have ended. */
export function summarise(engine: Engine, attempt: Attempt): Summary {
  const runs = ended(attempt);
  const means = runs.map(({ returns }) => runningMean(returns));
  const last = means.map((curve) => curve.at(-1) ?? Number.NaN);
  const fates = { solved: 0, collapsed: 0, other: 0 };
  for (const curve of means) fates[fate(curve)] += 1;
  return {
    last,
    mean: average(last),
    interval: bootstrap(engine, last),
    worst: Math.min(...last),
    fates,
    faults: runs.filter((run) => run.trained!.fault !== null).length,
    steps: average(runs.map((run) => run.trained!.steps.at(-1) ?? 0)),
  };
}

/** Return the mean. */
export function average(values: ArrayLike<number>): number {
  return Array.from(values).reduce((sum, value) => sum + value, 0) / values.length;
}

const RESAMPLES = 400;
let luck: Float64Array | undefined; // uniform numbers, [RESAMPLES · seeds]

/** Return the 95 % interval of a mean over seeds: percentiles of the means of seeds drawn with replacement. */
export function bootstrap(engine: Engine, values: ArrayLike<number>): Interval {
  luck ??= Float64Array.from({ length: RESAMPLES * SEEDS.length }, (_, i) => engine.uniform(0, i));
  const means = new Float64Array(RESAMPLES);
  for (let k = 0; k < RESAMPLES; k += 1) {
    for (let i = 0; i < values.length; i += 1) {
      means[k]! += values[Math.floor(values.length * luck[k * SEEDS.length + i]!)]! / values.length;
    }
  }
  means.sort();
  return [means[Math.round(0.025 * (RESAMPLES - 1))]!, means[Math.round(0.975 * (RESAMPLES - 1))]!];
}

/** Write an interval in brackets. */
export function bracket([low, high]: Interval): string {
  return `[${format(low)}, ${format(high)}]`;
}

let newest: Recipe | undefined;
const followers = new Set<() => void>();

/** Tell which recipe section 9 trained last, all seeds of it. */
export function latestRecipe(): Recipe | undefined {
  return newest;
}

/** Note that section 9 has trained all seeds of a recipe. */
export function setLatestRecipe(recipe: Recipe): void {
  newest = recipe;
  for (const follow of followers) follow();
}

/** Be told when section 9 has trained another recipe. */
export function onLatestRecipe(follow: () => void): void {
  followers.add(follow);
}
