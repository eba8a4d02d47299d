// What a section of the lesson is, and what it is given.

import type { Engine } from "./engine";
import type { Pool } from "./pool";
import type { Score } from "./predict";
import type { Settings } from "./settings";

export interface Context {
  engine: Engine; // the mathematics, in WebAssembly
  pool: Pool; // trains runs in workers
  settings: Settings; // this section's part of the address
  score: Score; // the learner's predictions
}

export interface Section {
  id: string; // in the address: #id
  number: number;
  title: string;
  minutes: number;
  star: boolean; // on the short path
  exercises?: readonly string[]; // at its end, by name
  build(root: HTMLElement, context: Context): void; // called once, when the section comes near the window
}
