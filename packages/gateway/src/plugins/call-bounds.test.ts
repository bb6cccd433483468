import { SallyportError } from '@sallyport/sdk';
import { describe, expect, test } from 'vitest';
import { type Ending, withinBounds } from './call-bounds.js';

describe('the signal of a call', () => {
  const started = (client: AbortController, timeoutMs = 60_000): { ending: Ending; settled: Promise<unknown> } => {
    let ending: Ending | undefined;
    const settled = withinBounds('getCredentials', { signal: client.signal, timeoutMs }, (own) => {
      ending = own;
      return new Promise<never>(() => {});
    }).catch((error: unknown) => error);
    return { ending: ending as unknown as Ending, settled };
  };

  test('is the same one every time, and aborts with the reason of the client', async () => {
    const client = new AbortController();
    const { ending, settled } = started(client);
    const { signal } = ending;
    expect([signal.aborted, ending.signal === signal]).toEqual([false, true]);
    const reason = new SallyportError('client_aborted');
    client.abort(reason);
    expect(await settled).toBe(reason);
    expect([signal.aborted, signal.reason]).toEqual([true, reason]);
  });

  test('is aborted already for whoever looks only when the call is over', async () => {
    const client = new AbortController();
    const gone = started(client);
    client.abort(new SallyportError('client_aborted'));
    expect(gone.ending.signal.reason).toBe(await gone.settled);
    const late = started(new AbortController(), 1);
    expect(await late.settled).toMatchObject({ code: 'plugin_timeout' });
    expect([late.ending.signal.aborted, late.ending.signal.reason]).toEqual([true, await late.settled]);
  });

  test('stays quiet when the work is done', async () => {
    let ending: Ending | undefined;
    const client = new AbortController();
    const answer = await withinBounds('routeRequest', { signal: client.signal, timeoutMs: 60_000 }, (own) => {
      ending = own;
      return Promise.resolve(7);
    });
    client.abort();
    expect([answer, ending?.signal.aborted]).toEqual([7, false]);
  });
});
