import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseTargetUrl } from './target-url.js';

const invalid = expect.objectContaining({ code: 'target_invalid' });

describe('an absolute URL', () => {
  test.each([
    ['http://a.example', 'http', 'a.example', 80, '/', ''],
    ['HTTPS://A.Example./x', 'https', 'a.example', 443, '/x', ''],
    ['https://a.example:8443?q=/#'.slice(0, -1), 'https', 'a.example', 8443, '/', '?q=/'],
    ['https://a.example:/x', 'https', 'a.example', 443, '/x', ''],
    ['https://[::1]:80/%2F/../a?', 'https', '::1', 80, '/%2F/../a', '?'],
    ['http://0x7f.1/', 'http', '127.0.0.1', 80, '/', ''],
    ['http://xn--bcher-kva.example/', 'http', 'xn--bcher-kva.example', 80, '/', ''],
    ['http://a.example/?a?b', 'http', 'a.example', 80, '/', '?a?b'],
  ])('%s', (text, scheme, host, port, path, query) => {
    const target = parseTargetUrl(text);
    expect({ ...target, host: target.host.text, authority: '' }).toEqual({ scheme, authority: '', host, port, path, query });
  });

  test.each([
    '',
    '/x',
    'a.example/x',
    '//a.example/x',
    'http:/a.example',
    'http:a.example',
    'ftp://a.example/',
    'http://',
    'http:///x',
    'http://?x',
    'http://a.example/#',
    'http://a.example/x#y',
    'http://u@a.example/',
    'http://u:p@a.example/',
    'http://a.example\\@b.example/',
    'http://a.example:0/',
    'http://a.example:65536/',
    'http://a.example:443:/',
    'http://a.example:+80/',
    'http://a.example: 80/',
    'http://a.example/ x',
    'http://a.example/\u00e9',
    'http://a.example/x\r\nHost: b',
    'http://a..example/',
    'http://a.example,b.example/',
    'http://[::1/',
    'http://::1/',
    'http://[::1%25eth0]/',
    'http://256.1.1.1/',
  ])('is refused when it is none: %j', (text) => {
    expect(() => parseTargetUrl(text)).toThrow(invalid);
  });

  test('loses its userinfo where that is asked for, up to the last @', () => {
    for (const text of ['http://u:p@a.example/x@y', 'http://u@b.example@a.example/x@y']) {
      expect(parseTargetUrl(text, true)).toMatchObject({ authority: 'a.example', host: { text: 'a.example' }, path: '/x@y' });
    }
  });
});

test('whatever is accepted names the host and port that a URL parser reads, and leaves path and query as they are', () => {
  const part = fc.oneof(
    fc.webUrl({ withQueryParameters: true }),
    fc.string({ unit: 'binary-ascii' }).map((text) => `http://${text}`),
  );
  fc.assert(
    fc.property(part, fc.constantFrom('', ':80', ':443', ':8443', ':'), fc.string({ unit: 'binary-ascii', maxLength: 6 }), (url, port, tail) => {
      const text = url.replace(/^(https?:\/\/[^/?#]*)/, `$1${port}`) + tail;
      let target: ReturnType<typeof parseTargetUrl>;
      try {
        target = parseTargetUrl(text);
      } catch (error) {
        expect(error).toMatchObject({ code: 'target_invalid' });
        return;
      }
      expect(
        `${text.slice(0, text.indexOf('//') + 2)}${target.authority}${text.includes(target.authority + target.path) ? target.path : ''}${target.query}`,
      ).toBe(text);
      // The oracle knows a few hosts that we refuse, never the other way round; it turns a backslash into a slash only behind the authority.
      const oracle = new URL(text);
      const host = oracle.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
      expect([target.host.text, target.port]).toEqual([host, Number(oracle.port || (oracle.protocol === 'https:' ? 443 : 80))]);
    }),
    { numRuns: 2_000 },
  );
});
