// Section 2: a policy has a preference for each action; softmax makes probabilities of them.

import { addLine, addRule, axes, barPlot, COLOURS, SERIES, type Plot, type Point } from "../plot";
import { predict } from "../predict";
import type { Context, Section } from "../section";
import type { NumberSetting, Setting } from "../settings";
import {
  button,
  columns,
  figure,
  fixed,
  format,
  heading,
  list,
  panel,
  percent,
  prose,
  readout,
  readouts,
  remark,
  settingSlider,
  tex,
  type Figure,
} from "../ui";

const ACTIONS = ["a₁", "a₂", "a₃"];
const EXAMPLE = [2, 1, 0.5];
const LIMIT = 4; // of a preference's size
const SHIFT = 100; // added to every preference, to show that it changes nothing

export const softmax: Section = {
  id: "softmax",
  number: 2,
  title: "From preferences to probabilities",
  minutes: 8,
  star: true,
  exercises: ["temperature_softmax", "softmax_score"],
  build,
};

interface Model {
  preferences: Setting<readonly number[]>;
  temperature: NumberSetting;
  probabilities(): Float64Array;
}

function build(root: HTMLElement, context: Context): void {
  const { engine, settings } = context;
  const preferences = settings.numbers("preferences", { default: EXAMPLE, min: -LIMIT, max: LIMIT });
  const temperature = settings.number("temperature", { default: 1, min: 0.05, max: 20 });
  const probabilities = () => engine.softmax(preferences.get(), temperature.get());
  const model = { preferences, temperature, probabilities };

  const figures = [preferenceFigure(model), probabilityFigure(model), temperatureFigure(model, context)];
  const [bars, outcome, curves] = figures as [Figure, Figure, Figure];
  const numbers = measurements(model, context);
  const limits = list(
    "As $T$ goes to 0, the action with the largest preference takes everything: the *greedy* policy.",
    "As $T$ grows, all actions become equally likely: the *uniform* policy.",
    "Only the ratio $h/T$ enters. Doubling all preferences does the same as halving $T$.",
  );
  const update = () => {
    for (const drawn of figures) drawn.redraw();
    numbers.update();
  };
  preferences.subscribe(update);
  temperature.subscribe(update);

  root.append(
    prose("An agent must choose one of three actions. It has a *preference* $h$ for each: any number, large or small."),
    prose(
      "**Softmax** makes of them the probability $\\pi(a)$ of each action $a$. Raise $e$ to each preference, then ",
      "divide by the sum.",
    ),
    tex(String.raw`\pi(a) = \frac{e^{h(a)/T}}{\sum_{b} e^{h(b)/T}}`, true),
    prose(
      "Every action keeps some probability, so the agent never stops trying. The temperature $T$ says how much a ",
      "difference counts. Drag the points on the left, or focus one and use the arrow keys.",
    ),
    prose(
      "The *entropy* tells how undecided the policy is, in *nats*: 0 when one action takes everything, and ",
      "$\\log 3 \\approx 1.10$ when all three are equally likely. Every $\\log$ of this lesson is the natural one.",
    ),
    columns(bars.element, outcome.element),
    panel(
      settingSlider(temperature, { label: "Temperature $T$", step: 0.1, log: true }),
      button("Back to the example", () => {
        preferences.set(EXAMPLE);
        temperature.set(1);
      }),
    ),
    numbers.element,
    heading("Only differences count"),
    shiftQuestion(context, [numbers.shifted]),
    numbers.shifted,
    heading("Temperature: from greedy to uniform"),
    temperatureQuestion(context, [curves.element, limits]),
    curves.element,
    limits,
    remark(
      "In pgrad",
      "`pgrad.softmax([2.0, 1.0, 0.5], temperature=1.0)` is what this page runs, compiled for the browser.",
    ),
  );
}

/** Name each action with its value: "a₁ 0.63, a₂ 0.23 and a₃ 0.14". */
function spell(values: ArrayLike<number>): string {
  const parts = ACTIONS.map((action, i) => `${action} ${fixed(values[i]!, 2)}`);
  return `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}`;
}

function preferenceFigure({ preferences }: Model): Figure {
  const drawn = figure({
    title: "Preferences $h$: drag them",
    draw: (width) =>
      barPlot(width, {
        labels: ACTIONS,
        xLabel: "action",
        y: { label: "preference h", domain: [-LIMIT, LIMIT] },
        groups: [{ values: preferences.get(), color: COLOURS.muted }],
        format: () => "",
        height: 220,
      }),
    describe: () => `The preferences are ${spell(preferences.get())}.`,
    table: () => ({ columns: ["action", "preference"], rows: ACTIONS.map((a, i) => [a, preferences.get()[i]!]) }),
  });
  ACTIONS.forEach((action, i) => {
    drawn.addHandle({
      label: `Preference for ${action}`,
      at: () => [i, preferences.get()[i]!],
      step: [0, 0.1],
      move: (_, y) => preferences.set(preferences.get().map((h, j) => (j === i ? Number(y.toFixed(2)) : h))),
      describe: () => format(preferences.get()[i]!),
    });
  });
  return drawn;
}

