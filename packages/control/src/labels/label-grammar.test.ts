import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { carriedLabels, implicitLabels, systemLabels } from './carried-labels.js';
import { checkAnnotations, checkUserLabels, isReservedKey, labelKeyFlaw, labelValueFlaw, systemKeyFlaw } from './label-grammar.js';

/** Kubernetes' own expressions, written down as they are documented there. */
const NAME = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

function oracle(key: string): boolean {
  const parts = key.split('/');
  const [name, prefix] = parts.reverse();
  if (parts.length > 2 || name === undefined || name.length > 63 || !NAME.test(name)) return false;
  return prefix === undefined || (prefix.length <= 253 && SUBDOMAIN.test(prefix));
}

const near = fc.string({ unit: fc.constantFrom('a', 'Z', '0', '-', '_', '.', '/', ' ', 'ä'), maxLength: 12 });

describe('the grammar of labels', () => {
  test('is that of Kubernetes', () => {
    fc.assert(fc.property(near, (key) => (labelKeyFlaw(key) === null) === oracle(key)));
    fc.assert(fc.property(near, (value) => (labelValueFlaw(value) === null) === (value === '' || NAME.test(value))));
  });

  test('bounds lengths', () => {
    expect(labelKeyFlaw(`${'a'.repeat(253)}/${'n'.repeat(63)}`)).toBeNull();
    expect(labelKeyFlaw(`${'a'.repeat(254)}/n`)).toContain('253');
    expect(labelKeyFlaw('n'.repeat(64))).toContain('63');
    expect(labelValueFlaw('v'.repeat(64))).toContain('63');
  });

  test('a user writes no label of the system', () => {
    for (const key of ['apxy/cxn/-/id', 'apxy/x', 'APXY/x', 'sallyport/x']) expect(() => checkUserLabels({ [key]: 'v' })).toThrow('reserved');
    expect(() => checkAnnotations({ 'apxy/x': 'v' })).toThrow('reserved');
    expect(checkUserLabels({ apxy: 'a name without a prefix is not reserved'.slice(0, 1) })).toEqual({ apxy: 'a' });
  });

  test('64 labels and 32 KiB of annotations are the most', () => {
    const labels = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`l${index}`, '']));
    expect(Object.keys(checkUserLabels(labels(64)))).toHaveLength(64);
    expect(() => checkUserLabels(labels(65))).toThrow('at most 64');
    expect(checkAnnotations({ note: 'x'.repeat(32 * 1024 - 4) })).toBeDefined();
    expect(() => checkAnnotations({ note: 'x'.repeat(32 * 1024 - 3) })).toThrow('at most 32768');
    expect(checkAnnotations({ note: 'any text, even ünusual\n' })).toBeDefined();
    expect(() => checkAnnotations({ note: '\0' })).toThrow('not text');
  });

  test('an error shows a key shortened and escaped', () => {
    expect(() => checkUserLabels({ [`\u001b[31m${'x'.repeat(200)}`]: '' })).toThrow('\\u001b[31mxxx');
  });
});

describe('labels of the system', () => {
  const parent = { env: 'prod', 'example.com/team': 'a', 'apxy/ns/env': 'older', 'apxy/ns/-/id': 'root' };

  test('a child gets the user labels of its parent under the kind, and the system labels as they are', () => {
    expect(carriedLabels('ns', parent)).toEqual({ 'apxy/ns/env': 'prod', 'apxy/ns/example.com/team': 'a', 'apxy/ns/-/id': 'root' });
  });

  test('what a resource is overrules what it is handed', () => {
    const labels = systemLabels({ kind: 'ns', id: 'root.a', namespace: 'root.a', name: 'a' }, [carriedLabels('ns', parent)]);
    expect(labels).toMatchObject({ 'apxy/ns/-/id': 'root.a', 'apxy/ns/-/name': 'a', 'apxy/ns/-/ns': 'root.a', 'apxy/ns/env': 'prod' });
    for (const key of Object.keys(labels)) expect([key, systemKeyFlaw(key), isReservedKey(key)]).toEqual([key, null, true]);
  });

  test('there is an end to them', () => {
    const many = Object.fromEntries(Array.from({ length: 600 }, (_, index) => [`apxy/ns/l${index}`, '']));
    expect(() => systemLabels({ kind: 'act', id: 'act_1', namespace: 'root' }, [many])).toThrow('at most 512');
    expect(Object.keys(implicitLabels({ kind: 'act', id: 'act_1', namespace: 'root' }))).toHaveLength(2);
  });
});
