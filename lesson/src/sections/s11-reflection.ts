// Section 11: the usual questions of reflection, answered by measurement; and textbook sentences to put to the test.

import type { Engine, EstimatorChoice, Moments, Problem } from "../engine";
import { addDots, addRule, addText, COLOURS, linePlot, max, min, type Plot, type Point } from "../plot";
import { predict } from "../predict";
import type { Context, Section } from "../section";
import type { NumberSetting, Setting } from "../settings";
import {
  figure,
  type Figure,
  fixed,
  format,
  h,
  heading,
  inline,
  list,
  onceAFrame,
  panel,
  percent,
  prose,
  readout,
  readouts,
  remark,
  settingChoice,
  settingSlider,
  superscript,
} from "../ui";
import {
  angle,
  type Chain,
  chainSettings,
  distance,
  dot,
  estimatorNamed,
  EXAMPLE,
  EXAMPLE_POINT,
  norm,
  pointOf,
  preferenceSlider,
  sampleMoments,
  spellLength,
  spellVector,
  trace,
  type Vector,
} from "./chain";
import { CHAIN, LAKE } from "./counts";

const PLAIN = "reward-to-go";
const OTHERS = "reward-to-go, leave-one-out";

export const reflection: Section = {
  id: "reflection",
  number: 11,
  title: "Reflection, by measurement",
  minutes: 8,
  star: false,
  exercises: ["subtract_baseline"],
  build,
};

interface Part {
  elements: HTMLElement[];
  update: () => void;
}

function build(root: HTMLElement, context: Context): void {
  const parts = [enumeration(context), constants(context), averaging(context), sentences(context)];
  root.append(
    prose(
      "Most courses end with questions to think about. Here each has an answer that can be measured. ",
      "Say what you expect first.",
    ),
    ...parts.flatMap(({ elements }) => elements),
    remark(
      "In pgrad",
      "`exact.moments` gave most of these numbers. `pgrad diagnose RUN` asks the third question of *your* policy: ",
      "how many episodes would a gradient with 10 % error need, and how many did each step get?",
    ),
  );
  for (const { update } of parts) update();
}

// Question 1: why not add up all trajectories?

/** Return how many rows of the table this machine adds up in a second, measured while it computes a landscape. */
function rowsASecond(engine: Engine): number {
  const points = Array.from({ length: 41 }, (_, i) => i / 10 - 2);
  const rows = engine.theorem(EXAMPLE, EXAMPLE_POINT).rows.length;
  engine.performanceGrid(EXAMPLE, points, points); // the first call may still be compiled
  const begin = performance.now();
  engine.performanceGrid(EXAMPLE, points, points);
  return (1000 * rows * points.length ** 2) / (performance.now() - begin);
}

function enumeration(context: Context): Part {
  const { engine, settings } = context;
  const horizon = settings.number("horizon", { default: 100, min: 1, max: LAKE.length, integer: true });
  const speed = rowsASecond(engine);
  const drawn = growthFigure(horizon);
  const numbers = [readout("Rows, the chain"), readout("Rows, FrozenLake"), readout("Time to add up FrozenLake's")];

  function update(): void {
    const [chain, lake] = [CHAIN[horizon.get() - 1]!, LAKE[horizon.get() - 1]!];
    numbers[0]!.set(power(chain));
    numbers[1]!.set(power(lake));
    numbers[2]!.set(duration(lake - Math.log10(speed)));
    drawn.redraw();
  }

  horizon.subscribe(update);
  const measured = h("div", {}, drawn.element, panel(settingSlider(horizon, { label: "Time limit, steps", step: 1 })));
  measured.append(readouts(...numbers));
  return {
    elements: [
      heading("1. Why the trick? Why not differentiate the sum itself?"),
      prose(
        "The sum over all trajectories is exact, and its gradient is one line of calculus. Two things are in the way. ",
        "The first: it needs $p(s'|s, a)$, the chance that $s'$ is the next state, which nobody knows of a real ",
        "world. The second is this:",
      ),
      doublingQuestion(context, [measured]),
      measured,
      prose(
        `This machine just added up ${format(speed, 2)} rows a second. Each further step multiplies the rows by the `,
        "same number, so a faster machine buys a few steps only. A *sample* of a thousand trajectories costs a ",
        "thousand trajectories, however many there are.",
      ),
    ],
    update,
  };
}

