import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { inScope, listScope } from './list-scope.js';
import { everything, nothing, permissionsOf } from './permission.js';
import { oracle, somePermissions } from './universe.test.support.js';

describe('listScope', () => {
  test('shows a row exactly when a check of it would be allowed', () => {
    const namespaces = ['root', 'root.a', 'root.a.b', 'root.ab', 'root.a.other', 'root.other'];
    const asked = fc.option(fc.constantFrom('root.a.**', 'root.a', 'root.ab.**', 'root.**'), { nil: undefined });
    fc.assert(
      fc.property(somePermissions, fc.constantFrom('x', 'other'), fc.constantFrom('get', 'other'), asked, (permissions, resource, verb, filter) => {
        const scope = listScope(permissions, { resource, verb, ...(filter === undefined ? {} : { namespace: filter }) });
        const wanted = permissionsOf([{ namespace: filter ?? 'root.**', resources: ['*'], verbs: ['*'] }]);
        for (const namespace of namespaces) {
          for (const id of ['i1', 'i2', 'other']) {
            const request = { namespace, resource, verb, resource_id: id };
            expect(inScope(scope, { namespace, id })).toBe(oracle(permissions, request) && oracle(wanted, request));
          }
        }
      }),
    );
  });

  test('what has nothing in common with the filter is nothing, not everything', () => {
    const permissions = permissionsOf([{ namespace: 'root.a.**', resources: ['*'], verbs: ['*'] }]);
    expect(listScope(permissions, { resource: 'connections', verb: 'list', namespace: 'root.b.**' })).toEqual({ kind: 'nothing' });
    expect(listScope(nothing, { resource: 'connections', verb: 'list' })).toEqual({ kind: 'nothing' });
  });

  test('the filter narrows and never replaces what is permitted', () => {
    const permissions = permissionsOf([{ namespace: 'root.a.**', resources: ['*'], verbs: ['*'] }]);
    expect(listScope(permissions, { resource: 'request-events', verb: 'list', namespace: 'root.**' })).toEqual({
      kind: 'some',
      clauses: [{ namespace: { path: 'root.a', subtree: true } }],
    });
  });

  test('ids of one namespace are one clause, and those of a namespace that is shown whole are none', () => {
    const entry = (namespace: string, resource_ids?: string[]) => ({
      namespace,
      resources: ['*'],
      verbs: ['*'],
      ...(resource_ids ? { resource_ids } : {}),
    });
    const permissions = permissionsOf([
      ...[entry('root.a', ['i1', 'i2']), entry('root.a', ['i2', 'i3']), entry('root.b.c', ['i1'])],
      ...[entry('root.b.**'), entry('root.b'), entry('root.d'), entry('root.d', ['i1']), entry('root.d.**', ['i1'])],
    ]);
    expect(listScope(permissions, { resource: 'keys', verb: 'list' })).toEqual({
      kind: 'some',
      clauses: [
        { namespace: { path: 'root.b', subtree: true } },
        { namespace: { path: 'root.d', subtree: false } },
        { namespace: { path: 'root.a', subtree: false }, ids: ['i1', 'i2', 'i3'] },
        { namespace: { path: 'root.d', subtree: true }, ids: ['i1'] },
      ],
    });
  });

  test('more ids than a statement takes are refused', () => {
    const resource_ids = Array.from({ length: 1000 }, (_, index) => `i${index}`);
    const permissions = permissionsOf(
      Array.from({ length: 17 }, (_, at) => ({ namespace: `root.a${at}`, resources: ['*'], verbs: ['*'], resource_ids })),
    );
    expect(() => listScope(permissions, { resource: 'keys', verb: 'list' })).toThrow(expect.objectContaining({ code: 'permission_invalid' }));
  });

  test('everything is one clause', () => {
    expect(listScope(everything, { resource: 'keys', verb: 'list' })).toMatchObject({ clauses: [{ namespace: { path: 'root', subtree: true } }] });
  });
});
