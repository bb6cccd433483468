import { expect, test } from 'vitest';
import { readCompact, verifySignature } from './compact.js';
import { newSigner, sign, verifierOf } from './tokens.test.support.js';

const refused = expect.objectContaining({ code: 'token_invalid' });

test('a signature that held once holds for the same bytes and the same key, and for nothing else', async () => {
  const ada = newSigner('ed25519');
  const key = await verifierOf(ada, 'k1');
  const text = await sign(ada, {}, { kid: 'k1' });
  expect(await verifySignature(readCompact(text), [key])).toBe(key);
  expect(await verifySignature(readCompact(text), [key])).toBe(key);

  const revoked = verifySignature(readCompact(text), []);
  await expect(revoked).rejects.toThrow(refused);
  const replaced = verifySignature(readCompact(text), [await verifierOf(newSigner('ed25519'), 'k1')]);
  await expect(replaced).rejects.toThrow(refused);
  const renamed = verifySignature(readCompact(text), [{ ...key, kid: 'k2' }]);
  await expect(renamed).rejects.toThrow(refused);
  const otherAlgorithm = verifySignature(readCompact(text), [{ ...key, algorithm: 'ES256' }]);
  await expect(otherAlgorithm).rejects.toThrow(refused);

  const [header, , signature] = text.split('.');
  const [, payload] = (await sign(newSigner('ed25519'), { sub: 'eve' }, { kid: 'k1' })).split('.');
  await expect(verifySignature(readCompact(`${header}.${payload}.${signature}`), [key])).rejects.toThrow(refused);
});

test('what did not hold is looked at again', async () => {
  const ada = newSigner('P-256');
  const text = await sign(ada, {});
  await expect(verifySignature(readCompact(text), [await verifierOf(newSigner('P-256'))])).rejects.toThrow(refused);
  const key = await verifierOf(ada);
  expect(await verifySignature(readCompact(text), [key])).toBe(key);
});
