import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Role, roleNames, roles } from './roles.js';

const everything = ['public', 'api', 'admin-api', 'worker'];

test.each<[readonly Role[], readonly string[], boolean, readonly string[]]>([
  [[], ['gateway', 'control'], true, everything],
  [['all'], ['gateway', 'control'], true, everything],
  [[], ['control'], false, everything],
  [[], ['gateway'], true, []],
  [['gateway'], ['gateway', 'control'], true, []],
  [['worker', 'api', 'api'], ['gateway', 'control'], false, ['api', 'worker']],
  [['api', 'all'], ['control'], false, everything],
])('%j of a file with %j', (given, sections, gateway, services) => {
  expect(roles(given, new Set(sections))).toEqual({ gateway, services });
});

test.each<[readonly Role[], readonly string[], string]>([
  [['gateway'], ['control'], 'gateway'],
  [['api'], ['gateway'], 'control'],
])('%j of a file with %j is missing something', (given, sections, missing) => {
  expect(() => roles(given, new Set(sections))).toThrow(`no section \`${missing}\``);
});

test('what is served is what was named, and nothing else', () => {
  const named = fc.array(fc.constantFrom(...roleNames.filter((role) => role !== 'all')), { minLength: 1 });
  fc.assert(
    fc.property(named, (given) => {
      const { gateway, services } = roles(given, new Set(['gateway', 'control']));
      expect(new Set([...services, ...(gateway ? ['gateway'] : [])])).toEqual(new Set(given));
    }),
  );
});
