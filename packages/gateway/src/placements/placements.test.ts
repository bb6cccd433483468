import type { Material } from '@sallyport/credentials';
import { Secret } from '@sallyport/sdk';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { basicPlacement } from './basic.js';
import { headerPlacement } from './header.js';
import { queryPlacement, setParameter } from './query.js';

const material = (secret: string, fields: Readonly<Record<string, string>> = {}): Material => ({
  secret: new Secret(secret),
  fields: new Map(Object.entries(fields).map(([name, value]) => [name, new Secret(value)])),
  expiresAt: null,
});

describe('a header', () => {
  test('is the format with the material in its holes', () => {
    const rendered = headerPlacement('X-Key', 'id={secret.id}; key="{secret}"').render(material('s', { id: 'i' }));
    expect(rendered).toEqual({ lines: 'X-Key: id=i; key="s"\r\n', parameter: null, values: ['i', 's'] });
    expect(headerPlacement('X-KEY', '{secret}').fields).toEqual(['x-key']);
  });

  test('does not read the material as a format', () => {
    expect(headerPlacement('X', '{secret}').render(material('{secret.id} $& $1', { id: 'i' })).lines).toBe('X: {secret.id} $& $1\r\n');
  });

  test('is one line, or an error, whatever the material is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary-ascii' }), (one, two) => {
        for (const secret of [one, two]) {
          try {
            const { lines } = headerPlacement('X-Key', 'Bearer {secret}').render(material(secret));
            expect(lines).toBe(`X-Key: Bearer ${secret}\r\n`);
            expect(lines).toMatch(/^[\t\x20-\x7e\x80-\xff]*\r\n$/);
          } catch (error) {
            expect(error).toMatchObject({ code: 'credential_unusable' });
            if (secret.length > 3) expect(String(error)).not.toContain(secret);
          }
        }
      }),
    );
  });
});

describe('basic', () => {
  test('is the user name and the material, in UTF-8', () => {
    const { lines, values } = basicPlacement('us er').render(material('pä:ss'));
    expect(lines).toBe(`Authorization: Basic ${Buffer.from('us er:pä:ss').toString('base64')}\r\n`);
    expect(values).toEqual([Buffer.from('us er:pä:ss').toString('base64'), 'pä:ss']);
  });

  test.each(['a\r\nb', 'a\0', '\x7f', 'a\x85b'])('refuses a control character: %j', (secret) => {
    expect(() => basicPlacement('u').render(material(secret))).toThrow(expect.objectContaining({ code: 'credential_unusable' }));
  });
});

describe('a query parameter', () => {
  test('is read back by a form decoder as it was', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.string({ unit: 'grapheme' }), fc.webQueryParameters(), (name, secret, others) => {
        const { parameter } = queryPlacement(name).render(material(secret));
        const query = setParameter(others === '' ? '' : `?${others}`, name, parameter?.value ?? '');
        expect(query).toMatch(/^\?[^\s#]*$/);
        expect(new URLSearchParams(query).getAll(name)).toEqual([secret.toWellFormed()]);
      }),
    );
  });

  test('leaves every other pair as it was, byte for byte and in its order', () => {
    const pair = fc.stringMatching(/^[a-z%=;+.]{0,6}$/).filter((text) => !/^key(=|$)/.test(decode(text)));
    fc.assert(
      fc.property(fc.array(pair, { minLength: 1 }), (pairs) => {
        fc.pre(pairs.join('&') !== '');
        expect(setParameter(`?${pairs.join('&')}`, 'key', 'v')).toBe(`?${pairs.join('&')}&key=v`);
      }),
    );
  });
});

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return text;
  }
}
