import { SallyportError, Secret } from '@sallyport/sdk';
import { z } from 'zod';
import { durationPattern, formatDuration, formatSize, parseDuration, parseSize, sizePattern } from '../durations-and-sizes.js';

/** What a schema needs from outside to turn written values into used ones: variables, files and the directory that paths start from. */
export interface ValueContext {
  /** The environment variable, or undefined when it is not set. */
  variable(name: string): string | undefined;
  /** An absolute path: `~` is the home directory, a relative path starts at the directory of the configuration file. */
  absolute(path: string): string;
  /** The text of a file without its last line break; throws what the file system throws. Its later changes trigger a reload. */
  read(path: string): string;
  /** Throws what the file system throws when the file cannot be read. Its later changes trigger a reload. */
  requireReadable(path: string): void;
}

/** The longest time a timer of Node can be set to is a little over 24 days. */
const LONGEST_TIMER = 24 * 86_400_000;
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const FRAMING_HEADERS = /^(host|content-length|transfer-encoding|connection|upgrade|te|trailer|keep-alive|proxy-.*)$/i;
const CONTROL_CHARACTER = /[\0-\x1f\x7f]/;

/** A name that the configuration gives to a credential or a caller. */
const namePattern = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/;

/** Text with at least one character and no control character. `what` completes the sentence "expected …". */
export function text(what: string) {
  return z
    .string({ error: `expected ${what}` })
    .min(1, `expected ${what}, not an empty text`)
    .refine((value) => !CONTROL_CHARACTER.test(value), 'holds a control character');
}

/** The key of a map whose keys the user chooses. */
export const name = z
  .string()
  .max(128, 'is longer than 128 characters')
  .regex(namePattern, 'a name starts with a letter or digit and holds only letters, digits, ".", "_" and "-"');

/** Milliseconds from a duration between 1 ms and `max`. */
export function duration(max = LONGEST_TIMER) {
  const expected = `expected a duration such as 500ms, 30s, 5m, 2h or 7d, at most ${formatDuration(max)}`;
  return z
    .string({ error: expected })
    .regex(durationPattern, expected)
    .transform((written, context) => checked(parseDuration(written), 1, max, expected, context));
}

/** Milliseconds as `duration`, or null when written `off`. */
export function durationOrOff(max = LONGEST_TIMER) {
  const expected = `expected a duration such as 500ms, 30s, 5m, 2h or 7d, at most ${formatDuration(max)}, or off`;
  return z
    .string({ error: expected })
    .regex(new RegExp(`${durationPattern.source}|^off$`), expected)
    .transform((written, context) => (written === 'off' ? null : checked(parseDuration(written), 1, max, expected, context)));
}

/** Bytes from a size between `min` and `max` bytes. */
export function size(min: number, max: number) {
  const expected = `expected a size such as 8kb or 10mb, from ${formatSize(min)} to ${formatSize(max)}`;
  return z
    .string({ error: expected })
    .regex(sizePattern, expected)
    .transform((written, context) => checked(parseSize(written), min, max, expected, context));
}

/** A whole number from `min` to `max`; digits that come from a variable are text and count as a number. */
export function integer(min: number, max: number) {
  const error = `expected a whole number from ${min} to ${max}`;
  const number = z.int({ error }).min(min, error).max(max, error);
  return z.preprocess((value) => (typeof value === 'string' && /^[0-9]{1,15}$/.test(value) ? Number(value) : value), number);
}

/** `true` or `false`; the words that come from a variable are text and count as well. */
export function flag() {
  return z.preprocess((value) => (value === 'true' ? true : value === 'false' ? false : value), z.boolean({ error: 'expected true or false' }));
}

/** One of a few words. */
export function oneOf<const Words extends readonly [string, ...string[]]>(words: Words) {
  return z.enum(words, { error: `expected ${words.slice(0, -1).join(', ')} or ${words.at(-1)}` });
}

