// Section 4: J is the average return over everything that can happen; a few episodes only estimate it.

import type { Engine, Problem, Run } from "../engine";
import { addDots, addLine, addRule, axes, COLOURS, linePlot, max, min, type Plot, type Point } from "../plot";
import { predict } from "../predict";
import type { Context, Section } from "../section";
import type { NumberSetting } from "../settings";
import {
  button,
  figure,
  fixed,
  format,
  h,
  heading,
  list,
  panel,
  prose,
  readout,
  readouts,
  remark,
  settingSlider,
  superscript,
  tex,
  type Figure,
} from "../ui";
import { latest } from "./remembered";
import { untrainedPolicy } from "./policies";

const EPISODES = 100; // before N is moved
const MOST = 3000;
const DISCOUNT = 0.99; // the notebook's
const SLICE = 100; // episodes that are played between two breaths of the page
const LEARNERS = 50; // who each sample trajectories of the chain
const Z = 1.96; // standard errors on either side of a mean that hold the truth 95 times in 100, if there are many
const THETA: [number, number] = [-0.5, 0.5]; // the chain's policy, that of docs/theory.md
const SLIP = 0.1;

export const average: Section = {
  id: "performance",
  number: 4,
  title: "J is an average over luck",
  minutes: 6,
  star: true,
  exercises: ["rewards_to_go"],
  build,
};

interface Model {
  episodes: NumberSetting;
  discount: NumberSetting;
  luck: NumberSetting; // which episodes
  returns(count: number, discount?: number): number[]; // of the first episodes of CartPole
  played(): number; // episodes that are ready
  chain(count?: number, discount?: number): Chain;
}

/** What fifty learners found on the chain. */
interface Chain {
  exact: number; // J
  lowest: number; // return that is possible
  highest: number;
  estimates: Estimate[];
}

/** A mean with its 95 % interval, mean ± half. */
interface Estimate {
  mean: number;
  deviation: number; // of one value; NaN if there is only one
  half: number; // NaN likewise
}

function build(root: HTMLElement, context: Context): void {
  const model = newModel(context, () => width.redraw());
  const luck = luckFigure(model);
  const width = widthFigure(model);
  const learners = learnersFigure(model);
  const numbers = measurements(model);
  const update = () => {
    for (const drawn of [luck, width, learners]) drawn.redraw();
    numbers.update();
  };
  for (const setting of [model.episodes, model.discount, model.luck]) setting.subscribe(update);
  update();

  const covered = h("div", {}, learners.element, coverage());

  root.append(
    prose(
      "How good is a policy? After each step the world pays a number, the *reward*; CartPole pays 1 for every step ",
      "until the episode ends. Let the policy act and add up its rewards. The result is a *return*. But chance ",
      "decides where an episode begins and which actions are drawn, so the next episode brings another return.",
    ),
    prose(
      "Write $\\omega$ for a *trajectory*, one thing that can happen from beginning to end, and $G(\\omega)$ for its ",
      "return. A reward $r_t$ at step $t$ counts $\\gamma^t$ times; the *discount* $\\gamma$, between 0 and 1, says ",
      "how much less a late reward is worth than an early one. The **performance** $J$ of the policy with parameters ",
      "$\\theta$ is the average over all trajectories, each as often as it happens:",
    ),
    tex(String.raw`G(\omega) = \sum_t \gamma^t r_t`, true),
    tex(String.raw`J(\theta) = \mathbb{E}[G(\omega)] = \sum_\omega p(\omega)\, G(\omega)`, true),
    prose(
      "For CartPole nobody can write that sum down. So we play $N$ episodes and take the mean. With the standard ",
      "deviation $\\hat\\sigma$ of the returns, it comes with an interval:",
    ),
    tex(
      String.raw`\hat J = \frac1N \sum_{i=1}^{N} G(\omega_i), \qquad \hat J \pm ${Z}\, \frac{\hat\sigma}{\sqrt N}`,
      true,
    ),
    panel(
      settingSlider(model.episodes, { label: "Episodes $N$", step: 1, log: true }),
      settingSlider(model.discount, { label: "Discount $\\gamma$", step: 0.01 }),
      button("Other luck", () => model.luck.set((model.luck.get() + 1) % (model.luck.max + 1))),
    ),
    numbers.element,
    luck.element,
    prose(
      "The dots do not come closer to each other, however many there are: luck does not shrink. What shrinks is the ",
      "doubt about their mean. Set $N$ to 1 and there is no interval at all. One return says nothing of how much ",
      "returns differ, so $\\hat\\sigma$ is unknown. A program that reports one episode reports its luck.",
    ),
    heading("What a tenth of the doubt costs"),
    tenthQuestion(context, model, [width.element]),
    width.element,
    heading("Where the truth is known"),
    prose(
      "Some problems are so small that $J$ can be added up. Here is one: a chain of states 0, 1 and a goal. A step to ",
      `the right leads towards the goal and one to the left away from it; with probability ${SLIP} it goes the other `,
      "way. Each step costs 1, and after three steps it is over. There are 52 trajectories, and section 5 lists them.",
    ),
    prose(
      `Imagine ${LEARNERS} learners. Each samples $N$ trajectories of the same policy and computes the interval `,
      "above. They all ask for 95 %.",
    ),
    coverageQuestion(context, model, covered),
    covered,
    list(
      "$J$ is a number without luck. Every estimate of it has some.",
      "Four times the episodes halve the interval; a hundred times make it a tenth.",
      "Compare two policies by their intervals, never by one episode each.",
    ),
    remark(
      "In pgrad",
      "`pgrad.evaluate` gives the mean with its interval, and `exact.solve(mdp, policy).performance` is $J$ itself. ",
      "Below ten episodes pgrad's interval is wider than ours, as $\\hat\\sigma$ is then a guess too (Student's $t$).",
    ),
  );
}

