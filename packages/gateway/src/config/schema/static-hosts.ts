import { isIP } from 'node:net';
import { z } from 'zod';
import { canonicalHost } from '../../policy/canonical-host.js';
import { text } from './values.js';

/** Addresses by canonical host name, for names that the resolver is not asked about. Nothing is allowed by it: the address guard judges them all. */
export function staticHostsSchema() {
  return z
    .record(
      hostName(),
      text('an IP address').refine((address) => isIP(address) !== 0, 'expected an IP address, IPv6 without brackets'),
    )
    .prefault({})
    .describe(
      'Addresses by host name, for names that the resolver does not know or knows differently. The address guard judges them like any other.',
    );
}

function hostName() {
  return text('a host name').superRefine((name, issues) => {
    const canonical = canonicalName(name);
    if (canonical === null) issues.addIssue({ code: 'custom', message: 'expected a host name such as api.internal.example' });
    // Two spellings of one name would be two entries, and one of them would count for nothing.
    else if (canonical !== name) issues.addIssue({ code: 'custom', message: `write this name as ${canonical}` });
  });
}

function canonicalName(name: string): string | null {
  try {
    const host = canonicalHost(name);
    return host.kind === 'name' ? host.text : null;
  } catch {
    return null;
  }
}
