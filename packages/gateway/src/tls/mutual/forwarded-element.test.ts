import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { lastForwardedElement } from './forwarded-element.js';

const nothing = { hash: null, cert: null, chain: null, subject: null, uris: [], dns: [] };

describe('an X-Forwarded-Client-Cert value', () => {
  test.each([
    ['By=http://frontend.lyft.com;Hash=abc;URI=http://testclient.lyft.com', { hash: 'abc', uris: ['http://testclient.lyft.com'] }],
    [
      'By=http://a;Hash=abc;Subject="/C=US/CN=Test";URI=http://x,By=http://b;Hash=def;Subject="CN=Client,OU=Lyft";URI=http://y;DNS=a.b;DNS=c.d',
      { hash: 'def', subject: 'CN=Client,OU=Lyft', uris: ['http://y'], dns: ['a.b', 'c.d'] },
    ],
    ['hash=abc;SUBJECT=""', { hash: 'abc' }],
    ['Subject="CN=a\\"b\\\\,O=c";URI=', { subject: 'CN=a"b\\,O=c' }],
    ['Cert="-----BEGIN%20CERTIFICATE-----%0Aa%2Bb%3D"', { cert: '-----BEGIN CERTIFICATE-----\na+b=' }],
    ['Hash=abc, Hash=def', { hash: 'def' }],
    ['URI="a,b;c"', { uris: ['a,b;c'] }],
  ])('%s', (value, expected) => {
    expect(lastForwardedElement(value)).toEqual({ ...nothing, ...expected });
  });

  test.each([
    '',
    'Hash',
    'Hash=a,',
    ',Hash=a',
    'Hash=a;',
    'Hash=a;;URI=b',
    'Hash=a;Hash=b',
    'Subject="a',
    'Subject="a"b',
    'Subject="a\\"',
    'URI=a"b"',
    'Cert=%ff',
    'Ha sh=a',
    '=a',
  ])('refuses %s', (value) => {
    expect(lastForwardedElement(value)).toBeNull();
  });

  const text = fc.string({ unit: fc.constantFrom('a', 'B', ',', ';', '=', '"', '\\', ' ', 'URI=', 'Subject="', 'CN=admin', '%2C'), maxLength: 12 });
  const quoted = (value: string): string => `"${value.replace(/["\\]/g, '\\$&')}"`;

  test('gives back what a proxy wrote, whatever the values hold', () => {
    fc.assert(
      fc.property(text, fc.array(text, { maxLength: 3 }), (subject, uris) => {
        const element = [`Hash=abc`, `Subject=${quoted(subject)}`, ...uris.map((uri) => `URI=${quoted(uri)}`)].join(';');
        const expected = { ...nothing, hash: 'abc', subject: subject || null, uris: uris.filter((uri) => uri !== '') };
        expect(lastForwardedElement(element)).toEqual(expected);
        expect(lastForwardedElement(`Hash=def;Subject=${quoted(subject)},${element}`)).toEqual(expected);
      }),
    );
  });

  test('whatever a client puts in front, the balancer is quoted right or the whole is refused', () => {
    const real = 'By=spiffe://lb;Hash=abc;Subject="CN=real,O=b";URI=spiffe://acme/real';
    const expected = lastForwardedElement(real);
    fc.assert(
      fc.property(text, (front) => {
        const read = lastForwardedElement(`${front},${real}`);
        if (read !== null) expect(read).toEqual(expected);
      }),
      { numRuns: 2_000 },
    );
    fc.assert(
      fc.property(text, (front) => {
        const read = lastForwardedElement(`${front},Hash=abc;URI=spiffe://acme/real`);
        if (read !== null) expect(read).toEqual({ ...nothing, hash: 'abc', uris: ['spiffe://acme/real'] });
      }),
      { numRuns: 2_000 },
    );
  });

  test('never throws', () => {
    fc.assert(fc.property(fc.string(), (value) => lastForwardedElement(value) === null || true));
  });
});
