// The board of section 9: every attempt that was trained to its end, with its dots, and a button to set it again.

import type { Engine, Recipe } from "../engine";
import { addDots, addLine, addRule, axes, COLOURS, type Plot } from "../plot";
import { button, figure, format, h, heading, prose, type Figure } from "../ui";
import { bracket, LONGEST, recipeKey, SEEDS, SOLVED, summarise, WINDOW, type Attempt, type Summary } from "./attempts";
import { describeRecipe } from "./recipes";

const ROW = 26; // pixels an attempt

interface Entry {
  number: number; // the first attempt is 1
  recipe: Recipe;
  summary: Summary;
}

export interface Board {
  element: HTMLElement;
  add(attempt: Attempt): void;
}

/** Make an empty board. `again` is called with the recipe that the learner wants back. */
export function attemptBoard(engine: Engine, again: (recipe: Recipe) => void): Board {
  const entries: Entry[] = [];
  const dots = dotsFigure(entries);
  const body = h("tbody", {});
  const verdict = h("p", { role: "status" });

  function add(attempt: Attempt): void {
    const { recipe } = attempt;
    if (entries.some((entry) => recipeKey(entry.recipe) === recipeKey(recipe))) return;
    const entry = { number: entries.length + 1, recipe, summary: summarise(engine, attempt) };
    entries.push(entry);
    body.prepend(row(entry, again));
    verdict.textContent = judge(entries);
    dots.redraw();
  }

  const columns = ["no.", "attempt", "mean [95 %]", "worst", `at ${SOLVED}`, "steps a seed", "again"];
  const head = h("thead", {}, h("tr", {}, ...columns.map((column) => h("th", { scope: "col" }, column))));
  const slot = { class: "table-slot", tabindex: 0, role: "group", "aria-label": "The board" };
  const element = h(
    "div",
    {},
    heading(`The board: get all ${SEEDS.length} to ${SOLVED}`),
    prose("Every attempt that you let finish is kept here. The row to beat is the one with the most seeds at 475."),
    verdict,
    h("div", slot, h("table", {}, head, body)),
    dots.element,
  );
  return { element, add };
}

function row({ number, recipe, summary }: Entry, again: (recipe: Recipe) => void): HTMLTableRowElement {
  const { mean, interval, worst, fates, steps } = summary;
  const back = button("Set", () => again(recipe));
  back.classList.add("quiet");
  back.setAttribute("aria-label", `Set attempt ${number} again`);
  const numbers = [`${format(mean)} ${bracket(interval)}`, format(worst), String(fates.solved), format(steps)];
  const cells = [String(number), describeRecipe(recipe), ...numbers].map((text) => h("td", {}, text));
  return h("tr", {}, ...cells, h("td", {}, back));
}

function judge(entries: readonly Entry[]): string {
  const best = entries.reduce((a, b) => (b.summary.fates.solved > a.summary.fates.solved ? b : a));
  const { solved } = best.summary.fates;
  const which = `attempt ${best.number} (${describeRecipe(best.recipe)})`;
  if (solved === SEEDS.length) return `Every seed holds ${SOLVED}: ${which}. Can you do it with fewer steps?`;
  return `The best so far is ${which}: ${solved} of ${SEEDS.length} seeds.`;
}

function dotsFigure(entries: readonly Entry[]): Figure {
  return figure({
    title: "Every attempt, a dot a seed",
    draw: (width) => dotsPlot(width, entries),
    describe: () => entries.map(tell).join(" "),
    table: () => ({
      columns: ["attempt", ...SEEDS.map((seed) => `seed ${seed}`)],
      rows: entries.map(({ number, summary }) => [number, ...summary.last]),
    }),
  });
}

function tell({ number, summary: { mean, worst, last } }: Entry): string {
  return `Attempt ${number}: from ${format(worst)} to ${format(Math.max(...last))}, on average ${format(mean)}.`;
}

function dotsPlot(width: number, entries: readonly Entry[]): Plot {
  const plot = axes(width, {
    x: { label: `mean return of the last ${WINDOW} episodes`, domain: [0, LONGEST + 8], ticks: 5 },
    y: { label: "attempt", domain: [0.5, entries.length + 0.5], values: entries.map(({ number }) => number) },
    height: ROW * Math.max(2, entries.length),
    legend: [
      { label: "a seed", color: COLOURS.blue },
      { label: "mean, 95 %", color: COLOURS.ink },
    ],
  });
  addRule(plot, { x: SOLVED });
  for (const { number, summary } of entries) {
    const { last, mean, interval } = summary;
    addDots(
      plot,
      last.flatMap((value, i) => [value, number + ((i % 7) - 3) / 12]),
      { opacity: 0.6 },
    );
    addLine(
      plot,
      [
        [interval[0], number],
        [interval[1], number],
      ],
      { color: COLOURS.ink, width: 3 },
    );
    addDots(plot, [mean, number], { color: COLOURS.ink, radius: 4, opacity: 1 });
  }
  return plot;
}
