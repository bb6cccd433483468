import { SallyportError } from '@sallyport/sdk';
import type { Caller, Exchange } from '../exchange.js';
import { isCleanPath, pathForms } from '../policy/path-forms.js';
import type { Binding, BindingTable, BoundHost } from './bindings.js';

/**
 * Chooses the binding for one request: among those for the host that the caller may use and whose method and path fit, the most specific one, by
 * host first, then path, then method. `choice` is the credential that the client asked for by name; null when it did not.
 * Null when no binding fits. Errors: `credential_ambiguous` with `candidates`, `plaintext_credential_refused`.
 */
export function select(exchange: Exchange, caller: Caller | null, choice: string | null, bindings: BindingTable): Binding | null | SallyportError {
  const bound = bindings.lookup(exchange.host, exchange.port);
  if (bound.length === 0) return null;
  let best: BoundHost | null = null;
  let bestPath = -1;
  let rivals: Binding[] | null = null;
  let usable: string[] | null = null;
  for (const candidate of bound) {
    const { binding } = candidate;
    const { name } = binding.credential;
    if (!mayUse(caller, name)) continue;
    const path = pathSpecificity(binding, exchange);
    if (path < 0 || (binding.methods !== null && !binding.methods.has(exchange.method))) continue;
    if (choice !== null && name !== choice) {
      usable = usable ?? [];
      usable.push(name);
      continue;
    }
    const order = best === null ? -1 : compare(candidate, path, best, bestPath);
    if (order < 0) {
      best = candidate;
      bestPath = path;
      rivals = null;
    } else if (order === 0 && binding.credential !== best?.binding.credential) {
      rivals = rivals ?? [];
      rivals.push(binding);
    }
  }
  if (best === null) {
    if (usable === null) return null;
    return ambiguous(`no credential named ${JSON.stringify(choice)} is bound to this request`, usable);
  }
  if (rivals !== null) {
    const candidates = [best.binding, ...rivals].map((binding) => binding.credential.name);
    return ambiguous(`${candidates.join(', ')} fit equally well`, candidates);
  }
  if (exchange.scheme === 'http' && !best.binding.plaintext) {
    return new SallyportError('plaintext_credential_refused', {
      detail: `the credential ${best.binding.credential.name} is bound to ${exchange.host}:${exchange.port}, and the target is http://`,
      members: { credential: best.binding.credential.name },
    });
  }
  // RFC 9110 §9.3.8: the answer to a TRACE is the request as it arrived, credential and all.
  if (exchange.method === 'TRACE') {
    return new SallyportError('method_not_allowed', {
      detail: `the credential ${best.binding.credential.name} is bound to this request, and the answer to a TRACE would carry it back`,
      hint: 'Use another method, or limit the binding to the methods that need the credential.',
    });
  }
  return best.binding;
}

function mayUse(caller: Caller | null, credential: string): boolean {
  return caller !== null && (caller.credentials === 'all' || caller.credentials.has(credential));
}

/** How specific the binding's path is for this request: 0 without paths, −1 when none of them fits. */
function pathSpecificity(binding: Binding, exchange: Exchange): number {
  if (binding.paths === null) return 0;
  // A path that can be read in two ways gets no credential on the strength of one reading.
  const forms = isCleanPath(exchange.path) ? CLEAN : pathForms(exchange.path);
  if (forms === null) return -1;
  let best = -1;
  for (const { rule, specificity } of binding.paths) {
    if (specificity < best) continue;
    if (forms === CLEAN ? rule.matchesClean(exchange.path) : rule.matchesEvery(forms)) best = specificity + 1;
  }
  return best;
}

/** Negative when the candidate is more specific than the best so far, 0 when they are equal. */
function compare(candidate: BoundHost, path: number, best: BoundHost, bestPath: number): number {
  return candidate.hostRank - best.hostRank || bestPath - path || methodRank(candidate.binding) - methodRank(best.binding);
}

/** Stands for «the path as sent is its only form», so that nothing has to be made for the many paths of which that is true. */
const CLEAN: readonly string[] = Object.freeze([]);

function methodRank(binding: Binding): number {
  return binding.methods === null ? 1 : 0;
}

function ambiguous(detail: string, candidates: readonly string[]): SallyportError {
  const unique = [...new Set(candidates)];
  return new SallyportError('credential_ambiguous', {
    detail,
    hint: `Name one of them in the header X-Sallyport-Credential (${unique.join(', ')}), or make one binding more specific by path or method.`,
    members: { candidates: unique },
  });
}
