// Section 6: the estimator. An exact arrow, a cloud of estimates around it, and every batch that could have happened.

import type { Engine, EstimatorChoice, Moments, Problem } from "../engine";
import { addArrow, addDots, addRule, type Axis, axes, cloudPlot, COLOURS, heatMap, max, min, type Plot } from "../plot";
import { predict } from "../predict";
import type { Context, Section } from "../section";
import type { NumberSetting, Setting } from "../settings";
import {
  button,
  choice,
  columns,
  type Control,
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
  type Table,
  tex,
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
  REACH,
  roundUp,
  sampleMoments,
  spellLength,
  spellVector,
  trace,
  type Vector,
} from "./chain";
import { cached } from "./remembered";

const BASELINES: Record<EstimatorChoice["baseline"], string> = {
  none: "none",
  constant: "a constant b",
  mean: "mean of the batch",
  "leave-one-out": "mean of the others",
  optimal: "optimal constant, estimated",
  value: "V(s), the true mean return from s",
};
const PLAIN = "reward-to-go";
const TARGET_OF_VALUE = "reward-to-go, value"; // unbiased for what a value baseline aims at
const MOST_EXACT = 2; // trajectories a batch, beyond which there are too many batches
const DRAWN = 6000; // trajectories that are drawn at each move of a slider, about
const DOTS = { least: 60, most: 400 };
const NO_OTHERS = "With one trajectory there are no others to take a mean of: choose two or more.";
const SURROGATES = 150; // most batches of the surrogate's figure
const GRID = Array.from({ length: 41 }, (_, i) => -REACH + (2 * REACH * i) / 40);
const MAGNIFIED = 8; // the arrow on the landscape

export const estimator: Section = {
  id: "estimator",
  number: 6,
  title: "The estimator",
  minutes: 15,
  star: true,
  exercises: ["estimate_policy_gradient", "reward_to_go_gradient"],
  build,
};

interface Choices extends Chain {
  constant: NumberSetting; // added to every reward
  discount: NumberSetting;
  name: Setting<string>; // of the estimator, in pgrad's catalogue
  baseline: NumberSetting; // the constant b
  trajectories: NumberSetting; // N
  every: Setting<"1" | "2">; // N of the figure of all batches
  seed: NumberSetting;
  choice(): EstimatorChoice;
  problem(): Problem;
}

interface Model extends Choices {
  now(): Measured;
}

/** What the figures show. */
interface Measured {
  performance: number; // J(θ)
  gradient: Vector; // ∇J(θ)
  cloud: Float64Array; // sampled estimates
  moments: Moments; // of an estimate
  batches: number; // that the moments were taken over
  isExact: boolean; // these were all
  uphill: number; // share of the estimates that point less than 90° away from ∇J
  all: AllBatches; // for the figure of every batch
  own: Vector; // one of them, drawn
  surrogates: readonly Surrogate[]; // of sampled batches, the seed's own first
}

interface AllBatches {
  estimates: Float64Array;
  probabilities: Float64Array;
  moments: Moments;
}

interface Surrogate {
  value: number;
  gradient: Vector;
}

