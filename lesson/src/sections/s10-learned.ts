// Section 10: what thirty trained policies do, where they have been, and what they do where they have not.

import { NOTEBOOK, type Engine, type Recipe, type Run, type State } from "../engine";
import { addDots, addLine, addRule, addText, axes, COLOURS, heatMap, linePlot, type Plot, type Point } from "../plot";
import { predict } from "../predict";
import type { Context, Section } from "../section";
import type { NumberSetting, Setting } from "../settings";
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
  percent,
  prose,
  readout,
  readouts,
  remark,
  settingChoice,
  settingSlider,
  type Figure,
} from "../ui";
import {
  average,
  complete,
  ended,
  latestRecipe,
  newAttempt,
  onLatestRecipe,
  recipeKey,
  SEEDS,
  throttle,
  watchVisible,
  type Attempt,
} from "./attempts";
import { addCart, ANGLE_LIMIT, DEGREE, track } from "./cart";

const LIMIT = ANGLE_LIMIT * DEGREE; // rad
const PATIENCE = 200; // steps that a survivor must last

/** The notebook's states. */
const ASKED: readonly { name: string; state: State }[] = [
  { name: "centred, upright, at rest", state: [0, 0, 0, 0] },
  { name: "cart on the left, pole tilts right", state: [-1, -0.5, 0.1, 0.5] },
  { name: "cart on the right, pole tilts left", state: [1, 0.5, -0.1, -0.5] },
  { name: "pole falls fast to the right", state: [0, 0, 0.2, 1.5] },
  { name: "pole falls fast to the left", state: [0, 0, -0.2, -1.5] },
];
const YOURS = String(ASKED.length + 1);

type PolicyName = "value" | "ppo" | "notebook" | "yours";

const POLICIES: readonly { value: PolicyName; label: string }[] = [
  { value: "ppo", label: "PPO" },
  { value: "value", label: "REINFORCE with $V(s)$" },
  { value: "notebook", label: "the notebook’s" },
  { value: "yours", label: "your last of section 9" },
];

const RECIPES: Record<Exclude<PolicyName, "yours">, Recipe> = {
  value: { ...NOTEBOOK, baseline: "value", learningRate: 0.003 },
  ppo: { ...NOTEBOOK, algorithm: "ppo", network: "default", learningRate: 0.001, totalEpisodes: 200 },
  notebook: NOTEBOOK,
};

export const learned: Section = {
  id: "learned",
  number: 10,
  title: "What did it learn?",
  minutes: 8,
  star: true,
  build,
};

interface Model {
  name: Setting<PolicyName>;
  seed: NumberSetting;
  parts: readonly NumberSetting[]; // of the state
  state(): State;
  setState(state: State): void;
}

