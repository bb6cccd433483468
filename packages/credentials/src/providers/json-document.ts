/** A JSON value; objects are maps, so that no member name means anything to JavaScript. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | ReadonlyMap<string, JsonValue>;

/** What keeps a text from being JSON. The message quotes nothing of the text but the names of members. */
export class JsonProblem extends Error {
  override readonly name = 'JsonProblem';
  readonly line: number;
  readonly column: number;

  constructor(text: string, offset: number, message: string) {
    super(message);
    const before = text.slice(0, offset);
    this.line = before.split('\n').length;
    this.column = offset - before.lastIndexOf('\n');
  }
}

const DEPTH_LIMIT = 32;
const WHITE = /[ \t\n\r]*/y;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const WORD = /true|false|null/y;

/**
 * The value of a text that is JSON (RFC 8259), at most 32 levels deep and with no member twice. Throws `JsonProblem` otherwise. `JSON.parse` will
 * not do for files that hold secrets: its messages quote them, and of two members of the same name it silently drops one.
 */
export function parseJson(text: string): JsonValue {
  let at = 0;

  function fail(message: string, offset = at): never {
    throw new JsonProblem(text, offset, message);
  }

  function take(pattern: RegExp): string | null {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0] ?? null;
    if (found !== null) at += found.length;
    return found;
  }

  /** The next character that is no white space; an empty text at the end. */
  function peek(): string {
    take(WHITE);
    return text.charAt(at);
  }

  function punctuation(character: string): void {
    if (peek() !== character) fail(at === text.length ? `the text ends where "${character}" is expected` : `"${character}" is expected here`);
    at += 1;
  }

  function string(): string {
    const literal = take(STRING) ?? fail('a text in double quotes is expected here, with its control characters escaped');
    return JSON.parse(literal) as string;
  }

  function object(depth: number): JsonValue {
    const members = new Map<string, JsonValue>();
    at += 1;
    for (let more = peek() !== '}'; more; ) {
      peek();
      const start = at;
      const name = string();
      if (members.has(name)) fail(`${JSON.stringify(name.slice(0, 64))} is there twice`, start);
      punctuation(':');
      members.set(name, value(depth));
      more = peek() === ',';
      if (more) at += 1;
    }
    punctuation('}');
    return members;
  }

  function array(depth: number): JsonValue {
    const items: JsonValue[] = [];
    at += 1;
    for (let more = peek() !== ']'; more; ) {
      items.push(value(depth));
      more = peek() === ',';
      if (more) at += 1;
    }
    punctuation(']');
    return items;
  }

  function value(depth: number): JsonValue {
    const next = peek();
    if (depth > DEPTH_LIMIT) fail(`more than ${DEPTH_LIMIT} levels deep`);
    if (next === '{') return object(depth + 1);
    if (next === '[') return array(depth + 1);
    if (next === '"') return string();
    const literal = take(WORD) ?? take(NUMBER) ?? fail(at === text.length ? 'the text ends where a value is expected' : 'a value is expected here');
    return JSON.parse(literal) as string;
  }

  const document = value(0);
  if (peek() !== '') fail('something follows the value');
  return document;
}
