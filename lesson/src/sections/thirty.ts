// Thirty trained policies of section 10: chosen by name, trained when they are seen, asked and followed.

import { NOTEBOOK, type Recipe, type Run, type State } from "../engine";
import type { Context } from "../section";
import type { Setting } from "../settings";
import { h, settingChoice } from "../ui";
import { complete, ended, latestRecipe, newAttempt, onLatestRecipe, recipeKey, SEEDS, type Attempt } from "./attempts";
import { throttle, watchVisible } from "./when";

export type PolicyName = "value" | "ppo" | "notebook" | "yours";

export const POLICIES: readonly { value: PolicyName; label: string }[] = [
  { value: "ppo", label: "PPO" },
  { value: "value", label: "REINFORCE with $V(s)$" },
  { value: "notebook", label: "the notebook’s" },
  { value: "yours", label: "your last of section 9" },
];

const RECIPES: Record<Exclude<PolicyName, "yours">, Recipe> = {
  value: { ...NOTEBOOK, baseline: "value", learningRate: 0.003 },
  ppo: { ...NOTEBOOK, algorithm: "ppo", network: "default", learningRate: 0.001, totalEpisodes: 200 },
  notebook: NOTEBOOK,
};

export interface Policies {
  element: HTMLElement;
  kind(): string; // differs between recipes
  seeds(): readonly number[]; // that have been trained to the end
  probabilities(states: State[]): Float64Array[]; // π(right | s) of each trained seed
  lend<T>(seed: number, call: (run: Run) => T): T; // the seed's policy
  visits(seed: number): State[]; // states of a few episodes
  measure<T>(name: PolicyName, call: () => T): Promise<T>; // once all seeds of these policies have been trained
  onChange(listener: () => void): void; // another recipe, or another seed
}

export const EPISODES = 3; // to look at, a seed
const FIRST_EPISODE = 1000; // their random seeds, which no training used

/** Train the chosen policies, seed after seed, while the section is in the window. */
export function startPolicies(context: Context, name: Setting<PolicyName>, root: HTMLElement): Policies {
  const { engine, pool } = context;
  const listeners = new Set<() => void>();
  const status = h("p", { class: "message", role: "status" });
  const control = settingChoice(name, { label: "Thirty policies, trained by", options: POLICIES });
  let attempt = newAttempt(recipeNamed(name.get()));
  let run = engine.run(attempt.recipe, 0);
  let visited = new Map<number, State[]>();
  let abort = new AbortController();
  let training: Promise<void> | undefined;
  let visible = false;
  let awaited = 0; // measurements that wait for the training

  const tell = throttle(() => {
    status.textContent = progressText(attempt, name.get());
    for (const listener of listeners) listener();
  }, 150);

  function choose(): void {
    const recipe = recipeNamed(name.get());
    if (recipeKey(recipe) !== recipeKey(attempt.recipe)) {
      pause();
      run.free();
      run = engine.run(recipe, 0);
      visited = new Map();
      attempt = newAttempt(recipe);
    }
    tell();
    if (visible) void train();
  }

  function pause(): void {
    abort.abort(new Error("other policies were chosen meanwhile"));
    abort = new AbortController();
    training = undefined;
  }

  function train(): Promise<void> {
    training ??= complete(pool, attempt, abort.signal, tell);
    training.catch(() => undefined); // paused; whoever waits for it is told
    return training;
  }

  function lend<T>(seed: number, call: (run: Run) => T): T {
    run.load(attempt.runs[seed]!.trained!.parameters);
    return call(run);
  }

  name.subscribe(choose);
  onLatestRecipe(() => name.get() === "yours" && choose());
  watchVisible(root, (now) => {
    visible = now;
    if (visible) void train();
    else if (awaited === 0 && ended(attempt).length < SEEDS.length) pause();
  });

  const seeds = (): number[] => SEEDS.filter((seed) => attempt.runs[seed]!.trained?.fault === null);
  return {
    element: h("div", {}, control.element, status),
    kind: () => recipeKey(attempt.recipe),
    seeds,
    probabilities: (states) => seeds().map((seed) => lend(seed, (policy) => policy.probabilities(states))),
    lend,
    visits(seed) {
      const states = visited.get(seed) ?? lend(seed, visitsOf);
      visited.set(seed, states);
      return states;
    },
    async measure(wanted, call) {
      const before = name.get();
      name.set(wanted);
      awaited += 1;
      try {
        await train();
        return call();
      } finally {
        awaited -= 1;
        name.set(before);
      }
    },
    onChange: (listener) => void listeners.add(listener),
  };
}

function visitsOf(policy: Run): State[] {
  return Array.from({ length: EPISODES }, (_, k) => policy.episode(FIRST_EPISODE + k).states).flat();
}

function recipeNamed(name: PolicyName): Recipe {
  return name === "yours" ? (latestRecipe() ?? NOTEBOOK) : RECIPES[name];
}

function progressText(attempt: Attempt, name: PolicyName): string {
  const { length } = ended(attempt);
  const fallback = name === "yours" && latestRecipe() === undefined;
  const note = fallback ? " Nothing has been trained in section 9 yet, so these are the notebook’s." : "";
  const done = length < SEEDS.length ? `Trained: ${length} of ${SEEDS.length} seeds …` : `${length} seeds are trained.`;
  return done + note;
}
