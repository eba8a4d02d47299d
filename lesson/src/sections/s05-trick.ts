// Section 5: the log-derivative trick, and the policy gradient theorem as a table of 52 rows that one can add up.

import type { Engine, Problem, Row, Theorem } from "../engine";
import { addArrow, addDots, addLine, addRule, axes, COLOURS, linePlot, max, min, type Plot, type Point } from "../plot";
import { predict } from "../predict";
import type { Context, Section } from "../section";
import type { NumberSetting, Setting } from "../settings";
import {
  button,
  figure,
  fixed,
  format,
  h,
  heading,
  inline,
  list,
  onceAFrame,
  panel,
  prose,
  readout,
  readouts,
  remark,
  settingChoice,
  settingSlider,
  superscript,
  tex,
  type Figure,
} from "../ui";
import {
  type Chain,
  chainSettings,
  distance,
  EXAMPLE,
  EXAMPLE_POINT,
  norm,
  pointOf,
  preferenceSlider,
  REACH,
  slipped,
  spellVector,
  stateName,
  trajectoryName,
  type Vector,
} from "./chain";
import { LAKE } from "./counts";
import { cached } from "./remembered";

type View = "probability" | "logarithm";
type Order = "probability" | "contribution" | "return" | "length";

const ORDERS: readonly Order[] = ["probability", "contribution", "return", "length"];
const FULL = 52; // rows, whatever the policy
const OTHER_SLIPS = [0.05, 0.2, 0.4];
const STEP = 1e-5; // of the central differences

export const trick: Section = {
  id: "trick",
  number: 5,
  title: "The log-derivative trick",
  minutes: 10,
  star: true,
  exercises: ["theorem_row"],
  build,
};

interface Model extends Chain {
  view: Setting<View>;
  order: Setting<Order>;
  row: NumberSetting; // the trajectory looked at
  problem(): Problem;
  now(): Theorem;
  chosen(): Row;
}

