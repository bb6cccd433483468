import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { challengedResource } from './azure-key-vault-challenge.js';
import { inTurn } from './azure-key-vault-turn.js';

const { signal } = new AbortController();

describe('challengedResource', () => {
  test.each([
    [null, null],
    ['', null],
    ['Basic realm="https://vault.azure.net"', null],
    ['Bearer', null],
    ['Bearer authorization="https://login.microsoftonline.com/t"', null],
    ['Bearer resource=""', null],
    ['Bearer authorization="https://login.microsoftonline.com/t", resource="https://vault.azure.net"', 'https://vault.azure.net'],
    ['bearer Resource = "https://vault.azure.net/"', 'https://vault.azure.net'],
    ['Bearer scope="https://vault.azure.net/.default"', 'https://vault.azure.net'],
    ['Bearer resource="https://a", resource="https://b"', 'https://a'],
  ])('%j asks for %j', (header, resource) => expect(challengedResource(header)).toBe(resource));

  test('finds what is there among any other parameters, and never hangs or throws', () => {
    const name = fc.constantFrom('authorization', 'error', 'claims');
    const value = fc.string({ maxLength: 50 }).map((text) => text.replaceAll('"', ''));
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value)), fc.string(), (others, noise) => {
        const parameters = others.map(([key, text]) => `${key}="${text}"`);
        expect(challengedResource(`Bearer ${[...parameters, 'resource="https://x"'].join(', ')}`)).toBe('https://x');
        challengedResource(`Bearer ${noise}`);
      }),
    );
  });
});

describe('inTurn', () => {
  test('never two under the same key, in the order of their coming, whether they fail or not', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ key: fc.constantFrom('a', 'b'), ticks: fc.nat(4), fails: fc.boolean() }), { maxLength: 12 }),
        async (works) => {
          const turns = inTurn();
          const running = new Set<string>();
          const finished: number[] = [];
          const results = works.map(({ key, ticks, fails }, i) =>
            turns(key, signal, async () => {
              expect(running.has(key)).toBe(false);
              running.add(key);
              for (let tick = 0; tick < ticks; tick += 1) await Promise.resolve();
              running.delete(key);
              finished.push(i);
              if (fails) throw new Error('failed');
            }).catch(() => {}),
          );
          await Promise.all(results);
          for (const key of ['a', 'b']) {
            const order = finished.filter((i) => works[i].key === key);
            expect(order).toEqual(works.flatMap((work, i) => (work.key === key ? [i] : [])));
          }
        },
      ),
    );
  });

  test('who goes away while waiting is not served, and holds up nobody', async () => {
    const turns = inTurn();
    const abort = new AbortController();
    const reason = new Error('gone');
    let release = (): void => {};
    const first = turns('a', signal, () => new Promise<string>((resolve) => (release = () => resolve('first'))));
    const second = turns('a', abort.signal, async () => 'second');
    const third = turns('a', signal, async () => 'third');
    abort.abort(reason);
    await expect(second).rejects.toBe(reason);
    release();
    expect(await Promise.all([first, third])).toEqual(['first', 'third']);
  });
});
