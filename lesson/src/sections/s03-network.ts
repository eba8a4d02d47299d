// Section 3: a network makes preferences of what it sees; the policy follows the cart and the pole.

import type { Run, State } from "../engine";
import {
  addArrow,
  addRule,
  addText,
  axes,
  barPlot,
  COLOURS,
  linePlot,
  s,
  type Axis,
  type Plot,
  type Point,
} from "../plot";
import { predict } from "../predict";
import type { Context, Section } from "../section";
import type { NumberSetting } from "../settings";
import {
  button,
  columns,
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
  tableElement,
  tex,
  type Figure,
} from "../ui";
import { addCart, ANGLE_LIMIT, angleOfTip, DEGREE, inWords, POSITION_LIMIT, tip, track } from "./cart";
import { policyChoice, untrainedPolicy, type PolicyChoice } from "./policies";

const ACTIONS = ["left", "right"] as const;
const INPUTS = 4; // of the network: the state's numbers
const DRAWS = 1000;
const Z = 1.96; // standard errors on either side of a share that hold the truth 95 times in 100
const FASTEST = 3; // m/s, and rad/s
const LEANING: State = [0, 0, 5 * DEGREE, 0];

export const network: Section = {
  id: "network",
  number: 3,
  title: "A policy network",
  minutes: 6,
  star: true,
  exercises: ["sample_action"],
  build,
};

interface Model {
  position: NumberSetting; // m
  speed: NumberSetting; // m/s
  angle: NumberSetting; // degrees
  turning: NumberSetting; // rad/s
  hidden: NumberSetting; // units
  luck: { one: number; many: number }; // which random numbers are used
  policy: PolicyChoice;
  state(): State;
  probabilities(): [left: number, right: number];
}

function build(root: HTMLElement, context: Context): void {
  const model = newModel(context, () => update());
  const cart = cartFigure(model);
  const bars = barFigure(context, model);
  const draw = drawFigure(context, model);
  const curves = [angleFigure(model), turningFigure(model)];
  const numbers = measurements(model);
  const count = parameterTable(context, model);

  function update(): void {
    for (const drawn of [cart, bars, draw, ...curves]) drawn.redraw();
    numbers.update();
  }

  for (const setting of [model.position, model.speed, model.angle, model.turning]) setting.subscribe(update);
  model.hidden.subscribe(count.update);
  update();

  const afterTraining = h(
    "div",
    {},
    model.policy.element,
    columns(...curves.map(({ element }) => element)),
    prose(
      "Choose *trained* and drag the pole again: the arrows and the bars now swing from one action to the other. The ",
      "curves say what the policy listens to. Even a trained policy remains a matter of chance: no probability is ",
      "quite 0 or 1.",
    ),
  );

  root.append(
    prose(
      "CartPole is a cart on a track with a pole hinged to it. At each step the agent pushes the cart to the left or ",
      "to the right. It sees four numbers, the *state* $s = (x, \\dot x, \\varphi, \\dot\\varphi)$: where the cart ",
      "is, how fast it moves, how far the pole leans and how fast it turns. One play is an *episode*: it ends when ",
      `the pole leans more than ${ANGLE_LIMIT}°, when the cart is more than ${POSITION_LIMIT} m from the middle (the `,
      "dashed lines below), or after 500 steps.",
    ),
    prose(
      "A **policy network** makes a preference $h$ for each action from these numbers, and softmax makes ",
      "probabilities of the preferences. The letter $\\theta$ stands for all the numbers in it that can be learned: ",
      "the weights $W$ and the biases $b$. In between, $\\max(0, \\cdot)$ puts 0 for every negative number. The ",
      "temperature is 1 from here on.",
    ),
    tex(String.raw`h = W_2 \max(0,\; W_1 s + b_1) + b_2`, true),
    tex(String.raw`\pi(a \mid s, \theta) = \mathrm{softmax}(h)_a`, true),
    prose("Drag the cart, or the tip of the pole. The arrows on the cart are as long as the probabilities."),
    cart.element,
    panel(
      settingSlider(model.position, { label: "Cart position $x$ (m)", step: 0.05 }),
      settingSlider(model.speed, { label: "Cart speed $\\dot x$ (m/s)", step: 0.05 }),
      settingSlider(model.angle, { label: "Pole angle $\\varphi$ (degrees)", step: 0.1 }),
      settingSlider(model.turning, { label: "Pole turning $\\dot\\varphi$ (rad/s)", step: 0.05 }),
      button("Centre everything", () => setState(model, [0, 0, 0, 0])),
    ),
    numbers.element,
    heading("A probability is a promise about many draws"),
    prose(
      "The agent must do one thing, so an action is drawn. A random number between 0 and 1 falls on a line that is ",
      "cut at $\\pi(\\text{left})$. Later sections need $\\log \\pi$ of the action drawn, so it is kept with it.",
    ),
    columns(draw.element, bars.element),
    panel(
      button("Draw another action", () => {
        model.luck.one += 1;
        draw.redraw();
      }),
      button(`Draw another ${format(DRAWS)}`, () => {
        model.luck.many += 1;
        bars.redraw();
      }),
    ),
    heading("Before and after training"),
    trainedQuestion(context, model, afterTraining),
    afterTraining,
    heading("How many numbers are that?"),
    prose(
      "Each unit of a layer has one weight for each of its inputs, and one bias. The notebook's network has four ",
      "inputs, 128 hidden units and two outputs.",
    ),
    countQuestion(context, [count.element]),
    count.element,
    list(
      "A policy is a function with parameters. What it says of one state, it says almost the same of the next.",
      "It answers with probabilities. To act is to draw.",
      "To learn is to change $\\theta$, and nothing else.",
    ),
    remark(
      "In pgrad",
      '`pgrad.MLPPolicy.initial("CartPole-v1", hidden=128, activation="relu")` makes an untrained policy; ',
      "`policy.probabilities(state)` gives $\\pi$, and `policy.act(state)` draws an action.",
    ),
  );
}

