// Section 9: the notebook's recipe on thirty seeds collapses; find by hand what keeps every seed at the top.

import { NOTEBOOK, type Engine, type Recipe } from "../engine";
import { addBand, addLine, addRule, axes, COLOURS, type Plot, type Point } from "../plot";
import { predict } from "../predict";
import type { Context, Section } from "../section";
import type { NumberSetting, Setting } from "../settings";
import {
  button,
  figure,
  format,
  h,
  heading,
  list,
  panel,
  prose,
  readout,
  readouts,
  remark,
  settingChoice,
  settingSlider,
  tex,
  type Figure,
  type Table,
} from "../ui";
import {
  average,
  bootstrap,
  bracket,
  complete,
  describeRecipe,
  ended,
  fate,
  LONGEST,
  newAttempt,
  recipeKey,
  runningMean,
  SEEDS,
  setLatestRecipe,
  SOLVED,
  summarise,
  throttle,
  watchVisible,
  WINDOW,
  type Attempt,
  type Fate,
} from "./attempts";
import { attemptBoard } from "./board";

const REST = 150; // milliseconds that a slider rests before the next training begins
const REDRAW = 120; // milliseconds between two drawings of curves that grow
const MOST_EPISODES = 2000;

export const train: Section = {
  id: "train",
  number: 9,
  title: "Train, collapse, cure",
  minutes: 15,
  star: true,
  build,
};

interface Dials {
  algorithm: Setting<Recipe["algorithm"]>;
  network: Setting<Layers>;
  estimator: Setting<Estimator>;
  baseline: Setting<Recipe["baseline"]>;
  standardize: Setting<"no" | "yes">;
  rate: NumberSetting;
  episodes: NumberSetting;
  discount: NumberSetting;
  total: NumberSetting;
}

type Layers = "notebook" | "two-layers";
type Estimator = "total-return" | "reward-to-go";

function build(root: HTMLElement, context: Context): void {
  const dials = makeDials(context);
  const game = startGame(context, dials);
  const wholeOnly = panel(...wholeEpisodeControls(dials));
  const followAlgorithm = () => {
    wholeOnly.hidden = dials.algorithm.get() === "ppo";
  };
  dials.algorithm.subscribe(followAlgorithm);
  followAlgorithm();

  const controls = h("div", {}, panel(...commonControls(dials)), wholeOnly, game.problem);
  const afterwards = h(
    "div",
    {},
    game.board.element,
    hints(game),
    heading("Two questions of the notebook"),
    layersQuestion(context, game),
    rateQuestion(context, game),
    conclusions(),
  );

  root.append(
    prose(
      "Now all of it together. A network of 128 hidden units plays CartPole. After each episode it takes one step of ",
      "gradient ascent, by Adam, along the estimate of section 6:",
    ),
    tex(String.raw`\hat g = \frac{1}{N} \sum_{n=1}^{N} \sum_{t} \nabla_\theta \log \pi_\theta(a_t \mid s_t)\, \Psi_t`, true),
    prose(
      "$N$ is the number of episodes a gradient step, and $\\Psi_t$ multiplies the score of each action. ",
      `The notebook takes $N = 1$, $\\Psi_t = G_t$, a learning rate of ${format(NOTEBOOK.learningRate)} and `,
      `${NOTEBOOK.totalEpisodes} episodes. It shows one run of that. One run is luck, so here are ${SEEDS.length}.`,
    ),
    prose(
      `A **seed** is one run: its own first weights, its own luck. It *holds ${SOLVED}* if its last ${WINDOW} episodes `,
      `lasted ${SOLVED} steps on average. The longest possible is ${LONGEST}.`,
    ),
    firstQuestion(context, dials, game, [game.curves.element, game.numbers, controls, afterwards]),
    game.curves.element,
    game.numbers,
    controls,
    afterwards,
  );
}

