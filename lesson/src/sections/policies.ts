// The two policies of sections 3, 4 and 8: a network before any training, and the same one after training here.

import { NOTEBOOK, type Recipe, type Run } from "../engine";
import type { Context } from "../section";
import type { Setting } from "../settings";
import { fixed, format, h, settingChoice } from "../ui";

export type PolicyName = "untrained" | "trained";

const NAMES: readonly PolicyName[] = ["untrained", "trained"];
const SEED = 1;
const LAST = 20; // episodes whose mean return says how good a trained policy is

/** The notebook's network; several episodes a step and a smaller step, so that it learns to balance the pole. */
const RECIPE: Recipe = {
  ...NOTEBOOK,
  learningRate: 0.005,
  episodes: 8,
  baseline: "leave-one-out",
  totalEpisodes: 800,
};

interface Trained {
  run: Run;
  report: string;
}

let untrained: Run | undefined;
let trained: Promise<Trained> | undefined;

/** Return the network as it is drawn, before any training. */
export function untrainedPolicy({ engine }: Context): Run {
  untrained ??= engine.run(RECIPE, SEED);
  return untrained;
}

/** Train the same network in the pool; once a visit. */
function trainedPolicy(context: Context): Promise<Trained> {
  trained ??= train(context).catch((error: unknown) => {
    trained = undefined;
    throw error;
  });
  return trained;
}

async function train({ engine, pool }: Context): Promise<Trained> {
  const start = performance.now();
  const [result] = await pool.train(RECIPE, [SEED]);
  const { returns, parameters, fault } = result!;
  if (fault !== null) throw new Error(fault);
  const run = engine.run(RECIPE, SEED);
  run.load(parameters);
  const mean = returns.slice(-LAST).reduce((sum, G) => sum + G, 0) / LAST;
  const seconds = fixed((performance.now() - start) / 1000, 2);
  const lasted = `In the last ${LAST} the pole stood for ${format(mean)} steps on average.`;
  return { run, report: `Trained in this browser: ${returns.length} episodes in ${seconds} s. ${lasted}` };
}

export interface PolicyChoice {
  element: HTMLElement;
  name: Setting<PolicyName>;
  run(): Run; // the chosen one; the untrained one while the other is being trained
  all(): { name: PolicyName; run: Run }[]; // those that are ready
  prepare(): Promise<Run>; // train it, if that has not been done
}

/** Make a choice between the two policies. `update` is called when another one acts, and when training has ended. */
export function policyChoice(context: Context, update: () => void): PolicyChoice {
  const name = context.settings.text<PolicyName>("policy", { default: "untrained", allowed: NAMES });
  const status = h("p", { class: "message", role: "status" });
  const options = NAMES.map((value) => ({ value, label: value }));
  const control = settingChoice(name, { label: "Policy", options });
  const all = [{ name: NAMES[0]!, run: untrainedPolicy(context) }];

  async function prepare(): Promise<Run> {
    status.textContent = `Training ${RECIPE.totalEpisodes} episodes …`;
    const { run, report } = await trainedPolicy(context);
    status.textContent = report;
    if (all.length === 1) all.push({ name: "trained", run });
    update();
    return run;
  }

  function follow(): void {
    if (name.get() === "trained" && all.length === 1) prepare().catch(giveUp);
    else update();
  }

  function giveUp(error: unknown): void {
    name.set("untrained");
    status.textContent = `It could not be trained: ${String(error)}`;
  }

  name.subscribe(follow);
  if (name.get() === "trained") follow();
  return {
    element: h("div", {}, control.element, status),
    name,
    run: () => (all.find((policy) => policy.name === name.get()) ?? all[0]!).run,
    all: () => all,
    prepare,
  };
}
