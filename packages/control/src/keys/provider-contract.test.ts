import { inspect } from 'node:util';
import { SallyportError } from '@sallyport/sdk';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { randomKey } from './aes-gcm.js';
import { type CloudStage, cloudStages } from './cloud-stage.test.support.js';
import { openProvider } from './open-provider.js';
import { type KeyProvider, parseWrappedKey, probeProvider, sameKey, type WrappedKey } from './provider.js';
import { parseProviderConfig, publicKeyData } from './provider-config.js';

const signal = new AbortController().signal;

async function failure(work: Promise<unknown>): Promise<SallyportError> {
  const error = await work.then(
    () => new Error('it did not fail'),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof SallyportError)) throw error;
  return error;
}

function tampered(wrapped: WrappedKey): WrappedKey {
  const bytes = Buffer.from(wrapped.data, 'base64');
  bytes[bytes.length - 1] = (bytes[bytes.length - 1] ?? 0) ^ 1;
  return { ...wrapped, data: bytes.toString('base64') };
}

describe.each(cloudStages)('the provider %s', (type, start) => {
  let stage: CloudStage;
  beforeEach(async () => {
    stage = await start();
  });
  afterEach(() => stage.server.stop());
  const open = (more: object = {}, callTimeoutMs?: number): KeyProvider =>
    openProvider(parseProviderConfig({ ...stage.keyData, ...more }), { env: {}, ...(callTimeoutMs === undefined ? {} : { callTimeoutMs }) });

  test('wraps and unwraps, and is recognised by its members', async () => {
    expect(parseProviderConfig(stage.keyData).type).toBe(type);
    await probeProvider(open(), signal);
    const key = randomKey();
    const wrapped = await open().wrap(key, 'ekv_1', signal);
    expect(wrapped).toMatchObject({ provider: type, version: await open().currentVersion(signal) });
    expect(parseWrappedKey(JSON.stringify(wrapped))).toEqual(wrapped);
    expect(sameKey(key, await open().unwrap(wrapped, 'ekv_1', signal))).toBe(true);
    expect(JSON.stringify(wrapped)).not.toContain(key.export().toString('base64'));
  });

  test('opens nothing that was changed, that belongs to another context, or that is no ciphertext', async () => {
    const wrapped = await open().wrap(randomKey(), 'ekv_1', signal);
    expect((await failure(open().unwrap(tampered(wrapped), 'ekv_1', signal))).code).toBe('ciphertext_invalid');
    expect((await failure(open().unwrap(wrapped, 'ekv_2', signal))).code).toBe('ciphertext_invalid');
    expect((await failure(open().unwrap({ ...wrapped, provider: 'value' }, 'ekv_1', signal))).code).toMatch(/ciphertext_invalid|key_provider_failed/);
  });

  test('notices a rotation at the provider, and still opens what was wrapped before', async () => {
    const key = randomKey();
    const wrapped = await open().wrap(key, 'c', signal);
    const provider = open();
    expect(await provider.currentVersion(signal)).toBe(wrapped.version);
    stage.rotate();
    expect(await provider.currentVersion(signal)).not.toBe(wrapped.version);
    expect(sameKey(key, await provider.unwrap(wrapped, 'c', signal))).toBe(true);
    const rewrapped = await provider.wrap(key, 'c', signal);
    expect(rewrapped.version).toBe(await open().currentVersion(signal));
    expect(sameKey(key, await open().unwrap(rewrapped, 'c', signal))).toBe(true);
  });

  test('goes on with what it read for as long as cache_ttl says', async () => {
    const provider = open({ cache_ttl: '1h' });
    const before = await provider.currentVersion(signal);
    const { requests } = stage.server;
    const asked = requests.length;
    stage.rotate();
    expect(await provider.currentVersion(signal)).toBe(before);
    expect(requests.length).toBe(asked);
    const key = randomKey();
    expect(sameKey(key, await provider.unwrap(await provider.wrap(key, 'c', signal), 'c', signal))).toBe(true);
    expect(await open().currentVersion(signal)).not.toBe(before);
  });

  test('tries again after throttling, failures of the server and broken connections', async () => {
    const { server } = stage;
    server.fail({ status: 429, body: {}, headers: { 'retry-after': '0' } }, { status: 500, body: {} }, 'broken');
    await probeProvider(open(), signal);
    const { length } = server.requests;
    server.fail({ status: 503, body: {} });
    await probeProvider(open(), signal);
    expect(server.requests.length - length).toBe(length - 2);
  });

  test('gives up after four attempts, with the status and without the answer', async () => {
    const { server } = stage;
    const faults = Array.from({ length: 4 }, () => ({ status: 500, body: { message: 'the-answer', __type: 'the-answer' }, headers: {} }));
    server.fail(...faults);
    const error = await failure(open().currentVersion(signal));
    expect(error.code).toBe('key_provider_failed');
    expect(server.requests).toHaveLength(4);
    expect(inspect(error, { depth: 10, showHidden: true })).not.toContain('the-answer');
  });

  test.each(['silence', 'stalled'] as const)('waits for a server that answers with %s no longer than it may', async (fault) => {
    stage.server.fail(fault);
    const error = await failure(open({}, 200).currentVersion(signal));
    expect(error).toMatchObject({ code: 'key_provider_failed' });
    expect(error.message).toContain('200 ms');
    expect(stage.server.requests).toHaveLength(1);
  });

  test('an abort rejects with its reason, before the call and during it', async () => {
    const abort = new AbortController();
    stage.server.fail('silence', 'silence');
    const pending = open().currentVersion(abort.signal);
    void stage.server.requested(1).then(() => abort.abort(new Error('enough')));
    await expect(pending).rejects.toThrow('enough');
    const wrapped = { provider: type, version: 'v', data: 'AAAA' };
    const provider = open();
    await expect(provider.currentVersion(abort.signal)).rejects.toThrow('enough');
    await expect(provider.wrap(randomKey(), 'c', abort.signal)).rejects.toThrow('enough');
    await expect(provider.unwrap(wrapped, 'c', abort.signal)).rejects.toThrow('enough');
    expect(stage.server.requests).toHaveLength(1);
  });

  test('an answer that is too long, or is not what it should be, is refused', async () => {
    for (const body of ['x'.repeat(1024 * 1024), [], {}, 'text', { Plaintext: 1 }, { name: 7, payload: [] }]) {
      stage.server.fail({ status: 200, body }, { status: 200, body });
      expect((await failure(open().currentVersion(signal))).code).toBe('key_provider_failed');
      stage.server.fail({ status: 200, body }, { status: 200, body });
      expect((await failure(open().wrap(randomKey(), 'c', signal))).code).toBe('key_provider_failed');
    }
  });

  test('a redirect is not followed', async () => {
    const elsewhere = await start();
    stage.server.fail({ status: 307, body: {}, headers: { location: `${elsewhere.server.address}/` } });
    expect((await failure(open().currentVersion(signal))).code).toBe('key_provider_failed');
    expect(elsewhere.server.requests).toEqual([]);
    await elsewhere.server.stop();
  });

  test('neither errors nor the public form show a secret', async () => {
    const { server, secrets } = stage;
    const config = parseProviderConfig(stage.keyData);
    for (const secret of secrets) expect(JSON.stringify(publicKeyData(config))).not.toContain(secret);
    const errors: unknown[] = [];
    server.fail({ status: 403, body: { error: secrets.join(), message: secrets.join(), __type: secrets.join() } });
    errors.push(await failure(open().currentVersion(signal)));
    server.fail('silence');
    errors.push(await failure(open({}, 100).wrap(randomKey(), 'c', signal)));
    await server.stop();
    errors.push(await failure(open().wrap(randomKey(), 'c', signal)));
    for (const secret of secrets) expect(inspect(errors, { depth: 10, showHidden: true })).not.toContain(secret);
    expect(Object.keys(publicKeyData(config)).length).toBeGreaterThan(1);
  });

  test('a plain address that is not on this machine is refused before anything is sent', () => {
    const member = Object.keys(stage.keyData).find((name) => name.endsWith('_endpoint')) ?? '';
    for (const address of [
      'http://cloud.example',
      'https://cloud.example/path',
      'https://user@cloud.example',
      'cloud.example',
      'https://cloud.example?x',
    ]) {
      expect(() => open({ [member]: address })).toThrow('https URL');
    }
  });
});