/** Write 10^digits: as an integer where it is small, else as a rounded power. */
function power(digits: number): string {
  if (digits < 5) return format(Math.round(10 ** digits));
  const exponent = Math.floor(digits);
  return `${fixed(10 ** (digits - exponent), 1)} × 10${superscript(exponent)}`;
}

const YEAR = Math.log10(365.25 * 24 * 3600);

/** Write a time of 10^digits seconds. */
function duration(digits: number): string {
  return digits < YEAR ? `${format(10 ** digits, 2)} seconds` : `${power(digits - YEAR)} years`;
}

function growthFigure(horizon: NumberSetting): Figure {
  const now = () => horizon.get() - 1;
  const steps = [1, 2, 3, 5, 10, 20, 50, 100];
  return figure({
    title: "Trajectories against the time limit",
    draw: (width) => growthPlot(width, horizon.get()),
    describe: () =>
      `With at most ${horizon.get()} steps the chain has ${power(CHAIN[now()]!)} trajectories and FrozenLake ` +
      `${power(LAKE[now()]!)}. The chain of the lesson stops after 3 steps: ${power(CHAIN[2]!)}.`,
    table: () => ({
      columns: ["steps", "the chain", "FrozenLake"],
      rows: steps.map((n) => [n, power(CHAIN[n - 1]!), power(LAKE[n - 1]!)]),
    }),
  });
}

function growthPlot(width: number, horizon: number): Plot {
  const line = (digits: readonly number[]) => digits.map((value, i): Point => [i + 1, value]);
  const plot = linePlot(width, {
    x: { label: "time limit, steps", domain: [1, LAKE.length], values: [1, 20, 40, 60, 80, 100] },
    y: {
      label: "trajectories",
      domain: [0, 100],
      values: [0, 20, 40, 60, 80, 100],
      format: (digits) => `10${superscript(digits)}`,
    },
    series: [
      { label: "FrozenLake", points: line(LAKE), color: COLOURS.vermilion },
      { label: "the chain 0 – 1 – goal", points: line(CHAIN), color: COLOURS.blue },
    ],
  });
  addRule(plot, { x: horizon, color: COLOURS.ink });
  addRule(plot, { y: 80 });
  addText(plot, [2, 82], "atoms in the visible universe, about", { color: COLOURS.muted, anchor: "start" });
  addDots(plot, [3, CHAIN[2]!], { color: COLOURS.blue, radius: 6, opacity: 1 });
  addDots(plot, [horizon, LAKE[horizon - 1]!], { color: COLOURS.vermilion, radius: 5, opacity: 1 });
  return plot;
}

function doublingQuestion(context: Context, hides: HTMLElement[]): HTMLElement {
  return predict(context, {
    id: "reflection-rows",
    question:
      "FrozenLake has 4 actions, and each may slip to three fields. With a limit of 10 steps it has " +
      `${power(LAKE[9]!)} trajectories. By what factor does *one* more step multiply them?`,
    kind: "interval",
    hides,
    answer: async () => 10 ** (LAKE[10]! - LAKE[9]!),
    explain:
      "Not by 12: some slips lead to the same field, and holes end the episode. But by nearly the same factor at " +
      "every step, and that is what a straight line on this scale means.",
  });
}

// Question 2: a constant in the rewards, or in the returns

type Target = "reward" | "return";

const SHIFTS = Array.from({ length: 17 }, (_, i) => -4 + i / 2);

interface Shift {
  constant: NumberSetting;
  target: Setting<Target>;
}

/** Return the problem and the estimator in which `constant` is added to every reward, or to every return. */
function shifted(engine: Engine, target: Target, constant: number): [Problem, EstimatorChoice] {
  if (target === "reward") return [{ ...EXAMPLE, constant }, estimatorNamed(engine, PLAIN)];
  return [EXAMPLE, { ...estimatorNamed(engine, "reward-to-go, constant"), constant: -constant }];
}

function shiftedMoments(engine: Engine, target: Target, constant: number): Moments {
  return engine.moments(shifted(engine, target, constant)[0], EXAMPLE_POINT, shifted(engine, target, constant)[1], 1);
}

/** Return how much of ∇J the mean estimate is, along ∇J: 1 is all of it, −1 the reverse. */
function shareOfGradient(engine: Engine, target: Target, constant: number): number {
  const { gradient } = engine.theorem(EXAMPLE, EXAMPLE_POINT);
  return dot(shiftedMoments(engine, target, constant).mean, gradient) / norm(gradient) ** 2;
}

