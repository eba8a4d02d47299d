// Predictions: the learner commits to an answer, then sees the truth. The score is of calibration: of the intervals
// that were asked to hold the truth 80 times in 100, how many did?

import { button, choice } from "./controls";
import { format, h, nodes, percent, uniqueId, type Child } from "./dom";
import type { Context } from "./section";
import { keep, recall } from "./storage";

const KEY = "pgrad-lesson-predictions";
const CONFIDENCE = 0.8;

export type Kind = "number" | "interval" | "choice";

export interface Prediction {
  id: string;
  kind: Kind;
  said: string; // in words
  truth: string | number;
  right: boolean; // the interval held the truth, or the choice was it; of a number: false
}

/** The learner's predictions, kept in this browser only. */
export class Score {
  private predictions: Prediction[] = readPredictions();
  private readonly listeners = new Set<(forgotten: boolean) => void>();

  find(id: string): Prediction | undefined {
    return this.predictions.find((prediction) => prediction.id === id);
  }

  /** Keep a prediction. */
  add(prediction: Prediction): void {
    this.change([...this.predictions, prediction], false);
  }

  /** Forget all predictions, so that they can be made again. */
  forget(): void {
    this.change([], true);
  }

  /** Be told of each change, and whether it was that all was forgotten. */
  subscribe(listener: (forgotten: boolean) => void): void {
    this.listeners.add(listener);
  }

  /** Tell the calibration in words. */
  summary(): string {
    const intervals = this.predictions.filter(({ kind }) => kind === "interval");
    const choices = this.predictions.filter(({ kind }) => kind === "choice");
    if (intervals.length + choices.length === 0) return "No predictions yet.";
    return [intervalSummary(intervals), choiceSummary(choices)].filter((text) => text !== "").join(" ");
  }

  private change(predictions: Prediction[], forgotten: boolean): void {
    this.predictions = predictions;
    keep(KEY, JSON.stringify(predictions));
    for (const listener of this.listeners) listener(forgotten);
  }
}

function readPredictions(): Prediction[] {
  try {
    return JSON.parse(recall(KEY) ?? "[]") as Prediction[];
  } catch {
    return []; // damaged by hand: start again
  }
}

function intervalSummary(intervals: Prediction[]): string {
  if (intervals.length === 0) return "";
  const held = intervals.filter(({ right }) => right).length;
  const share = held / intervals.length;
  if (intervals.length === 1) return `Your interval ${held === 1 ? "held" : "missed"} the truth.`;
  const found = `${held} of your ${intervals.length} intervals held the truth: ${percent(share)}`;
  return `${found}, asked for ${percent(CONFIDENCE)}.${advice(share, intervals.length)}`;
}

function advice(share: number, count: number): string {
  if (count < 5) return "";
  if (share < 0.6) return " You are too sure: make them wider.";
  return share > 0.95 ? " You can be bolder: make them narrower." : " Well calibrated.";
}

function choiceSummary(choices: Prediction[]): string {
  if (choices.length === 0) return "";
  return `${choices.filter(({ right }) => right).length} of ${choices.length} choices were right.`;
}

export interface PredictOptions {
  id: string; // unique on the page
  question: string; // marked text
  kind: Kind;
  unit?: string;
  options?: readonly string[]; // of a choice
  answer: () => Promise<number | string>; // measured when the learner has committed
  explain: Child | ((truth: number | string) => Child); // shown with the truth
  hides?: readonly HTMLElement[]; // kept out of sight until the truth is shown
  onReveal?: () => void; // called when the truth is shown, also on a later visit
}

