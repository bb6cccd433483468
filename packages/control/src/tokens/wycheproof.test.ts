import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readCompact, verifySignature } from './compact.js';
import { parseKeySet } from './key-set.js';

interface Group {
  readonly comment: string;
  readonly public?: unknown;
  readonly private: unknown;
  readonly tests: readonly { readonly tcId: number; readonly comment: string; readonly jws: unknown; readonly result: 'valid' | 'invalid' }[];
}

// Beside the repository, or wherever SALLYPORT_VECTORS says.
const folder = join(process.env.SALLYPORT_VECTORS ?? join(import.meta.dirname, '../../../../../shared/vectors'), 'wycheproof');

/** Vectors that call valid what is refused here on purpose. */
const STRICTER: Readonly<Record<string, string>> = {
  'json_web_signature_test 346': 'PS384 with a key whose alg is PS256: a key has one algorithm',
  'json_web_signature_test 350': 'PS384 with a key whose alg is PS256: a key has one algorithm',
  'json_web_signature_test 347': 'a key whose alg is ES521, which does not exist',
  'json_web_signature_test 351': 'a key whose alg is ES521, which does not exist',
  'json_web_signature_test 372': 'a foreign character in the base64url of the header',
  'json_web_signature_test 373': 'a foreign character in the base64url of the payload',
};

/** They are said to have wrong padding, but have none and are, letter for letter, the valid number 357. */
const MISTAKEN = ['json_web_signature_test 367', 'json_web_signature_test 370'];

async function accepts(keys: unknown, jws: unknown): Promise<boolean> {
  try {
    const set = await parseKeySet(keys, { strict: true, shared: true });
    await verifySignature(readCompact(typeof jws === 'string' ? jws : JSON.stringify(jws)), set);
    return true;
  } catch (error) {
    expect(error).toHaveProperty('code', expect.stringMatching(/^(?:token_invalid|actor_key_invalid)$/));
    return false;
  }
}

const present = existsSync(folder);
// A suite that is left out has to be seen.
if (!present) console.warn(`SKIPPED: the Wycheproof vectors are not at ${folder}`);

describe.skipIf(!present).each(['json_web_signature_test', 'json_web_key_test'])('Wycheproof %s', (name) => {
  const groups = present
    ? (JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8')) as { readonly testGroups: readonly Group[] }).testGroups
    : [];
  const cases = groups.flatMap((group) =>
    group.tests.map(({ tcId, comment, jws, result }) => ({ id: `${name} ${tcId}`, comment, jws, result, key: group.public ?? group.private })),
  );

  test('has vectors', () => {
    expect(cases.length).toBeGreaterThan(20);
  });

  test.each(cases)('$id: $comment is $result', async ({ id, jws, result, key }) => {
    const keys = typeof key === 'object' && key !== null && 'keys' in key ? key : { keys: [key] };
    expect(await accepts(keys, jws)).toBe(STRICTER[id] === undefined && (result === 'valid' || MISTAKEN.includes(id)));
  });
});