function build(root: HTMLElement, context: Context): void {
  const { engine } = context;
  const choices = choicesOf(context);
  const measuredNow = cached(() => measure(engine, choices));
  const model: Model = { ...choices, now: measuredNow.get };

  const landscape = landscapeFigure(engine, model);
  const cloud = cloudFigure(model);
  const every = everyFigure(model);
  const values = surrogateFigure(model);
  const parts = [measurements(model), surrogateNumbers(model)] as const;
  const drawn = [landscape, cloud, every, values];
  const updateParts = onceAFrame(() => {
    for (const part of parts) part.update();
  });
  const update = () => {
    measuredNow.forget();
    for (const one of drawn) one.redraw();
    updateParts();
  };
  for (const setting of [model.theta, model.slip, model.constant, model.discount]) setting.subscribe(update);
  for (const setting of [model.name, model.every]) setting.subscribe(update);
  for (const setting of [model.baseline, model.trajectories, model.seed]) setting.subscribe(update);

  const pictures = columns(landscape.element, cloud.element);
  const measured = h("div", {}, pictures, ...controls(engine, model), parts[0].element);
  const redraw = () => model.seed.set(1 + (model.seed.get() % model.seed.max));
  const surrogate = h("div", {}, parts[1].element, values.element);

  root.append(
    prose(
      "The table has too many rows, but it is an average. So draw $N$ trajectories $\\omega_1, \\dots, \\omega_N$, ",
      "and average over those. The result $\\hat g$ is an **estimate** of $\\nabla J$:",
    ),
    tex(String.raw`\hat g = \frac{1}{N} \sum_{n=1}^{N} G(\omega_n) \sum_t \nabla \log \pi(a_t|s_t)`, true),
    prose(
      "An action cannot change rewards that came before it. So most programs multiply each score by the rewards ",
      "*from then on*, the *reward-to-go* $G_t = r_t + \\gamma r_{t+1} + \\gamma^2 r_{t+2} + \\dots$, times ",
      "$\\gamma^t$. The mean is the same, and nearly always the noise is smaller.",
    ),
    distanceQuestion(context, [measured]),
    measured,
    prose(
      "Drag $\\theta$ on the landscape. The arrow $\\nabla J$ is exact: all 52 rows were added up. Each dot is what a ",
      "program that sees $N$ trajectories would take for it.",
    ),
    list(
      "More trajectories shrink the cloud. Its centre stays where it is.",
      "A **baseline** $b$ is subtracted from the returns. It can shrink the cloud as well, for nothing. And it does " +
        "not move the centre, as scores average to zero: " +
        "$\\sum_a \\pi(a) \\nabla \\log \\pi(a) = \\nabla \\sum_a \\pi(a) = \\nabla 1 = 0$.",
      "Some estimators move the centre: they are *biased*. No $N$, or only a large one, brings it back.",
    ),
    heading("Every batch that could have happened"),
    prose(
      "Here sampling can be left out altogether. The 52 trajectories make 52 batches of one, and 52² = 2,704 of two. ",
      "Below is each of them. The *area* of a dot is its probability. Their centre of mass is $\\mathbb{E}[\\hat g]$, ",
      "the mean of all estimates, without any sampling error.",
    ),
    panel(
      settingChoice(model.every, {
        label: "Trajectories a batch",
        options: [
          { value: "1", label: "1: all 52 batches" },
          { value: "2", label: "2: all 2,704" },
        ],
      }),
      button("Draw one batch", redraw),
    ),
    every.element,
    prose(
      "**Unbiased** means that the centre of mass is $\\nabla J$. It does not mean that any dot is near it. ",
      "One training step is one dot of this figure: the green one. It was drawn, not chosen.",
    ),
    heading("A number that is not the gradient"),
    prose(
      "Programs do not write down $\\hat g$. They write down a **surrogate**, a number whose gradient is $\\hat g$, ",
      "and let automatic differentiation do the rest:",
    ),
    tex(String.raw`L(\theta) = \frac{1}{N} \sum_n \sum_t \gamma^t G_t \log \pi(a_t|s_t)`, true),
    tex(String.raw`\nabla L = \hat g`, true),
    prose(
      "It is easy to print $L$ and to believe that it is the gradient, or how well the agent does. ",
      "It is neither. The gradient is a vector with one entry for each parameter, and $L$ is one number.",
    ),
    signQuestion(context, [surrogate, parts[0].answer]), // which would be given away
    surrogate,
    panel(button("Draw another batch", redraw)),
    prose("Watch the gradient of $L$, the returns, or the angle. Do not read $L$: it has reasons of its own."),
    remark(
      "In pgrad",
      "`exact.moments(mdp, policy, estimator, N)` adds up all batches. `pgrad.verify.diagnose_estimator(f)` does so ",
      "with *your* function, and tells its mistake by name. `pgrad verify` proves each estimator of the list above.",
    ),
  );
  for (const part of parts) part.update();
}

