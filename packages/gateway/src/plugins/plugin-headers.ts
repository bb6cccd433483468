import { checkFieldName, checkFieldValue, isGatewayField } from './field-rules.js';

/** A field that differs from what it was: its lines now, none when it was removed. */
export interface FieldChange {
  /** As the plugin spelled it. */
  readonly name: string;
  readonly values: readonly string[];
}

/** A header as it came: name and value of each line, in order. */
export type HeaderLines = readonly (readonly [name: string, value: string])[];

/** The headers that a plugin gets, and what it did to them. */
export interface PluginHeaders {
  /**
   * Refuses with `plugin_result_invalid`, at the line of the plugin that tries it, what cannot be sent. Fields of the connection itself are not in
   * it. Made when it is first asked for.
   */
  readonly headers: Headers;
  /** The fields that differ from what they were, in the order in which they were first touched. Several `Set-Cookie` stay several lines. */
  changes(): FieldChange[];
  /** From now on nothing changes any more: the call is over, whatever the plugin still does. */
  seal(): void;
}

interface Touched {
  spelling: string;
  readonly before: readonly string[];
}

/** `where` begins the sentence of a refusal, as in «getCredentials set». */
export function pluginHeaders(lines: HeaderLines, where: string): PluginHeaders {
  const edits = new Edits(where);
  let made: OverridableHeaders | null = null;
  return {
    get headers() {
      guardedHeaders ??= defineGuardedHeaders();
      made ??= new guardedHeaders(lines, edits);
      return made;
    },
    changes: () => (made === null ? [] : edits.changes(made)),
    seal() {
      edits.sealed = true;
    },
  };
}

/** What was done to the headers of one message. Out of the reach of the plugin. */
class Edits {
  readonly where: string;
  readonly #touched = new Map<string, Touched>();
  sealed = false;

  constructor(where: string) {
    this.where = where;
  }

  /** Before the field changes. */
  touch(headers: Headers, name: string): void {
    const lower = name.toLowerCase();
    const known = this.#touched.get(lower);
    if (known === undefined) this.#touched.set(lower, { spelling: name, before: valuesOf(headers, lower) });
    else known.spelling = name;
  }

  changes(headers: Headers): FieldChange[] {
    const changes: FieldChange[] = [];
    for (const [name, { spelling, before }] of this.#touched) {
      const values = valuesOf(headers, name);
      if (values.length !== before.length || values.some((value, i) => value !== before[i])) changes.push({ name: spelling, values });
    }
    return changes;
  }
}

/** Methods can be overridden; the declaration of `Headers` calls them properties, which cannot. */
interface OverridableHeaders extends Omit<Headers, 'set' | 'append' | 'delete'> {
  set(name: string, value: string): void;
  append(name: string, value: string): void;
  delete(name: string): void;
}

type GuardedHeaders = new (lines: HeaderLines, edits: Edits) => OverridableHeaders;

let guardedHeaders: GuardedHeaders | null = null;

/** Made on first use: to name `Headers` is to load all of Node's `fetch`, 10 MB that a gateway without a plugin never needs. */
function defineGuardedHeaders(): GuardedHeaders {
  const Overridable: new () => OverridableHeaders = Headers;
  return class extends Overridable {
    readonly #edits: Edits;

    constructor(lines: HeaderLines, edits: Edits) {
      super();
      this.#edits = edits;
      for (const [name, value] of lines) if (!isGatewayField(name.toLowerCase())) super.append(name, value);
    }

    override set(name: unknown, value: unknown): void {
      const text = String(name);
      if (this.#admits(text, value)) super.set(text, value);
    }

    override append(name: unknown, value: unknown): void {
      const text = String(name);
      if (this.#admits(text, value)) super.append(text, value);
    }

    override delete(name: unknown): void {
      const text = String(name);
      if (this.#edits.sealed || !this.has(text)) return;
      this.#edits.touch(this, text);
      super.delete(text);
    }

    #admits(name: string, value: unknown): value is string {
      const { sealed, where } = this.#edits;
      if (sealed) return false;
      checkFieldName(where, name);
      checkFieldValue(where, name, value);
      this.#edits.touch(this, name);
      return true;
    }
  };
}

function valuesOf(headers: Headers, lower: string): string[] {
  if (lower === 'set-cookie') return headers.getSetCookie();
  const value = headers.get(lower);
  return value === null ? [] : [value];
}
