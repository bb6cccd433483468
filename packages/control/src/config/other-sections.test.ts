import { describe, expect, test } from 'vitest';
import { control, controlOf, expectProblems, parsed } from './control-problems.test.support.js';

const ROLE = 'roles: [{ claim: groups, contains: admins, permissions: [] }]';
const okta = (keys: string): string => control(`sign_in: { providers: { okta: { ${keys} } } }`);
const whole = 'issuer: "https://okta.example", client_id: me, namespace: root.a';
const at = (key: string): string => `sign_in.providers.okta${key}`;

describe('sign-in', () => {
  test.each([
    ['in the clear', okta(`issuer: ‸"http://okta.example", client_id: me, namespace: root, ${ROLE}`), '.issuer', 'only for loopback'],
    ['for nobody', okta(`${whole}, ‸roles: []`), '.roles', 'nobody is let in'],
    ['without a role', control(`sign_in: { providers: { ‸okta: { ${whole} } } }`), '.roles', 'is required'],
    ['with two conditions', okta(`${whole}, roles: [‸{ claim: a, equals: b, contains: c, permissions: [] }]`), '.roles[0]', 'exactly one of'],
    ['without openid', okta(`${whole}, ${ROLE}, ‸scopes: [groups]`), '.scopes', '`openid` is missing'],
    ['with an empty secret', okta(`${whole}, ${ROLE}, client_secret: ‸""`), '.client_secret', 'is empty'],
    [
      'with rights elsewhere',
      control(
        `sign_in: { providers: { ‸okta: { ${whole}, roles: [{ claim: a, equals: b, permissions: [{ namespace: root.b, resources: ["*"], verbs: ["*"] }] }] } } }`,
      ),
      '',
      'must be at or below root.a',
    ],
    [
      'on loopback without being told to',
      control(`sign_in: { providers: { ‸okta: { issuer: "http://localhost:1", client_id: me, namespace: root, ${ROLE} } } }`),
      '',
      'allow_insecure',
    ],
  ])('%s is refused', (_, text, key, message) => {
    expectProblems(text, [[at(key), message]]);
  });

  test('has a provider by a name of few letters', () => {
    expectProblems(control(`sign_in: { providers: { ‸Okta_1: { ${whole}, ${ROLE} } } }`), [['sign_in.providers.Okta_1', 'lower-case letters']]);
    expectProblems(control(`sign_in: { providers: { ‸providers: { ${whole}, ${ROLE} } } }`), [
      ['sign_in.providers.providers', 'choose another name'],
    ]);
  });

  test('counts the age in seconds', () => {
    const { providers } = controlOf(okta(`${whole}, ${ROLE}, max_age: 1h`)).sign_in;
    expect(providers.okta).toMatchObject({ max_age_seconds: 3_600, scopes: ['openid'], external_id_claim: 'sub', userinfo: false });
  });
});

test.each([
  ['a way in that is none', 'host_application: { initiate_session_url: ‸"javascript:x" }', 'host_application.initiate_session_url', 'http'],
  ['a way back that is none', 'host_application: { return_urls: [‸"//evil.example"] }', 'host_application.return_urls[0]', ''],
  ['a Redis that is none', 'redis: { url: ‸localhost }', 'redis.url', 'expected a URL such as rediss://'],
  ['half a second', 'rate_limits: { actor: { per: ‸500ms } }', 'rate_limits.actor.per', 'whole seconds'],
  ['no requests', 'rate_limits: { address: { requests: ‸0 } }', 'rate_limits.address.requests', 'from 1 to'],
  ['nobody at work', 'tasks: { concurrency: ‸0 }', 'tasks.concurrency', 'from 1 to'],
  ['something kept off', 'retention: { soft_deleted: ‸off }', 'retention.soft_deleted', 'expected a duration'],
  ['a log of everything', 'log: { level: ‸trace }', 'log.level', 'expected debug'],
])('%s is refused', (_, line, key, message) => {
  expectProblems(control(line), [[key, message]]);
});

test('Redis beyond this machine without TLS is doubtful', () => {
  const keys = (url: string): string[] => parsed(control(`redis: { url: "${url}" }`)).warnings.map(({ key }) => key);
  expect(keys('redis://redis.example')).toEqual(['control.redis.url']);
  expect([...keys('rediss://redis.example'), ...keys('redis://127.0.0.1'), ...keys('redis://[::1]:6379')]).toEqual([]);
});
