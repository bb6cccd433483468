import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type IdentityProviderInput, readIdentityProvider } from './identity-provider-config.js';
import { providerInput } from './identity-providers.test.support.js';
import { mapPerson } from './role-mapping.js';

const issuer = 'https://login.example.com';
const secure = { callback_url: 'https://sallyport.example.com/sign-in/company/callback', allow_insecure: false };

function read(more: Record<string, unknown> = {}) {
  return readIdentityProvider({ ...providerInput(issuer, secure), ...more });
}

describe('the roles of a provider', () => {
  test('that fit are put together; the first one says where', () => {
    const person = mapPerson(read(), { sub: 'ada', groups: ['admins', 'staff', 'friends'] });
    expect(person).toMatchObject({ namespace: 'root.a', external_id: 'company_ada', labels: { group: 'admins' } });
    expect(typeof person === 'string' ? [] : person.permissions.map(({ verbs }) => verbs)).toEqual([['get', 'list'], ['*']]);
    expect(mapPerson(read(), { sub: 'ada', groups: ['friends'] })).toMatchObject({ namespace: 'root.a.b' });
  });

  test.each([
    {},
    { groups: 'admins' },
    { groups: [['admins']] },
    { groups: { admins: true } },
    { groups: ['Admins', ' admins', 'admins '] },
    { groups: null },
    { Groups: ['admins'] },
  ])('fit exactly or not at all: %j', (claims) => {
    expect(mapPerson(read(), { sub: 'ada', ...claims })).toBe('no_role');
  });

  test('a condition on one value is met by that text alone', () => {
    const provider = read({ roles: [{ claim: 'hd', equals: 'example.com', permissions: [] }] });
    expect(mapPerson(provider, { sub: 'ada', hd: 'example.com' })).toMatchObject({ external_id: 'company_ada', permissions: [], labels: {} });
    for (const hd of [['example.com'], 'example.com.evil.example', undefined, true]) expect(mapPerson(provider, { sub: 'ada', hd })).toBe('no_role');
  });

  test('whatever the claims are, nobody without a fitting claim has a role, and everybody with one is in the namespace', () => {
    const claims: fc.Arbitrary<{ readonly groups?: unknown }> = fc.dictionary(
      fc.constantFrom('groups', 'sub', 'email', '__proto__', 'constructor', 'dept'),
      fc.anything(),
    );
    fc.assert(
      fc.property(claims, (said) => {
        const person = mapPerson(read({ label_claims: { dept: 'dept' } }), { ...said });
        const groups = Object.hasOwn(said, 'groups') ? said.groups : undefined;
        const has = Array.isArray(groups) && ['staff', 'admins', 'friends'].some((group) => groups.includes(group));
        if (!has) expect(person).toBe('no_role');
        else if (typeof person !== 'string') expect(person.namespace).toMatch(/^root\.a(\.b)?$/);
      }),
    );
  });

  test('a claim becomes a label when it can be one, and never overrules a role', () => {
    const provider = read({ label_claims: { dept: 'department', group: 'nickname' } });
    const labels = (department: unknown) => {
      const person = mapPerson(provider, { sub: 'ada', groups: ['staff'], department, nickname: 'admins' });
      return typeof person === 'string' ? person : person.labels;
    };
    expect(labels('red')).toEqual({ dept: 'red', group: 'staff' });
    for (const value of ['', 'a b', 'root.**', '../x', 'x'.repeat(64), ['red'], 7]) expect(labels(value)).toMatchObject({ group: 'staff' });
    for (const value of ['', 'a b', 'root.**', '../x', 'x'.repeat(64), ['red'], 7]) expect(labels(value)).not.toHaveProperty('dept');
  });

  test('the name comes from a claim that says one; an e-mail address only when it is verified', () => {
    const groups = ['staff'];
    for (const sub of [undefined, '', 7, 'a\nb', 'x'.repeat(201), '\ud800']) expect(mapPerson(read(), { sub, groups })).toBe('no_name');
    const byMail = read({ external_id_claim: 'email' });
    for (const email_verified of [undefined, false, 'true', 1]) {
      expect(mapPerson(byMail, { sub: 'x', email: 'ada@example.com', email_verified, groups })).toBe('no_name');
    }
    expect(mapPerson(byMail, { sub: 'x', email: 'ada@example.com', email_verified: true, groups })).toMatchObject({
      external_id: 'company_ada@example.com',
    });
  });
});

describe('the configuration of a provider', () => {
  const role = { claim: 'groups', contains: 'staff', permissions: [] };
  const permission = { namespace: 'root.a', resources: ['connections'], verbs: ['get'] };
  test.each([
    ['has an unknown member', { secret: 'x' }],
    ['has a name that could be part of another one', { name: 'a_b' }],
    ['is called over http', { issuer: 'http://login.example.com' }],
    ['is called over http without a name that is loopback', { issuer: 'http://127.0.0.1.example.com', allow_insecure: true }],
    ['is called over http on loopback, which is not allowed', { issuer: 'http://127.0.0.1:9000', allow_insecure: false }],
    ['comes back over http', { callback_url: 'http://sallyport.example.com/callback' }],
    ['has user information in its issuer', { issuer: 'https://user:pw@login.example.com' }],
    ['has a query in its callback', { callback_url: 'https://sallyport.example.com/callback?x=y' }],
    ['has a secret that is a plain text', { client_secret: 'x' }],
    ['does not ask for OpenID', { scopes: ['profile'] }],
    ['has a scope of two words', { scopes: ['openid', 'a b'] }],
    ['has no roles', { roles: [] }],
    ['has a role without a condition', { roles: [{ claim: 'groups', permissions: [] }] }],
    ['has a role with two conditions', { roles: [{ ...role, equals: 'x' }] }],
    ['has a role in a namespace elsewhere', { roles: [{ ...role, namespace: 'root.ab' }] }],
    ['has a role that reaches elsewhere', { roles: [{ ...role, permissions: [{ ...permission, namespace: 'root.**' }] }] }],
    ['has a role whose permissions cannot be read', { roles: [{ ...role, permissions: [{ ...permission, verbs: [] }] }] }],
    ['has a role with a label of the system', { roles: [{ ...role, labels: { 'apxy/ns/-/id': 'root' } }] }],
    ['makes a label of the system from a claim', { label_claims: { 'sallyport/admin': 'admin' } }],
  ])('is refused when it %s', (_, more) => {
    expect(() => read(more as Partial<IdentityProviderInput>)).toThrow(expect.objectContaining({ code: 'config_invalid' }));
  });

  test.each(['http://127.0.0.1:9000', 'http://localhost:9000', 'http://[::1]:9000'])('may be called over http on loopback: %s', (loopback) => {
    expect(read({ issuer: loopback, allow_insecure: true }).issuer.href).toBe(`${loopback}/`);
  });
});
