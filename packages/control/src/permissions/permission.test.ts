import { describe, expect, test } from 'vitest';
import { parsePermissions, permissionTemplateSchema } from './permission.js';

const ids = (count: number) => Array.from({ length: count }, (_, index) => `i${index}`);
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
    ['a name of more than 64 characters', [{ ...good, verbs: ['v'.repeat(65)] }]],
    ['more than 1,000 ids in all', Array.from({ length: 4 }, (_, index) => ({ ...good, resource_ids: ids(index === 0 ? 251 : 250) }))],
    ['more than 256 paths in all', Array.from({ length: 5 }, () => ({ ...good, paths: Array.from({ length: 52 }, (_, index) => `/p${index}`) }))],
    ['more than 32 KiB', Array.from({ length: 33 }, () => ({ ...good, resource_ids: ['i'.repeat(1000)] }))],
  ])('refuses %s', (_, input) => {
    expect(() => parsePermissions(input)).toThrow(expect.objectContaining({ code: 'permission_invalid' }));
  });

  test('bounds the sum of everything, and says what there is too much of', () => {
    const four = Array.from({ length: 4 }, () => ({ ...good, resource_ids: ids(250) }));
    expect(parsePermissions(four)).toHaveLength(4);
    expect(() => parsePermissions([...four, { ...good, resource_ids: ['i'] }])).toThrow('permissions: have more than 1000 resource_ids in all');
    expect(parsePermissions([{ ...good, verbs: ['v'.repeat(64)] }])).toHaveLength(1);
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

  test.each(['root.{{labels.apxy/ns/stage}}', 'root.{{labels.apxy/stage}}', 'root.{{ actor.annotations.Sallyport/x }}', 'root.{{labels.-}}'])(
    'refuses a template of what is not the actor’s own: %s',
    (namespace) => {
      expect(() => parsePermissions([{ ...good, namespace }], permissionTemplateSchema)).toThrow(
        expect.objectContaining({ code: 'permission_invalid' }),
      );
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
