import {
  type CallOptions,
  type Credential,
  type CredentialProvider,
  type MutableRequest,
  TransactionContext,
  type TransactionFields,
} from '@sallyport/sdk';

/** A call with these fields. */
export function call(fields: Partial<TransactionFields> = {}): TransactionContext {
  return new TransactionContext({ targetUrl: 'https://api.vendor.test/v1/items', ...fields });
}

/** A provider that is known by what it answers. */
export function namedProvider(name: string): CredentialProvider {
  return { getCredentials: () => namedCredential(name) };
}

/** What the provider of this name answers. */
export function namedCredential(name: string): Credential {
  return { headers: { Authorization: name }, expiresAt: 4_102_444_800_000 };
}

/** Nobody gives up. */
export const options: CallOptions = { signal: new AbortController().signal };

/** A request that nobody looks at. */
export const request: MutableRequest = {
  method: 'GET',
  url: new URL('https://api.vendor.test/v1/items'),
  headers: new Headers(),
  body: { bytes: () => Promise.resolve(new Uint8Array()), replace: () => undefined },
};