function newModel(context: Context, onPlayed: () => void): Model {
  const { engine, settings } = context;
  const episodes = settings.number("episodes", { default: EPISODES, min: 1, max: MOST, integer: true });
  const discount = settings.number("discount", { default: DISCOUNT, min: 0, max: 1 });
  const luck = settings.number("luck", { default: 0, min: 0, max: 99, integer: true });
  const run = untrainedPolicy(context);
  let played = new Episodes(engine, run, 0);
  let drawn: Uint8Array[] = [];

  function begin(): void {
    played = new Episodes(engine, run, luck.get() * MOST);
    drawn = drawChain(engine, luck.get());
    playAhead(played, () => played, onPlayed);
  }

  begin();
  luck.subscribe(begin);
  const chain = latest((chosen: Uint8Array[], count: number, gamma: number) =>
    learn(engine, { slip: SLIP, constant: 0, discount: gamma }, chosen, count),
  );
  return {
    episodes,
    discount,
    luck,
    returns: (count, gamma = discount.get()) => played.returns(count, gamma),
    played: () => played.count,
    chain: (count = episodes.get(), gamma = discount.get()) => chain(drawn, count, gamma),
  };
}

/** Episodes of one policy with seeds in a row, played when they are first asked for. */
class Episodes {
  private readonly lengths: number[] = [];
  private readonly rewards = new Map<number, number[]>(); // of an episode of that length: CartPole's are all the same

  constructor(
    private readonly engine: Engine,
    private readonly run: Run,
    private readonly firstSeed: number,
  ) {}

  get count(): number {
    return this.lengths.length;
  }

  /** Play until there are so many. */
  play(count: number): void {
    while (this.lengths.length < count) {
      const { rewards } = this.run.episode(this.firstSeed + this.lengths.length);
      this.lengths.push(rewards.length);
      this.rewards.set(rewards.length, rewards);
    }
  }

  /** Return the discounted returns of the first `count`. */
  returns(count: number, discount: number): number[] {
    this.play(count);
    return this.all(this.count, discount).slice(0, count);
  }

  private readonly all = latest((count: number, discount: number): number[] => {
    const byLength = new Map<number, number>();
    for (const [length, rewards] of this.rewards) byLength.set(length, this.engine.rewardsToGo(rewards, discount)[0]!);
    return this.lengths.slice(0, count).map((length) => byLength.get(length)!);
  });
}

