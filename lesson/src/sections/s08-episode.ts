// Section 8: one episode of CartPole, by hand and by the policy, and what REINFORCE keeps of it.

import type { Engine, Run, State } from "../engine";
import { addDots, COLOURS, linePlot, max, min, type Axis, type Plot, type Point } from "../plot";
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
  onceAFrame,
  panel,
  prose,
  readout,
  readouts,
  remark,
  settingChoice,
  settingSlider,
  slider,
  tableElement,
  tex,
  type Control,
  type Figure,
} from "../ui";
import { addCart, ANGLE_LIMIT, DEGREE, inWords, POSITION_LIMIT, track } from "./cart";
import { latest } from "./remembered";
import { policyChoice, type PolicyChoice } from "./policies";

const LIMIT = 500; // steps, at which CartPole-v1 stops an episode
const REWARD = 1; // of each step
const DISCOUNT = 0.99; // the notebook's
const ENDS = 5; // steps of the table at either end
const GHOSTS = 12; // poses that are left standing of the policy's episode
const ACTIONS = ["left", "right"] as const;
const KEYS: Record<string, Action> = { ArrowLeft: 0, ArrowRight: 1 };
const PACES = ["step", "slow", "quick", "real"] as const;
const RATES = { step: 0, slow: 5, quick: 20, real: 50 } as const; // steps a second; CartPole's time step is 0.02 s

type Action = 0 | 1;
type Pace = (typeof PACES)[number];
type Player = "policy" | "you";

export const episode: Section = {
  id: "episode",
  number: 8,
  title: "CartPole, one episode",
  minutes: 5,
  star: true,
  build,
};

interface Model {
  start: NumberSetting; // seed of the episode
  discount: NumberSetting;
  time: NumberSetting; // the step that is looked at
  player: Setting<Player>; // whose episode is looked at
  pace: Setting<Pace>;
  policy: PolicyChoice;
  game: Game;
  episodes(): Record<Player, Played>;
  shown(): Played; // the one that is looked at
  now(): number; // its step that is looked at
}

/** What there is to look at of an episode. */
interface Played {
  states: readonly State[]; // one more than actions: also the one that it has led to
  actions: readonly number[];
  rewards: readonly number[];
  logProbs: readonly number[];
  returns: Float64Array;
}

