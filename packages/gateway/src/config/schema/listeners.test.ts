import { describe, expect, test } from 'vitest';
import { expectProblems, gateway, problemsOf } from '../expected-problems.test.support.js';

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

  test('fine: beyond loopback with a token', () => {
    expect(problemsOf(gateway('listeners: { forward: { host: 0.0.0.0 } }', 'callers: { ci: { token: { env: LONG } } }'))).toEqual([]);
  });
});
