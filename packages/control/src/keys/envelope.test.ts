import { createSecretKey, timingSafeEqual } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { SallyportError } from '@sallyport/sdk';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hmacSha256, openBytes, randomKey, sealBytes, sealWithNonce } from './aes-gcm.js';
import { associatedData, type CiphertextPlace, openEnvelope, parseEnvelope, sealEnvelope } from './envelope.js';

const VERSION = 'ekv_0198f1c2-0000-7000-8000-000000000000';
const place: CiphertextPlace = { table: 'connections', column: 'secret', row: 'cxn_1', namespace: 'root.a', hosts: ['api.example.com'] };
const plaintext = Buffer.from('the secret');

function codeOf(work: () => unknown): string {
  try {
    work();
    return 'none';
  } catch (error) {
    return error instanceof SallyportError ? error.code : String(error);
  }
}

describe('the envelope', () => {
  const key = randomKey();
  const text = sealEnvelope(VERSION, key, place, plaintext);

  test('opens at its place, and holds the id of the version where an index finds it', () => {
    expect(openEnvelope(parseEnvelope(text), key, place).toString()).toBe('the secret');
    expect(Object.keys(JSON.parse(text))).toEqual(['id', 'd']);
    expect(text.slice(7, 47)).toBe(VERSION);
    expect(sealEnvelope(VERSION, key, place, plaintext)).not.toBe(text);
  });

  test.each([
    ['another row', { ...place, row: 'cxn_2' }],
    ['another table', { ...place, table: 'connection' }],
    ['another column', { ...place, column: 'secret2' }],
    ['another namespace', { ...place, namespace: 'root.b' }],
    ['more hosts', { ...place, hosts: ['api.example.com', 'evil.example'] }],
    ['no hosts', { ...place, hosts: [] }],
    ['any host', { ...place, hosts: undefined }],
  ])('moved to %s it is refused', (_, elsewhere) => {
    expect(codeOf(() => openEnvelope(parseEnvelope(text), key, elsewhere))).toBe('ciphertext_invalid');
  });

  test('the order, case and repetition of hosts do not matter', () => {
    const two = sealEnvelope(VERSION, key, { ...place, hosts: ['b.example', 'A.example'] }, plaintext);
    expect(openEnvelope(parseEnvelope(two), key, { ...place, hosts: ['a.example', 'B.EXAMPLE', 'a.example'] }).toString()).toBe('the secret');
  });

  test('under another key, and under the name of another version, it is refused', () => {
    expect(codeOf(() => openEnvelope(parseEnvelope(text), randomKey(), place))).toBe('ciphertext_invalid');
    const renamed = parseEnvelope(text.replace('0198f1c2', '0198f1c3'));
    expect(codeOf(() => openEnvelope(renamed, key, place))).toBe('ciphertext_invalid');
  });

  test('any byte changed, and any cut, is refused', () => {
    const { sealed, keyVersion } = parseEnvelope(text);
    fc.assert(
      fc.property(fc.nat(sealed.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const changed = Buffer.from(sealed);
        changed[at] = (changed[at] ?? 0) ^ flip;
        expect(codeOf(() => openEnvelope({ keyVersion, sealed: changed }, key, place))).toBe('ciphertext_invalid');
        expect(codeOf(() => openEnvelope({ keyVersion, sealed: sealed.subarray(0, at) }, key, place))).toBe('ciphertext_invalid');
      }),
    );
  });

  test('one ciphertext has one text', () => {
    const other = [
      text.replace('":"', '": "'),
      `${text} `,
      text.replace(/"}$/, '="}'),
      text.replace(/"}$/, '","x":1}'),
      '{}',
      '',
      text.replace('ekv_', 'dek_'),
    ];
    for (const spelling of other) expect(codeOf(() => parseEnvelope(spelling))).toBe('ciphertext_invalid');
    fc.assert(fc.property(fc.string(), (any) => codeOf(() => parseEnvelope(any)) === 'ciphertext_invalid'));
  });

  test('whatever is sealed comes back', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect([...openEnvelope(parseEnvelope(sealEnvelope(VERSION, key, place, bytes)), key, place)]).toEqual([...bytes]);
      }),
    );
  });

  test('no two places have the same additional data', () => {
    const part = fc.string({ unit: fc.constantFrom('a', 'b', '\0', '1', '.'), maxLength: 3 });
    const anyPlace = fc.record({ table: part, column: part, row: part, namespace: part, hosts: fc.option(fc.uniqueArray(part), { nil: undefined }) });
    const same = (one: CiphertextPlace) =>
      JSON.stringify([one.table, one.column, one.row, one.namespace, one.hosts === undefined ? null : [...one.hosts].sort()]);
    fc.assert(
      fc.property(anyPlace, anyPlace, (one, other) => {
        expect(associatedData(VERSION, one).equals(associatedData(VERSION, other))).toBe(same(one) === same(other));
      }),
      { numRuns: 1000 },
    );
    expect(codeOf(() => associatedData(VERSION, { ...place, row: '\ud800' }))).toBe('ciphertext_invalid');
  });

  test('a key prints nothing of itself', () => {
    expect(inspect(key, { depth: 9, showHidden: true })).not.toContain(key.export().toString('hex'));
    expect(JSON.stringify({ key })).toBe('{"key":{}}');
  });
});