function build(root: HTMLElement, context: Context): void {
  const update = onceAFrame(() => {
    for (const drawn of figures) drawn.redraw();
    for (const part of parts) part.update();
  });
  const model = newModel(context, update);
  const board = boardFigure(model);
  const figures = [board, returnFigure(model), logFigure(model)] as const;
  const table = stepTable(model);
  const time = timeSlider(model);
  const numbers = measurements(model);
  const controls = gameControls(model);
  const parts = [table, time, numbers, controls];

  function restart(): void {
    model.game.restart(context.engine.reset(model.start.get()));
  }

  for (const setting of [model.discount, model.time, model.player]) setting.subscribe(update);
  model.pace.subscribe(() => model.game.stop());
  model.start.subscribe(restart);
  model.game.subscribe((pushed) => {
    if (pushed) model.time.set(model.game.actions.length);
    update();
  });
  update();

  const playground = h(
    "div",
    { tabindex: 0, role: "group", "aria-label": "CartPole. The left and right arrow keys push.", onkeydown: onKey },
    board.element,
    controls.element,
  );

  function onKey(event: KeyboardEvent): void {
    const action = KEYS[event.key];
    if (action === undefined || event.target instanceof HTMLInputElement) return;
    event.preventDefault();
    controls.push(action);
  }

  root.append(
    prose(
      "An *episode* is one trajectory: it begins near the middle, with the pole almost upright, and ends when the ",
      `pole leans more than ${ANGLE_LIMIT}°, when the cart is more than ${POSITION_LIMIT} m from the middle, or after `,
      `${LIMIT} steps. Each step until then pays a reward of ${REWARD}.`,
    ),
    prose(
      "Play one. You and the policy $\\pi$ begin in the same state. Push with the buttons, or focus the drawing and ",
      "use the arrow keys. Nothing moves until you push; choose another pace if you want to feel the hurry.",
    ),
    panel(
      model.policy.element,
      settingChoice(model.pace, {
        label: "Pace",
        options: [
          { value: "step", label: "a step a push" },
          { value: "slow", label: `${RATES.slow} steps/s` },
          { value: "quick", label: `${RATES.quick} steps/s` },
          { value: "real", label: `${RATES.real} steps/s, as it is` },
        ],
      }),
    ),
    playground,
    h(
      "div",
      { class: "buttons" },
      button("Same start again", () => {
        model.time.set(0);
        restart();
      }),
      button("Another start", () => {
        model.time.set(0);
        model.start.set((model.start.get() + 1) % (model.start.max + 1));
      }),
    ),
    time.element,
    heading("What is written down"),
    prose(
      "REINFORCE keeps five things of each step $t$: the state $s_t$, the action $a_t$, the logarithm of its ",
      "probability, the reward $r_t$ and, once the episode is over, the *return from there*:",
    ),
    tex(String.raw`G_t = r_t + \gamma\, r_{t+1} + \gamma^2 r_{t+2} + \dots`, true),
    prose("It is computed backwards, from the last step to the first: $G_t = r_t + \\gamma\\, G_{t+1}$."),
    longestQuestion(context),
    panel(
      settingChoice(model.player, {
        label: "Whose episode",
        options: [
          { value: "policy", label: "the policy's" },
          { value: "you", label: "yours" },
        ],
      }),
      settingSlider(model.discount, { label: "Discount $\\gamma$", step: 0.01 }),
    ),
    numbers.element,
    largestQuestion(context, model, [figures[1].element, figures[2].element, table.element]),
    columns(figures[1].element, figures[2].element),
    table.element,
    list(
      "$G_t$ falls towards the end: what comes after a step is all that it can answer for.",
      "Every return is positive here. So every action taken is made more probable, the good and the bad; the good " +
        "ones only more so. Section 9 shows what that costs.",
      "$\\log \\pi$ is 0 for an action that was certain, and far below 0 for one that was a surprise.",
    ),
    remark(
      "In pgrad",
      "`pgrad.collect_episode(policy, seed=0)` returns the same columns, and `pgrad.rewards_to_go` computes $G_t$.",
    ),
  );
}

function newModel(context: Context, update: () => void): Model {
  const { engine, settings } = context;
  const start = settings.number("start", { default: 3, min: 0, max: 999, integer: true });
  const discount = settings.number("discount", { default: DISCOUNT, min: 0, max: 1 });
  const time = settings.number("time", { default: 0, min: 0, max: LIMIT, integer: true });
  const player = settings.text<Player>("player", { default: "policy", allowed: ["policy", "you"] });
  const pace = settings.text<Pace>("pace", { default: "step", allowed: PACES });
  const policy = policyChoice(context, update);
  const game = new Game(engine, engine.reset(start.get()));

  const byPolicy = latest((run: Run, seed: number, gamma: number) => playedBy(engine, run, seed, gamma));
  const byHand = latest((run: Run, states: readonly State[], actions: readonly Action[], gamma: number) =>
    playedByHand(engine, run, states, actions, gamma),
  );
  const episodes = () => ({
    policy: byPolicy(policy.run(), start.get(), discount.get()),
    you: byHand(policy.run(), game.states, game.actions, discount.get()),
  });
  const shown = () => episodes()[player.get()];
  const now = () => Math.min(time.get(), shown().actions.length);
  return { start, discount, time, player, pace, policy, game, episodes, shown, now };
}

/** Return the episode that a policy plays from a start, with its last state. */
function playedBy(engine: Engine, run: Run, start: number, discount: number): Played {
  const { states, actions, rewards, logProbs } = run.episode(start);
  const last = engine.step(states.at(-1)!, actions.at(-1)!).state;
  return { states: [...states, last], actions, rewards, logProbs, returns: engine.rewardsToGo(rewards, discount) };
}

