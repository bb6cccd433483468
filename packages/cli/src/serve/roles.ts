import type { ServiceName } from '@sallyport/control';
import { SallyportError } from '@sallyport/sdk';

/** What a process can serve. */
export const roleNames = ['all', 'gateway', 'public', 'api', 'admin-api', 'worker'] as const;

/** One of `roleNames`. */
export type Role = (typeof roleNames)[number];

/** What a process serves. */
export interface Wanted {
  readonly gateway: boolean;
  readonly services: readonly ServiceName[];
}

const services: readonly ServiceName[] = ['public', 'api', 'admin-api', 'worker'];

/**
 * What is served: what was named, or everything that the configuration has a section for. Throws `config_invalid` when a section is missing for what
 * was named.
 */
export function roles(given: readonly Role[], sections: ReadonlySet<string>): Wanted {
  if (given.length === 0 || given.includes('all')) {
    // A file without any section is told what it needs by whoever reads it.
    return { gateway: sections.has('gateway') || !sections.has('control'), services: sections.has('control') ? services : [] };
  }
  const gateway = given.includes('gateway');
  const named = services.filter((service) => given.includes(service));
  if (gateway && !sections.has('gateway')) throw missing('gateway');
  if (named.length > 0 && !sections.has('control')) throw missing('control');
  return { gateway, services: named };
}

function missing(section: string): SallyportError {
  return new SallyportError('config_invalid', {
    detail: `The configuration has no section \`${section}\`.`,
    hint: `Add \`${section}:\`, or serve something else: ${roleNames.join(', ')}.`,
  });
}
