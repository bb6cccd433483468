import type { CertificateSigner } from '../plugin.js';
import { garbageRequests } from './csr-samples.js';
import type { Check, Kit } from './kit.js';
import { isCrash, type Outcome, settle } from './outcome.js';
import { stopCheck } from './stop-check.js';

/** What is asked of `signCsr`. */
export function signerChecks(kit: Kit, signer: CertificateSigner): readonly Check[] {
  const { csr, timeout } = kit;
  const sign = (text: string): Promise<Outcome<string>> => settle(() => signer.signCsr(text, { signal: AbortSignal.timeout(timeout) }), timeout);
  return [
    { name: 'signCsr refuses an empty request', run: async () => mustRefuse(await sign(''), 'an empty text', timeout) },
    {
      name: 'signCsr refuses what is no certificate request',
      async run() {
        for (const [i, text] of garbageRequests.entries()) mustRefuse(await sign(text), `garbage (${i + 1} of ${garbageRequests.length})`, timeout);
      },
    },
    stopCheck('signCsr', (signal) => signer.signCsr(csr ?? garbageRequests[0], { signal }), timeout),
    ...(csr === null ? [] : [{ name: 'signCsr signs the request that was given', run: async () => mustSign(await sign(csr)) }]),
  ];
}

function mustRefuse(outcome: Outcome<string>, what: string, timeout: number): void {
  if (outcome.kind === 'timeout') throw new Error(`there was no answer to ${what} within ${timeout} ms`);
  if (outcome.kind === 'answer') throw new Error(`it answered ${what} instead of throwing an error`);
  if (isCrash(outcome.error)) throw new Error(`it crashed (${outcome.error.name}) at ${what}; throw an error that says what is wrong with it`);
}

function mustSign(outcome: Outcome<unknown>): void {
  if (outcome.kind !== 'answer') throw new Error('it did not answer; call it yourself to see why');
  const isPem =
    typeof outcome.value === 'string' && /^(-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*)+$/.test(outcome.value);
  if (!isPem) throw new Error('its answer is not a certificate in PEM, with or without its chain behind it');
}