function probabilityFigure({ probabilities }: Model): Figure {
  return figure({
    title: "Probabilities $\\pi$: they follow",
    draw: (width) =>
      barPlot(width, {
        labels: ACTIONS,
        xLabel: "action",
        y: { label: "probability π", domain: [0, 1.1], values: [0, 0.25, 0.5, 0.75, 1] },
        groups: [{ values: probabilities(), color: COLOURS.blue }],
        format: (probability) => fixed(probability, 2),
        height: 220,
      }),
    describe: () => `The probabilities are ${spell(probabilities())}.`,
    table: () => ({ columns: ["action", "probability"], rows: ACTIONS.map((a, i) => [a, probabilities()[i]!]) }),
  });
}

interface Measured {
  element: HTMLElement;
  shifted: HTMLElement; // what a constant added to every preference changes
  update: () => void;
}

function measurements(model: Model, { engine }: Context): Measured {
  const entropy = readout("Entropy");
  const share = readout("Of the largest possible");
  const shifted = readout(`$\\pi(a_1)$, with ${SHIFT} added to every $h$`);
  const largest = engine.entropy(engine.softmax(ACTIONS.map(() => 0)));

  function update(): void {
    const now = engine.entropy(model.probabilities());
    const raised = model.preferences.get().map((h) => h + SHIFT);
    entropy.set(`${format(now)} nats`);
    share.set(percent(now / largest));
    shifted.set(format(engine.softmax(raised, model.temperature.get())[0]!));
  }

  update();
  return { element: readouts(entropy, share), shifted: readouts(shifted), update };
}

function shiftQuestion(context: Context, hides: HTMLElement[]): HTMLElement {
  const { engine } = context;
  const before = () => engine.softmax(EXAMPLE)[0]!;
  const after = () => engine.softmax(EXAMPLE.map((h) => h + SHIFT))[0]!;
  return predict(context, {
    id: "softmax-shift",
    question: `Add ${SHIFT} to each of the preferences 2, 1 and 0.5. What happens to $\\pi(a_1)$?`,
    kind: "choice",
    options: ["It grows", "It stays the same", "It shrinks"],
    hides,
    answer: async () => compare(after() - before()),
    explain:
      "The factor $e^{100}$ stands above and below the fraction line, so it cancels. " +
      "A program must use this: $e^{1000}$ is too large for a computer, so the largest preference is subtracted first.",
  });
}

function compare(difference: number): string {
  if (Math.abs(difference) < 1e-12) return "It stays the same";
  return difference > 0 ? "It grows" : "It shrinks";
}

function temperatureQuestion(context: Context, hides: HTMLElement[]): HTMLElement {
  return predict(context, {
    id: "softmax-temperature",
    question: "The preferences are 2, 1 and 0.5. How large is $\\pi(a_1)$ at $T = 10$?",
    kind: "interval",
    hides,
    answer: async () => context.engine.softmax(EXAMPLE, 10)[0]!,
    explain: "At ten times the temperature the preferences act like 0.2, 0.1 and 0.05: nearly a third each.",
  });
}

const TEMPERATURES = Array.from({ length: 105 }, (_, i) => 10 ** (-1.3 + i / 40)); // 0.05 … 20

function temperatureFigure(model: Model, { engine }: Context): Figure {
  const { preferences, temperature } = model;
  return figure({
    title: "Probabilities against temperature",
    draw: (width) => temperaturePlot(width, (t) => engine.softmax(preferences.get(), t), temperature.get()),
    describe: () =>
      `Left, the largest preference takes all; right, the probabilities meet at 0.333. ` +
      `At T = ${format(temperature.get())} they are ${spell(model.probabilities())}.`,
    table: () => ({
      columns: ["temperature", ...ACTIONS.map((action) => `π(${action})`)],
      rows: [0.05, 0.1, 0.5, 1, 2, 5, 10, 20].map((t) => [t, ...engine.softmax(preferences.get(), t)]),
    }),
  });
}

function temperaturePlot(width: number, probabilities: (temperature: number) => Float64Array, now: number): Plot {
  const table = TEMPERATURES.map((t) => probabilities(t));
  const plot = axes(width, {
    x: { label: "temperature T", domain: [0.05, 20], log: true, values: [0.05, 0.1, 0.5, 1, 2, 5, 10, 20] },
    y: { label: "probability π", domain: [0, 1.02], values: [0, 0.25, 0.5, 0.75, 1] },
    legend: ACTIONS.map((label, i) => ({ label, color: SERIES[i]! })),
  });
  addRule(plot, { y: 1 / ACTIONS.length });
  addRule(plot, { x: now, label: `T = ${format(now)}`, color: COLOURS.ink });
  ACTIONS.forEach((_, action) => {
    const points = TEMPERATURES.map((t, i): Point => [t, table[i]![action]!]);
    addLine(plot, points, { color: SERIES[action]! });
  });
  return plot;
}
