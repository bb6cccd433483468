// What it costs to verify a token, by the kind of its key, next to `jwtVerify` of jose with the same checks. Prints one line of JSON.
import { createSecretKey, randomBytes } from 'node:crypto';
import { exportJWK, generateKeyPair, jwtVerify, SignJWT } from 'jose';
import { publicKeyFromJwk } from '../../packages/control/dist/actors/public-key.js';
import { amongKeys } from '../../packages/control/dist/tokens/issuers.js';
import { publicVerificationKey } from '../../packages/control/dist/tokens/verification-key.js';
import { createTokenVerifier } from '../../packages/control/dist/tokens/verify-token.js';
import { effort, nanosecondsOfAsync } from './cpu-time.mjs';

const { short } = JSON.parse(process.argv[2] ?? '');
const found = [];
for (const algorithm of ['EdDSA', 'ES256', 'RS256', 'HS256']) {
  const { signing, key } = await keysOf(algorithm);
  const now = Math.floor(Date.now() / 1000);
  const token = await new SignJWT({ namespace: 'root.t1' })
    .setProtectedHeader({ alg: algorithm, kid: key.kid })
    .setIssuer('host')
    .setSubject('service')
    .setAudience('api')
    .setIssuedAt(now)
    .setExpirationTime(now + 3600)
    .sign(signing);
  const issuer = { findKeys: amongKeys([key]), namespace: 'root', longestLife: 3600 };
  const verify = createTokenVerifier({ issuers: new Map([['host', issuer]]), actorKeys: async () => [], useNonce: async () => true });
  const expected = { issuer: 'host', subject: 'service', audience: 'api', algorithms: [algorithm], maxTokenAge: 3600, clockTolerance: 30 };
  found.push({
    title: algorithm,
    nanoseconds: await nanosecondsOfAsync(() => verify(token, 'api'), effort(short)),
    peer: await nanosecondsOfAsync(() => jwtVerify(token, key.key, expected), effort(short)),
  });
}
console.log(JSON.stringify(found));

/** @param {string} algorithm */
async function keysOf(algorithm) {
  if (algorithm === 'HS256') {
    const secret = createSecretKey(randomBytes(32));
    return { signing: secret, key: { kid: 'shared', algorithm: /** @type {const} */ ('HS256'), key: secret } };
  }
  const { privateKey, publicKey } = await generateKeyPair(algorithm, { extractable: true });
  return { signing: privateKey, key: publicVerificationKey(await publicKeyFromJwk(await exportJWK(publicKey))) };
}
