import { type Credential, type Plugin, SallyportError } from '@sallyport/sdk';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Response } from '../../testing/message-reader.test.support.js';
import { problem, stopEverything } from '../../testing/scene.test.support.js';
import { echo, reply } from '../../testing/scripted-upstream.test.support.js';
import { type Contract, type ContractRequest, contract, stopContracts } from './contract-scene.test.support.js';

const SECRET = 'sk-test-51Hx8CcKj9mQpLr7T';
const failing = (code: 'plugin_timeout' | 'mapping_not_found' | 'token_endpoint_unavailable') => (): never => {
  throw new SallyportError(code);
};

/** What the plugin does, by the vendor that the platform names. */
const acts: Readonly<Record<string, () => Credential | null | Promise<Credential | null>>> = {
  throws: () => {
    throw new Error(`it failed with ${SECRET}`);
  },
  rejects: () => Promise.reject(new TypeError(SECRET)),
  'throws nothing': () => new Promise((_, reject) => setImmediate(reject)),
  hangs: () => new Promise(() => {}),
  'says timeout': failing('plugin_timeout'),
  'knows no mapping': failing('mapping_not_found'),
  'got no token': failing('token_endpoint_unavailable'),
  nonsense: () => 42 as unknown as Credential,
  'has no headers': () => ({ expiresAt: 1 }) as unknown as Credential,
  'is expired': () => ({ headers: { 'X-Key': 'k' }, expiresAt: 1 }),
};
const plugin: Plugin = {
  getCredentials: (context) => acts[context.vendorId]?.() ?? null,
  routeRequest(context) {
    if (context.vendorId === 'router fails') throw new Error(SECRET);
    return context.vendorId === 'nowhere' ? { forwardTo: 'nowhere' } : null;
  },
};

let scene: Contract;
beforeAll(async () => {
  scene = await contract({
    plugin,
    keys: { 'upstream.timeouts.plugin': '250ms', 'upstream.timeouts.read': '250ms', 'upstream.timeouts.connect': '2s' },
  });
});
afterAll(async () => {
  await stopContracts();
  await stopEverything();
});

const TIMING = /^plugin;dur=\d+\.\d\d, upstream;dur=\d+\.\d\d, overhead;dur=\d+\.\d\d$/;

/** Every refusal is one form, where there are two and plain text: status and `error` are kept, and say so as JSON. */
function expectRefusal(response: Response, status: number, error: string, code: unknown): void {
  expect([response.status, problem(response)]).toMatchObject([status, { status, error, code }]);
  expect(response.field('Content-Type')).toBe('application/problem+json');
  expect(response.field('Server-Timing')).toMatch(TIMING);
  expect(response.field('Connect-Request-ID')).toBe(problem(response).request_id);
  expect(response.body.toString()).not.toContain(SECRET);
}

const as = (vendor: string): ContractRequest => ({ lines: [`X-Connect-Vendor-ID: ${vendor}`] });