function build(root: HTMLElement, context: Context): void {
  const { engine, settings } = context;
  const parts = [
    settings.number("x", { default: -1, min: -2.4, max: 2.4 }),
    settings.number("speed", { default: -0.5, min: -3, max: 3 }),
    settings.number("angle", { default: 0.1, min: -0.25, max: 0.25 }),
    settings.number("turning", { default: 0.5, min: -2, max: 2 }),
  ] as const;
  const model: Model = {
    name: settings.text("policy", { default: "ppo", allowed: POLICIES.map(({ value }) => value) }),
    seed: settings.number("seed", { default: 0, min: 0, max: SEEDS.length - 1, integer: true }),
    parts,
    state: () => parts.map((part) => part.get()) as State,
    setState: (state) => state.forEach((value, i) => parts[i]!.set(value)),
  };
  const body = h("div", {});
  const policies = startPolicies(context, model.name, root);
  const survival = startSurvival(engine, policies, model, () => survived.redraw());
  const tilt = tiltReadouts(policies);
  const figures = [
    answersFigure(policies, model),
    mapFigure(policies, model),
    stateFigure(model),
    survivalFigure(survival, model),
  ] as const;
  const [answers, map, state, survived] = figures;
  const update = () => {
    for (const drawn of figures) drawn.redraw();
    survival.restart();
  };
  policies.onChange(() => {
    update();
    tilt.update();
  });
  for (const part of parts) part.subscribe(update);
  model.seed.subscribe(map.redraw);

  const controls = panel(
    settingSlider(parts[0], { label: "Cart position $x$ (m)", step: 0.05 }),
    settingSlider(parts[1], { label: "Cart speed $\\dot x$ (m/s)", step: 0.05 }),
    settingSlider(parts[2], { label: "Pole angle $\\vartheta$ (rad), to the right", step: 0.005 }),
    settingSlider(parts[3], { label: "Angular speed $\\dot\\vartheta$ (rad/s)", step: 0.05 }),
  );
  const shortcuts = h(
    "div",
    { class: "buttons" },
    ...ASKED.map(({ name, state: asked }, i) => button(`State ${i + 1}: ${name}`, () => model.setState([...asked]))),
  );
  for (const shortcut of shortcuts.children) shortcut.classList.add("quiet");

  body.append(
    answers.element,
    list(...ASKED.map(({ name, state: asked }, i) => `**${i + 1}**: ${name}. ${aftermath(engine, asked)}`)),
    heading("Any other state"),
    prose(
      "Column 6 is yours. Move the sliders, or drag the point in the map below. Then see how long each policy keeps ",
      "the pole up from there.",
    ),
    controls,
    shortcuts,
    columns(state.element, survived.element),
    heading("Where has it been?"),
    prose(
      "The colours are $\\pi(\\text{right})$ of one seed, for the cart position and speed above. The dots are where ",
      `that policy goes in ${EPISODES} episodes. Late in training it saw little else, so that elsewhere hardly anything told it what to do.`,
    ),
    panel(settingSlider(model.seed, { label: "Seed", step: 1 })),
    map.element,
  );
  const refutation = h("div", {}, tilt.element, conclusions());

  root.append(
    prose(
      "The notebook ends with five states, and with the sentence that the trained policy pushes right when the pole ",
      "tilts right, and left when it tilts left. Check it on thirty policies instead of one.",
    ),
    prose(
      "Write $s = (x, \\dot x, \\vartheta, \\dot\\vartheta)$ for a state: where the cart is, how fast it moves, how far ",
      "the pole tilts, how fast it turns. Right is positive.",
    ),
    policies.element,
    stateQuestion(context, policies, [body]),
    body,
    heading("Does it push to the side of the tilt?"),
    tiltQuestion(context, policies, [refutation]),
    refutation,
  );
}

/** Say what becomes of a state, whatever one does there. */
function aftermath(engine: Engine, state: State): string {
  const ends = [0, 1].map((action) => engine.step(state, action).terminated);
  if (ends.every((end) => end)) return "The episode ends with the next step, whatever one does.";
  return ends.some((end) => end) ? "One of the two actions ends the episode." : "The episode goes on.";
}

interface Policies {
  element: HTMLElement;
  kind(): string; // differs between recipes
  seeds(): readonly number[]; // that have been trained
  probabilities(states: State[]): Float64Array[]; // π(right | s) of each trained seed
  lend<T>(seed: number, call: (run: Run) => T): T; // the seed's policy
  visits(seed: number): State[]; // states of a few episodes
  measure<T>(name: PolicyName, call: () => T): Promise<T>; // once all seeds of these policies have been trained
  onChange(listener: () => void): void; // another recipe, or another seed
}

const EPISODES = 3; // to look at, a seed
const FIRST_EPISODE = 1000; // their random seeds, which no training used

/** Train the chosen policies, seed after seed, while the section is in the window. */
function startPolicies(context: Context, name: Setting<PolicyName>, root: HTMLElement): Policies {
  const { engine, pool } = context;
  const listeners = new Set<() => void>();
  const status = h("p", { class: "message", role: "status" });
  const control = settingChoice(name, { label: "Thirty policies, trained by", options: POLICIES });
  let attempt = newAttempt(recipeNamed(name.get()));
  let run = engine.run(attempt.recipe, 0);
  let visited = new Map<number, State[]>();
  let abort = new AbortController();
  let training: Promise<void> | undefined;
  let visible = false;

  const tell = throttle(() => {
    status.textContent = progressText(attempt, name.get());
    for (const listener of listeners) listener();
  }, 150);

  function choose(): void {
    const recipe = recipeNamed(name.get());
    if (recipeKey(recipe) !== recipeKey(attempt.recipe)) {
      pause();
      run.free();
      run = engine.run(recipe, 0);
      visited = new Map();
      attempt = newAttempt(recipe);
    }
    tell();
    if (visible) void train();
  }

  function pause(): void {
    abort.abort(new Error("other policies were chosen meanwhile"));
    abort = new AbortController();
    training = undefined;
  }

  function train(): Promise<void> {
    training ??= complete(pool, attempt, abort.signal, tell);
    training.catch(() => undefined); // paused; whoever waits for it is told
    return training;
  }

  function lend<T>(seed: number, call: (run: Run) => T): T {
    run.load(attempt.runs[seed]!.trained!.parameters);
    return call(run);
  }

  name.subscribe(choose);
  onLatestRecipe(() => name.get() === "yours" && choose());
  watchVisible(root, (now) => {
    visible = now;
    if (visible) void train();
    else if (ended(attempt).length < SEEDS.length) pause();
  });

  const seeds = (): number[] => SEEDS.filter((seed) => attempt.runs[seed]!.trained !== undefined);
  return {
    element: h("div", {}, control.element, status),
    kind: () => recipeKey(attempt.recipe),
    seeds,
    probabilities: (states) => seeds().map((seed) => lend(seed, (policy) => policy.probabilities(states))),
    lend,
    visits(seed) {
      const states = visited.get(seed) ?? lend(seed, visitsOf);
      visited.set(seed, states);
      return states;
    },
    async measure(wanted, call) {
      const before = name.get();
      name.set(wanted);
      await train();
      const result = call();
      name.set(before);
      return result;
    },
    onChange: (listener) => void listeners.add(listener),
  };
}