function build(root: HTMLElement, context: Context): void {
  const { engine, settings } = context;
  const chain = chainSettings(settings);
  const problem = (): Problem => ({ ...EXAMPLE, slip: chain.slip.get() });
  const theorem = cached(() => engine.theorem(problem(), pointOf(chain)));
  const row = settings.number("row", { default: straight(theorem.get()), min: 0, max: FULL - 1, integer: true });
  const model: Model = {
    ...chain,
    view: settings.text("view", { default: "probability", allowed: ["probability", "logarithm"] }),
    order: settings.text("order", { default: "probability", allowed: ORDERS }),
    row,
    problem,
    now: theorem.get,
    chosen: () => theorem.get().rows[row.get()]!,
  };

  const curves = curveFigure(engine, model);
  const factors = factorTable(engine, model);
  const walk = walkFigure(model);
  const table = theoremTable(model);
  const numbers = measurements(engine, model);
  const updateParts = onceAFrame(() => {
    for (const part of [factors, table, numbers]) part.update();
  });
  const update = () => {
    theorem.forget();
    for (const drawn of [curves, walk]) drawn.redraw();
    updateParts();
  };
  for (const setting of [model.theta, model.slip, model.view, model.order, row]) setting.subscribe(update);

  const controls = panel(
    settingChoice(model.view, {
      label: "Look at",
      options: [
        { value: "probability", label: "p(ω)" },
        { value: "logarithm", label: "log p(ω) and its gradient" },
      ],
    }),
    preferenceSlider(model, 0),
    preferenceSlider(model, 1),
    settingSlider(model.slip, { label: "Chance that a step slips", step: 0.01 }),
  );
  const dropped = h("div", {}, controls, curves.element, factors.element);
  const added = h("div", {}, walk.element, table.element);

  root.append(
    ...problemText(),
    tex(String.raw`J(\theta) = \sum_{\omega} p(\omega)\, G(\omega)`, true),
    prose(
      "We want a larger $J$. The *gradient* $\\nabla J$ is the vector of its derivatives, one for each parameter; it ",
      "points where $J$ grows fastest. So a small step along it, $\\theta \\leftarrow \\theta + \\alpha \\nabla J$ ",
      "with a small $\\alpha$, improves the policy. What remains is to find it.",
    ),
    prose(
      "Only $p(\\omega)$ depends on $\\theta$. So $\\nabla J = \\sum_\\omega \\nabla p(\\omega)\\, G(\\omega)$, and ",
      "all that is left to find is $\\nabla p(\\omega)$.",
    ),
    heading("A product of many factors"),
    tex(String.raw`p(\omega) = \prod_t \pi(a_t|s_t) \cdot \prod_t p(s_{t+1}|s_t, a_t)`, true),
    prose(
      "Some factors are the policy's: they depend on $\\theta$. The others, the *dynamics*, belong to the world: here ",
      "they say whether a step slips. You can write them down for this toy. For a robot nobody can. ",
      "Two lines of school mathematics get rid of them:",
    ),
    tex(String.raw`\nabla p = p \, \nabla \log p`, true),
    tex(
      String.raw`\begin{aligned} \log p(\omega) = {} & \textstyle\sum_t \log \pi(a_t|s_t) \\ & {} + \textstyle\sum_t \log p(s_{t+1}|s_t, a_t) \end{aligned}`,
      true,
    ),
    prose(
      "The first is the chain rule: $\\nabla \\log p = \\nabla p / p$. The second turns the product into a sum. ",
      "Below is one trajectory's probability while $\\theta_0$ moves, for several slips. Then take the logarithm.",
    ),
    slipQuestion(context, [dropped]),
    dropped,
    list(
      "Another slip *multiplies* $p(\\omega)$ by a number. The logarithm turns that into a *shift*.",
      "A shift changes no slope. So $\\nabla \\log p(\\omega) = \\sum_t \\nabla \\log \\pi(a_t|s_t)$, in any world.",
      "The world has not gone away: it decides how often each trajectory happens.",
    ),
    heading("The theorem is a table"),
    prose(
      "Put both lines into the sum. This is the **policy gradient theorem**. The vector ",
      "$\\nabla \\log \\pi(a_t|s_t)$ is called the *score* of the action: the direction that makes it more probable.",
    ),
    tex(String.raw`\nabla J = \sum_{\omega} p(\omega)\, G(\omega) \sum_t \nabla \log \pi(a_t|s_t)`, true),
    prose(
      `Here the sum has ${FULL} terms, so let us add them all up. Each arrow below is one trajectory's term: its `,
      "probability times its return times the sum of its scores. They are laid tip to tail. Where the last one ends, ",
      "there is $\\nabla J$.",
    ),
    lengthQuestion(context, [added]),
    added,
    numbers.element,
    prose(
      "The last line of the table and the central differences come by different ways. The table never takes a ",
      "derivative of $J$. The central differences move each $\\theta$ a little and compare two values of $J$.",
    ),
    heading("Why one samples"),
    ...lakeText(),
    remark(
      "In pgrad",
      "`pgrad.exact.theorem_table(mdp, policy)` is this table, and `pgrad.exact.solve(mdp, policy).gradient` gets its ",
      "last line by linear algebra.",
    ),
  );
  for (const part of [factors, table, numbers]) part.update();
}

function problemText(): HTMLElement[] {
  return [
    prose(
      "Take a world so small that everything can be written down. Two steps to the right lead to the goal: ",
      "0 – 1 – goal. Each step costs 1. A step may *slip* and go the other way. After three steps it is over ",
      "in any case.",
    ),
    prose(
      "The policy has two parameters: $\\theta_0$ and $\\theta_1$, the preferences for *right* in states 0 and 1. ",
      "Those for *left* are 0. One thing that can happen, from the start to the end, is a **trajectory** $\\omega$. ",
      `There are ${FULL} of them. Each has a probability $p(\\omega)$ and a return $G(\\omega)$, the sum of its `,
      `rewards with weights $1, \\gamma, \\gamma^2$ ($\\gamma = ${EXAMPLE.discount}$). The average return is`,
    ),
  ];
}