function makeDials({ settings }: Context): Dials {
  return {
    algorithm: settings.text("algorithm", { default: NOTEBOOK.algorithm, allowed: ["reinforce", "ppo"] }),
    network: settings.text<Layers>("network", { default: "notebook", allowed: ["notebook", "two-layers"] }),
    estimator: settings.text<Estimator>("estimator", {
      default: "reward-to-go",
      allowed: ["total-return", "reward-to-go"],
    }),
    baseline: settings.text("baseline", {
      default: NOTEBOOK.baseline,
      allowed: ["none", "mean", "leave-one-out", "value"],
    }),
    standardize: settings.text("standardize", { default: "no", allowed: ["no", "yes"] }),
    rate: settings.number("rate", { default: NOTEBOOK.learningRate, min: 0.0003, max: 0.1 }),
    episodes: settings.number("episodes", { default: NOTEBOOK.episodes, min: 1, max: 16, integer: true }),
    discount: settings.number("discount", { default: NOTEBOOK.discount, min: 0, max: 1 }),
    total: settings.number("total", {
      default: NOTEBOOK.totalEpisodes,
      min: NOTEBOOK.totalEpisodes,
      max: MOST_EPISODES,
      integer: true,
    }),
  };
}

function commonControls(dials: Dials) {
  return [
    settingChoice(dials.algorithm, {
      label: "Algorithm",
      options: [
        { value: "reinforce", label: "REINFORCE" },
        { value: "ppo", label: "PPO, the last rung" },
      ],
    }),
    settingSlider(dials.rate, { label: "Learning rate", step: 0.0001, log: true }),
    settingSlider(dials.total, { label: "Episodes in all", step: 1 }),
    settingSlider(dials.discount, { label: "Discount $\\gamma$", step: 0.005 }),
  ];
}

function wholeEpisodeControls(dials: Dials) {
  return [
    settingSlider(dials.episodes, { label: "Episodes a gradient step, $N$", step: 1 }),
    settingChoice(dials.baseline, {
      label: "Baseline, subtracted from the return",
      options: [
        { value: "none", label: "none" },
        { value: "mean", label: "mean" },
        { value: "leave-one-out", label: "mean of the others" },
        { value: "value", label: "$V(s)$, learned" },
      ],
    }),
    settingChoice(dials.estimator, {
      label: "Each action is credited with",
      options: [
        { value: "reward-to-go", label: "the reward to go" },
        { value: "total-return", label: "the total return" },
      ],
    }),
    settingChoice(dials.standardize, {
      label: "Standardise (divide by the spread)",
      options: [
        { value: "no", label: "no" },
        { value: "yes", label: "yes" },
      ],
    }),
    settingChoice(dials.network, {
      label: "Network",
      options: [
        { value: "notebook", label: "128 units" },
        { value: "two-layers", label: "two layers of 128" },
      ],
    }),
  ];
}

/** Return the recipe that the controls show. */
function recipeOf(dials: Dials): Recipe {
  const common = {
    learningRate: dials.rate.get(),
    discount: dials.discount.get(),
    totalEpisodes: dials.total.get(),
  };
  if (dials.algorithm.get() === "ppo") return { ...NOTEBOOK, ...common, algorithm: "ppo", network: "default" };
  return {
    ...common,
    algorithm: "reinforce",
    network: dials.network.get(),
    estimator: dials.estimator.get(),
    baseline: dials.baseline.get(),
    standardize: dials.standardize.get() === "yes",
    episodes: dials.episodes.get(),
  };
}

/** Let the controls show a recipe. */
function showRecipe(dials: Dials, recipe: Recipe): void {
  dials.algorithm.set(recipe.algorithm);
  dials.rate.set(recipe.learningRate);
  dials.discount.set(recipe.discount);
  dials.total.set(recipe.totalEpisodes);
  if (recipe.algorithm === "ppo") return;
  dials.network.set(recipe.network as Layers);
  dials.estimator.set(recipe.estimator as Estimator);
  dials.baseline.set(recipe.baseline);
  dials.standardize.set(recipe.standardize ? "yes" : "no");
  dials.episodes.set(recipe.episodes);
}