/** Return the probability that the estimate from one trajectory points uphill on the landscape before the shift. */
function uphill(engine: Engine, target: Target, constant: number): number {
  const { gradient } = engine.theorem(EXAMPLE, EXAMPLE_POINT);
  const [problem, estimator] = shifted(engine, target, constant);
  const { estimates, probabilities } = engine.allBatches(problem, EXAMPLE_POINT, estimator, 1);
  return probabilities.reduce(
    (sum, p, k) => (dot([estimates[2 * k]!, estimates[2 * k + 1]!], gradient) > 0 ? sum + p : sum),
    0,
  );
}

function constants(context: Context): Part {
  const { engine, settings } = context;
  const shift: Shift = {
    constant: settings.number("constant", { default: 2, min: -4, max: 4 }),
    target: settings.text("target", { default: "reward", allowed: ["reward", "return"] }),
  };
  const figures = [shareFigure(engine, shift), varianceFigure(engine, shift)];
  const mean = readout("Mean of the estimate");
  const share = readout("That is, times $\\nabla J$ before");
  const noise = readout("Variance, $\\operatorname{tr} \\operatorname{Cov} \\hat g$, $N = 1$");
  const up = readout("One trajectory points uphill");
  const verdict = h("p", { class: "predict-truth", role: "status" });

  function update(): void {
    const [target, constant] = [shift.target.get(), shift.constant.get()];
    const moments = shiftedMoments(engine, target, constant);
    const part = shareOfGradient(engine, target, constant);
    mean.set(spellVector(moments.mean));
    share.set(fixed(part, 2));
    noise.set(format(trace(moments)));
    up.set(percent(uphill(engine, target, constant)));
    const isKept = Math.abs(part - 1) < 1e-9;
    const where = `With ${format(constant)} added to every ${target}`;
    verdict.textContent = isKept
      ? `${where}: the mean is the old ∇J. The sentence holds here.`
      : `${where}: the mean is ${fixed(part, 2)} times the old ∇J. The sentence is refuted.`;
    for (const drawn of figures) drawn.redraw();
  }

  for (const setting of [shift.constant, shift.target]) setting.subscribe(update);
  const measured = h(
    "div",
    {},
    panel(
      settingChoice(shift.target, {
        label: "Add the constant to",
        options: [
          { value: "reward", label: "every reward" },
          { value: "return", label: "every return" },
        ],
      }),
      settingSlider(shift.constant, { label: "The constant $c$", step: 0.1 }),
    ),
    verdict,
    readouts(mean, share, noise, up),
    ...figures.map(({ element }) => element),
  );
  return {
    elements: [
      heading("2. What if all returns are positive?"),
      prose(
        "On the chain every return is negative. Add a constant, and every one is positive: then each trajectory, good ",
        "or bad, pushes its own actions *up*. Two sentences are told about this. They sound alike.",
      ),
      prose("“**A constant added to every reward does not change the gradient.**” To confirm or to refute:"),
      constantQuestion(context, [measured]),
      measured,
      list(
        "Added to every *reward*, the constant is paid once a step. Here the policy decides how many steps there " +
          "are. So it is another problem: at $c = 1$ nothing costs anything, and at $c = 2$ it pays to stay away.",
        "Added to every *return*, it is a baseline. Scores average to zero, so the mean stays. The variance does " +
          "not: it is a parabola, lowest where the constant brings the returns to both sides of zero.",
        "With one step, or episodes of a fixed length, both are the same thing. That is where the sentence comes from.",
        "So positive returns are no *bias*. They are noise: nothing is pushed down, only some things up by less.",
      ),
    ],
    update,
  };
}

const TARGETS: readonly { target: Target; label: string; color: string }[] = [
  { target: "reward", label: "added to every reward", color: COLOURS.vermilion },
  { target: "return", label: "added to every return", color: COLOURS.blue },
];