/** Ask for a prediction. Only the first answer counts; to be shown the truth without answering is allowed. */
export function predict(context: Context, options: PredictOptions): HTMLElement {
  const { score } = context;
  const body = h("div", {});
  const title = h("p", { class: "predict-question" }, ...nodes([options.question]));
  const element = h("div", { class: "predict", role: "group" }, h("p", { class: "predict-label" }, "Predict"), title);
  title.id = uniqueId("question");
  element.setAttribute("aria-labelledby", title.id);
  element.append(body);

  function hide(hidden: boolean): void {
    for (const other of options.hides ?? []) other.hidden = hidden;
  }

  function ask(): void {
    hide(true);
    const form = answerForm(options);
    const message = h("p", { class: "message", role: "status" });
    const skip = h("button", { type: "button", class: "quiet", onclick: () => reveal(undefined) }, "Just show me");
    const commit = button("Commit", () => {
      const answer = form.read();
      if (answer === undefined) message.textContent = form.hint;
      else void reveal(answer);
    });
    body.replaceChildren(form.element, h("div", { class: "buttons" }, commit, skip), message);
  }

  async function reveal(answer: Answer | undefined): Promise<void> {
    body.replaceChildren(h("p", { role: "status" }, "Measuring …"));
    try {
      const truth = await options.answer();
      const prediction = answer && record(options, answer, truth);
      if (prediction) score.add(prediction);
      show(truth, prediction);
      (body.firstElementChild as HTMLElement).focus({ preventScroll: true });
    } catch (error) {
      ask();
      body.append(h("p", { class: "message", role: "status" }, `It could not be measured: ${String(error)}`));
    }
  }

  function show(truth: number | string, prediction: Prediction | undefined): void {
    const explanation = typeof options.explain === "function" ? options.explain(truth) : options.explain;
    const text = typeof truth === "number" ? withUnit(format(truth), options) : truth;
    const answer = h("p", { class: "predict-truth" }, h("strong", {}, ...nodes([text])));
    if (prediction) answer.append(verdict(prediction));
    body.replaceChildren(h("div", { tabindex: -1, class: "result" }, answer, h("p", {}, ...nodes([explanation]))));
    hide(false);
    options.onReveal?.();
  }

  const earlier = score.find(options.id);
  if (earlier) queueMicrotask(() => show(earlier.truth, earlier));
  else ask();
  score.subscribe((forgotten) => {
    if (forgotten) ask();
  });
  return element;
}

function record({ id, kind }: PredictOptions, { said, isRight }: Answer, truth: number | string): Prediction {
  return { id, kind, said, truth, right: isRight(truth) };
}

function verdict({ kind, said, right }: Prediction): string {
  if (kind === "number") return `You said ${said}.`;
  if (kind === "interval") return `You said ${said}: ${right ? "the truth lies in it." : "the truth lies outside."}`;
  return right ? "You said so." : `You said: ${said}.`;
}

function withUnit(text: string, { unit }: PredictOptions): string {
  return unit === undefined ? text : `${text} ${unit}`;
}

interface Answer {
  said: string;
  isRight: (truth: number | string) => boolean;
}

interface AnswerForm {
  element: HTMLElement;
  hint: string; // what is missing
  read: () => Answer | undefined; // undefined while it is incomplete
}

function answerForm(options: PredictOptions): AnswerForm {
  if (options.kind === "choice") return choiceForm(options.options!);
  return options.kind === "interval" ? intervalForm(options) : numberForm(options);
}

function choiceForm(words: readonly string[]): AnswerForm {
  let chosen: string | undefined;
  const control = choice({
    label: "Your answer",
    options: words.map((word) => ({ value: word, label: word })),
    value: "",
    onInput: (word) => {
      chosen = word;
    },
  });
  const answer = (said: string) => ({ said, isRight: (truth: number | string) => truth === said });
  return { element: control.element, hint: "Choose one first.", read: () => (chosen ? answer(chosen) : undefined) };
}

function numberForm(options: PredictOptions): AnswerForm {
  const box = numberBox(options.unit === undefined ? "Your guess" : `Your guess (${options.unit})`);
  const read = () => {
    const guess = box.input.valueAsNumber;
    return Number.isNaN(guess) ? undefined : { said: withUnit(format(guess), options), isRight: () => false };
  };
  return { element: h("div", { class: "boxes" }, box.element), hint: "Type a number first.", read };
}

function intervalForm(options: PredictOptions): AnswerForm {
  const [low, high] = [numberBox("From"), numberBox("to")];
  const read = () => {
    const [a, b] = [low.input.valueAsNumber, high.input.valueAsNumber];
    if (!(a <= b)) return undefined;
    const said = withUnit(`${format(a)} to ${format(b)}`, options);
    return { said, isRight: (truth: number | string) => a <= Number(truth) && Number(truth) <= b };
  };
  const ask = `Choose an interval that holds the truth with a chance of ${percent(CONFIDENCE)}.`;
  const unit = h("span", {}, options.unit ?? "");
  const element = h("div", {}, h("p", {}, ask), h("div", { class: "boxes" }, low.element, high.element, unit));
  return { element, hint: "Type two numbers first, the smaller one on the left.", read };
}

function numberBox(label: string): { element: HTMLElement; input: HTMLInputElement } {
  const input = h("input", { type: "number", step: "any" });
  return { element: h("label", { class: "box" }, label, " ", input), input };
}

/** Make the panel that tells the learner's calibration, with a button to forget it. */
export function scorePanel(score: Score): HTMLElement {
  const text = h("p", { role: "status" }, score.summary());
  score.subscribe(() => {
    text.textContent = score.summary();
  });
  const forget = h("button", { type: "button", class: "quiet", onclick: () => score.forget() }, "Forget");
  const title = h("h2", {}, "Your predictions");
  return h("section", { class: "score", "aria-label": "Your predictions" }, title, text, forget);
}