/** Say why a recipe cannot be trained; "" if it can. */
function complaint({ algorithm, baseline, episodes }: Recipe): string {
  if (algorithm === "ppo" || baseline !== "leave-one-out" || episodes > 1) return "";
  return "The mean of the other episodes needs others: take at least two episodes a gradient step.";
}

interface Game {
  curves: Figure;
  numbers: HTMLElement;
  problem: HTMLElement; // why the present settings cannot be trained
  board: { element: HTMLElement };
  open(): void; // from now on train what the controls show, whenever the section is in view
  measure(recipe: Recipe): Promise<Attempt>; // show a recipe, and train it now
  attempt(recipe: Recipe): void; // likewise
}

/** Make the figure and the board, and train what the controls show. */
function startGame(context: Context, dials: Dials): Game {
  const { engine, pool } = context;
  let shown: Attempt | undefined;
  let previous: Attempt | undefined;
  let control = new AbortController();
  let timer = 0;
  let isOpen = false;
  let visible = false;
  let waiting = false; // for the section to come into view

  const curves = curvesFigure(engine, () => ({ shown, previous }));
  const numbers = measurements(engine, pool.size);
  const board = attemptBoard(engine, (recipe) => showRecipe(dials, recipe));
  const problem = h("p", { class: "message", role: "status" });
  const redraw = throttle(() => {
    curves.redraw();
    if (shown) numbers.update(shown);
  }, REDRAW);

  async function run(recipe: Recipe): Promise<Attempt> {
    if (shown && recipeKey(shown.recipe) !== recipeKey(recipe) && isComplete(shown)) previous = shown;
    const attempt = newAttempt(recipe);
    shown = attempt;
    numbers.start();
    await complete(pool, attempt, control.signal, redraw);
    numbers.stop();
    redraw();
    board.add(attempt);
    setLatestRecipe(recipe);
    return attempt;
  }

  /** Stop what is being trained, and say whether the present settings can be trained. */
  function stop(): boolean {
    window.clearTimeout(timer);
    control.abort(new Error("the settings were moved meanwhile"));
    control = new AbortController();
    problem.textContent = complaint(recipeOf(dials));
    return problem.textContent === "";
  }

  function measure(recipe: Recipe): Promise<Attempt> {
    showRecipe(dials, recipe);
    stop();
    return run(recipe);
  }

  function trainNow(): void {
    waiting = !visible;
    if (visible) tellProblems(run(recipeOf(dials)));
  }

  /** Show why a training failed, unless it was only cancelled. */
  function tellProblems(training: Promise<Attempt>): void {
    const { signal } = control;
    training.catch((error: unknown) => {
      if (!signal.aborted) problem.textContent = String(error);
    });
  }

  function moved(): void {
    if (stop() && isOpen) timer = window.setTimeout(trainNow, REST);
  }

  for (const setting of Object.values(dials)) (setting as Setting<unknown>).subscribe(moved);
  watchVisible(curves.element, (now) => {
    visible = now;
    if (visible && waiting) trainNow();
  });

  return {
    curves,
    numbers: numbers.element,
    problem,
    board,
    measure,
    attempt: (recipe) => tellProblems(measure(recipe)),
    open() {
      isOpen = true;
      if (shown === undefined || recipeKey(shown.recipe) !== recipeKey(recipeOf(dials))) moved();
    },
  };
}

function isComplete(attempt: Attempt): boolean {
  return ended(attempt).length === SEEDS.length;
}

