// The learning curves of section 9: thirty seeds, their mean, and the attempt before.

import { NOTEBOOK, type Engine } from "../engine";
import { addBand, addLine, addRule, axes, COLOURS, type Plot, type Point } from "../plot";
import { figure, fixed, format, h, readout, readouts, type Figure, type Table } from "../ui";
import {
  average,
  bootstrap,
  bracket,
  ended,
  fate,
  LONGEST,
  runningMean,
  SEEDS,
  SOLVED,
  summarise,
  WINDOW,
  type Attempt,
  type Fate,
} from "./attempts";
import { describeRecipe } from "./recipes";

const FATES: Record<Fate, { color: string; label: string }> = {
  solved: { color: COLOURS.green, label: `holds ${SOLVED}` },
  collapsed: { color: COLOURS.vermilion, label: "fell below half of its best" },
  other: { color: COLOURS.sky, label: "neither, or still learning" },
};

export interface Shown {
  shown: Attempt | undefined;
  previous: Attempt | undefined;
}

/** Make the figure of an attempt, with the one before behind it. */
export function curvesFigure(engine: Engine, attempts: () => Shown): Figure {
  return figure({
    title: `Thirty seeds: the mean return of the last ${WINDOW} episodes`,
    draw: (width) => curvesPlot(engine, width, attempts()),
    describe: () => describeCurves(engine, attempts()),
    table: () => curvesTable(engine, attempts().shown),
  });
}

function curvesPlot(engine: Engine, width: number, { shown, previous }: Shown): Plot {
  const last = shown?.recipe.totalEpisodes ?? NOTEBOOK.totalEpisodes;
  const plot = axes(width, {
    x: { label: "episode", domain: [1, last] },
    y: { label: `mean return of the last ${WINDOW} episodes`, domain: [0, LONGEST] },
    height: Math.min(360, Math.max(240, 0.55 * width)),
    legend: [
      ...Object.values(FATES),
      { label: "mean over seeds, 95 %", color: COLOURS.ink },
      ...(previous ? [{ label: "the attempt before", color: COLOURS.muted, dash: "6 4" }] : []),
    ],
  });
  addRule(plot, { y: SOLVED });
  if (previous) addMean(engine, plot, previous, { color: COLOURS.muted, width: 2, dash: "6 4" });
  if (!shown) return plot;
  for (const { returns, trained } of shown.runs.filter((run) => run.returns.length > 0)) {
    const means = runningMean(returns);
    const color = FATES[trained ? fate(means) : "other"].color;
    const points = gridOf(means.length, last).map((n): Point => [n, means[n - 1]!]);
    addLine(plot, points, { color, width: 1.2, opacity: 0.6 });
  }
  addMean(engine, plot, shown, { color: COLOURS.ink, width: 3 });
  return plot;
}

const GRID = 120; // points of a curve, about

/** Return the episodes at which curves of so many are drawn. */
function gridOf(count: number, last: number): number[] {
  const stride = Math.ceil(last / GRID);
  const grid = Array.from({ length: Math.ceil(count / stride) }, (_, i) => 1 + i * stride);
  return count > 0 ? [...grid, count] : [];
}

/** Draw the mean over the seeds that have ended, and its interval. */
function addMean(engine: Engine, plot: Plot, attempt: Attempt, style: { color: string; width: number; dash?: string }) {
  const points = meanCurve(engine, attempt);
  addBand(
    plot,
    points.map(({ n, interval }) => [n, ...interval] as const),
    style.color,
  );
  addLine(
    plot,
    points.map(({ n, mean }): Point => [n, mean]),
    style,
  );
}

/** Return the mean over the seeds that have ended, with its interval, along the episodes. */
function meanCurve(engine: Engine, attempt: Attempt) {
  const curves = ended(attempt).map(({ returns }) => runningMean(returns));
  const last = Math.min(attempt.recipe.totalEpisodes, Math.max(0, ...curves.map((curve) => curve.length)));
  return gridOf(last, last).map((n) => {
    // A seed that had to stop keeps its last mean.
    const values = curves.map((curve) => curve[Math.min(n, curve.length) - 1]!);
    return { n, mean: average(values), interval: bootstrap(engine, values) };
  });
}

function describeCurves(engine: Engine, { shown, previous }: Shown): string {
  if (!shown || ended(shown).length === 0) return "No seed has ended yet.";
  const { mean, interval, fates, worst, last, faults } = summarise(engine, shown);
  const count = last.length === SEEDS.length ? `${SEEDS.length} seeds` : `the first ${last.length} seeds`;
  const before = previous ? ` The attempt before reached ${format(summarise(engine, previous).mean)}.` : "";
  const broken = faults > 0 ? ` ${faults} had to stop, since a gradient was not finite.` : "";
  return (
    `With ${describeRecipe(shown.recipe)}, the last ${WINDOW} episodes of ${count} lasted ${format(mean)} steps on ` +
    `average ${bracket(interval)}. ${fates.solved} hold ${SOLVED}, ${fates.collapsed} fell below half of their best, ` +
    `the worst ends at ${format(worst)}.${broken}${before}`
  );
}

function curvesTable(engine: Engine, attempt: Attempt | undefined): Table {
  const points = attempt ? meanCurve(engine, attempt) : [];
  const chosen = points.filter((_, i) => i % 10 === 0 || i === points.length - 1);
  return {
    columns: ["episode", "mean over seeds", "from", "to"],
    rows: chosen.map(({ n, mean, interval }) => [n, mean, ...interval]),
  };
}

export interface Measurements {
  element: HTMLElement;
  start(): void; // a training begins
  stop(): void; // all seeds have ended
  update(attempt: Attempt): void;
}

/** Make the readouts of an attempt. */
export function measurements(engine: Engine, workers: number): Measurements {
  const mean = readout(`Last ${WINDOW} episodes, mean over seeds [95 %]`);
  const solved = readout(`Seeds that hold ${SOLVED}`);
  const collapsed = readout("Below half of their best");
  const worst = readout("Worst seed");
  const speed = h("p", { class: "message" });
  const element = h("div", {}, readouts(mean, solved, collapsed, worst), speed);
  let began = 0;
  let seconds: string | undefined; // once all seeds have ended

  const elapsed = (): string => `${fixed((performance.now() - began) / 1000, 1)} s`;

  return {
    element,
    start(): void {
      began = performance.now();
      seconds = undefined;
    },
    stop(): void {
      seconds = elapsed();
    },
    update(attempt: Attempt): void {
      const summary = summarise(engine, attempt);
      const { length } = summary.last;
      mean.set(length > 0 ? `${format(summary.mean)} ${bracket(summary.interval)}` : "…");
      solved.set(`${summary.fates.solved} of ${length}`);
      collapsed.set(`${summary.fates.collapsed} of ${length}`);
      worst.set(length > 0 ? format(summary.worst) : "…");
      speed.textContent =
        seconds === undefined
          ? `Training: ${length} of ${SEEDS.length} seeds after ${elapsed()}.`
          : `${format(summary.steps)} steps of the cart a seed. ${workers} cores, ${seconds}.`;
    },
  };
}
