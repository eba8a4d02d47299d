// Section 12: what changes at LunarLander, the ladder of pgrad's algorithms, and where to go next.

import { addDots, addLine, addRule, axes, COLOURS, s, type Plot } from "../plot";
import { predict } from "../predict";
import {
  ARM_LADDER,
  CARTPOLE_LADDER,
  LUNAR_LADDER,
  LUNAR_PRESET,
  type Recorded,
  type Recording,
  type Rung,
} from "../recorded";
import type { Context, Section } from "../section";
import {
  columns,
  figure,
  format,
  h,
  heading,
  inline,
  list,
  prose,
  remark,
  tableElement,
  tex,
  type Figure,
} from "../ui";
import { bracket, LONGEST, SOLVED } from "./attempts";

const THEOREM = String.raw`\nabla J(\theta) = \mathbb{E}\Big[\sum_t \gamma^t \Psi_t \nabla \log \pi(a_t \mid s_t)\Big]`;
const LANDED = 200; // mean return on LunarLander that counts as solved

export const road: Section = {
  id: "road",
  number: 12,
  title: "LunarLander and the road",
  minutes: 6,
  star: true,
  exercises: ["returns_at_limits", "actor_critic_step", "clipped_surrogate"],
  build,
};

function build(root: HTMLElement, context: Context): void {
  const lander = landerFigure();
  const afterwards = prose(
    "With the total return the mean stays below zero. With PPO and running normalisation of what it sees and gets, ",
    `all ${LUNAR_PRESET.rows.ppo.solved} seeds pass ${LANDED}. What is being estimated is the same sum.`,
  );

  root.append(
    prose(
      "Does the same approach fly a moon lander? The theorem does not care: it asks for probabilities of actions, ",
      "and for returns. Only numbers change.",
    ),
    tableElement({
      columns: ["question", "CartPole-v1", "LunarLander-v3"],
      rows: [
        ["what it sees", "4 numbers", "8 numbers: place, speed, tilt, turning, two legs"],
        ["what it can do", "2 actions: left, right", "4 actions: nothing, left, main or right engine"],
        ["reward", "+1 a step", "nearer, slower, upright: more; fuel costs; a crash −100, a landing +100"],
        ["solved", `${SOLVED} of ${LONGEST}`, String(LANDED)],
        ["what hurts", "noise", "noise, rewards of many sizes, and a crash that ends all"],
      ],
    }),
    landerQuestion(context, [lander.element, afterwards]),
    lander.element,
    afterwards,
    prose("This page has no moon. At home, both recipes take minutes:"),
    commands(
      "pip install 'pgrad[box2d]'",
      "pgrad train LunarLander-v3 --algorithm notebook --seeds 3",
      "pgrad train LunarLander-v3 --seeds 10",
      "pgrad play runs/LunarLander-v3-ppo-1",
    ),
    heading("The ladder"),
    prose("All of pgrad’s algorithms are one line, with a choice of what multiplies the score, and of how to step:"),
    tex(THEOREM, true),
    prose(
      "Each rung adds one thing to a rung before it. $b$ is the mean return of the other episodes. $\\hat A_t$ is an ",
      "*advantage*: how much better an action was than $V$ expected. *Bootstrapping* lets $V$ stand for rewards that ",
      "one does not wait for; GAE(λ) waits the longer the nearer λ is to 1. $F$ tells how fast the probabilities ",
      "change with $\\theta$ (the Fisher information).",
    ),
    ladderTable(),
    prose(
      "The column on bias is about this formula. The recorded runs, like most programs, leave $\\gamma^t$ out and ",
      "average over steps instead of episodes. Both add a bias to every rung: section 6 has them in its list.",
    ),
    prose(
      "On CartPole the upper rungs look alike, as nothing is better than perfect. A robot arm, whose actions are real ",
      "numbers, tells them apart.",
    ),
    columns(
      ladderFigure("CartPole-v1", CARTPOLE_LADDER, [0, LONGEST + 25]),
      ladderFigure("RobotArm-v0", ARM_LADDER, [-150, -40]),
    ),
    heading("Where to go next"),
    list(
      "**PPO.** After one step the batch belongs to an old policy. Weight each action by the ratio $\\rho_t$ of its " +
        "new probability to its old one, and stop where the ratio leaves $1 \\pm \\varepsilon$. Where it is 1, the " +
        "gradient is the one of this lesson.",
      "**Natural gradient, TRPO.** The length of a step in $\\theta$ says little about how far the *policy* moves. " +
        "Measure the step by how much the probabilities change (their KL divergence). Then it does not depend on how " +
        "the network is written.",
      "**Language models.** A state is the text so far, an action is the next word, an episode is one answer. A " +
        "person, or a model of one, gives the answer a return. The score, the baseline from other answers to the " +
        "same question (leave-one-out again, called RLOO; GRPO also divides by their spread) and PPO’s ratio are " +
        "what you have moved here. One term is new: a cost for leaving the model that one began with.",
    ),
    remark(
      "In pgrad",
      "`pgrad algorithms` lists the rungs, `pgrad train ENV --algorithm NAME` climbs one, `pgrad verify` proves the ",
      "identities behind them, and `docs/algorithms.md` says what each setting does.",
    ),
  );
}

