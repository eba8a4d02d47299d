// How long thirty policies keep the pole up from a state, if they choose the first push and if it is forced.

import type { Engine, Run, State } from "../engine";
import { COLOURS, linePlot, type Point } from "../plot";
import { figure, type Figure } from "../ui";
import { average } from "./attempts";
import type { Policies } from "./thirty";
import { inFrames } from "./when";

const PATIENCE = 200; // steps that a survivor must last

type First = "own" | "left" | "right"; // who chooses the first push

const FIRSTS: readonly { first: First; label: string; color: string; dash?: string }[] = [
  { first: "own", label: "its own choice", color: COLOURS.blue },
  { first: "left", label: "first push left", color: COLOURS.orange, dash: "7 4" },
  { first: "right", label: "first push right", color: COLOURS.green, dash: "2 3" },
];

export interface Survival {
  lengths: Record<First, number[]>; // steps, of the policies that have been followed so far
  restart(): void;
}

/** Follow each policy from the learner's state. `show` is called when some more have been followed. */
export function startSurvival(engine: Engine, policies: Policies, state: () => State, show: () => void): Survival {
  const lengths: Survival["lengths"] = { own: [], left: [], right: [] };
  const follow = inFrames((seed: number) => {
    policies.lend(seed, (run) => {
      for (const { first } of FIRSTS) lengths[first].push(survive(engine, run, state(), first, seed));
    });
  }, show);

  return {
    lengths,
    restart() {
      for (const { first } of FIRSTS) lengths[first].length = 0;
      follow(policies.seeds());
    },
  };
}

/** Return how many steps the pole stays up, at most PATIENCE. The three kinds of first push share their luck. */
function survive(engine: Engine, run: Run, start: State, first: First, seed: number): number {
  let state = start;
  for (let t = 0; t < PATIENCE; t += 1) {
    const right = run.probabilities([state])[0]!;
    const free = t > 0 || first === "own";
    const action = free ? Number(engine.uniform(seed, t) < right) : Number(first === "right");
    const after = engine.step(state, action);
    if (after.terminated) return t + 1;
    state = after.state;
  }
  return PATIENCE;
}

/** Make the figure of who is still up. */
export function survivalFigure({ lengths }: Survival): Figure {
  return figure({
    title: "Share of the policies whose pole is still up",
    draw: (width) =>
      linePlot(width, {
        x: { label: "steps from your state", domain: [0, PATIENCE] },
        y: { label: "share still up", domain: [0, 1.04], values: [0, 0.25, 0.5, 0.75, 1] },
        height: 210,
        series: FIRSTS.map(({ first, ...style }) => ({ ...style, points: stairs(lengths[first]) })),
      }),
    describe: () => {
      const up = (first: First) => lengths[first].filter((length) => length === PATIENCE).length;
      return (
        `From your state ${up("own")} of ${lengths.own.length} policies last ${PATIENCE} steps by their own choice, ` +
        `${up("left")} if the first push is to the left, ${up("right")} if it is to the right.`
      );
    },
    table: () => ({
      columns: ["first push", "mean steps", "fewest", `last ${PATIENCE}`],
      rows: FIRSTS.map(({ first, label }) => [
        label,
        average(lengths[first]),
        Math.min(...lengths[first]),
        lengths[first].filter((length) => length === PATIENCE).length,
      ]),
    }),
  });
}

/** Return the corners of the staircase: the share of lengths that are longer than each number of steps. */
function stairs(lengths: readonly number[]): Point[] {
  const corners: Point[] = [];
  for (let t = 0; t <= PATIENCE; t += 1) {
    const up = lengths.filter((length) => length > t || length === PATIENCE).length;
    corners.push([t, up / lengths.length]);
  }
  return corners;
}
