import { expect, test } from 'vitest';
import { expectProblems, FORWARD, gateway } from '../expected-problems.test.support.js';
import { parseConfig } from '../load.js';

const at = (line: string): string => gateway(FORWARD, 'upstream:', '  hosts:', `    ${line}`);

test('addresses by host name, none by default', () => {
  const hosts = (text: string): unknown => parseConfig(text, { path: '/x.yaml' }).gateway.upstream.hosts;
  expect(hosts(gateway(FORWARD))).toEqual({});
  expect(hosts(at('{ api.internal: 10.0.0.7, xn--bcher-kva.example: "fd00::7" }'))).toEqual({
    'api.internal': '10.0.0.7',
    'xn--bcher-kva.example': 'fd00::7',
  });
});

test.each([
  ['a name for an address', 'api.internal: ‸other.internal', [['gateway.upstream.hosts["api.internal"]', 'expected an IP address']]],
  ['an address with a port', 'api.internal: ‸10.0.0.7:443', [['gateway.upstream.hosts["api.internal"]', 'expected an IP address']]],
  ['IPv6 in brackets', 'api.internal: ‸"[::1]"', [['gateway.upstream.hosts["api.internal"]', 'without brackets']]],
  ['IPv4 in octal', 'api.internal: ‸0177.0.0.1', [['gateway.upstream.hosts["api.internal"]', 'expected an IP address']]],
  ['another spelling of a name', '‸API.internal: 10.0.0.7', [['gateway.upstream.hosts["API.internal"]', /^write this name as api\.internal$/]]],
  ['a name that is not in ASCII', '‸bücher.example: 10.0.0.7', [['gateway.upstream.hosts["bücher.example"]', 'xn--bcher-kva.example']]],
  ['a pattern', '‸"*.internal": 10.0.0.7', [['gateway.upstream.hosts["*.internal"]', 'expected a host name']]],
  ['an address for a name', '‸10.0.0.8: 10.0.0.7', [['gateway.upstream.hosts["10.0.0.8"]', 'expected a host name']]],
] as const)('%s', (_, line, expected) => {
  expectProblems(at(line), expected);
});