function shiftFigure(
  shift: Shift,
  title: string,
  label: string,
  value: (target: Target, constant: number) => number,
  told: (value: number) => string,
): Figure {
  const lines = TARGETS.map((one) => ({
    ...one,
    points: SHIFTS.map((c): Point => [c, value(one.target, c)]),
  }));
  const heights = lines.flatMap(({ points }) => points.map(([, y]) => y));
  const margin = 0.06 * (max(heights) - min(heights));
  const now = () => value(shift.target.get(), shift.constant.get());
  return figure({
    title,
    draw: (width) => {
      const plot = linePlot(width, {
        x: { label: "constant c", domain: [-4, 4] },
        y: { label, domain: [min(heights) - margin, max(heights) + margin] },
        series: lines,
        rules: [{ y: 0 }],
        height: 190,
      });
      addDots(plot, [shift.constant.get(), now()], { color: COLOURS.ink, radius: 6, opacity: 1 });
      return plot;
    },
    describe: () => `With c = ${format(shift.constant.get())} added to every ${shift.target.get()}, ${told(now())}.`,
    table: () => ({
      columns: ["c", ...TARGETS.map((one) => one.label)],
      rows: SHIFTS.map((c, i) => [c, ...lines.map(({ points }) => points[i]![1])]),
    }),
  });
}

function shareFigure(engine: Engine, shift: Shift): Figure {
  return shiftFigure(
    shift,
    "The mean estimate, as a multiple of the old $\\nabla J$",
    "multiple of ∇J",
    (target, c) => shareOfGradient(engine, target, c),
    (share) => `the mean estimate is ${fixed(share, 2)} times the old ∇J`,
  );
}

function varianceFigure(engine: Engine, shift: Shift): Figure {
  return shiftFigure(
    shift,
    "The variance of one trajectory's estimate",
    "tr Cov",
    (target, c) => trace(shiftedMoments(engine, target, c)),
    (noise) => `tr Cov is ${format(noise)}`,
  );
}

function constantQuestion(context: Context, hides: HTMLElement[]): HTMLElement {
  const { engine } = context;
  return predict(context, {
    id: "reflection-constant",
    question: "Each step of the chain costs 1. Add $c = 2$ to every reward. What happens to $\\nabla J$?",
    kind: "choice",
    options: ["It stays the same", "It vanishes", "It turns round"],
    hides,
    answer: async () => {
      const share = shareOfGradient(engine, "reward", 2);
      if (Math.abs(share) < 1e-9) return "It vanishes";
      return share < 0 ? "It turns round" : "It stays the same";
    },
    explain:
      "The step that cost 1 now pays 1. Whoever walks to the goal loses by it. CartPole's reward is such a constant: " +
      "+1 a step, and nothing else.",
  });
}

// Question 3: how many trajectories?

const SAME = 1e-9; // difference that rounding can make
const SIZES = [1, 2, 4, 8, 16, 32, 64, 128, 256];
const REPEATS = 200; // batches that are sampled where not all can be added up
const MOST_EXACT = 2;
const WANTED = 0.1; // error, as a share of ‖∇J‖

interface Level {
  size: number;
  noise: number; // √tr Cov
  bias: number;
  isExact: boolean;
}

function averaging(context: Context): Part {
  const { engine, settings } = context;
  const names = engine.catalogue.map(({ name }) => name);
  const name = settings.text("estimator", { default: PLAIN, allowed: names });
  let levels: Level[] = [];
  let truth: Vector = [0, 0];
  const slope = readout("Slope of the noise");
  const needed = readout(`Trajectories for ${percent(WANTED)} error`);
  const left = readout(`Bias at $N = ${MOST_EXACT}$, exact`);
  const drawn = noiseFigure(
    () => levels,
    () => truth,
    name,
  );

  function update(): void {
    const estimator = estimatorNamed(engine, name.get());
    truth = targetOf(engine, estimator);
    levels = SIZES.map((size) => levelOf(engine, estimator, size, truth)).filter(({ noise }) => Number.isFinite(noise));
    const { bias } = levels.find(({ size }) => size === MOST_EXACT)!;
    slope.set(fixed(fittedSlope(levels), 2));
    needed.set(trajectoriesNeeded(levels, truth));
    left.set(bias < SAME ? "none" : `${percent(bias / norm(truth))} of the gradient`);
    drawn.redraw();
  }

  name.subscribe(update);
  const measured = h(
    "div",
    {},
    panel(settingChoice(name, { label: "Estimator", options: names.map((value) => ({ value, label: value })) })),
    readouts(slope, needed, left),
    drawn.element,
  );
  return {
    elements: [
      heading("3. How does the number of trajectories change the estimate?"),
      halvingQuestion(context),
      neededQuestion(context, [measured]),
      measured,
      list(
        "On these axes the noise is a straight line of slope −½: it is divided by $\\sqrt N$.",
        "A better estimator moves the line down, for the same trajectories. That is what baselines are for.",
        "Bias is not noise. A dashed line that stays up is an error that no $N$ takes away.",
      ),
    ],
    update,
  };
}