function lakeText(): HTMLElement[] {
  const digits = LAKE.at(-1)!;
  const exponent = Math.floor(digits);
  const rows = `${format(10 ** (digits - exponent), 2)} × 10${superscript(exponent)}`;
  return [
    prose(
      "FrozenLake is a toy as well: 16 fields, 4 actions, at most 100 steps. pgrad counted its trajectories: ",
      `**${rows} rows**. There are about 10${superscript(80)} atoms in the visible universe. `,
      "Nobody will add up that table.",
    ),
    prose(
      "But look at the formula once more. $\\sum_\\omega p(\\omega) \\cdots$ is an *average*, and an average can be ",
      "estimated: act, and the world itself draws trajectories with the right probabilities. The sum of ",
      "$\\nabla p(\\omega)\\, G(\\omega)$ was no average: $\\nabla p$ is negative in places, and nothing can be drawn ",
      "from that. So this is what the trick is for.",
    ),
  ];
}

/** Return the place of the trajectory that goes straight to the goal without a slip. */
function straight({ rows }: Theorem): number {
  const goesRight = ({ actions }: Row) => actions.length === 2 && actions.every((action) => action === 1);
  return rows.findIndex((row) => row.terminated && goesRight(row));
}

/** Return the row's term of ∇J. */
function product({ probability, G, score }: Row): Vector {
  return [probability * G * score[0], probability * G * score[1]];
}

// The trick on one trajectory

const STEPS = Array.from({ length: 25 }, (_, i) => -REACH + (2 * REACH * i) / 24);

/** Return the value that is drawn, p or log p, of a probability. */
function seen(view: View, probability: number): number {
  return view === "probability" ? probability : Math.log(probability);
}

function curveFigure(engine: Engine, model: Model): Figure {
  const { view, row, slip, theta } = model;
  const rowAt = (x: number, s: number): Row =>
    engine.theorem({ ...EXAMPLE, slip: s }, [x, theta.get()[1]!]).rows[row.get()]!;
  // θ is in the first factor only, the slip in the second: each is computed once.
  const curves = (slips: readonly number[]): Point[][] => {
    const policies = STEPS.map((x) => rowAt(x, slip.get()).policy);
    const worlds = slips.map((s) => rowAt(0, s).dynamics);
    return worlds.map((world) => STEPS.map((x, i): Point => [x, seen(view.get(), policies[i]! * world)]));
  };
  const slope = (): number => {
    const { probability: p, score } = model.chosen();
    return view.get() === "probability" ? p * score[0] : score[0];
  };
  return figure({
    title: "One trajectory, while $\\theta_0$ moves",
    draw: (width) => curvePlot(width, model, curves([slip.get(), ...OTHER_SLIPS]), slope()),
    describe: () => {
      const isLog = view.get() === "logarithm";
      const where = `at θ₀ = ${format(theta.get()[0]!)} and slip ${format(slip.get())}`;
      const value = `${isLog ? "log p(ω)" : "p(ω)"} is ${format(seen(view.get(), model.chosen().probability))}`;
      const end = isLog ? "the slope is the same for every slip" : "the slope depends on the slip";
      const name = trajectoryName(model.chosen());
      if (model.chosen().probability === 0) return `Trajectory ${name}, ${where}, never happens: p(ω) is 0.`;
      return `Trajectory ${name}, ${where}: ${value} and its slope ${format(slope())}; ${end}.`;
    },
    table: () => {
      const slips = [slip.get(), ...OTHER_SLIPS];
      const drawn = curves(slips);
      return {
        columns: ["θ₀", ...slips.map((s) => `slip ${s}`)],
        rows: STEPS.map((x, i) => [x, ...drawn.map((points) => points[i]![1])]).filter((_, i) => i % 3 === 0),
      };
    },
  });
}

function curvePlot(width: number, model: Model, [own = [], ...others]: Point[][], slope: number): Plot {
  const [view, slip, x0] = [model.view.get(), model.slip.get(), model.theta.get()[0]!];
  const heights = [own, ...others]
    .flat()
    .map(([, y]) => y)
    .filter(Number.isFinite);
  const [low, high] = view === "probability" ? [0, 1.1 * max(heights)] : [min(heights) - 0.5, max(heights) + 0.5];
  const plot = linePlot(width, {
    x: { label: "preference θ₀", domain: [-REACH, REACH] },
    y: { label: view === "probability" ? "p(ω)" : "log p(ω)", domain: [low, high] },
    series: [
      { label: `slip ${OTHER_SLIPS.join(", ")}`, points: others[0]!, color: COLOURS.muted, width: 1.5 },
      ...others.slice(1).map((points) => ({ points, color: COLOURS.muted, width: 1.5 })),
      { label: `slip ${format(slip)}`, points: own, color: COLOURS.blue, width: 3 },
    ],
    height: 230,
  });
  const y0 = seen(view, model.chosen().probability);
  if (!Number.isFinite(y0)) return plot; // the logarithm of a probability of 0
  const tangent = (dx: number): Point => [x0 + dx, y0 + slope * dx];
  addLine(plot, [tangent(-1.5), tangent(1.5)], { color: COLOURS.vermilion, width: 2.5 });
  addDots(plot, [x0, y0], { color: COLOURS.vermilion, radius: 5, opacity: 1 });
  return plot;
}

