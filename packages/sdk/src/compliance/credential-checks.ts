import type { Credential } from '../plugin.js';
import type { TransactionFields } from '../transaction-context.js';
import { expiryProblem, fieldProblem, isReserved } from './field-rules.js';
import { type Check, callName, type Kit, type Trial } from './kit.js';

/** What is asked of one answer of `getCredentials`. */
export function credentialChecks(kit: Kit): readonly Check[] {
  /** Fails with what `problemOf` says about the first call that it says anything about. */
  const forEachCall = (name: string, problemOf: (trial: Trial) => string | null): Check => ({
    name,
    async run() {
      for (const fields of kit.contexts) {
        const problem = problemOf(await kit.ask(fields));
        if (problem !== null) throw new Error(`${callName(kit, fields)}: ${problem}`);
      }
    },
  });
  const forEachCredential = (name: string, problemOf: (credential: Credential, trial: Trial) => string | null): Check =>
    forEachCall(name, (trial) => {
      const credential = credentialOf(trial);
      return credential === null ? null : problemOf(credential, trial);
    });
  return [
    forEachCall('getCredentials answers in time', ({ outcome }) =>
      outcome.kind === 'timeout' ? `there was no answer within ${kit.timeout} ms` : null,
    ),
    ...(kit.isGiven ? [forEachCall('getCredentials answers the calls that it knows', refusalOf)] : []),
    forEachCall('getCredentials answers a credential or null', ({ outcome }) => (outcome.kind === 'answer' ? shapeProblem(outcome.value) : null)),
    forEachCredential('a credential expires in the future', ({ expiresAt }) => expiryProblem(expiresAt, Date.now())),
    forEachCredential('a credential has header fields that can be sent', ({ headers }) => headersProblem(headers)),
    forEachCredential('a credential leaves alone the header fields of the gateway', ({ headers }) => {
      const name = Object.keys(headers).find(isReserved);
      return name === undefined ? null : `it sets ${name}, which frames the message or belongs to the connection`;
    }),
    forEachCredential('getCredentials answers a credential or changes the request, not both', (_credential, { request }) =>
      request.wasChanged() ? 'it did both; the change is lost as soon as the credential comes from the cache' : null,
    ),
    forEachCall('getCredentials changes only what may be changed in a request', ({ request }) => {
      if (request.wasRedirected()) return 'it changed scheme, user, host, port or fragment of the target; only path and query are its own';
      if (request.body.wasTamperedWith()) return 'it wrote into the bytes of the body, which changes nothing; hand the new ones to body.replace';
      const name = request.changedFields().find(isReserved);
      return name === undefined ? null : `it set ${name}, which frames the message or belongs to the connection`;
    }),
    forEachCall('getCredentials leaves the context as it is', ({ changedContext }) => (changedContext ? 'it changed the context' : null)),
    dependsOnContextOnly(kit),
  ];
}

/** The credential that was answered, if it was one by its shape; null otherwise. */
export function credentialOf({ outcome }: Pick<Trial, 'outcome'>): Credential | null {
  return outcome.kind === 'answer' && shapeProblem(outcome.value) === null ? outcome.value : null;
}

/** A credential without its expiry, as a text that can be compared. */
export function headersText({ headers }: Credential): string {
  return JSON.stringify(Object.entries(headers).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function refusalOf({ outcome }: Trial): string | null {
  if (outcome.kind !== 'error') return null;
  return 'it threw instead, although this call is one of those that it was said to know; call it yourself to see the error';
}

function shapeProblem(answer: unknown): string | null {
  if (answer === null) return null;
  if (answer === undefined) return 'it answered undefined; answer null when there is no credential to keep';
  if (typeof answer !== 'object') return `it answered something of type ${typeof answer}`;
  const { headers } = answer as Partial<Credential>;
  if (typeof headers !== 'object' || headers === null) return 'its answer has no object headers';
  if (headers instanceof Headers || headers instanceof Map || Array.isArray(headers)) return 'headers is no plain object; use Object.fromEntries';
  return 'expiresAt' in answer ? null : 'its answer has no expiresAt';
}

function headersProblem(headers: Credential['headers']): string | null {
  const names = Object.keys(headers);
  if (names.length === 0) return 'headers is empty; answer null when there is nothing to add';
  const twice = names.find((name, i) => names.findIndex((other) => other.toLowerCase() === name.toLowerCase()) !== i);
  if (twice !== undefined) return `${twice} is there twice, in different case`;
  return names.map((name) => fieldProblem(name, headers[name])).find((problem) => problem !== null) ?? null;
}

/** A kept credential goes to every call with the same context, whatever its request and its trace id. */
function dependsOnContextOnly(kit: Kit): Check {
  return {
    name: 'a credential depends on nothing but the context',
    async run() {
      for (const fields of kit.contexts) {
        const first = await valuesOf(kit, fields);
        // A token may be minted anew for every call. Only from values that stay can be told what changes them.
        if (first === null || first !== (await valuesOf(kit, fields))) continue;
        if (first !== (await valuesOf(kit, { ...fields, traceId: 'trace-99999999' }))) {
          throw new Error(`${callName(kit, fields)}: the credential changes with the trace id, but is kept for calls with other ones`);
        }
        if (first !== (await valuesOf(kit, fields, true))) {
          throw new Error(
            `${callName(kit, fields)}: the credential changes with the request, but is kept for others; change the request and answer null`,
          );
        }
      }
    },
  };
}

async function valuesOf(kit: Kit, fields: TransactionFields, isOther = false): Promise<string | null> {
  const request = isOther ? kit.requestFor(fields, { method: 'PUT', headers: { 'x-other': 'yes' }, body: '{"quantity":2}' }) : kit.requestFor(fields);
  const credential = credentialOf(await kit.ask(fields, request));
  return credential === null ? null : headersText(credential);
}