function commands(...lines: string[]): HTMLElement {
  return h("pre", { tabindex: 0 }, h("code", {}, lines.join("\n")));
}

interface RungText {
  name: Rung;
  adds: string;
  psi: string; // marked text
  bias: string;
}

const LADDER: readonly RungText[] = [
  { name: "total-return", adds: "the theorem", psi: "$G(\\omega)$", bias: "none" },
  { name: "reward-to-go", adds: "causality", psi: "$G_t$", bias: "none" },
  { name: "reinforce", adds: "a baseline", psi: "$G_t - b$, standardised", bias: "by the standardisation" },
  { name: "value-baseline", adds: "one for each state", psi: "$G_t - V(s_t)$, standardised", bias: "likewise" },
  { name: "actor-critic", adds: "bootstrapping", psi: "$\\hat A_t$, by GAE(λ)", bias: "by V, where λ < 1" },
  {
    name: "ppo",
    adds: "a second use of the batch",
    psi: "$\\rho_t \\hat A_t$, clipped",
    bias: "and by the clipping",
  },
  { name: "natural", adds: "the policy’s own geometry", psi: "step along $F^{-1} \\hat g$", bias: "as actor-critic" },
  { name: "trpo", adds: "a trust region", psi: "the same, shortened", bias: "as actor-critic" },
];

function ladderTable(): HTMLElement {
  const head = ["rung", "adds", "Ψₜ, or the step", "bias", `CartPole: seeds at ${SOLVED}`];
  const rows = LADDER.map(({ name, adds, psi, bias }) => {
    const solved = `${CARTPOLE_LADDER.rows[name].solved} of ${CARTPOLE_LADDER.seeds}`;
    return h("tr", {}, ...[name, adds, psi, bias, solved].map((text) => h("td", {}, ...inline(text))));
  });
  const header = h("thead", {}, h("tr", {}, ...head.map((text) => h("th", { scope: "col" }, text))));
  const table = h("table", {}, header, h("tbody", {}, ...rows));
  const whole = { style: "max-height: none" };
  const slot = { class: "table-slot", tabindex: 0, role: "group", "aria-label": "The ladder", ...whole };
  return h("div", {}, h("div", slot, table), source(CARTPOLE_LADDER));
}

/** Say that numbers are recorded, and how they were made. */
function source({ command, seeds, steps, returns }: Recording<string>): HTMLElement {
  const facts = `Recorded, not measured here: ${seeds} seeds, ${format(steps)} steps each; ${returns}.`;
  return h("p", { class: "message" }, ...inline(`${facts} Made by \`${command}\`.`));
}