/** Return the learner's episode so far. Its log π says how probable the policy finds these pushes. */
function playedByHand(
  engine: Engine,
  run: Run,
  states: readonly State[],
  actions: readonly Action[],
  discount: number,
): Played {
  const rewards = actions.map(() => REWARD);
  const right = run.probabilities([...states]);
  const logProbs = actions.map((action, t) => Math.log(action === 1 ? right[t]! : 1 - right[t]!));
  const returns = actions.length === 0 ? new Float64Array() : engine.rewardsToGo(rewards, discount);
  return { states, actions, rewards, logProbs, returns };
}

/** The learner's game: one push after the other, or pushes at a pace once it has been started. */
class Game {
  states: readonly State[];
  actions: readonly Action[] = []; // new arrays at each push
  fallen = false;
  direction: Action = 1; // of the pushes, at a pace
  running = false;
  private frame = 0; // the next one
  private listener: (pushed: boolean) => void = () => undefined;

  constructor(
    private readonly engine: Engine,
    start: State,
  ) {
    this.states = [start];
    document.addEventListener("visibilitychange", () => this.stop());
  }

  /** Be told of each push, and of beginnings and ends. */
  subscribe(listener: (pushed: boolean) => void): void {
    this.listener = listener;
  }

  get over(): boolean {
    return this.fallen || this.actions.length === LIMIT;
  }

  /** Begin again. */
  restart(start: State): void {
    this.states = [start];
    this.actions = [];
    this.fallen = false;
    this.stop();
  }

  /** Push once. */
  push(action: Action): void {
    if (this.over) return;
    const { state, terminated } = this.engine.step(this.states.at(-1)!, action);
    this.states = [...this.states, state];
    this.actions = [...this.actions, action];
    this.fallen = terminated;
    if (this.over) this.running = false;
    this.listener(true);
  }

  /** Push so many times a second, always in the direction chosen last, until the episode is over. */
  run(rate: number): void {
    const begin = performance.now();
    let pushed = 0;
    const advance = (now: number): void => {
      for (; this.running && pushed < ((now - begin) * rate) / 1000; pushed += 1) this.push(this.direction);
      if (this.running) this.frame = requestAnimationFrame(advance);
    };
    this.running = true;
    this.listener(false);
    this.frame = requestAnimationFrame(advance);
  }

  stop(): void {
    this.running = false;
    cancelAnimationFrame(this.frame);
    this.listener(false);
  }
}

interface Part {
  element: HTMLElement;
  update: () => void;
}

function gameControls({ game, pace, episodes }: Model): Part & { push: (action: Action) => void } {
  const result = h("p", { class: "words", role: "status" });
  const start = button("Start", () => (game.running ? game.stop() : game.run(RATES[pace.get()])));
  const push = (action: Action) => {
    game.direction = action;
    if (pace.get() === "step") game.push(action);
    else update();
  };
  const left = button("◀ Push left", () => push(0));
  const right = button("Push right ▶", () => push(1));

  function update(): void {
    start.hidden = pace.get() === "step";
    start.textContent = game.running ? "Stop" : "Start";
    for (const one of [start, left, right]) one.disabled = game.over;
    result.textContent = story(game, episodes().policy.actions.length);
  }

  return { element: h("div", {}, h("div", { class: "buttons" }, left, right, start), result), update, push };
}

/** Tell how the two episodes stand. */
function story(game: Game, steps: number): string {
  const policy = `The policy ${steps === LIMIT ? `stood all ${LIMIT} steps` : `fell after ${steps} steps`}.`;
  const mine = game.actions.length;
  if (game.running) return `You are pushing to the ${ACTIONS[game.direction]}.`;
  if (mine === 0) return `You have not pushed yet. ${policy}`;
  if (!game.over) return `You are up after ${mine} ${mine === 1 ? "step" : "steps"}. ${policy}`;
  return `You ${game.fallen ? `fell after ${mine} steps` : `stood all ${LIMIT} steps`}. ${policy}`;
}