function firstQuestion(context: Context, dials: Dials, game: Game, hides: HTMLElement[]): HTMLElement {
  return predict(context, {
    id: "train-notebook",
    question: `${SEEDS.length} seeds of the notebook’s recipe. How many of them will hold ${SOLVED}?`,
    kind: "interval",
    unit: `of ${SEEDS.length} seeds`,
    hides,
    answer: async () => {
      const asked = recipeOf(dials); // a link may ask for other settings than the notebook's
      game.curves.element.hidden = false;
      const attempt = await game.measure(NOTEBOOK);
      showRecipe(dials, asked);
      return summarise(context.engine, attempt).fates.solved;
    },
    explain:
      "The notebook’s one curve may be any of these. Look for the red ones: those seeds had learned something, and " +
      `then lost more than half of it. That is **collapse**. Now mend it: get every seed to ${SOLVED}.`,
    onReveal: () => game.open(),
  });
}

const FATES: Record<Fate, { color: string; label: string }> = {
  solved: { color: COLOURS.green, label: `holds ${SOLVED}` },
  collapsed: { color: COLOURS.vermilion, label: "fell below half of its best" },
  other: { color: COLOURS.sky, label: "neither, or still learning" },
};

interface Shown {
  shown: Attempt | undefined;
  previous: Attempt | undefined;
}

function curvesFigure(engine: Engine, attempts: () => Shown): Figure {
  return figure({
    title: `Thirty seeds: the mean return of the last ${WINDOW} episodes`,
    draw: (width) => curvesPlot(engine, width, attempts()),
    describe: () => describeCurves(engine, attempts()),
    table: () => curvesTable(engine, attempts().shown),
  });
}

function curvesPlot(engine: Engine, width: number, { shown, previous }: Shown): Plot {
  const last = shown?.recipe.totalEpisodes ?? NOTEBOOK.totalEpisodes;
  const plot = axes(width, {
    x: { label: "episode", domain: [1, last] },
    y: { label: `mean return of the last ${WINDOW} episodes`, domain: [0, LONGEST], values: [0, 100, 200, 300, 400, 500] },
    height: Math.min(360, Math.max(240, 0.55 * width)),
    legend: [
      ...Object.values(FATES),
      { label: "mean over seeds, 95 %", color: COLOURS.ink },
      ...(previous ? [{ label: "the attempt before", color: COLOURS.muted, dash: "6 4" }] : []),
    ],
  });
  addRule(plot, { y: SOLVED });
  if (previous) addMean(engine, plot, previous, { color: COLOURS.muted, width: 2, dash: "6 4" });
  if (!shown) return plot;
  for (const { returns, trained } of shown.runs) {
    const means = runningMean(returns);
    const color = FATES[trained ? fate(means) : "other"].color;
    addLine(plot, gridOf(means.length, last).map((n): Point => [n, means[n - 1]!]), { color, width: 1.2, opacity: 0.6 });
  }
  addMean(engine, plot, shown, { color: COLOURS.ink, width: 3 });
  return plot;
}

const GRID = 120; // points of a curve, about

/** Return the episodes at which curves of so many are drawn. */
function gridOf(count: number, last: number): number[] {
  const stride = Math.ceil(last / GRID);
  const grid = Array.from({ length: Math.ceil(count / stride) }, (_, i) => 1 + i * stride);
  return count > 0 ? [...grid, count] : [];
}

/** Draw the mean over the seeds that have ended, and its interval. */
function addMean(engine: Engine, plot: Plot, attempt: Attempt, style: { color: string; width: number; dash?: string }) {
  const points = meanCurve(engine, attempt);
  addBand(plot, points.map(({ n, interval }) => [n, ...interval] as const), style.color);
  addLine(plot, points.map(({ n, mean }): Point => [n, mean]), style);
}

/** Return the mean over the seeds that have ended, with its interval, along the episodes. */
function meanCurve(engine: Engine, attempt: Attempt) {
  const curves = ended(attempt).map(({ returns }) => runningMean(returns));
  const last = Math.min(attempt.recipe.totalEpisodes, Math.max(0, ...curves.map((curve) => curve.length)));
  return gridOf(last, last).map((n) => {
    // A seed that had to stop keeps its last mean.
    const values = curves.map((curve) => curve[Math.min(n, curve.length) - 1]!);
    return { n, mean: average(values), interval: bootstrap(engine, values) };
  });
}

