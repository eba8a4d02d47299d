// Results that are remembered.

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

export interface Cached<T> {
  get(): T;
  forget(): void;
}

/** Compute a value when it is first asked for, and anew when it is asked for after `forget`. */
export function cached<T>(compute: () => T): Cached<T> {
  let known: { value: T } | undefined;
  return {
    get: () => (known ??= { value: compute() }).value,
    forget: () => {
      known = undefined;
    },
  };
}
