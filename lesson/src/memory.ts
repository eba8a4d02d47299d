/** Records in the memory of the WebAssembly engine; src/pgrad/lesson/memory.py describes their layout. */

type Kind = "float64" | "float32" | "int64" | "uint64" | "int32" | "bool";
type Items = Float64Array | Float32Array | BigInt64Array | BigUint64Array | Int32Array | Uint8Array;
type Number = number | string; // text where JSON has no such number: "inf", or an integer beyond 2⁵³

/** Path, kind, offset in bytes and first value of a number; of an array its contents (none: zeros) and its shape. */
type Field = [path: string, kind: Kind, offset: number, value: Number | Number[], shape?: number[]];

export interface Layout {
  size: number; // bytes
  fields: Field[];
}

/** What the engine's memory offers: C's own allocator. */
export interface Heap {
  memory: WebAssembly.Memory;
  aligned_alloc(alignment: number, size: number): number;
  free(address: number): void;
}

const LINE = 64; // bytes: what every allocation is aligned to
const WORD = 8;
const BYTES: Record<Kind, number> = { float64: 8, float32: 4, int64: 8, uint64: 8, int32: 4, bool: 1 };

/** Allocate some bytes, filled with zeros. */
export function allocate(heap: Heap, size: number): number {
  const whole = Math.max(Math.ceil(size / LINE), 1) * LINE;
  const address = heap.aligned_alloc(LINE, whole);
  new Uint8Array(heap.memory.buffer, address, whole).fill(0);
  return address;
}

/** View memory as an array; the view is void once the memory has grown. */
export function view(heap: Heap, kind: Kind, address: number, length: number): Items {
  const buffer = heap.memory.buffer;
  switch (kind) {
    case "float64":
      return new Float64Array(buffer, address, length);
    case "float32":
      return new Float32Array(buffer, address, length);
    case "int64":
      return new BigInt64Array(buffer, address, length);
    case "uint64":
      return new BigUint64Array(buffer, address, length);
    case "int32":
      return new Int32Array(buffer, address, length);
    case "bool":
      return new Uint8Array(buffer, address, length);
  }
}

/** A record and its arrays, as pgrad's constructors made them. */
export class Memory {
  readonly address: number;
  private readonly fields = new Map<string, Field>();
  private readonly places = new Map<string, number>(); // of the arrays' items

  constructor(
    private readonly heap: Heap,
    layout: Layout,
  ) {
    this.address = allocate(heap, layout.size);
    for (const field of layout.fields) {
      this.fields.set(field[0], field);
      if (field[4] === undefined) this.set(field[0], field[3] as Number);
      else this.place(field);
    }
  }

  /** Write a number. */
  set(path: string, value: Number): void {
    const [, kind, offset] = this.field(path);
    const items = view(this.heap, kind, this.address + offset, 1);
    if (items instanceof BigInt64Array || items instanceof BigUint64Array) items[0] = BigInt(value);
    else items[0] = value === "inf" ? Infinity : Number(value);
  }

  /** Write an unsigned integer of 64 bits. */
  setBits(path: string, value: bigint): void {
    const [, , offset] = this.field(path);
    new BigUint64Array(this.heap.memory.buffer, this.address + offset, 1)[0] = BigInt.asUintN(64, value);
  }

  /** Return the items of an array, all axes one after the other. */
  array<T extends Items>(path: string): T {
    const [, kind, , , shape] = this.field(path);
    return view(this.heap, kind, this.places.get(path) ?? 0, product(shape ?? [])) as T;
  }

  /** Return where a part of the record begins, such as "learner.policy.network". */
  addressOf(path: string): number {
    const first = [...this.fields.keys()].find((name) => name === path || name.startsWith(`${path}.`));
    return this.address + this.field(first ?? path)[2];
  }

  /** Give the memory back. */
  free(): void {
    for (const place of this.places.values()) this.heap.free(place);
    this.heap.free(this.address);
  }

  private field(path: string): Field {
    const field = this.fields.get(path);
    if (field === undefined) throw new Error(`the record has no field ${path}`);
    return field;
  }

  /** Allocate an array's items, and write the structure that says where they are. */
  private place([path, kind, offset, content, shape = []]: Field): void {
    const width = BYTES[kind];
    const size = product(shape);
    const place = allocate(this.heap, size * width);
    this.places.set(path, place);
    const items = view(this.heap, kind, place, size);
    (content as Number[]).forEach((value, k) => {
      items[k] = items instanceof BigInt64Array || items instanceof BigUint64Array ? BigInt(value) : Number(value);
    });
    const words = [0, size, width, place, ...shape, ...shape.map((_, k) => width * product(shape.slice(k + 1)))];
    const structure = new DataView(this.heap.memory.buffer, this.address + offset, words.length * WORD);
    words.forEach((word, k) => structure.setBigInt64(k * WORD, BigInt(word), true));
  }
}

function product(numbers: number[]): number {
  return numbers.reduce((total, number) => total * number, 1);
}
