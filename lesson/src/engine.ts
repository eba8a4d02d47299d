// pgrad in WebAssembly: what pages and workers call. src/pgrad/lesson/engine.py is the other side of each function.

import { allocate, type Heap, type Layout, Memory, view } from "./memory";

export type State = [x: number, speed: number, angle: number, angularSpeed: number]; // m, m/s, rad, rad/s

/** What the lesson moves of a run's training; all else is as in pgrad's configuration of that name. */
export interface Recipe {
  network: "notebook" | "two-layers" | "default"; // 4-128-2 ReLU, 4-128-128-2 ReLU, 4-64-2 tanh
  algorithm: "reinforce" | "actor-critic" | "ppo"; // the last two with their own estimator, batches and default network
  estimator: "total-return" | "reward-to-go" | "gae";
  baseline: "none" | "mean" | "leave-one-out" | "value";
  standardize: boolean;
  learningRate: number;
  episodes: number; // a gradient step, 1 … 16
  discount: number; // γ
  totalEpisodes: number; // of the run
}

/** The teaching notebook's recipe: one episode a step, no baseline. */
export const NOTEBOOK: Recipe = {
  network: "notebook",
  algorithm: "reinforce",
  estimator: "reward-to-go",
  baseline: "none",
  standardize: false,
  learningRate: 0.01,
  episodes: 1,
  discount: 0.99,
  totalEpisodes: 300,
};

export interface Progress {
  returns: Float64Array; // of the episodes that ended in this call
  steps: Float64Array; // environment steps of the run after each
  entropy: number; // nats
  gradientNorm: number;
  finished: boolean;
  fault: string | null; // what was not finite
}

export interface Episode {
  states: State[];
  actions: number[];
  rewards: number[];
  logProbs: number[];
  returns: number[]; // G_t
  terminated: boolean;
}

/** The chain 0 – 1 – goal, at most three steps, reward −1 + constant a step. */
export interface Problem {
  slip: number;
  constant: number;
  discount: number;
}

/** A possible trajectory ω. */
export interface Row {
  states: number[];
  actions: number[];
  rewards: number[];
  terminated: boolean;
  policy: number; // Π π(a_t | s_t)
  dynamics: number; // Π p(s_{t+1} | s_t, a_t)
  probability: number;
  G: number;
  score: [number, number]; // Σ_t ∇ log π(a_t | s_t)
}

export interface Theorem {
  rows: Row[];
  performance: number; // J(θ)
  gradient: [number, number];
}

export interface EstimatorChoice {
  name: string;
  estimator: Recipe["estimator"];
  baseline: "none" | "constant" | "mean" | "leave-one-out" | "optimal" | "value";
  constant: number;
  standardize: "none" | "batch" | "episode";
  exactDiscounting: boolean;
  perEpisode: boolean;
  gaeLambda: number;
  bias: string;
}

export interface Moments {
  mean: [number, number];
  covariance: [xx: number, xy: number, yy: number];
}

type Names = Record<string, number>;

/** What the build writes to engine.json. */
export interface EngineDescription {
  records: Record<string, Layout>;
  numbers: { estimator: Names; baseline: Names; standardize: Names };
  metrics: string[];
  faults: Record<string, string>;
  catalogue: Record<string, string | number | boolean>[];
}

interface Exports extends Heap {
  _initialize(): void;
  fold_in(key: bigint, index: bigint): bigint;
  uniform(key: bigint, index: bigint): number;
  softmax(preferences: number, count: number, temperature: number, probabilities: number): void;
  entropy(probabilities: number, count: number): number;
  to_go(rewards: number, count: number, discount: number, result: number): void;
  reset_cartpole(key: bigint, state: number): void;
  step_cartpole(state: number, action: number): bigint;
  initialise(network: number, key: bigint): void;
  train_once(training: number): bigint;
  train_epochs(training: number): bigint;
  collect(rollout: number): bigint;
  act(rollout: number, count: number): void;
  theorem(theory: number): number;
  performances(theory: number, xs: number, numXs: number, ys: number, numYs: number, result: number): void;
  estimates(theory: number, size: number, count: number, key: bigint, results: number, surrogates: number): void;
  batches(theory: number, size: number, results: number, probabilities: number): void;
  moments(results: number, probabilities: number, count: number, size: number, mean: number, covariance: number): void;
}

