import { SallyportError } from '@sallyport/sdk';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseCredentialProcess } from './credential-process.js';

const KEYS = { Version: 1, AccessKeyId: 'AKIAEXAMPLE', SecretAccessKey: 'wJalrXUtnFEMI' };

function parse(value: unknown): ReturnType<typeof parseCredentialProcess> {
  return parseCredentialProcess(JSON.stringify(value));
}

describe('the shape that AWS documents', () => {
  test('all parts', () => {
    const material = parse({ ...KEYS, SessionToken: 'session', Expiration: '2030-01-02T03:04:05Z' });
    expect(material?.secret.reveal()).toBe(KEYS.SecretAccessKey);
    expect([...(material?.fields ?? [])].map(([name, secret]) => [name, secret.reveal()])).toEqual([
      ['AccessKeyId', KEYS.AccessKeyId],
      ['SecretAccessKey', KEYS.SecretAccessKey],
      ['SessionToken', 'session'],
    ]);
    expect(material?.expiresAt).toBe(Date.UTC(2030, 0, 2, 3, 4, 5));
  });

  test.each([{}, { SessionToken: null, Expiration: null }])('without the optional parts: %j', (optional) => {
    const material = parse({ ...KEYS, ...optional });
    expect([[...(material?.fields.keys() ?? [])], material?.expiresAt]).toEqual([['AccessKeyId', 'SecretAccessKey'], null]);
  });

  test.each([
    ['2030-01-02T03:04:05.5Z', 500],
    ['2030-01-02T03:04:05+00:00', 0],
    ['2030-01-02T03:04:05+0000', 0],
    ['2030-01-02T05:04:05+02:00', 0],
    ['2030-01-02T03:04:05.123456Z', 123],
  ])('Expiration %s', (Expiration, milliseconds) => {
    expect(parse({ ...KEYS, Expiration })?.expiresAt).toBe(Date.UTC(2030, 0, 2, 3, 4, 5, milliseconds));
  });
});

describe('other output is not taken for it', () => {
  test.each(['token', '', '1', 'null', '[]', '{', '{}', '{"Version":1}', '{"AccessKeyId":"a","SecretAccessKey":"b"}', '{"type":"service_account"}'])(
    '%s',
    (text) => {
      expect(parseCredentialProcess(text)).toBeNull();
    },
  );

  test('any text: nothing, material, or an error of ours', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        expect(parseCredentialProcess(text)).toBeNull();
      }),
    );
  });
});

describe('a wrong part is named, and no value is quoted', () => {
  test.each<[Record<string, unknown>, RegExp]>([
    [{ Version: 2 }, /Version other than 1/],
    [{ Version: '1' }, /Version other than 1/],
    [{ AccessKeyId: undefined }, /no AccessKeyId/],
    [{ AccessKeyId: '' }, /no AccessKeyId/],
    [{ SecretAccessKey: undefined }, /no SecretAccessKey/],
    [{ SecretAccessKey: { a: 1 } }, /no SecretAccessKey/],
    [{ SessionToken: 7 }, /no SessionToken/],
    [{ Expiration: 'tomorrow' }, /Expiration/],
    [{ Expiration: '' }, /Expiration/],
    [{ Expiration: 5 }, /Expiration/],
    [{ Expiration: '5' }, /Expiration/],
    [{ Expiration: '2030-01-02T03:04:05' }, /Expiration/],
    [{ Expiration: '2030-13-02T03:04:05Z' }, /Expiration/],
  ])('%j', (wrong, message) => {
    expect(() => parse({ ...KEYS, ...wrong })).toThrow(message);
  });

  test('parts of any kind', () => {
    const part = fc.option(fc.oneof(fc.jsonValue(), fc.constant('MARKER-OF-A-SECRET')), { nil: undefined });
    fc.assert(
      fc.property(fc.record({ Version: fc.constant(1), AccessKeyId: part, SecretAccessKey: part, SessionToken: part, Expiration: part }), (value) => {
        try {
          const material = parse(value);
          if (material !== null) expect(material.secret.empty).toBe(false);
        } catch (error) {
          expect(error).toBeInstanceOf(SallyportError);
          expect(String(error)).not.toContain('MARKER');
        }
      }),
    );
  });
});
