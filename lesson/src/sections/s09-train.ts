// Section 9: the notebook's recipe on thirty seeds collapses; find by hand what keeps every seed at the top.

import { NOTEBOOK, type Engine, type Recipe } from "../engine";
import { predict } from "../predict";
import type { Context, Section } from "../section";
import type { Setting } from "../settings";
import { button, format, h, heading, list, panel, prose, remark, tex, type Figure } from "../ui";
import {
  complete,
  LONGEST,
  newAttempt,
  recipeKey,
  SEEDS,
  setLatestRecipe,
  SOLVED,
  summarise,
  WINDOW,
  type Attempt,
} from "./attempts";
import { attemptBoard, type Board } from "./board";
import { curvesFigure, measurements } from "./curves";
import {
  commonControls,
  complaint,
  makeDials,
  recipeOf,
  showRecipe,
  wholeEpisodeControls,
  type Dials,
} from "./recipes";
import { throttle, watchVisible } from "./when";

const ESTIMATE = String.raw`\hat g = \frac{1}{N} \sum_{n=1}^{N} \sum_{t} \Psi_t\, \nabla \log \pi(a_t \mid s_t)`;
const REST = 150; // milliseconds that a slider rests before the next training begins
const REDRAW = 120; // milliseconds between two drawings of curves that grow

export const train: Section = {
  id: "train",
  number: 9,
  title: "Train, collapse, cure",
  minutes: 15,
  star: true,
  build,
};

function build(root: HTMLElement, context: Context): void {
  const dials = makeDials(context);
  const game = startGame(root, context, dials);
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
      "Now all of it together. A network of 128 hidden units plays CartPole. After each episode it takes one step ",
      "uphill along the estimate of section 6. (Adam, a common rule, adapts the step's size for each parameter.)",
    ),
    tex(ESTIMATE, true),
    prose(
      "$N$ is the number of episodes a gradient step, and $\\Psi_t$ multiplies the score of each action. ",
      `The notebook takes $N = 1$, $\\Psi_t = G_t$, a learning rate of ${format(NOTEBOOK.learningRate)} and `,
      `${NOTEBOOK.totalEpisodes} episodes. (Like nearly every program it leaves out the factor $\\gamma^t$.) It shows `,
      `one run of that. One run is luck, so here are ${SEEDS.length}.`,
    ),
    prose(
      `A **seed** is one run: its own first weights, its own luck. It *holds ${SOLVED}* if its last ${WINDOW} `,
      `episodes lasted ${SOLVED} steps on average. The longest possible is ${LONGEST}.`,
    ),
    firstQuestion(context, dials, game, [game.curves.element, game.numbers, controls, afterwards]),
    game.curves.element,
    game.numbers,
    controls,
    afterwards,
  );
}

interface Game {
  curves: Figure;
  numbers: HTMLElement;
  problem: HTMLElement; // why the present settings cannot be trained
  board: Board;
  open(): void; // from now on train what the controls show, whenever the section is in view
  measure(recipe: Recipe): Promise<Attempt>; // show a recipe, and train it now
  attempt(recipe: Recipe): void; // likewise
}

/** Make the figure and the board, and train what the controls show. */
function startGame(root: HTMLElement, context: Context, dials: Dials): Game {
  const { engine, pool } = context;
  let shown: Attempt | undefined;
  let previous: Attempt | undefined; // the last that was trained to its end, with another recipe
  let latest: Attempt | undefined; // the last that was trained to its end
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
    if (latest && recipeKey(latest.recipe) !== recipeKey(recipe)) previous = latest;
    const attempt = newAttempt(recipe);
    shown = attempt;
    numbers.start();
    await complete(pool, attempt, control.signal, redraw);
    numbers.stop();
    latest = attempt;
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
  watchVisible(root, (now) => {
    visible = now;
    if (visible && waiting) trainNow();
  });

  return {
    curves,
    numbers: numbers.element,
    problem,
    board,
    measure,
    attempt(recipe) {
      curves.element.scrollIntoView({ block: "center" });
      tellProblems(measure(recipe));
    },
    open() {
      isOpen = true;
      if (shown === undefined || recipeKey(shown.recipe) !== recipeKey(recipeOf(dials))) moved();
    },
  };
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
      "The notebook’s one curve may be any of these. Look for those that rise and fall: the seed had learned " +
      `something, and lost more than half of it. That is **collapse**. Now mend it: get every seed to ${SOLVED}.`,
    onReveal: () => game.open(),
  });
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
    idea:
      "**Compare.** All returns of CartPole are positive, so that every action is pushed up. Subtract the mean " +
      "of the other episodes: leave-one-out.",
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
    h(
      "div",
      {},
      prose(idea),
      button(label, () => game.attempt({ ...NOTEBOOK, ...recipe })),
    );
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
      "All four are on the board. Too small a step does not get far in 300 episodes. Too large a step arrives, or " +
      "not, by luck, and does not stay.",
  });
}

function conclusions(): HTMLElement {
  return h(
    "div",
    {},
    heading("What to conclude"),
    list(
      "One curve shows luck. Show many seeds, their mean with an interval, and the worst one.",
      "You chose settings by these thirty seeds, so that their score flatters you. Fresh seeds would judge fairly.",
      "Every cure above makes a step smaller, or the estimate behind it less noisy, or pays for these with episodes.",
      "The mean of the others, or $V(s)$, changes no mean of the estimate. It decides between collapse and success.",
      "Small steps cost episodes, and noise forbids large ones. PPO takes several small steps on each batch, and so " +
        "gets more out of an episode.",
    ),
    remark(
      "In pgrad",
      "`pgrad train CartPole-v1 --algorithm notebook --seeds 30` trains the notebook’s recipe, and its doctor says ",
      "which seeds collapsed. `--baseline value --learning-rate 0.003 --num-iterations 600` is the fifth idea.",
    ),
  );
}
