import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SallyportError } from '@sallyport/sdk';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cacheMilliseconds, held } from './provider-cache.js';
import { parseProviderConfig, publicKeyData } from './provider-config.js';
import { checkProviderAllowed, DEFAULT_PROVIDER_RULES, type ProviderRule } from './provider-rules.js';

const signal = new AbortController().signal;
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const account = {
  ...{ type: 'service_account', client_email: 'a@p.iam.gserviceaccount.com', private_key_id: '1' },
  private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
};
const accessKey = { type: 'access_key', access_key_id: 'AKID', secret_access_key: 'the-secret' };
const kmsArn = 'arn:aws:kms:eu-central-1:111122223333:key/1234abcd';
const awsKms = { aws_kms_key_id: kmsArn };
const awsSecret = { aws_secret_id: 'team-a/key', aws_region: 'eu-central-1' };
const gcpSecret = { gcp_secret_name: 'team-a', gcp_project: 'p-1' };
const gcpParts = { gcp_project: 'p-1', gcp_location: 'europe', gcp_key_ring: 'r', gcp_crypto_key: 'k' };
const gcpKms = { gcp_kms_key_name: 'projects/p-1/locations/europe/keyRings/r/cryptoKeys/k' };

function thrown(data: unknown): unknown {
  try {
    return parseProviderConfig(data);
  } catch (error) {
    return error;
  }
}

describe('key data of clouds', () => {
  test.each([
    [awsKms, 'aws_kms'],
    [{ aws_kms_key_id: 'alias/a/b', aws_region: 'us-gov-west-1', aws_credentials: { type: 'implicit' } }, 'aws_kms'],
    [{ ...awsKms, aws_credentials: { ...accessKey, session_token: 't' }, cache_ttl: '5m' }, 'aws_kms'],
    [awsSecret, 'aws_secrets_manager'],
    [{ aws_secret_id: 'arn:aws-cn:secretsmanager:cn-north-1:111122223333:secret:a/b-AbCdEf', aws_secret_key: 'k' }, 'aws_secrets_manager'],
    [gcpSecret, 'gcp'],
    [{ ...gcpSecret, gcp_credentials_json: JSON.stringify(account) }, 'gcp'],
    [gcpKms, 'gcp_kms'],
    [gcpParts, 'gcp_kms'],
  ])('%j is recognised by its members', (data, type) => {
    expect(parseProviderConfig(data).type).toBe(type);
  });

  test.each([
    ['aws_region', { aws_kms_key_id: 'alias/a' }],
    ['aws_region', { ...awsKms, aws_region: 'us-east-1' }],
    ['aws_region', { ...awsSecret, aws_region: 'evil.example/' }],
    ['aws_kms_key_id', { aws_kms_key_id: '../x', aws_region: 'us-east-1' }],
    ['aws_secret_id', { aws_secret_id: 'a b', aws_region: 'us-east-1' }],
    ['aws_credentials', { ...awsKms, aws_credentials: { type: 'access_key', secret_access_key: 'the-secret' } }],
    ['aws_credentials', { ...awsKms, aws_credentials: { type: 'implicit', secret_access_key: 'the-secret' } }],
    ['aws_credentials', { ...awsKms, aws_credentials: { type: 'profile', profile: 'the-secret' } }],
    ['cache_ttl', { ...awsKms, cache_ttl: 'forever' }],
    ['cache_ttl', { ...awsKms, cache_ttl: '2d' }],
    ['gcp_project', { gcp_secret_name: 'a' }],
    ['gcp_project', { ...gcpSecret, gcp_project: 'p/../q' }],
    ['gcp_secret_name', { ...gcpSecret, gcp_secret_name: 'a/versions/1:access?' }],
    ['gcp_kms_key_name', { ...gcpKms, gcp_project: 'p-1' }],
    ['gcp_kms_key_name', { gcp_crypto_key: 'k', gcp_project: 'p-1' }],
    ['gcp_kms_key_name', { gcp_kms_key_name: `${gcpKms.gcp_kms_key_name}/../k2` }],
    ['gcp_credentials_json', { ...gcpKms, gcp_credentials_json: 'the-secret' }],
    ['gcp_credentials_json', { ...gcpKms, gcp_credentials_json: '{"type":"external_account","private_key":"the-secret"}' }],
    ['gcp_credentials_json', { ...gcpKms, gcp_credentials_json: JSON.stringify({ ...account, token_uri: 'http://the-secret.example/' }) }],
    ['gcp_credentials_json', { ...gcpKms, gcp_credentials_json: JSON.stringify(account), gcp_credentials_file: '/the-secret' }],
    ['several', { ...awsKms, ...awsSecret }],
    ['extra', { ...gcpKms, extra: 'the-secret' }],
  ])('what is wrong with %s is said, and nothing is repeated', (member, data) => {
    const error = thrown(data);
    expect(error).toMatchObject({ code: 'key_data_invalid' });
    expect(String(error)).toContain(member);
    expect(String(error)).not.toContain('the-secret');
  });

  test('what is shown leaves the secrets out, also inside', () => {
    const shown = publicKeyData(parseProviderConfig({ ...awsKms, aws_credentials: { ...accessKey, session_token: 'the-secret' } }));
    expect(shown).toEqual({ ...awsKms, aws_credentials: { type: 'access_key', access_key_id: 'AKID' } });
    expect(publicKeyData(parseProviderConfig({ ...gcpSecret, gcp_credentials_json: JSON.stringify(account) }))).toEqual({
      ...gcpSecret,
      gcp_secret_version: 'latest',
    });
  });
});

