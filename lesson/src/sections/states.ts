// The states that section 10 asks about: the notebook's five, and the learner's.

import type { Engine, State } from "../engine";
import { COLOURS } from "../plot";
import type { NumberSetting } from "../settings";
import { figure, fixed, type Figure } from "../ui";
import { addCart, track } from "./cart";

/** The notebook's states. */
export const ASKED: readonly { title: string; state: State }[] = [
  { title: "centred, upright, at rest", state: [0, 0, 0, 0] },
  { title: "cart on the left, pole tilts right", state: [-1, -0.5, 0.1, 0.5] },
  { title: "cart on the right, pole tilts left", state: [1, 0.5, -0.1, -0.5] },
  { title: "pole falls fast to the right", state: [0, 0, 0.2, 1.5] },
  { title: "pole falls fast to the left", state: [0, 0, -0.2, -1.5] },
];

/** The learner's state. */
export interface Yours {
  parts: readonly [x: NumberSetting, speed: NumberSetting, angle: NumberSetting, turning: NumberSetting];
  get(): State;
  set(state: State): void;
}

/** Say what becomes of a state, whatever one does there. */
export function aftermath(engine: Engine, state: State): string {
  const ends = [0, 1].map((action) => engine.step(state, action).terminated);
  if (ends.every((end) => end)) return "The episode ends with the next step, whatever one does.";
  return ends.some((end) => end) ? "One of the two actions ends the episode." : "The episode goes on.";
}

/** Draw the learner's cart. */
export function stateFigure(yours: Yours): Figure {
  return figure({
    title: "Your state",
    draw: (width) => {
      const plot = track(width, []);
      addCart(plot, yours.get(), { color: COLOURS.blue });
      return plot;
    },
    describe: () => inNumbers(yours.get()),
    table: () => ({
      columns: ["x (m)", "ẋ (m/s)", "φ (rad)", "φ̇ (rad/s)"],
      rows: [yours.get()],
    }),
  });
}

/** Tell a state. */
export function inNumbers([x, speed, angle, turning]: State): string {
  const cart = `The cart is at ${fixed(x, 2)} m and moves at ${fixed(speed, 2)} m/s.`;
  return `${cart} The pole tilts by ${fixed(angle, 3)} rad and turns at ${fixed(turning, 2)} rad/s.`;
}
