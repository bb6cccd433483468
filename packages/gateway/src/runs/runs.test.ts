import { expect, test } from 'vitest';
import { parseConfig } from '../config/load.js';
import { Exchange } from '../exchange.js';
import { CallerRegistry, digestToken } from '../pipeline/callers.js';
import { type RunGateway, Runs } from './runs.js';
import { secretVariables } from './secret-variables.js';

const credential = (variable: string) => ({ source: { type: 'env', var: variable }, bind: [{ hosts: ['a.example'], place: { query: 'key' } }] });

function gatewayWith(callers: object = {}): RunGateway {
  const config = { gateway: { listeners: { forward: {} }, credentials: { a: credential('A'), b: credential('B') }, callers } };
  return { runs: new CallerRegistry(), config: parseConfig(JSON.stringify(config), { path: '/nowhere/sallyport.yaml' }).gateway };
}

test('a run is known by its token until it ends', () => {
  const gateway = gatewayWith();
  const runs = new Runs();
  const { id, token } = runs.begin(gateway, ['a']);
  expect(id).toMatch(/^run-[0-9a-f]{16}$/);
  expect(Buffer.from(token, 'base64url')).toHaveLength(32);
  expect(gateway.runs.find(digestToken(token))).toEqual({ name: id, kind: 'run', credentials: new Set(['a']) });
  expect(runs.end(id)).toMatchObject({ run_id: id });
  expect(gateway.runs.find(digestToken(token))).toBeNull();
  expect(runs.end(id)).toBeNull();
  expect(runs.summary(id)).toBeNull();
});

test.each([
  ['all', {}, 'all'],
  ['default', {}, 'all'],
  ['default', { run: { loopback: true, credentials: ['b'] } }, new Set(['b'])],
  ['default', { run: { loopback: true, credentials: 'all' } }, 'all'],
  ['default', { run: { loopback: true } }, new Set()],
  [['a', 'b'], { run: { loopback: true } }, new Set(['a', 'b'])],
  [[], {}, new Set()],
] as const)('of %j with the callers %j a run may use %j', (wanted, callers, expected) => {
  const gateway = gatewayWith(callers);
  const { token } = new Runs().begin(gateway, wanted);
  expect(gateway.runs.find(digestToken(token))?.credentials).toEqual(expected);
});

test.each(['c', '__proto__', 'toString'])('a credential that is not there is an error: %s', (name) => {
  expect(() => new Runs().begin(gatewayWith(), ['a', name])).toThrow(
    expect.objectContaining({ code: 'credential_unavailable', hint: 'These are there: a, b.' }),
  );
});

test('there are at most a thousand at a time', () => {
  const gateway = gatewayWith();
  const runs = new Runs();
  const [first] = Array.from({ length: 1_000 }, () => runs.begin(gateway, 'all'));
  expect(() => runs.begin(gateway, 'all')).toThrow(expect.objectContaining({ code: 'limit_exceeded' }));
  runs.end(first?.id ?? '');
  expect(runs.begin(gateway, 'all').id).toBeTruthy();
});

test('only what a run itself does is noted', () => {
  const gateway = gatewayWith();
  const runs = new Runs();
  const { id } = runs.begin(gateway, 'all');
  const note = (name: string, kind: 'run' | 'token', host: string): void => {
    runs.note(Object.assign(new Exchange('forward', '127.0.0.1'), { host, caller: { name, kind, credentials: 'all' }, upstreamStatus: 200 }));
  };
  note(id, 'run', 'mine.example');
  note(id, 'token', 'same-name.example');
  note('run-0', 'run', 'ended.example');
  note(id, 'run', '');
  runs.note(new Exchange('forward', '127.0.0.1'));
  expect(runs.summary(id)?.hosts.map(({ host }) => host)).toEqual(['mine.example']);
});

test('the variables that hold secrets are those that credentials are read from and those with the value of one', () => {
  const config = {
    gateway: {
      listeners: { forward: {} },
      credentials: { a: credential('A'), b: { ...credential('B'), source: { type: 'static', value: '\u0024{STATIC}' } } },
      callers: { ci: { token: { env: 'CI_TOKEN' } } },
    },
  };
  const env = { CI_TOKEN: '0123456789abcdef', STATIC: 'static-secret', COPY: 'static-secret', HOME: '/home/me', EMPTY: undefined };
  const { gateway } = parseConfig(JSON.stringify(config), { path: '/nowhere/sallyport.yaml', env });
  expect(secretVariables(gateway, env).sort()).toEqual(['A', 'CI_TOKEN', 'COPY', 'STATIC']);
});
