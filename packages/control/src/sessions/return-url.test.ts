import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { returnUrls } from './return-url.js';

const urls = returnUrls(['https://app.example.com/market', 'https://admin.example.com', 'http://localhost:5173/', 'https://[::1]:8443/a/']);

function allowed(text: string): string | undefined {
  try {
    return urls.require(text);
  } catch (error) {
    expect(error).toMatchObject({ code: 'return_url_not_allowed', status: 400 });
    return undefined;
  }
}

describe('return URLs', () => {
  test.each([
    ...['https://app.example.com/market', 'https://app.example.com/market/', 'https://app.example.com/market/x/y?a=b#c'],
    ...['https://app.example.com/market?next=//evil.example', 'https://admin.example.com/', 'https://admin.example.com/any/%20thing'],
    ...['http://localhost:5173/x', 'https://[::1]:8443/a/b', 'https://app.example.com/market/%E2%82%AC'],
  ])('%s is allowed', (text) => {
    expect(allowed(text)).toBe(new URL(text).href);
  });

  test('the answer is the spelling that everybody reads alike', () => {
    expect(allowed('HTTPS://APP.example.com:443/market/./x')).toBe('https://app.example.com/market/x');
    expect(allowed('https://admin.example.com')).toBe('https://admin.example.com/');
  });

  test.each([
    ...[
      '',
      ' ',
      '/',
      '/market',
      '//app.example.com/market',
      'app.example.com/market',
      'https:app.example.com/market',
      'https:/app.example.com/market',
    ],
    ...['https:///app.example.com/market', 'https://app.example.com', 'https://app.example.com/', 'https://app.example.com/marketing'],
    ...['https://app.example.com/market/../secret', 'https://app.example.com/market/%2e%2e/secret', 'https://app.example.com/market/..%2fsecret'],
    ...['https://app.example.com/market/..%5Csecret', 'https://app.example.com\\market', 'https://app.example.com/market\\..\\secret'],
    ...['https://evil.example\\@app.example.com/market', 'https://app.example.com@evil.example/market', 'https://user:pw@app.example.com/market'],
    ...['https://@app.example.com/market', 'https://app.example.com./market', 'https://app.example.com.evil.example/market'],
    ...['https://app.example.com:444/market', 'http://app.example.com/market', 'https://sub.app.example.com/market', 'javascript:alert(1)'],
    ...['JaVaScRiPt://app.example.com/market%0aalert(1)', 'data:text/html,x', 'blob:https://app.example.com/market', 'ftp://app.example.com/market'],
    ...[' https://app.example.com/market', 'https://app.example.com/market ', 'https://app.example.com/mar\tket', '\thttps://app.example.com/market'],
    ...['https://app.example.com/market\n', 'https://app.example.com/market\0', 'https://app.example.com/märket', 'https://аpp.example.com/market'],
    ...[
      'https://app.example.com/market?auth_token=x',
      'https://app.example.com/market?a=b&auth%5Ftoken=x',
      `https://admin.example.com/${'x'.repeat(2048)}`,
    ],
  ])('%j is not', (text) => {
    expect(allowed(text)).toBeUndefined();
  });

  test('whatever is allowed leads to an origin and below a path of the list, for whoever reads it', () => {
    const piece = fc.constantFrom(
      ...['https:', 'http:', 'javascript:', '/', '//', '\\', '@', ':', '.', '..', '%2e', '%2f', '%5c', '?', '#', '\t', '\n', ' ', '\0', 'x'],
      ...['app.example.com', 'evil.example', 'market', 'admin.example.com', '443', 'user', '[::1]', ':8443', 'localhost:5173', 'auth_token=1'],
    );
    const text = fc.oneof(
      fc.array(piece, { maxLength: 12 }).map((parts) => parts.join('')),
      fc.array(piece, { maxLength: 8 }).map((parts) => `https://app.example.com${parts.join('')}`),
      fc.array(piece, { maxLength: 8 }).map((parts) => `https://${parts.join('')}app.example.com/market`),
      fc.array(piece, { maxLength: 8 }).map((parts) => `https://app.example.com/market/${parts.join('')}`),
      fc.webUrl({ withQueryParameters: true, withFragments: true }),
    );
    fc.assert(
      fc.property(text, (candidate) => {
        const answer = allowed(candidate);
        if (answer === undefined) return;
        // As a reader would that knows nothing of URL parsers: the text up to the third slash is the origin.
        const [, origin, path = ''] = /^(https?:\/\/[^/?#\\@]+)(\/[^?#]*)?/.exec(answer) ?? [];
        expect(['https://app.example.com', 'https://admin.example.com', 'http://localhost:5173', 'https://[::1]:8443']).toContain(origin);
        if (origin === 'https://app.example.com') expect(`${path}/`).toMatch(/^\/market\//);
        expect(decodeURIComponent(path.replace(/%(?![0-9a-f]{2})/gi, '%25')).split(/[/\\]/)).not.toContain('..');
        expect(urls.require(answer)).toBe(answer);
      }),
      { numRuns: 3000 },
    );
  });

  test.each([
    '',
    'app.example.com',
    '/market',
    'javascript:alert(1)',
    'https://*.example.com',
    'https://a.example/?x',
    'https://u@a.example',
    'https://a.example/#x',
  ])('%j is refused as an entry', (entry) => {
    expect(() => returnUrls([entry])).toThrow(expect.objectContaining({ code: 'config_invalid' }));
  });

  test('an empty list allows nothing', () => {
    expect(() => returnUrls([]).require('https://app.example.com/')).toThrow(expect.objectContaining({ code: 'return_url_not_allowed' }));
  });
});
