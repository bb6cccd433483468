import { SallyportError } from '@sallyport/sdk';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { randomKey } from './aes-gcm.js';
import { awsCaller, startAwsKms, startAwsSecrets, type TestAwsKms, type TestAwsSecrets } from './aws-server.test.support.js';
import { openProvider } from './open-provider.js';
import { probeProvider, sameKey, withPrevious } from './provider.js';
import { parseProviderConfig } from './provider-config.js';

const signal = new AbortController().signal;
const caller = { aws_region: 'eu-central-1', aws_credentials: { type: 'access_key', ...awsCaller } };
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

describe('AWS KMS', () => {
  let kms: TestAwsKms;
  let arn = '';
  beforeEach(async () => {
    kms = await startAwsKms();
    arn = kms.addKey();
  });
  afterEach(() => kms.stop());
  const provider = (id: string, more: object = {}) => open({ ...caller, aws_kms_key_id: id, aws_kms_endpoint: kms.address, ...more });

  test('is named by ARN, by id and by alias', async () => {
    kms.pointAlias('alias/app', arn);
    for (const id of [arn, arn.split('/')[1] ?? '', 'alias/app', `${arn.split(':key/')[0]}:alias/app`]) {
      await probeProvider(provider(id), signal);
      expect(await provider(id).currentVersion(signal)).toContain(`${arn}#`);
    }
    expect(await refusal(provider('alias/none').currentVersion(signal))).toContain(
      'key_provider_failed: AWS KMS refused the call: NotFoundException',
    );
  });

  test('an alias that was pointed at another key counts as new material, and opens what the other key wrapped', async () => {
    kms.pointAlias('alias/app', arn);
    const key = randomKey();
    const wrapped = await provider('alias/app').wrap(key, 'c', signal);
    kms.pointAlias('alias/app', kms.addKey());
    expect(await provider('alias/app').currentVersion(signal)).not.toBe(wrapped.version);
    expect(sameKey(key, await provider('alias/app').unwrap(wrapped, 'c', signal))).toBe(true);
  });

  test('what another key wrapped is not opened, not even when the stored version names that key', async () => {
    kms.pointAlias('alias/app', arn);
    const other = kms.addKey();
    const wrapped = await provider(other).wrap(randomKey(), 'c', signal);
    expect(await refusal(provider(arn).unwrap(wrapped, 'c', signal))).toContain('IncorrectKeyException');
    const elsewhere = { ...wrapped, version: wrapped.version.replace('111122223333', '999999999999') };
    const asked = kms.requests.length;
    expect(await refusal(provider('alias/app').unwrap(elsewhere, 'c', signal))).toContain('another AWS account');
    for (const version of ['', 'x', `${arn}/../key`, 'alias/other', `${arn.split('key/')[0]}alias/other`, `${arn.split(':key')[0]}:key/`]) {
      expect(await refusal(provider('alias/app').unwrap({ ...wrapped, version }, 'c', signal))).toContain('another AWS account');
    }
    const targets = kms.requests.slice(asked).map(({ headers }) => headers['x-amz-target']);
    expect(new Set(targets)).toEqual(new Set(['TrentService.DescribeKey']));
  });

  test('a wrong secret key is refused there, without being repeated', async () => {
    const wrong = { aws_credentials: { type: 'access_key', access_key_id: awsCaller.access_key_id, secret_access_key: 'wrong-secret' } };
    const said = await refusal(provider(arn, wrong).currentVersion(signal));
    expect(said).toContain('InvalidSignatureException');
    expect(said).not.toMatch(/wrong-secret|aws-secret-access-key/);
  });

  test('throttling, which AWS says with the status 400, is tried again', async () => {
    kms.fail({ status: 400, body: { __type: 'ThrottlingException' } }, { status: 400, body: { __type: 'com.amazonaws.kms#ThrottlingException' } });
    expect(await provider(arn).currentVersion(signal)).toContain(arn);
    expect(kms.requests).toHaveLength(3);
    kms.fail({ status: 400, body: { __type: 'DisabledException' } });
    expect(await refusal(provider(arn).currentVersion(signal))).toContain('DisabledException');
    expect(kms.requests).toHaveLength(4);
  });

  test('without credentials in the key data those of the process are used', async () => {
    vi.stubEnv('AWS_ACCESS_KEY_ID', awsCaller.access_key_id);
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', awsCaller.secret_access_key);
    vi.stubEnv('AWS_SESSION_TOKEN', undefined);
    try {
      for (const aws_credentials of [undefined, { type: 'implicit' }]) await probeProvider(provider(arn, { aws_credentials }), signal);
    } finally {
      vi.unstubAllEnvs();
    }
  });

  test('a previous key opens what it wrapped, also when it was rotated since', async () => {
    const key = randomKey();
    const wrapped = await provider(arn).wrap(key, 'c', signal);
    kms.rotate(arn);
    const current = provider(kms.addKey());
    const both = withPrevious(current, [open({ value: 'some other material' }), provider(arn)]);
    expect(sameKey(key, await both.unwrap(wrapped, 'c', signal))).toBe(true);
    expect((await both.wrap(key, 'c', signal)).version).toBe(await current.currentVersion(signal));
    expect(await refusal(withPrevious(current, []).unwrap(wrapped, 'c', signal))).toContain('IncorrectKeyException');
    expect(await refusal(both.unwrap({ ...wrapped, provider: 'base64' }, 'c', signal))).toContain('base64');
  });
});

