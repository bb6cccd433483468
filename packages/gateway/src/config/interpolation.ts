// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the texts show how references are written.
/** A text with its variables filled in, or what is wrong with it. */
export type Interpolation =
  | {
      readonly ok: true;
      readonly text: string;
      /** Whether anything came from a variable, so that the text may not be quoted in a message. */
      readonly filled: boolean;
      /** Whether anything came from a default that is written in the text. */
      readonly defaulted: boolean;
    }
  | { readonly ok: false; readonly message: string };

const REFERENCE = /\$?\$\{([^}]*)(\}?)/g;
const CONTENT = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s;

/**
 * Fills in `${NAME}` and `${NAME:-default}`, where the default counts when the variable is not set or empty; `$${` stands for `${`.
 * What comes out of a variable is not looked at again. `lookup` answers undefined for a variable that is not set.
 */
export function interpolate(text: string, lookup: (name: string) => string | undefined): Interpolation {
  let filled = false;
  let defaulted = false;
  let out = '';
  let end = 0;
  for (let match = findReference(text, 0); match !== null; match = findReference(text, end)) {
    out += text.slice(end, match.start);
    end = match.end;
    if (match.escaped) {
      out += '${';
      continue;
    }
    const content = CONTENT.exec(match.content);
    if (!match.closed) return { ok: false, message: 'a "${" is never closed; write "$${" for the characters themselves' };
    if (content === null || match.content.includes('${')) {
      return { ok: false, message: 'expected ${NAME} or ${NAME:-default}; write "$${" for the characters themselves' };
    }
    const [, name, fallback] = content as unknown as [string, string, string | undefined];
    const found = lookup(name);
    const value = fallback !== undefined && (found === undefined || found === '') ? fallback : found;
    if (value === undefined) return { ok: false, message: messageForUnset(name) };
    filled = true;
    defaulted ||= value === fallback && value !== '';
    out += value;
  }
  return { ok: true, text: out + text.slice(end), filled, defaulted };
}

interface Reference {
  readonly start: number;
  readonly end: number;
  readonly escaped: boolean;
  readonly closed: boolean;
  readonly content: string;
}

function findReference(text: string, from: number): Reference | null {
  REFERENCE.lastIndex = from;
  const match = REFERENCE.exec(text);
  if (match === null) return null;
  const escaped = match[0].startsWith('$$');
  // After an escape only the three characters are used up: what follows may hold references of its own.
  const end = escaped ? match.index + 3 : REFERENCE.lastIndex;
  return { start: match.index, end, escaped, closed: match[2] === '}', content: match[1] };
}

function messageForUnset(name: string): string {
  if (name === 'secret') return 'the environment variable secret is not set; the place of the credential is {secret}, without a $';
  return `the environment variable ${name} is not set; set it, or write \${${name}:-default}`;
}
