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
   * it.
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
  const headers = new Headers();
  for (const [name, value] of lines) if (!isGatewayField(name.toLowerCase())) headers.append(name, value);
  const touched = new Map<string, Touched>();
  let sealed = false;

  const valuesOf = (lower: string): string[] => {
    if (lower === 'set-cookie') return headers.getSetCookie();
    const value = headers.get(lower);
    return value === null ? [] : [value];
  };
  const touch = (name: string): void => {
    const lower = name.toLowerCase();
    const known = touched.get(lower);
    if (known === undefined) touched.set(lower, { spelling: name, before: valuesOf(lower) });
    else known.spelling = name;
  };
  const write = (apply: (name: string, value: string) => void) => (name: unknown, value: unknown) => {
    if (sealed) return;
    const text = String(name);
    checkFieldName(where, text);
    checkFieldValue(where, text, value);
    touch(text);
    apply(text, value);
  };
  const remove = (name: unknown): void => {
    const text = String(name);
    if (sealed || !headers.has(text)) return;
    touch(text);
    drop(text);
  };
  const drop = headers.delete.bind(headers);
  Object.defineProperties(headers, {
    set: { value: write(headers.set.bind(headers)) },
    append: { value: write(headers.append.bind(headers)) },
    delete: { value: remove },
  });

  return {
    headers,
    changes() {
      const changes: FieldChange[] = [];
      for (const [name, { spelling, before }] of touched) {
        const values = valuesOf(name);
        if (values.length !== before.length || values.some((value, i) => value !== before[i])) changes.push({ name: spelling, values });
      }
      return changes;
    },
    seal() {
      sealed = true;
    },
  };
}
