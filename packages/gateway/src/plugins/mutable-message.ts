import type { MutableRequest, MutableResponse } from '@sallyport/sdk';
import { invalid, kindOf } from './field-rules.js';
import { pluginBody } from './message-body.js';
import { type FieldChange, type HeaderLines, pluginHeaders } from './plugin-headers.js';

/** The head of a request on its way out, as plain values. */
export interface RequestHead {
  readonly method: string;
  /** The target, absolute. */
  readonly url: string;
  readonly headers: HeaderLines;
}

/** The head of a response on its way back, as plain values. */
export interface ResponseHead {
  readonly status: number;
  readonly headers: HeaderLines;
}

/** What a plugin made of a request. Plain values: it can cross a thread. */
export interface RequestEdits {
  readonly fields: readonly FieldChange[];
  /** The path as it goes out now; null when it stays byte for byte. */
  readonly path: string | null;
  /** The query with its `?`, or the empty text for none; null when it stays byte for byte. */
  readonly query: string | null;
  /** The body that goes out instead; null when it stays. */
  readonly body: Uint8Array | null;
}

/** What a plugin made of a response. Plain values: it can cross a thread. */
export interface ResponseEdits {
  /** Null when it stays. */
  readonly status: number | null;
  readonly fields: readonly FieldChange[];
  readonly body: Uint8Array | null;
}

/** A message in the hands of a plugin. */
export interface Editable<Message, Edits> {
  readonly message: Message;
  /** Takes what the plugin did until now, and nothing that it does later. Throws `plugin_result_invalid`. */
  finish(): Edits;
}

const METHOD = 'getCredentials';

/** A request that a plugin may change. `readBody` is called when the plugin asks for the body; `bodyLimit` bounds what it may put in its place. */
export function createMutableRequest(
  { method, url, headers: lines }: RequestHead,
  readBody: () => Promise<Uint8Array>,
  bodyLimit: number,
): Editable<MutableRequest, RequestEdits> {
  const fields = pluginHeaders(lines, `${METHOD} set`);
  const body = pluginBody(readBody, bodyLimit);
  const target = new PluginUrl(url);
  return {
    // Getters without a setter: what is assigned to these would be lost without a word. In a module, which is strict code, the assignment throws.
    message: {
      get method() {
        return method;
      },
      get url() {
        return target.get();
      },
      set url(assigned) {
        target.set(assigned);
      },
      get headers() {
        return fields.headers;
      },
      get body() {
        return body;
      },
    },
    finish() {
      fields.seal();
      body.seal();
      return { fields: fields.changes(), ...target.edits(), body: body.replacement() };
    },
  };
}

/** A response that a plugin may change. */
export function createMutableResponse(
  { status, headers: lines }: ResponseHead,
  readBody: () => Promise<Uint8Array>,
  bodyLimit: number,
): Editable<MutableResponse, ResponseEdits> {
  const fields = pluginHeaders(lines, 'modifyResponse set');
  const body = pluginBody(readBody, bodyLimit);
  let now: unknown = status;
  return {
    message: {
      get status() {
        return now as number;
      },
      set status(assigned) {
        now = assigned;
      },
      get headers() {
        return fields.headers;
      },
      get body() {
        return body;
      },
    },
    finish() {
      fields.seal();
      body.seal();
      return { status: statusEdit(status, now), fields: fields.changes(), body: body.replacement() };
    },
  };
}

/** The url that a plugin gets, made when it is first asked for, and what became of it. */
class PluginUrl {
  readonly #written: string;
  /** What the plugin got and may have changed, or put in its place; before either, there is nothing to compare. */
  #now: { url: unknown } | null = null;
  /** What it got, as the URL standard writes it. */
  #given = '';

  constructor(written: string) {
    this.#written = written;
  }

  get(): URL {
    if (this.#now === null) {
      const url = new URL(this.#written);
      this.#given = url.href;
      this.#now = { url };
    }
    return this.#now.url as URL;
  }

  set(url: unknown): void {
    this.#now = { url };
  }

  edits(): { path: string | null; query: string | null } {
    if (this.#now === null) return UNCHANGED;
    const { url } = this.#now;
    return url instanceof URL && url.href === this.#given ? UNCHANGED : targetEdits(new URL(this.#written), url);
  }
}

const UNCHANGED = { path: null, query: null } as const;

function targetEdits(before: URL, after: unknown): { path: string | null; query: string | null } {
  if (!(after instanceof URL)) throw invalid(`${METHOD} assigned ${kindOf(after)} to the url; assign a URL`, 'url');
  if (after.origin !== before.origin) throw invalid(`${METHOD} changed the scheme, host or port of the url; only path and query may change`, 'url');
  if (after.username !== before.username || after.password !== before.password) {
    throw invalid(`${METHOD} put a user name or a password into the url; set the Authorization header`, 'url');
  }
  if (after.hash !== before.hash) throw invalid(`${METHOD} gave the url a fragment, which is never sent`, 'url');
  return { path: after.pathname === before.pathname ? null : after.pathname, query: after.search === before.search ? null : after.search };
}

function statusEdit(before: number, after: unknown): number | null {
  if (after === before) return null;
  if (typeof after !== 'number' || !Number.isInteger(after) || after < 200 || after > 599) {
    const what = typeof after === 'number' ? String(after) : kindOf(after);
    throw invalid(`modifyResponse set the status to ${what}; a whole number from 200 to 599 is needed`, 'status');
  }
  return after;
}
