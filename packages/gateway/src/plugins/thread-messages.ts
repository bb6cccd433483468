import { type ErrorCode, errorCatalogue, SallyportError, Secret } from '@sallyport/sdk';
import type { CallAnswer, PluginCall } from './plugin-call.js';
import type { LoadedPlugin } from './plugin-host.js';

/** What a thread is started with. */
export interface ThreadData {
  readonly plugin: string;
  readonly folder: string;
  /** The options, as `packed` made them. */
  readonly options: unknown;
  readonly loadTimeoutMs: number;
  readonly bodyLimit: number;
}

/** To the thread. Calls are told apart by `id`. */
export type ToThread =
  | { readonly kind: 'call'; readonly id: number; readonly call: PluginCall }
  | { readonly kind: 'abort'; readonly id: number; readonly error: PlainError }
  | { readonly kind: 'body'; readonly id: number; readonly bytes: Uint8Array }
  | { readonly kind: 'no-body'; readonly id: number; readonly error: PlainError }
  | { readonly kind: 'ping'; readonly id: number };

/** From the thread. */
export type FromThread =
  | { readonly kind: 'loading' }
  | { readonly kind: 'loaded'; readonly loaded: LoadedPlugin }
  | { readonly kind: 'not-loaded'; readonly error: PlainError }
  | { readonly kind: 'began'; readonly id: number }
  | { readonly kind: 'read-body'; readonly id: number }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: CallAnswer }
  | { readonly kind: 'failure'; readonly id: number; readonly error: PlainError }
  | { readonly kind: 'pong'; readonly id: number }
  | { readonly kind: 'stray'; readonly error: PlainError };

/** One of our errors as plain values. The cause is text: what a plugin throws need not be something that can cross a thread. */
export interface PlainError {
  readonly code: ErrorCode;
  readonly detail: string;
  readonly hint: string;
  readonly members: Readonly<Record<string, unknown>>;
  readonly cause: string | null;
}

const LONGEST_CAUSE = 8_192;

export function plainError(error: SallyportError): PlainError {
  const { code, message, hint, members, cause } = error;
  return { code, detail: message, hint, members: cloneable(members), cause: cause === undefined ? null : causeText(cause) };
}

export function fromPlainError({ code, detail, hint, members, cause }: PlainError): SallyportError {
  return new SallyportError(Object.hasOwn(errorCatalogue, code) ? code : 'internal_error', {
    detail,
    hint,
    members,
    ...(cause === null ? {} : { cause: new Error(cause) }),
  });
}

/** The stack of what was thrown, or what it is; for the log. */
function causeText(cause: unknown): string {
  let text: string;
  try {
    text = cause instanceof Error ? (cause.stack ?? `${cause.name}: ${cause.message}`) : String(cause);
  } catch {
    text = 'something that cannot be printed';
  }
  return text.slice(0, LONGEST_CAUSE);
}

function cloneable(members: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  try {
    return structuredClone(members);
  } catch {
    return {};
  }
}

/** The key under which a secret crosses a thread. No text of a configuration can hold a NUL. */
const SECRET = '\0secret';

/** Options of a plugin as values that can cross a thread: a `Secret` would arrive empty. */
export function packed(value: unknown): unknown {
  if (value instanceof Secret) return { [SECRET]: value.reveal() };
  if (Array.isArray(value)) return value.map(packed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, packed(member)]));
}

/** What was `packed`, as it was. */
export function unpacked(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(unpacked);
  if (typeof value !== 'object' || value === null) return value;
  if (SECRET in value) return new Secret(String(value[SECRET]));
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, unpacked(member)]));
}
