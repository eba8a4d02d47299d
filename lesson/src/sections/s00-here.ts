// Section 0: what this browser brings, and how fast it trains.

import { NOTEBOOK } from "../engine";
import { barPlot, COLOURS, max } from "../plot";
import type { Pool } from "../pool";
import { predict, type PredictOptions } from "../predict";
import { NOTEBOOK_SPEED } from "../recorded";
import type { Context, Section } from "../section";
import { button, figure, format, h, list, prose, readout, readouts, remark, type Figure, type Readout } from "../ui";

export const here: Section = {
  id: "here",
  number: 0,
  title: "Is everything here?",
  minutes: 2,
  star: false,
  build,
};

/** What training the notebook's recipe took, in one worker and in all of them at once. */
interface Speed {
  episodes: number;
  steps: number; // of one run
  seconds: number; // of one run
  one: number; // steps a second
  all: number; // steps a second
}

interface Model {
  workers: number;
  speed: Speed | undefined; // until it has been measured
}

function build(root: HTMLElement, context: Context): void {
  const { pool } = context;
  const model: Model = { workers: pool.size, speed: undefined };
  const drawn = speedFigure(model);
  const numbers = measurements(model);

  async function measure(): Promise<Speed> {
    model.speed = await measureSpeed(pool);
    drawn.redraw();
    numbers.update();
    return model.speed;
  }

  function measureOnce(): void {
    if (model.speed === undefined) whenIdle(() => void measure());
  }

  const again = button("Measure again", () => {
    again.disabled = true;
    void measure().finally(() => (again.disabled = false));
  });
  const measured = h("div", {}, numbers.element, drawn.element, h("p", {}, again));

  root.append(
    prose(
      "This lesson trains hundreds of policies while you read. It does so on your machine: there is no server behind ",
      "it. The mathematics is that of the Python library pgrad, compiled to WebAssembly, a language that browsers run ",
      "nearly as fast as the processor can.",
    ),
    readouts(
      constant("Workers, which train side by side", String(pool.size)),
      constant("Numbers that one instruction adds", "4 (SIMD, 128 bits)"),
    ),
    prose(
      "A policy learns by acting. Here it balances a pole on a cart; section 3 shows them. Each action is one *step*: ",
      "the program asks the policy, moves the cart and the pole, and later uses what came of it. So the speed of ",
      "training is counted in steps a second.",
    ),
    speedQuestion(context, {
      answer: async () => twoDigits((await measure()).one),
      hides: [measured],
      onReveal: measureOnce,
    }),
    measured,
    list(
      "All luck comes from a number, the *seed*: the same seed gives the same numbers, today and tomorrow. The time " +
        "they take is the only thing that varies.",
      "What you set is kept in the address. Copy it, and somebody else sees what you see.",
      "Your predictions stay in this browser.",
    ),
    remark("In pgrad", "`pgrad info` prints the same about your machine: processors, versions and what is installed."),
  );
}

function constant(label: string, text: string): Readout {
  const shown = readout(label);
  shown.set(text);
  return shown;
}

/** Time the notebook's recipe. Every worker first trains it once, as a browser compiles what runs often anew. */
async function measureSpeed(pool: Pool): Promise<Speed> {
  const seeds = Array.from({ length: pool.size }, (_, seed) => seed);
  await pool.train(NOTEBOOK, seeds);
  const one = await timed(pool, [0]);
  const all = await timed(pool, seeds);
  return { ...one, one: one.steps / one.seconds, all: all.steps / all.seconds };
}

async function timed(pool: Pool, seeds: readonly number[]): Promise<Omit<Speed, "one" | "all">> {
  const start = performance.now();
  const results = await pool.train(NOTEBOOK, seeds);
  const seconds = (performance.now() - start) / 1000;
  const steps = results.reduce((sum, result) => sum + (result.steps.at(-1) ?? 0), 0);
  return { episodes: results.reduce((sum, { returns }) => sum + returns.length, 0), steps, seconds };
}

function speedQuestion(context: Context, options: Pick<PredictOptions, "answer" | "hides" | "onReveal">): HTMLElement {
  return predict(context, {
    id: "here-speed",
    question:
      `A teaching notebook in Python and PyTorch makes ${format(NOTEBOOK_SPEED)} training steps a second. ` +
      "How many does one worker of this page make, with the same recipe?",
    kind: "interval",
    unit: "steps a second",
    explain: (truth) =>
      `That is ${format(twoDigits(Number(truth) / NOTEBOOK_SPEED))} times as many. The notebook spends its time ` +
      "between small calls: one for each state, each action and each gradient. Here all of it is one compiled loop.",
    ...options,
  });
}

/** Call once the browser has nothing else to do. */
function whenIdle(listener: () => void): void {
  if ("requestIdleCallback" in window) window.requestIdleCallback(listener);
  else setTimeout(listener, 500);
}

/** Round to what a measurement of a busy machine is worth. */
function twoDigits(value: number): number {
  return Number(value.toPrecision(2));
}

function measurements(model: Model): { element: HTMLElement; update: () => void } {
  const one = readout("Steps a second, one worker");
  const all = readout("All workers");
  const run = readout("One run of the notebook's recipe");
  const there = readout("The same run in the notebook");

  function update(): void {
    if (model.speed === undefined) return;
    const { speed } = model;
    one.set(format(twoDigits(speed.one)));
    all.set(format(twoDigits(speed.all)));
    run.set(`${format(speed.seconds, 2)} s`);
    there.set(`${format(speed.steps / NOTEBOOK_SPEED, 2)} s`);
  }

  return { element: readouts(one, all, run, there), update };
}

function speedFigure(model: Model): Figure {
  const labels = () => ["notebook", "one worker", model.workers === 1 ? "all (1)" : `all ${model.workers}`];
  const values = () => [NOTEBOOK_SPEED, model.speed?.one ?? 0, model.speed?.all ?? 0];
  return figure({
    title: "Training steps a second, in thousands",
    draw: (width) =>
      barPlot(width, {
        labels: labels(),
        xLabel: "who trains",
        y: { label: "thousand steps a second", domain: [0, (1.15 * max(values())) / 1000] },
        groups: [{ values: values().map((speed) => speed / 1000), color: COLOURS.blue }],
        height: 200,
        format: (thousands) => format(thousands, 2),
      }),
    describe: () => {
      if (model.speed === undefined) return "This browser has not been measured yet.";
      const { one, all } = model.speed;
      return (
        `The notebook makes ${format(NOTEBOOK_SPEED)} steps a second, one worker here ${format(twoDigits(one))}, ` +
        `${model.workers} workers together ${format(twoDigits(all))}: ` +
        `${format(twoDigits(all / NOTEBOOK_SPEED))} times as many as the notebook.`
      );
    },
    table: () => ({
      columns: ["who trains", "steps a second"],
      rows: labels().map((who, i) => [who, values()[i]!]),
    }),
  });
}
