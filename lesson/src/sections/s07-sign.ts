// Section 7: the return decides in which direction, and how far, an action's probability moves.

import type { Engine, Problem } from "../engine";
import { addDots, addRule, barPlot, COLOURS, linePlot, type Point } from "../plot";
import { predict } from "../predict";
import type { Context, Section } from "../section";
import type { NumberSetting, Setting } from "../settings";
import {
  figure,
  fixed,
  format,
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
} from "../ui";

type Action = "left" | "right";

const ACTIONS: readonly Action[] = ["left", "right"];
const LARGEST = 5; // return of the plot
const RETURNS = [-LARGEST, LARGEST];
const CHAIN: Problem = { slip: 0, constant: 0, discount: 1 };

export const sign: Section = {
  id: "sign",
  number: 7,
  title: "The sign and the size of a return",
  minutes: 4,
  star: true,
  exercises: ["reinforce"],
  build,
};

interface Model {
  preference: NumberSetting; // for right; the one for left is 0
  action: Setting<Action>;
  G: NumberSetting;
  step: NumberSetting;
}

function build(root: HTMLElement, context: Context): void {
  const { engine, settings } = context;
  const model: Model = {
    preference: settings.number("preference", { default: 0.4, min: -4, max: 4 }),
    action: settings.text("action", { default: "right", allowed: ACTIONS }),
    G: settings.number("return", { default: 2, min: -LARGEST, max: LARGEST }),
    step: settings.number("step", { default: 0.5, min: 0.05, max: 2 }),
  };
  const numbers = measurements(engine, model);
  const figures = [stepFigure(engine, model), confusionFigure(engine, model)] as const;
  const update = () => {
    for (const drawn of figures) drawn.redraw();
    numbers.update();
  };
  for (const setting of Object.values(model)) setting.subscribe(update);

  const lesson = prose(
    "A logarithm of a probability is never above 0. So the dashed line falls as $G$ grows, while the push on the ",
    "probability of the action taken rises. Only the *gradient* says where the policy goes.",
  );

  root.append(
    prose(
      "The agent took an action, and the return $G$ came back. REINFORCE, the classic policy gradient algorithm, now ",
      "moves the parameters along the action's score, times the return, times a *step size* $\\alpha$ (also called ",
      "*learning rate*):",
    ),
    tex(String.raw`\theta \leftarrow \theta + \alpha\, G\, \nabla \log \pi(a)`, true),
    prose(
      "Here the policy has one parameter, the preference $\\theta$ for *right*; the one for *left* is 0. So the score ",
      "of *left* is negative: a smaller $\\theta$ makes it more probable. ",
      "Choose what was done and what came back. Then see what one step does.",
    ),
    panel(
      settingChoice(model.action, {
        label: "Action taken",
        options: ACTIONS.map((value) => ({ value, label: value })),
      }),
      settingSlider(model.G, { label: "Return $G$", step: 0.1 }),
      settingSlider(model.preference, { label: "Preference $\\theta$ for right", step: 0.1 }),
      settingSlider(model.step, { label: "Step size $\\alpha$", step: 0.05 }),
    ),
    figures[0].element,
    numbers.element,
    list(
      "A positive return makes the action taken **more** probable.",
      "A negative return makes it **less** probable, so the other one gains.",
      "A return of zero teaches nothing at all.",
      "Twice the return moves $\\theta$ twice as far. A rare action moves further than a common one.",
    ),
    heading("Two lines that are easily confused"),
    prose(
      "Programs often print $G \\log \\pi(a)$, the number whose gradient is taken. It is tempting to read it as the ",
      "push on the policy. Commit first.",
    ),
    confusionQuestion(engine, context, [figures[1].element, lesson]),
    figures[1].element,
    lesson,
    remark(
      "In pgrad",
      "`pgrad.reports.theory.return_sign([0.0, 0.4], action=1)` draws the same step as arrows in the plane of both ",
      "preferences.",
    ),
  );
}

/** Return π(left) and π(right). */
function policy(engine: Engine, preference: number): Float64Array {
  return engine.softmax([0, preference]);
}

/** Return ∂ log π(action) / ∂θ, taken from trajectories of the chain that visit state 1 once, with that action. */
function score(engine: Engine, preference: number, action: Action): number {
  const { rows } = engine.theorem(CHAIN, [0, preference]);
  const wanted = ACTIONS.indexOf(action);
  const row = rows.find(({ states, actions }) => {
    const visits = actions.filter((_, t) => states[t] === 1);
    return visits.length === 1 && states[1] === 1 && actions[1] === wanted;
  })!;
  return row.score[1];
}

/** Return the preference after one step. */
function stepped(engine: Engine, { preference, action, G, step }: Model): number {
  return preference.get() + step.get() * G.get() * score(engine, preference.get(), action.get());
}

