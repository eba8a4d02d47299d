// What the browser keeps between visits. Where storage is blocked, it is kept until the page is closed.

const fallback = new Map<string, string>();

/** Return what was kept under a key, or null. */
export function recall(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return fallback.get(key) ?? null;
  }
}

/** Keep a text under a key. */
export function keep(key: string, text: string): void {
  try {
    localStorage.setItem(key, text);
  } catch {
    fallback.set(key, text);
  }
}