const PARAMETERS = 2; // of the theory's policies
const FIRST_EPISODE = 0n;
const RESET_STREAM = 0n; // of an episode's random numbers, in pgrad.kernels.random
const LOGGED = 2; // of a simulation's counters: the episodes that ended in the last call
const STREAMS = { initialisation: 0n, rollout: 1n, minibatch: 2n }; // of a run's

/** One instance of pgrad, with a memory of its own. */
export class Engine {
  readonly catalogue: EstimatorChoice[];
  private readonly theory: Memory;

  private constructor(
    readonly exports: Exports,
    readonly description: EngineDescription,
  ) {
    this.theory = new Memory(exports, this.layout("theory"));
    this.catalogue = description.catalogue.map((one) => choiceOf(one, description.numbers));
  }

  /** Compile the module; reject where the browser lacks WebAssembly's vectors. */
  static async load(wasm: BufferSource, description: EngineDescription): Promise<Engine> {
    const { instance } = await WebAssembly.instantiate(wasm, {});
    const exports = instance.exports as unknown as Exports;
    exports._initialize();
    return new Engine(exports, description);
  }

  /** Return softmax(preferences / T). */
  softmax(preferences: ArrayLike<number>, temperature = 1): Float64Array {
    const count = preferences.length;
    return this.scratch([preferences, count], ([h, p]) => {
      this.exports.softmax(h!, count, temperature, p!);
      return this.floats(p!, count);
    });
  }

  /** Return the entropy of probabilities, in nats. */
  entropy(probabilities: ArrayLike<number>): number {
    return this.scratch([probabilities], ([p]) => this.exports.entropy(p!, probabilities.length));
  }

  /** Return the `index`-th of a seed's random numbers in [0, 1). */
  uniform(seed: number, index: number): number {
    return this.exports.uniform(BigInt(seed), BigInt(index));
  }

  /** Return the state in which CartPole's episode of a seed begins, as in `Run.episode`. */
  reset(seed: number): State {
    return this.scratch([4], ([state]) => {
      const episode = this.exports.fold_in(BigInt(seed), FIRST_EPISODE);
      this.exports.reset_cartpole(this.exports.fold_in(episode, RESET_STREAM), state!);
      return [...this.floats(state!, 4)] as State;
    });
  }

  /** Push CartPole to the left (0) or right (1). */
  step(state: State, action: number): { state: State; terminated: boolean } {
    return this.scratch([state], ([place]) => {
      const terminated = this.exports.step_cartpole(place!, action) === 1n;
      return { state: [...this.floats(place!, 4)] as State, terminated };
    });
  }

  /** Return G_t of one episode's rewards. */
  rewardsToGo(rewards: ArrayLike<number>, discount: number): Float64Array {
    const count = rewards.length;
    return this.scratch([rewards, count], ([r, result]) => {
      this.exports.to_go(r!, count, discount, result!);
      return this.floats(result!, count);
    });
  }

  /** Return a run that has not been trained yet. */
  run(recipe: Recipe, seed: number): Run {
    return new Run(this, recipe, seed);
  }

  /** Return all possible trajectories of the chain, and what they add up to. */
  theorem(problem: Problem, theta: [number, number]): Theorem {
    this.pose(problem, theta);
    const performance = this.exports.theorem(this.theory.address);
    return { rows: this.rows(), performance, gradient: pair(this.theory.array<Float64Array>("gradient")) };
  }

  /** Return J at every θ = (x_i, y_j), x fastest. */
  performanceGrid(problem: Problem, x: ArrayLike<number>, y: ArrayLike<number>): Float64Array {
    this.pose(problem, [0, 0]);
    return this.scratch([x, y, x.length * y.length], ([xs, ys, result]) => {
      this.exports.performances(this.theory.address, xs!, x.length, ys!, y.length, result!);
      return this.floats(result!, x.length * y.length);
    });
  }

  /** Return `count` estimates of ∇J(θ), [2 · count], each from a batch of so many sampled trajectories. */
  estimates(
    problem: Problem,
    theta: [number, number],
    choice: EstimatorChoice,
    trajectories: number,
    count: number,
    seed: number,
  ): Float64Array {
    return this.sampled(problem, theta, choice, trajectories, count, seed).estimates;
  }

