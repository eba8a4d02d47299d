// Section 1: a table of all states cannot be written down; a policy with a few parameters can.

import { addRule, axes, addLine, COLOURS, type Plot, type Point } from "../plot";
import { predict } from "../predict";
import type { Context, Section } from "../section";
import type { NumberSetting } from "../settings";
import {
  figure,
  format,
  h,
  list,
  panel,
  prose,
  readout,
  readouts,
  remark,
  settingSlider,
  superscript,
  tex,
  type Figure,
} from "../ui";

const BYTES = 4; // of a row: one 32-bit number
const VISITS_PER_SECOND = 1e6; // rows that a fast simulator can visit
const SECONDS_PER_YEAR = 365.25 * 24 * 3600;
const UNITS_INSIDE = 64; // of a small policy network's hidden layer
const ARM = { joints: 7, bins: 360 };

export const tables: Section = {
  id: "tables",
  number: 1,
  title: "A table, or a policy?",
  minutes: 4,
  star: false,
  build,
};

interface Model {
  joints: NumberSetting;
  bins: NumberSetting;
  rows(): number;
}

function build(root: HTMLElement, context: Context): void {
  const { settings } = context;
  const joints = settings.number("joints", { default: ARM.joints, min: 1, max: 10, integer: true });
  const bins = settings.number("bins", { default: ARM.bins, min: 2, max: 1000, integer: true });
  const model = { joints, bins, rows: () => bins.get() ** joints.get() };
  const numbers = measurements(model);
  const drawn = growthFigure(model);
  const update = () => {
    drawn.redraw();
    numbers.update();
  };
  joints.subscribe(update);
  bins.subscribe(update);

  const sliders = panel(
    settingSlider(joints, { label: "Joints", step: 1 }),
    settingSlider(bins, { label: "Bins a joint", step: 1, log: true }),
  );
  const measured = h("div", {}, sliders, numbers.element, drawn.element);

  root.append(
    prose(
      "A robot arm has seven joints. You want to tell it what to do in every position. The plainest plan is a table: ",
      "one row for each position, and in the row the best thing to do.",
    ),
    prose("How long is that table? Cut each joint's circle into bins. Then count the combinations:"),
    tex(String.raw`\text{rows} = \text{bins}^{\,\text{joints}}`, true),
    yearsQuestion(context, measured),
    measured,
    prose(
      "The table is hopeless twice over. It does not fit, and the arm would have to visit each row to fill it. ",
      "And positions that are almost the same share nothing: what is learned in one row says nothing about the next.",
    ),
    prose(
      "A **policy** is a function instead: position in, probabilities of actions out. The numbers inside the function ",
      `are its *parameters*. A small network for seven joints has ${format(network(ARM.joints))}, whatever the bins. `,
      "Neighbouring positions share them, so one lesson serves many.",
    ),
    list(
      "The table grows as a power of the number of joints.",
      "The network grows in proportion to it.",
      "The rest of this lesson asks how to change those parameters so that the reward grows.",
    ),
    remark(
      "In pgrad",
      "`pgrad train RobotArm-v0` trains an arm with a network. Its actions are real numbers: there is no table at all.",
    ),
  );
}

function yearsQuestion(context: Context, measured: HTMLElement): HTMLElement {
  const rows = ARM.bins ** ARM.joints;
  return predict(context, {
    id: "tables-years",
    question:
      `Seven joints, ${ARM.bins} bins each. A fast simulator visits a million rows a second. ` +
      "How many years until it has seen each row once?",
    kind: "interval",
    unit: "years",
    hides: [measured],
    answer: async () => rows / VISITS_PER_SECOND / SECONDS_PER_YEAR,
    explain:
      `${ARM.bins}${superscript(ARM.joints)} is ${format(rows, 2)} rows. At ${BYTES} bytes each, the table alone ` +
      `takes ${bytes(BYTES * rows)}. Most people guess too low: our feeling for powers is poor.`,
  });
}

/** Return how many parameters a small network has: weights and biases, with an input and an output for each joint. */
function network(joints: number): number {
  return UNITS_INSIDE * (joints + 1) + joints * (UNITS_INSIDE + 1);
}

const UNITS = ["bytes", "kB", "MB", "GB", "TB", "PB", "EB"];

/** Write a size in bytes with the largest unit that fits. */
function bytes(size: number): string {
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log10(size) / 3));
  return `${format(size / 1000 ** power)} ${UNITS[power]}`;
}

function duration(seconds: number): string {
  if (seconds < 60) return `${format(seconds)} seconds`;
  if (seconds < 3600) return `${format(seconds / 60)} minutes`;
  return seconds < SECONDS_PER_YEAR ? `${format(seconds / 86400)} days` : `${format(seconds / SECONDS_PER_YEAR)} years`;
}

function measurements({ rows }: Model): { element: HTMLElement; update: () => void } {
  const count = readout("Rows of the table");
  const memory = readout(`Memory, ${BYTES} bytes a row`);
  const time = readout("Time to visit each row once, a million a second");

  function update(): void {
    count.set(format(rows()));
    memory.set(bytes(BYTES * rows()));
    time.set(duration(rows() / VISITS_PER_SECOND));
  }

  update();
  return { element: readouts(count, memory, time), update };
}

const JOINTS = Array.from({ length: 10 }, (_, i) => i + 1);

function growthFigure({ joints, bins, rows }: Model): Figure {
  return figure({
    title: "Rows of the table against joints",
    draw: (width) => growthPlot(width, joints.get(), bins.get()),
    describe: () =>
      `With ${bins.get()} bins a joint, ${joints.get()} joints make ${format(rows())} rows. ` +
      `Each joint more multiplies them by ${bins.get()}. A small network has ${format(network(joints.get()))} ` +
      `parameters, and each joint more adds ${network(2) - network(1)}.`,
    table: () => ({
      columns: ["joints", "rows", "parameters of the network"],
      rows: JOINTS.map((n) => [n, bins.get() ** n, network(n)]),
    }),
  });
}

function growthPlot(width: number, joints: number, bins: number): Plot {
  const powers = [0, 6, 12, 18, 24, 30].map((power) => 10 ** power);
  const plot = axes(width, {
    x: { label: "joints", domain: [1, 10], values: JOINTS },
    y: {
      label: "numbers to learn",
      domain: [1, 1e30],
      log: true,
      values: powers,
      format: (value) => `10${superscript(Math.round(Math.log10(value)))}`,
    },
    legend: [
      { label: "table", color: COLOURS.orange },
      { label: "network", color: COLOURS.blue },
    ],
  });
  addLine(
    plot,
    JOINTS.map((n): Point => [n, bins ** n]),
    { color: COLOURS.orange },
  );
  addLine(
    plot,
    JOINTS.map((n): Point => [n, network(n)]),
    { color: COLOURS.blue },
  );
  addRule(plot, { x: joints, label: `${format(bins ** joints, 2)} rows`, color: COLOURS.ink });
  return plot;
}
