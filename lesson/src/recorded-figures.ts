// What a browser that cannot compute the lesson is shown instead: figures that pgrad drew, from docs/images.

import { h } from "./dom";

const FIGURES: readonly (readonly [file: string, caption: string])[] = [
  ["theory_preferences", "Softmax turns three preferences into probabilities."],
  ["theory_temperature", "A low temperature is greedy, a high one is nearly uniform."],
  ["theory_cloud", "Estimates of the gradient scatter around it: less with more trajectories, or with a baseline."],
  ["theory_landscape", "The performance J of every policy with two parameters, and gradient ascent on it."],
  ["theory_sign", "A positive return makes its action more probable, a negative one less."],
  ["theory_variance", "The variance of an estimate against a constant added to rewards, with and without a baseline."],
  ["training_curve", "Thirty seeds learn CartPole-v1: the mean return with its interval, and every seed."],
];

/** Make the list of figures. */
export function recordedFigures(): HTMLElement {
  const figures = FIGURES.map(([file, caption]) =>
    h(
      "figure",
      {},
      h("img", { src: `images/${file}.png`, alt: caption, class: "recorded" }),
      h("figcaption", {}, caption),
    ),
  );
  return h("div", { class: "recorded-figures" }, h("p", {}, "These figures were drawn by pgrad itself."), ...figures);
}