  /** Return the surrogate Σ weight · log π of one sampled batch, and its gradient, the estimate. */
  surrogate(
    problem: Problem,
    theta: [number, number],
    choice: EstimatorChoice,
    trajectories: number,
    seed: number,
  ): { value: number; gradient: [number, number] } {
    const { estimates, surrogates } = this.sampled(problem, theta, choice, trajectories, 1, seed);
    return { value: surrogates[0]!, gradient: pair(estimates) };
  }

  /** Return the estimate of every possible batch, [2 · 52^N], and the batches' probabilities. */
  allBatches(
    problem: Problem,
    theta: [number, number],
    choice: EstimatorChoice,
    trajectories: number,
  ): { estimates: Float64Array; probabilities: Float64Array } {
    return this.withBatches(problem, theta, choice, trajectories, (results, probabilities, count) => ({
      estimates: this.floats(results, PARAMETERS * count),
      probabilities: this.floats(probabilities, count),
    }));
  }

  /** Return the exact mean and covariance of an estimate, over every possible batch. */
  moments(problem: Problem, theta: [number, number], choice: EstimatorChoice, trajectories: number): Moments {
    return this.withBatches(problem, theta, choice, trajectories, (results, probabilities, count) =>
      this.scratch([PARAMETERS, PARAMETERS ** 2], ([mean, covariance]) => {
        this.exports.moments(results, probabilities, count, PARAMETERS, mean!, covariance!);
        const [xx, xy, , yy] = this.floats(covariance!, PARAMETERS ** 2);
        return { mean: pair(this.floats(mean!, PARAMETERS)), covariance: [xx!, xy!, yy!] };
      }),
    );
  }

  /** Return the layout of a record. */
  layout(name: string): Layout {
    return this.description.records[name]!;
  }

  /** Copy numbers out of the memory. */
  private floats(address: number, length: number): Float64Array {
    return (view(this.exports, "float64", address, length) as Float64Array).slice();
  }

  /** Call with the addresses of arrays: of the numbers given, or of room for so many; free them afterwards. */
  private scratch<T>(arrays: (ArrayLike<number> | number)[], call: (addresses: number[]) => T): T {
    const addresses = arrays.map((array) => {
      const length = typeof array === "number" ? array : array.length;
      const address = allocate(this.exports, 8 * length);
      if (typeof array !== "number") (view(this.exports, "float64", address, length) as Float64Array).set(array);
      return address;
    });
    try {
      return call(addresses);
    } finally {
      addresses.forEach((address) => this.exports.free(address));
    }
  }

  private pose(problem: Problem, theta: [number, number]): void {
    this.theory.set("slip", problem.slip);
    this.theory.set("constant", problem.constant);
    this.theory.set("discount", problem.discount);
    this.theory.array<Float64Array>("theta").set(theta);
  }

  private choose(choice: EstimatorChoice, discount: number): void {
    const { numbers } = this.description;
    this.theory.set("spec.psi", numbers.estimator[choice.estimator]!);
    this.theory.set("spec.baseline", numbers.baseline[choice.baseline]!);
    this.theory.set("spec.constant", choice.constant);
    this.theory.set("spec.standardize", numbers.standardize[choice.standardize]!);
    this.theory.set("spec.discount", discount);
    this.theory.set("spec.gae_lambda", choice.gaeLambda);
    this.theory.set("spec.exact_discounting", Number(choice.exactDiscounting));
    this.theory.set("spec.per_episode", Number(choice.perEpisode));
  }

  private sampled(
    problem: Problem,
    theta: [number, number],
    choice: EstimatorChoice,
    trajectories: number,
    count: number,
    seed: number,
  ): { estimates: Float64Array; surrogates: Float64Array } {
    this.pose(problem, theta);
    this.choose(choice, problem.discount);
    return this.scratch([PARAMETERS * count, count], ([results, surrogates]) => {
      this.exports.estimates(this.theory.address, trajectories, count, BigInt(seed), results!, surrogates!);
      return {
        estimates: this.floats(results!, PARAMETERS * count),
        surrogates: this.floats(surrogates!, count),
      };
    });
  }