describe('which clouds a namespace may name', () => {
  const all = ['aws_secrets_manager', 'aws_kms', 'gcp', 'gcp_kms'] as const;
  const allowed = async (rule: Partial<ProviderRule>, data: object): Promise<boolean> => {
    const rules = [{ namespaces: ['root.**'], providers: all, ...rule }];
    try {
      await checkProviderAllowed(rules, 'root.a', parseProviderConfig(data));
      return true;
    } catch (error) {
      if (error instanceof SallyportError && error.code === 'key_provider_forbidden') return false;
      throw error;
    }
  };

  test('none, unless a rule says so', async () => {
    for (const data of [awsKms, awsSecret, gcpSecret, gcpKms]) {
      await expect(checkProviderAllowed(DEFAULT_PROVIDER_RULES, 'root', parseProviderConfig(data))).rejects.toMatchObject({
        code: 'key_provider_forbidden',
      });
    }
    expect(await allowed({ providers: ['aws_kms'] }, { ...awsSecret, aws_credentials: accessKey })).toBe(false);
  });

  test('with credentials of its own everything, with those of the server only what is named', async () => {
    const own = { gcp_credentials_json: JSON.stringify(account) };
    for (const data of [awsKms, awsSecret].map((form) => ({ ...form, aws_credentials: accessKey }))) expect(await allowed({}, data)).toBe(true);
    for (const data of [gcpSecret, gcpKms, gcpParts].map((form) => ({ ...form, ...own }))) expect(await allowed({}, data)).toBe(true);
    const forms = [awsKms, { ...awsKms, aws_credentials: { type: 'implicit' } }, awsSecret, gcpSecret, gcpKms, gcpParts];
    for (const data of forms) expect([data, await allowed({}, data)]).toEqual([data, false]);
    for (const data of forms) expect([data, await allowed({ ambientResources: ['*'] }, data)]).toEqual([data, true]);
  });

  test.each([
    [[kmsArn], awsKms, true],
    [['arn:aws:kms:eu-central-1:111122223333:key/*'], awsKms, true],
    [['arn:aws:kms:eu-central-1:111122223333:key/12'], awsKms, false],
    [['eu-central-1/team-a/*'], awsSecret, true],
    [['eu-central-1/team-a/*'], { ...awsSecret, aws_region: 'us-east-1' }, false],
    [['eu-central-1/team-a/*'], { ...awsSecret, aws_secret_id: 'team-b/key' }, false],
    [['team-a/*'], awsSecret, false],
    [['projects/p-1/secrets/team-a'], gcpSecret, true],
    [['projects/p-1/secrets/team-a'], { ...gcpSecret, gcp_secret_name: 'team-ab' }, false],
    [['projects/p-1/locations/*'], gcpKms, true],
    [['projects/p-1/locations/*'], gcpParts, true],
    [['projects/p-1/locations/*'], { ...gcpParts, gcp_project: 'p-2' }, false],
    [['projects/p-1/*'], { ...gcpSecret, gcp_project: 'p-1x' }, false],
  ])('with credentials of the server, %j and %j: %s', async (ambientResources, data, expected) => {
    expect(await allowed({ ambientResources }, data)).toBe(expected);
  });

  test('an address in place of the cloud has to be named, also that of the tokens', async () => {
    const endpoint = 'https://kms.example:8443';
    const forms = [
      { ...awsKms, aws_credentials: accessKey, aws_kms_endpoint: endpoint },
      { ...awsSecret, aws_credentials: accessKey, aws_secrets_manager_endpoint: endpoint },
      { ...gcpKms, gcp_credentials_json: JSON.stringify(account), gcp_kms_endpoint: endpoint },
      { ...gcpSecret, gcp_credentials_json: JSON.stringify(account), gcp_secret_manager_endpoint: endpoint },
      { ...gcpSecret, gcp_credentials_json: JSON.stringify({ ...account, token_uri: `${endpoint}/token` }) },
    ];
    for (const data of forms) {
      expect(await allowed({}, data)).toBe(false);
      expect(await allowed({ ambientResources: ['*'] }, data)).toBe(false);
      expect(await allowed({ cloudEndpoints: ['https://kms.example'] }, data)).toBe(false);
      expect(await allowed({ cloudEndpoints: [`${endpoint}/`] }, data)).toBe(true);
    }
    expect(await allowed({ cloudEndpoints: [endpoint] }, { ...awsKms, aws_kms_endpoint: endpoint })).toBe(false);
  });

  test('a file with credentials has to be in a folder that is named', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-gcp-rules-'));
    writeFileSync(join(folder, 'account.json'), '{}');
    const data = { ...gcpKms, gcp_credentials_file: join(folder, 'account.json') };
    expect(await allowed({ ambientResources: ['*'] }, data)).toBe(false);
    expect(await allowed({ folders: [folder] }, data)).toBe(true);
    expect(await allowed({ folders: [folder] }, { ...data, gcp_credentials_file: join(folder, 'none') })).toBe(false);
    rmSync(folder, { recursive: true, force: true });
  });
});

