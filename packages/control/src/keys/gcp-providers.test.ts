import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SallyportError } from '@sallyport/sdk';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { randomKey } from './aes-gcm.js';
import { GCP_KMS_KEY, startGcp, type TestGcp } from './gcp-server.test.support.js';
import { openProvider } from './open-provider.js';
import { probeProvider, sameKey } from './provider.js';
import { parseProviderConfig } from './provider-config.js';

const signal = new AbortController().signal;
const open = (data: object) => openProvider(parseProviderConfig(data), { env: {} });

async function refusal(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'none';
  } catch (error) {
    if (!(error instanceof SallyportError)) throw error;
    return `${error.code}: ${error.message}`;
  }
}

let gcp: TestGcp;
let folder = '';
beforeEach(async () => {
  gcp = await startGcp();
  folder = mkdtempSync(join(tmpdir(), 'sallyport-gcp-'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
  await gcp.stop();
});

const kms = (more: object = {}) =>
  open({ gcp_kms_key_name: GCP_KMS_KEY, gcp_kms_endpoint: gcp.address, gcp_credentials_json: gcp.credentials, ...more });
const secret = (more: object = {}) =>
  open({
    ...{ gcp_project: 'p-1', gcp_secret_name: 'app', gcp_secret_manager_endpoint: gcp.address, gcp_credentials_json: gcp.credentials },
    ...more,
  });

describe('credentials for Google Cloud', () => {
  test('one token serves until it ends, and a new one is taken when it is refused before', async () => {
    const provider = kms();
    await probeProvider(provider, signal);
    await provider.currentVersion(signal);
    expect(gcp.tokensIssued()).toBe(1);
    gcp.revokeTokens();
    await probeProvider(provider, signal);
    expect(gcp.tokensIssued()).toBe(2);
  });

  test('a token that lives no longer than a minute is not kept', async () => {
    const provider = kms();
    gcp.fail({ status: 200, body: { access_token: 'short', expires_in: 60 } });
    await provider.currentVersion(signal);
    await provider.currentVersion(signal);
    expect(gcp.tokensIssued()).toBe(1);
    expect(gcp.requests.filter(({ url }) => url === '/token')).toHaveLength(2);
  });

  test('the service account may be in a file', async () => {
    const file = join(folder, 'account.json');
    writeFileSync(file, gcp.credentials);
    await probeProvider(kms({ gcp_credentials_json: undefined, gcp_credentials_file: file }), signal);
    expect(await refusal(kms({ gcp_credentials_json: undefined, gcp_credentials_file: join(folder, 'none') }).currentVersion(signal))).toContain(
      'cannot be read',
    );
    writeFileSync(file, JSON.stringify({ type: 'external_account', credential_source: { executable: { command: 'id' } } }));
    expect(await refusal(kms({ gcp_credentials_json: undefined, gcp_credentials_file: file }).currentVersion(signal))).toContain('service account');
  });

  test('without them those of the server are used', async () => {
    for (const name of ['GOOGLE_APPLICATION_CREDENTIALS', 'google_application_credentials', 'GOOGLE_CLOUD_QUOTA_PROJECT'])
      vi.stubEnv(name, undefined);
    vi.stubEnv('CLOUDSDK_CONFIG', folder);
    vi.stubEnv('GCE_METADATA_HOST', gcp.address.slice('http://'.length));
    gcp.write('sixteen bytes ok');
    await probeProvider(kms({ gcp_credentials_json: undefined }), signal);
    await probeProvider(secret({ gcp_credentials_json: undefined }), signal);
    expect(gcp.requests.filter(({ url }) => url === '/token')).toEqual([]);
    gcp.fail({ status: 404, body: {} }, { status: 404, body: {} }, { status: 404, body: {} }, { status: 404, body: {} });
    expect(await refusal(kms({ gcp_credentials_json: undefined }).currentVersion(signal))).toContain('no credentials for Google Cloud');
  });

  test('an account with another key, or without a key, is refused without showing it', async () => {
    const account = JSON.parse(gcp.credentials) as Record<string, string>;
    for (const changed of [{ private_key_id: 'key-2' }, { client_email: 'else@p-1.iam.gserviceaccount.com' }]) {
      const gcp_credentials_json = JSON.stringify({ ...account, ...changed });
      expect(await refusal(kms({ gcp_credentials_json }).currentVersion(signal))).toContain('status 400');
    }
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const another = JSON.stringify({ ...account, private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }) });
    expect(await refusal(kms({ gcp_credentials_json: another }).currentVersion(signal))).toContain('status 400');
    const broken = JSON.stringify({ ...account, private_key: 'not-a-key' });
    const said = await refusal(kms({ gcp_credentials_json: broken }).currentVersion(signal));
    expect(said).toContain('private key of the service account cannot be read');
    expect(said).not.toContain('not-a-key');
  });
});

