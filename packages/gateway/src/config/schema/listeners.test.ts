import { describe, expect, test } from 'vitest';
import { expectProblems, gateway, problemsOf } from '../expected-problems.test.support.js';

const PAIR = 'cert: /dev/null, key: /dev/null';
const ANY = 'callers: { platform: { certificate: any } }';

describe('listeners', () => {
  test.each([
    ['none', gateway('‸listeners: {}'), [['gateway.listeners', 'expected at least one of forward and sidecar']]],
    ['only ops', gateway('‸listeners: { ops: {} }'), [['gateway.listeners', 'expected at least one of forward and sidecar']]],
    ['an empty one', gateway('listeners: { ‸forward: }'), [['gateway.listeners.forward', 'is empty: expected a map']]],
    [
      'a port that is none',
      gateway('listeners: { forward: { port: ‸65536 } }'),
      [['gateway.listeners.forward.port', 'expected a whole number from 0 to 65535']],
    ],
    ['a port that is text', gateway('listeners: { forward: { port: ‸http } }'), [['gateway.listeners.forward.port', 'expected a whole number']]],
    ['a port with a fraction', gateway('listeners: { forward: { port: ‸80.5 } }'), [['gateway.listeners.forward.port', 'expected a whole number']]],
    ['a host that is none', gateway('listeners: { forward: { host: ‸"a b" } }'), [['gateway.listeners.forward.host', 'expected an IP address']]],
    ['a host in brackets', gateway('listeners: { forward: { host: ‸"[::1]" } }'), [['gateway.listeners.forward.host', 'without brackets']]],
    [
      'tls without a key',
      gateway('listeners: { forward: { ‸tls: { cert: /dev/null } } }'),
      [['gateway.listeners.forward.tls.key', 'is required: expected a path']],
    ],
    [
      'tls without a certificate',
      gateway('listeners: { sidecar: { ‸tls: { key: /dev/null } } }'),
      [['gateway.listeners.sidecar.tls.cert', 'is required']],
    ],
    [
      'a file that is not there',
      gateway('listeners: { sidecar: { tls: { key: ‸k.pem, cert: /dev/null } } }'),
      [['gateway.listeners.sidecar.tls.key', 'the file cannot be read (ENOENT)']],
    ],
    [
      'tls on ops',
      gateway('listeners: { forward: {}, ops: { ‸tls: {} } }'),
      [['gateway.listeners.ops.tls', 'unknown key here; it belongs to gateway.listeners.forward or']],
    ],
    [
      'a switch that is neither',
      gateway('listeners: { sidecar: { insecure_targets: ‸yes } }'),
      [['gateway.listeners.sidecar.insecure_targets', 'expected true or false']],
    ],
    [
      'a header prefix that is no token',
      gateway('listeners: { sidecar: { header_prefix: ‸"X Connect" } }'),
      [['gateway.listeners.sidecar.header_prefix', 'expected a header name prefix']],
    ],
    [
      'a trace header that is no token',
      gateway('listeners: { sidecar: { trace_header: ‸"a:b" } }'),
      [['gateway.listeners.sidecar.trace_header', 'expected a header name']],
    ],
    [
      'a caller header that is no token',
      gateway('listeners: { sidecar: { caller_header: ‸"" } }'),
      [['gateway.listeners.sidecar.caller_header', 'expected a header name']],
    ],
    [
      'one address twice',
      gateway('listeners: { forward: {}, ops: { port: ‸9080 } }'),
      [['gateway.listeners.ops.port', 'the listener forward has this address already']],
    ],
    [
      'one address twice by a default',
      gateway('listeners: { forward: { port: 9090 }, ‸ops: {} }'),
      [['gateway.listeners.ops.port', 'the listener forward has']],
    ],
    [
      'one address in two spellings',
      gateway('listeners: { forward: { host: localhost }, ops: { port: ‸9080 } }'),
      [['gateway.listeners.ops.port', 'the listener forward has']],
    ],
    [
      'one address inside of all',
      gateway('listeners: { forward: {}, ops: { host: 0.0.0.0, port: ‸9080 } }'),
      [['gateway.listeners.ops.port', 'the listener forward has']],
    ],
    [
      'beyond loopback without a token',
      gateway('listeners: { forward: { host: ‸0.0.0.0 } }', 'callers: { me: { loopback: true } }'),
      [['gateway.listeners.forward.host', 'others can reach this address, and no caller has a token']],
    ],
    [
      'beyond loopback without callers',
      gateway('listeners: { sidecar: { host: ‸"::" } }'),
      [['gateway.listeners.sidecar.host', 'others can reach this address']],
    ],
    [
      'beyond loopback with a token that needs a certificate',
      gateway('listeners: { sidecar: { host: ‸"::" } }', 'callers: { a: { token: { env: LONG }, certificate: any } }'),
      [['gateway.listeners.sidecar.host', 'others can reach this address']],
    ],
    [
      'client_ca without a caller',
      gateway(`listeners: { sidecar: { tls: { ${PAIR}, client_ca: ‸/dev/null } } }`, 'callers: { a: { token: { env: LONG } } }'),
      [['gateway.listeners.sidecar.tls.client_ca', 'clients have to present a certificate here']],
    ],
    [
      'balancers without a caller',
      gateway('listeners: { sidecar: { ‸trusted_proxies: [10.0.0.0/8] } }', 'callers: { a: { token: { env: LONG } } }'),
      [['gateway.listeners.sidecar.trusted_proxies', 'clients have to present a certificate here']],
    ],
    [
      'a bundle that is not there',
      gateway(`listeners: { sidecar: { tls: { ${PAIR}, client_ca: [/dev/null, ‸ca.pem] } } }`, ANY),
      [['gateway.listeners.sidecar.tls.client_ca[1]', 'the file cannot be read (ENOENT)']],
    ],
    [
      'no bundle',
      gateway(`listeners: { sidecar: { tls: { ${PAIR}, ‸client_ca: [] } } }`, ANY),
      [['gateway.listeners.sidecar.tls.client_ca', 'expected at least one path']],
    ],
    [
      'a list without a bundle',
      gateway(`listeners: { sidecar: { tls: { ${PAIR}, crl: ‸/dev/null } } }`, ANY),
      [['gateway.listeners.sidecar.tls.crl', 'needs client_ca']],
    ],
    [
      'no balancer',
      gateway('listeners: { sidecar: { ‸trusted_proxies: [] } }', ANY),
      [['gateway.listeners.sidecar.trusted_proxies', 'expected at least one network']],
    ],
    [
      'a balancer that is no network',
      gateway('listeners: { sidecar: { trusted_proxies: [‸balancer] } }', ANY),
      [['gateway.listeners.sidecar.trusted_proxies[0]', 'is not a network']],
    ],
    [
      'balancers of the forward door',
      gateway('listeners: { forward: { ‸trusted_proxies: [10.0.0.1] } }', ANY),
      [['gateway.listeners.forward.trusted_proxies', 'it belongs to gateway.listeners.sidecar']],
    ],
    [
      'a header of nobody',
      gateway('listeners: { sidecar: { ‸forwarded_certificate: {} } }', ANY),
      [['gateway.listeners.sidecar.forwarded_certificate', 'needs trusted_proxies']],
    ],
    [
      'a header that is not known',
      gateway('listeners: { sidecar: { trusted_proxies: [10.0.0.1], forwarded_certificate: { header: ‸X-Client } } }', ANY),
      [['gateway.listeners.sidecar.forwarded_certificate.header', 'expected X-Forwarded-Client-Cert or Client-Cert']],
    ],
    [
      'a forwarded list without a bundle',
      gateway('listeners: { sidecar: { trusted_proxies: [10.0.0.1], forwarded_certificate: { crl: ‸/dev/null } } }', ANY),
      [['gateway.listeners.sidecar.forwarded_certificate.crl', 'needs ca']],
    ],
  ] as const)('%s', (_, text, expected) => {
    expectProblems(text, expected);
  });

  test.each([
    ['port 0 twice', 'listeners: { forward: { port: 0 }, sidecar: { port: 0 } }'],
    ['one port on two addresses', 'listeners: { forward: {}, ops: { host: 127.0.0.2, port: 9080 } }'],
    ['ops beyond loopback', 'listeners: { forward: { host: "::1" }, ops: { host: 0.0.0.0 } }'],
    ['other loopback addresses', 'listeners: { forward: { host: 127.1.2.3 }, sidecar: { host: localhost } }'],
  ])('fine: %s', (_, line) => {
    expect(problemsOf(gateway(line))).toEqual([]);
  });

  test.each([
    ['with certificates', `listeners: { sidecar: { host: 0.0.0.0, tls: { ${PAIR}, client_ca: /dev/null, crl: [/dev/null] } } }`],
    [
      'behind balancers',
      'listeners: { sidecar: { host: 0.0.0.0, trusted_proxies: ["10.0.0.0/8", "::1"], forwarded_certificate: { ca: /dev/null } } }',
    ],
  ])('fine: beyond loopback %s', (_, line) => {
    expect(problemsOf(gateway(line, ANY))).toEqual([]);
  });

  test('fine: beyond loopback with a token', () => {
    expect(problemsOf(gateway('listeners: { forward: { host: 0.0.0.0 } }', 'callers: { ci: { token: { env: LONG } } }'))).toEqual([]);
  });
});
