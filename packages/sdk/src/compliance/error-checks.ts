import { inspect } from 'node:util';
import type { MutableResponse, Plugin } from '../plugin.js';
import { oddCalls } from './call-checks.js';
import { credentialOf } from './credential-checks.js';
import { garbageRequests } from './csr-samples.js';
import { type Check, contextOf, emptyContext, fullContext, type Kit } from './kit.js';
import { endsAfterAbort } from './outcome.js';
import { watchingForStrays } from './strays.js';

/** What is asked of the errors of a plugin, whichever of its methods they come from. */
export function errorChecks(kit: Kit): readonly Check[] {
  return [
    {
      name: 'what is thrown is an error',
      async run() {
        for (const { method, error } of await provokedErrors(kit)) {
          if (error instanceof Error) continue;
          throw new Error(`${method} threw ${error === null ? 'null' : `something of type ${typeof error}`}; throw an Error or a SallyportError`);
        }
      },
    },
    {
      name: 'errors hold no secrets',
      async run() {
        const secrets = [...kit.secrets, ...(await answeredSecrets(kit))];
        for (const { method, error } of await provokedErrors(kit)) {
          // Message, stack, members and causes: whatever a log might print.
          const text = inspect(error, { depth: 8, maxStringLength: null });
          if (secrets.some((secret) => text.includes(secret)))
            throw new Error(`an error of ${method} holds a secret in its text, its members or its causes`);
        }
      },
    },
  ];
}

/** Asks that nothing goes wrong behind the back of whoever calls: in this check, or in any that was run before it. */
export function strayCheck(kit: Kit): Check {
  return {
    name: 'no rejected promise is left behind',
    async run() {
      await watchingForStrays(async () => {
        await provokedErrors(kit);
        for (const { call } of callsOf(kit.plugin)) await endsAfterAbort(call, kit.timeout, false);
      }, kit.strays);
      if (kit.strays.length === 0) return;
      throw new Error(
        'a promise was rejected, or a timer threw, and nobody was there to see it; that ends a process: await every promise, or catch it',
      );
    },
  };
}

interface Provoked {
  readonly method: string;
  readonly error: unknown;
}

/** The errors that a plugin throws at calls that it cannot serve. */
async function provokedErrors(kit: Kit): Promise<readonly Provoked[]> {
  const found: Provoked[] = [];
  if (kit.plugin.getCredentials !== undefined) {
    for (const fields of [...kit.contexts, emptyContext, { ...fullContext, vendorId: 'no-such-vendor' }, ...(await oddCalls(kit))]) {
      const { outcome } = await kit.ask(fields);
      if (outcome.kind === 'error') found.push({ method: 'getCredentials', error: outcome.error });
    }
  }
  for (const { method, call } of callsOf(kit.plugin)) {
    const outcome = await endsAfterAbort(call, kit.timeout, true);
    if (outcome.kind === 'error') found.push({ method, error: outcome.error });
  }
  return found;
}

interface Call {
  readonly method: string;
  readonly call: (signal: AbortSignal) => unknown;
}

/** A call of each other method, with arguments that it cannot like. */
function callsOf(plugin: Plugin): readonly Call[] {
  const context = contextOf(emptyContext);
  const calls: Call[] = [];
  if (plugin.signCsr !== undefined) {
    calls.push({ method: 'signCsr', call: (signal) => plugin.signCsr?.(garbageRequests[0], { signal }) });
  }
  if (plugin.modifyResponse !== undefined) {
    const response = null as unknown as MutableResponse;
    calls.push({ method: 'modifyResponse', call: (signal) => plugin.modifyResponse?.(context, response, { signal }) });
  }
  if (plugin.routeRequest !== undefined) {
    calls.push({ method: 'routeRequest', call: (signal) => plugin.routeRequest?.(context, { signal }) });
  }
  return calls;
}

/** The values of all credentials that the plugin answers, and the tokens in them. Short words are none. */
async function answeredSecrets(kit: Kit): Promise<readonly string[]> {
  const texts: string[] = [];
  for (const fields of kit.contexts) {
    const credential = credentialOf(await kit.ask(fields));
    if (credential === null) continue;
    for (const value of Object.values(credential.headers)) {
      if (typeof value !== 'string') continue;
      const [scheme, token = ''] = value.split(' ', 2);
      texts.push(value, token);
      if (scheme.toLowerCase() === 'basic') texts.push(...decoded(token).split(':'));
    }
  }
  return texts.filter((text) => text.length >= 6);
}

function decoded(base64: string): string {
  return Buffer.from(base64, 'base64').toString('latin1');
}