function newModel(context: Context, update: () => void): Model {
  const { settings } = context;
  const model = {
    position: settings.number("position", { default: 0.6, min: -POSITION_LIMIT, max: POSITION_LIMIT }),
    speed: settings.number("speed", { default: 0, min: -FASTEST, max: FASTEST }),
    angle: settings.number("angle", { default: 8, min: -ANGLE_LIMIT, max: ANGLE_LIMIT }),
    turning: settings.number("turning", { default: 0.5, min: -FASTEST, max: FASTEST }),
    hidden: settings.number("hidden", { default: 128, min: 1, max: 512, integer: true }),
    luck: { one: 0, many: 1 },
    policy: policyChoice(context, update),
  };
  const state = (): State => [model.position.get(), model.speed.get(), model.angle.get() * DEGREE, model.turning.get()];
  return { ...model, state, probabilities: () => probabilitiesOf(model.policy.run(), state()) };
}

function setState({ position, speed, angle, turning }: Model, state: State): void {
  position.set(state[0]);
  speed.set(state[1]);
  angle.set(state[2] / DEGREE);
  turning.set(state[3]);
}

function probabilitiesOf(run: Run, state: State): [left: number, right: number] {
  const right = run.probabilities([state])[0]!;
  return [1 - right, right];
}

/** Say "left 0.41, right 0.59". */
function spell([left, right]: readonly [number, number]): string {
  return `left ${fixed(left, 3)}, right ${fixed(right, 3)}`;
}

