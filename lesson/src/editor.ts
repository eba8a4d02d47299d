// An editor for a few lines of Python: a text area in which Tab indents and Enter keeps the indentation.

import { h } from "./dom";

const INDENT = "    ";

export interface Editor {
  element: HTMLTextAreaElement;
  get(): string;
  set(code: string): void; // does not call onInput
}

export interface EditorOptions {
  label: string;
  code: string;
  onInput: () => void;
  onSubmit: () => void; // Ctrl or ⌘ with Enter
}

/** Make an editor. Escape lets the next Tab leave it, so that the keyboard is never caught. */
export function editor(options: EditorOptions): Editor {
  const plainly = { spellcheck: "false", autocapitalize: "off", autocomplete: "off", wrap: "off" };
  const element = h("textarea", { class: "editor", "aria-label": options.label, ...plainly });
  let leaving = false;

  function fit(): void {
    element.rows = element.value.split("\n").length + 1;
  }

  element.addEventListener("keydown", (event) => {
    const free = leaving;
    leaving = event.key === "Escape" || (free && event.key === "Shift");
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) options.onSubmit();
    else if (event.key === "Enter" && !event.shiftKey) insert(element, `\n${indentation(element)}`);
    else if (event.key === "Tab" && !free) shift(element, event.shiftKey);
    else return;
    event.preventDefault();
  });
  element.addEventListener("input", () => {
    fit();
    options.onInput();
  });

  function set(code: string): void {
    element.value = code;
    fit();
  }

  set(options.code);
  return { element, get: () => element.value, set };
}

/** Replace the selection, so that the browser can undo it. */
function insert(element: HTMLTextAreaElement, text: string): void {
  if (!document.execCommand(text === "" ? "delete" : "insertText", false, text)) {
    element.setRangeText(text, element.selectionStart, element.selectionEnd, "end");
    element.dispatchEvent(new Event("input"));
  }
}

/** Return what the next line begins with: the indentation of this one, and four spaces more after a colon. */
function indentation({ value, selectionStart }: HTMLTextAreaElement): string {
  const line = value.slice(value.lastIndexOf("\n", selectionStart - 1) + 1, selectionStart);
  return /^ */.exec(line)![0] + (line.trimEnd().endsWith(":") ? INDENT : "");
}

/** Indent at the cursor, or move the selected lines to the right, or to the left. */
function shift(element: HTMLTextAreaElement, back: boolean): void {
  const { value, selectionStart, selectionEnd } = element;
  if (!back && selectionStart === selectionEnd) return insert(element, INDENT);
  const start = value.lastIndexOf("\n", selectionStart - 1) + 1;
  const end = value.indexOf("\n", selectionEnd - 1);
  const lines = value.slice(start, end < 0 ? value.length : end);
  const moved = back ? lines.replace(/^ {1,4}/gm, "") : lines.replace(/^(?=.)/gm, INDENT);
  if (moved === lines) return;
  element.setSelectionRange(start, start + lines.length);
  insert(element, moved);
  const cursor = Math.max(start, selectionStart + moved.length - lines.length);
  if (selectionStart === selectionEnd) element.setSelectionRange(cursor, cursor);
  else element.setSelectionRange(start, start + moved.length);
}