function visitsOf(policy: Run): State[] {
  return Array.from({ length: EPISODES }, (_, k) => policy.episode(FIRST_EPISODE + k).states).flat();
}

function recipeNamed(name: PolicyName): Recipe {
  return name === "yours" ? (latestRecipe() ?? NOTEBOOK) : RECIPES[name];
}

function progressText(attempt: Attempt, name: PolicyName): string {
  const { length } = ended(attempt);
  const fallback = name === "yours" && latestRecipe() === undefined;
  const note = fallback ? " Nothing has been trained in section 9 yet, so these are the notebook’s." : "";
  return (length < SEEDS.length ? `Trained: ${length} of ${SEEDS.length} seeds …` : `${length} seeds are trained.`) + note;
}

function stateQuestion(context: Context, policies: Policies, hides: HTMLElement[]): HTMLElement {
  const { state } = ASKED[1]!;
  const [x, speed, angle, turning] = state.map((value) => fixed(value, 1));
  return predict(context, {
    id: "learned-state",
    question:
      `The cart is at ${x} m and moves at ${speed} m/s. The pole tilts right by ${angle} rad and turns further right at ` +
      `${turning} rad/s. Thirty policies were trained by PPO until they keep the pole up. How many prefer to push right?`,
    kind: "interval",
    unit: `of ${SEEDS.length} policies`,
    hides,
    answer: () =>
      policies.measure("ppo", () => preferring(policies.probabilities([state]).map((right) => right[0]!))),
    explain:
      "This is state 2 below. Now choose REINFORCE with $V(s)$, and compare column 2. Both kinds keep the pole up from " +
      "the usual start, and they hardly ever come to such a state.",
  });
}

interface Tilt {
  states: number; // visited
  side: number; // of these, how many in which π prefers the side of the tilt
  turning: number; // likewise, the side to which the pole turns
}

/** Ask a policy in the states that it visits. */
function tiltOf(policies: Policies, seed: number): Tilt {
  const visited = policies.visits(seed);
  const right = policies.lend(seed, (policy) => policy.probabilities(visited));
  const count = (isRight: (state: State) => boolean): number =>
    visited.filter((state, i) => right[i]! > 0.5 === isRight(state)).length;
  return {
    states: visited.length,
    side: count(([, , angle]) => angle > 0),
    turning: count(([, , , angularSpeed]) => angularSpeed > 0),
  };
}

/** Add up over policies. */
function total(tilts: Iterable<Tilt>): Tilt {
  const sum = { states: 0, side: 0, turning: 0 };
  for (const tilt of tilts) {
    sum.states += tilt.states;
    sum.side += tilt.side;
    sum.turning += tilt.turning;
  }
  return sum;
}

function tiltQuestion(context: Context, policies: Policies, hides: HTMLElement[]): HTMLElement {
  return predict(context, {
    id: "learned-tilt",
    question:
      `Follow the thirty policies of PPO for ${EPISODES} episodes each. In what share of the states that they visit do ` +
      "they prefer to push to the side to which the pole tilts?",
    kind: "interval",
    unit: "%",
    hides,
    answer: () =>
      policies.measure("ppo", () => {
        const { side, states } = total(policies.seeds().map((seed) => tiltOf(policies, seed)));
        return (100 * side) / states;
      }),
    explain:
      "A coin would agree in 50 %. Most of the time the pole is near the upright, and there its *speed* decides: a " +
      "pole that tilts right but swings back needs no push to the right.",
  });
}

