// The map of one policy over the pole's angle and angular speed, and where that policy goes.

import type { State } from "../engine";
import { addDots, addRule, addText, COLOURS, heatMap, type Plot } from "../plot";
import type { NumberSetting } from "../settings";
import { figure, fixed, format, type Figure, type Table } from "../ui";
import { ANGLE_LIMIT, DEGREE } from "./cart";
import { ASKED, inNumbers, type Yours } from "./states";
import { EPISODES, type Policies } from "./thirty";

const LIMIT = ANGLE_LIMIT * DEGREE; // rad

const ANGLES = grid(-0.25, 0.25, 51);
const TURNING = grid(-2, 2, 41);

function grid(low: number, high: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => low + ((high - low) * i) / (count - 1));
}

/** Make the map of one seed's policy. Its handle moves the learner's state. */
export function mapFigure(policies: Policies, yours: Yours, chosen: NumberSetting): Figure {
  const shown = () => (policies.seeds().includes(chosen.get()) ? chosen.get() : undefined);
  const drawn = figure({
    title: "$\\pi(\\text{right})$ of one seed over angle and angular speed, and where it goes",
    draw: (width) => mapPlot(width, policies, yours, shown()),
    describe: () => describeMap(policies, yours, shown()),
    table: () => mapTable(policies, yours, shown()),
  });
  const [, , angle, turning] = yours.parts;
  drawn.addHandle({
    label: "Angle and angular speed of your state",
    at: () => [angle.get(), turning.get()],
    step: [0.005, 0.05],
    move(newAngle, newTurning) {
      angle.set(Number(newAngle.toFixed(3)));
      turning.set(Number(newTurning.toFixed(2)));
    },
    describe: () => inNumbers(yours.get()),
  });
  return drawn;
}

function mapPlot(width: number, policies: Policies, yours: Yours, seed: number | undefined): Plot {
  const [x, speed] = yours.get();
  const states = TURNING.flatMap((turning) => ANGLES.map((angle): State => [x, speed, angle, turning]));
  const values = seed === undefined ? states.map(() => 0.5) : policies.lend(seed, (run) => run.probabilities(states));
  const plot = heatMap(width, {
    x: { label: "pole angle φ (rad)", domain: [-0.25, 0.25], values: [-0.2, -0.1, 0, 0.1, 0.2] },
    y: { label: "angular speed φ̇ (rad/s)", domain: [-2, 2] },
    columns: ANGLES,
    rows: TURNING,
    values,
    range: [0, 1],
    levels: 10,
    label: "π(right)",
    height: Math.min(360, 0.75 * width),
  });
  if (seed !== undefined) {
    const dots = policies.visits(seed).flatMap(([, , angle, turning]) => [angle, turning]);
    addDots(plot, dots, { color: COLOURS.vermilion, radius: 1.3, opacity: 0.35 });
  }
  addRule(plot, { x: -LIMIT, color: COLOURS.ink });
  addRule(plot, { x: LIMIT, color: COLOURS.ink });
  ASKED.forEach(({ state: [, , angle, turning] }, i) => {
    addDots(plot, [angle, turning], { color: "var(--paper)", radius: 9, opacity: 1 });
    addText(plot, [angle, turning - 0.06], String(i + 1));
  });
  return plot;
}

/** Return how far the policy's visits reach: 95 % of them are within so many rad, and rad/s, of the upright. */
function reach(visits: readonly State[]): { angle: number; turning: number } {
  const within = (values: number[]) => values.map(Math.abs).sort((a, b) => a - b)[Math.floor(0.95 * values.length)]!;
  return { angle: within(visits.map((s) => s[2])), turning: within(visits.map((s) => s[3])) };
}

function describeMap(policies: Policies, yours: Yours, seed: number | undefined): string {
  if (seed === undefined) return "This seed has not been trained yet.";
  const visits = policies.visits(seed);
  const { angle, turning } = reach(visits);
  const right = policies.lend(seed, (run) => run.probabilities([yours.get()]))[0]!;
  return (
    `In ${EPISODES} episodes seed ${seed} visits ${format(visits.length)} states. 95 % of them are within ` +
    `${fixed(angle, 3)} rad, and 95 % within ${fixed(turning, 2)} rad/s. In your state its π(right) is ` +
    `${fixed(right, 2)}. ` +
    `Beyond the dashed lines at ±${fixed(LIMIT, 3)} rad the episode ends.`
  );
}

function mapTable(policies: Policies, yours: Yours, seed: number | undefined): Table {
  const [x, speed] = yours.get();
  const angles = [-0.2, -0.1, 0, 0.1, 0.2];
  const rows = [1.5, 0.5, 0, -0.5, -1.5].map((turning) => {
    const states = angles.map((angle): State => [x, speed, angle, turning]);
    const right = seed === undefined ? [] : policies.lend(seed, (run) => [...run.probabilities(states)]);
    return [`φ̇ = ${fixed(turning, 1)}`, ...right];
  });
  return { columns: ["π(right)", ...angles.map((angle) => `φ = ${fixed(angle, 1)}`)], rows };
}