/** Return the gradient that an estimator aims at: with a value baseline, a time limit is a cut (see section 6). */
function targetOf(engine: Engine, { baseline }: EstimatorChoice): Vector {
  if (baseline !== "value") return engine.theorem(EXAMPLE, EXAMPLE_POINT).gradient;
  return engine.moments(EXAMPLE, EXAMPLE_POINT, estimatorNamed(engine, "reward-to-go, value"), 1).mean;
}

function levelOf(engine: Engine, estimator: EstimatorChoice, size: number, truth: Vector): Level {
  const isExact = size <= MOST_EXACT;
  const moments = isExact
    ? engine.moments(EXAMPLE, EXAMPLE_POINT, estimator, size)
    : sampleMoments(engine.estimates(EXAMPLE, EXAMPLE_POINT, estimator, size, REPEATS, size));
  return { size, noise: Math.sqrt(trace(moments)), bias: distance(moments.mean, truth), isExact };
}

/** Say whether the mean is further from the gradient than a sample's mean is by chance. */
function isBiased({ noise, bias, isExact }: Level): boolean {
  return bias > (isExact ? SAME : (4 * noise) / Math.sqrt(REPEATS));
}

/** Return the slope of log noise against log N, by least squares. */
function fittedSlope(levels: readonly Level[]): number {
  const seen = levels.filter(({ noise }) => noise > 1e-9);
  const points = seen.map(({ size, noise }): Vector => [Math.log(size), Math.log(noise)]);
  const middle = points.reduce(([a, b], [x, y]): Vector => [a + x / points.length, b + y / points.length], [0, 0]);
  const sums = points.map(([x, y]): Vector => [(x - middle[0]) * (y - middle[1]), (x - middle[0]) ** 2]);
  return sums.reduce((sum, [xy]) => sum + xy, 0) / sums.reduce((sum, [, xx]) => sum + xx, 0);
}

/** Return how many trajectories bring the noise down to the error wanted, from the levels of larger batches. */
function trajectoriesNeeded(levels: readonly Level[], truth: Vector): string {
  const large = levels.filter(({ size }) => size >= 16);
  const ofOne = large.reduce((sum, { size, noise }) => sum + (size * noise ** 2) / large.length, 0);
  const count = ofOne / (WANTED * norm(truth)) ** 2;
  return `about ${format(Number(count.toPrecision(2)))}`;
}

function noiseFigure(levels: () => Level[], truth: () => Vector, name: Setting<string>): Figure {
  return figure({
    title: "Noise and bias against the number of trajectories",
    draw: (width) => noisePlot(width, levels(), norm(truth())),
    describe: () => {
      const [first, last] = [levels()[0]!, levels().at(-1)!];
      return (
        `${name.get()}: the noise falls from ${format(first.noise)} at N = ${first.size} to ${format(last.noise)} at ` +
        `N = ${last.size}, slope ${fixed(fittedSlope(levels()), 2)}. What it aims at is ${format(norm(truth()))} long.`
      );
    },
    table: () => ({
      columns: ["N", "noise √tr Cov", "distance of the mean", "how"],
      rows: levels().map(({ size, noise, bias, isExact }) => [
        size,
        noise,
        spellLength(bias),
        isExact ? "all batches" : `${REPEATS} sampled`,
      ]),
    }),
  });
}

const FLOOR = 1e-3; // of the figure

