import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compilePermissions } from './compiled-permissions.js';
import { explain } from './explain.js';
import { everything, nothing, type Permission, permissionsOf } from './permission.js';
import { oracle, somePermissions, universe } from './universe.test.support.js';

describe('the compiled check and the explanation', () => {
  test('answer what the entries say', () => {
    fc.assert(
      fc.property(somePermissions, fc.array(fc.constantFrom(...universe), { minLength: 30, maxLength: 60 }), (permissions, requests) => {
        const permits = compilePermissions(permissions);
        for (const request of requests) {
          expect(permits(request)).toBe(oracle(permissions, request));
          expect(explain(permissions, request).allowed).toBe(permits(request));
        }
      }),
    );
  });

  test('nothing allows nothing', () => {
    expect(universe.some(compilePermissions(nothing))).toBe(false);
    expect(universe.every(compilePermissions(everything))).toBe(true);
  });

  test('a request without namespace, resource or verb, or with a pattern for a namespace, is denied', () => {
    const permits = compilePermissions(everything);
    const request = { namespace: 'root', resource: 'connections', verb: 'get' };
    expect(permits(request)).toBe(true);
    for (const wrong of [{ namespace: '' }, { namespace: 'root.**' }, { namespace: 'other' }, { resource: '' }, { verb: '' }]) {
      expect(permits({ ...request, ...wrong })).toBe(false);
    }
  });

  test('with ids, what names no object is denied: creating is not a matter of certain objects', () => {
    const permits = compilePermissions(permissionsOf([{ namespace: 'root.**', resources: ['connections'], verbs: ['*'], resource_ids: ['cxn_1'] }]));
    expect(permits({ namespace: 'root', resource: 'connections', verb: 'get', resource_id: 'cxn_1' })).toBe(true);
    expect(permits({ namespace: 'root', resource: 'connections', verb: 'create' })).toBe(false);
  });

  test.each(['/p/../q', '/p/%2e%2e/q', '/p/..;/q', '/p//q', '/p\\q', '/p%2fq', '/p/%252e%252e/q', '/p/./q', '/p?x', 'p', '/p/\u00e9', '/p/%zz'])(
    'a path that servers read differently matches no pattern: %s',
    (path) => {
      const permits = compilePermissions(permissionsOf([{ namespace: 'root', resources: ['connections'], verbs: ['proxy'], paths: ['/**'] }]));
      const request = { namespace: 'root', resource: 'connections', verb: 'proxy', resource_id: 'cxn_1' };
      expect(permits({ ...request, proxied: { method: 'GET', path } })).toBe(false);
      expect(permits({ ...request, proxied: { method: 'GET', path: '/p/a%20b' } })).toBe(true);
    },
  );

  test('an agent held to a connection, a method and a path can do that and nothing else', () => {
    const permits = compilePermissions(
      permissionsOf([
        {
          namespace: 'root.t',
          resources: ['connections'],
          verbs: ['proxy'],
          resource_ids: ['cxn_1'],
          methods: ['GET'],
          paths: ['/repos/*/issues/**'],
        },
      ]),
    );
    const good = {
      namespace: 'root.t',
      resource: 'connections',
      verb: 'proxy',
      resource_id: 'cxn_1',
      proxied: { method: 'GET', path: '/repos/a/issues/1' },
    };
    expect(permits(good)).toBe(true);
    expect(permits({ ...good, resource_id: 'cxn_2' })).toBe(false);
    expect(permits({ ...good, proxied: { method: 'POST', path: '/repos/a/issues/1' } })).toBe(false);
    expect(permits({ ...good, proxied: { method: 'GET', path: '/repos/a/pulls' } })).toBe(false);
    expect(permits({ namespace: 'root.t', resource: 'connections', verb: 'proxy', resource_id: 'cxn_1' })).toBe(false);
    expect(permits({ ...good, verb: 'get' })).toBe(false);
  });

  test('looks at the entries of the namespace and of those above it only', () => {
    let looked = 0;
    const entries = Array.from({ length: 10_000 }, (_, index): Permission => {
      const entry: Permission = { namespace: `root.n${index}.**`, resources: ['connections'], verbs: ['get'], methods: ['GET'] };
      return entry;
    });
    const permits = compilePermissions(permissionsOf(entries));
    const request = {
      namespace: 'root.n9999.child',
      resource: 'connections',
      verb: 'get',
      get proxied() {
        looked++;
        return { method: 'GET', path: '/' };
      },
    };
    expect(permits(request)).toBe(true);
    expect(looked).toBeLessThan(5);
  });
});

describe('explain', () => {
  const permissions = permissionsOf([
    { namespace: 'root.a.**', resources: ['keys'], verbs: ['get'] },
    { namespace: 'root.b', resources: ['connections'], verbs: ['get', 'list'], resource_ids: ['cxn_1'] },
  ]);

  test('names the entry that allows', () => {
    const answer = explain(permissions, { namespace: 'root.b', resource: 'connections', verb: 'get', resource_id: 'cxn_1' });
    expect(answer).toMatchObject({ allowed: true, allowed_by: 1, reason: 'entry 1 allows it' });
    expect(answer.entries[0]?.mismatches).toEqual(['namespace', 'resource']);
  });

  test('says of each entry what it does not accept', () => {
    const answer = explain(permissions, { namespace: 'root.b', resource: 'connections', verb: 'update' });
    expect(answer.allowed).toBe(false);
    expect(answer.entries.map(({ reason }) => reason)).toEqual([
      'namespace root.b is not in root.a.**; resource connections is not among keys; verb update is not among get',
      'verb update is not among get, list; it is limited to certain objects, and the request names none',
    ]);
  });

  test('says so when there is nothing', () => {
    expect(explain(nothing, { namespace: 'root', resource: 'keys', verb: 'get' }).reason).toBe('there are no permissions at all');
  });
});