describe('Google Cloud KMS', () => {
  test('is named by its four parts too', async () => {
    const parts = { gcp_project: 'p-1', gcp_location: 'europe-west1', gcp_key_ring: 'ring', gcp_crypto_key: 'app' };
    const provider = kms({ gcp_kms_key_name: undefined, ...parts });
    await probeProvider(provider, signal);
    expect(await provider.currentVersion(signal)).toBe(`${GCP_KMS_KEY}/cryptoKeyVersions/1`);
  });

  test('what is damaged on the way is noticed by its checksum, in both directions', async () => {
    const key = randomKey();
    for (const name of ['plaintext', 'additionalAuthenticatedData']) {
      gcp.damageNextRequest(name);
      expect(await refusal(kms().wrap(key, 'c', signal))).toContain('key_provider_failed: The request to Google Cloud KMS was damaged');
    }
    gcp.damageNext('ciphertext');
    expect(await refusal(kms().wrap(key, 'c', signal))).toContain('key_provider_failed: The answer of Google Cloud KMS was damaged');
    const wrapped = await kms().wrap(key, 'c', signal);
    gcp.damageNext('plaintext');
    expect(await refusal(kms().unwrap(wrapped, 'c', signal))).toContain('key_provider_failed: The answer of Google Cloud KMS was damaged');
    expect(sameKey(key, await kms().unwrap(wrapped, 'c', signal))).toBe(true);
  });

  test('a version that is disabled is not mistaken for a changed ciphertext', async () => {
    const wrapped = await kms().wrap(randomKey(), 'c', signal);
    const bytes = Buffer.from(wrapped.data, 'base64');
    bytes[0] = 9;
    expect(await refusal(kms().unwrap({ ...wrapped, data: bytes.toString('base64') }, 'c', signal))).toContain('key_provider_failed');
  });

  test('a key that is not there, or has no primary version, is refused', async () => {
    expect(await refusal(kms({ gcp_kms_key_name: GCP_KMS_KEY.replace(/app$/, 'none') }).currentVersion(signal))).toContain('status 404');
    gcp.fail({ status: 200, body: { access_token: 't', expires_in: 3600 } }, { status: 200, body: { name: GCP_KMS_KEY } });
    expect(await refusal(kms().currentVersion(signal))).toContain('which version');
  });
});

describe('Google Cloud Secret Manager', () => {
  test('a version that is named stays the current one', async () => {
    gcp.write('material of version 1');
    gcp.write('material of version 2');
    expect(await secret({ gcp_secret_version: '1' }).currentVersion(signal)).toBe('projects/4711/secrets/app/versions/1');
    expect(await secret().currentVersion(signal)).toBe('projects/4711/secrets/app/versions/2');
    const wrapped = await secret().wrap(randomKey(), 'c', signal);
    await secret({ gcp_secret_version: '1' }).unwrap(wrapped, 'c', signal);
  });

  test('damage on the way is noticed by its checksum', async () => {
    gcp.write('material of version 1');
    gcp.damageNext('data');
    expect(await refusal(secret().currentVersion(signal))).toContain('damaged on the way');
  });

  test('a stored version leads nowhere but to versions of the configured secret', async () => {
    gcp.write('material of version 1');
    const wrapped = await secret().wrap(randomKey(), 'c', signal);
    for (const version of [
      '1',
      'projects/4711/secrets/other/versions/1',
      'x/versions/1/../../../other',
      'projects/4711/secrets/app/versions/latest',
    ]) {
      expect(await refusal(secret().unwrap({ ...wrapped, version }, 'c', signal))).toContain('key_provider_failed');
    }
    expect(gcp.requests.every(({ url }) => url === '/token' || url.startsWith('/v1/projects/p-1/secrets/app/versions/'))).toBe(true);
  });
});