/** Make the table of one trajectory's factors; in the view of the logarithm the dynamics' gradients are struck out. */
function factorTable(engine: Engine, model: Model): { element: HTMLElement; update: () => void } {
  const body = h("div", {
    class: "table-slot",
    tabindex: 0,
    role: "group",
    "aria-label": "Factors of the trajectory",
  });
  const title = h("span", { class: "figure-title" });

  function update(): void {
    const isLog = model.view.get() === "logarithm";
    title.replaceChildren(...inline(`The factors of $p(\\omega)$ of ${trajectoryName(model.chosen())}`));
    const extra = isLog ? ["log", "∂/∂θ₀ of it", "∂/∂θ₁ of it"] : [];
    const titles = ["factor", "value", ...extra];
    const head = h("tr", {}, ...titles.map((title) => h("th", { scope: "col" }, title)));
    const rows = factorsOf(engine, model).map((factor) => factorRow(factor, isLog));
    body.replaceChildren(
      h("table", {}, h("thead", {}, head), h("tbody", {}, ...rows), h("tfoot", {}, totalRow(model.chosen(), isLog))),
    );
  }

  return { element: h("figure", {}, h("figcaption", {}, title), body), update };
}

interface Factor {
  name: string;
  value: number;
  slope: Vector; // of its logarithm
  isDynamics: boolean;
}

/** Return the factors of the chosen trajectory's probability, the policy's and the world's in turn. */
function factorsOf(engine: Engine, model: Model): Factor[] {
  const row = model.chosen();
  return row.actions.flatMap((action, t): Factor[] => {
    const [state, arrow] = [row.states[t]!, action === 1 ? "→" : "←"];
    const chance = engine.softmax([0, model.theta.get()[state]!])[action]!;
    const move = slipped(row, t) ? model.slip.get() : 1 - model.slip.get();
    const next = stateName(row.states[t + 1]!);
    const slope: Vector = state === 0 ? [scoreOf(model, 0, action), 0] : [0, scoreOf(model, 1, action)];
    return [
      { name: `π(${arrow}|${state})`, value: chance, slope, isDynamics: false },
      { name: `p(${next}|${state},${arrow})`, value: move, slope: [0, 0], isDynamics: true },
    ];
  });
}

/** Return the derivative of log π(action|state) by the state's θ, read off a trajectory that visits each state once. */
function scoreOf(model: Model, state: 0 | 1, action: number): number {
  const row = model.now().rows.find(({ actions }) => actions.length === 2 && actions[state] === action)!;
  return row.score[state];
}

function factorRow({ name, value, slope, isDynamics }: Factor, isLog: boolean): HTMLElement {
  const cells = isLog ? [value, Math.log(value), ...slope] : [value];
  return h("tr", { class: isLog && isDynamics ? "struck" : "" }, h("td", {}, name), ...cells.map(numberCell));
}

function totalRow({ probability, score }: Row, isLog: boolean): HTMLElement {
  const cells = isLog ? [probability, Math.log(probability), ...score] : [probability];
  return h("tr", {}, h("th", { scope: "row" }, isLog ? "product, sums" : "product"), ...cells.map(numberCell));
}

function numberCell(value: number): HTMLElement {
  return h("td", { class: "number" }, fixed(value, 3));
}