function tiltReadouts(policies: Policies) {
  const side = readout("Prefer the side of the tilt");
  const turning = readout("Prefer the side to which the pole turns");
  const length = readout("Steps an episode");
  const tilts = new Map<number, Tilt>(); // of each seed
  let kind = "";

  function show(): void {
    const sum = total(tilts.values());
    side.set(percent(sum.side / sum.states));
    turning.set(percent(sum.turning / sum.states));
    length.set(format(sum.states / EPISODES / tilts.size));
  }

  const follow = inFrames((seed) => void tilts.set(seed, tiltOf(policies, seed)), show);

  function update(): void {
    if (policies.kind() !== kind) tilts.clear();
    kind = policies.kind();
    follow(policies.seeds().filter((seed) => !tilts.has(seed)));
  }

  return { element: readouts(side, turning, length), update };
}

/** Return a function that works through seeds, a few a frame, so that the page stays quick; each call starts anew. */
function inFrames(work: (seed: number) => void, show: () => void): (seeds: readonly number[]) => void {
  const atOnce = 2;
  let frame = 0;

  return (seeds) => {
    const waiting = [...seeds];
    const next = (): void => {
      waiting.splice(0, atOnce).forEach(work);
      show();
      if (waiting.length > 0) frame = requestAnimationFrame(next);
    };
    cancelAnimationFrame(frame);
    if (waiting.length > 0) frame = requestAnimationFrame(next);
  };
}

/** Return the labelled states: the five and the learner's. */
function columnsOf(model: Model): { label: string; state: State }[] {
  return [...ASKED.map(({ state }, i) => ({ label: String(i + 1), state })), { label: YOURS, state: model.state() }];
}

function answersFigure(policies: Policies, model: Model): Figure {
  const measure = () => {
    const asked = columnsOf(model);
    const each = policies.probabilities(asked.map(({ state }) => state));
    return asked.map(({ label }, i) => ({ label, right: each.map((right) => right[i]!) }));
  };
  return figure({
    title: "$\\pi(\\text{right})$ in the five states and in yours, a dot a policy",
    draw: (width) => answersPlot(width, measure()),
    describe: () => {
      const told = measure().map(({ label, right }) => `${label === YOURS ? "yours" : label}: ${preferring(right)}`);
      return `Policies that prefer right, of ${policies.seeds().length}. State ${told.join(", ")}.`;
    },
    table: () => ({
      columns: ["state", "prefer right", "smallest π(right)", "mean", "largest"],
      rows: measure().map(({ label, right }) => [
        label,
        preferring(right),
        Math.min(...right),
        average(right),
        Math.max(...right),
      ]),
    }),
  });
}

function preferring(right: readonly number[]): number {
  return right.filter((probability) => probability > 0.5).length;
}

function answersPlot(width: number, answers: { label: string; right: number[] }[]): Plot {
  const plot = axes(width, {
    x: {
      label: "state",
      domain: [0.4, answers.length + 0.6],
      values: answers.map((_, i) => i + 1),
      format: (i) => (String(i) === YOURS ? "yours" : String(i)),
    },
    y: { label: "π(right), and how many prefer right", domain: [-0.04, 1.16], values: [0, 0.25, 0.5, 0.75, 1] },
    height: 260,
    legend: [
      { label: "a policy", color: COLOURS.blue },
      { label: "mean", color: COLOURS.ink },
    ],
  });
  addRule(plot, { y: 0.5 });
  answers.forEach(({ right }, i) => {
    const dots = right.flatMap((probability, k) => [i + 1 + ((k % 10) - 4.5) / 16, probability]);
    addDots(plot, dots, { radius: 3.5, opacity: 0.55 });
    if (right.length === 0) return;
    addLine(plot, [[i + 0.65, average(right)], [i + 1.35, average(right)]], { color: COLOURS.ink, width: 2.5 });
    addText(plot, [i + 1, 1.07], String(preferring(right)));
  });
  return plot;
}

function stateFigure(model: Model): Figure {
  return figure({
    title: "Your state",
    draw: (width) => {
      const plot = track(width, []);
      addCart(plot, model.state(), { color: COLOURS.blue });
      return plot;
    },
    describe: () => inNumbers(model.state()),
    table: () => ({
      columns: ["x (m)", "ẋ (m/s)", "ϑ (rad)", "ϑ̇ (rad/s)"],
      rows: [model.state()],
    }),
  });
}

