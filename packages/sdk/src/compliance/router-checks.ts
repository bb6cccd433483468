import type { RequestRouter, RouteAction } from '../plugin.js';
import type { TransactionFields } from '../transaction-context.js';
import { type Check, callName, contextOf, emptyContext, fullContext, type Kit } from './kit.js';
import { isCrash, type Outcome, settle } from './outcome.js';
import { stopCheck } from './stop-check.js';

/** What is asked of `routeRequest` and `forwardReferences`. */
export function requestRouterChecks(kit: Kit, router: RequestRouter): readonly Check[] {
  const calls = [...kit.contexts, emptyContext, { ...fullContext, vendorId: 'no-such-vendor', data: { TenantID: 42 } }];
  const forEachCall = (name: string, problemOf: (outcome: Outcome<RouteAction | null>, changedContext: boolean) => string | null): Check => ({
    name,
    async run() {
      for (const fields of calls) {
        const { outcome, changedContext } = await kit.route(fields);
        const problem = problemOf(outcome, changedContext);
        if (problem !== null) throw new Error(`${callName(kit, fields)}: ${problem}`);
      }
    },
  });
  return [
    forEachCall('routeRequest answers in time', ({ kind }) => (kind === 'timeout' ? `there was no answer within ${kit.timeout} ms` : null)),
    forEachCall('routeRequest does not crash', (outcome) =>
      outcome.kind === 'error' && isCrash(outcome.error) ? `it crashed (${outcome.error.name})` : null,
    ),
    forEachCall('routeRequest answers a forward target or null', (outcome) => (outcome.kind === 'answer' ? actionProblem(outcome.value) : null)),
    forEachCall('routeRequest leaves the context as it is', (_outcome, changedContext) => (changedContext ? 'it changed the context' : null)),
    stopCheck('routeRequest', (signal) => router.routeRequest(contextOf(calls[0]), { signal }), kit.timeout),
    { name: 'routeRequest answers the same for the same context', run: () => sameEveryTime(kit, calls) },
    { name: 'forwardReferences lists the forward targets', run: () => listsTargets(kit, router, calls) },
  ];
}

/** One after the other, and many at once. */
async function sameEveryTime(kit: Kit, calls: readonly TransactionFields[]): Promise<void> {
  for (const fields of calls) {
    const first = targetOf((await kit.route(fields)).outcome);
    const others = await Promise.all(Array.from({ length: 8 }, () => kit.route(fields)));
    const other = others.map(({ outcome }) => targetOf(outcome)).find((target) => target !== first);
    if (other !== undefined) throw new Error(`${callName(kit, fields)}: it answered ${first}, then ${other}`);
  }
}

async function listsTargets(kit: Kit, router: RequestRouter, calls: readonly TransactionFields[]): Promise<void> {
  // A router without it is not checked against the configuration at start; that is its own choice.
  if (router.forwardReferences === undefined) return;
  const listed = await settle(() => router.forwardReferences?.(), kit.timeout);
  const names: unknown = listed.kind === 'answer' ? listed.value : null;
  if (!Array.isArray(names) || !names.every((name) => typeof name === 'string' && name !== '')) {
    throw new Error('forwardReferences did not answer an array of texts that are not empty');
  }
  if (new Set(names).size !== names.length) throw new Error('forwardReferences names a target twice');
  for (const fields of calls) {
    const { outcome } = await kit.route(fields);
    if (outcome.kind !== 'answer' || actionProblem(outcome.value) !== null || outcome.value === null) continue;
    if (names.includes(outcome.value.forwardTo)) continue;
    throw new Error(
      `${callName(kit, fields)}: routeRequest answered ${JSON.stringify(outcome.value.forwardTo)}, which forwardReferences does not name`,
    );
  }
}

function targetOf(outcome: Outcome<RouteAction | null>): string {
  if (outcome.kind !== 'answer') return 'an error';
  return outcome.value === null ? 'null' : `the target ${JSON.stringify(outcome.value?.forwardTo)}`;
}

function actionProblem(answer: unknown): string | null {
  if (answer === null) return null;
  if (answer === undefined) return 'it answered undefined; answer null when the vendor is to be called';
  const forwardTo: unknown = typeof answer === 'object' ? (answer as Partial<RouteAction>).forwardTo : undefined;
  if (typeof forwardTo !== 'string') return 'its answer has no text forwardTo';
  return forwardTo === '' ? 'forwardTo is empty; answer null when the vendor is to be called' : null;
}