function slipQuestion(context: Context, hides: HTMLElement[]): HTMLElement {
  const scores = (slip: number) =>
    context.engine.theorem({ ...EXAMPLE, slip }, EXAMPLE_POINT).rows.map(({ score }) => score);
  return predict(context, {
    id: "trick-slip",
    question:
      `A step slips with chance 0.1. Raise that to 0.3. In how many of the ${FULL} rows does ` +
      "$\\nabla \\log p(\\omega)$ change?",
    kind: "choice",
    options: ["In none", "In those with a slip", "In all"],
    hides,
    answer: async () => {
      const [before, after] = [scores(0.1), scores(0.3)];
      const changed = before.filter((score, k) => distance(score, after[k]!) > 1e-12).length;
      if (changed === 0) return "In none";
      return changed === FULL ? "In all" : "In those with a slip";
    },
    explain:
      "All the probabilities change. But the slip is a factor without $\\theta$, so its logarithm is a term without " +
      "$\\theta$, and the gradient of that is zero.",
  });
}

// The table that one can add up

const KEYS: Record<Order, (row: Row) => number> = {
  probability: (row) => -row.probability,
  contribution: (row) => -norm(product(row)),
  return: (row) => -row.G,
  length: (row) => row.actions.length,
};

/** Return the places of the rows in the order that the learner chose. */
function ordered(model: Model): number[] {
  const { rows } = model.now();
  const key = KEYS[model.order.get()];
  return rows.map((_, k) => k).sort((a, b) => key(rows[a]!) - key(rows[b]!));
}

/** Return the corners of the path that the rows' products make, tip to tail. */
function path(model: Model): Vector[] {
  const corners: Vector[] = [[0, 0]];
  for (const k of ordered(model)) {
    const [x, y] = corners.at(-1)!;
    const [dx, dy] = product(model.now().rows[k]!);
    corners.push([x + dx, y + dy]);
  }
  return corners;
}

function walkFigure(model: Model): Figure {
  const longest = () => Math.max(...model.now().rows.map((row) => norm(product(row))));
  return figure({
    title: `${FULL} products, tip to tail`,
    draw: (width) => walkPlot(width, model),
    describe: () => {
      const { gradient } = model.now();
      const lengths = `That is ${format(norm(gradient))} long; the longest product is ${format(longest())}.`;
      return (
        `The path goes as far as ${format(Math.max(...path(model).map(norm)))} from the start, and ends at ` +
        `∇J = ${spellVector(gradient)}. ${lengths}`
      );
    },
    table: () => ({
      columns: ["added", "trajectory", "sum for θ₀", "sum for θ₁"],
      rows: ordered(model).map((k, i) => [i + 1, trajectoryName(model.now().rows[k]!), ...path(model)[i + 1]!]),
    }),
  });
}

function walkPlot(width: number, model: Model): Plot {
  const corners = path(model);
  const [xs, ys] = [corners.map(([x]) => x), corners.map(([, y]) => y)];
  const margin = 0.08 * Math.max(max(xs) - min(xs), max(ys) - min(ys), 0.1);
  const plot = axes(width, {
    x: { label: "for θ₀", domain: [min(xs) - margin, max(xs) + margin] },
    y: { label: "for θ₁", domain: [min(ys) - margin, max(ys) + margin] },
    equal: true,
    height: 520,
    legend: [
      { label: "a trajectory's p · G · Σ∇log π", color: COLOURS.sky },
      { label: "the one chosen", color: COLOURS.orange },
      { label: "∇J", color: COLOURS.ink },
    ],
  });
  addRule(plot, { x: 0 });
  addRule(plot, { y: 0 });
  ordered(model).forEach((k, i) => {
    const isChosen = k === model.row.get();
    const style = isChosen ? { color: COLOURS.orange, width: 3 } : { color: COLOURS.sky, width: 1.5 };
    addArrow(plot, corners[i]!, corners[i + 1]!, style);
  });
  addArrow(plot, [0, 0], model.now().gradient, { color: COLOURS.ink, width: 4 });
  return plot;
}

const COLUMNS: readonly { title: string; order?: Order; span?: number }[] = [
  { title: "trajectory ω", order: "length" },
  { title: "Π π" },
  { title: "Π p" },
  { title: "p(ω)", order: "probability" },
  { title: "G(ω)", order: "return" },
  { title: "Σ ∇log π", span: 2 },
  { title: "product", order: "contribution", span: 2 },
];