function boardFigure(model: Model): Figure {
  const at = ({ states }: Played) => states[Math.min(model.time.get(), states.length - 1)]!;
  return figure({
    title: "You and the policy, from the same start",
    draw: (width) => {
      const { policy, you } = model.episodes();
      const plot = track(width, [
        { label: "you", color: COLOURS.blue },
        { label: "the policy", color: COLOURS.orange },
      ]);
      for (const pose of ghosts(policy.states)) addCart(plot, pose, { color: COLOURS.orange, opacity: 0.12 });
      addCart(plot, at(policy), { color: COLOURS.orange, opacity: 0.85 });
      addCart(plot, at(you), { color: COLOURS.blue, opacity: 0.85 });
      return plot;
    },
    describe: () => {
      const { policy, you } = model.episodes();
      return (
        `At step ${model.time.get()}, yours: ${inWords(at(you))}. The policy's: ${inWords(at(policy))}. ` +
        "Pale: where the policy's episode leads."
      );
    },
    table: () => {
      const { policy, you } = model.episodes();
      const row = (name: string, [x, speed, angle, turning]: State) => [name, x, speed, angle / DEGREE, turning];
      return {
        columns: ["who", "x (m)", "ẋ (m/s)", "φ (°)", "φ̇ (rad/s)"],
        rows: [row("you", at(you)), row("the policy", at(policy))],
      };
    },
  });
}

/** Return a few poses of an episode, evenly spaced in time, the last one among them. */
function ghosts(states: readonly State[]): State[] {
  const step = Math.max(1, (states.length - 1) / GHOSTS);
  const count = Math.min(GHOSTS, states.length - 1);
  return Array.from({ length: count }, (_, i) => states[Math.round((i + 1) * step)]!);
}

/** Make the slider of time. Its end is the longer episode's. */
function timeSlider({ time, episodes }: Model): Part {
  const element = h("div", { class: "panel" });
  let end = 0;
  let control: Control<number> | undefined;

  function update(): void {
    const { policy, you } = episodes();
    const longest = Math.max(policy.actions.length, you.actions.length);
    const value = Math.min(time.get(), longest);
    if (longest === end) return control!.set(value);
    end = longest;
    control = slider({ label: "Look at step $t$", min: 0, max: end, step: 1, value, onInput: time.set });
    element.replaceChildren(control.element);
  }

  return { element, update };
}

function measurements(model: Model): Part {
  const step = readout("Step $t$");
  const action = readout("Action $a_t$");
  const logarithm = readout("$\\log \\pi(a_t \\mid s_t)$");
  const reward = readout("Reward $r_t$");
  const toGo = readout("Return from there $G_t$");

  function update(): void {
    const { actions, logProbs, rewards, returns } = model.shown();
    const t = model.now();
    const ended = t === actions.length;
    step.set(ended ? `${t}, the end` : String(t));
    action.set(ended ? "none" : ACTIONS[actions[t]!]!);
    logarithm.set(ended ? "none" : fixed(logProbs[t]!, 3));
    reward.set(ended ? "none" : format(rewards[t]!));
    toGo.set(ended ? "0" : fixed(returns[t]!, 2));
  }

  return { element: readouts(step, action, logarithm, reward, toGo), update };
}

function longestQuestion(context: Context): HTMLElement {
  const all = Array<number>(LIMIT).fill(REWARD);
  return predict(context, {
    id: "episode-longest",
    question: `An episode lasts all ${LIMIT} steps and pays 1 each. How large is $G_0$ when $\\gamma = ${DISCOUNT}$?`,
    kind: "interval",
    answer: async () => context.engine.rewardsToGo(all, DISCOUNT)[0]!,
    explain:
      `The sum of all $\\gamma^t$ never passes $1 / (1 - \\gamma)$, which is ${format(1 / (1 - DISCOUNT))}. With ` +
      "this discount an action answers for about a hundred steps, and what comes later hardly counts.",
  });
}

