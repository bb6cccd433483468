// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the message shows how a reference is written.
/** Milliseconds by unit, as Go's time.ParseDuration reads them. Both spellings of micro are letters that people have on their keyboards. */
const UNITS: Readonly<Record<string, number>> = { ns: 1e-6, us: 1e-3, µs: 1e-3, μs: 1e-3, ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };
const PART = /([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)/y;
const LONGEST_DURATION = 64;

const TRUE: ReadonlySet<string> = new Set(['1', 't', 'T', 'TRUE', 'true', 'True']);
const FALSE: ReadonlySet<string> = new Set(['0', 'f', 'F', 'FALSE', 'false', 'False']);

/** Where a listener listens; `host` is null for every address of the machine. */
export interface Address {
  readonly host: string | null;
  readonly port: number;
}

/** A text with its variables filled in, or the name of one that has no value; `only` when a variable is all there is to the text. */
export type Expansion = { readonly text: string; readonly only: string | null } | { readonly problem: string };

/** Milliseconds, with a fraction and a sign, of a duration in Go's form: `300ms`, `1.5h`, `1h30m`, `0`. Null for anything else. */
export function parseGoDuration(text: string): number | null {
  if (text.length > LONGEST_DURATION) return null;
  const sign = text.startsWith('-') ? -1 : 1;
  const start = /^[-+]/.test(text) ? 1 : 0;
  if (text.slice(start) === '0') return 0;
  let sum = 0;
  PART.lastIndex = start;
  do {
    const part = PART.exec(text);
    if (part === null) return null;
    sum += Number(part[1]) * UNITS[part[2]];
  } while (PART.lastIndex < text.length);
  return sign * sum;
}

/** A boolean in one of the forms of Go's strconv.ParseBool; null for anything else. */
export function parseGoBool(text: string): boolean | null {
  return TRUE.has(text) ? true : FALSE.has(text) ? false : null;
}

/** `:443`, `127.0.0.1:9090`, `[::1]:443` with a port from 0 to 65535; null for anything else. */
export function parseAddress(text: string): Address | null {
  const match = /^(?:\[([^[\]]*)\]|([^:[\]]*)):([0-9]{1,5})$/.exec(text);
  const port = match === null ? Number.NaN : Number(match[3]);
  if (match === null || !(port <= 65_535)) return null;
  const host = match[1] ?? match[2];
  return { host: host === '' ? null : host, port };
}

/**
 * Fills in `${NAME}` and `$NAME`, as Go's os.Expand does; `$$` stands for one `$`, and a `$` before anything else for itself. A variable that
 * is not set or empty is a problem, not a hole. What comes out of a variable is not looked at again.
 */
export function expandVariables(text: string, variable: (name: string) => string | undefined): Expansion {
  let problem: string | null = null;
  const whole = /^\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))$/.exec(text);
  const expanded = text.replace(/\$(?:\$|\{([^}]*)(\}?)|([A-Za-z_][A-Za-z0-9_]*))/g, (written, braced?: string, close?: string, bare?: string) => {
    if (written === '$$') return '$';
    const name = braced ?? bare ?? '';
    if (braced !== undefined && (close !== '}' || !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))) {
      problem ??= 'a "${" is not followed by the name of a variable and "}"; write "$${" for the characters themselves';
      return '';
    }
    const value = variable(name);
    if (value === undefined || value === '') problem ??= messageForUnset(name);
    return value ?? '';
  });
  return problem === null ? { text: expanded, only: whole?.[1] ?? whole?.[2] ?? null } : { problem };
}

/** What stands behind a `$` may be part of a token: only what looks like the name of a variable is repeated. */
function messageForUnset(name: string): string {
  const named = /^[A-Z_][A-Z0-9_]{0,63}$/.test(name) ? `the environment variable ${name}` : 'an environment variable that it names';
  return `${named} is not set or empty; write "$$" for a "$" that belongs to the token`;
}