describe('AWS Secrets Manager', () => {
  let secrets: TestAwsSecrets;
  beforeEach(async () => {
    secrets = await startAwsSecrets();
  });
  afterEach(() => secrets.stop());
  const provider = (more: object = {}) => open({ ...caller, aws_secret_id: 'app/key', aws_secrets_manager_endpoint: secrets.address, ...more });

  test('the material is the text, the bytes, or a member of a JSON text', async () => {
    for (const secret of ['sixteen bytes ok', Buffer.alloc(32, 7)]) {
      const id = secrets.write(secret);
      await probeProvider(provider(), signal);
      expect(await provider().currentVersion(signal)).toBe(id);
    }
    secrets.write(JSON.stringify({ key: 'sixteen bytes ok', number: 7 }));
    await probeProvider(provider({ aws_secret_key: 'key', aws_secret_id: secrets.arn, aws_region: undefined }), signal);
    for (const aws_secret_key of ['none', 'number', 'toString', '__proto__']) {
      expect(await refusal(provider({ aws_secret_key }).currentVersion(signal))).toContain('has no text under the key');
    }
    secrets.write('short');
    expect(await refusal(provider().currentVersion(signal))).toContain('5 bytes');
  });

  test('a version that AWS has forgotten is named as missing, and is not mistaken for a changed one', async () => {
    secrets.write('sixteen bytes ok');
    const wrapped = await provider().wrap(randomKey(), 'c', signal);
    secrets.write('another sixteen bytes');
    secrets.forgetOldest();
    expect(await refusal(provider().unwrap(wrapped, 'c', signal))).toContain(
      'key_provider_failed: AWS Secrets Manager refused the call: ResourceNotFound',
    );
  });

  test('an answer about another version than the one asked for is refused', async () => {
    secrets.write('sixteen bytes ok');
    const wrapped = await provider().wrap(randomKey(), 'c', signal);
    secrets.fail({ status: 200, body: { VersionId: 'another', SecretString: 'sixteen bytes ok' } });
    expect(await refusal(provider().unwrap(wrapped, 'c', signal))).toContain('key_provider_failed');
    secrets.fail({ status: 200, body: { SecretString: 'sixteen bytes ok' } });
    expect(await refusal(provider().currentVersion(signal))).toContain('which version');
  });
});
