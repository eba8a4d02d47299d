// Section 13: twelve questions, answered before the lesson and after it. The truth is told after the second time.

import type { Context, Section } from "../section";
import { keep, recall } from "../storage";
import { button, choice, h, heading, inline, list, prose } from "../ui";
import { QUESTIONS } from "./questions";

export const questions: Section = {
  id: "questions",
  number: 13,
  title: "Twelve questions, before and after",
  minutes: 6,
  star: false,
  build,
};

const KEY = "pgrad-lesson-questions";

/** The options that were chosen, question by question; kept in this browser only. */
interface Answers {
  before?: string[];
  after?: string[];
}

function build(root: HTMLElement, context: Context): void {
  const place = h("div", {});
  root.append(
    prose(
      "Each of these is often answered wrongly, by people who have read the books as well. Answer them *before* the ",
      "lesson: you will not be told what is right. Answer them again *after* it, and all twelve are measured.",
    ),
    place,
  );
  show(place, context);
}

function recallAnswers(): Answers {
  try {
    return JSON.parse(recall(KEY) ?? "{}") as Answers;
  } catch {
    return {}; // damaged by hand: start again
  }
}

function show(place: HTMLElement, context: Context): void {
  const answers = recallAnswers();
  if (answers.before === undefined) place.replaceChildren(...asked("Keep my answers", (before) => next({ before })));
  else if (answers.after === undefined) {
    const { before } = answers;
    const kept = prose("Your answers from before are kept. When you have read the lesson, answer again.");
    place.replaceChildren(kept, ...asked("Measure the answers", (after) => next({ before, after })));
  } else {
    const measuring = h("p", { role: "status" }, "Measuring: the last answer takes sixty trainings …");
    place.replaceChildren(measuring);
    const forget = h("button", { type: "button", class: "quiet", onclick: () => next({}) }, "Forget my answers");
    const measured = Promise.all(QUESTIONS.map(async ({ measure }) => measure(context)));
    void measured.then((truths) => place.replaceChildren(...told(answers as Required<Answers>, truths), forget));
  }

  function next(changed: Answers): void {
    keep(KEY, JSON.stringify(changed));
    show(place, context);
    place.scrollIntoView();
  }
}

/** Make the form; `accept` is called when all questions are answered. */
function asked(label: string, accept: (chosen: string[]) => void): HTMLElement[] {
  const chosen = new Map<number, string>();
  const controls = QUESTIONS.map(({ text, options }, i) =>
    choice({
      label: `${i + 1}. ${text}`,
      options: options.map((option) => ({ value: option, label: option })),
      value: "" as string,
      onInput: (option) => chosen.set(i, option),
    }),
  );
  const message = h("p", { class: "message", role: "status" });
  const done = button(label, () => {
    const missing = QUESTIONS.flatMap((_, i) => (chosen.has(i) ? [] : [i + 1]));
    message.textContent = missing.length === 0 ? "" : `Not answered yet: ${missing.join(", ")}.`;
    if (missing.length === 0) accept(QUESTIONS.map((_, i) => chosen.get(i)!));
  });
  return [h("div", { class: "questions" }, ...controls.map(({ element }) => element)), done, message];
}

/** Tell what was measured, and how many answers were right before and after. */
function told({ before, after }: Required<Answers>, truths: readonly string[]): HTMLElement[] {
  const right = (answers: readonly string[]) => answers.filter((answer, i) => answer === truths[i]).length;
  const score = `Before, ${right(before)} of ${truths.length} were right; now ${right(after)} are.`;
  const items = QUESTIONS.map(({ text, explain }, i) => {
    const own = [before[i]!, after[i]!].map((answer) => `${answer}${answer === truths[i] ? " ✓" : ""}`);
    return h(
      "div",
      {},
      h("p", {}, ...inline(text)),
      h("p", { class: "predict-truth" }, h("strong", {}, ...inline(truths[i]!))),
      list(`before: ${own[0]}`, `now: ${own[1]}`),
      prose(explain),
    );
  });
  const numbered = h("ol", { class: "truths" }, ...items.map((item) => h("li", {}, item)));
  return [heading("What was measured"), h("p", { role: "status", class: "lead" }, score), numbered];
}
