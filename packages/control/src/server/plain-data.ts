import { SallyportError } from '@sallyport/sdk';

/** No value of this API is nested deeper. */
const MOST_DEPTH = 64;

/**
 * Fails with `request_invalid`, which says where, unless everything in the value can be kept as it is: no text holds NUL, which Postgres does not
 * take, or half of a surrogate pair, which would come back as another text; and nothing is nested so deeply that reading it exhausts the stack.
 */
export function requirePlainData(value: unknown, place: 'params' | 'querystring' | 'body'): void {
  const fault = faultOf(value, [], 0);
  if (fault === null) return;
  const issue = { in: place === 'querystring' ? 'query' : place, ...fault };
  throw new SallyportError('request_invalid', {
    detail: `${[issue.in, issue.path].filter((part) => part !== '').join(' ')}: ${issue.message}`,
    members: { issues: [issue] },
  });
}

interface Fault {
  readonly path: string;
  readonly message: string;
}

function faultOf(value: unknown, path: readonly string[], depth: number): Fault | null {
  if (typeof value === 'string') return isPlain(value) ? null : { path: path.join('.'), message: 'holds NUL or half of a character' };
  if (typeof value !== 'object' || value === null) return null;
  if (depth >= MOST_DEPTH) return { path: path.join('.'), message: `is nested more than ${MOST_DEPTH} levels deep` };
  for (const [name, member] of Object.entries(value)) {
    if (!isPlain(name)) return { path: path.join('.'), message: 'has a member whose name holds NUL or half of a character' };
    const fault = faultOf(member, [...path, name], depth + 1);
    if (fault !== null) return fault;
  }
  return null;
}

function isPlain(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0');
}