describe('the matrix', () => {
  test.each<[string, string | null, ContractRequest, number, string, unknown]>([
    ['no target header', null, {}, 400, 'missing Target-URL header', 'target_missing'],
    ['malformed', 'nonsense', {}, 400, 'invalid target URL', 'target_invalid'],
    ['bad port', 'https://vendor.test:0/', {}, 400, 'invalid target URL', 'target_invalid'],
    ['bad scheme', 'ftp://vendor.test/', {}, 400, 'invalid target URL', 'target_invalid'],
    ['traversal', 'https://vendor.test/a/../b', {}, 400, 'invalid target URL', 'target_path_ambiguous'],
    ['host denial', 'https://unlisted.test/', {}, 403, 'host not allowed', 'policy_denied'],
    ['bad Context-Data', '/', { lines: ['X-Connect-Context-Data: !'] }, 400, 'invalid Context-Data', 'context_data_invalid'],
    ['http target', 'http://vendor.test/', {}, 400, 'HTTPS required: insecure HTTP target URLs are not allowed', 'insecure_target'],
    ['plugin error', '/', as('throws'), 500, 'Internal Server Error', 'plugin_failed'],
    ['plugin error that is a promise', '/', as('rejects'), 500, 'Internal Server Error', 'plugin_failed'],
    ['panic', '/', as('throws nothing'), 500, 'Internal Server Error', 'plugin_failed'],
    ['plugin error that says what it is', '/', as('knows no mapping'), 500, 'Internal Server Error', 'mapping_not_found'],
    ['plugin without a token', '/', as('got no token'), 500, 'Internal Server Error', 'token_endpoint_unavailable'],
    ['router error', '/', as('router fails'), 500, 'Internal Server Error', 'plugin_failed'],
    ['plugin answer that is no credential', '/', as('nonsense'), 500, 'Internal Server Error', 'plugin_result_invalid'],
    ['credential without headers, which passes there', '/', as('has no headers'), 500, 'Internal Server Error', 'plugin_result_invalid'],
    ['credential that has expired, which passes there', '/', as('is expired'), 500, 'Internal Server Error', 'plugin_result_invalid'],
    ['plugin deadline', '/', as('says timeout'), 504, 'Gateway Timeout', 'plugin_timeout'],
    ['plugin that ignores its deadline, which is waited for there', '/', as('hangs'), 504, 'Gateway Timeout', 'plugin_timeout'],
    ['unknown forward target', '/', as('nowhere'), 500, 'internal configuration error', 'forward_target_unknown'],
  ])('%s', async (_, target, request, status, error, code) => {
    const connected = scene.vendor.requests.length;
    expectRefusal(await scene.call(target, request), status, error, code);
    expect(scene.vendor.requests).toHaveLength(connected);
  });

  test('empty list: it does not start', async () => {
    await expect(contract({ keys: { 'upstream.allow_list': {} } })).rejects.toMatchObject({ code: 'config_invalid' });
  });

  test('the platform breaks off while the plugin works: no answer, and the plugin is told when its time is up', async () => {
    let told = (): void => {};
    const aborted = new Promise<void>((resolve) => {
      told = resolve;
    });
    let asked = (): void => {};
    const working = new Promise<void>((resolve) => {
      asked = resolve;
    });
    const patient = await contract({
      // A client that closes only its own half may still read the answer; there, that ends the call too.
      keys: { 'server.tls': { enabled: false }, 'upstream.timeouts.plugin': '2s' },
      plugin: {
        getCredentials(_context, _request, { signal }) {
          asked();
          signal.addEventListener('abort', told);
          return new Promise(() => {});
        },
      },
    });
    const client = await patient.client();
    client.write(`GET /proxy HTTP/1.1\r\nHost: s\r\nX-Connect-Target-URL: ${patient.origin}/\r\n\r\n`);
    await working;
    client.reset();
    expect(await patient.recorded(1)).toMatchObject({ status: 0, outcome: 'aborted', error: 'client_aborted' });
    // Not before: somebody else could be waiting for the same credentials.
    await aborted;
  });

  test('vendor not there', async () => {
    const gone = await contract();
    await gone.vendor.stop();
    expectRefusal(await gone.call('/'), 502, 'Bad Gateway', 'upstream_refused');
  });

  test('vendor without an address', async () => {
    const lost = await contract({ keys: { 'upstream.allow_list': { 'no-such-name.invalid': ['/**'] } } });
    expectRefusal(await lost.call('https://no-such-name.invalid/'), 502, 'Bad Gateway', 'upstream_dns_failed');
  });

  test('vendor whose answer does not begin in time', async () => {
    scene.vendor.script = () => new Promise(() => {});
    expectRefusal(await scene.call('/'), 502, 'Bad Gateway', 'upstream_response_timeout');
    scene.vendor.script = echo;
  });

  test('vendor that closes without an answer', async () => {
    scene.vendor.script = (_, socket) => void socket.destroy();
    expectRefusal(await scene.call('/', { method: 'POST', body: 'x' }), 502, 'Bad Gateway', 'upstream_reset');
    scene.vendor.script = echo;
  });

  test('vendor that speaks something else', async () => {
    scene.vendor.script = (_, socket) => void socket.end('SSH-2.0-OpenSSH\r\n\r\n');
    expectRefusal(await scene.call('/'), 502, 'Bad Gateway', 'upstream_response_malformed');
    scene.vendor.script = echo;
  });

  test.each([200, 201, 206, 301, 399])('vendor %i: as the vendor says', async (status) => {
    scene.vendor.script = (_, socket) => void socket.write(reply(status, 'theirs', ['Content-Type: text/x', 'X-Theirs: y']));
    const response = await scene.call('/');
    expect([response.status, response.body.toString(), response.field('Content-Type'), response.field('X-Theirs')]).toEqual([
      status,
      'theirs',
      'text/x',
      'y',
    ]);
  });

  test.each([204, 304])('vendor %i: without a body, and the connection goes on', async (status) => {
    scene.vendor.script = (_, socket) => void socket.write(`HTTP/1.1 ${status} Fine\r\nETag: "e"\r\n\r\n`);
    const client = await scene.client();
    for (let i = 0; i < 2; i++) {
      const response = await client.request('GET /proxy HTTP/1.1', ['Host: s', `X-Connect-Target-URL: ${scene.origin}/`]);
      expect([response.status, response.field('ETag'), response.field('Content-Length')]).toEqual([status, '"e"', undefined]);
    }
  });

  test('vendor 103, then 200', async () => {
    scene.vendor.script = (_, socket) => void socket.write(`HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${reply(200, 'ok')}`);
    const response = await scene.call('/');
    expect([response.status, response.interim.map(({ startLine }) => startLine)]).toEqual([200, ['HTTP/1.1 103 Early Hints']]);
  });
});

test('one plugin call that fails harms its own request only', async () => {
  scene.vendor.script = echo;
  const vendors = ['throws', 'hangs', 'fine', 'nonsense', 'fine', 'throws nothing'];
  const statuses = await Promise.all(vendors.map(async (vendor) => (await scene.call('/', as(vendor))).status));
  expect(statuses).toEqual([500, 504, 200, 500, 200, 500]);
});

test('why a plugin failed is in the log, without the secret', async () => {
  const before = (await scene.log()).length;
  await scene.call('/', { lines: ['X-Connect-Vendor-ID: throws', 'Connect-Request-ID: to-be-found'] });
  const log = (await scene.log()).slice(before);
  expect(log).toContain('"plugin_failed"');
  expect(log).toContain('to-be-found');
  expect(log).not.toContain(SECRET);
});
