/** Return a function that computes anew only when its arguments differ from those of its last call. */
export function latest<A extends readonly unknown[], T>(compute: (...values: A) => T): (...values: A) => T {
  let last: { values: A; result: T } | undefined;
  return (...values) => {
    if (last === undefined || values.some((value, i) => value !== last!.values[i])) {
      last = { values, result: compute(...values) };
    }
    return last.result;
  };
}
