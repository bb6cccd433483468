import { Credential, type Material, staticSource } from '@sallyport/credentials';
import { Secret } from '@sallyport/sdk';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { configDigest } from './config-digest.js';
import { SharedCredentials } from './shared-credentials.js';

const closable = (): { closed: number; close(): void } => ({
  closed: 0,
  close() {
    this.closed++;
  },
});

describe('what is shared', () => {
  test('is made once for each key, and closed when the last who has it lets go', () => {
    const shared = new SharedCredentials();
    const [first, second, other] = [shared.use('a', closable), shared.use('a', closable), shared.use('b', closable)];
    expect(second.value).toBe(first.value);
    expect(other.value).not.toBe(first.value);
    first.release();
    first.release();
    expect(first.value.closed).toBe(0);
    second.release();
    expect([first.value.closed, other.value.closed]).toEqual([1, 0]);
    expect(shared.use('a', closable).value).not.toBe(first.value);
  });

  test('is not kept when it cannot be made', () => {
    const shared = new SharedCredentials();
    const broken = (): never => {
      throw new Error('broken');
    };
    expect(() => shared.use('a', broken)).toThrow('broken');
    expect(shared.use('a', closable).value.closed).toBe(0);
  });
});

describe('a value that an upstream refused', () => {
  /** A credential whose every fetch answers another token. */
  async function renewing(): Promise<{ credential: Credential; material: Material }> {
    let fetched = 0;
    const credential = new Credential({
      name: 'one',
      source: {
        type: 'test',
        description: 'a counter',
        fetch: async () => ({ secret: new Secret(`token-${++fetched}`), fields: new Map(), expiresAt: null }),
      },
    });
    return { credential, material: await credential.resolve() };
  }

  test('makes its credential be fetched anew, once in ten seconds, and leaves a newer one alone', async () => {
    const shared = new SharedCredentials();
    const { credential, material } = await renewing();
    shared.issued('Bearer token-1', credential, material);
    shared.refused(['something else', 'Bearer token-1', 'token-1']);
    expect(credential.current()).toBeNull();
    const next = await credential.resolve();
    shared.refused(['Bearer token-1']);
    expect(credential.current()).toBe(next);
    shared.issued('Bearer token-2', credential, next);
    shared.refused(['Bearer token-2']);
    expect(credential.current()).toBe(next);
    await shared.close();
  });

  test('of a source that always answers the same is left alone', async () => {
    const shared = new SharedCredentials();
    const credential = new Credential({ name: 'one', source: staticSource({ value: new Secret('sesame') }) });
    const material = await credential.resolve();
    shared.issued('sesame', credential, material);
    shared.refused(['sesame']);
    expect(credential.current()).toBe(material);
  });
});

describe('the digest of a configuration', () => {
  test('does not depend on the order of keys, nor on what is undefined', () => {
    expect(configDigest({ a: 1, b: { c: [1, 2], d: undefined } })).toBe(configDigest({ b: { c: [1, 2] }, a: 1 }));
    expect(configDigest({ a: [1, 2] })).not.toBe(configDigest({ a: [2, 1] }));
  });

  test('tells secrets apart, and from what prints like them', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (one, two) => {
        expect(configDigest({ a: new Secret(one) }) === configDigest({ a: new Secret(two) })).toBe(one === two);
        expect(configDigest(new Secret(one))).not.toBe(configDigest(String(new Secret(one))));
      }),
    );
  });
});
