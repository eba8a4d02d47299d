// Section 10: what thirty trained policies do, where they have been, and what they do where they have not.

import { addDots, addLine, addRule, addText, axes, COLOURS, type Plot } from "../plot";
import { predict } from "../predict";
import type { Context, Section } from "../section";
import {
  button,
  columns,
  figure,
  fixed,
  h,
  heading,
  list,
  panel,
  prose,
  remark,
  settingSlider,
  type Figure,
} from "../ui";
import { average, SEEDS } from "./attempts";
import { mapFigure } from "./map";
import { aftermath, ASKED, stateFigure, type Yours } from "./states";
import { startSurvival, survivalFigure } from "./survival";
import { EPISODES, POLICIES, startPolicies, type Policies } from "./thirty";
import { tiltOf, tiltReadouts, total } from "./tilt";

const YOURS = "yours"; // the last column's name

export const learned: Section = {
  id: "learned",
  number: 10,
  title: "What did it learn?",
  minutes: 8,
  star: true,
  build,
};

function build(root: HTMLElement, context: Context): void {
  const { engine, settings } = context;
  const parts = [
    settings.number("x", { default: -1, min: -2.4, max: 2.4 }),
    settings.number("speed", { default: -0.5, min: -3, max: 3 }),
    settings.number("angle", { default: 0.1, min: -0.25, max: 0.25 }),
    settings.number("turning", { default: 0.5, min: -2, max: 2 }),
  ] as const;
  const name = settings.text("policy", { default: "ppo", allowed: POLICIES.map(({ value }) => value) });
  const seed = settings.number("seed", { default: 0, min: 0, max: SEEDS.length - 1, integer: true });
  const yours: Yours = {
    parts,
    get: () => [parts[0].get(), parts[1].get(), parts[2].get(), parts[3].get()],
    set: (state) => parts.forEach((part, i) => part.set(state[i]!)),
  };
  const body = h("div", {});
  const policies = startPolicies(context, name, root);
  const survival = startSurvival(engine, policies, yours.get, () => survived.redraw());
  const tilt = tiltReadouts(policies);
  const figures = [
    answersFigure(policies, yours),
    mapFigure(policies, yours, seed),
    stateFigure(yours),
    survivalFigure(survival),
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
  seed.subscribe(map.redraw);

  const controls = panel(
    settingSlider(parts[0], { label: "Cart position $x$ (m)", step: 0.05 }),
    settingSlider(parts[1], { label: "Cart speed $\\dot x$ (m/s)", step: 0.05 }),
    settingSlider(parts[2], { label: "Pole angle $\\varphi$ (rad), to the right", step: 0.005 }),
    settingSlider(parts[3], { label: "Angular speed $\\dot\\varphi$ (rad/s)", step: 0.05 }),
  );
  const shortcuts = h(
    "div",
    { class: "buttons" },
    ...ASKED.map(({ state: asked }, i) => button(`State ${i + 1}`, () => yours.set(asked))),
  );
  for (const shortcut of shortcuts.children) shortcut.classList.add("quiet");

  body.append(
    answers.element,
    list(...ASKED.map(({ title, state: asked }, i) => `**${i + 1}**: ${title}. ${aftermath(engine, asked)}`)),
    heading("Any other state"),
    prose(
      "The last column is yours. Move the sliders, or drag the point in the map below. Then see how long each policy ",
      "keeps the pole up from there.",
    ),
    controls,
    shortcuts,
    columns(state.element, survived.element),
    heading("Where has it been?"),
    prose(
      "The colours are $\\pi(\\text{right})$ of one seed, for the cart position and speed above. The dots are where ",
      `that policy goes in ${EPISODES} episodes, wherever the cart is. Late in training it saw little else, so that `,
      "elsewhere hardly anything told it what to do.",
    ),
    panel(settingSlider(seed, { label: "Seed", step: 1 })),
    map.element,
  );
  const refutation = h("div", {}, tilt.element, conclusions());

  root.append(
    prose(
      "The notebook ends with five states, and with the sentence that the trained policy pushes right when the pole ",
      "tilts right, and left when it tilts left. Check it on thirty policies instead of one.",
    ),
    prose(
      "A state is $s = (x, \\dot x, \\varphi, \\dot\\varphi)$ as in section 3: where the cart is, how fast it moves, ",
      "how far the pole tilts, how fast it turns. Right is positive. Angles are in radians here: 0.1 rad is about 6°.",
    ),
    policies.element,
    stateQuestion(context, policies, [body]),
    body,
    heading("Does it push to the side of the tilt?"),
    tiltQuestion(context, policies, [refutation]),
    refutation,
  );
}

function stateQuestion(context: Context, policies: Policies, hides: HTMLElement[]): HTMLElement {
  const { state } = ASKED[1]!;
  const [x, speed, angle, turning] = state.map((value) => fixed(value, 1));
  return predict(context, {
    id: "learned-state",
    question:
      `The cart is at ${x} m and moves at ${speed} m/s. The pole tilts right by ${angle} rad and turns further right ` +
      `at ${turning} rad/s. Thirty policies were trained by PPO until they keep the pole up. How many prefer to push ` +
      "right?",
    kind: "interval",
    unit: `of ${SEEDS.length} policies`,
    hides,
    answer: () => policies.measure("ppo", () => preferring(policies.probabilities([state]).map((right) => right[0]!))),
    explain:
      "This is state 2 below. Now choose REINFORCE with $V(s)$, and compare column 2. Both kinds keep the pole up " +
      "from the usual start. The numbers at the end of this section say how often they tilt so far.",
  });
}

function tiltQuestion(context: Context, policies: Policies, hides: HTMLElement[]): HTMLElement {
  return predict(context, {
    id: "learned-tilt",
    question:
      `Follow the thirty policies of PPO for ${EPISODES} episodes each. In what share of the states that they visit ` +
      "do they prefer to push to the side to which the pole tilts?",
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

interface Answers {
  label: string; // of the state
  right: number[]; // π(right | s) of each policy
}

function answersFigure(policies: Policies, yours: Yours): Figure {
  const measure = (): Answers[] => {
    const each = policies.probabilities([...ASKED.map(({ state }) => state), yours.get()]);
    const labels = [...ASKED.map((_, i) => String(i + 1)), YOURS];
    return labels.map((label, i) => ({ label, right: each.map((right) => right[i]!) }));
  };
  return figure({
    title: "$\\pi(\\text{right})$ in the five states and in yours, a dot a policy",
    draw: (width) => answersPlot(width, measure()),
    describe: () => {
      const told = measure().map(({ label, right }) => `${label}: ${preferring(right)}`);
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

function answersPlot(width: number, answers: Answers[]): Plot {
  const plot = axes(width, {
    x: {
      label: "state",
      domain: [0.4, answers.length + 0.6],
      values: answers.map((_, i) => i + 1),
      format: (i) => answers[i - 1]!.label,
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
    addLine(
      plot,
      [
        [i + 0.65, average(right)],
        [i + 1.35, average(right)],
      ],
      { color: COLOURS.ink, width: 2.5 },
    );
    addText(plot, [i + 1, 1.07], String(preferring(right)));
  });
  return plot;
}

function conclusions(): HTMLElement {
  return h(
    "div",
    {},
    heading("What to conclude"),
    list(
      "Test a sentence about a policy on the states that it visits, and on many seeds.",
      "Two policies with the same score can do opposite things in a state that neither of them visits.",
      "States 4 and 5 look like proof of the sentence. They prove nothing: whatever one does, the episode is over.",
    ),
    remark("In pgrad", '`pgrad.load("runs/NAME").probabilities(states)` asks a trained policy what it would do.'),
  );
}
