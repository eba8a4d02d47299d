// Section 10 asks policies in the states that they visit: do they push to the side of the tilt?

import type { State } from "../engine";
import { format, percent, readout, readouts } from "../ui";
import { EPISODES, type Policies } from "./thirty";
import { inFrames } from "./when";

const FAR = 0.1; // rad: the tilt of states 2 and 3

export interface Tilt {
  states: number; // visited
  side: number; // of these, how many in which π prefers the side of the tilt
  turning: number; // likewise, the side to which the pole turns
  far: number; // and how many tilt by FAR or more
}

/** Ask a policy in the states that it visits. */
export function tiltOf(policies: Policies, seed: number): Tilt {
  const visited = policies.visits(seed);
  const right = policies.lend(seed, (policy) => policy.probabilities(visited));
  const count = (isRight: (state: State) => boolean): number =>
    visited.filter((state, i) => right[i]! > 0.5 === isRight(state)).length;
  return {
    states: visited.length,
    side: count(([, , angle]) => angle > 0),
    turning: count(([, , , angularSpeed]) => angularSpeed > 0),
    far: visited.filter(([, , angle]) => Math.abs(angle) >= FAR).length,
  };
}

/** Add up over policies. */
export function total(tilts: Iterable<Tilt>): Tilt {
  const sum = { states: 0, side: 0, turning: 0, far: 0 };
  for (const tilt of tilts) {
    sum.states += tilt.states;
    sum.side += tilt.side;
    sum.turning += tilt.turning;
    sum.far += tilt.far;
  }
  return sum;
}

/** Make the readouts of all trained policies. `update` follows those that are new. */
export function tiltReadouts(policies: Policies): { element: HTMLElement; update: () => void } {
  const side = readout("Prefer the side of the tilt");
  const turning = readout("Prefer the side to which the pole turns");
  const far = readout(`Tilt by ${FAR} rad or more`);
  const length = readout("Steps an episode");
  const tilts = new Map<number, Tilt>(); // of each seed
  let kind = "";

  function show(): void {
    const sum = total(tilts.values());
    side.set(percent(sum.side / sum.states));
    turning.set(percent(sum.turning / sum.states));
    far.set(percent(sum.far / sum.states));
    length.set(format(sum.states / EPISODES / tilts.size));
  }

  const follow = inFrames((seed: number) => void tilts.set(seed, tiltOf(policies, seed)), show);

  function update(): void {
    if (policies.kind() !== kind) tilts.clear();
    kind = policies.kind();
    follow(policies.seeds().filter((seed) => !tilts.has(seed)));
  }

  return { element: readouts(side, turning, far, length), update };
}
