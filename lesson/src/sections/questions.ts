// Twelve things that are often misunderstood, each a choice of three. No answer is written here: all are measured.

import { NOTEBOOK } from "../engine";
import type { Context } from "../section";
import { complete, newAttempt, summarise } from "./attempts";
import { angle, distance, dot, estimatorNamed, EXAMPLE, EXAMPLE_POINT, norm, trace } from "./chain";

export interface Question {
  text: string; // marked text, as all below
  options: readonly [string, string, string];
  measure: (context: Context) => string | Promise<string>; // one of the options
  explain: string;
}

const PREFERENCES = [2, 1, 0.5];
const PLAIN = "reward-to-go";
const SAME = 1e-9;

export const QUESTIONS: readonly Question[] = [
  {
    text: "100 is added to every preference of a softmax policy. The probability of the first action …",
    options: ["grows", "stays the same", "shrinks"],
    measure: ({ engine }) =>
      compared(engine.softmax(PREFERENCES.map((h) => h + 100))[0]! - engine.softmax(PREFERENCES)[0]!),
    explain: "Only differences of preferences count: the factor $e^{100}$ cancels.",
  },
  {
    text: "The temperature of a softmax policy is doubled. Its actions become …",
    options: ["more alike", "less alike", "neither"],
    measure: ({ engine }) => {
      const change = engine.entropy(engine.softmax(PREFERENCES, 2)) - engine.entropy(engine.softmax(PREFERENCES));
      return change > SAME ? "more alike" : change < -SAME ? "less alike" : "neither";
    },
    explain: "Preferences are divided by $T$, so their differences halve, and the entropy grows.",
  },
  {
    text: "Preferences are 2, 1 and 0.5, at the temperature 0.05. The third action is chosen …",
    options: ["never", "once in a million draws, or more often", "more rarely than that, but not never"],
    measure: ({ engine }) => {
      const chance = engine.softmax(PREFERENCES, 0.05)[2]!;
      if (chance === 0) return "never";
      return chance >= 1e-6 ? "once in a million draws, or more often" : "more rarely than that, but not never";
    },
    explain: "A softmax gives every action some probability. How little, $e^{-30}$, is another matter.",
  },
  {
    text: "$J$ is an average over luck. Beside the return of the most probable trajectory of the lesson's chain, it is …",
    options: ["the same", "smaller", "larger"],
    measure: ({ engine }) => {
      const { rows, performance } = engine.theorem(EXAMPLE, EXAMPLE_POINT);
      const likeliest = rows.reduce((best, row) => (row.probability > best.probability ? row : best));
      const difference = performance - likeliest.G;
      return Math.abs(difference) < SAME ? "the same" : difference < 0 ? "smaller" : "larger";
    },
    explain: "All trajectories count, each with its probability. The most probable one is one of 52.",
  },
  {
    text: "A batch has twice as many trajectories. The mean squared error of the estimate of $\\nabla J$ is …",
    options: ["half as large", "a quarter as large", "as large as before"],
    measure: ({ engine }) => {
      const [one, two] = [1, 2].map((N) =>
        trace(engine.moments(EXAMPLE, EXAMPLE_POINT, estimatorNamed(engine, PLAIN), N)),
      ) as [number, number];
      return nearest(two / one, { "half as large": 0.5, "a quarter as large": 0.25, "as large as before": 1 });
    },
    explain:
      "Variances of means fall as $1/N$, so errors as $1/\\sqrt{N}$: ten times the precision costs a hundred times.",
  },
  {
    text: "The world slips twice as often. $\\sum_t \\nabla\\log\\pi(a_t|s_t)$ of one given trajectory …",
    options: ["grows", "shrinks", "stays the same"],
    measure: ({ engine }) => {
      const [before, after] = [0.1, 0.2].map((slip) =>
        norm(engine.theorem({ ...EXAMPLE, slip }, EXAMPLE_POINT).rows[0]!.score),
      ) as [number, number];
      return compared(after - before);
    },
    explain: "The dynamics hold no parameter of the policy, so they drop out of $\\nabla\\log p(\\omega)$.",
  },
  {
    text: "The chain costs 1 a step. Now 2 is added to every reward. $\\nabla J$ …",
    options: ["stays as it is", "turns to the other side", "grows longer, in its direction"],
    measure: ({ engine }) => {
      const before = engine.theorem(EXAMPLE, EXAMPLE_POINT).gradient;
      const after = engine.theorem({ ...EXAMPLE, constant: 2 }, EXAMPLE_POINT).gradient;
      if (distance(before, after) < SAME) return "stays as it is";
      return angle(before, after) > 90 ? "turns to the other side" : "grows longer, in its direction";
    },
    explain: "Each step now earns 1, so long episodes pay. A constant is harmless only where all episodes are as long.",
  },
  {
    text: "From each return the mean return of the *other* trajectories is subtracted. The estimate's mean …",
    options: ["moves away from the gradient", "stays the gradient", "becomes zero"],
    measure: ({ engine }) => {
      const { gradient } = engine.theorem(EXAMPLE, EXAMPLE_POINT);
      const choice = estimatorNamed(engine, `${PLAIN}, leave-one-out`);
      const { mean } = engine.moments(EXAMPLE, EXAMPLE_POINT, choice, 2);
      if (distance(mean, gradient) < SAME) return "stays the gradient";
      return norm(mean) < SAME ? "becomes zero" : "moves away from the gradient";
    },
    explain: "A baseline that does not depend on the trajectory's own actions takes nothing from the mean.",
  },
  {
    text: "The mean of *all* total returns is subtracted, the own one included, in batches of two. The estimate's mean is …",
    options: ["the gradient itself", "half of the gradient", "twice the gradient"],
    measure: ({ engine }) => {
      const { gradient } = engine.theorem(EXAMPLE, EXAMPLE_POINT);
      const { mean } = engine.moments(EXAMPLE, EXAMPLE_POINT, estimatorNamed(engine, "total return, mean"), 2);
      const share = dot(mean, gradient) / dot(gradient, gradient);
      return nearest(share, { "the gradient itself": 1, "half of the gradient": 0.5, "twice the gradient": 2 });
    },
    explain: "A trajectory's own return is in its baseline with the weight $1/N$, which takes that share away.",
  },
  {
    text: "An unbiased estimator, batches of one trajectory: in how many of 100 does the estimate point uphill?",
    options: ["in all", "in more than half", "in half or fewer"],
    measure: ({ engine }) => {
      const { gradient } = engine.theorem(EXAMPLE, EXAMPLE_POINT);
      const all = engine.allBatches(EXAMPLE, EXAMPLE_POINT, estimatorNamed(engine, PLAIN), 1);
      const uphill = all.probabilities.reduce((sum, chance, k) => {
        return dot([all.estimates[2 * k]!, all.estimates[2 * k + 1]!], gradient) > 0 ? sum + chance : sum;
      }, 0);
      return uphill > 1 - SAME ? "in all" : uphill > 0.5 ? "in more than half" : "in half or fewer";
    },
    explain: "Unbiased tells of the mean over batches and of nothing else. What one step is worth, the variance tells.",
  },
  {
    text: "Most libraries leave the factor $\\gamma^t$ out. With $\\gamma = 0.9$ the mean of their estimate …",
    options: ["is the gradient", "is another vector", "is the gradient in large batches"],
    measure: ({ engine }) => {
      const { gradient } = engine.theorem(EXAMPLE, EXAMPLE_POINT);
      const choice = estimatorNamed(engine, `${PLAIN}, γ^t dropped`);
      const [one, two] = [1, 2].map((N) => distance(engine.moments(EXAMPLE, EXAMPLE_POINT, choice, N).mean, gradient));
      if (one! < SAME) return "is the gradient";
      return two! < 0.75 * one! ? "is the gradient in large batches" : "is another vector";
    },
    explain: "It is the gradient of no objective. In practice that matters little, and late steps are learned faster.",
  },
  {
    text: "CartPole by the notebook's recipe, 300 episodes, thirty seeds, but with 0.3 of its learning rate. It ends …",
    options: ["worse, as it learns slower", "about the same", "better"],
    measure: async ({ engine, pool }) => {
      const [before, after] = (await Promise.all(
        [1, 0.3].map(async (share) => {
          const attempt = newAttempt({ ...NOTEBOOK, learningRate: share * NOTEBOOK.learningRate });
          await complete(pool, attempt, new AbortController().signal, () => undefined);
          return summarise(engine, attempt).mean;
        }),
      )) as [number, number];
      if (Math.abs(after / before - 1) < 0.1) return "about the same";
      return after > before ? "better" : "worse, as it learns slower";
    },
    explain: "At the notebook's rate steps from one noisy episode are so long that what was learned collapses again.",
  },
];

function compared(difference: number): string {
  return Math.abs(difference) < SAME ? "stays the same" : difference > 0 ? "grows" : "shrinks";
}

/** Return the word whose number is nearest. */
function nearest(value: number, words: Record<string, number>): string {
  const off = ([, number]: [string, number]): number => Math.abs(number - value);
  return Object.entries(words).reduce((best, entry) => (off(entry) < off(best) ? entry : best))[0];
}
