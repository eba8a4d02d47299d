// The settings of section 9: a recipe, how its controls show it, and how it is told in words.

import { NOTEBOOK, type Recipe } from "../engine";
import type { Context } from "../section";
import type { NumberSetting, Setting } from "../settings";
import { format, settingChoice, settingSlider, type Control } from "../ui";

const MOST_EPISODES = 2000;

export interface Dials {
  algorithm: Setting<Recipe["algorithm"]>;
  network: Setting<Layers>;
  estimator: Setting<Estimator>;
  baseline: Setting<Recipe["baseline"]>;
  standardize: Setting<"no" | "yes">;
  rate: NumberSetting;
  episodes: NumberSetting;
  discount: NumberSetting;
  total: NumberSetting;
}

type Layers = "notebook" | "two-layers";
type Estimator = "total-return" | "reward-to-go";

/** Declare the settings. */
export function makeDials({ settings }: Context): Dials {
  return {
    algorithm: settings.text("algorithm", { default: NOTEBOOK.algorithm, allowed: ["reinforce", "ppo"] }),
    network: settings.text<Layers>("network", { default: "notebook", allowed: ["notebook", "two-layers"] }),
    estimator: settings.text<Estimator>("estimator", {
      default: "reward-to-go",
      allowed: ["total-return", "reward-to-go"],
    }),
    baseline: settings.text("baseline", {
      default: NOTEBOOK.baseline,
      allowed: ["none", "mean", "leave-one-out", "value"],
    }),
    standardize: settings.text("standardize", { default: "no", allowed: ["no", "yes"] }),
    rate: settings.number("rate", { default: NOTEBOOK.learningRate, min: 0.0003, max: 0.1 }),
    episodes: settings.number("episodes", { default: NOTEBOOK.episodes, min: 1, max: 16, integer: true }),
    discount: settings.number("discount", { default: NOTEBOOK.discount, min: 0, max: 1 }),
    total: settings.number("total", {
      default: NOTEBOOK.totalEpisodes,
      min: NOTEBOOK.totalEpisodes,
      max: MOST_EPISODES,
      integer: true,
    }),
  };
}

/** Make the controls that every algorithm has. */
export function commonControls(dials: Dials): Control<any>[] {
  return [
    settingChoice(dials.algorithm, {
      label: "Algorithm",
      options: [
        { value: "reinforce", label: "REINFORCE" },
        { value: "ppo", label: "PPO, the last rung" },
      ],
    }),
    settingSlider(dials.rate, { label: "Learning rate", step: 0.0001, log: true }),
    settingSlider(dials.total, { label: "Episodes in all", step: 1 }),
    settingSlider(dials.discount, { label: "Discount $\\gamma$", step: 0.005 }),
  ];
}

/** Make the controls of REINFORCE, whose batches are whole episodes. */
export function wholeEpisodeControls(dials: Dials): Control<any>[] {
  return [
    settingSlider(dials.episodes, { label: "Episodes a gradient step, $N$", step: 1 }),
    settingChoice(dials.baseline, {
      label: "Baseline, subtracted from the return",
      options: [
        { value: "none", label: "none" },
        { value: "mean", label: "mean" },
        { value: "leave-one-out", label: "mean of the others" },
        { value: "value", label: "$V(s)$, learned" },
      ],
    }),
    settingChoice(dials.estimator, {
      label: "Each action is credited with",
      options: [
        { value: "reward-to-go", label: "the reward to go" },
        { value: "total-return", label: "the total return" },
      ],
    }),
    settingChoice(dials.standardize, {
      label: "Standardise (divide by the spread)",
      options: [
        { value: "no", label: "no" },
        { value: "yes", label: "yes" },
      ],
    }),
    settingChoice(dials.network, {
      label: "Network",
      options: [
        { value: "notebook", label: "128 units" },
        { value: "two-layers", label: "two layers of 128" },
      ],
    }),
  ];
}

/** Return the recipe that the controls show. */
export function recipeOf(dials: Dials): Recipe {
  const common = {
    learningRate: dials.rate.get(),
    discount: dials.discount.get(),
    totalEpisodes: dials.total.get(),
  };
  if (dials.algorithm.get() === "ppo") return { ...NOTEBOOK, ...common, algorithm: "ppo", network: "default" };
  return {
    ...common,
    algorithm: "reinforce",
    network: dials.network.get(),
    estimator: dials.estimator.get(),
    baseline: dials.baseline.get(),
    standardize: dials.standardize.get() === "yes",
    episodes: dials.episodes.get(),
  };
}

/** Let the controls show a recipe. */
export function showRecipe(dials: Dials, recipe: Recipe): void {
  dials.algorithm.set(recipe.algorithm);
  dials.rate.set(recipe.learningRate);
  dials.discount.set(recipe.discount);
  dials.total.set(recipe.totalEpisodes);
  if (recipe.algorithm === "ppo") return;
  dials.network.set(recipe.network as Layers);
  dials.estimator.set(recipe.estimator as Estimator);
  dials.baseline.set(recipe.baseline);
  dials.standardize.set(recipe.standardize ? "yes" : "no");
  dials.episodes.set(recipe.episodes);
}

/** Say why a recipe cannot be trained; "" if it can. */
export function complaint({ algorithm, baseline, episodes }: Recipe): string {
  if (algorithm === "ppo" || baseline !== "leave-one-out" || episodes > 1) return "";
  return "The mean of the other episodes needs others: take at least two episodes a gradient step.";
}

const BASELINES: Record<Recipe["baseline"], string> = {
  none: "no baseline",
  mean: "the batch’s mean as baseline",
  "leave-one-out": "the mean of the others as baseline",
  value: "V(s) as baseline",
};

/** Say what of a recipe is not the notebook's. */
export function describeRecipe(recipe: Recipe): string {
  const whole = recipe.algorithm === "reinforce";
  const parts = [
    !whole && "PPO",
    whole && recipe.network === "two-layers" && "two hidden layers",
    recipe.learningRate !== NOTEBOOK.learningRate && `learning rate ${format(recipe.learningRate)}`,
    whole && recipe.episodes !== NOTEBOOK.episodes && `${recipe.episodes} episodes a step`,
    whole && recipe.baseline !== NOTEBOOK.baseline && BASELINES[recipe.baseline],
    whole && recipe.standardize && "standardised",
    whole && recipe.estimator === "total-return" && "total return",
    recipe.discount !== NOTEBOOK.discount && `γ ${format(recipe.discount, 4)}`,
    recipe.totalEpisodes !== NOTEBOOK.totalEpisodes && `${format(recipe.totalEpisodes)} episodes in all`,
  ];
  return parts.filter((part) => part !== false).join(", ") || "the notebook’s recipe";
}