function inNumbers([x, speed, angle, turning]: State): string {
  const cart = `The cart is at ${fixed(x, 2)} m and moves at ${fixed(speed, 2)} m/s.`;
  return `${cart} The pole tilts by ${fixed(angle, 3)} rad and turns at ${fixed(turning, 2)} rad/s.`;
}

const ANGLES = grid(-0.25, 0.25, 51);
const TURNING = grid(-2, 2, 41);

function grid(low: number, high: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => low + ((high - low) * i) / (count - 1));
}

function mapFigure(policies: Policies, model: Model): Figure {
  const shown = () => (policies.seeds().includes(model.seed.get()) ? model.seed.get() : undefined);
  const drawn = figure({
    title: "$\\pi(\\text{right})$ of one seed over angle and angular speed, and where it goes",
    draw: (width) => mapPlot(width, policies, model, shown()),
    describe: () => describeMap(policies, model, shown()),
    table: () => mapTable(policies, model, shown()),
  });
  const [x, speed, angle, turning] = model.parts;
  drawn.addHandle({
    label: "Angle and angular speed of your state",
    at: () => [angle!.get(), turning!.get()],
    step: [0.005, 0.05],
    move(newAngle, newTurning) {
      angle!.set(Number(newAngle.toFixed(3)));
      turning!.set(Number(newTurning.toFixed(2)));
    },
    describe: () => inNumbers([x!.get(), speed!.get(), angle!.get(), turning!.get()]),
  });
  return drawn;
}

function mapPlot(width: number, policies: Policies, model: Model, seed: number | undefined): Plot {
  const [x, speed] = model.state();
  const states = TURNING.flatMap((turning) => ANGLES.map((angle): State => [x, speed, angle, turning]));
  const values = seed === undefined ? states.map(() => 0.5) : policies.lend(seed, (run) => run.probabilities(states));
  const plot = heatMap(width, {
    x: { label: "pole angle ϑ (rad)", domain: [-0.25, 0.25], values: [-0.2, -0.1, 0, 0.1, 0.2] },
    y: { label: "angular speed ϑ̇ (rad/s)", domain: [-2, 2] },
    columns: ANGLES,
    rows: TURNING,
    values,
    range: [0, 1],
    levels: 10,
    label: "π(right)",
    height: Math.min(360, 0.75 * width),
  });
  if (seed !== undefined) {
    const dots = policies.visits(seed).flatMap(([, , angle, turning]) => [angle, turning]);
    addDots(plot, dots, { color: COLOURS.vermilion, radius: 1.3, opacity: 0.35 });
  }
  addRule(plot, { x: -LIMIT, color: COLOURS.ink });
  addRule(plot, { x: LIMIT, color: COLOURS.ink });
  ASKED.forEach(({ state: [, , angle, turning] }, i) => {
    addDots(plot, [angle, turning], { color: COLOURS.orange, radius: 9, opacity: 1 });
    addText(plot, [angle, turning - 0.07], String(i + 1), { color: "black" });
  });
  return plot;
}

/** Return how far the policy's visits reach: 95 % of them are within so many rad, and rad/s, of the upright. */
function reach(visits: readonly State[]): { angle: number; turning: number } {
  const within = (values: number[]) => values.map(Math.abs).sort((a, b) => a - b)[Math.floor(0.95 * values.length)]!;
  return { angle: within(visits.map((s) => s[2])), turning: within(visits.map((s) => s[3])) };
}

function describeMap(policies: Policies, model: Model, seed: number | undefined): string {
  if (seed === undefined) return "This seed has not been trained yet.";
  const visits = policies.visits(seed);
  const { angle, turning } = reach(visits);
  const right = policies.lend(seed, (run) => run.probabilities([model.state()]))[0]!;
  return (
    `In ${EPISODES} episodes seed ${seed} visits ${format(visits.length)} states. 95 % of them are within ` +
    `${fixed(angle, 3)} rad, and 95 % within ${fixed(turning, 2)} rad/s. In your state its π(right) is ${fixed(right, 2)}. ` +
    `Beyond the dashed lines at ±${fixed(LIMIT, 3)} rad the episode ends.`
  );
}

function mapTable(policies: Policies, model: Model, seed: number | undefined) {
  const [x, speed] = model.state();
  const angles = [-0.2, -0.1, 0, 0.1, 0.2];
  const rows = [1.5, 0.5, 0, -0.5, -1.5].map((turning) => {
    const states = angles.map((angle): State => [x, speed, angle, turning]);
    const right = seed === undefined ? [] : policies.lend(seed, (run) => [...run.probabilities(states)]);
    return [`ϑ̇ = ${fixed(turning, 1)}`, ...right];
  });
  return { columns: ["π(right)", ...angles.map((angle) => `ϑ = ${fixed(angle, 1)}`)], rows };
}

