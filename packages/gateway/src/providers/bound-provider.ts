import type { Credential, OnIssued } from '@sallyport/credentials';
import { type CredentialProvider, SallyportError } from '@sallyport/sdk';
import { headerOfBinding } from '../config/schema/credentials.js';
import type { BindingConfig } from '../config/schema.js';
import { makePlacement } from '../placements/make-placement.js';
import type { Placement } from '../placements/placement.js';
import { parseHostPattern } from '../policy/host-pattern.js';
import { HostTable } from '../policy/host-table.js';

const REUSE_MS = 60_000;

/**
 * A provider that gives a configured credential to the hosts that it is bound to, in the first header of the most specific binding. Throws
 * `credential_not_bound` for every other host, and what `Credential.resolve` throws. `expiresAt` is at most a minute away.
 */
export function boundProvider(credential: Credential, bindings: readonly BindingConfig[], onIssued: OnIssued): CredentialProvider {
  const table = new HostTable<{ readonly placement: Placement; readonly plaintext: boolean }>();
  for (const binding of bindings) {
    const header = headerOfBinding(binding);
    if (header === null) continue;
    const bound = { placement: makePlacement(header), plaintext: binding.plaintext };
    for (const host of binding.hosts) table.add(parseHostPattern(host), bound);
  }
  return {
    async getCredentials(_context, { url }, { signal }) {
      const tls = url.protocol === 'https:';
      const host = url.hostname.replace(/^\[|\]$/g, '');
      const bound = table.lookup(host, Number(url.port) || (tls ? 443 : 80)).find(({ plaintext }) => tls || plaintext);
      if (bound === undefined) {
        const where = `${tls ? 'https' : 'http'}://${url.host}`;
        throw new SallyportError('credential_not_bound', { detail: `The credential ${credential.name} has no header binding for ${where}.` });
      }
      const material = await credential.resolve(signal);
      const line = bound.placement.render(material).lines;
      const border = line.indexOf(': ');
      const value = line.slice(border + 2, -2);
      onIssued(value, credential, material);
      const reuseUntil = Date.now() + REUSE_MS;
      return { headers: { [line.slice(0, border)]: value }, expiresAt: Math.min(material.expiresAt ?? reuseUntil, reuseUntil) };
    },
  };
}
