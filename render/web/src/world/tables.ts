/** Reads a world's bytes, as `tracescape_render.web.tables` writes them: whole, or what changed since another one. */

import type { Moment } from "../documents";

type Values = Float32Array | Float64Array | Int16Array | Int32Array | Uint32Array | Uint8Array;

interface Place {
  at: number;
  count: number;
}
interface ToldColumn extends Place {
  type: string;
  width: number;
  rows?: Place;
}
interface ToldTable {
  rows: number;
  order?: Place;
  columns: Record<string, ToldColumn>;
  texts: Record<string, { rows?: number[]; values: string[] }>;
}
interface Told {
  version: string;
  base: string | null;
  about: About;
  tables: Record<string, ToldTable>;
}

type Point = [number, number, number];

export interface About {
  since_ns: Moment;
  until_ns: Moment;
  seconds: number;
  spans: number;
  traces: number;
  past: boolean;
  headline: string;
  caption: string;
  size: number;
  quantum: number;
  worst: number | null;
  cause: { name: string; reason: string; body: number; arc: number | null; at: Point; top: Point; rings: number[] } | null;
  suspect: { name: string; reason: string; body: number; top: Point } | null;
  /** What connections are by, numbered from 1. */
  connections: string[];
  /** When groups open and close, in a world of which not everybody is drawn. */
  levels: { opens: number; closes: number; left: number; seen_from: number } | null;
}

interface Column {
  values: Values;
  width: number;
}

export class Table {
  constructor(
    readonly rows: number,
    private readonly columns: ReadonlyMap<string, Column>,
    private readonly texts: ReadonlyMap<string, readonly string[]>,
  ) {}

  numbers(name: string): Values {
    const found = this.columns.get(name);
    if (found === undefined) throw new TypeError(`a world without ${name}`);
    return found.values;
  }

  words(name: string): readonly string[] {
    const found = this.texts.get(name);
    if (found === undefined) throw new TypeError(`a world without ${name}`);
    return found;
  }

  /** The same table, with what a message says is different. */
  changed(told: ToldTable, data: DataView): Table {
    const order = told.order === undefined ? null : (taken("i4", told.order, data) as Int32Array);
    const columns = new Map<string, Column>();
    for (const [name, column] of this.columns) columns.set(name, { width: column.width, values: sorted(column, order, name in told.columns) });
    for (const [name, column] of Object.entries(told.columns)) {
      const values = taken(column.type, column, data);
      const into = columns.get(name)?.values;
      if (column.rows === undefined || into === undefined) columns.set(name, { width: column.width, values });
      else put(into, values, taken("u4", column.rows, data), column.width);
    }
    const texts = new Map<string, readonly string[]>();
    for (const [name, words] of this.texts) texts.set(name, order === null ? words : Array.from(order, (row) => words[row] ?? ""));
    for (const [name, { rows, values }] of Object.entries(told.texts)) {
      const words = [...(texts.get(name) ?? [])];
      values.forEach((value, number) => (words[rows?.[number] ?? number] = value));
      texts.set(name, words);
    }
    return new Table(told.rows, columns, texts);
  }
}

type Name = "bodies" | "arcs" | "islands" | "corners" | "groups" | "everybody";

export class World {
  constructor(
    readonly version: string,
    readonly about: About,
    private readonly tables: ReadonlyMap<string, Table>,
  ) {}

  table(name: Name): Table {
    return this.tables.get(name) ?? EMPTY;
  }

  /** The bodies; groups of several have keys that no service has. */
  get services(): readonly string[] {
    return this.table("bodies").words("service");
  }

  /** Who there is, drawn or not. */
  get everybody(): readonly string[] {
    return this.about.levels === null ? this.services : this.table("everybody").words("service");
  }

  /** The key of the group that a body is; null for a service. */
  groupOf(body: number): string | null {
    const group = this.table("bodies").numbers("group")[body] ?? -1;
    return group < 0 ? null : (this.table("groups").words("key")[group] ?? null);
  }
}

const EMPTY = new Table(0, new Map(), new Map());
const FORMAT = 1;
const HEAD = 12;

/** The world that a message tells; `base` is the one that was told before. Throws a TypeError for what is none. */
export function read(message: ArrayBuffer, base: World | null): World {
  const view = new DataView(message);
  if (message.byteLength < HEAD || view.getUint32(0) !== 0x54534357 || view.getUint32(4, true) !== FORMAT) {
    throw new TypeError("not a world of this page's version: load the page again");
  }
  const length = view.getUint32(8, true);
  const told = JSON.parse(new TextDecoder().decode(new Uint8Array(message, HEAD, length))) as Told;
  const data = new DataView(message, HEAD + length);
  if (told.base !== null && told.base !== base?.version) throw new TypeError("changes of a world that is not here");
  const tables = new Map<string, Table>();
  for (const [name, table] of Object.entries(told.tables)) {
    const before = told.base === null ? EMPTY : (base?.table(name as Name) ?? EMPTY);
    tables.set(name, before.changed(table, data));
  }
  return new World(told.version, told.about, tables);
}

function taken(type: string, { at, count }: Place, data: DataView): Values {
  const from = data.byteOffset + at;
  const buffer = data.buffer as ArrayBuffer;
  if (type === "f4") return new Float32Array(buffer, from, count);
  if (type === "f8") return new Float64Array(buffer, from, count);
  if (type === "i2") return new Int16Array(buffer, from, count);
  if (type === "i4") return new Int32Array(buffer, from, count);
  if (type === "u4") return new Uint32Array(buffer, from, count);
  if (type === "u1") return new Uint8Array(buffer, from, count);
  throw new TypeError(`numbers of an unknown type ${type}`);
}

/** A column's rows in another order; a copy where that is needed, or where it is going to be written to. */
function sorted({ values, width }: Column, order: Int32Array | null, written: boolean): Values {
  if (order === null) return written ? values.slice() : values;
  const found = new (values.constructor as new (length: number) => Values)(order.length * width);
  order.forEach((row, place) => {
    for (let part = 0; row >= 0 && part < width; part++) found[place * width + part] = values[row * width + part] ?? 0;
  });
  return found;
}

function put(into: Values, values: Values, rows: Values, width: number): void {
  for (let number = 0; number < rows.length; number++) {
    for (let part = 0; part < width; part++) into[(rows[number] ?? 0) * width + part] = values[number * width + part] ?? 0;
  }
}
