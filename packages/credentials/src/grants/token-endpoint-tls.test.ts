import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { BasicConstraintsExtension, SubjectAlternativeNameExtension, X509CertificateGenerator } from '@peculiar/x509';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ExchangeOutcome } from '../refresh/exchange.js';
import { type ScriptedEndpoint, type ServerTls, scriptedEndpoint } from './scripted-endpoint.test.support.js';
import { type TokenEndpointOptions, tokenEndpoint } from './token-endpoint.js';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
let identity: ServerTls;
let modern: ScriptedEndpoint;
let older: ScriptedEndpoint;

async function certificateFor(name: string): Promise<ServerTls> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: '01',
      name: `CN=${name}`,
      notBefore: new Date(Date.now() - 60_000),
      notAfter: new Date(Date.now() + 3_600_000),
      signingAlgorithm: algorithm,
      keys,
      extensions: [new BasicConstraintsExtension(true), new SubjectAlternativeNameExtension([{ type: 'dns', value: name }])],
    },
    webcrypto,
  );
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  return { cert: certificate.toString('pem'), key: `-----BEGIN PRIVATE KEY-----\n${der}\n-----END PRIVATE KEY-----\n` };
}

beforeAll(async () => {
  identity = await certificateFor('localhost');
  modern = await scriptedEndpoint(identity);
  older = await scriptedEndpoint({ ...identity, maxVersion: 'TLSv1.2' });
});
afterAll(async () => {
  await modern.close();
  await older.close();
});

function ask(endpoint: ScriptedEndpoint, more: Partial<TokenEndpointOptions>): Promise<ExchangeOutcome> {
  const made = tokenEndpoint({ url: endpoint.url, clientId: 'me', authentication: { method: 'none' }, ...more });
  return made.request('client_credentials', {}, [], new AbortController().signal);
}

test('an authority that is named is trusted', async () => {
  expect((await ask(modern, { ca: identity.cert })).kind).toBe('answered');
  expect((await ask(modern, { ca: identity.cert, minTlsVersion: 'TLSv1.3' })).kind).toBe('answered');
  expect((await ask(older, { ca: identity.cert })).kind).toBe('answered');
});

test('without it nothing is sent: the token is certainly unused', async () => {
  const before = modern.received.length;
  for (const more of [{}, { ca: (await certificateFor('localhost')).cert }]) {
    expect(await ask(modern, more)).toMatchObject({ kind: 'unused', error: { code: 'token_endpoint_unavailable' } });
  }
  expect(modern.received).toHaveLength(before);
});

test('nor to a server with another name, or one that is too old', async () => {
  const other = await certificateFor('other.example');
  const impostor = await scriptedEndpoint(other);
  try {
    const outcome = await ask(impostor, { ca: other.cert });
    expect(outcome).toMatchObject({ kind: 'unused', error: { message: expect.stringContaining('ERR_TLS_CERT_ALTNAME_INVALID') } });
    expect(impostor.received).toEqual([]);
  } finally {
    await impostor.close();
  }
  const before = older.received.length;
  expect((await ask(older, { ca: identity.cert, minTlsVersion: 'TLSv1.3' })).kind).toBe('unused');
  expect(older.received).toHaveLength(before);
});
