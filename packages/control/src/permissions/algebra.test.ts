import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { covers, coversBudget, intersect, intersectBudget } from './algebra.js';
import { entriesOf, everything, isNothing, nothing, type Permission, permissionsOf } from './permission.js';
import { anEntry, meanTheSame, oracle, somePermissions, universe } from './universe.test.support.js';

function one(entry: Partial<Permission>): ReturnType<typeof permissionsOf> {
  return permissionsOf([{ namespace: 'root.**', resources: ['*'], verbs: ['*'], ...entry }]);
}

function numbered(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}${index}`);
}

const runs = { numRuns: 150 };
const someFew = fc.array(anEntry, { maxLength: 2 }).map(permissionsOf);

describe('intersect', () => {
  test('allows exactly what both allow', () => {
    fc.assert(
      fc.property(somePermissions, somePermissions, (a, b) => {
        const both = intersect(a, b);
        expect(universe.find((request) => oracle(both, request) !== (oracle(a, request) && oracle(b, request)))).toBeUndefined();
      }),
      { numRuns: 60 },
    );
  });

  test('is commutative, associative and idempotent in what it means', () => {
    fc.assert(
      fc.property(somePermissions, somePermissions, somePermissions, (a, b, c) => {
        expect(meanTheSame(intersect(a, b), intersect(b, a))).toBe(true);
        expect(meanTheSame(intersect(intersect(a, b), c), intersect(a, intersect(b, c)))).toBe(true);
        expect(meanTheSame(intersect(a, a), a)).toBe(true);
        expect(meanTheSame(intersect(a, everything), a)).toBe(true);
        expect(isNothing(intersect(a, nothing))).toBe(true);
      }),
      { numRuns: 40 },
    );
  });

  test('an empty intersection is nothing, and never a permission without a limit', () => {
    const disjoint: readonly (readonly [Partial<Permission>, Partial<Permission>])[] = [
      [{ namespace: 'root.a.**' }, { namespace: 'root.ab.**' }],
      [{ namespace: 'root.a' }, { namespace: 'root.a.b.**' }],
      [{ resources: ['x'] }, { resources: ['y'] }],
      [{ verbs: ['get'] }, { verbs: ['put'] }],
      [{ resource_ids: ['i1'] }, { resource_ids: ['i2'] }],
      [{ methods: ['GET'] }, { methods: ['POST'] }],
      [{ paths: ['/p/**'] }, { paths: ['/q/**'] }],
    ];
    for (const [left, right] of disjoint) {
      expect(intersect(one(left), one(right))).toEqual({ kind: 'nothing' });
      expect(universe.some((request) => oracle(intersect(one(left), one(right)), request))).toBe(false);
    }
  });

  test.each([
    ['root.**', 'root.a', 'root.a'],
    ['root.t.**', 'root.t.x', 'root.t.x'],
    ['root.t.x', 'root.t.**', 'root.t.x'],
    ['root.t.**', 'root.t', 'root.t'],
    ['root.t.**', 'root.t.u.**', 'root.t.u.**'],
  ])('%s and %s meet in %s', (left, right, both) => {
    expect(entriesOf(intersect(one({ namespace: left }), one({ namespace: right }))).map(({ namespace }) => namespace)).toEqual([both]);
  });

  test('what is too much to tell is refused, and never read as no limit', () => {
    const stored = permissionsOf(
      numbered('v', 256).map((verb, index) => ({ namespace: 'root.**', resources: ['c'], verbs: [verb], paths: [`/${index}`] })),
    );
    const restriction = permissionsOf(
      numbered('r', 16).map((resource) => ({ namespace: 'root', resources: [resource, 'c'], verbs: ['*'], paths: numbered('/y', 16) })),
    );
    const budget = intersectBudget();
    expect(() => intersect(stored, restriction, budget)).toThrow(expect.objectContaining({ code: 'permission_invalid' }));
    expect(budget.spent).toBeGreaterThan(40_000);
    expect(budget.spent).toBeLessThanOrEqual(50_000);
  });

  test('what is left is bounded too', () => {
    const names = (prefix: string) =>
      permissionsOf(numbered(prefix, 50).map((name) => ({ namespace: 'root.**', resources: ['*'], verbs: ['x', name] })));
    expect(() => intersect(names('v'), names('w'))).toThrow(expect.objectContaining({ code: 'permission_invalid' }));
    const paths = (last: string) => one({ paths: numbered('/', 60).map((path) => (last === '' ? `${path}/*` : `/*/${path.slice(1)}`)) });
    expect(() => intersect(paths(''), paths('last'))).toThrow(expect.objectContaining({ code: 'permission_invalid' }));
  });

  test('a sibling with the same beginning has nothing in common', () => {
    expect(intersect(one({ namespace: 'root.ab.**' }), one({ namespace: 'root.abxyz' }))).toEqual(nothing);
  });
});

describe('covers', () => {
  test('says whether everything that one allows is allowed by the other', () => {
    fc.assert(
      fc.property(fc.oneof(somePermissions, fc.array(anEntry, { minLength: 4, maxLength: 12 }).map(permissionsOf)), someFew, (granter, grant) => {
        expect(covers(granter, grant)).toBe(universe.every((request) => !oracle(grant, request) || oracle(granter, request)));
      }),
      { numRuns: 400 },
    );
  });

  test('an intersection is covered by both, and a union covers both', () => {
    fc.assert(
      fc.property(somePermissions, somePermissions, (a, b) => {
        expect(covers(a, intersect(a, b))).toBe(true);
        expect(covers(b, intersect(a, b))).toBe(true);
        const either = permissionsOf([...entriesOf(a), ...entriesOf(b)]);
        expect(covers(either, a)).toBe(true);
        expect(covers(either, b)).toBe(true);
        expect(covers(a, a)).toBe(true);
      }),
      runs,
    );
  });

  test('several entries may cover one together', () => {
    const granter = permissionsOf([
      { namespace: 'root.**', resources: ['x'], verbs: ['get'] },
      { namespace: 'root.a.**', resources: ['x', 'y'], verbs: ['put'] },
      { namespace: 'root.**', resources: ['y'], verbs: ['get'] },
    ]);
    expect(covers(granter, one({ namespace: 'root.a.b', resources: ['x', 'y'], verbs: ['get', 'put'] }))).toBe(true);
    expect(covers(granter, one({ namespace: 'root', resources: ['x', 'y'], verbs: ['get', 'put'] }))).toBe(false);
  });

  test('paths are covered by the patterns for each length together', () => {
    expect(covers(one({ paths: ['/p', '/p/*', '/p/*/*/**'] }), one({ paths: ['/p/**'] }))).toBe(true);
    expect(covers(one({ paths: ['/p', '/p/*/*/**'] }), one({ paths: ['/p/**'] }))).toBe(false);
  });

  test('who has paths cannot give what has none', () => {
    expect(covers(one({ paths: ['/**'] }), one({}))).toBe(false);
    expect(covers(one({ paths: ['/**'] }), one({ methods: ['GET'] }))).toBe(false);
    expect(covers(one({}), one({ methods: ['GET'], paths: ['/**'] }))).toBe(true);
  });

  test('who has nothing can give nothing, and everybody can', () => {
    expect(covers(nothing, nothing)).toBe(true);
    expect(covers(nothing, one({}))).toBe(false);
    expect(covers(one({ resource_ids: ['i1'] }), nothing)).toBe(true);
  });

  test('the work is bounded: values that each lack another entry make no square of comparisons', () => {
    const [resources, verbs] = [numbered('r', 60), numbered('v', 60)];
    const granter = permissionsOf([
      ...resources.map((name) => ({ namespace: 'root.**', resources: resources.filter((other) => other !== name), verbs: ['*'] })),
      ...verbs.map((name) => ({ namespace: 'root.**', resources: ['*'], verbs: verbs.filter((other) => other !== name) })),
    ]);
    const entry = { namespace: 'root.a', resources, verbs };
    const [one, many] = [coversBudget(), coversBudget()];
    expect(covers(granter, permissionsOf([entry]), one)).toBe(false);
    expect(one.spent).toBeGreaterThan(0);
    expect(one.spent).toBeLessThan(20_000);
    covers(granter, permissionsOf(Array.from({ length: 256 }, (_, index) => ({ ...entry, namespace: `root.a.n${index}` }))), many);
    expect(many.spent).toBeLessThanOrEqual(400_000);
  });

  test('the work is bounded: a deep pattern does not make many representatives of many paths', () => {
    const deep = `/a${'/*'.repeat(500)}`;
    const granter = one({ paths: ['/**', deep, ...Array.from({ length: 25 }, (_, index) => `/b${index}${'/*'.repeat(500)}`)] });
    const budget = coversBudget();
    expect(covers(granter, one({ paths: Array.from({ length: 225 }, (_, index) => `/x${index}/**`) }), budget)).toBe(false);
    expect(budget.spent).toBeLessThanOrEqual(400_000);
    expect(covers(granter, one({ paths: ['/x', '/y/*'] }))).toBe(true);
  });

  test('a full set of honest entries is covered well within the budget', () => {
    const entries = Array.from({ length: 256 }, (_, index) => ({
      namespace: `root.t${index % 16}.**`,
      resources: [`r${index}`],
      verbs: ['get', 'list'],
    }));
    const budget = coversBudget();
    expect(covers(permissionsOf(entries), permissionsOf(entries), budget)).toBe(true);
    expect(budget.spent).toBeLessThan(40_000);
  });

  test('a grant made to take long is refused instead', () => {
    const names = Array.from({ length: 40 }, (_, index) => `r${String.fromCharCode(97 + (index % 26))}${index}`);
    const granter = permissionsOf(
      names.flatMap((name) => [
        { namespace: 'root.**', resources: names.filter((other) => other !== name), verbs: [`v${name}`] },
        { namespace: 'root.**', resources: [name], verbs: names.map((other) => `v${other}`).filter((other) => other !== `v${name}`) },
      ]),
    );
    expect(covers(granter, one({ resources: names, verbs: names.map((name) => `v${name}`) }))).toBe(false);
  });
});