function largestQuestion(context: Context, model: Model, hides: HTMLElement[]): HTMLElement {
  return predict(context, {
    id: "episode-largest",
    question: "Which step of the policy's episode has the largest $G_t$?",
    kind: "choice",
    options: ["The first", "One in the middle", "The last"],
    hides,
    answer: async () => {
      const { returns } = playedBy(context.engine, model.policy.run(), model.start.get(), DISCOUNT);
      const place = returns.indexOf(max(returns));
      if (place === 0) return "The first";
      return place === returns.length - 1 ? "The last" : "One in the middle";
    },
    explain:
      "From the first step on, every reward is still to come; from the last one on, only one. A long episode gives " +
      "its early actions large returns, whether they were clever or not.",
  });
}

/** Plot a number of each step as dots, with a line at the step that is looked at. */
function stepPlot(width: number, model: Model, values: ArrayLike<number>, y: Axis, color: string): Plot {
  const points = Array.from(values, (value, t): Point => [t, value]);
  const plot = linePlot(width, {
    x: { label: "step t", domain: [-0.5, Math.max(10, points.length) - 0.5] },
    y,
    height: 200,
    series: [],
    rules: [{ x: model.now(), color: COLOURS.ink }],
  });
  addDots(plot, points.flat(), { color, radius: points.length > 100 ? 1.5 : 3, opacity: 0.9 });
  return plot;
}

function returnFigure(model: Model): Figure {
  return figure({
    title: "$G_t$ from each step",
    draw: (width) => {
      const { returns } = model.shown();
      const y = { label: "G", domain: [0, 1.08 * Math.max(1, max(returns))] as const };
      return stepPlot(width, model, returns, y, COLOURS.green);
    },
    describe: () => {
      const { returns } = model.shown();
      if (returns.length === 0) return "You have not pushed yet.";
      return `G falls from ${fixed(returns[0]!, 2)} at the first step to ${fixed(returns.at(-1)!, 2)} at the last one.`;
    },
    table: () => ({
      columns: ["t", "G"],
      rows: Array.from(model.shown().returns, (G, t) => [t, G]),
    }),
  });
}

function logFigure(model: Model): Figure {
  return figure({
    title: "$\\log \\pi(a_t \\mid s_t)$ of each action",
    draw: (width) => {
      const { logProbs } = model.shown();
      const y = { label: "log π", domain: [Math.min(-1, 1.08 * min(logProbs)), 0.05] as const };
      return stepPlot(width, model, logProbs, y, COLOURS.purple);
    },
    describe: () => {
      const { logProbs } = model.shown();
      if (logProbs.length === 0) return "You have not pushed yet.";
      const place = logProbs.indexOf(min(logProbs));
      const [low, high] = [logProbs[place]!, max(logProbs)];
      const rarest = `${fixed(low, 2)} at step ${place}, a probability of ${fixed(Math.exp(low), 2)}`;
      return `log π lies between ${fixed(high, 2)} and ${rarest}.`;
    },
    table: () => ({
      columns: ["t", "log π"],
      rows: model.shown().logProbs.map((value, t) => [t, value]),
    }),
  });
}

/** Make the table of the first and the last steps. */
function stepTable(model: Model): Part {
  const scrolls = { class: "table-slot", style: "max-height: none", tabindex: 0, role: "group" };
  const element = h("div", { ...scrolls, "aria-label": "The first and the last steps of the episode" });
  const heads = ["t", "x (m)", "ẋ (m/s)", "φ (rad)", "φ̇ (rad/s)", "aₜ", "log π", "rₜ", "Gₜ"];

  function update(): void {
    const { states, actions, logProbs, rewards, returns } = model.shown();
    const row = (t: number) => [
      String(t),
      ...states[t]!.map((value) => fixed(value, 3)),
      ACTIONS[actions[t]!]!,
      fixed(logProbs[t]!, 3),
      fixed(rewards[t]!, 0),
      fixed(returns[t]!, 2),
    ];
    const rows = actions
      .map((_, t) => t)
      .filter((t) => t < ENDS || t >= actions.length - ENDS)
      .map(row);
    if (actions.length > 2 * ENDS)
      rows.splice(
        ENDS,
        0,
        heads.map(() => "…"),
      );
    element.replaceChildren(tableElement({ columns: heads, rows }));
  }

  return { element, update };
}
