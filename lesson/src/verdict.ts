// A verdict on the page: in words, and as a picture of the learner's numbers beside the wanted ones.

import { scaleLinear } from "d3-scale";
import type { Picture, Verdict } from "./checker";
import { format, h, inline } from "./dom";
import { figure } from "./figure";
import { s, type Plot } from "./plot";

/** Show a verdict. */
export function verdictElement(verdict: Verdict): HTMLElement {
  const title = verdict.right ? "✓ Right" : `✗ Not yet: ${verdict.mistake}`;
  const element = h("div", { class: `verdict${verdict.right ? " right" : ""}` });
  element.append(h("p", { class: "verdict-title" }, title), h("p", {}, ...marked(sentence(verdict.where))));
  if (verdict.call !== "") element.append(failingCall(verdict));
  const said = [...verdict.holds.map((text) => `right already: ${text}`), ...verdict.notes].map(sentence);
  if (said.length > 0) element.append(h("ul", {}, ...said.map((text) => h("li", {}, ...marked(text)))));
  if (verdict.printed !== "") {
    element.append(h("p", {}, "It printed, in its first call:"), h("pre", {}, verdict.printed));
  }
  if (verdict.picture !== null) element.append(pictureFigure(verdict.picture));
  return element;
}

function sentence(text: string): string {
  return text === "" ? "" : `${text[0]!.toUpperCase()}${text.slice(1)}.`;
}

/** Split text into nodes: `code` and *emphasis* of a word. What else looks like marks is the learner's own code. */
export function marked(text: string): (Node | string)[] {
  const pieces = text.split(/(`[^`]+`|\*\p{L}+\*)/u);
  return pieces.flatMap((piece, i): (Node | string)[] => (i % 2 === 1 ? inline(piece) : [piece]));
}

function failingCall({ call, expected, got }: Verdict): HTMLElement {
  const rows = Object.entries({ "The smallest call that fails": call, expected, got });
  return h("dl", {}, ...rows.flatMap(([name, text]) => [h("dt", {}, name), h("dd", {}, h("code", {}, text))]));
}

function pictureFigure(picture: Picture): HTMLElement {
  const cells = (row: readonly (number | null)[]) => row.map(written).join(", ");
  const words = picture.rows.map(
    (row, i) => `${row}: ${cells(picture.yours[i]!)}; wanted ${cells(picture.wanted[i]!)}`,
  );
  const drawn = figure({
    title: "Yours beside the wanted one",
    draw: (width) => pictureSvg(width, picture),
    describe: () => `${sentence(picture.title)} ${words.join(". ")}.`,
    table: () => ({
      columns: ["", "yours", "wanted"],
      rows: picture.rows.map((row, i) => [row, cells(picture.yours[i]!), cells(picture.wanted[i]!)]),
    }),
  });
  return drawn.element;
}

function written(value: number | null): string {
  if (value === null) return "·";
  return Math.abs(value) < 5e-4 ? "0" : `${value > 0 ? "+" : ""}${format(value)}`;
}

const CELL = { least: 46, most: 72, height: 28, gap: 18, title: 22, letter: 6.7 };

/** Draw both tables, side by side where there is room: the larger a number, the stronger its colour. */
function pictureSvg(width: number, picture: Picture): Plot {
  const columns = Math.max(...[...picture.yours, ...picture.wanted].map((row) => row.length));
  const left = 8 + CELL.letter * Math.max(...picture.rows.map((row) => row.length));
  const beside = width - left - CELL.gap >= 2 * columns * CELL.least;
  const room = beside ? (width - left - CELL.gap) / 2 : width - left;
  const cell = Math.min(CELL.most, room / columns);
  const tall = CELL.title + picture.rows.length * CELL.height;
  const height = beside ? tall : 2 * tall + CELL.gap;
  const svg = s("svg", { width, height, viewBox: `0 0 ${width} ${height}`, class: "plot weights" });
  const largest = Math.max(1e-9, ...picture.wanted.flat().map((value) => Math.abs(value ?? 0)));
  const second = beside ? [left + columns * cell + CELL.gap, 0] : [left, tall + CELL.gap];
  for (const [title, rows, [x = 0, y = 0]] of [
    ["yours", picture.yours, [left, 0]],
    ["wanted", picture.wanted, second],
  ] as const) {
    svg.append(s("text", { x, y: y + 14, class: "axis-label" }, title));
    rows.forEach((row, i) => {
      const top = y + CELL.title + i * CELL.height;
      if (x === left) svg.append(s("text", { x: 0, y: top + 18 }, picture.rows[i]!));
      row.forEach((value, k) => svg.append(...cellOf(value, x + k * cell, top, cell, largest)));
    });
  }
  const scale = scaleLinear();
  return { svg, body: s("g"), x: scale, y: scale, width, height };
}

function cellOf(value: number | null, x: number, y: number, width: number, largest: number): SVGElement[] {
  const text = s("text", { x: x + width / 2, y: y + 18, class: "middle" }, written(value));
  if (value === null) return [text];
  const color = value < 0 ? "var(--vermilion)" : "var(--blue)";
  const strength = 0.05 + 0.5 * Math.min(1, Math.abs(value) / largest);
  const size = { x: x + 1, y: y + 1, width: width - 2, height: CELL.height - 2, rx: 3 };
  return [s("rect", { ...size, fill: color, "fill-opacity": strength }), text];
}
