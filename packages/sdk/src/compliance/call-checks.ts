import { TransactionContext, type TransactionFields } from '../transaction-context.js';
import { credentialOf, headersText } from './credential-checks.js';
import { type Check, callName, contextOf, emptyContext, fullContext, type Kit, type Trial } from './kit.js';
import { isCrash } from './outcome.js';
import { stopCheck } from './stop-check.js';

/** What is asked of several calls of `getCredentials`, and of calls that nobody wishes for. */
export function callChecks(kit: Kit): readonly Check[] {
  const first = kit.contexts[0] ?? fullContext;
  return [
    stopCheck('getCredentials', (signal) => kit.plugin.getCredentials?.(contextOf(first), kit.requestFor(first), { signal }), kit.timeout),
    {
      name: 'getCredentials takes a call that says nothing',
      run: () => mustNotCrash(kit, [emptyContext, { targetUrl: 'https://unknown.invalid/', vendorId: 'no-such-vendor' }]),
    },
    { name: 'getCredentials takes context data of any type', run: async () => mustNotCrash(kit, await oddCalls(kit)) },
    {
      name: 'getCredentials answers the same for the same context',
      async run() {
        for (const fields of kit.contexts) {
          const [one, other] = [await kit.ask(fields), await kit.ask(fields)];
          const problem = difference(answerKind(one), answerKind(other));
          if (problem !== null) throw new Error(`${callName(kit, fields)}: ${problem}`);
        }
      },
    },
    {
      name: 'getCredentials may be called again with the same request',
      async run() {
        for (const fields of kit.contexts) {
          const request = kit.requestFor(fields);
          const [one, other] = [await kit.ask(fields, request), await kit.ask(fields, request)];
          const problem = difference(answerKind(one), answerKind(other));
          if (problem !== null) throw new Error(`${callName(kit, fields)}: ${problem}, as for a call that is tried again`);
        }
      },
    },
    { name: 'getCredentials may be called many times at once', run: () => sameTogether(kit) },
  ];
}

/**
 * Calls with context data whose fields, as far as the plugin looks at them, hold what no plugin expects. Which fields those are is found out by
 * watching.
 */
export async function oddCalls(kit: Kit): Promise<readonly TransactionFields[]> {
  const base = kit.contexts[0] ?? fullContext;
  const fields = await fieldsReadBy(kit, base);
  const values = [42, 0.5, true, null, '', [], ['text'], {}, { deep: { deeper: [] } }, 'x'.repeat(10_000), '../..', '\n\0'];
  const single = fields.flatMap((field) => values.map((value) => ({ ...base, data: { ...base.data, [field]: value } })));
  return [
    { ...base, data: {} },
    { ...base, data: null },
    { ...base, data: JSON.parse('{"__proto__":{"a":1}}') as Record<string, unknown> },
    ...single,
  ];
}

async function fieldsReadBy(kit: Kit, base: TransactionFields): Promise<readonly string[]> {
  const seen = new Set<string>(Object.keys(base.data ?? {}));
  const note = (name: string | symbol): void => {
    // So many are enough, and a plugin that looks for ever does not make the kit run for ever.
    if (typeof name === 'string' && name !== 'toJSON' && seen.size < 20) seen.add(name);
  };
  const data = new Proxy<Record<string, unknown>>(
    {},
    {
      get(target, name, receiver) {
        note(name);
        return Reflect.get(target, name, receiver) as unknown;
      },
      has(target, name) {
        note(name);
        return Reflect.has(target, name);
      },
      getOwnPropertyDescriptor(target, name) {
        note(name);
        return Reflect.getOwnPropertyDescriptor(target, name);
      },
    },
  );
  await kit.ask(base, kit.requestFor(base), new TransactionContext({ ...base, data }));
  return [...seen];
}

async function mustNotCrash(kit: Kit, calls: readonly TransactionFields[]): Promise<void> {
  for (const fields of calls) {
    const { outcome } = await kit.ask(fields);
    if (outcome.kind !== 'error' || !isCrash(outcome.error)) continue;
    throw new Error(
      `it crashed (${outcome.error.name}) with the context data ${shown(fields)}; throw an error that says what is missing, as context.dataString does`,
    );
  }
}

function shown({ data }: TransactionFields): string {
  const text = JSON.stringify(data ?? null);
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}

/** What an answer is, without what may be new every time; null when there was none. */
function answerKind(trial: Trial): string | null {
  const { outcome } = trial;
  if (outcome.kind === 'timeout') return null;
  if (outcome.kind === 'error') return 'an error';
  const credential = credentialOf(trial);
  if (credential === null) return 'no credential';
  const names = Object.keys(credential.headers).map((name) => name.toLowerCase());
  return `a credential with ${names.sort((a, b) => (a < b ? -1 : 1)).join(', ')}`;
}

function difference(first: string | null, second: string | null): string | null {
  return first === null || second === null || first === second ? null : `it answered ${first}, then ${second}`;
}

/** What calls answer one after the other, they have to answer together. */
async function sameTogether(kit: Kit): Promise<void> {
  const alone: { fields: TransactionFields; kind: string | null; values: string | null }[] = [];
  for (const fields of kit.contexts) {
    const trials = [await kit.ask(fields), await kit.ask(fields)];
    const [first, second] = trials.map((trial) => {
      const credential = credentialOf(trial);
      return credential === null ? null : headersText(credential);
    });
    alone.push({ fields, kind: answerKind(trials[1]), values: first === second ? first : null });
  }
  const many = Array.from({ length: 8 }, () => alone).flat();
  const together = await Promise.all(many.map(async (expected) => ({ expected, trial: await kit.ask(expected.fields) })));
  for (const { expected, trial } of together) {
    const problem = difference(expected.kind, answerKind(trial));
    if (problem !== null) throw new Error(`${callName(kit, expected.fields)}: ${problem} among calls at the same time`);
    const credential = credentialOf(trial);
    if (credential === null || expected.values === null || headersText(credential) === expected.values) continue;
    throw new Error(`${callName(kit, expected.fields)}: among calls at the same time it got another credential than alone`);
  }
}
