// What a learner moves: sliders with a number box, choices, switches, buttons, and the readouts that answer.

import { format, h, inline, uniqueId } from "./dom";
import type { NumberSetting, Setting } from "./settings";

export interface Control<T> {
  element: HTMLElement;
  get(): T;
  set(value: T): void; // shows the value; does not call onInput
}

const DIRECTIONS: Record<string, number> = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 };

export interface SliderOptions {
  label: string; // marked text: $formula$ is allowed
  min: number;
  max: number;
  step: number; // of a log slider: 1 for integers, anything below for two digits that count
  value: number;
  log?: boolean;
  format?: (value: number) => string; // with units, for readers of the screen
  onInput: (value: number) => void;
}

/** Make a labelled slider with a number box beside it. The box takes numbers and clamps them with a message. */
export function slider(options: SliderOptions): Control<number> {
  const { min, max, step, log = false } = options;
  const spoken = options.format ?? format;
  const id = uniqueId("slider");
  let value = options.value;

  const track = log
    ? { min: Math.log10(min), max: Math.log10(max), step: Math.log10(max / min) / 200 }
    : { min, max, step };
  const moved = () => accept(fromTrack(Number(range.value)));
  const range = h("input", { type: "range", id, ...track, oninput: moved, onkeydown: stepByKey });
  const name = { "aria-label": `${plain(options.label)}, as a number` };
  const box = h("input", { type: "number", min, max, step: "any", ...name, onchange: () => accept(fromBox()) });
  const message = h("p", { class: "message", role: "status" });

  function fromTrack(position: number): number {
    message.textContent = "";
    if (!log) return position;
    return rounded(10 ** position);
  }

  function rounded(exact: number): number {
    return clamp(step >= 1 ? Math.round(exact) : Number(exact.toPrecision(2)), min, max);
  }

  /** Move a log slider to the next value that differs: the track's own step may round to the same one. */
  function stepByKey(event: KeyboardEvent): void {
    const direction = DIRECTIONS[event.key];
    if (!log || direction === undefined) return;
    event.preventDefault();
    let position = Math.log10(value);
    do position += direction * track.step;
    while (rounded(10 ** position) === value && 10 ** position > min && 10 ** position < max);
    accept(rounded(10 ** position));
  }

  function fromBox(): number {
    const typed = box.value === "" ? Number.NaN : Number(box.value);
    const allowed = clamp(step >= 1 ? Math.round(typed) : typed, min, max);
    message.textContent = complaint(typed, options);
    return Number.isNaN(typed) ? value : allowed;
  }

  function show(next: number): void {
    value = next;
    range.value = String(log ? Math.log10(next) : next);
    range.setAttribute("aria-valuetext", spoken(next));
    box.value = String(Number(next.toPrecision(6)));
  }

  function accept(next: number): void {
    show(next);
    options.onInput(next);
  }

  show(value);
  const label = h("label", { for: id }, ...inline(options.label));
  const element = h("div", { class: "control slider" }, label, h("div", { class: "slider-row" }, range, box), message);
  return { element, get: () => value, set: show };
}

function clamp(value: number, min: number, max: number): number {
  return Math.min(max, Math.max(min, value));
}

function complaint(typed: number, { min, max, step }: SliderOptions): string {
  if (Number.isNaN(typed)) return "That is not a number, so nothing was changed.";
  if (typed < min) return `The smallest value here is ${min}.`;
  if (typed > max) return `The largest value here is ${max}.`;
  return step >= 1 && !Number.isInteger(typed) ? "Only integers fit here, so this was rounded." : "";
}

/** Return marked text without its marks, for labels that are only read out. */
export function plain(text: string): string {
  return text.replace(/[$*`\\]/g, "");
}

/** Make a slider that shows and moves a setting. */
export function settingSlider(
  setting: NumberSetting,
  options: Pick<SliderOptions, "label" | "step" | "log" | "format">,
): Control<number> {
  const { min, max } = setting;
  const control = slider({ ...options, min, max, value: setting.get(), onInput: (value) => setting.set(value) });
  setting.subscribe(control.set);
  return control;
}

export interface ChoiceOptions<V extends string> {
  label: string;
  options: readonly { value: V; label: string }[];
  value: V;
  onInput: (value: V) => void;
}

/** Make a choice of one: buttons in a row for up to four options, a drop-down list for more. */
export function choice<V extends string>(options: ChoiceOptions<V>): Control<V> {
  return options.options.length <= 4 ? radios(options) : dropDown(options);
}

function radios<V extends string>(options: ChoiceOptions<V>): Control<V> {
  const group = uniqueId("choice");
  let value = options.value;
  const inputs = options.options.map((option) =>
    h("input", { type: "radio", name: group, value: option.value, onchange: () => accept(option.value) }),
  );
  const labels = options.options.map((option, i) => h("label", {}, inputs[i]!, h("span", {}, ...inline(option.label))));

  function show(next: V): void {
    value = next;
    for (const input of inputs) input.checked = input.value === next;
  }

  function accept(next: V): void {
    value = next;
    options.onInput(next);
  }

  show(value);
  const row = h("div", { class: "segments" }, ...labels);
  const element = h("fieldset", { class: "control choice" }, h("legend", {}, ...inline(options.label)), row);
  return { element, get: () => value, set: show };
}

function dropDown<V extends string>(options: ChoiceOptions<V>): Control<V> {
  const id = uniqueId("choice");
  const items = options.options.map((option) => h("option", { value: option.value }, plain(option.label)));
  const select = h("select", { id, onchange: () => options.onInput(select.value as V) }, ...items);
  select.value = options.value;
  const label = h("label", { for: id }, ...inline(options.label));
  const element = h("div", { class: "control" }, label, select);
  return { element, get: () => select.value as V, set: (value) => void (select.value = value) };
}

/** Make a choice that shows and changes a setting. */
export function settingChoice<V extends string>(
  setting: Setting<V>,
  options: Pick<ChoiceOptions<V>, "label" | "options">,
): Control<V> {
  const control = choice({ ...options, value: setting.get(), onInput: (value) => setting.set(value) });
  setting.subscribe(control.set);
  return control;
}

/** Make a switch that is on or off. */
export function toggle(options: {
  label: string;
  value: boolean;
  onInput: (value: boolean) => void;
}): Control<boolean> {
  const input = h("input", { type: "checkbox", onchange: () => options.onInput(input.checked) });
  input.checked = options.value;
  const element = h("label", { class: "control toggle" }, input, h("span", {}, ...inline(options.label)));
  return { element, get: () => input.checked, set: (value) => void (input.checked = value) };
}

/** Make a button. */
export function button(label: string, onClick: () => void): HTMLButtonElement {
  return h("button", { type: "button", onclick: onClick }, ...inline(label));
}

/** Lay controls and buttons out in a panel. */
export function panel(...items: (Control<any> | HTMLElement)[]): HTMLElement {
  return h("div", { class: "panel" }, ...items.map((item) => (item instanceof HTMLElement ? item : item.element)));
}

export interface Readout {
  element: HTMLElement;
  set(text: string): void;
}

/** Show a measured quantity: a name and, large, its present value. */
export function readout(label: string): Readout {
  const value = h("output", { class: "readout-value", "aria-label": plain(label) }, "…");
  value.setAttribute("aria-live", "off");
  const element = h("div", { class: "readout" }, h("span", { class: "readout-label" }, ...inline(label)), value);
  return { element, set: (text) => void (value.textContent = text) };
}

/** Lay readouts out in a row. */
export function readouts(...items: Readout[]): HTMLElement {
  return h("div", { class: "readouts" }, ...items.map((item) => item.element));
}