/** Play all episodes, a few at a time, so that the slider finds them ready; stop when others are wanted. */
function playAhead(episodes: Episodes, wanted: () => Episodes, onPlayed: () => void): void {
  if (episodes !== wanted()) return;
  episodes.play(Math.min(MOST, episodes.count + SLICE));
  if (episodes.count === MOST) onPlayed();
  else setTimeout(() => playAhead(episodes, wanted, onPlayed));
}

/** Draw which trajectories of the chain each learner meets, as numbers of the theorem's rows. */
function drawChain(engine: Engine, luck: number): Uint8Array[] {
  const { rows } = engine.theorem({ slip: SLIP, constant: 0, discount: 1 }, THETA);
  return Array.from({ length: LEARNERS }, (_, learner) =>
    Uint8Array.from({ length: MOST }, (_, i) => {
      let left = engine.uniform(luck * LEARNERS + learner, i);
      return rows.findIndex(({ probability }) => (left -= probability) < 0);
    }),
  );
}

/** Return what the learners find from `count` trajectories each, and the truth. */
function learn(engine: Engine, problem: Problem, drawn: Uint8Array[], count: number): Chain {
  const { rows, performance: exact } = engine.theorem(problem, THETA);
  const G = rows.map((row) => row.G);
  const estimates = drawn.map((chosen) => estimate(Array.from(chosen.subarray(0, count), (k) => G[k]!)));
  return { exact, lowest: min(G), highest: max(G), estimates };
}

/** Return the mean of values with its interval. */
function estimate(values: readonly number[]): Estimate {
  const n = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const deviation = Math.sqrt(squares / (n - 1)); // 0 / 0 for one value
  return { mean, deviation, half: (Z * deviation) / Math.sqrt(n) };
}

/** Return about forty numbers of episodes up to `count`, evenly spaced in their logarithm, `count` among them. */
function counts(count: number): number[] {
  const all = Array.from({ length: 40 }, (_, i) => Math.round(count ** (i / 39)));
  return [...new Set(all)];
}

/** Say "23.1 ± 1.2", or why there is no interval. */
function inWords({ mean, half }: Estimate): string {
  if (Number.isNaN(half)) return `${format(mean)}, without an interval: one return shows no spread`;
  return `${format(mean)} ± ${format(half, 2)}`;
}

function measurements(model: Model): { element: HTMLElement; update: () => void } {
  const mean = readout("Estimate $\\hat J$");
  const doubt = readout("95 % interval");
  const deviation = readout("Standard deviation $\\hat\\sigma$ of one return");

  function update(): void {
    const now = estimate(model.returns(model.episodes.get()));
    const known = !Number.isNaN(now.half);
    mean.set(format(now.mean));
    doubt.set(known ? `± ${format(now.half, 2)}` : "none from one episode");
    deviation.set(known ? format(now.deviation) : "unknown");
  }

  return { element: readouts(mean, doubt, deviation), update };
}

function luckFigure(model: Model): Figure {
  const returns = () => model.returns(model.episodes.get());
  return figure({
    title: "Returns of an untrained policy on CartPole, and their average so far",
    draw: (width) => luckPlot(width, returns()),
    describe: () => {
      const values = returns();
      const found = inWords(estimate(values));
      if (values.length === 1) return `The return of one episode is ${found}.`;
      const range = `Returns lie between ${format(min(values))} and ${format(max(values))}`;
      return `${range}. The mean of ${format(values.length)} episodes is ${found}.`;
    },
    table: () => ({
      columns: ["episodes", "average return", "half of the interval"],
      rows: counts(model.episodes.get())
        .filter((n, i) => i % 4 === 0 || n === model.episodes.get())
        .map((n) => tableRow(n, estimate(model.returns(n)))),
    }),
  });
}

function tableRow(n: number, { mean, half }: Estimate): (string | number)[] {
  return [n, mean, Number.isNaN(half) ? "none" : half];
}

const POWERS = [1, 10, 100, 1000];

