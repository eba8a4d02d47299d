// The smallest pieces of the page: elements, text with formulas, numbers in words, and lines that tell something.

import katex from "katex";

export type Child = Node | string;
type Attribute = string | number | boolean | ((event: any) => void);

/** Make an element. A function under "onclick" becomes a listener, `true` an empty attribute, `false` none. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, Attribute> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value !== false) element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children);
  return element;
}

/** Typeset a formula. Readers of the screen get its MathML. */
export function tex(source: string, display = false): HTMLElement {
  const element = display ? h("div", { class: "formula" }) : h("span");
  katex.render(source, element, { displayMode: display, output: "htmlAndMathml", throwOnError: true });
  if (display) scrollByKeyboard(element);
  return element;
}

/** Let the keyboard reach an element while it is too narrow for its content. */
function scrollByKeyboard(element: HTMLElement): void {
  const check = (): void => {
    element.toggleAttribute("tabindex", false);
    if (element.scrollWidth > element.clientWidth) element.tabIndex = 0;
  };
  new ResizeObserver(check).observe(element);
  document.fonts.addEventListener("loadingdone", check);
}

/** Split marked text into nodes: $formula$, **strong**, *emphasis*, `code`. Everything else stays text. */
export function inline(text: string): Node[] {
  const pieces = text.split(/(\$[^$]+\$|\*\*[^*]+\*\*|\*[^*]+\*|`[^`]+`)/);
  return pieces.filter((piece) => piece !== "").map(inlinePiece);
}

function inlinePiece(piece: string): Node {
  if (piece.startsWith("$")) return tex(piece.slice(1, -1));
  if (piece.startsWith("**")) return h("strong", {}, piece.slice(2, -2));
  if (piece.startsWith("*")) return h("em", {}, piece.slice(1, -1));
  if (piece.startsWith("`")) return h("code", {}, piece.slice(1, -1));
  return document.createTextNode(piece);
}

/** Make nodes of parts, marked text (see `inline`) or nodes. */
export function nodes(parts: Child[]): Node[] {
  return parts.flatMap((part) => (typeof part === "string" ? inline(part) : [part]));
}

/** Make a paragraph of marked text (see `inline`) and nodes. */
export function prose(...parts: Child[]): HTMLElement {
  return h("p", {}, ...nodes(parts));
}

/** Make a subheading inside a section. */
export function heading(text: string): HTMLElement {
  return h("h3", {}, ...inline(text));
}

/** Make a list; each item is marked text or a node. */
export function list(...items: Child[]): HTMLElement {
  return h("ul", {}, ...items.map((item) => h("li", {}, ...nodes([item]))));
}

/** Set something apart: a boxed remark with a title. Its parts make one paragraph, as in `prose`. */
export function remark(title: string, ...parts: Child[]): HTMLElement {
  return h("div", { class: "remark" }, h("p", { class: "remark-title" }, ...inline(title)), prose(...parts));
}

/** Put elements side by side where there is room, one below the other where there is not. */
export function columns(...elements: HTMLElement[]): HTMLElement {
  return h("div", { class: "columns" }, ...elements);
}

let ids = 0;

/** Return an id that no other element of the page has. */
export function uniqueId(prefix: string): string {
  ids += 1;
  return `${prefix}-${ids}`;
}

/** Write a number for people: three digits that count, 7.8 × 10¹⁷ when it is huge, a real minus sign. */
export function format(value: number, digits = 3): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "unknown" : value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return scientific(value, digits);
  const options = size >= 1000 ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: digits };
  return value.toLocaleString("en", options).replace("-", "−");
}

/** Write a number with as many decimals as asked for, and a real minus sign (none for −0). */
export function fixed(value: number, decimals: number): string {
  return value
    .toFixed(decimals)
    .replace(/^-(?=[0.]*$)/, "")
    .replace("-", "−");
}

function scientific(value: number, digits: number): string {
  const [mantissa = "", exponent = ""] = value.toExponential(digits - 1).split("e");
  return `${mantissa.replace("-", "−")} × 10${superscript(exponent.replace("+", ""))}`;
}

/** Write an integer in raised digits. */
export function superscript(integer: string | number): string {
  return [...String(integer)].map((digit) => (digit === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(digit)])).join("");
}

/** Write a share as a percentage. */
export function percent(share: number): string {
  return `${format(100 * share)} %`;
}

/** Return a function that calls `listener` in the next animation frame, however often it is called before. */
export function onceAFrame(listener: () => void): () => void {
  let scheduled = false;
  return () => {
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(() => {
      scheduled = false;
      listener();
    });
  };
}

/** Show a line at the top of the page that stays until it is dismissed. */
export function notify(text: string): void {
  const line = h("p", { class: "notice" }, h("span", {}, text));
  const dismiss = h("button", { type: "button", class: "quiet", onclick: () => line.remove() }, "Dismiss");
  line.append(dismiss);
  document.querySelector("#notices")!.append(line);
}

let announcement = 0;

/** Tell the screen reader something once the page has been still for a moment. */
export function announce(text: string): void {
  window.clearTimeout(announcement);
  announcement = window.setTimeout(() => {
    document.querySelector("#announcements")!.textContent = text;
  }, 800);
}