function choicesOf({ engine, settings }: Context): Choices {
  const names = engine.catalogue.map(({ name }) => name);
  const chain = chainSettings(settings);
  const constant = settings.number("constant", { default: 0, min: -1, max: 3 });
  const discount = settings.number("discount", { default: EXAMPLE.discount, min: 0, max: 1 });
  const name = settings.text("estimator", { default: PLAIN, allowed: names });
  const baseline = settings.number("baseline", { default: -1.9, min: -4, max: 4 });
  const trajectories = settings.number("trajectories", { default: 10, min: 1, max: 1000, integer: true });
  const every = settings.text("every", { default: "2", allowed: ["1", "2"] });
  const seed = settings.number("seed", { default: 2, min: 1, max: 9999, integer: true });

  function chosen(): EstimatorChoice {
    const entry = estimatorNamed(engine, name.get());
    return entry.baseline === "constant" ? { ...entry, constant: baseline.get() } : entry;
  }

  return {
    ...chain,
    constant,
    discount,
    name,
    baseline,
    trajectories,
    every,
    seed,
    choice: chosen,
    problem: () => ({ slip: chain.slip.get(), constant: constant.get(), discount: discount.get() }),
  };
}

/** Measure an estimator: over all batches where there are few, else over a sample. */
function measure(engine: Engine, model: Choices): Measured {
  const [problem, point, chosen, N] = [model.problem(), pointOf(model), model.choice(), model.trajectories.get()];
  const { performance, gradient } = engine.theorem(problem, point);
  const count = Math.round(Math.min(DOTS.most, Math.max(DOTS.least, DRAWN / N)));
  const cloud = engine.estimates(problem, point, chosen, N, count, model.seed.get());
  const isExact = N <= MOST_EXACT;
  const size = Number(model.every.get());
  const all = allBatches(engine, model, size);
  const sampled = () => ({ estimates: cloud, probabilities: even(count), moments: sampleMoments(cloud) });
  const counted = N === size ? all : isExact ? allBatches(engine, model, N) : sampled();
  const uphill = shareUphill(counted.estimates, counted.probabilities, gradient);
  const [x = 0, y = 0] = engine.estimates(problem, point, chosen, size, 1, model.seed.get());
  const surrogates = Array.from({ length: Math.min(count, SURROGATES) }, (_, k) =>
    engine.surrogate(problem, point, chosen, N, model.seed.get() + k),
  );
  const batches = counted.probabilities.length;
  const { moments } = counted;
  return { performance, gradient, cloud, moments, batches, isExact, uphill, all, own: [x, y], surrogates };
}

function allBatches(engine: Engine, model: Choices, size: number): AllBatches {
  const [problem, point, chosen] = [model.problem(), pointOf(model), model.choice()];
  const batches = engine.allBatches(problem, point, chosen, size);
  return { ...batches, moments: engine.moments(problem, point, chosen, size) };
}

/** Return equal probabilities. */
function even(count: number): Float64Array {
  return new Float64Array(count).fill(1 / count);
}

/** Return the probability that an estimate points less than 90° away from the gradient. */
function shareUphill(estimates: Float64Array, probabilities: Float64Array, gradient: Vector): number {
  return probabilities.reduce((sum, probability, k) => {
    return dot([estimates[2 * k]!, estimates[2 * k + 1]!], gradient) > 0 ? sum + probability : sum;
  }, 0);
}

/** Say whether there is an uphill. */
function isFlat({ gradient }: Measured): boolean {
  return norm(gradient) < 1e-9;
}

/** Say whether the estimator exists: the mean of the others is none where there are no others. */
function isDefined({ moments }: Measured): boolean {
  return Number.isFinite(moments.mean[0]);
}

// Controls

/** Return the panel of controls, and the line that tells what is known of the estimator's bias. */
function controls(engine: Engine, model: Choices): HTMLElement[] {
  const constant = settingSlider(model.baseline, { label: "The constant $b$", step: 0.1 });
  const kinds = baselineChoice(engine, model);
  const bias = h("p", { class: "words" });

  function tell(): void {
    const entry = estimatorNamed(engine, model.name.get());
    constant.element.hidden = entry.baseline !== "constant";
    kinds.set(entry.baseline);
    bias.textContent = `The bias of “${entry.name}”, by proof: ${entry.bias}.`;
  }

  tell();
  model.name.subscribe(tell);
  const names = engine.catalogue.map(({ name }) => ({ value: name, label: name }));
  const box = panel(
    settingSlider(model.trajectories, { label: "Trajectories $N$", step: 1, log: true }),
    settingChoice(model.name, { label: "Estimator", options: names }),
    kinds,
    constant,
    settingSlider(model.constant, { label: "Constant $c$ added to every reward", step: 0.1 }),
    settingSlider(model.discount, { label: "Discount $\\gamma$", step: 0.01 }),
    settingSlider(model.slip, { label: "Chance that a step slips", step: 0.01 }),
    preferenceSlider(model, 0),
    preferenceSlider(model, 1),
  );
  return [box, bias, valueRemark(engine, model)];
}