function cartFigure(model: Model): Figure {
  const { position, speed, angle, turning } = model;
  const drawn = figure({
    title: "Drag the cart and the tip of the pole: the probabilities follow",
    draw: (width) => cartPlot(width, model),
    describe: () =>
      `In this state ${inWords(model.state())}. The ${model.policy.name.get()} policy pushes ` +
      `${spell(model.probabilities())}.`,
    table: () => ({
      columns: ["x (m)", "ẋ (m/s)", "φ (°)", "φ̇ (rad/s)", "π(left)", "π(right)"],
      rows: [[...[position, speed, angle, turning].map((setting) => setting.get()), ...model.probabilities()]],
    }),
  });
  drawn.addHandle({
    label: "Cart position",
    at: () => [model.position.get(), -0.12],
    step: [0.05, 0],
    move: (x) => model.position.set(round(within(x, POSITION_LIMIT), 2)),
    describe: () => `${fixed(model.position.get(), 2)} m`,
  });
  drawn.addHandle({
    label: "Pole angle",
    at: () => tip(model.state()),
    step: [0.01, 0],
    move: (x) => {
      const degrees = angleOfTip(x - model.position.get()) / DEGREE;
      model.angle.set(round(within(degrees, ANGLE_LIMIT), 1));
    },
    describe: () => `${fixed(model.angle.get(), 1)} degrees`,
  });
  return drawn;
}

function within(value: number, limit: number): number {
  return Math.min(limit, Math.max(-limit, value));
}

function round(value: number, decimals: number): number {
  return Number(value.toFixed(decimals));
}

function cartPlot(width: number, model: Model): Plot {
  const [x] = model.state();
  const [left, right] = model.probabilities();
  const plot = track(width, [
    { label: "push left", color: COLOURS.orange },
    { label: "push right", color: COLOURS.blue },
  ]);
  addCart(plot, model.state(), { color: COLOURS.muted });
  addArrow(plot, [x - 0.2, -0.12], [x - 0.2 - left, -0.12], { color: COLOURS.orange, width: 5 });
  addArrow(plot, [x + 0.2, -0.12], [x + 0.2 + right, -0.12], { color: COLOURS.blue, width: 5 });
  return plot;
}

function measurements(model: Model): { element: HTMLElement; update: () => void } {
  const shown = ACTIONS.map((action) => ({
    probability: readout(`$\\pi(\\text{${action}})$`),
    logarithm: readout(`$\\log \\pi(\\text{${action}})$`),
  }));

  function update(): void {
    model.probabilities().forEach((probability, a) => {
      shown[a]!.probability.set(fixed(probability, 3));
      shown[a]!.logarithm.set(fixed(Math.log(probability), 3));
    });
  }

  return { element: readouts(...shown.flatMap((one) => [one.probability, one.logarithm])), update };
}

/** Draw an action: the random number falls on the left part of the line, or on the right one. */
function sample({ engine }: Context, left: number, seed: number, index: number): { number: number; action: 0 | 1 } {
  const number = engine.uniform(seed, index);
  return { number, action: number < left ? 0 : 1 };
}

function drawFigure(context: Context, model: Model): Figure {
  const now = () => sample(context, model.probabilities()[0], 0, model.luck.one);
  return figure({
    title: "One draw",
    draw: (width) => drawPlot(width, model.probabilities()[0], now().number),
    describe: () => {
      const { number, action } = now();
      const probability = model.probabilities()[action];
      return (
        `The random number is ${fixed(number, 3)}, so the action is ${ACTIONS[action]}: π = ` +
        `${fixed(probability, 3)}, log π = ${fixed(Math.log(probability), 3)}.`
      );
    },
    table: () => {
      const { number, action } = now();
      const probability = model.probabilities()[action];
      return {
        columns: ["random number", "π(left)", "action", "log π(action)"],
        rows: [[number, model.probabilities()[0], ACTIONS[action], Math.log(probability)]],
      };
    },
  });
}

