// Settings that live in the address, so that a link leads to a state: #softmax?softmax.temperature=0.5
// What the address says is read as a number or as one of the allowed words; anything else is reported and left out.

export interface Setting<T> {
  get(): T;
  set(value: T): void;
  subscribe(listener: (value: T) => void): () => void; // returns how to unsubscribe
}

export interface NumberSetting extends Setting<number> {
  readonly min: number;
  readonly max: number;
}

export interface NumberOptions {
  default: number;
  min: number;
  max: number;
  integer?: boolean;
}

export interface NumbersOptions {
  default: readonly number[]; // the address must give as many
  min: number;
  max: number;
}

export interface TextOptions<V extends string> {
  default: V;
  allowed: readonly V[];
}

/** Read "#section?key=value&…". A hash without "?" names a section only. */
function parseHash(hash: string): { section: string; values: Map<string, string> | null } {
  const [section = "", query] = hash.replace(/^#/, "").split(/\?(.*)/s);
  return { section, values: query === undefined ? null : new Map(new URLSearchParams(query)) };
}

/** Shorten what somebody else wrote, to quote it in a message. */
function quote(text: string): string {
  return `“${text.length > 40 ? `${text.slice(0, 40)}…` : text}”`;
}

/** What the address says now, and what has been changed since; shared by all sections. */
export class Address {
  section: string;
  private values: Map<string, string>;
  private readonly known = new Set<string>(); // keys
  private readonly built = new Set<string>(); // sections
  private readonly readers: (() => void)[] = [];
  private timer = 0;

  /** Read the address. `report` is told, in a sentence, of everything in it that is not understood. */
  constructor(
    private readonly sections: readonly string[],
    readonly report: (problem: string) => void,
  ) {
    const { section, values } = parseHash(location.hash);
    this.section = section;
    this.values = values ?? new Map();
    this.dropUnknown();
    window.addEventListener("hashchange", () => this.reread());
  }

  get(key: string): string | undefined {
    return this.values.get(key);
  }

  /** Claim a key; `read` is called when the learner follows a link to other settings. */
  declare(key: string, read: () => void): void {
    this.known.add(key);
    this.readers.push(read);
  }

  /** Change or remove (undefined) a value, and soon the address. */
  set(key: string, value: string | undefined): void {
    if (value === undefined) this.values.delete(key);
    else this.values.set(key, value);
    this.scheduleWrite();
  }

  /** Say which section is being read. */
  setSection(section: string): void {
    if (section === this.section) return;
    this.section = section;
    this.scheduleWrite();
  }

  /** Note that a section has been built, so that all its keys are claimed. */
  finish(section: string): void {
    this.built.add(section);
    this.dropUnknown();
  }

  /** Forget and report keys of no section, and keys that their section did not claim. */
  private dropUnknown(): void {
    for (const key of this.values.keys()) {
      const [section = ""] = key.split(".");
      const unclaimed = this.built.has(section) && !this.known.has(key);
      if (this.sections.includes(section) && !unclaimed) continue;
      this.values.delete(key);
      this.report(`The address names ${quote(key)}, which this page does not know. It was ignored.`);
    }
  }

  private reread(): void {
    const { section, values } = parseHash(location.hash);
    this.section = section;
    if (values !== null) {
      this.values = values;
      this.dropUnknown();
      for (const read of this.readers) read();
    }
    this.scheduleWrite();
  }

  // Browsers refuse hundreds of changes of the address in a row, so it is written when the slider rests.
  private scheduleWrite(): void {
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => history.replaceState(null, "", this.hash()), 250);
  }

  private hash(): string {
    const query = new URLSearchParams([...this.values]).toString().replaceAll("%2C", ",");
    return `#${this.section}${query === "" ? "" : `?${query}`}`;
  }
}

type Reading<T> = { value: T } | { wrong: string };

interface Codec<T> {
  read(text: string): Reading<T>;
  write(value: T): string;
}

/** One section's settings. Its keys carry the section's id in the address: softmax.temperature. */
export class Settings {
  constructor(
    private readonly address: Address,
    private readonly section: string,
  ) {}

  /** Keep a number between `min` and `max`. */
  number(key: string, options: NumberOptions): NumberSetting {
    const setting = this.make(key, options.default, { read: (text) => readNumber(text, options), write: String });
    return { ...setting, min: options.min, max: options.max };
  }

  /** Keep several numbers, each between `min` and `max`, as "2,1,0.5". */
  numbers(key: string, options: NumbersOptions): Setting<readonly number[]> {
    const write = (values: readonly number[]) => values.join(",");
    return this.make(key, options.default, { read: (text) => readNumbers(text, options), write });
  }

  /** Keep one of the allowed words. */
  text<V extends string>(key: string, options: TextOptions<V>): Setting<V> {
    return this.make(key, options.default, { read: (text) => readWord(text, options.allowed), write: String });
  }

  private make<T>(key: string, initial: T, codec: Codec<T>): Setting<T> {
    const name = `${this.section}.${key}`;
    const address = this.address;
    const listeners = new Set<(value: T) => void>();
    let value = fromAddress();

    function fromAddress(): T {
      const text = address.get(name);
      if (text === undefined) return initial;
      const reading = codec.read(text);
      if ("value" in reading) return reading.value;
      address.set(name, undefined);
      address.report(`The address sets ${name} to ${quote(text)}, which ${reading.wrong}. It was ignored.`);
      return initial;
    }

    function accept(next: T): void {
      if (codec.write(next) === codec.write(value)) return;
      value = next;
      for (const listener of listeners) listener(next);
    }

    address.declare(name, () => accept(fromAddress()));
    return {
      get: () => value,
      set(next) {
        const text = codec.write(next);
        address.set(name, text === codec.write(initial) ? undefined : text);
        accept(next);
      },
      subscribe(listener) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    };
  }
}

function readNumber(text: string, range: { min: number; max: number; integer?: boolean }): Reading<number> {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) return { wrong: "is not a number" };
  if (range.integer && !Number.isInteger(value)) return { wrong: "is not an integer" };
  if (value < range.min || value > range.max) return { wrong: `is not between ${range.min} and ${range.max}` };
  return { value };
}

function readNumbers(text: string, options: NumbersOptions): Reading<readonly number[]> {
  const values: number[] = [];
  for (const part of text.split(",")) {
    const reading = readNumber(part, options);
    if ("wrong" in reading) return { wrong: `holds something that ${reading.wrong}` };
    values.push(reading.value);
  }
  const count = options.default.length;
  return values.length === count ? { value: values } : { wrong: `is not a list of ${count} numbers` };
}

function readWord<V extends string>(text: string, allowed: readonly V[]): Reading<V> {
  const value = allowed.find((word) => word === text);
  return value === undefined ? { wrong: `is none of ${allowed.join(", ")}` } : { value };
}
