import { TransactionContext } from '@sallyport/sdk';
import { expect, test } from 'vitest';
import { createPluginHost } from '../plugins/create-plugin-host.js';
import { measuredHost } from './measured-host.js';

test('every call is told of once it has ended, and answers as before', async () => {
  const host = await createPluginHost({
    plugin: { routeRequest: () => ({ forwardTo: 'a' }), signCsr: () => Promise.reject(new Error('no')), forwardReferences: () => ['a'] },
    folder: process.cwd(),
    options: {},
    loadTimeoutMs: 10_000,
    timeoutMs: 10_000,
    bodyLimit: 1_024,
    isolation: 'inline',
    onTrouble: () => {},
  });
  const calls: [string, string][] = [];
  const measured = measuredHost(host, (method, result, durationMs) => {
    expect(durationMs).toBeGreaterThanOrEqual(0);
    calls.push([method, result]);
  });
  const { signal } = new AbortController();
  expect(measured).toMatchObject({ name: host.name, methods: host.methods, forwardReferences: ['a'] });
  expect(await measured.routeRequest(new TransactionContext({ targetUrl: 'https://a.test/' }), signal)).toEqual({ forwardTo: 'a' });
  await expect(measured.signCsr('csr', signal)).rejects.toMatchObject({ code: 'plugin_failed' });
  expect(calls).toEqual([
    ['routeRequest', 'answered'],
    ['signCsr', 'failed'],
  ]);
  await measured.close();
});