function drawPlot(width: number, left: number, number: number): Plot {
  const plot = axes(width, {
    x: { label: "random number", domain: [0, 1], values: [0, 0.25, 0.5, 0.75, 1] },
    y: { label: "", domain: [0, 1], values: [] },
    height: 110,
    legend: [
      { label: "left", color: COLOURS.orange },
      { label: "right", color: COLOURS.blue },
    ],
  });
  const parts = [
    { from: 0, to: left, fill: COLOURS.orange },
    { from: left, to: 1, fill: COLOURS.blue },
  ];
  for (const { from, to, fill } of parts) {
    const size = { width: plot.x(to) - plot.x(from), height: plot.y(0) - plot.y(0.7) };
    plot.body.append(s("rect", { x: plot.x(from), y: plot.y(0.7), ...size, fill, opacity: 0.75 }));
  }
  addRule(plot, { x: number, color: COLOURS.ink });
  const anchor = number > 0.5 ? "end" : "start";
  addText(plot, [number + (number > 0.5 ? -0.015 : 0.015), 0.8], fixed(number, 3), { anchor });
  return plot;
}

function barFigure(context: Context, model: Model): Figure {
  const shares = (): [number, number] => {
    const [left] = model.probabilities();
    let count = 0;
    for (let i = 0; i < DRAWS; i += 1) count += 1 - sample(context, left, model.luck.many, i).action;
    return [count / DRAWS, 1 - count / DRAWS];
  };
  return figure({
    title: `${format(DRAWS)} draws against $\\pi$`,
    draw: (width) => {
      const measured = shares();
      return barPlot(width, {
        labels: ACTIONS,
        xLabel: "action",
        y: { label: "probability, share", domain: [0, 1.15], values: [0, 0.25, 0.5, 0.75, 1] },
        groups: [
          { label: "π", values: model.probabilities(), color: COLOURS.blue },
          { label: "draws", values: measured, color: COLOURS.green, intervals: measured.map(interval) },
        ],
        format: (value) => fixed(value, 3),
        height: 200,
      });
    },
    describe: () => {
      const half = 100 * Z * standardError(shares()[0]);
      return (
        `The probabilities are ${spell(model.probabilities())}; of ${format(DRAWS)} draws the shares are ` +
        `${spell(shares())}. Luck alone moves a share by up to ±${fixed(half, 1)} percentage points, 95 times in 100.`
      );
    },
    table: () => ({
      columns: ["action", "π", `share of ${DRAWS} draws`],
      rows: ACTIONS.map((action, a) => [action, model.probabilities()[a]!, shares()[a]!]),
    }),
  });
}

function standardError(share: number): number {
  return Math.sqrt((share * (1 - share)) / DRAWS);
}

function interval(share: number): [number, number] {
  const half = Z * standardError(share);
  return [share - half, share + half];
}

function trainedQuestion(context: Context, model: Model, hides: HTMLElement): HTMLElement {
  return predict(context, {
    id: "network-trained",
    question:
      "Now the same network learns for a second. Then we show it a pole that leans 5° to the right; cart and pole " +
      "are still. How large is $\\pi(\\text{right})$?",
    kind: "interval",
    hides: [hides],
    answer: async () => probabilitiesOf(await model.policy.prepare(), LEANING)[1],
    explain: (truth) =>
      `Before training it was ${fixed(probabilitiesOf(untrainedPolicy(context), LEANING)[1], 3)}, now it is ` +
      `${fixed(Number(truth), 3)}. The curves below show what the policy listens to most: not how far the pole ` +
      "leans, but how fast it turns.",
    onReveal: () => void model.policy.prepare(),
  });
}

/** Plot π(right) of each policy that is ready, along one number of the state. */
function curvePlot(width: number, model: Model, along: (value: number) => State, axis: Axis, now: number): Plot {
  const values = Array.from({ length: 81 }, (_, i) => axis.domain[0] + ((axis.domain[1] - axis.domain[0]) * i) / 80);
  const states = values.map(along);
  return linePlot(width, {
    x: axis,
    y: { label: "π(right)", domain: [0, 1], values: [0, 0.25, 0.5, 0.75, 1] },
    height: 200,
    series: model.policy.all().map(({ name, run }) => {
      const right = run.probabilities(states);
      return { label: name, color: CURVES[name], points: values.map((value, i): Point => [value, right[i]!]) };
    }),
    rules: [{ y: 0.5 }, { x: now, color: COLOURS.ink }],
  });
}