function describeCurves(engine: Engine, { shown, previous }: Shown): string {
  if (!shown || ended(shown).length === 0) return "Nothing has been trained yet.";
  const { mean, interval, fates, worst, last, faults } = summarise(engine, shown);
  const count = last.length === SEEDS.length ? `${SEEDS.length} seeds` : `the first ${last.length} seeds`;
  const before = previous ? ` The attempt before reached ${format(summarise(engine, previous).mean)}.` : "";
  const broken = faults > 0 ? ` ${faults} had to stop, since a gradient was not finite.` : "";
  return (
    `With ${describeRecipe(shown.recipe)}, the last ${WINDOW} episodes of ${count} lasted ${format(mean)} steps on ` +
    `average ${bracket(interval)}. ${fates.solved} hold ${SOLVED}, ${fates.collapsed} fell below half of their best, ` +
    `the worst ends at ${format(worst)}.${broken}${before}`
  );
}

function curvesTable(engine: Engine, attempt: Attempt | undefined): Table {
  const points = attempt ? meanCurve(engine, attempt) : [];
  const chosen = points.filter((_, i) => i % 10 === 0 || i === points.length - 1);
  return {
    columns: ["episode", "mean over seeds", "from", "to"],
    rows: chosen.map(({ n, mean, interval }) => [n, mean, ...interval]),
  };
}

function measurements(engine: Engine, workers: number) {
  const mean = readout(`Last ${WINDOW} episodes, mean over seeds [95 %]`);
  const solved = readout(`Seeds that hold ${SOLVED}`);
  const collapsed = readout("Below half of their best");
  const worst = readout("Worst seed");
  const speed = h("p", { class: "message" });
  const element = h("div", {}, readouts(mean, solved, collapsed, worst), speed);
  let began = 0;
  let seconds: string | undefined; // once all seeds have ended

  const elapsed = (): string => `${format((performance.now() - began) / 1000, 2)} s`;

  return {
    element,
    start(): void {
      began = performance.now();
      seconds = undefined;
    },
    stop(): void {
      seconds = elapsed();
    },
    update(attempt: Attempt): void {
      const summary = summarise(engine, attempt);
      const { length } = summary.last;
      mean.set(length > 0 ? `${format(summary.mean)} ${bracket(summary.interval)}` : "…");
      solved.set(`${summary.fates.solved} of ${length}`);
      collapsed.set(`${summary.fates.collapsed} of ${length}`);
      worst.set(length > 0 ? format(summary.worst) : "…");
      speed.textContent =
        seconds === undefined
          ? `Training: ${length} of ${SEEDS.length} seeds after ${elapsed()}.`
          : `${format(summary.steps)} steps of the cart a seed. ${workers} cores, ${seconds}.`;
    },
  };
}

interface Hint {
  idea: string;
  label: string;
  recipe: Partial<Recipe>;
}

const CURES: readonly Hint[] = [
  {
    idea: "**Smaller steps.** One noisy step of 0.01 can throw the policy away.",
    label: "Learning rate 0.003",
    recipe: { learningRate: 0.003 },
  },
  {
    idea: "**Average first.** Four episodes a step have half the noise of one, but make a quarter of the steps.",
    label: "Four episodes a step",
    recipe: { episodes: 4 },
  },
  {
    idea: "**Compare.** All returns of CartPole are positive, so each action is pushed up. Subtract what the others got.",
    label: "Eight episodes, mean of the others",
    recipe: { episodes: 8, baseline: "leave-one-out" },
  },
  {
    idea: "**Give it time.** Averaging costs steps, so play more episodes.",
    label: "The same, standardised, 1,000 episodes",
    recipe: { episodes: 8, baseline: "leave-one-out", standardize: true, totalEpisodes: 1000 },
  },
  {
    idea: "**Compare with the state.** A second network learns $V(s)$, the return to expect from each state.",
    label: "V(s), learning rate 0.003, 600 episodes",
    recipe: { baseline: "value", learningRate: 0.003, totalEpisodes: 600 },
  },
  {
    idea:
      "**Use each batch many times.** PPO takes several steps on the same data, and stops an action's probability " +
      "from moving far in one batch. Its steps are many, so this takes longer.",
    label: "PPO, learning rate 0.001",
    recipe: { algorithm: "ppo", network: "default", learningRate: 0.001 },
  },
];