/** A header field name that users may place or strip: an RFC 9110 token that neither frames nor routes a message. */
export function headerName() {
  return token('a header name').refine((value) => !FRAMING_HEADERS.test(value), 'this header frames or routes messages and belongs to the gateway');
}

/** An RFC 9110 §5.6.2 token. */
export function token(what: string) {
  const expected = `expected ${what}: letters, digits and !#$%&'*+-.^_\`|~ only`;
  return z.string({ error: expected }).max(256, 'is longer than 256 characters').regex(TOKEN, expected);
}

/** An absolute path from a written one. The file need not be there. */
export function path(context: ValueContext) {
  return text('a path').transform((written) => context.absolute(written));
}

/** An absolute path to a file that this process can read. */
export function readableFile(context: ValueContext) {
  return path(context).transform((absolute, issues) => {
    try {
      context.requireReadable(absolute);
    } catch (cause) {
      issues.addIssue({ code: 'custom', message: `the file cannot be read (${reasonOf(cause)})` });
    }
    return absolute;
  });
}

/** A text written as such (with `${NAME}` filled in before), as `{env: NAME}` or as `{file: path}`. */
export function value(context: ValueContext, what: string) {
  const reference = z
    .strictObject({
      env: text('the name of an environment variable').optional().describe('Name of the environment variable that holds it.'),
      file: text('a path').optional().describe('File that holds it; one line break at its end is left out.'),
    })
    .meta({ oneOf: [{ required: ['env'] }, { required: ['file'] }] })
    .transform((written, issues) => resolveReference(written, context, issues));
  return z.union([z.string(), reference], { error: `expected ${what}: a text, {env: NAME} or {file: path}` });
}

/** As `value`, but what comes out is wrapped in a `Secret`. `complaint` answers what is wrong with it, or null; it must not quote it. */
export function secretValue(context: ValueContext, what: string, complaint: (secret: string) => string | null) {
  return value(context, what)
    .meta({ writeOnly: true })
    .transform((plain, issues) => {
      const message = complaint(plain);
      if (message !== null) issues.addIssue({ code: 'custom', message });
      return new Secret(plain);
    });
}

/** A text that `parse` accepts, as written; what `parse` throws is reported. */
export function parsedText(what: string, parse: (written: string) => unknown) {
  return text(what).superRefine((written, issues) => {
    try {
      parse(written);
    } catch (cause) {
      if (!(cause instanceof SallyportError)) throw cause;
      issues.addIssue({ code: 'custom', message: cause.message, params: { quotes: true, what, column: cause.members.column } });
    }
  });
}

interface Issues {
  addIssue(issue: { code: 'custom'; message: string }): void;
}

function checked(value: number | null, min: number, max: number, expected: string, issues: Issues): number {
  if (value !== null && value >= min && value <= max) return value;
  issues.addIssue({ code: 'custom', message: expected });
  return min;
}

function resolveReference(written: { env?: string | undefined; file?: string | undefined }, context: ValueContext, issues: Issues): string {
  const { env, file } = written;
  if ((env === undefined) === (file === undefined)) {
    issues.addIssue({ code: 'custom', message: 'expected exactly one of env and file' });
    return '';
  }
  if (env !== undefined) {
    const found = context.variable(env);
    if (found === undefined) issues.addIssue({ code: 'custom', message: messageForUnset(env) });
    return found ?? '';
  }
  try {
    return context.read(context.absolute(file as string));
  } catch (cause) {
    issues.addIssue({ code: 'custom', message: `the file cannot be read (${reasonOf(cause)})` });
    return '';
  }
}

/** Somebody may have put the secret itself where its name belongs: only what cannot be mistaken for one is repeated. */
function messageForUnset(variable: string): string {
  const named = /^[A-Z_][A-Z0-9_]{0,63}$/.test(variable) ? variable : 'that it names';
  return `the environment variable ${named} is not set`;
}

/** The code of a file system error, which names no secret; its message may hold a path, which the source line shows anyway. */
function reasonOf(cause: unknown): string {
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : 'unknown reason';
}