function noisePlot(width: number, levels: readonly Level[], truth: number): Plot {
  const most = max(levels.map(({ noise, bias }) => Math.max(noise, bias)));
  const first = levels.find(({ noise }) => noise > FLOOR) ?? levels[0]!;
  const ideal = SIZES.map((size): Point => [size, first.noise * Math.sqrt(first.size / size)]);
  const visible = (value: number) => (value < FLOOR ? Number.NaN : value);
  const plot = linePlot(width, {
    x: { label: "trajectories N", domain: [1, SIZES.at(-1)!], log: true, values: SIZES },
    y: { label: "length", domain: [FLOOR, Math.max(10, 2 * most)], log: true },
    series: [
      {
        label: "noise √tr Cov",
        points: levels.map(({ size, noise }): Point => [size, visible(noise)]),
        color: COLOURS.blue,
      },
      { label: "slope −½", points: ideal, color: COLOURS.muted, dash: "2 4" },
      {
        label: "bias, where it can be seen",
        points: levels.map((level): Point => [level.size, visible(isBiased(level) ? level.bias : 0)]),
        color: COLOURS.vermilion,
        dash: "6 4",
      },
    ],
    rules: [{ y: truth }],
  });
  addText(plot, [1.1, 0.6 * truth], "length of the gradient", { color: COLOURS.muted, anchor: "start" });
  for (const { size, noise, isExact } of levels) {
    if (noise >= FLOOR) addDots(plot, [size, noise], { color: COLOURS.blue, radius: isExact ? 6 : 3.5, opacity: 1 });
  }
  return plot;
}

function halvingQuestion(context: Context): HTMLElement {
  const { engine } = context;
  return predict(context, {
    id: "reflection-halve",
    question: "You want half the noise. How many times as many trajectories must you draw?",
    kind: "choice",
    options: ["2 times", "4 times", "8 times"],
    answer: async () => {
      const plain = estimatorNamed(engine, PLAIN);
      const variance = [1, 2].map((size) => trace(engine.moments(EXAMPLE, EXAMPLE_POINT, plain, size)));
      const power = Math.log2(variance[0]! / variance[1]!) / 2; // noise ∝ N^−power
      return `${Math.round(2 ** (1 / power))} times`;
    },
    explain:
      "Twice as many halve the *variance*, measured over all batches of one and of two. The noise is its square " +
      "root. One more digit costs a hundred times as many.",
  });
}

function neededQuestion(context: Context, hides: HTMLElement[]): HTMLElement {
  const { engine } = context;
  return predict(context, {
    id: "reflection-needed",
    question:
      "The chain again, with rewards-to-go. How many trajectories does an estimate need whose error is " +
      `${percent(WANTED)} of $\\nabla J$'s length?`,
    kind: "interval",
    unit: "trajectories",
    hides,
    answer: async () => {
      const { gradient } = engine.theorem(EXAMPLE, EXAMPLE_POINT);
      const one = engine.moments(EXAMPLE, EXAMPLE_POINT, estimatorNamed(engine, PLAIN), 1);
      return Math.round(trace(one) / (WANTED * norm(gradient)) ** 2);
    },
    explain: () => {
      const { gradient } = engine.theorem(EXAMPLE, EXAMPLE_POINT);
      const two = engine.moments(EXAMPLE, EXAMPLE_POINT, estimatorNamed(engine, OTHERS), 2);
      const fewer = format(Math.round((2 * trace(two)) / (WANTED * norm(gradient)) ** 2));
      return `With the mean of the others as a baseline about ${fewer} do: the same trajectories, better used.`;
    },
  });
}

// Textbook sentences

interface Bench extends Chain {
  discount: NumberSetting;
}

interface Finding {
  measured: string;
  holds: boolean;
}

interface Sentence {
  text: string;
  test: (measured: (name: string, size?: number) => Moments, gradient: Vector, meanScore: number) => Finding;
}

const SENTENCES: readonly Sentence[] = [
  {
    text: "The scores average to zero.",
    test: (_, __, meanScore) => ({ measured: `mean score ${spellLength(meanScore)}`, holds: meanScore < SAME }),
  },
  {
    text: "Subtracting a baseline, such as the mean of the batch, never changes the mean of the estimate.",
    test: (measured, gradient) => {
      const { mean } = measured("total return, mean");
      const share = dot(mean, gradient) / norm(gradient) ** 2;
      return { measured: `${fixed(share, 2)} of ∇J is left`, holds: distance(mean, gradient) < SAME };
    },
  },
  {
    text: "The best constant as a baseline, estimated from the other trajectory, lowers the variance.",
    test: (measured) => lower(trace(measured("reward-to-go, optimal constant")), trace(measured(PLAIN))),
  },
  {
    text: "Whitening the returns only changes the length of the step.",
    test: (measured, gradient) => {
      const turned = angle(measured("reward-to-go, whitened").mean, gradient);
      return { measured: `turned by ${fixed(turned, 1)}°`, holds: turned < 1e-3 };
    },
  },
  {
    text: "The factor $\\gamma^t$ can be left out: the mean keeps its direction.",
    test: (measured, gradient) => {
      const turned = angle(measured("reward-to-go, γ^t dropped", 1).mean, gradient); // the same for any size
      return { measured: `turned by ${fixed(turned, 1)}°`, holds: turned < 1e-3 };
    },
  },
  {
    text: "Rewards-to-go have less variance than total returns, with the mean of the others as a baseline too.",
    test: (measured) => lower(trace(measured(OTHERS)), trace(measured("total return, leave-one-out"))),
  },
];