describe('cache_ttl', () => {
  test('is a duration of at most a day', () => {
    expect(['500ms', '30s', '5m', '2h', '1d'].map(cacheMilliseconds)).toEqual([500, 30_000, 300_000, 7_200_000, 86_400_000]);
    expect(['', '0s', '5', 's', '-1s', '1.5s', '25h', '2d', '1w', ' 1s', '1s ', '999999999999s'].map(cacheMilliseconds)).toEqual(
      Array(12).fill(null),
    );
    fc.assert(fc.property(fc.string(), (written) => (cacheMilliseconds(written) ?? 1) <= 86_400_000 && (cacheMilliseconds(written) ?? 1) > 0));
  });

  test('an answer is held that long and no longer, one about a version apart from that about the newest; a failure never', async () => {
    let now = 1_000_000;
    let asked = 0;
    const ask = async (what: string | null) => {
      asked += 1;
      if (asked === 1) throw new Error('not now');
      return { what, asked };
    };
    const answer = held(ask, '10s', () => now);
    await expect(answer(null, signal)).rejects.toThrow('not now');
    expect(await answer(null, signal)).toEqual({ what: null, asked: 2 });
    expect(await answer('newest', signal)).toEqual({ what: 'newest', asked: 3 });
    now += 9999;
    expect(await answer(null, signal)).toEqual({ what: null, asked: 2 });
    now += 2;
    expect(await answer(null, signal)).toEqual({ what: null, asked: 4 });
    expect(held(ask, undefined)).toBe(ask);
  });
});
