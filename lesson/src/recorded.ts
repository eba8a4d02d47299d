// Numbers that this page does not measure: they take minutes or more. Each stands in docs/results.md too, under the
// heading named here, beside the command that made it. A test compares the two.

export interface Recorded {
  mean: number; // return
  interval: readonly [low: number, high: number]; // 95 %, of the mean over seeds
  worst?: number; // seed
  solved?: number; // seeds
}

export interface Recording<Name extends string> {
  heading: string; // in docs/results.md
  command: string; // that made it
  seeds: number;
  steps: number; // of the environment, each seed
  returns: string; // of which episodes
  rows: Record<Name, Recorded>;
}

/** Training steps a second of the notebook's loop in PyTorch and Gymnasium, under "Speed of the training loop". */
export const NOTEBOOK_SPEED = 4_530;

export type Rung =
  "total-return" | "reward-to-go" | "reinforce" | "value-baseline" | "actor-critic" | "ppo" | "natural" | "trpo";

export const CARTPOLE_LADDER: Recording<Rung> = {
  heading: "The ladder on CartPole-v1",
  command: "pgrad train CartPole-v1 --algorithm NAME --preset none --seeds 100-129 --total-steps 100000",
  seeds: 30,
  steps: 100_000,
  returns: "frozen policies, 100 episodes each",
  rows: {
    "total-return": { mean: 130.5, interval: [107.9, 158.3], worst: 43.2, solved: 0 },
    "reward-to-go": { mean: 446.6, interval: [429.2, 461.7], worst: 331.1, solved: 6 },
    reinforce: { mean: 473.2, interval: [460.4, 482.4], worst: 344.1, solved: 20 },
    "value-baseline": { mean: 479.4, interval: [466.3, 488.3], worst: 327.4, solved: 24 },
    "actor-critic": { mean: 500.0, interval: [500.0, 500.0], worst: 500.0, solved: 30 },
    ppo: { mean: 500.0, interval: [500.0, 500.0], worst: 500.0, solved: 30 },
    natural: { mean: 499.85, interval: [499.56, 500.0], worst: 495.6, solved: 30 },
    trpo: { mean: 489.7, interval: [469.0, 500.0], worst: 189.6, solved: 29 },
  },
};

export const ARM_LADDER: Recording<Rung> = {
  heading: "The ladder on CartPole-v1",
  command: "python -m benchmarks ladder",
  seeds: 30,
  steps: 1_000_000,
  returns: "the last 50 episodes of training",
  rows: {
    "total-return": { mean: -133.7, interval: [-135.8, -131.8], worst: -146.3 },
    "reward-to-go": { mean: -136.1, interval: [-139.7, -133.1], worst: -164.1 },
    reinforce: { mean: -130.8, interval: [-133.4, -128.1], worst: -144.4 },
    "value-baseline": { mean: -122.5, interval: [-125.3, -119.7], worst: -140.0 },
    "actor-critic": { mean: -106.2, interval: [-111.9, -100.4], worst: -140.7 },
    ppo: { mean: -56.4, interval: [-61.5, -51.5], worst: -84.7 },
    natural: { mean: -60.9, interval: [-66.3, -56.3], worst: -91.8 },
    trpo: { mean: -76.4, interval: [-81.8, -71.4], worst: -101.3 },
  },
};

export const LUNAR_LADDER: Recording<"total-return" | "reward-to-go"> = {
  heading: "The ladder on CartPole-v1",
  command: "python -m benchmarks ladder",
  seeds: 10,
  steps: 300_000,
  returns: "the last 50 episodes of training",
  rows: {
    "total-return": { mean: -65.0, interval: [-116.0, -19.6] },
    "reward-to-go": { mean: -15.8, interval: [-76.0, 41.5] },
  },
};

export const LUNAR_PRESET: Recording<"ppo"> = {
  heading: "What policies learn on other environments",
  command: "python -m benchmarks learning",
  seeds: 10,
  steps: 300_000,
  returns: "frozen policies, 100 episodes each",
  rows: { ppo: { mean: 248.4, interval: [235.2, 262.4], worst: 215.2, solved: 10 } },
};
