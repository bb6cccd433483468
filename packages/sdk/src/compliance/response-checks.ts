import type { MutableResponse, ResponseModifier } from '../plugin.js';
import type { Check, Kit } from './kit.js';
import { contextOf, fullContext } from './kit.js';
import { isCrash, type Outcome, settle } from './outcome.js';
import { probeResponse } from './probes.js';
import { stopCheck } from './stop-check.js';

/** What is asked of `modifyResponse`. */
export function responseChecks(kit: Kit, modifier: ResponseModifier): readonly Check[] {
  const fields = kit.contexts[0] ?? fullContext;
  const { timeout } = kit;
  const modify = async (response: MutableResponse): Promise<{ outcome: Outcome<unknown>; changedContext: boolean }> => {
    const context = contextOf(fields);
    const before = JSON.stringify(context);
    const outcome = await settle(() => modifier.modifyResponse(context, response, { signal: AbortSignal.timeout(timeout) }), timeout);
    return { outcome, changedContext: JSON.stringify(context) !== before };
  };
  const forEachResponse = (name: string, problemOf: (outcome: Outcome<unknown>, response: MutableResponse) => string | null): Check => ({
    name,
    async run() {
      for (const response of responses()) {
        const { status } = response;
        const problem = problemOf((await modify(response)).outcome, response);
        if (problem !== null) throw new Error(`at a response of status ${status}: ${problem}`);
      }
    },
  });
  return [
    forEachResponse('modifyResponse takes any response in time', ({ kind }) =>
      kind === 'timeout' ? `there was no answer within ${timeout} ms` : null,
    ),
    forEachResponse('modifyResponse does not crash', (outcome) =>
      outcome.kind === 'error' && isCrash(outcome.error) ? `it crashed (${outcome.error.name})` : null,
    ),
    forEachResponse('modifyResponse answers an action or null', (outcome) => (outcome.kind === 'answer' ? actionProblem(outcome.value) : null)),
    forEachResponse('modifyResponse leaves a status that can be sent', (_outcome, { status }) =>
      Number.isInteger(status) && status >= 200 && status <= 599 ? null : `it set the status to ${String(status)}`,
    ),
    {
      name: 'modifyResponse leaves the context as it is',
      async run() {
        for (const response of responses()) if ((await modify(response)).changedContext) throw new Error('it changed the context');
      },
    },
    {
      // An error is as good an answer to nonsense as any; only an end there has to be.
      name: 'modifyResponse comes to an end without a response',
      async run() {
        const { outcome } = await modify(null as unknown as MutableResponse);
        if (outcome.kind === 'timeout') throw new Error(`there was no answer to a response of null within ${timeout} ms`);
      },
    },
    stopCheck('modifyResponse', (signal) => modifier.modifyResponse(contextOf(fields), responses()[0], { signal }), timeout),
  ];
}

/** One of each kind: plain, redirecting, empty, broken, compressed, not what it says it is. */
function responses(): readonly [MutableResponse, ...MutableResponse[]] {
  const text = (body: string): Uint8Array => new TextEncoder().encode(body);
  return [
    probeResponse(200, { 'content-type': 'application/json' }, text('{"items":[]}')),
    probeResponse(204, {}, new Uint8Array()),
    probeResponse(302, { location: 'https://elsewhere.invalid/' }, new Uint8Array()),
    probeResponse(404, { 'content-type': 'text/html' }, text('<h1>Not found</h1>')),
    probeResponse(429, { 'retry-after': '1' }, new Uint8Array()),
    probeResponse(500, { 'content-type': 'application/json' }, text('{"error":')),
    probeResponse(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' }, Uint8Array.of(0x1f, 0x8b, 8, 0)),
    probeResponse(200, { 'content-type': 'application/octet-stream' }, Uint8Array.of(0, 255, 254)),
  ];
}

function actionProblem(answer: unknown): string | null {
  if (answer === null) return null;
  if (answer === undefined) return 'it answered undefined; answer null when there is nothing to ask for';
  if (typeof answer !== 'object') return `it answered something of type ${typeof answer}`;
  const stranger = Object.keys(answer).find((name) => name !== 'skipErrorNormalization');
  if (stranger !== undefined) return `its answer has a member ${JSON.stringify(stranger)}, which nobody reads`;
  const { skipErrorNormalization: skips } = answer as { skipErrorNormalization?: unknown };
  return skips === undefined || typeof skips === 'boolean' ? null : 'skipErrorNormalization is neither true nor false';
}
