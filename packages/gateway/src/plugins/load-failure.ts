import { execFile } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { SallyportError } from '@sallyport/sdk';

/** When it was that a plugin did not finish. */
export const HANGS_AT_IMPORT = 'at import; is there an await or a loop that never ends?';

const LONGEST_TEXT = 500;
const CHECK_TIMEOUT_MS = 10_000;

/** A place in a file, in a stack trace; the query is the one that a changed file is imported under. */
const PLACE = /(file:\/\/[^\s?:]+)(?:\?[^\s:]*)?:(\d+)/;

/** The same before the stack, where Node puts the place of some syntax errors. */
const PLACE_BEFORE = new RegExp(`^${PLACE.source}`);

/** The plugin called `name` cannot be used; `what` is the rest of the sentence. For the operator alone. */
export function loadFailure(name: string, what: string, cause?: unknown): SallyportError {
  return new SallyportError('plugin_load_failed', { detail: `plugin ${name}: ${what}`, members: { plugin: name }, cause });
}

/** What an import was rejected with, in words and with the place, as far as it can be known. */
export async function importFault(error: unknown, file: string): Promise<string> {
  if (!(error instanceof Error))
    return `threw ${typeof error === 'string' ? `the text ${JSON.stringify(clipped(error))}` : `a ${typeof error}`} at import`;
  const code = 'code' in error ? error.code : undefined;
  if (code === 'ERR_MODULE_NOT_FOUND' || code === 'ERR_PACKAGE_PATH_NOT_EXPORTED')
    return `something that it imports is missing: ${clipped(error.message)}`;
  if (error.name === 'SyntaxError') {
    const place = error.message.startsWith(file) ? '' : (placeIn(error.stack, PLACE_BEFORE) ?? (await checkedPlace(file)));
    const kind = /outside a module|Unexpected token 'export'/.test(error.message)
      ? '; put "type": "module" into the package.json beside it, or name it .mjs or .mts'
      : '';
    return `is not valid: ${place === '' ? '' : `${place}: `}${clipped(error.message)}${kind}`;
  }
  return `threw at import${at(placeIn(error.stack))}: ${clipped(`${error.name}: ${error.message}`)}`;
}

/** `FILE:LINE` of the first place in a file that a stack names; null when there is none. */
export function placeIn(stack: string | undefined, place = PLACE): string | null {
  const found = place.exec(stack ?? '');
  if (found === null) return null;
  try {
    return `${fileURLToPath(found[1])}:${found[2]}`;
  } catch {
    return null;
  }
}

/** The first line of a text, cut to a length that a sentence can carry. */
export function clipped(text: string): string {
  const line = text.trim().split('\n', 1)[0];
  return line.length > LONGEST_TEXT ? `${line.slice(0, LONGEST_TEXT)}…` : line;
}

function at(place: string | null): string {
  return place === null ? '' : ` (${place})`;
}

/** Node says where a module cannot be parsed only when it checks it as a program. */
function checkedPlace(file: string): Promise<string> {
  const somewhere = `${file}, or a file that it imports`;
  if (path.extname(file).endsWith('ts')) return Promise.resolve(somewhere);
  return new Promise((resolve) => {
    execFile(process.execPath, ['--check', file], { timeout: CHECK_TIMEOUT_MS, env: {} }, (error, _stdout, stderr) => {
      const line = error === null ? undefined : /:(\d+)$/m.exec(stderr.split('\n', 1)[0])?.[1];
      resolve(line === undefined ? somewhere : `${file}:${line}`);
    });
  });
}
