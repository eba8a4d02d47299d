// Who checks an answer: the Python that serves the page, where `pgrad lesson` does. A web host of files has none.

import { keep, recall } from "./storage";

export interface Picture {
  title: string;
  rows: readonly string[]; // a label for each row
  yours: readonly (readonly (number | null)[])[]; // null where the answer gave no number
  wanted: readonly (readonly (number | null)[])[];
}

/** What the checker says; its fields are those of pgrad.exercises.Verdict. */
export interface Verdict {
  right: boolean;
  mistake: string;
  where: string;
  holds: readonly string[];
  call: string;
  expected: string;
  got: string;
  picture: Picture | null;
  notes: readonly string[];
  printed: string;
}

const KEY = "pgrad-lesson-checker";
const given = new URLSearchParams(location.search).get("checker"); // what the server knows its own page by
if (given !== null) {
  keep(KEY, given);
  history.replaceState(null, "", location.pathname + location.hash);
}
const token = recall(KEY);

/** Whether answers are checked on this page. */
export const CHECKS = token !== null;

/** Return the verdict on an answer. Rejects where the server does not answer. */
export async function check(exercise: string, code: string): Promise<Verdict> {
  const body = JSON.stringify({ exercise, code });
  const answer = await fetch("check", { method: "POST", headers: { "X-Checker": token! }, body });
  if (!answer.ok) throw new Error("it was refused: open the address that “pgrad lesson” has printed");
  return (await answer.json()) as Verdict;
}