type First = "own" | "left" | "right"; // who chooses the first push

const FIRSTS: readonly { first: First; label: string; color: string; dash?: string }[] = [
  { first: "own", label: "its own choice", color: COLOURS.blue },
  { first: "left", label: "first push left", color: COLOURS.orange, dash: "7 4" },
  { first: "right", label: "first push right", color: COLOURS.green, dash: "2 3" },
];

interface Survival {
  lengths: Record<First, number[]>; // steps, of the policies that have been followed so far
  restart(): void;
}

/** Follow each policy from the learner's state. */
function startSurvival(engine: Engine, policies: Policies, model: Model, show: () => void): Survival {
  const lengths: Survival["lengths"] = { own: [], left: [], right: [] };
  const follow = inFrames((seed) => {
    policies.lend(seed, (run) => {
      for (const { first } of FIRSTS) lengths[first].push(survive(engine, run, model.state(), first, seed));
    });
  }, show);

  return {
    lengths,
    restart() {
      for (const { first } of FIRSTS) lengths[first].length = 0;
      follow(policies.seeds());
    },
  };
}

/** Return how many steps the pole stays up, at most PATIENCE. The three kinds of first push share their luck. */
function survive(engine: Engine, run: Run, start: State, first: First, seed: number): number {
  let state = start;
  for (let t = 0; t < PATIENCE; t += 1) {
    const right = run.probabilities([state])[0]!;
    const free = t > 0 || first === "own";
    const action = free ? Number(engine.uniform(seed, t) < right) : Number(first === "right");
    const after = engine.step(state, action);
    if (after.terminated) return t + 1;
    state = after.state;
  }
  return PATIENCE;
}

function survivalFigure({ lengths }: Survival, model: Model): Figure {
  return figure({
    title: "Share of the policies whose pole is still up",
    draw: (width) =>
      linePlot(width, {
        x: { label: "steps from your state", domain: [0, PATIENCE] },
        y: { label: "share still up", domain: [0, 1.04], values: [0, 0.25, 0.5, 0.75, 1] },
        height: 210,
        series: FIRSTS.map(({ first, ...style }) => ({ ...style, points: stairs(lengths[first]) })),
      }),
    describe: () => {
      const up = (first: First) => lengths[first].filter((length) => length === PATIENCE).length;
      return (
        `From your state ${up("own")} of ${lengths.own.length} policies last ${PATIENCE} steps by their own choice, ` +
        `${up("left")} if the first push is to the left, ${up("right")} if it is to the right. ` +
        aftermathOf(lengths, model)
      );
    },
    table: () => ({
      columns: ["first push", "mean steps", "fewest", `last ${PATIENCE}`],
      rows: FIRSTS.map(({ first, label }) => [
        label,
        average(lengths[first]),
        Math.min(...lengths[first]),
        lengths[first].filter((length) => length === PATIENCE).length,
      ]),
    }),
  });
}

function aftermathOf(lengths: Survival["lengths"], model: Model): string {
  const all = [...lengths.own, ...lengths.left, ...lengths.right];
  const [, , angle] = model.state();
  if (all.length > 0 && Math.max(...all) === 1) return "It ends with the next step, whatever one does.";
  return Math.abs(angle) > LIMIT ? "The pole lies beyond the limit, where no episode goes on." : "";
}

/** Return the corners of the staircase: the share of lengths that are longer than each number of steps. */
function stairs(lengths: readonly number[]): Point[] {
  const corners: Point[] = [];
  for (let t = 0; t <= PATIENCE; t += 1) {
    const up = lengths.filter((length) => length > t || length === PATIENCE).length;
    corners.push([t, up / lengths.length]);
  }
  return corners;
}

function conclusions(): HTMLElement {
  return h(
    "div",
    {},
    heading("What to conclude"),
    list(
      "Test a sentence about a policy on the states that it visits, and on many seeds.",
      "Two policies with the same score can do opposite things in a state that neither of them visits.",
      "In states 4 and 5 every policy agrees with the sentence, and it does not matter: there is nothing left to save.",
    ),
    remark(
      "In pgrad",
      "`policy.probabilities(states)` of `pgrad.load(\"runs/…\")` asks a trained policy, and its run folder has this picture ",
      "for the five states.",
    ),
  );
}
