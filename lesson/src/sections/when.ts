// When things happen: not too often, only where they are seen, and a little in each frame.

/** Return a function that calls `listener` at once, and then at most once in so many milliseconds. */
export function throttle(listener: () => void, milliseconds: number): () => void {
  let timer = 0;
  let asked = false;

  function call(): void {
    asked = false;
    listener();
    timer = window.setTimeout(() => {
      timer = 0;
      if (asked) call();
    }, milliseconds);
  }

  return () => {
    asked = true;
    if (timer === 0) call();
  };
}

/** Call with whether an element is in the window, now and whenever that changes. */
export function watchVisible(element: HTMLElement, listener: (visible: boolean) => void): void {
  new IntersectionObserver((entries) => listener(entries.at(-1)!.isIntersecting)).observe(element);
}

const AT_ONCE = 2; // items a frame

/** Return a function that works through items, a few a frame, so that the page stays quick; each call starts anew. */
export function inFrames<T>(work: (item: T) => void, show: () => void): (items: readonly T[]) => void {
  let frame = 0;

  return (items) => {
    const waiting = [...items];
    const next = (): void => {
      waiting.splice(0, AT_ONCE).forEach((item) => work(item));
      show();
      if (waiting.length > 0) frame = requestAnimationFrame(next);
    };
    cancelAnimationFrame(frame);
    if (waiting.length > 0) frame = requestAnimationFrame(next);
  };
}