/** Make the choice of a baseline: it goes to the catalogue's estimator that differs least otherwise. */
function baselineChoice(engine: Engine, model: Choices): Control<EstimatorChoice["baseline"]> {
  return choice({
    label: "Its baseline",
    options: (Object.keys(BASELINES) as EstimatorChoice["baseline"][]).map((value) => ({
      value,
      label: BASELINES[value],
    })),
    value: estimatorNamed(engine, model.name.get()).baseline,
    onInput: (baseline) => {
      const others = engine.catalogue.filter((entry) => entry.baseline === baseline);
      const same = others.find(({ estimator: kind }) => kind === model.choice().estimator);
      model.name.set((same ?? others[0]!).name);
    },
  });
}

/** Make the remark on the value baseline, shown where there is one. */
function valueRemark(engine: Engine, model: Choices): HTMLElement {
  const text = h("p", {});
  const title = h("p", { class: "remark-title" }, "What V(s) aims at");
  const element = h("div", { class: "remark" }, title, text);

  function update(): void {
    element.hidden = model.choice().baseline !== "value";
    if (element.hidden) return;
    const target = targetOf(engine, model);
    const away = format(distance(target, engine.theorem(model.problem(), pointOf(model)).gradient));
    text.replaceChildren(
      ...inline(
        "V takes the limit of three steps for a *cut*: the chain would go on, and V(s) stands for the rest. So it " +
          "aims at the first three steps' share of the gradient of the chain without a limit " +
          `(\`solution.gradient_cut(3)\`): ${spellVector(target)} here. That is another vector than $\\nabla J$, ` +
          `${away} away. With that target, the bias that is told above is right.`,
      ),
    );
  }

  update();
  for (const setting of [model.name, model.theta, model.slip, model.constant, model.discount]) {
    setting.subscribe(onceAFrame(update));
  }
  return element;
}

/** Return what a value baseline aims at: the mean of an estimator that is proved to be unbiased for it. */
function targetOf(engine: Engine, model: Choices): Vector {
  return engine.moments(model.problem(), pointOf(model), estimatorNamed(engine, TARGET_OF_VALUE), 1).mean;
}

// The landscape and the cloud

function landscapeFigure(engine: Engine, model: Model): Figure {
  const drawn = figure({
    title: `$J(\\theta)$, and ${MAGNIFIED} times $\\nabla J$`,
    draw: (width) => landscapePlot(width, engine, model),
    describe: () => {
      const { performance, gradient } = model.now();
      const where = `At θ = ${spellVector(pointOf(model), 2)}, J is ${format(performance)}`;
      const direction = isFlat(model.now()) ? "and flat: ∇J is 0" : `and ∇J is ${spellVector(gradient)}`;
      return `${where} ${direction}.`;
    },
    table: () => {
      const coarse = GRID.filter((_, i) => i % 8 === 4);
      const values = engine.performanceGrid(model.problem(), coarse, coarse);
      return {
        columns: ["θ₁ ↓ θ₀ →", ...coarse.map((x) => format(x))],
        rows: coarse.map((y, j) => [y, ...values.slice(j * coarse.length, (j + 1) * coarse.length)]).reverse(),
      };
    },
  });
  drawn.addHandle({
    label: "The policy θ",
    at: () => pointOf(model),
    step: [0.1, 0.1],
    move: (x, y) => model.theta.set([Number(x.toFixed(2)), Number(y.toFixed(2))]),
    describe: () => `θ₀ ${fixed(pointOf(model)[0], 2)}, θ₁ ${fixed(pointOf(model)[1], 2)}`,
  });
  return drawn;
}

