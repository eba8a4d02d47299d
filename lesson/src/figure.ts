// A figure: a drawing with its content in a sentence and its numbers in a table, and handles that can be dragged.

import { announce, format, h, inline, onceAFrame } from "./dom";
import { s, type Plot } from "./plot";

export interface Table {
  columns: readonly string[];
  rows: readonly (readonly (string | number)[])[];
}

export interface FigureOptions {
  title: string; // marked text
  draw: (width: number) => Plot; // anew at each change; width in pixels
  describe: () => string; // what the figure shows now, in a sentence
  table: () => Table; // its numbers
}

export interface HandleOptions {
  label: string;
  at: () => readonly [number, number]; // where it is, in the plot's coordinates
  step: readonly [number, number]; // of the arrow keys; 0 forbids that direction
  move: (x: number, y: number) => void; // change what the handle shows; then the figure is drawn again
  describe: () => string; // its value in words
}

export interface Figure {
  element: HTMLElement;
  redraw(): void; // soon: at most once an animation frame
  addHandle(options: HandleOptions): void;
}

/** Make a figure. It draws itself when it first has a width, when its width changes and when it is told to. */
export function figure(options: FigureOptions): Figure {
  const image = h("div", { role: "img", class: "image" });
  const handles = s("svg", { class: "handles", preserveAspectRatio: "xMinYMin" });
  const slot = h("div", { class: "slot" }, image, handles);
  const words = h("p", { class: "words" });
  const numbers = h("div", { class: "table-slot", tabindex: 0, role: "group", "aria-label": "Table of the figure" });
  const details = h("details", {}, h("summary", {}, "Numbers of this figure"), numbers);
  const caption = h("figcaption", {}, h("span", { class: "figure-title" }, ...inline(options.title)));
  const element = h("figure", {}, caption, slot, words, details);
  const placed: ((plot: Plot) => void)[] = [];
  let width = 0;
  let plot: Plot | undefined;

  const redraw = onceAFrame(paint);

  function paint(): void {
    if (width === 0) return;
    const first = plot === undefined;
    plot = options.draw(width);
    plot.svg.setAttribute("aria-hidden", "true");
    image.replaceChildren(plot.svg);
    handles.setAttribute("viewBox", `0 0 ${plot.width} ${plot.height}`);
    for (const place of placed) place(plot);
    tell(options.describe(), first);
    if (details.open) fillTable();
  }

  function tell(text: string, first: boolean): void {
    if (words.textContent === text) return;
    words.textContent = text;
    image.setAttribute("aria-label", text);
    if (!first) announce(text);
  }

  function fillTable(): void {
    numbers.replaceChildren(tableElement(options.table()));
  }

  function addHandle(handleOptions: HandleOptions): void {
    const handle = makeHandle(handleOptions, () => plot!, redraw);
    handles.append(handle.element);
    placed.push(handle.place);
    redraw();
  }

  details.addEventListener("toggle", fillTable);
  const observer = new ResizeObserver(() => {
    if (slot.clientWidth === width) return;
    width = slot.clientWidth;
    redraw();
  });
  observer.observe(slot);
  return { element, redraw, addHandle };
}

/** Make a table element. Numbers are written for people. */
export function tableElement(table: Table): HTMLTableElement {
  const head = h("tr", {}, ...table.columns.map((column) => h("th", { scope: "col" }, ...inline(column))));
  const rows = table.rows.map((row) => h("tr", {}, ...row.map((cell) => tableCell(cell))));
  return h("table", {}, h("thead", {}, head), h("tbody", {}, ...rows));
}

function tableCell(cell: string | number): HTMLTableCellElement {
  return typeof cell === "number" ? h("td", { class: "number" }, format(cell, 4)) : h("td", {}, cell);
}

interface Handle {
  element: SVGGElement;
  place: (plot: Plot) => void;
}

/** Make a point that can be dragged, or focused and moved by the arrow keys (Page Up and Page Down: ten steps). */
function makeHandle(options: HandleOptions, plot: () => Plot, redraw: () => void): Handle {
  const [stepX, stepY] = options.step;
  const element = s(
    "g",
    { class: "handle", tabindex: 0, role: "slider", "aria-label": options.label },
    s("circle", { r: 22, class: "handle-reach" }),
    s("circle", { r: 8, class: "handle-knob" }),
  );

  function moveTo(x: number, y: number): void {
    const [oldX, oldY] = options.at();
    const newX = stepX === 0 ? oldX : within(x, plot().x.domain());
    const newY = stepY === 0 ? oldY : within(y, plot().y.domain());
    options.move(newX, newY);
    redraw();
  }

  element.addEventListener("pointerdown", (event) => element.setPointerCapture(event.pointerId));
  element.addEventListener("pointermove", (event) => {
    if (!element.hasPointerCapture(event.pointerId)) return;
    const corner = element.ownerSVGElement!.getBoundingClientRect();
    const zoom = corner.width / plot().width;
    moveTo(plot().x.invert((event.clientX - corner.left) / zoom), plot().y.invert((event.clientY - corner.top) / zoom));
  });
  element.addEventListener("keydown", (event) => {
    const direction = KEYS[event.key];
    if (direction === undefined) return;
    event.preventDefault();
    const [x, y] = options.at();
    const [right, up] = direction;
    // A handle that moves one way only obeys both pairs of arrows.
    const across = stepY === 0 ? right + up : right;
    const along = stepX === 0 ? right + up : up;
    moveTo(x + across * stepX, y + along * stepY);
  });

  function place(current: Plot): void {
    const [x, y] = options.at();
    const axis = stepX === 0 ? { now: y, range: current.y.domain() } : { now: x, range: current.x.domain() };
    element.setAttribute("transform", `translate(${current.x(x)},${current.y(y)})`);
    element.setAttribute("aria-valuemin", String(axis.range[0]));
    element.setAttribute("aria-valuemax", String(axis.range[1]));
    element.setAttribute("aria-valuenow", String(axis.now));
    element.setAttribute("aria-valuetext", options.describe());
  }

  return { element, place };
}

const KEYS: Record<string, readonly [number, number]> = {
  ArrowRight: [1, 0],
  ArrowLeft: [-1, 0],
  ArrowUp: [0, 1],
  ArrowDown: [0, -1],
  PageUp: [0, 10],
  PageDown: [0, -10],
};

function within(value: number, domain: number[]): number {
  return Math.min(domain[1]!, Math.max(domain[0]!, value));
}
