const LONGEST = 16 * 1_024;
const PEM = /-----BEGIN (?:RSA )?PUBLIC KEY-----[\s\S]*-----END (?:RSA )?PUBLIC KEY-----/;
const SSH = /^(?:ssh-(?:rsa|ed25519)|ecdsa-sha2-nistp(?:256|384|521)) [A-Za-z0-9+/]+={0,2}(?: .*)?$/m;

/** What a text has that cannot be public keys, without quoting it; null when it looks like some. Who uses the keys looks closer. */
export function publicKeysFault(written: string): string | null {
  if (written.length > LONGEST) return `is longer than ${LONGEST} characters`;
  if (/PRIVATE KEY-----/.test(written)) return 'is a private key; it belongs to who signs with it, and nowhere else';
  if (written.trimStart().startsWith('{')) return jwkFault(written);
  return PEM.test(written) || SSH.test(written) ? null : 'is no public key: expected an OpenSSH line, PEM or a JWK';
}

function jwkFault(written: string): string | null {
  try {
    const jwk = JSON.parse(written) as Readonly<Record<string, unknown>>;
    if ('d' in jwk || 'k' in jwk) return 'is a private key; it belongs to who signs with it, and nowhere else';
    return typeof jwk.kty === 'string' ? null : 'is no public key: a JWK has `kty`';
  } catch {
    return 'is no public key: this JWK is not JSON';
  }
}
