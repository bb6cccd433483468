import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { covers } from './algebra.js';
import { entriesOf, nothing, type Permission } from './permission.js';
import { entriesOutside, renderPermissions, widestPermissions } from './template.js';
import type { TemplateActor } from './template-text.js';

const actor: TemplateActor = {
  id: 'act_1',
  namespace: 'root.acme',
  external_id: 'ada',
  labels: { team: 'blue', 'example.com/unit': 'u1' },
  annotations: { note: 'n' },
};

function entry(namespace: string, more: Partial<Permission> = {}): Permission {
  return { namespace, resources: ['connections'], verbs: ['get'], ...more };
}

function namespaces(stored: readonly Permission[], who = actor): readonly string[] {
  return entriesOf(renderPermissions(stored, who)).map(({ namespace }) => namespace);
}

describe('templates', () => {
  test.each([
    ['root.acme.{{external_id}}.**', 'root.acme.ada.**'],
    ['root.acme.{{ actor.external_id }}', 'root.acme.ada'],
    ['root.acme.t_{{labels.team}}', 'root.acme.t_blue'],
    ['root.acme.{{labels.example.com/unit}}', 'root.acme.u1'],
    ['root.acme.{{annotations.note}}', 'root.acme.n'],
    ['{{namespace}}.**', 'root.acme.**'],
    ['root.**', 'root.acme.**'],
  ])('%s becomes %s', (template, rendered) => {
    expect(namespaces([entry(template)])).toEqual([rendered]);
  });

  test.each(['root.acme.{{labels.missing}}', 'root.acme.{{annotations.none}}.**', 'root.acme.{{unknown}}', 'root.other', 'root.acmex.**'])(
    '%s allows nothing',
    (template) => {
      expect(renderPermissions([entry(template)], actor)).toEqual(nothing);
    },
  );

  test('no value of a label widens a namespace', () => {
    const values = fc.oneof(fc.string(), fc.constantFrom('**', '*', '', 'a.**', 'a.b', '.', '-a', '{{id}}'));
    fc.assert(
      fc.property(values, (team) => {
        for (const { namespace } of entriesOf(renderPermissions([entry('root.acme.{{labels.team}}')], { ...actor, labels: { team } }))) {
          expect(namespace).toMatch(/^root\.acme\.[A-Za-z0-9_][A-Za-z0-9_-]*$/);
        }
      }),
    );
  });

  test('a label of the system, which whoever labels the namespace may change, fills in nothing: also in what was stored before', () => {
    const labels = { 'apxy/ns/stage': 'prod', 'apxy/stage': 'prod' };
    for (const key of Object.keys(labels)) {
      const stored = [entry(`root.acme.{{labels.${key}}}.**`), entry('root.acme', { resource_ids: [`{{labels.${key}}}`] })];
      expect(renderPermissions(stored, { ...actor, labels })).toEqual(nothing);
    }
  });

  test('more than an actor may have allows nothing, and cannot be granted again', () => {
    const stored = Array.from({ length: 5 }, (_, at) =>
      entry('root.acme', { resource_ids: Array.from({ length: 201 }, (__, id) => `i${at}_${id}`) }),
    );
    expect(renderPermissions(stored, actor)).toEqual(nothing);
    expect(renderPermissions(stored.slice(0, 4), actor)).not.toEqual(nothing);
    expect(() => widestPermissions(stored, actor)).toThrow(expect.objectContaining({ code: 'permission_invalid' }));
  });

  test('a name that every object has is no label', () => {
    expect(renderPermissions([entry('root.acme.{{labels.constructor}}')], actor)).toEqual(nothing);
  });

  test('ids may be templates, and an entry whose ids all fail allows nothing instead of everything', () => {
    const self = entry('root.acme', { resources: ['actors'], resource_ids: ['{{actor.id}}'] });
    expect(entriesOf(renderPermissions([self], actor))).toMatchObject([{ resource_ids: ['act_1'] }]);
    expect(renderPermissions([entry('root.acme', { resource_ids: ['{{labels.none}}'] })], actor)).toEqual(nothing);
  });

  test('whatever the labels become, the actor never gets more than what the granter had to hold', () => {
    const templates = fc.constantFrom(
      entry('root.acme.{{labels.team}}.**'),
      entry('root.acme.x.t_{{labels.team}}'),
      entry('{{namespace}}.{{labels.team}}'),
      entry('root.acme.x', { resource_ids: ['{{labels.team}}', 'cxn_1'] }),
      entry('root.acme.{{external_id}}', { resource_ids: ['{{id}}'] }),
    );
    fc.assert(
      fc.property(fc.array(templates), fc.stringMatching(/^[a-z0-9_]{0,8}$/), (stored, team) => {
        const later = renderPermissions(stored, { ...actor, labels: { team } });
        expect(covers(widestPermissions(stored, actor), later)).toBe(true);
      }),
    );
  });

  test('entries that lie outside of the actor are found', () => {
    expect(
      entriesOutside([entry('root.acme.**'), entry('root.acme_2'), entry('root.{{external_id}}'), entry('root.acme.{{labels.x}}')], actor),
    ).toEqual([1, 2]);
  });
});
