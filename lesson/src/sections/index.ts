// The path. To add a section: write its file and add it here, in order.

import type { Section } from "../section";
import { here } from "./s00-here";
import { tables } from "./s01-tables";
import { softmax } from "./s02-softmax";
import { network } from "./s03-network";
import { average } from "./s04-performance";
import { trick } from "./s05-trick";
import { estimator } from "./s06-estimator";
import { sign } from "./s07-sign";
import { episode } from "./s08-episode";
import { train } from "./s09-train";
import { learned } from "./s10-learned";
import { reflection } from "./s11-reflection";
import { road } from "./s12-road";
import { questions } from "./s13-questions";

export const SECTIONS: readonly Section[] = [
  here,
  tables,
  softmax,
  network,
  average,
  trick,
  estimator,
  sign,
  episode,
  train,
  learned,
  reflection,
  road,
  questions,
];
