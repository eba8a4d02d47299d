// The lesson's smallest problem, the chain 0 – 1 – goal: its settings, its trajectories in words, and plane geometry.

import type { Engine, EstimatorChoice, Moments, Problem, Row } from "../engine";
import type { NumberSetting, Setting, Settings } from "../settings";
import { type Control, fixed, format, slider } from "../ui";

export type Vector = readonly [number, number];

export const REACH = 4; // size of the largest preference
const GOAL = 2;

/** The policy's parameters, and the chance that a step of the chain slips. */
export interface Chain {
  theta: Setting<readonly number[]>; // preference for right in states 0 and 1; for left it is 0
  slip: NumberSetting;
}

/** The problem and the policy that docs/theory.md adds up by hand: what every figure begins with. */
export const EXAMPLE: Problem = { slip: 0.1, constant: 0, discount: 0.9 };
export const EXAMPLE_POINT: [number, number] = [-0.5, 0.5];

/** Declare θ and the slip as settings; they begin with the example. */
export function chainSettings(settings: Settings): Chain {
  return {
    theta: settings.numbers("theta", { default: EXAMPLE_POINT, min: -REACH, max: REACH }),
    slip: settings.number("slip", { default: EXAMPLE.slip, min: 0, max: 0.45 }), // at ½ no action matters,
  };
}

/** Return θ as a point of the plane. */
export function pointOf({ theta }: Chain): [number, number] {
  const [x = 0, y = 0] = theta.get();
  return [x, y];
}

/** Make a slider for one of the two preferences. */
export function preferenceSlider({ theta }: Chain, state: 0 | 1): Control<number> {
  const control = slider({
    label: `Preference $\\theta_${state}$ for right in state ${state}`,
    min: -REACH,
    max: REACH,
    step: 0.1,
    value: theta.get()[state]!,
    onInput: (value) => theta.set(theta.get().map((old, i) => (i === state ? value : old))),
  });
  theta.subscribe((values) => control.set(values[state]!));
  return control;
}

/** Return the catalogue's estimator of that name. */
export function estimatorNamed(engine: Engine, name: string): EstimatorChoice {
  return engine.catalogue.find((choice) => choice.name === name)!;
}

/** Say whether the slip turned a step round. */
export function slipped({ states, actions }: Row, step: number): boolean {
  const movedRight = states[step + 1]! > states[step]!;
  return movedRight !== (actions[step] === 1);
}

/** Name a state. */
export function stateName(state: number): string {
  return state === GOAL ? "goal" : String(state);
}

/** Write a trajectory: "0 →1 →goal". The arrow is the action, behind it is the state it led to, ~ marks a slip. */
export function trajectoryName(row: Row): string {
  const steps = row.actions.map((action, t) => {
    const arrow = action === 1 ? "→" : "←";
    return `${arrow}${slipped(row, t) ? "~" : ""}${stateName(row.states[t + 1]!)}`;
  });
  return ["0", ...steps].join(" ");
}

/** Return the length of a vector. */
export function norm([x, y]: Vector): number {
  return Math.hypot(x, y);
}

/** Return the scalar product of two vectors. */
export function dot([a, b]: Vector, [c, d]: Vector): number {
  return a * c + b * d;
}

/** Return the distance between two points. */
export function distance([a, b]: Vector, [c, d]: Vector): number {
  return Math.hypot(a - c, b - d);
}

/** Return the angle between two vectors in degrees; not a number if one of them is zero. */
export function angle(a: Vector, b: Vector): number {
  const cosine = dot(a, b) / (norm(a) * norm(b));
  return (180 / Math.PI) * Math.acos(Math.min(1, Math.max(-1, cosine)));
}

/** Return tr Cov, the mean squared distance of an estimate from its mean. */
export function trace({ covariance }: Moments): number {
  return covariance[0] + covariance[2];
}

/** Return the mean and the covariance of a sample [x₀, y₀, x₁, y₁, …]. */
export function sampleMoments(points: ArrayLike<number>): Moments {
  const count = points.length / 2;
  const mean: [number, number] = [0, 0];
  for (let k = 0; k < points.length; k += 1) mean[k % 2]! += points[k]! / count;
  const covariance: [number, number, number] = [0, 0, 0];
  for (let k = 0; k < count; k += 1) {
    const [dx, dy] = [points[2 * k]! - mean[0], points[2 * k + 1]! - mean[1]];
    covariance[0] += (dx * dx) / (count - 1);
    covariance[1] += (dx * dy) / (count - 1);
    covariance[2] += (dy * dy) / (count - 1);
  }
  return { mean, covariance };
}

/** Write a vector: "(0.091, 0.061)". */
export function spellVector([x, y]: Vector, decimals = 3): string {
  const component = (value: number) => fixed(Math.abs(value) < 0.5 * 10 ** -decimals ? 0 : value, decimals);
  return `(${component(x)}, ${component(y)})`;
}

/** Write a length so small that rounding alone could have made it as 0. */
export function spellLength(length: number): string {
  return length < 1e-9 ? "0" : format(length);
}

/** Return a round number that is not below a length: 1, 1.5, 2, 3, 4, 5, 7 times a power of ten. */
export function roundUp(length: number): number {
  const power = 10 ** Math.floor(Math.log10(length));
  return power * [1, 1.5, 2, 3, 4, 5, 7, 10].find((factor) => factor * power >= length)!;
}
