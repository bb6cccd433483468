import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Response } from '../testing/message-reader.test.support.js';
import { rawClient } from '../testing/raw-client.test.support.js';
import { plainScene, problem, type Scene, stopEverything } from '../testing/scene.test.support.js';
import { echo } from '../testing/scripted-upstream.test.support.js';

let scene: Scene;
/** The rules under which all of this runs; `PORT` is the one of the upstream. */
const rules = (mode: string): string => `
policy:
  mode: ${mode}
  rules:
    - allow api.test:* GET /allowed/** to 127.0.0.1
    - deny api.test:* * /allowed/but-not-this
    - allow localhost:*
    - allow metadata.test:*
    - allow "*.wild.test:*"
    - allow other.test:* to 127.0.0.1
    - deny other.test:* POST
    - allow put-only.test:* PUT
upstream: { hosts: { api.test: 127.0.0.1, other.test: 127.0.0.1, metadata.test: 169.254.169.254, x.wild.test: 10.1.2.3 } }`;

beforeAll(async () => {
  scene = await plainScene(echo, rules('strict'));
});
afterAll(stopEverything);

async function ask(method: string, target: string): Promise<Response> {
  const client = await rawClient(scene.gateway.forward);
  const response = await client.request(`${method} ${target} HTTP/1.1`, [`Host: ${/^[a-z]+:\/\/([^/?]*)/i.exec(target)?.[1]}`]);
  client.close();
  return response;
}

const at = (host: string, path = '/'): string => `http://${host}:${scene.upstream.port}${path}`;

describe('strict', () => {
  test.each([
    ['GET', 'api.test', '/allowed/x', 200, null],
    ['GET', 'api.test', '/elsewhere', 403, 'no_path_match'],
    ['POST', 'api.test', '/allowed/x', 403, 'no_path_match'],
    ['DELETE', 'put-only.test', '/', 403, 'no_method_match'],
    ['GET', 'unknown.example', '/', 403, 'no_host_rule'],
    ['GET', 'test', '/', 403, 'no_host_rule'],
    ['GET', 'api.test.evil.example', '/allowed/x', 403, 'no_host_rule'],
    ['GET', 'wild.test', '/', 403, 'no_host_rule'],
  ])('%s %s%s', async (method, host, path, status, reason) => {
    const response = await ask(method, at(host, path));
    expect(response.status).toBe(status);
    if (reason !== null) expect(problem(response)).toMatchObject({ code: 'policy_denied', reason, hint: expect.stringContaining('add the rule') });
  });

  test.each(['/allowed/../elsewhere', '/allowed/%2e%2e/elsewhere', '/allowed/%252e%252e/x', '/allowed\\..\\x', '/allowed/%5c../x'])(
    'a path that can be read in two ways is refused where a rule looks at it: %s',
    async (path) => {
      expect(problem(await ask('GET', at('api.test', path))).code).toBe('target_path_ambiguous');
    },
  );

  test('the verdict and the rule are in the record', async () => {
    const before = scene.gateway.exchanges.length;
    await ask('GET', at('api.test', '/allowed/x'));
    expect(await scene.gateway.recorded(before + 1)).toMatchObject({ verdict: 'allowed', rule: 'allow api.test:* GET /allowed/** to 127.0.0.1' });
    await ask('POST', at('other.test'));
    await ask('GET', at('unknown.example'));
    expect(await scene.gateway.recorded(before + 3)).toMatchObject({ verdict: 'denied', rule: null });
  });
});

describe('the address guard', () => {
  test.each(['localhost', 'LOCALHOST', 'localhost.'])('judges what a name resolves to: %s', async (name) => {
    const response = await ask('GET', at(name));
    expect(response.status).toBe(403);
    expect(problem(response)).toMatchObject({ code: 'address_denied', detail: expect.stringContaining('loopback') });
    expect(response.field('X-Moat-Blocked')).toBe('request-rule');
    // The refusal does not map the network for whoever asks.
    expect(response.body.toString()).not.toMatch(/127\.0\.0\.1|::1\b/);
  });

  test('denies a metadata address behind an allowed name, and a private one', async () => {
    expect(problem(await ask('GET', at('metadata.test')))).toMatchObject({ code: 'address_denied', detail: expect.stringContaining('metadata') });
    expect(problem(await ask('GET', at('x.wild.test')))).toMatchObject({ code: 'address_denied', detail: expect.stringContaining('private') });
  });
});

describe('with no policy but the guard', () => {
  test.each([
    '127.0.0.1',
    '127.1',
    '127.0.1',
    '2130706433',
    '0x7f000001',
    '0x7f.0.0.1',
    '0177.0.0.1',
    '017700000001',
    '0',
    '0.0.0.0',
    '[::1]',
    '[::]',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
    '[::127.0.0.1]',
    '[64:ff9b::7f00:1]',
    '[2002:7f00:1::]',
    '169.254.169.254',
    '2852039166',
    '[fd00:ec2::254]',
    '10.0.0.1',
    '192.168.1.1',
    '172.16.0.1',
    '100.64.0.1',
    '224.0.0.1',
    '255.255.255.255',
    '198.18.0.1',
    '192.0.2.1',
    'localhost',
  ])('%s is not reached', async (host) => {
    await scene.gateway.reload(rules('permissive'));
    const connected = scene.upstream.sockets.length;
    const response = await ask('GET', at(host));
    expect(response.status).toBe(403);
    expect(problem(response).code).toBe('address_denied');
    expect(scene.upstream.sockets).toHaveLength(connected);
  });
});

describe('other modes', () => {
  test('permissive lets out what no rule decides, and keeps what a rule denies', async () => {
    await scene.gateway.reload(rules('permissive'));
    expect((await ask('GET', at('other.test'))).status).toBe(200);
    expect((await ask('DELETE', at('other.test'))).status).toBe(200);
  });

  test('observe lets out what strict denies and says so; the guard holds all the same', async () => {
    await scene.gateway.reload(rules('observe').replace('- allow other.test:* to 127.0.0.1', '- allow other.test:* PUT to 127.0.0.1'));
    const before = scene.gateway.exchanges.length;
    const response = await ask('GET', at('unknown.example'));
    expect(problem(response).code).toBe('upstream_dns_failed');
    expect((await ask('PUT', at('other.test'))).status).toBe(200);
    expect(problem(await ask('GET', at('127.0.0.1'))).code).toBe('address_denied');
    await scene.gateway.recorded(before + 3);
    expect(scene.gateway.exchanges.slice(before).map(({ verdict, outcome }) => [verdict, outcome])).toEqual([
      ['observed', 'failed'],
      ['allowed', 'completed'],
      ['observed', 'refused'],
    ]);
    expect(await scene.gateway.metrics()).toMatch(/sallyport_policy_verdicts_total\{verdict="observed"\} 2/);
  });
});