const CURVES = { untrained: COLOURS.muted, trained: COLOURS.vermilion };

/** Make a figure of π(right) along one number of the state; the other three stay as they are. */
function curveFigure(model: Model, options: { title: string; axis: Axis; unit: string; index: 2 | 3 }): Figure {
  const { title, axis, unit, index } = options;
  const scale = index === 2 ? DEGREE : 1;
  const now = () => model.state()[index] / scale;
  const along = (value: number) => model.state().map((number, i) => (i === index ? value * scale : number)) as State;
  const [from, to] = axis.domain.map((end) => format(end));
  const ends = (run: Run) => Array.from(run.probabilities(axis.domain.map(along)));
  return figure({
    title,
    draw: (width) => curvePlot(width, model, along, axis, now()),
    describe: () =>
      model.policy
        .all()
        .map(({ name, run }) => {
          const [low, high] = ends(run).map((right) => fixed(right, 2));
          return `The ${name} policy: π(right) goes from ${low} at ${from} ${unit} to ${high} at ${to} ${unit}.`;
        })
        .join(" "),
    table: () => {
      const [low, high] = axis.domain;
      const values = [low, low / 2, 0, high / 2, high];
      const all = model.policy.all();
      const columns = all.map(({ run }) => run.probabilities(values.map(along)));
      return {
        columns: [axis.label, ...all.map(({ name }) => `π(right), ${name}`)],
        rows: values.map((value, i) => [value, ...columns.map((column) => column[i]!)]),
      };
    },
  });
}

function angleFigure(model: Model): Figure {
  const domain = [-ANGLE_LIMIT, ANGLE_LIMIT] as const;
  const axis = { label: "pole angle φ (degrees)", domain, values: [-12, -6, 0, 6, 12] };
  return curveFigure(model, { title: "Along the pole's angle", axis, unit: "degrees", index: 2 });
}

function turningFigure(model: Model): Figure {
  const axis = { label: "pole turning φ̇ (rad/s)", domain: [-FASTEST, FASTEST] as const };
  return curveFigure(model, { title: "Along the pole's turning", axis, unit: "rad/s", index: 3 });
}

function countQuestion(context: Context, hides: HTMLElement[]): HTMLElement {
  return predict(context, {
    id: "network-count",
    question: "How many numbers are in $\\theta$? Count before you commit.",
    kind: "interval",
    hides,
    answer: async () => untrainedPolicy(context).parameters.length,
    explain: "Weights *and* biases, of both layers. The table below adds them up.",
  });
}

/** Make a table that adds the parameters up, layer by layer. */
function parameterTable(context: Context, { hidden }: Model): { element: HTMLElement; update: () => void } {
  const slot = h("div", {});
  const check = h("p", { class: "words" });
  const layer = (name: string, inputs: number, units: number) =>
    [name, inputs * units, units, inputs * units + units] as const;

  function update(): void {
    const units = hidden.get();
    const layers = [layer(`hidden: ${units} units`, INPUTS, units), layer("output: 2 actions", units, ACTIONS.length)];
    const sum = (column: 1 | 2 | 3) => layers.reduce((total, row) => total + row[column], 0);
    const rows = [...layers, ["together", sum(1), sum(2), sum(3)]];
    slot.replaceChildren(tableElement({ columns: ["layer", "weights", "biases", "numbers"], rows }));
    check.textContent =
      `With ${units} hidden units, θ holds ${format(sum(3))} numbers. ` +
      `The network that moved the bars above holds ${format(untrainedPolicy(context).parameters.length)}.`;
  }

  update();
  const control = settingSlider(hidden, { label: "Hidden units", step: 1, log: true });
  return { element: h("div", {}, panel(control), slot, check), update };
}