function luckPlot(width: number, returns: number[]): Plot {
  const along = counts(returns.length).map((n) => ({ n, ...estimate(returns.slice(0, n)) }));
  const plot = linePlot(width, {
    x: { label: "episodes played", domain: [0.9, 1.1 * MOST], log: true, values: POWERS },
    y: { label: "return G", domain: [0, 1.05 * max(returns)] },
    series: [
      {
        label: "average so far, with its 95 % interval",
        points: along.map(({ n, mean }): Point => [n, mean]),
        band: along.filter(({ n }) => n > 1).map(({ n, mean, half }) => [n, mean - half, mean + half] as const),
        color: COLOURS.vermilion,
      },
    ],
  });
  const dots = returns.flatMap((G, i) => [i + 1, G]);
  addDots(plot, dots, { color: COLOURS.blue, radius: returns.length > 300 ? 1.5 : 2.5, opacity: 0.35 });
  const { n, mean } = along.at(-1)!;
  addDots(plot, [n, mean], { color: COLOURS.vermilion, radius: 5, opacity: 1 });
  return plot;
}

function tenthQuestion(context: Context, model: Model, hides: HTMLElement[]): HTMLElement {
  const half = (n: number) => estimate(model.returns(n, DISCOUNT)).half;
  const [few, many] = [30, MOST];
  return predict(context, {
    id: "performance-tenth",
    question: "You want an interval a tenth as wide. How many times as many episodes does that take?",
    kind: "choice",
    options: COSTS.map(timesAsMany),
    hides,
    answer: async () => {
      const exponent = Math.log(many / few) / Math.log(half(few) / half(many)); // cost = shrinkage ** exponent
      return timesAsMany(nearest(COSTS, 10 ** exponent));
    },
    explain: () =>
      `From ${few} to ${format(many)} episodes the half-width fell from ${format(half(few), 2)} to ` +
      `${format(half(many), 2)}: ${format(many / few)} times the work for ${format(half(few) / half(many), 2)} times ` +
      `the precision (a round 10, had $\\hat\\sigma$ not been a guess at ${few}). The square root is a hard price.`,
  });
}

const COSTS = [3, 10, 100, 1000];

function timesAsMany(cost: number): string {
  return `${format(cost)} times as many`;
}

/** Return the value nearest to another, by their ratio. */
function nearest(values: readonly number[], to: number): number {
  const distance = (value: number) => Math.abs(Math.log(value / to));
  return values.reduce((best, value) => (distance(value) < distance(best) ? value : best));
}

function widthFigure(model: Model): Figure {
  const measured = (): Point[] => {
    const returns = model.returns(Math.max(model.played(), 2));
    const several = counts(returns.length).filter((n) => n > 1);
    return several.map((n) => [n, estimate(returns.slice(0, n)).half]);
  };
  return figure({
    title: "Half of the interval against the number of episodes",
    draw: (width) => widthPlot(width, measured(), model.episodes.get()),
    describe: () => {
      const points = measured();
      const [first, last] = [points.find(([n]) => n >= 10) ?? points[0]!, points.at(-1)!];
      if (last[1] === 0) return "All returns are equal, so there is no luck and no interval.";
      return (
        `From ${first[0]} to ${format(last[0])} episodes, half of the interval falls from ${format(first[1], 2)} to ` +
        `${format(last[1], 2)}. On these axes 1/√N is a straight line.`
      );
    },
    table: () => ({
      columns: ["episodes", "half of the interval"],
      rows: measured().filter((_, i) => i % 4 === 0),
    }),
  });
}

function widthPlot(width: number, measured: Point[], now: number): Plot {
  const [most, least] = measured.at(-1)!;
  const ideal = [2, MOST].map((n): Point => [n, least * Math.sqrt(most / n)]);
  const positive = measured.filter(([, half]) => half > 0);
  const powers = positive.length === 0 ? [-1, 0] : powersAround([...positive, ...ideal].map(([, half]) => half));
  const plot = axes(width, {
    x: { label: "episodes N", domain: [0.9, 1.1 * MOST], log: true, values: POWERS },
    y: {
      label: "half of the interval",
      domain: [10 ** powers[0]!, 10 ** powers.at(-1)!],
      log: true,
      values: powers.map((power) => 10 ** power),
      format: (value) => (value >= 0.01 && value <= 100 ? String(value) : `10${superscript(Math.log10(value))}`),
    },
    height: 220,
    legend: [
      { label: "measured", color: COLOURS.vermilion },
      { label: "∝ 1/√N", color: COLOURS.muted, dash: "6 4" },
    ],
  });
  if (least > 0) addLine(plot, ideal, { color: COLOURS.muted, dash: "6 4" });
  addLine(plot, positive, { color: COLOURS.vermilion });
  addRule(plot, { x: now, label: `N = ${format(now)}`, color: COLOURS.ink });
  return plot;
}