  private withBatches<T>(
    problem: Problem,
    theta: [number, number],
    choice: EstimatorChoice,
    trajectories: number,
    read: (results: number, probabilities: number, count: number) => T,
  ): T {
    const count = this.theory.array("paths.length").length ** trajectories;
    this.pose(problem, theta);
    this.choose(choice, problem.discount);
    return this.scratch([PARAMETERS * count, count], ([results, probabilities]) => {
      this.exports.batches(this.theory.address, trajectories, results!, probabilities!);
      return read(results!, probabilities!, count);
    });
  }

  private rows(): Row[] {
    const integers = (path: string): number[] => Array.from(this.theory.array<BigInt64Array>(path), Number);
    const floats = (path: string): Float64Array => this.theory.array<Float64Array>(path);
    const lengths = integers("paths.length");
    const states = integers("paths.states");
    const actions = integers("paths.actions");
    const rewards = floats("world.reward");
    const terminal = this.theory.array<Uint8Array>("world.terminal");
    const [policy, dynamics, returns] = ["policy", "dynamics", "discounted_return"].map((name) =>
      floats(`rows.${name}`),
    );
    const score = floats("rows.score");
    const longest = actions.length / lengths.length;
    return lengths.map((length, k) => {
      const visited = states.slice(k * (longest + 1), k * (longest + 1) + length + 1);
      return {
        states: visited,
        actions: actions.slice(k * longest, k * longest + length),
        rewards: Array<number>(length).fill(rewards[0]!), // each step's is the same
        terminated: terminal[visited[length]!] === 1,
        policy: policy![k]!,
        dynamics: dynamics![k]!,
        probability: policy![k]! * dynamics![k]!,
        G: returns![k]!,
        score: pair(score.subarray(PARAMETERS * k)),
      };
    });
  }
}

/** A policy of CartPole, and its training. */
export class Run {
  private readonly training: Memory;
  private readonly rollout: Memory;
  private readonly train: (training: number) => bigint;
  private ended = 0; // episodes

  constructor(
    private readonly engine: Engine,
    private readonly recipe: Recipe,
    seed: number,
  ) {
    const kind = recipe.algorithm === "reinforce" ? recipe.network : recipe.algorithm;
    this.training = new Memory(engine.exports, engine.layout(kind));
    this.rollout = new Memory(engine.exports, engine.layout(`${kind} rollout`));
    this.train = recipe.algorithm === "ppo" ? engine.exports.train_epochs : engine.exports.train_once;
    this.rollout.set("discount", recipe.discount);
    this.configure(engine.description.numbers);
    this.draw(BigInt(seed));
  }

  /** Train for so many iterations, or until the recipe's episodes are used up. */
  advance(iterations: number): Progress {
    const { metrics, faults } = this.engine.description;
    const { totalEpisodes } = this.recipe;
    const [returns, steps]: [number[], number[]] = [[], []];
    let fault = 0;
    for (let k = 0; k < iterations && fault === 0 && this.ended < totalEpisodes; k += 1) {
      fault = Number(this.train(this.training.address));
      const count = Number(this.training.array<BigInt64Array>("simulation.lanes.counters")[LOGGED]!);
      const episodes = "simulation.buffer.episodes";
      returns.push(...this.training.array<Float64Array>(`${episodes}.episode_return`).subarray(0, count));
      steps.push(
        ...Array.from(this.training.array<BigInt64Array>(`${episodes}.total_steps`).subarray(0, count), Number),
      );
      this.ended += count;
    }
    const metric = (name: string): number => this.training.array<Float64Array>("metrics")[metrics.indexOf(name)]!;
    return {
      returns: Float64Array.from(returns),
      steps: Float64Array.from(steps),
      entropy: metric("entropy"),
      gradientNorm: metric("gradient_norm"),
      finished: fault !== 0 || this.ended >= totalEpisodes,
      fault: faults[String(fault)] ?? null,
    };
  }

  /** Return π(right | s) of each state. */
  probabilities(states: State[]): Float64Array {
    this.show();
    const result = new Float64Array(states.length);
    const room = this.rollout.array<Float32Array>("obs").length / 4;
    for (let start = 0; start < states.length; start += room) {
      const asked = states.slice(start, start + room);
      const obs = this.rollout.array<Float32Array>("obs");
      asked.forEach((state, n) => state.forEach((value, i) => (obs[i * room + n] = value)));
      this.engine.exports.act(this.rollout.address, asked.length);
      result.set(this.rollout.array<Float64Array>("probability").subarray(0, asked.length), start);
    }
    return result;
  }