function landscapePlot(width: number, engine: Engine, model: Model): Plot {
  const values = engine.performanceGrid(model.problem(), GRID, GRID);
  const [low, high] = [min(values), max(values)];
  const middle = (low + high) / 2;
  const plot = heatMap(width, {
    x: { label: "θ₀: right in state 0", domain: [-REACH, REACH] },
    y: { label: "θ₁: right in state 1", domain: [-REACH, REACH] },
    equal: true,
    columns: GRID,
    rows: GRID,
    values,
    label: "J",
    range: high - low < 1e-9 ? [middle - 0.5, middle + 0.5] : [low, high],
  });
  const [x, y] = pointOf(model);
  const [dx, dy] = model.now().gradient;
  addArrow(plot, [x, y], [x + MAGNIFIED * dx, y + MAGNIFIED * dy], { color: COLOURS.vermilion, width: 4 });
  return plot;
}

/** Return the axes of a plot around 0 that holds a share of the estimates, and the arrow. */
function axesAround(points: Float64Array, gradient: Vector, share: number): { x: Axis; y: Axis } {
  const [across, along] = [0, 1].map((i) => {
    const sizes = points
      .filter((_, k) => k % 2 === i)
      .map(Math.abs)
      .sort();
    const most = sizes[Math.ceil(share * sizes.length) - 1] ?? 1;
    return roundUp(Math.max(1.05 * most, 1.3 * norm(gradient), 1e-3));
  }) as [number, number];
  const [x, y] = [Math.max(across, along / 2), Math.max(along, across / 2)];
  return { x: { label: "for θ₀", domain: [-x, x] }, y: { label: "for θ₁", domain: [-y, y] } };
}

function cloudFigure(model: Model): Figure {
  return figure({
    title: "What a program sees instead",
    draw: (width) => cloudOf(width, model),
    describe: () => {
      const now = model.now();
      if (!isDefined(now)) return NO_OTHERS;
      const mean = sampleMoments(now.cloud).mean;
      return (
        `${now.cloud.length / 2} estimates, from ${format(model.trajectories.get())} trajectories each. Their mean ` +
        `is ${spellVector(mean)}; ∇J is ${spellVector(now.gradient)}.`
      );
    },
    table: () => ({
      columns: ["estimate", "for θ₀", "for θ₁"],
      rows: Array.from({ length: 20 }, (_, k) => [k + 1, model.now().cloud[2 * k]!, model.now().cloud[2 * k + 1]!]),
    }),
  });
}

function cloudOf(width: number, model: Model): Plot {
  const now = model.now();
  const points = isDefined(now) ? now.cloud : new Float64Array(0);
  return cloudPlot(width, {
    ...axesAround(points, now.gradient, 0.98),
    clouds: [{ label: "estimates ĝ", points, color: COLOURS.blue }],
    arrows: [
      { label: "∇J", to: now.gradient, color: COLOURS.vermilion, width: 4 },
      { label: "their mean", to: points.length === 0 ? [0, 0] : sampleMoments(points).mean, width: 1.5 },
    ],
  });
}

function measurements(model: Model): { element: HTMLElement; answer: HTMLElement; update: () => void } {
  const mean = readout("Mean $\\mathbb{E}[\\hat g]$");
  const bias = readout("Bias $\\lVert \\mathbb{E}[\\hat g] - \\nabla J \\rVert$");
  const turned = readout("Angle of the mean to $\\nabla J$");
  const noise = readout("Variance, $\\operatorname{tr} \\operatorname{Cov} \\hat g$");
  const ratio = readout("Signal to noise");
  const uphill = readout("A step goes uphill");
  const source = h("p", { class: "words" });
  const all = [mean, bias, turned, noise, ratio, uphill];

  function update(): void {
    const now = model.now();
    const { moments, gradient, batches, isExact } = now;
    if (!isDefined(now)) {
      for (const one of all) one.set("–");
      source.textContent = NO_OTHERS;
      return;
    }
    const about = isExact ? "" : "≈ ";
    const error = Math.sqrt(trace(moments) / batches);
    const ratioNow = norm(moments.mean) / Math.sqrt(trace(moments));
    const hasAngle = norm(moments.mean) > 1e-9 && !isFlat(now);
    mean.set(about + spellVector(moments.mean));
    bias.set(about + spellLength(distance(moments.mean, gradient)));
    turned.set(hasAngle ? `${about}${fixed(angle(moments.mean, gradient), 1)}°` : "none: no length");
    noise.set(about + spellLength(trace(moments)));
    ratio.set(trace(moments) < 1e-18 ? "no noise" : about + spellLength(ratioNow));
    uphill.set(isFlat(now) ? "no uphill here" : `${about}${percent(now.uphill)} of batches`);
    source.textContent = isExact
      ? `Exact: added up over all ${format(batches)} batches.`
      : `Measured over ${batches} sampled batches: the mean is known to within about ${format(error, 2)}.`;
  }

  return { element: h("div", {}, readouts(...all), source), answer: uphill.element, update };
}

