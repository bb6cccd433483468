import { describe, expect, test } from 'vitest';
import { parsePermissions, permissionTemplateSchema } from './permission.js';

const good = { namespace: 'root.a.**', resources: ['connections'], verbs: ['get', 'list/versions'] };

describe('parsePermissions', () => {
  test('reads entries and leaves out what was left out', () => {
    const full = { ...good, resource_ids: ['cxn_1'], methods: ['GET'], paths: ['/repos/*/issues/**'] };
    expect(parsePermissions([good, full])).toEqual([good, full]);
    expect(parsePermissions([])).toEqual([]);
  });

  test.each([
    ['no list', good],
    ['null', null],
    ['an unknown member', [{ ...good, resourceIds: ['cxn_1'] }]],
    ['no resources', [{ ...good, resources: [] }]],
    ['no verbs', [{ ...good, verbs: [] }]],
    ['an empty list of ids, which could be read as any', [{ ...good, resource_ids: [] }]],
    ['a wildcard among the ids', [{ ...good, resource_ids: ['*'] }]],
    ['an empty list of methods', [{ ...good, methods: [] }]],
    ['an empty list of paths', [{ ...good, paths: [] }]],
    ['a method in small letters', [{ ...good, methods: ['get'] }]],
    ['a bare wildcard', [{ ...good, namespace: '*' }]],
    ['a wildcard in the middle', [{ ...good, namespace: 'root.**.a' }]],
    ['a namespace with a wildcard of SQL', [{ ...good, namespace: 'root.%' }]],
    ['another root', [{ ...good, namespace: 'rooted' }]],
    ['a template where none may be', [{ ...good, namespace: 'root.{{external_id}}' }]],
    ['a path with dot segments', [{ ...good, paths: ['/a/../b'] }]],
    ['a path with half a wildcard', [{ ...good, paths: ['/a*'] }]],
    ['a path with ** in the middle', [{ ...good, paths: ['/**/a'] }]],
    ['too many', Array.from({ length: 257 }, () => good)],
  ])('refuses %s', (_, input) => {
    expect(() => parsePermissions(input)).toThrow(expect.objectContaining({ code: 'permission_invalid' }));
  });

  test('says which member is wrong', () => {
    expect(() => parsePermissions([good, { ...good, paths: ['x'] }])).toThrow('permissions.1.paths.0: must be a path');
  });

  test.each(['root.{{external_id}}.**', '{{namespace}}.sub', 'root.t_{{labels.example.com/team}}', 'root.{{ actor.id }}'])(
    'templates: %s',
    (namespace) => {
      expect(parsePermissions([{ ...good, namespace }], permissionTemplateSchema)).toEqual([{ ...good, namespace }]);
    },
  );

  test.each(['root.{{external_id}', 'root.{{secret}}', 'root.{{labels}}', 'root.{{namespace}}', 'root.{{id}}.*', 'root.{{labels.a}}{{'])(
    'refuses the template %s',
    (namespace) => {
      expect(() => parsePermissions([{ ...good, namespace }], permissionTemplateSchema)).toThrow(
        expect.objectContaining({ code: 'permission_invalid' }),
      );
    },
  );
});