/** Return the powers of ten that enclose some values, and those between. */
function powersAround(values: readonly number[]): number[] {
  const low = Math.floor(Math.log10(min(values)));
  const high = Math.ceil(Math.log10(max(values)));
  return Array.from({ length: high - low + 1 }, (_, i) => low + i);
}

function holds({ mean, half }: Estimate, exact: number): boolean {
  return Math.abs(mean - exact) <= half;
}

function coverageQuestion(context: Context, model: Model, hides: HTMLElement): HTMLElement {
  return predict(context, {
    id: "performance-coverage",
    question: `With $N = ${EPISODES}$, how many of the ${LEARNERS} intervals hold the exact $J$?`,
    kind: "interval",
    unit: `of ${LEARNERS}`,
    hides: [hides],
    answer: async () => held(model.chain(EPISODES, DISCOUNT)),
    explain:
      "About 95 in 100, if $N$ is large. The others did nothing wrong: their luck was out of the ordinary, and " +
      "nothing in their own numbers tells them so.",
  });
}

function held({ estimates, exact }: Chain): number {
  return estimates.filter((one) => holds(one, exact)).length;
}

function coverage(): HTMLElement {
  return prose(
    "Move $N$ above and watch this figure. The averages gather around the line. With very few trajectories too many ",
    "intervals miss it, as $\\hat\\sigma$ itself is then poorly known: three equal returns make an interval of width ",
    "0.",
  );
}

function learnersFigure(model: Model): Figure {
  return figure({
    title: `${LEARNERS} learners on the chain, and the exact $J$`,
    draw: (width) => learnersPlot(width, model.chain()),
    describe: () => {
      const found = model.chain();
      const means = found.estimates.map(({ mean }) => mean);
      const n = model.episodes.get();
      const spread = `between ${fixed(min(means), 3)} and ${fixed(max(means), 3)}`;
      const count = n === 1 ? "One trajectory gives no interval" : `${held(found)} intervals hold J`;
      return `The exact J is ${fixed(found.exact, 4)}. The learners' averages of ${format(n)} lie ${spread}. ${count}.`;
    },
    table: () => {
      const { estimates, exact } = model.chain();
      return {
        columns: ["learner", "average return", "half of the interval", "holds J"],
        rows: estimates.map((one, i) => [...tableRow(i + 1, one), verdict(one, exact)]),
      };
    },
  });
}

function verdict(one: Estimate, exact: number): string {
  if (Number.isNaN(one.half)) return "no interval";
  return holds(one, exact) ? "yes" : "no";
}

function learnersPlot(width: number, { exact, lowest, highest, estimates }: Chain): Plot {
  const room = 0.1 * Math.max(highest - lowest, 0.1);
  const plot = axes(width, {
    x: { label: "learner", domain: [0, LEARNERS + 1], values: [1, 10, 20, 30, 40, 50] },
    y: { label: "average return", domain: [lowest - room, highest + room] },
    height: 240,
    legend: [
      { label: "interval holds J", color: COLOURS.blue },
      { label: "misses it", color: COLOURS.vermilion },
      { label: `exact J = ${fixed(exact, 4)}`, color: COLOURS.ink, dash: "5 4" },
    ],
  });
  addRule(plot, { y: exact, color: COLOURS.ink });
  estimates.forEach((one, i) => {
    const color = Number.isNaN(one.half) ? COLOURS.muted : holds(one, exact) ? COLOURS.blue : COLOURS.vermilion;
    const whisker = [one.mean - one.half, one.mean + one.half].map((y): Point => [i + 1, y]);
    addLine(plot, whisker, { color });
    addDots(plot, [i + 1, one.mean], { color, radius: 3, opacity: 1 });
  });
  return plot;
}
