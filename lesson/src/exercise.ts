// An exercise: a function to finish, hints one at a time, a verdict that knows what the answer does, and a tick.

import { check, CHECKS } from "./checker";
import { button } from "./controls";
import { h, prose } from "./dom";
import { editor } from "./editor";
import { keep, recall } from "./storage";
import { marked, verdictElement } from "./verdict";

/** What an exercise asks; from exercises.json, which the build writes from pgrad.exercises. */
export interface Asked {
  name: string; // of the function
  title: string;
  difficulty: string;
  minutes: number;
  starter: string;
  hints: readonly string[];
  solutions?: Readonly<Record<string, string>>; // by style; left out where students should not see them
}

/** What is kept of an attempt, in this browser only. */
interface Attempt {
  code: string;
  solved: boolean;
  hints: number; // that were shown
}

function recallAttempt({ name, starter }: Asked): Attempt {
  const fresh = { code: starter.trimStart(), solved: false, hints: 0 };
  try {
    return { ...fresh, ...(JSON.parse(recall(keyOf(name)) ?? "{}") as Partial<Attempt>) };
  } catch {
    return fresh; // damaged by hand: start again
  }
}

function keyOf(name: string): string {
  return `pgrad-lesson-exercise-${name}`;
}

/** Make an exercise that opens at its title. */
export function exerciseElement(asked: Asked): HTMLElement {
  const attempt = recallAttempt(asked);
  const tick = h("span", { class: "tick" });
  const about = h("span", { class: "exercise-about" }, ` ${asked.difficulty}, ${asked.minutes} minutes `);
  const summary = h("summary", {}, h("span", { class: "exercise-title" }, asked.title), about, tick);
  const element = h("details", { class: "exercise", id: `exercise-${asked.name}` }, summary);

  function changed(): void {
    tick.textContent = attempt.solved ? "✓ solved" : "";
    keep(keyOf(asked.name), JSON.stringify(attempt));
  }

  tick.textContent = attempt.solved ? "✓ solved" : "";
  element.addEventListener("toggle", () => element.append(...workbench(asked, attempt, changed)), { once: true });
  return element;
}

/** Make what is inside an exercise: the editor, the buttons and what they show. */
function workbench(asked: Asked, attempt: Attempt, changed: () => void): HTMLElement[] {
  const hints = h("ol", { class: "hints", "aria-live": "polite" });
  const outcome = h("div", { class: "outcome", "aria-live": "polite" });
  const solutions = h("div", { "aria-live": "polite" });
  const code = editor({
    label: `Your ${asked.name}`,
    code: attempt.code,
    onInput: keepCode,
    onSubmit: () => void judge(),
  });
  const checking = CHECKS
    ? button("Check", () => void judge())
    : button("Save as a file", () => save(asked, code.get()));
  const hint = h("button", { type: "button", class: "quiet", onclick: () => reveal(attempt.hints + 1) });
  const solution = h("button", { type: "button", class: "quiet", onclick: showSolutions }, "Solutions");
  const again = h("button", { type: "button", class: "quiet", onclick: restart }, "Start again");
  solution.hidden = asked.solutions === undefined;

  function keepCode(): void {
    attempt.code = code.get();
    changed();
  }

  async function judge(): Promise<void> {
    if (!CHECKS || checking.disabled) return;
    checking.disabled = true;
    outcome.replaceChildren(h("p", { class: "message" }, "Checking …"));
    try {
      const verdict = await check(asked.name, code.get());
      attempt.solved ||= verdict.right;
      changed();
      outcome.replaceChildren(verdictElement(verdict));
    } catch (error) {
      const why = error instanceof TypeError ? "“pgrad lesson” is no longer running" : (error as Error).message;
      outcome.replaceChildren(h("p", { class: "failure" }, `It could not be checked: ${why}.`));
    }
    checking.disabled = false;
  }

  function reveal(count: number): void {
    attempt.hints = count;
    hints.replaceChildren(...asked.hints.slice(0, count).map((text) => h("li", {}, ...marked(text))));
    hint.textContent = `Hint ${count + 1} of ${asked.hints.length}`;
    hint.hidden = count >= asked.hints.length;
    changed();
  }

  function showSolutions(): void {
    const shown = Object.entries(asked.solutions ?? {});
    const texts = shown.map(([style, text]) => [h("h4", {}, style), h("pre", { tabindex: 0 }, text.trim())]);
    solutions.replaceChildren(...texts.flat());
  }

  function restart(): void {
    code.set(asked.starter.trimStart());
    attempt.solved = false;
    reveal(0);
    outcome.replaceChildren();
    solutions.replaceChildren();
    keepCode();
    code.element.focus();
  }

  reveal(attempt.hints);
  const keys = `Tab indents; Escape, then Tab, leaves the editor.${CHECKS ? " Ctrl + Enter checks." : ""}`;
  const buttons = h("div", { class: "buttons" }, checking, hint, solution, again);
  return [
    ...(CHECKS ? [] : [elsewhere(asked)]),
    code.element,
    h("p", { class: "message" }, keys),
    buttons,
    hints,
    outcome,
    solutions,
  ];
}

/** Tell how to check an answer where this page cannot. */
function elsewhere({ name }: Asked): HTMLElement {
  return prose(
    "There is no Python behind this page to check your answer. Where pgrad is installed there is: save it as a file, and ",
    `run \`pgrad exercise ${name} ${name}.py\`; or open this page by \`pgrad lesson\`.`,
  );
}

function save({ name }: Asked, code: string): void {
  const address = URL.createObjectURL(new Blob([code], { type: "text/x-python" }));
  h("a", { href: address, download: `${name}.py` }).click();
  URL.revokeObjectURL(address);
}
