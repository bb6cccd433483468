import { SallyportError } from '@sallyport/sdk';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseRule } from './rules.js';

function summary(text: string): unknown {
  const rule = parseRule(text);
  return {
    action: rule.action,
    host: rule.host.text,
    methods: rule.methods === null ? null : [...rule.methods],
    path: rule.path?.glob ?? null,
    permits: rule.permits.map((network) => network.text),
  };
}

describe('parseRule', () => {
  it.each([
    ['allow api.github.com', { action: 'allow', host: 'api.github.com', methods: null, path: null, permits: [] }],
    ['allow api.github.com GET /repos/**', { methods: ['GET'], path: '/repos/**' }],
    ['allow api.github.com:8443 GET,POST,M-SEARCH', { host: 'api.github.com:8443', methods: ['GET', 'POST', 'M-SEARCH'], path: null }],
    ['allow api.github.com *', { methods: null, path: null }],
    ['allow api.github.com * /v1/*', { methods: null, path: '/v1/*' }],
    ['deny api.github.com /admin/**', { action: 'deny', methods: null, path: '/admin/**' }],
    ['allow "*.anthropic.com"', { host: '*.anthropic.com' }],
    ["allow '*.anthropic.com' GET", { host: '*.anthropic.com', methods: ['GET'] }],
    ['  allow\t*   GET  ', { host: '*', methods: ['GET'] }],
    ['allow files.example.com "/my files/*"', { path: '/my files/*' }],
    ['passthrough pinned.example.com', { action: 'passthrough', host: 'pinned.example.com', permits: [] }],
    ['passthrough db.internal.example:5432 to 10.0.0.0/8', { action: 'passthrough', permits: ['10.0.0.0/8'] }],
    ['allow intranet to 10.0.0.0/8,fd00::/8,192.168.1.7', { permits: ['10.0.0.0/8', 'fd00::/8', '192.168.1.7/32'] }],
    ['allow intranet:8080 GET /health to 127.0.0.1', { methods: ['GET'], path: '/health', permits: ['127.0.0.1/32'] }],
    ['allow 10.1.2.3:8080', { permits: ['10.1.2.3/32'] }],
    ['allow [::1]:8080', { permits: ['::1/128'] }],
    ['allow 10.0.0.0/8 GET', { host: '10.0.0.0/8', permits: ['10.0.0.0/8'] }],
    ['allow 169.254.169.254', { permits: ['169.254.169.254/32'] }],
    ['deny 10.0.0.0/8', { permits: [] }],
  ])('reads %s', (text, expected) => {
    expect(summary(text)).toMatchObject(expected);
  });

  it('keeps the text as the name of the rule', () => {
    expect(parseRule('  allow  "api.example.com" GET ').text).toBe('allow  "api.example.com" GET');
  });

  it.each([
    ['', 1, 'the rule is empty'],
    ['   ', 1, 'the rule is empty'],
    ['alow api.github.com', 1, 'did you mean "allow"?'],
    ['  Deny x.example.com', 3, 'did you mean "deny"?'],
    ['passthru x.example.com', 1, 'did you mean "passthrough"?'],
    ['block x.example.com', 1, 'a rule begins with allow, deny, passthrough'],
    ['api.github.com GET', 1, 'a rule begins with'],
    ['allow', 6, 'after "allow" comes a host'],
    ['allow /v1/**', 7, 'not an IP address'],
    ['allow *.com', 7, 'whole top-level domain'],
    ['allow 127.1', 7, 'write "127.0.0.1"'],
    ['allow https://x.example.com/', 7, 'it is a URL'],
    ['allow x.example.com get,post /v1', 21, 'methods are upper-case: "GET,POST"'],
    ['allow x.example.com GET, /v1', 21, 'not a list of methods'],
    ['allow x.example.com GET,*', 21, 'not a list of methods'],
    ['allow x.example.com v1/**', 21, 'a path that begins with "/"'],
    ['allow x.example.com GET POST', 25, '"POST" does not belong here'],
    ['allow x.example.com /v1 GET', 25, '"GET" does not belong here'],
    ['allow x.example.com GET /a/**b', 25, 'stands for whole segments'],
    ['allow x.example.com /a/../b', 21, 'dot segment'],
    ['allow x.example.com to', 23, 'after "to" comes a network'],
    ['allow x.example.com to 10.0.0.1/8', 24, 'write "10.0.0.0/8"'],
    ['allow x.example.com to 10.0.0.0/8, 11.0.0.0/8', 24, 'with a comma and no space'],
    ['allow x.example.com to 10.0.0.0/8 GET', 35, '"GET" does not belong here'],
    ['deny x.example.com to 10.0.0.0/8', 20, 'a deny rule permits nothing'],
    ['passthrough x.example.com GET', 27, 'neither method nor path can be seen'],
    ['passthrough x.example.com *', 27, 'neither method nor path can be seen'],
    ['passthrough x.example.com /v1', 27, 'neither method nor path can be seen'],
    ['allow "x.example.com GET', 7, 'a quote is opened and never closed'],
    ['allow "x.example.com"GET', 22, 'separated by spaces'],
    ['allow x"y"', 8, 'separated by spaces'],
  ])('refuses %j at column %i and says why', (text, column, why) => {
    try {
      parseRule(text);
    } catch (error) {
      expect(error).toBeInstanceOf(SallyportError);
      const { code, message, members } = error as SallyportError;
      expect(code).toBe('config_invalid');
      expect(message).toContain(`column ${column}: `);
      expect(message).toContain(why);
      expect(members).toEqual({ column });
      return;
    }
    expect.unreachable('was accepted');
  });

  it('never fails in another way', () => {
    const word = fc.constantFrom(
      'allow',
      'deny',
      'passthrough',
      'alow',
      '*',
      '*.example.com',
      'x.example.com',
      '10.0.0.0/8',
      '[::1]:80',
      'GET',
      'get',
      '/v1/**',
      '/a**',
      'to',
      '"',
      "'",
      '"x"',
      ',',
      '10.0.0.0/8,',
      '',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(word, { maxLength: 7 }).map((words) => words.join(' ')),
        ),
        (text) => {
          try {
            parseRule(text);
          } catch (error) {
            expect(error).toBeInstanceOf(SallyportError);
            expect((error as SallyportError).members.column).toBeGreaterThan(0);
          }
        },
      ),
      { numRuns: 3000 },
    );
  });
});
