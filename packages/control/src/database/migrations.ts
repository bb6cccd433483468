import type { Migration } from './migration.js';
import { idempotencyKeys } from './migrations/0001-idempotency-keys.js';
import { namespaces } from './migrations/0002-namespaces.js';
import { auditEvents } from './migrations/0003-audit-events.js';
import { actors } from './migrations/0100-actors.js';
import { usedNonces } from './migrations/0101-used-nonces.js';
import { sessions } from './migrations/0120-sessions.js';
import { signInIdentities } from './migrations/0121-sign-in-identities.js';
import { encryptionKeys } from './migrations/0200-encryption-keys.js';
import { labels } from './migrations/0201-labels.js';
import { systemSecrets } from './migrations/0202-system-secrets.js';
import { labelCarries } from './migrations/0210-label-carries.js';
import { tasks } from './migrations/0300-tasks.js';
import { busMessages } from './migrations/0310-bus-messages.js';
import { leases } from './migrations/0311-leases.js';

/**
 * Every step of the schema, one file each. Numbers: 0001–0099 storage, namespaces and audit; 0100–0199 who may do what; 0200–0299 keys and labels.
 */
export const migrations: readonly Migration[] = [
  idempotencyKeys,
  namespaces,
  auditEvents,
  actors,
  usedNonces,
  sessions,
  signInIdentities,
  encryptionKeys,
  labels,
  systemSecrets,
  labelCarries,
  tasks,
  busMessages,
  leases,
];