function ladderFigure(env: string, recording: Recording<Rung>, domain: readonly [number, number]): HTMLElement {
  const rows = LADDER.map(({ name }) => ({ label: name, recorded: recording.rows[name] }));
  return h("div", {}, recordedFigure(`${env}: mean return of each rung`, rows, domain).element, source(recording));
}

const LANDER_ROWS = [
  { label: "total-return", recorded: LUNAR_LADDER.rows["total-return"] },
  { label: "reward-to-go", recorded: LUNAR_LADDER.rows["reward-to-go"] },
  { label: "ppo (preset)", recorded: LUNAR_PRESET.rows.ppo },
];

function landerFigure(): { element: HTMLElement } {
  const drawn = recordedFigure("LunarLander-v3: mean return, recorded", LANDER_ROWS, [-150, 300], LANDED);
  return { element: h("div", {}, drawn.element, source(LUNAR_LADDER), source(LUNAR_PRESET)) };
}

interface Row {
  label: string;
  recorded: Recorded;
}

function recordedFigure(title: string, rows: readonly Row[], domain: readonly [number, number], goal?: number): Figure {
  return figure({
    title,
    draw: (width) => recordedPlot(width, rows, domain, goal),
    describe: () =>
      `Recorded: ${rows.map(({ label, recorded }) => `${label} ${format(recorded.mean)}`).join(", ")}.` +
      (goal === undefined ? "" : ` Solved is ${goal}.`),
    table: () => ({
      columns: ["rung", "mean return", "95 % interval", "worst seed"],
      rows: rows.map(({ label, recorded }) => [
        label,
        recorded.mean,
        bracket(recorded.interval),
        recorded.worst ?? "unknown",
      ]),
    }),
  });
}

const ROW = 30; // pixels
const LABEL = 92; // pixels that the names need

function recordedPlot(width: number, rows: readonly Row[], domain: readonly [number, number], goal?: number): Plot {
  // Room for the names inside the frame, on the left.
  const [low, high] = domain;
  const room = ((high - low) * LABEL) / (width - LABEL - 60);
  const plot = axes(width, {
    x: { label: "mean return", domain: [low - room, high], values: ticksOf(domain) },
    y: { label: "", domain: [rows.length - 0.5, -0.5], values: [] },
    height: ROW * rows.length,
  });
  if (goal !== undefined) addRule(plot, { x: goal, label: "solved" });
  rows.forEach(({ label, recorded: { mean, interval } }, i) => {
    addLine(
      plot,
      [
        [interval[0], i],
        [interval[1], i],
      ],
      { width: 4 },
    );
    addDots(plot, [mean, i], { radius: 5, opacity: 1, color: COLOURS.ink });
    nameRow(plot, label, i);
  });
  return plot;
}

function nameRow(plot: Plot, label: string, row: number): void {
  const [left = 0] = plot.x.range();
  plot.svg.append(s("text", { x: left + 6, y: plot.y(row) + 4 }, label));
}

function ticksOf([low, high]: readonly [number, number]): number[] {
  const step = high - low > 300 ? 100 : 25;
  const first = Math.ceil(low / step) * step;
  return Array.from({ length: Math.floor((high - first) / step) + 1 }, (_, i) => first + i * step);
}

function landerQuestion(context: Context, hides: HTMLElement[]): HTMLElement {
  const { seeds, steps, rows } = LUNAR_LADDER;
  return predict(context, {
    id: "road-lander",
    question:
      `The theorem alone, with the total return as multiplier, on LunarLander: ${seeds} seeds, ${format(steps)} ` +
      `steps each. ${LANDED} is solved, and a crash costs 100. What is the mean return?`,
    kind: "interval",
    hides,
    answer: async () => rows["total-return"].mean,
    explain: "A recorded number: on CartPole the same rung failed for the same reason, the noise of its estimate.",
  });
}