function distanceQuestion(context: Context, hides: HTMLElement[]): HTMLElement {
  const { engine } = context;
  return predict(context, {
    id: "estimator-distance",
    question:
      "Ten trajectories of the chain are drawn, and averaged as above with rewards-to-go. How far from " +
      "$\\nabla J$ is a typical estimate (root mean square)?",
    kind: "interval",
    unit: "times the length of ∇J",
    hides,
    answer: async () => {
      const plain = estimatorNamed(engine, PLAIN);
      const { gradient } = engine.theorem(EXAMPLE, EXAMPLE_POINT);
      const one = engine.moments(EXAMPLE, EXAMPLE_POINT, plain, 1);
      return Math.sqrt(trace(one) / 10) / norm(gradient);
    },
    explain:
      "The noise of one trajectory was added up exactly, and averaging ten divides its variance by ten. " +
      "The estimate is right on average, and nearly always far off.",
  });
}

// Every batch

function everyFigure(model: Model): Figure {
  return figure({
    title: "All batches; the area of a dot is its probability",
    draw: (width) => everyPlot(width, model.now()),
    describe: () => {
      const { all, own, gradient } = model.now();
      const { mean } = all.moments;
      if (Number.isNaN(mean[0])) return NO_OTHERS;
      const away = spellLength(distance(mean, gradient));
      const where = away === "0" ? "exactly on ∇J" : `${away} away from ∇J`;
      return (
        `The centre of mass of all ${format(all.probabilities.length)} batches is ${spellVector(mean, 4)}, ${where}. ` +
        `The batch drawn says ${spellVector(own)}.`
      );
    },
    table: () => likeliest(model.now().all),
  });
}

const AREA = 32; // pixels: the radius of a dot of probability 1
const SEEN = 1e-5; // probability: smaller dots are a tenth of a pixel wide

function everyPlot(width: number, { all, own, gradient }: Measured): Plot {
  const { estimates, probabilities, moments } = all;
  const isKnown = Number.isFinite(moments.mean[0]);
  const points = isKnown ? estimates : new Float64Array(0);
  const plot = cloudPlot(width, {
    ...axesAround(
      points.filter((_, i) => probabilities[Math.floor(i / 2)]! > SEEN),
      gradient,
      1,
    ),
    height: 620,
    clouds: [
      {
        label: "a batch's ĝ",
        points,
        radius: probabilities.map((p) => AREA * Math.sqrt(p)),
        color: COLOURS.blue,
      },
      { label: "the batch drawn", points: isKnown ? own : [], radius: 6, color: COLOURS.green, opacity: 1 },
    ],
    legend: [
      { label: "a batch's ĝ", color: COLOURS.blue },
      { label: "the batch drawn", color: COLOURS.green },
      { label: "∇J", color: COLOURS.vermilion },
      { label: "centre of mass", color: COLOURS.ink },
    ],
  });
  addDots(plot, gradient, { color: COLOURS.vermilion, radius: 8, opacity: 1 });
  if (isKnown) addDots(plot, moments.mean, { color: COLOURS.ink, radius: 4, opacity: 1 });
  return plot;
}

/** Return the table of the likeliest batches. */
function likeliest({ estimates, probabilities }: AllBatches): Table {
  const order = Array.from(probabilities, (_, k) => k).sort((a, b) => probabilities[b]! - probabilities[a]!);
  return {
    columns: ["likeliest batches", "probability", "for θ₀", "for θ₁"],
    rows: order.slice(0, 20).map((k, i) => [i + 1, probabilities[k]!, estimates[2 * k]!, estimates[2 * k + 1]!]),
  };
}

