import { expect, test } from 'vitest';
import { z } from 'zod';
import { authorityOf } from '../permissions/authority.js';
import { permissionsOf } from '../permissions/permission.js';
import { MASK, redactionOf, secretText } from './redaction.js';

const thing = z.object({
  namespace: z.string(),
  name: z.string(),
  data: z.union([z.object({ value: secretText().optional() }), z.object({ path: z.string() })]),
});
const list = z.object({ items: z.array(thing), extra: z.record(z.string(), secretText().nullable()).optional() });
const of = (namespace: string, value: string) => ({ namespace, name: value, data: { value } });
const may = (namespace: string) => authorityOf(permissionsOf([{ namespace, resources: ['secrets'], verbs: ['replay'] }]));

test('secrets are masked wherever they stand, and nothing else is', () => {
  const body = { items: [of('root.a', 'one'), { namespace: 'root', name: 'n', data: { path: '/x' } }], extra: { k: 'two', none: null } };
  const { mask } = redactionOf({ result: list });
  expect(mask(body, null)).toEqual({
    redacted: true,
    body: {
      items: [{ namespace: 'root.a', name: 'one', data: { value: MASK } }, body.items[1]],
      extra: { k: MASK, none: null },
    },
  });
});

test('who may replay secrets of a namespace sees those of this namespace', () => {
  const { mask } = redactionOf({ result: list });
  const body = { items: [of('root.a', 'one'), of('root.b', 'two')] };
  expect(mask(body, may('root.a.**'))).toEqual({
    redacted: true,
    body: { items: [of('root.a', 'one'), { ...of('root.b', 'two'), data: { value: MASK } }] },
  });
  expect(mask(body, may('root.**'))).toEqual({ redacted: false, body });
});

test('what has no secret is handed on as it is', () => {
  const body = { items: [] };
  expect(redactionOf({ result: z.object({ items: z.array(z.string()) }) }).mask(body, null).body).toBe(body);
});

test('a mask that is sent back is refused, where a secret belongs', () => {
  const { refuseMasked } = redactionOf({ body: thing });
  for (const mask of [MASK, '*', '*'.repeat(40)]) {
    expect(() => refuseMasked(of('root', mask))).toThrow(
      expect.objectContaining({ code: 'redacted_value_refused', message: expect.stringContaining('data.value') }),
    );
  }
  refuseMasked({ ...of('root', 'a*'), name: MASK });
  refuseMasked('no object');
});