function lower(now: number, before: number): Finding {
  return { measured: `tr Cov ${format(now)} against ${format(before)}`, holds: now < before };
}

/** Put every sentence to the test, with batches of two. */
function findings(engine: Engine, problem: Problem, point: [number, number]): Finding[] {
  const { rows, gradient } = engine.theorem(problem, point);
  const meanScore = norm([
    rows.reduce((sum, { probability, score }) => sum + probability * score[0], 0),
    rows.reduce((sum, { probability, score }) => sum + probability * score[1], 0),
  ]);
  const known = new Map<string, Moments>();

  function measured(name: string, size = 2): Moments {
    const moments = known.get(name) ?? engine.moments(problem, point, estimatorNamed(engine, name), size);
    known.set(name, moments);
    return moments;
  }

  return SENTENCES.map(({ test }) => test(measured, gradient, meanScore));
}

function sentences(context: Context): Part {
  const { engine, settings } = context;
  const bench: Bench = {
    ...chainSettings(settings),
    discount: settings.number("discount", { default: EXAMPLE.discount, min: 0.1, max: 1 }),
  };
  const slot = h("div", { class: "table-slot whole", role: "group", "aria-label": "The sentences, tested" });
  const words = h("p", { class: "words", role: "status" });

  function update(): void {
    const problem = { ...EXAMPLE, slip: bench.slip.get(), discount: bench.discount.get() };
    const found = findings(engine, problem, pointOf(bench));
    const titles = ["sentence", "measured", "so it is"].map((title) => h("th", { scope: "col" }, title));
    const rows = SENTENCES.map(({ text }, i) => sentenceRow(text, found[i]!));
    slot.replaceChildren(h("table", {}, h("thead", {}, h("tr", {}, ...titles)), h("tbody", {}, ...rows)));
    words.textContent = `${found.filter(({ holds }) => holds).length} of ${found.length} sentences hold here.`;
  }

  const soon = onceAFrame(update);
  for (const setting of Object.values(bench)) setting.subscribe(soon);
  const measured = h(
    "div",
    {},
    slot,
    words,
    panel(
      preferenceSlider(bench, 0),
      preferenceSlider(bench, 1),
      settingSlider(bench.slip, { label: "Chance that a step slips", step: 0.01 }),
      settingSlider(bench.discount, { label: "Discount $\\gamma$", step: 0.01 }),
    ),
    prose(
      "One place where a sentence fails refutes it. A place where it holds proves nothing, but it may tell *when* it ",
      "holds: find a $\\gamma$ that saves the fifth. Which sentence can you not break?",
    ),
  );
  return {
    elements: [
      heading("Catch the textbook"),
      prose("Here are sentences that you can read in tutorials. They are about the chain, with batches of two:"),
      h("ol", {}, ...SENTENCES.map(({ text }) => h("li", {}, ...inline(text)))),
      sentenceQuestion(context, [measured]),
      measured,
    ],
    update,
  };
}

function sentenceRow(text: string, { measured, holds }: Finding): HTMLElement {
  const verdict = holds ? "✓\u00a0true" : "✗\u00a0refuted";
  return h("tr", {}, h("td", {}, ...inline(text)), h("td", {}, measured), h("td", {}, verdict));
}

function sentenceQuestion(context: Context, hides: HTMLElement[]): HTMLElement {
  return predict(context, {
    id: "reflection-sentences",
    question: `How many of these ${SENTENCES.length} sentences hold on the chain, at the settings of section 5?`,
    kind: "choice",
    options: SENTENCES.map((_, i) => String(i)).concat(String(SENTENCES.length)),
    hides,
    answer: async () => {
      const found = findings(context.engine, EXAMPLE, EXAMPLE_POINT);
      return String(found.filter(({ holds }) => holds).length);
    },
    explain:
      "Each of the others is right at other settings, or in the limit of large batches. The table says by how much " +
      "it fails.",
  });
}
