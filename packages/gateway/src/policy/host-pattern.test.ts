import { SallyportError } from '@sallyport/sdk';
import { describe, expect, it } from 'vitest';
import { parseHostPattern, portMatches } from './host-pattern.js';

describe('parseHostPattern', () => {
  it.each([
    ['api.github.com', { kind: 'exact', host: 'api.github.com', network: null, port: 'default', text: 'api.github.com' }],
    ['API.GitHub.com.:8443', { kind: 'exact', host: 'api.github.com', port: 8443, text: 'api.github.com:8443' }],
    ['localhost:*', { kind: 'exact', host: 'localhost', port: 'any', text: 'localhost:*' }],
    ['Bücher.de', { kind: 'exact', host: 'xn--bcher-kva.de', text: 'xn--bcher-kva.de' }],
    ['*', { kind: 'any', port: 'default', text: '*' }],
    ['*:*', { kind: 'any', port: 'any', text: '*:*' }],
    ['*:22', { kind: 'any', port: 22, text: '*:22' }],
    ['*.Example.com', { kind: 'suffix', suffix: 'example.com', port: 'default', text: '*.example.com' }],
    ['*.bücher.de:8443', { kind: 'suffix', suffix: 'xn--bcher-kva.de', port: 8443, text: '*.xn--bcher-kva.de:8443' }],
    ['10.1.2.3', { kind: 'exact', host: '10.1.2.3', port: 'default', text: '10.1.2.3' }],
    ['10.1.2.3:*', { kind: 'exact', host: '10.1.2.3', port: 'any' }],
    ['::1', { kind: 'exact', host: '::1', port: 'default', text: '::1' }],
    ['[::1]', { kind: 'exact', host: '::1', port: 'default', text: '::1' }],
    ['[2001:DB8:0::1]:8443', { kind: 'exact', host: '2001:db8::1', port: 8443, text: '[2001:db8::1]:8443' }],
    ['::ffff:10.1.2.3', { kind: 'exact', host: '10.1.2.3', text: '::ffff:a01:203' }],
    ['10.0.0.0/8', { kind: 'network', port: 'default', text: '10.0.0.0/8' }],
    ['10.0.0.0/8:8080', { kind: 'network', port: 8080, text: '10.0.0.0/8:8080' }],
    ['fd00::/8', { kind: 'network', port: 'default', text: 'fd00::/8' }],
    ['[fd00::/8]:*', { kind: 'network', port: 'any', text: '[fd00::/8]:*' }],
  ])('reads %j', (text, expected) => {
    expect(parseHostPattern(text)).toMatchObject(expected);
  });

  it.each(['api.github.com', '*:*', '*.example.com:8443', '[::1]:80', '::1', '[fd00::/8]:443', '10.0.0.0/8:*'])(
    'writes %j as it reads it',
    (text) => {
      expect(parseHostPattern(text).text).toBe(text);
    },
  );

  it.each([
    ['*.com', 'whole top-level domain'],
    ['a.*.com', '"*" stands for whole labels'],
    ['*foo.com', '"*" stands for whole labels'],
    ['x.*', '"*" stands for whole labels'],
    ['*.*.com', '"*" stands for whole labels'],
    ['**', '"*" stands for whole labels'],
    ['*.', 'empty'],
    ['*.0.0.1', 'write a CIDR'],
    ['127.1', 'write "127.0.0.1"'],
    ['0177.0.0.1:8080', 'write "127.0.0.1:8080"'],
    ['2130706433:*', 'write "127.0.0.1:*"'],
    ['010.0.0.0/8', 'write "8.0.0.0/8"'],
    ['10.0.0.1/8', 'write "10.0.0.0/8"'],
    ['api.example.com:0', 'port "0"'],
    ['api.example.com:https', 'port "https"'],
    ['api.example.com:', 'port ""'],
    ['[::1]8443', 'after an opening bracket'],
    ['[::1', 'after an opening bracket'],
    ['[example.com]:80', 'brackets are for IPv6 only'],
    ['[10.0.0.1]', 'brackets are for IPv6 only'],
    ['https://api.example.com', 'write its host alone'],
    ['api.example.com/v1', 'not an IP address'],
    ['user@api.example.com', 'user name'],
    ['fe80::1%eth0', 'zone id'],
    ['', 'empty'],
    ['a b', 'space'],
  ])('refuses %j and says why', (text, why) => {
    try {
      parseHostPattern(text);
    } catch (error) {
      expect(error).toBeInstanceOf(SallyportError);
      expect((error as SallyportError).code).toBe('config_invalid');
      expect((error as SallyportError).message).toContain(why);
      return;
    }
    expect.unreachable('was accepted');
  });
});

describe('portMatches', () => {
  it('takes the ports of the two schemes for no port', () => {
    expect([80, 443, 8443].map((port) => portMatches('default', port))).toEqual([true, true, false]);
    expect([80, 443, 8443].map((port) => portMatches('any', port))).toEqual([true, true, true]);
    expect([80, 443, 8443].map((port) => portMatches(8443, port))).toEqual([false, false, true]);
  });
});