interface Vectors<Vector> {
  readonly testGroups: readonly { readonly keySize: number; readonly ivSize?: number; readonly tagSize: number; readonly tests: readonly Vector[] }[];
}
type GcmVector = Readonly<Record<'key' | 'iv' | 'aad' | 'msg' | 'ct' | 'tag' | 'result', string>> & { readonly tcId: number };
type HmacVector = Readonly<Record<'key' | 'msg' | 'tag' | 'result', string>> & { readonly tcId: number };

const folder = fileURLToPath(new URL('../../../../../shared/vectors/wycheproof/', import.meta.url));
const present = existsSync(`${folder}aes_gcm_test.json`);
if (!present) console.warn(`The Wycheproof vectors are not at ${folder}: their tests are skipped.`);
const hex = (text: string): Buffer => Buffer.from(text, 'hex');

function read<Vector>(name: string): Vectors<Vector> {
  return JSON.parse(readFileSync(`${folder}${name}`, 'utf8')) as Vectors<Vector>;
}

describe.skipIf(!present)('Wycheproof', () => {
  test('AES-GCM: keys of 256 and nonces of 96 bit do as the vectors say, all others are refused', () => {
    let judged = 0;
    for (const { keySize, ivSize, tagSize, tests } of read<GcmVector>('aes_gcm_test.json').testGroups) {
      for (const { key, iv, aad, msg, ct, tag, result, tcId } of tests) {
        const secret = createSecretKey(hex(key));
        const sealed = Buffer.concat([hex(iv), hex(ct), hex(tag)]);
        if (keySize !== 256 || ivSize !== 96) {
          expect(() => sealWithNonce(secret, hex(iv), hex(msg), hex(aad)), `test ${tcId}`).toThrow(TypeError);
          continue;
        }
        judged += 1;
        expect(tagSize).toBe(128);
        const opened = codeOf(() => expect(openBytes(secret, sealed, hex(aad)).toString('hex')).toBe(msg));
        expect([tcId, opened]).toEqual([tcId, result === 'valid' ? 'none' : 'ciphertext_invalid']);
        if (result === 'valid') expect(sealWithNonce(secret, hex(iv), hex(msg), hex(aad)).equals(sealed), `test ${tcId}`).toBe(true);
      }
    }
    expect(judged).toBe(66);
  });

  test('HMAC-SHA-256', () => {
    for (const { tagSize, tests } of read<HmacVector>('hmac_sha256_test.json').testGroups) {
      for (const { key, msg, tag, result, tcId } of tests) {
        const computed = hmacSha256(createSecretKey(hex(key)), hex(msg)).subarray(0, tagSize / 8);
        expect([tcId, timingSafeEqual(computed, hex(tag))]).toEqual([tcId, result === 'valid']);
      }
    }
  });
});

test('every message has a nonce of its own', () => {
  const key = randomKey();
  const nonces = Array.from({ length: 1000 }, () => sealBytes(key, plaintext, plaintext).subarray(0, 12).toString('hex'));
  expect(new Set(nonces).size).toBe(1000);
});
