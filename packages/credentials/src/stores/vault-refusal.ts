import type { SallyportError } from '@sallyport/sdk';
import type { HttpAnswer } from './http-client.js';
import { storeFailed } from './http-failure.js';
import { retryAfter } from './http-retry.js';

const LATER = 'Try again later, and look into the log of Vault.';

/** What an answer that is no success means. Nothing of its text is quoted. */
export function vaultRefusal(name: string, answer: HttpAnswer): SallyportError {
  const { status, text } = answer;
  const wait = retryAfter(answer);
  const retryable = { retryable: true, hint: LATER, retryAfter: wait };
  if (status === 429) return storeFailed(`${name} limits how often it may be asked (429).`, retryable);
  // Vault Enterprise: this node has not yet seen what another one wrote.
  if (status === 412) return storeFailed(`The node of ${name} lags behind (412).`, retryable);
  if (status === 503) {
    return storeFailed(`${name} is sealed or in maintenance (503).`, {
      ...retryable,
      hint: 'Unseal it (vault status), or wait for the maintenance to end.',
    });
  }
  if (status >= 500) return storeFailed(`${name} failed (${status}).`, retryable);
  if (status >= 300 && status < 400) {
    const hint =
      'Name the address of the active node or of a balancer in front of all; redirects are not followed, since they would take the token along.';
    return storeFailed(`${name} is a standby node that redirects (${status}).`, { retryable: true, hint });
  }
  return storeFailed(`${name} refused: ${reasonOf(status, text)} (${status}).`, { retryable: false, hint: hintOf(status) });
}

function reasonOf(status: number, text: string): string {
  if (status === 403) return 'the token or the login is not valid, or the policy does not allow this';
  if (text.includes('no handler for route')) return 'no secrets engine or login method is mounted at this path';
  if (status === 404) return 'there is nothing at this path';
  if (text.includes('invalid role') || text.includes('invalid secret id') || text.includes('invalid credential'))
    return 'the role or its secret is not valid';
  return 'it does not accept the request';
}

function hintOf(status: number): string {
  if (status === 403) return 'Give the token a policy with create, read and update on the data path of the store, and check that it has not ended.';
  if (status === 404) return 'Check `mount`, `namespace` and the mount of the login; the secrets engine has to be KV version 2.';
  return 'Check `mount`, `namespace` and the role against docs/token-stores.md.';
}