const HARMS: readonly Hint[] = [
  {
    idea: "Ten times the learning rate: the first lucky episode decides.",
    label: "Learning rate 0.1",
    recipe: { learningRate: 0.1 },
  },
  {
    idea: "The total return credits each action with rewards from before it.",
    label: "Total return",
    recipe: { estimator: "total-return" },
  },
];

function hints(game: Game): HTMLElement {
  const entry = ({ idea, label, recipe }: Hint) =>
    h("div", {}, prose(idea), button(label, () => game.attempt({ ...NOTEBOOK, ...recipe })));
  const cures = list(...CURES.map(entry));
  const harms = list(...HARMS.map(entry));
  const summary = h("summary", {}, "Stuck? Ideas, one rung at a time");
  return h("details", {}, summary, cures, prose("And two ways to make it worse:"), harms);
}

type Verdict = "Better" | "No clear difference" | "Worse";

/** Compare two attempts: their intervals must not overlap. */
function compare(engine: Engine, one: Attempt, other: Attempt): Verdict {
  const [low, high] = summarise(engine, one).interval;
  const [otherLow, otherHigh] = summarise(engine, other).interval;
  if (otherLow > high) return "Better";
  return otherHigh < low ? "Worse" : "No clear difference";
}

function layersQuestion(context: Context, game: Game): HTMLElement {
  return predict(context, {
    id: "train-layers",
    question: "Two hidden layers of 128 in place of one, all else as in the notebook. What happens to the mean?",
    kind: "choice",
    options: ["Better", "No clear difference", "Worse"],
    answer: async () => {
      const one = await game.measure(NOTEBOOK);
      const two = await game.measure({ ...NOTEBOOK, network: "two-layers" });
      return compare(context.engine, one, two);
    },
    explain:
      "The two attempts are on the board. A deeper network moves further with the same learning rate. " +
      "“Does it learn faster?” has no answer until the learning rate has been chosen for each.",
  });
}

function rateQuestion(context: Context, game: Game): HTMLElement {
  const name = (rate: number) => `${format(rate)}`;
  const rates = [0.001, 0.003, 0.01, 0.1];
  return predict(context, {
    id: "train-rates",
    question: "Which of these learning rates gives the highest mean, with everything else as in the notebook?",
    kind: "choice",
    options: rates.map(name),
    answer: async () => {
      const means: number[] = [];
      for (const learningRate of rates) {
        means.push(summarise(context.engine, await game.measure({ ...NOTEBOOK, learningRate })).mean);
      }
      return name(rates[means.indexOf(Math.max(...means))]!);
    },
    explain:
      "All four are on the board. Too small a step does not get far in 300 episodes. Too large a step arrives, or not, " +
      "by luck, and does not stay.",
  });
}

function conclusions(): HTMLElement {
  return h(
    "div",
    {},
    heading("What to conclude"),
    list(
      "One curve shows luck. Show many seeds, their mean with an interval, and the worst one.",
      "Every cure above either makes a step smaller, or the estimate behind it less noisy.",
      "The mean of the others, or $V(s)$, changes no mean of the estimate. It decides between collapse and success.",
      "Steps are limited by noise, episodes cost time: with a batch used several times (PPO) one buys the most.",
    ),
    remark(
      "In pgrad",
      "`pgrad train CartPole-v1 --algorithm notebook --seeds 30` trains the notebook’s recipe, and its doctor says which ",
      "seeds collapsed. `--baseline value --learning-rate 0.003 --num-iterations 600` is the fifth idea.",
    ),
  );
}