  /** Play an episode with the policy as it is; the same seed gives the same start and the same luck. */
  episode(seed: number): Episode {
    this.show();
    this.rollout.setBits("simulation.plan.run_key", BigInt(seed));
    this.rollout.array<BigInt64Array>("simulation.lanes.counters").fill(0n);
    const length = Number(this.engine.exports.collect(this.rollout.address));
    const column = (path: string): number[] => Array.from(this.rollout.array<Float64Array>(path).subarray(0, length));
    const obs = this.rollout.array<Float32Array>("simulation.buffer.obs");
    const room = obs.length / 4;
    return {
      states: Array.from({ length }, (_, t) => [0, 1, 2, 3].map((i) => obs[i * room + t]!) as State),
      actions: column("simulation.buffer.action"),
      rewards: column("simulation.buffer.reward"),
      logProbs: column("log_prob"),
      returns: column("to_go"),
      terminated: this.rollout.array<Uint8Array>("simulation.buffer.terminated")[length - 1] === 1,
    };
  }

  /** The policy's parameters, copied. */
  get parameters(): Float32Array {
    return this.training.array<Float32Array>("learner.policy.network.parameters").slice();
  }

  /** Take over a policy's parameters. */
  load(parameters: Float32Array): void {
    this.training.array<Float32Array>("learner.policy.network.parameters").set(parameters);
    this.training.array<Float32Array>("learner.policy_state.before").set(parameters);
  }

  /** Give the memory back. */
  free(): void {
    this.training.free();
    this.rollout.free();
  }

  private configure(numbers: EngineDescription["numbers"]): void {
    const { recipe, training } = this;
    training.set("settings.learning_rate", recipe.learningRate);
    training.set("settings.estimator.discount", recipe.discount);
    if (recipe.algorithm !== "reinforce") return;
    training.set("settings.estimator.psi", numbers.estimator[recipe.estimator]!);
    training.set("settings.estimator.baseline", numbers.baseline[recipe.baseline]!);
    training.set("settings.estimator.standardize", numbers.standardize[recipe.standardize ? "batch" : "none"]!);
    training.set("simulation.plan.episodes", recipe.episodes);
  }

  /** Draw the seed's first parameters and random streams. */
  private draw(seed: bigint): void {
    const { exports } = this.engine;
    const key = exports.fold_in(seed, STREAMS.initialisation);
    for (const [k, name] of (["policy", "critic"] as const).entries()) {
      const network = name === "policy" ? "learner.policy.network" : "learner.critic";
      exports.initialise(this.training.addressOf(network), exports.fold_in(key, BigInt(k)));
      const parameters = this.training.array<Float32Array>(`${network}.parameters`);
      this.training.array<Float32Array>(`learner.${name}_state.before`).set(parameters);
    }
    this.training.setBits("simulation.plan.run_key", exports.fold_in(seed, STREAMS.rollout));
    this.training.setBits("learner.key", exports.fold_in(seed, STREAMS.minibatch));
  }

  /** Give the rollout the policy as it is now. */
  private show(): void {
    const path = "policy.network.parameters";
    this.rollout.array<Float32Array>(path).set(this.training.array<Float32Array>(`learner.${path}`));
  }
}

function pair(numbers: ArrayLike<number>): [number, number] {
  return [numbers[0]!, numbers[1]!];
}

/** Turn pgrad's record of an estimator into names. */
function choiceOf(
  one: Record<string, string | number | boolean>,
  numbers: EngineDescription["numbers"],
): EstimatorChoice {
  const name = <T>(names: Names, value: unknown): T => Object.keys(names).find((key) => names[key] === value) as T;
  return {
    name: String(one["name"]),
    estimator: name(numbers.estimator, one["psi"]),
    baseline: name(numbers.baseline, one["baseline"]),
    constant: Number(one["constant"]),
    standardize: name(numbers.standardize, one["standardize"]),
    exactDiscounting: Boolean(one["exact_discounting"]),
    perEpisode: Boolean(one["per_episode"]),
    gaeLambda: Number(one["gae_lambda"]),
    bias: String(one["bias"]),
  };
}
