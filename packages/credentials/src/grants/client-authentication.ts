import { createPrivateKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { SallyportError, type Secret } from '@sallyport/sdk';
import { type ClientAuth, ClientSecretBasic, ClientSecretPost, modifyAssertion, None, PrivateKeyJwt } from 'oauth4webapi';
import { parseObject } from '../json-object.js';

/** How a client proves to the token endpoint who it is (RFC 6749 §2.3, RFC 7523 §2.2). */
export type ClientAuthentication =
  /** Id and secret in the form. */
  | { readonly method: 'post'; readonly secret: Secret }
  /** Id and secret in an `Authorization: Basic` header, form-encoded first as RFC 6749 §2.3.1 wants it. */
  | { readonly method: 'basic'; readonly secret: Secret }
  /** A signed assertion; see `PrivateKeyOptions`. */
  | ({ readonly method: 'private_key_jwt' } & PrivateKeyOptions)
  /** A public client: only the id. */
  | { readonly method: 'none' };

/** The key that signs assertions, and what is written around the signature. */
interface PrivateKeyOptions {
  /** PKCS#8, PKCS#1 or SEC1 PEM, or a private JWK: RSA of at least 2048 bits, EC on P-256, or Ed25519. */
  readonly key: Secret;
  /** `ES256` for EC keys, `EdDSA` for Ed25519 and `RS256` for RSA keys when left out; a JWK's own `alg` comes first. */
  readonly algorithm?: 'ES256' | 'RS256' | 'PS256' | 'EdDSA';
  /** Key id in the header of the assertion; that of the JWK when left out. */
  readonly keyId?: string;
  /** The `aud` of the assertion: mostly the issuer. The URL of the token endpoint when left out. */
  readonly audience?: string;
}

const ALGORITHMS = {
  ES256: { name: 'ECDSA', namedCurve: 'P-256' },
  RS256: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
  PS256: { name: 'RSA-PSS', hash: 'SHA-256' },
  EdDSA: { name: 'Ed25519' },
} as const;
const KEY_TYPES: ReadonlyMap<string, readonly (keyof typeof ALGORITHMS)[]> = new Map([
  ['ec', ['ES256']],
  ['rsa', ['RS256', 'PS256']],
  ['ed25519', ['EdDSA']],
]);
const HINT = 'Give a PKCS#8 PEM or a private JWK: RSA of at least 2048 bits, EC on P-256, or Ed25519.';

/** The authentication in the form in which oauth4webapi applies it. Throws `config_invalid` for a key that cannot sign, never with the key. */
export function clientAuth(authentication: ClientAuthentication): ClientAuth {
  switch (authentication.method) {
    case 'post':
      return ClientSecretPost(checkedSecret(authentication.secret).reveal());
    case 'basic':
      return ClientSecretBasic(checkedSecret(authentication.secret).reveal());
    case 'private_key_jwt':
      return privateKeyJwt(authentication);
    case 'none':
      return None();
  }
}

function checkedSecret(secret: Secret): Secret {
  if (secret.empty) throw new SallyportError('config_invalid', { detail: 'The client secret is empty.', hint: 'Give the secret of the client.' });
  return secret;
}

function privateKeyJwt({ key, algorithm, keyId, audience }: PrivateKeyOptions): ClientAuth {
  const jwk = parseObject(key.reveal());
  const keyObject = readKey(key, jwk);
  const kid = keyId ?? textOf(jwk?.kid);
  const alg = chooseAlgorithm(keyObject, algorithm ?? textOf(jwk?.alg));
  const der = keyObject.export({ type: 'pkcs8', format: 'der' });
  let signing: Promise<ClientAuth> | null = null;

  async function load(): Promise<ClientAuth> {
    const cryptoKey = await crypto.subtle.importKey('pkcs8', der, ALGORITHMS[alg], false, ['sign']);
    return PrivateKeyJwt(kid === undefined ? cryptoKey : { key: cryptoKey, kid }, {
      [modifyAssertion]: (header, payload) => {
        // The library writes RFC 9864's `Ed25519`, which few servers know yet.
        header.alg = alg;
        if (audience !== undefined) payload.aud = audience;
      },
    });
  }

  return async (...parts) => {
    signing ??= load();
    await (await signing)(...parts);
  };
}

function readKey(key: Secret, jwk: Readonly<Record<string, unknown>> | null): KeyObject {
  try {
    return jwk === null ? createPrivateKey(key.reveal()) : createPrivateKey({ key: jwk as JsonWebKey, format: 'jwk' });
  } catch {
    // Without the cause: what a parser says may quote the key.
    throw unusable('is neither a PEM nor a JWK of a private key');
  }
}

function chooseAlgorithm(key: KeyObject, wanted: string | undefined): keyof typeof ALGORITHMS {
  const possible = KEY_TYPES.get(key.asymmetricKeyType ?? '');
  if (possible === undefined) throw unusable(`is of the type ${key.asymmetricKeyType}`);
  const details = key.asymmetricKeyDetails ?? {};
  if (details.namedCurve !== undefined && details.namedCurve !== 'prime256v1') throw unusable(`is on the curve ${details.namedCurve}`);
  if (details.modulusLength !== undefined && details.modulusLength < 2048) throw unusable(`has only ${details.modulusLength} bits`);
  const alg = wanted === undefined ? possible[0] : possible.find((name) => name === wanted);
  if (alg === undefined) throw unusable(`cannot sign with ${JSON.stringify(wanted?.slice(0, 20))}`);
  return alg;
}

function unusable(what: string): SallyportError {
  return new SallyportError('config_invalid', { detail: `The key that signs client assertions ${what}.`, hint: HINT });
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
