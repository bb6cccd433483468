import { afterEach, describe, expect, test } from 'vitest';
import { connectThrough, rawClient, secure } from '../testing/raw-client.test.support.js';
import { runningGateway } from '../testing/running-gateway.test.support.js';
import { echoed, plainScene, problem, secureScene, stopEverything, upstreamAuthority } from '../testing/scene.test.support.js';
import { echo, startUpstream } from '../testing/scripted-upstream.test.support.js';

afterEach(stopEverything);

const passthrough = `
policy: { rules: ["passthrough api.test:* to 127.0.0.1", "passthrough localhost:*", "passthrough *:9"] }
callers: { here: { loopback: true, credentials: [key] } }
credentials:
  key: { source: { type: static, value: the-secret-value }, bind: [{ hosts: ["api.test:*"], place: { header: X-Key }, plaintext: true }] }`;

describe('a host that policy passes through', () => {
  test('is reached unseen: its own certificate, no credential, one record of a tunnel', async () => {
    const { gateway, upstream, authority } = await secureScene(echo, passthrough);
    const trusted = await upstreamAuthority();
    const tunnel = await connectThrough(gateway.forward, authority);
    const client = await secure(tunnel, { ca: trusted.authority.certificatePem, servername: 'api.test' });
    expect(client.socket.getPeerCertificate().issuer).toEqual(
      expect.objectContaining({ CN: trusted.authority.certificate.subject.match(/CN=(.*)/)?.[1] }),
    );
    // Nothing inside is anybody's business: another Host is the upstream's to judge.
    expect(echoed(await client.request('GET /x HTTP/1.1', ['Host: whatever.example'])).lines).toEqual(['Host: whatever.example']);
    expect(gateway.exchanges).toHaveLength(0);
    const bytes = client.socket.bytesRead;
    client.socket.end();
    const record = await gateway.recorded(1);
    expect(record).toMatchObject({
      kind: 'tunnel',
      verdict: 'passthrough',
      rule: 'passthrough api.test:* to 127.0.0.1',
      outcome: 'completed',
      status: 200,
      upstreamAddress: '127.0.0.1',
      credential: null,
      host: 'api.test',
      port: upstream.port,
      path: '',
    });
    expect(record.responseBytes).toBeGreaterThan(0);
    expect(bytes).toBeGreaterThan(0);
    expect(await gateway.log()).toContain('"verdict":"passthrough"');
  });

  test('takes bytes that come with the CONNECT itself, and half-closes either way', async () => {
    const { gateway, authority } = await plainScene(() => {}, passthrough);
    const raw = await startUpstream(() => {});
    const client = await rawClient(gateway.forward);
    client.write(`CONNECT api.test:${raw.port} HTTP/1.1\r\nHost: ${authority}\r\n\r\nGET /early HTTP/1.1\r\n`);
    await client.reader.head();
    client.socket.end('Host: x\r\n\r\n');
    expect((await client.reader.rest()).toString()).toBe('');
    expect(raw.requests.map(({ startLine, lines }) => [startLine, lines])).toEqual([['GET /early HTTP/1.1', ['Host: x']]]);
    expect(await gateway.recorded(1)).toMatchObject({ outcome: 'completed', requestBytes: 'GET /early HTTP/1.1\r\nHost: x\r\n\r\n'.length });
  });

  test('says so when the client or the upstream breaks off', async () => {
    const { gateway, upstream, authority } = await plainScene(() => {}, passthrough);
    const first = await connectThrough(gateway.forward, authority);
    upstream.sockets[0]?.resetAndDestroy();
    await first.reader.end();
    expect(await gateway.recorded(1)).toMatchObject({ outcome: 'failed', error: 'upstream_reset', kind: 'tunnel' });
    const second = await connectThrough(gateway.forward, authority);
    second.reset();
    expect(await gateway.recorded(2)).toMatchObject({ outcome: 'aborted', error: 'client_aborted', kind: 'tunnel' });
  });

  test.each([
    ['an upstream that refuses', 'api.test:1', 'upstream_refused', 502, 'failed'],
    ['a name that resolves to loopback', 'localhost:1', 'address_denied', 403, 'refused'],
    ['a loopback address', '127.0.0.1:9', 'address_denied', 403, 'refused'],
    ['a metadata address', '169.254.169.254:9', 'address_denied', 403, 'refused'],
  ])('is answered in clear words when it cannot be reached: %s', async (_, authority, code, status, outcome) => {
    const gateway = await runningGateway(passthrough);
    const client = await rawClient(gateway.forward);
    const response = await client.request(`CONNECT ${authority} HTTP/1.1`, [`Host: ${authority}`]);
    expect(response.status).toBe(status);
    expect(problem(response).code).toBe(code);
    client.close();
    await gateway.recorded(1);
    // Nothing comes of the client's leaving after that.
    await gateway.stop();
    expect(gateway.exchanges).toMatchObject([{ outcome, error: code, status }]);
  });

  test('counts against the limit of tunnels', async () => {
    const { gateway, authority } = await plainScene(() => {}, `${passthrough}\nlimits: { tunnels: 1 }`);
    const first = await connectThrough(gateway.forward, authority);
    const second = await rawClient(gateway.forward);
    const response = await second.request(`CONNECT ${authority} HTTP/1.1`, [`Host: ${authority}`]);
    expect(problem(response)).toMatchObject({ code: 'limit_exceeded', status: 503, detail: expect.stringContaining('limits.tunnels') });
    first.close();
    await gateway.recorded(2);
    expect((await second.request(`CONNECT ${authority} HTTP/1.1`, [`Host: ${authority}`])).status).toBe(200);
  });

  test('is closed when nothing moves', async () => {
    const { gateway, authority } = await plainScene(() => {}, `${passthrough}\ntimeouts: { idle: 200ms }`);
    const client = await connectThrough(gateway.forward, authority);
    await client.reader.end();
    expect(await gateway.recorded(1)).toMatchObject({ outcome: 'failed', error: 'upstream_idle_timeout', kind: 'tunnel' });
  });
});

test('a tunnel whose client has gone before the upstream accepted is recorded once, as aborted', async () => {
  const { gateway, authority } = await plainScene(() => {}, passthrough);
  const client = await rawClient(gateway.forward);
  client.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`).reset();
  const record = await gateway.recorded(1);
  expect(record.outcome).toBe('aborted');
  expect(gateway.exchanges).toHaveLength(1);
  expect(await gateway.metrics()).toContain('sallyport_internal_faults_total 0');
});