function stepFigure(engine: Engine, model: Model): Figure {
  const before = () => policy(engine, model.preference.get());
  const after = () => policy(engine, stepped(engine, model));
  return figure({
    title: "The policy before and after one step",
    draw: (width) =>
      barPlot(width, {
        labels: ACTIONS,
        xLabel: "action",
        y: { label: "probability π", domain: [0, 1.1], values: [0, 0.25, 0.5, 0.75, 1] },
        groups: [
          { label: "before", values: before(), color: COLOURS.muted },
          { label: "after", values: after(), color: model.G.get() >= 0 ? COLOURS.blue : COLOURS.vermilion },
        ],
        format: (probability) => fixed(probability, 2),
        height: 220,
      }),
    describe: () => {
      const taken = ACTIONS.indexOf(model.action.get());
      const [old, now] = [before()[taken]!, after()[taken]!];
      const subject = `With a return of ${format(model.G.get())}, the probability of ${model.action.get()}`;
      return `${subject} ${change(old, now)}.`;
    },
    table: () => ({
      columns: ["action", "π before", "π after"],
      rows: ACTIONS.map((action, i) => [action, before()[i]!, after()[i]!]),
    }),
  });
}

function change(before: number, after: number): string {
  if (before === after) return `stays at ${fixed(before, 2)}`;
  return `${after > before ? "rises" : "falls"} from ${fixed(before, 2)} to ${fixed(after, 2)}`;
}

function measurements(engine: Engine, model: Model): { element: HTMLElement; update: () => void } {
  const gradient = readout("$\\nabla \\log \\pi(a)$");
  const push = readout("$G\\,\\nabla \\log \\pi(a)$");
  const surrogate = readout("$G \\log \\pi(a)$");

  function update(): void {
    const { action, preference, G } = model;
    const slope = score(engine, preference.get(), action.get());
    gradient.set(format(slope));
    push.set(format(G.get() * slope));
    surrogate.set(format(G.get() * logProbability(engine, model)));
  }

  update();
  return { element: readouts(gradient, push, surrogate), update };
}

function logProbability(engine: Engine, { preference, action }: Model): number {
  return Math.log(policy(engine, preference.get())[ACTIONS.indexOf(action.get())]!);
}

function confusionQuestion(engine: Engine, context: Context, hides: HTMLElement[]): HTMLElement {
  return predict(context, {
    id: "sign-confusion",
    question:
      "An action of probability 0.6 brought $G = 3$. Its logarithm is −0.51, so $G \\log \\pi(a) = -1.53$. " +
      "After a step, is the action more or less probable?",
    kind: "choice",
    options: ["More", "As before", "Less"],
    hides,
    answer: async () => (3 * score(engine, 0.4, "right") > 0 ? "More" : "Less"),
    explain:
      "The number is negative, yet its *slope* is positive: raising $\\pi(a)$ brings $G \\log \\pi(a)$ nearer to 0.",
  });
}

function confusionFigure(engine: Engine, model: Model): Figure {
  const taken = () => score(engine, model.preference.get(), model.action.get());
  // The push on the action taken: for left, a smaller θ is a larger probability.
  const push = (G: number) => G * Math.abs(taken());
  const surrogate = (G: number) => G * logProbability(engine, model);
  const line = (value: (G: number) => number) => RETURNS.map((G): Point => [G, value(G)]);
  return figure({
    title: "Against the return: the push, and the number whose gradient is the push",
    draw: (width) => {
      const plot = linePlot(width, {
        x: { label: "return G", domain: [-LARGEST, LARGEST] },
        y: { label: "value", domain: [-LARGEST, LARGEST] },
        series: [
          { label: "push on the action taken", points: line(push), color: COLOURS.blue },
          { label: "G log π(a)", points: line(surrogate), color: COLOURS.orange, dash: "6 4" },
        ],
        rules: [{ y: 0 }, { x: 0 }],
      });
      const G = model.G.get();
      addRule(plot, { x: G, label: `G = ${format(G)}`, color: COLOURS.ink });
      addDots(plot, [G, push(G)], { color: COLOURS.blue, radius: 5, opacity: 1 });
      addDots(plot, [G, surrogate(G)], { color: COLOURS.orange, radius: 5, opacity: 1 });
      return plot;
    },
    describe: () =>
      `At G = ${format(model.G.get())} the push on the action taken is ${format(push(model.G.get()))}; ` +
      `G log π(a) is ${format(surrogate(model.G.get()))}. The first line rises with G, the second falls.`,
    table: () => ({
      columns: ["return G", "push on the action taken", "G log π(a)"],
      rows: [-5, -2.5, 0, 2.5, 5].map((G) => [G, push(G), surrogate(G)]),
    }),
  });
}