// The surrogate

function surrogateNumbers(model: Model): { element: HTMLElement; update: () => void } {
  const value = readout("The surrogate's value $L$");
  const gradient = readout("Its gradient $\\nabla L = \\hat g$");
  const truth = readout("The gradient $\\nabla J$");
  const performance = readout("The performance $J$");

  function update(): void {
    const now = model.now();
    const drawn = now.surrogates[0]!;
    value.set(isDefined(now) ? format(drawn.value) : "–");
    gradient.set(isDefined(now) ? spellVector(drawn.gradient) : "–");
    truth.set(spellVector(now.gradient));
    performance.set(format(now.performance));
  }

  return { element: readouts(value, gradient, truth, performance), update };
}

function surrogateFigure(model: Model): Figure {
  return figure({
    title: "Many batches: the surrogate's value, and how far its gradient goes uphill",
    draw: (width) => surrogatePlot(width, model.now()),
    describe: () => {
      const now = model.now();
      if (!isDefined(now)) return NO_OTHERS;
      const values = now.surrogates.map(({ value }) => value);
      const range = `L runs from ${format(min(values))} to ${format(max(values))}; J is ${format(now.performance)}.`;
      const up = now.surrogates.filter((drawn) => climb(drawn, now) > 0).length;
      const count = `${up} of the ${values.length} gradients go uphill, to the left and to the right alike.`;
      return `${range} ${isFlat(now) ? "∇J is 0, so there is no uphill." : count}`;
    },
    table: () => ({
      columns: ["batch", "value L", "ĝ along ∇J"],
      rows: model
        .now()
        .surrogates.slice(0, 20)
        .map((drawn, k) => [k + 1, drawn.value, climb(drawn, model.now())]),
    }),
  });
}

/** Return the component of a surrogate's gradient along ∇J. */
function climb(drawn: Surrogate, now: Measured): number {
  return isFlat(now) ? 0 : dot(drawn.gradient, now.gradient) / norm(now.gradient);
}

function surrogatePlot(width: number, now: Measured): Plot {
  const seen = isDefined(now) ? now.surrogates : [];
  const { performance, gradient } = now;
  const values = [0, performance, ...seen.map(({ value }) => value)];
  const heights = [norm(gradient), ...seen.map((drawn) => Math.abs(climb(drawn, now)))];
  const margin = 0.06 * (max(values) - min(values)) + 1e-3;
  const tall = 1.1 * max(heights) + 1e-3;
  const plot = axes(width, {
    x: { label: "value of the surrogate L", domain: [min(values) - margin, max(values) + margin] },
    y: { label: "ĝ along ∇J: above 0 is uphill", domain: [-tall, tall] },
    height: 260,
  });
  addRule(plot, { y: 0 });
  addRule(plot, { x: performance, label: "J", color: COLOURS.vermilion });
  addDots(
    plot,
    seen.flatMap((drawn) => [drawn.value, climb(drawn, now)]),
    { color: COLOURS.blue, radius: 3.5 },
  );
  const own = seen.slice(0, 1).flatMap((drawn) => [drawn.value, climb(drawn, now)]);
  addDots(plot, own, { color: COLOURS.green, radius: 6, opacity: 1 });
  return plot;
}

function signQuestion(context: Context, hides: HTMLElement[]): HTMLElement {
  const { engine } = context;
  const batches = 100_000;
  return predict(context, {
    id: "estimator-sign",
    question:
      "All returns of the chain are negative, and so is every $\\log \\pi$. So $L$ is positive in every batch. " +
      "In how many of 100 batches of ten trajectories does $\\nabla L$ point uphill?",
    kind: "interval",
    unit: "of 100",
    hides,
    answer: async () => {
      const { gradient } = engine.theorem(EXAMPLE, EXAMPLE_POINT);
      const sample = engine.estimates(EXAMPLE, EXAMPLE_POINT, estimatorNamed(engine, PLAIN), 10, batches, 1);
      return 100 * shareUphill(sample, even(batches), gradient);
    },
    explain:
      "A coin would do it 50 times in 100; $L$ is positive in all 100, uphill or not. " +
      "Uphill means less than 90° away from $\\nabla J$.",
  });
}
