import { nearestWords } from '@sallyport/credentials';
import type { Credential, ResponseAction, RouteAction } from '@sallyport/sdk';
import { checkFieldName, checkFieldValue, invalid, kindOf, shown } from './field-rules.js';

const MOST_FIELDS = 64;
const LONGEST_FORWARD_NAME = 256;
const LONGEST_CERTIFICATE = 262_144;
/** A time before this many milliseconds, in 1973, is a time in seconds. */
const EARLIEST_IN_MILLISECONDS = 100_000_000_000;

/**
 * The credential in an answer of `getCredentials`, as plain values; null when there is none. Throws `plugin_result_invalid`, which names the
 * member and what was there, never a value.
 */
export function checkCredential(answer: unknown, now: number): Credential | null {
  const where = 'getCredentials answered';
  if (answer === null || answer === undefined) return null;
  const credential = object(answer, where, 'a Credential or null');
  const { headers, expiresAt } = credential;
  refuseMisspelled(credential, 'headers');
  refuseMisspelled(credential, 'expiresAt');
  return { headers: checkHeaders(headers, where), expiresAt: checkExpiry(expiresAt, where, now) };
}

/** The action in an answer of `routeRequest`; null for none. Throws `plugin_result_invalid`. */
export function checkRouteAction(answer: unknown): RouteAction | null {
  const where = 'routeRequest answered';
  if (answer === null || answer === undefined) return null;
  const action = object(answer, where, 'a RouteAction or null');
  const { forwardTo } = action;
  refuseMisspelled(action, 'forwardTo');
  if (!isName(forwardTo)) {
    throw invalid(`${where} a route whose forwardTo is ${kindOf(forwardTo)}; give the name of a forward target, or answer null`, 'forwardTo');
  }
  return { forwardTo };
}

/** The action in an answer of `modifyResponse`; null for none. Throws `plugin_result_invalid`. */
export function checkResponseAction(answer: unknown): ResponseAction | null {
  const where = 'modifyResponse answered';
  if (answer === null || answer === undefined) return null;
  const action = object(answer, where, 'a ResponseAction or null');
  const { skipErrorNormalization } = action;
  refuseMisspelled(action, 'skipErrorNormalization');
  if (skipErrorNormalization === undefined) return {};
  if (typeof skipErrorNormalization === 'boolean') return { skipErrorNormalization };
  const detail = `${where} an action whose skipErrorNormalization is ${kindOf(skipErrorNormalization)} instead of true or false`;
  throw invalid(detail, 'skipErrorNormalization');
}

/** The PEM in an answer of `signCsr`. Throws `plugin_result_invalid`. */
export function checkCertificate(answer: unknown): string {
  const where = 'signCsr answered';
  if (typeof answer !== 'string') throw invalid(`${where} ${kindOf(answer)} instead of a certificate in PEM`, 'certificate');
  if (answer.length > LONGEST_CERTIFICATE) throw invalid(`${where} more than ${LONGEST_CERTIFICATE} characters`, 'certificate');
  if (/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/.test(answer)) return answer;
  throw invalid(`${where} ${kindOf(answer)} that holds no certificate in PEM`, 'certificate');
}

/** The names in an answer of `forwardReferences`. Throws `plugin_result_invalid`. */
export function checkForwardReferences(answer: unknown): readonly string[] {
  const where = 'forwardReferences answered';
  if (!Array.isArray(answer)) throw invalid(`${where} ${kindOf(answer)} instead of a list of names`, 'forwardReferences');
  const names: unknown[] = answer;
  const wrong = names.findIndex((name) => !isName(name));
  if (wrong >= 0) throw invalid(`${where} a list whose item ${wrong + 1} is ${kindOf(names[wrong])} instead of a name`, 'forwardReferences');
  return names.filter(isName);
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= LONGEST_FORWARD_NAME;
}

function object(answer: unknown, where: string, expected: string): Readonly<Record<string, unknown>> {
  if (typeof answer === 'object' && answer !== null && !Array.isArray(answer)) return answer as Record<string, unknown>;
  throw invalid(`${where} ${kindOf(answer)}; ${expected} is needed`, 'answer');
}

/** Refuses an answer without `member` that has something which looks like it: what was meant would be ignored. */
function refuseMisspelled(answer: Readonly<Record<string, unknown>>, member: string): void {
  if (answer[member] !== undefined) return;
  const near = Object.keys(answer).find((key) => answer[key] !== undefined && nearestWords(key.replaceAll('_', ''), [member]).length > 0);
  if (near !== undefined) throw invalid(`an answer has a member ${shown(near)}; it is spelled ${member}`, member);
}

function checkHeaders(headers: unknown, where: string): Record<string, string> {
  if (typeof headers !== 'object' || headers === null || Array.isArray(headers)) {
    throw invalid(`${where} a credential whose headers are ${kindOf(headers)} instead of an object of texts`, 'headers');
  }
  if (headers instanceof Headers || headers instanceof Map) {
    throw invalid(
      `${where} a credential whose headers are a ${headers.constructor.name}; give a plain object: Object.fromEntries(headers)`,
      'headers',
    );
  }
  const checked: Record<string, string> = Object.create(null) as Record<string, string>;
  const names = new Set<string>();
  const fields = Object.entries(headers as Record<string, unknown>);
  if (fields.length > MOST_FIELDS) throw invalid(`${where} a credential with more than ${MOST_FIELDS} header fields`, 'headers');
  for (const [name, value] of fields) {
    checkFieldName(where, name);
    checkFieldValue(where, name, value);
    const lower = name.toLowerCase();
    if (names.has(lower)) throw invalid(`${where} a credential that names the header field ${shown(name)} twice`, 'headers');
    names.add(lower);
    checked[name] = value;
  }
  return checked;
}

function checkExpiry(expiresAt: unknown, where: string, now: number): number {
  const of = `${where} a credential whose expiresAt is`;
  if (expiresAt instanceof Date) throw invalid(`${of} a Date; use getTime()`, 'expiresAt');
  if (typeof expiresAt !== 'number') throw invalid(`${of} ${kindOf(expiresAt)} instead of milliseconds since the epoch`, 'expiresAt');
  if (!Number.isFinite(expiresAt)) throw invalid(`${of} ${expiresAt}; for what does not expire use Date.now() + 86_400_000`, 'expiresAt');
  if (expiresAt > now) return expiresAt;
  const seconds = expiresAt > 0 && expiresAt < EARLIEST_IN_MILLISECONDS;
  throw invalid(`${of} ${seconds ? 'in seconds; multiply it by 1000' : 'not in the future'}`, 'expiresAt');
}