/** Make the table of all rows: its columns sort it, its first column chooses the trajectory above. */
function theoremTable(model: Model): { element: HTMLElement; update: () => void } {
  const headers = COLUMNS.map(({ title, order, span }) => {
    const content = order ? [button(title, () => model.order.set(order))] : [title];
    return h("th", { scope: "col", colspan: span ?? 1 }, ...content);
  });
  const body = h("tbody", {});
  const foot = h("tfoot", {});
  const table = h("table", { class: "theorem" }, h("thead", {}, h("tr", {}, ...headers)), body, foot);
  const label = "The table of all trajectories";
  const slot = h("div", { class: "table-slot", tabindex: 0, role: "group", "aria-label": label }, table);

  function update(): void {
    const { rows, performance, gradient } = model.now();
    COLUMNS.forEach(({ order }, i) => {
      const direction = order === "length" ? "ascending" : "descending";
      if (order) headers[i]!.setAttribute("aria-sort", order === model.order.get() ? direction : "none");
    });
    const focused = document.activeElement?.getAttribute("data-row");
    body.replaceChildren(...ordered(model).map((k) => tableRow(model, rows[k]!, k)));
    if (focused) body.querySelector<HTMLElement>(`[data-row="${focused}"]`)?.focus({ preventScroll: true });
    const total = rows.reduce((sum, { probability }) => sum + probability, 0);
    foot.replaceChildren(
      h(
        "tr",
        {},
        h("th", { scope: "row", colspan: 3 }, "sums of p, p · G = J, and ∇J"),
        numberCell(total),
        numberCell(performance),
        h("td", { colspan: 2 }),
        ...gradient.map(numberCell),
      ),
    );
  }

  const hint = prose(
    "Press a heading to sort. Press a trajectory to choose it: an arrow is an action, after it stands the state that ",
    "it led to, and ~ marks a slip.",
  );
  return { element: h("div", {}, hint, slot), update };
}

function tableRow(model: Model, row: Row, k: number): HTMLElement {
  const isChosen = k === model.row.get();
  const name = h(
    "button",
    {
      type: "button",
      class: "quiet",
      "data-row": k,
      "aria-pressed": String(isChosen),
      onclick: () => model.row.set(k),
    },
    trajectoryName(row),
  );
  const numbers = [row.policy, row.dynamics, row.probability, row.G, ...row.score, ...product(row)];
  return h("tr", { class: isChosen ? "chosen" : "" }, h("td", {}, name), ...numbers.map(numberCell));
}

function lengthQuestion(context: Context, hides: HTMLElement[]): HTMLElement {
  const measured = () => context.engine.theorem(EXAMPLE, EXAMPLE_POINT);
  const size = format(norm(measured().gradient));
  return predict(context, {
    id: "trick-length",
    question:
      `At $\\theta = (-0.5, 0.5)$ and slip 0.1, $\\nabla J$ is ${size} long. How long is the longest of its ${FULL} ` +
      "terms?",
    kind: "interval",
    hides,
    answer: async () => Math.max(...measured().rows.map((row) => norm(product(row)))),
    explain: (truth) =>
      `The longest term is ${format(Number(truth) / norm(measured().gradient))} times as long as the sum. ` +
      "Most of what the terms say cancels. Remember this when you see how noisy a sample of them is.",
  });
}

function measurements(engine: Engine, model: Model): { element: HTMLElement; update: () => void } {
  const table = readout("$\\nabla J$, last line of the table");
  const differences = readout("$\\nabla J$, central differences of $J$");
  const negative = readout("Rows where $\\partial p(\\omega)/\\partial\\theta_0 < 0$");

  function performance(dx: number, dy: number): number {
    const [x, y] = pointOf(model);
    return engine.theorem(model.problem(), [x + dx, y + dy]).performance;
  }

  function update(): void {
    const slopes: Vector = [
      (performance(STEP, 0) - performance(-STEP, 0)) / (2 * STEP),
      (performance(0, STEP) - performance(0, -STEP)) / (2 * STEP),
    ];
    table.set(spellVector(model.now().gradient, 6));
    differences.set(spellVector(slopes, 6));
    const falling = model.now().rows.filter(({ probability, score }) => probability * score[0] < 0);
    negative.set(`${falling.length} of ${FULL}`);
  }

  return { element: readouts(table, differences, negative), update };
}
