import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { Plugin } from '../index.js';
import { answering, asking, bearer, failing, lengthOf, never, returning, TIMEOUT } from './broken-plugins.test.support.js';
import { type ContractOptions, ContractViolation, verifyContract } from './index.js';

describe('a plugin that breaks the contract in one place', () => {
  let flips = 0;
  const text: unknown = 'no';
  const nothing: unknown = null;
  it.each<[check: string, detail: string, Plugin, ContractOptions?]>([
    ['signCsr refuses an empty request', 'instead of throwing', { signCsr: (csr) => (csr === '' ? 'signed' : Promise.reject(new Error('no'))) }],
    [
      'signCsr refuses what is no certificate request',
      'garbage (1 of',
      { signCsr: (csr) => (csr === '' ? Promise.reject(new Error('no')) : 'signed') },
    ],
    [
      'signCsr refuses what is no certificate request',
      'TypeError',
      { signCsr: (csr) => (csr.startsWith('-') ? String(lengthOf(/no such label/.exec(csr))) : Promise.reject(new Error('no'))) },
    ],
    [
      'signCsr stops when it is told to',
      'still running',
      { signCsr: (_csr, { signal }) => (signal.aborted ? never : Promise.reject(new Error('no'))) },
    ],
    ['signCsr signs the request that was given', 'did not answer', { signCsr: () => Promise.reject(new Error('no')) }, { csr: 'good' }],
    [
      'signCsr signs the request that was given',
      'PEM',
      { signCsr: (csr) => (csr === 'good' ? 'signed' : Promise.reject(new Error('no'))) },
      { csr: 'good' },
    ],

    [
      'modifyResponse takes any response in time',
      'status 500',
      { modifyResponse: (_context, response) => (response?.status === 500 ? sleep(10 * TIMEOUT, null) : null) },
    ],
    [
      'modifyResponse does not crash',
      'TypeError',
      { modifyResponse: (_context, { headers }) => (lengthOf(headers.get('content-type')) > 0 ? null : {}) },
    ],
    [
      'modifyResponse does not crash',
      'TypeError',
      { modifyResponse: async (_context, { body, status }) => (status === 204 && lengthOf((await body.bytes()).find(Boolean)) > 0 ? {} : null) },
    ],
    ['modifyResponse answers an action or null', 'undefined', { modifyResponse: () => undefined as unknown as null }],
    ['modifyResponse answers an action or null', '"skip"', { modifyResponse: () => ({ skip: true }) as object }],
    [
      'modifyResponse answers an action or null',
      'neither true nor false',
      { modifyResponse: () => ({ skipErrorNormalization: 'yes' as unknown as true }) },
    ],
    [
      'modifyResponse leaves a status that can be sent',
      '99',
      { modifyResponse: (_context, response) => (response === null ? null : returning(null, Object.assign(response, { status: 99 }))) },
    ],
    [
      'modifyResponse leaves the context as it is',
      'changed',
      { modifyResponse: (context) => returning(null, Object.assign(context, { vendorId: 'x' })) },
    ],
    [
      'modifyResponse comes to an end without a response',
      'null',
      { modifyResponse: (_context, response) => (response === null ? sleep(10 * TIMEOUT, null) : null) },
    ],
    [
      'modifyResponse stops when it is told to',
      'still running',
      { modifyResponse: (_context, response, { signal }) => (response !== null && signal.aborted ? sleep(10 * TIMEOUT, null) : null) },
    ],

    ['routeRequest answers in time', 'within', { routeRequest: (_context, { signal }) => sleep(60_000, null, { signal }) }],
    ['routeRequest does not crash', 'TypeError', { routeRequest: ({ vendorId }) => (lengthOf(/-/.exec(vendorId)) > 0 ? null : { forwardTo: 'x' }) }],
    ['routeRequest answers a forward target or null', 'empty', { routeRequest: () => ({ forwardTo: '' }) }],
    ['routeRequest answers a forward target or null', 'undefined', { routeRequest: () => undefined as unknown as null }],
    ['routeRequest answers a forward target or null', 'no text forwardTo', { routeRequest: () => 'legacy' as unknown as null }],
    [
      'routeRequest leaves the context as it is',
      'changed',
      { routeRequest: (context) => returning(null, Object.assign(context, { vendorId: 'x' })) },
    ],
    [
      'routeRequest stops when it is told to',
      'still running',
      { routeRequest: (context, { signal }) => (signal.aborted && context.vendorId !== '' ? never : null) },
    ],
    ['routeRequest answers the same for the same context', 'then ', { routeRequest: () => (flips++ % 2 === 0 ? null : { forwardTo: 'legacy' }) }],
    [
      'forwardReferences lists the forward targets',
      'does not name',
      { routeRequest: () => ({ forwardTo: 'legacy' }), forwardReferences: () => ['other'] },
    ],
    ['forwardReferences lists the forward targets', 'array', { routeRequest: () => null, forwardReferences: () => [''] }],
    [
      'forwardReferences lists the forward targets',
      'array',
      {
        routeRequest: () => null,
        forwardReferences: () => {
          throw new Error('no');
        },
      },
    ],
    ['forwardReferences lists the forward targets', 'twice', { routeRequest: () => null, forwardReferences: () => ['a', 'a'] }],

    ['what is thrown is an error', 'type string', asking(() => Promise.reject(text))],
    ['what is thrown is an error', 'signCsr threw null', { signCsr: () => Promise.reject(nothing) }],
    [
      'errors hold no secrets',
      'getCredentials',
      asking(({ vendorId }) => (vendorId === 'test-vendor' ? bearer('token-1') : Promise.reject(new Error('no', { cause: { used: ['token-1'] } })))),
    ],
    [
      'errors hold no secrets',
      'getCredentials',
      asking(({ vendorId }) =>
        vendorId === 'test-vendor'
          ? bearer('', { headers: { Authorization: 'Basic dXNlcjpwYXNzd29yZA==' } })
          : Promise.reject(new Error('not with password')),
      ),
    ],
    [
      'errors hold no secrets',
      'signCsr',
      { signCsr: () => Promise.reject(Object.assign(new Error('no'), { pin: '12345678' })) },
      { secrets: ['12345678'] },
    ],
    [
      'no rejected promise is left behind',
      'await every promise',
      asking(() => returning(bearer('token-1'), void Promise.reject(new Error('stray')))),
    ],
    [
      'no rejected promise is left behind',
      'await every promise',
      {
        signCsr: () => {
          setTimeout(() => {
            throw new Error('stray');
          }, 0);
          throw new Error('no');
        },
      },
    ],
  ])('fails «%s», saying %s', async (check, detail, plugin, options) => {
    const failed = await failing(plugin, options);
    expect(failed.map((text) => text.slice(0, check.length + 2))).toEqual([`${check}: `]);
    expect(failed[0]).toContain(detail);
    expect(failed[0]).not.toMatch(/token-|dXNl/);
  });

  it('is told of every check at once', async () => {
    const error: unknown = await verifyContract(answering(bearer(' ', { expiresAt: 0 }))).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ContractViolation);
    const { message, errors } = error as ContractViolation;
    expect(errors).toHaveLength(2);
    expect(message).toMatch(
      /^2 of \d+ checks failed:\n- a credential expires in the future: .*\n- a credential has header fields that can be sent: .*$/,
    );
  });
});
