import { sql } from 'kysely';
import { createActorKeys } from './actors/actor-keys.js';
import { createActorSources } from './actors/actor-sources.js';
import { actorTasks, type ConfiguredActors } from './actors/actor-tasks.js';
import { createActors } from './actors/actors.js';
import { labelledActors } from './actors/labelled-actors.js';
import { createAuditTrail, SYSTEM_ACTOR } from './audit/audit-trail.js';
import type { Json } from './database/canonical-json.js';
import { requestDigest, withIdempotency } from './database/idempotency.js';
import type { Database } from './database/open-database.js';
import { createSealer } from './database/sealer.js';
import { createEncryptedColumns } from './keys/encrypted-columns.js';
import { ensureGlobalKey } from './keys/global-key.js';
import { createKeyRotation } from './keys/key-rotation.js';
import { createKeyService } from './keys/key-service.js';
import { type KeyUpkeep, keyCron, keyTasks } from './keys/key-tasks.js';
import { type KeyringOptions, openKeyring } from './keys/keyring.js';
import { labelledKeys } from './keys/labelled-keys.js';
import type { ProviderRule } from './keys/provider-rules.js';
import { createReencryption } from './keys/reencryption.js';
import { createRetirement } from './keys/retirement.js';
import { systemSecrets, systemSecretsColumn } from './keys/system-secrets.js';
import { createLabelCarrying } from './labels/label-carrying.js';
import { carryEnqueuer, labelCron, labelTasks } from './labels/label-tasks.js';
import { labelledNamespaces } from './namespaces/labelled-namespaces.js';
import { destructionEnqueuer, namespaceCron, namespaceTasks } from './namespaces/namespace-tasks.js';
import { createNamespaces, type Namespaces } from './namespaces/namespaces.js';
import { controlOperations } from './operations.js';
import { type Retention, retentionTasks } from './running/retention-tasks.js';
import type { IdentifyCaller } from './server/caller.js';
import type { HealthChecks } from './server/health.js';
import type { Once, StoredAnswer } from './server/once.js';
import { createCallerIdentification } from './sessions/identify-caller.js';
import { createSessions } from './sessions/sessions.js';
import { type BrowserSettings, openBrowserService } from './sign-in/browser-service.js';
import { createPeople } from './sign-in/people.js';
import { createTasks, type TasksOptions } from './tasks/tasks.js';
import { createAuthenticator } from './tokens/authenticate.js';
import { type Issuer, systemIssuer } from './tokens/issuers.js';
import { createTokenMint } from './tokens/mint-token.js';
import { createNarrowerTokens } from './tokens/narrower-tokens.js';
import { storedNonces } from './tokens/nonce-store.js';
import { systemKeyring } from './tokens/system-keyring.js';
import { publicVerificationKey } from './tokens/verification-key.js';
import { createTokenVerifier } from './tokens/verify-token.js';

/** What a control plane stands on. The schema of the database is current. */
export interface ControlPlaneOptions {
  readonly database: Database;
  /** What wraps the key of everything that has no key of its own, and what did so before. */
  readonly globalKey: KeyringOptions['globalKey'];
  /** Which providers the keys of which namespaces may name. */
  readonly providerRules?: readonly ProviderRule[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** `iss` of the tokens that the system itself signs. */
  readonly issuer: string;
  /** Others whose tokens are accepted, by `iss`. */
  readonly issuers?: ReadonlyMap<string, Issuer>;
  /** The longest life of a token that the system makes, in seconds. */
  readonly tokenLifetime?: number;
  /** The longest life of a token that an actor signs for itself, in seconds. */
  readonly actorTokenLifetime?: number;
  /** How far clocks may differ, in seconds. */
  readonly clockLeeway?: number;
  readonly idempotencyLifetimeMs?: number;
  /** The services that people use with browsers. One that is left out has no sessions. */
  readonly browsers?: Readonly<Partial<Record<'public' | 'admin-api', BrowserSettings>>>;
  /** How long what was deleted is kept: 30 days, and the audit trail for ever, when left out. */
  readonly retention?: Retention;
  /** How the versions of keys come and go: new ones after 90 days, and unused ones kept for seven, when left out. */
  readonly keyUpkeep?: KeyUpkeep;
  /** The actors that the configuration declares or names directories of; none when left out. */
  readonly configuredActors?: ConfiguredActors;
  /** How long finished and dead tasks are kept, and who hears of failures. */
  readonly tasks?: Pick<TasksOptions, 'retentionMs' | 'deadRetentionMs' | 'onProblem'>;
  /** What else this process stands on. */
  readonly healthChecks?: HealthChecks;
  readonly stopping?: () => boolean;
  readonly now?: () => number;
}

/** Every domain of the control plane over one database, and the operations that its services offer. */
export type ControlPlane = Awaited<ReturnType<typeof openControlPlane>>;

const HOUR = 3600;
const KEPT: Retention = { soft_deleted: 30 * 24 * HOUR * 1000, audit: null };
const UPKEEP: KeyUpkeep = { rotateAfterMs: 90 * 24 * HOUR * 1000, destroyAfterMs: 7 * 24 * HOUR * 1000 };
const NO_ACTORS: ConfiguredActors = { declared: [], directories: {}, schedule: '*/5 * * * *' };

/** Opens the control plane: makes the global key and the secrets of the system on the first start, and then has everything at hand. */
export async function openControlPlane(options: ControlPlaneOptions) {
  const { database, globalKey, env = process.env, issuer, tokenLifetime = HOUR, now = Date.now } = options;
  const rules = options.providerRules === undefined ? {} : { rules: options.providerRules };
  const keyring = openKeyring({ database, globalKey, env, ...rules, now });
  await ensureGlobalKey(database, keyring, now);
  const columns = createEncryptedColumns();
  columns.registerEncryptedColumn(systemSecretsColumn);
  const [sealing, ...formerSealing] = await systemSecrets(database, keyring, 'sealing');
  const sealer = createSealer([sealing.secret, ...formerSealing.map(({ secret }) => secret)]);
  const signing = (await systemSecrets(database, keyring, 'signing')).map(({ id, secret }) => ({
    id,
    material: Buffer.from(secret.reveal(), 'base64url'),
  }));

  const audit = createAuditTrail({ database, sealer, now });
  const namespaces = createNamespaces({
    ...{ database, audit, sealer, now },
    onLabelsChanged: (trx, path, who) => carrying.changed(trx, path, who),
    onDestroyRequested: destructionEnqueuer(() => tasks),
    // What comes first needs what comes later: sessions are those of actors.
    onNamespaceDestroyed: [
      (destroyed) => actors.onNamespaceDestroyed(destroyed),
      (destroyed) => sessions.onNamespaceDestroyed(destroyed),
      async ({ path, trx }) => {
        await keys.shred(trx, path, { actorId: SYSTEM_ACTOR });
        return 'done';
      },
    ],
  });
  const carrying = createLabelCarrying({
    ...{ database, now, enqueue: carryEnqueuer(() => tasks) },
    children: [labelledNamespaces, labelledActors, labelledKeys],
  });
  const keys = createKeyService({ database, keyring, columns, ...rules, env, audit, namespaces, sealer, now });
  const reencryption = createReencryption({ database, keyring, columns, now });
  const rotation = createKeyRotation({ database, keyring, audit, now });
  const retirement = createRetirement({ database, columns, now });
  const actors = createActors({
    ...{ database, namespaces, audit, sealer, now },
    // Sessions and people know actors, so they come after them.
    onActorDeleted: [(trx, actor) => sessions.onActorDeleted(trx, actor), (trx, actor) => people.onActorDeleted(trx, actor)],
  });
  const browserSettings = Object.entries(options.browsers ?? {});
  const lifetimes = Object.fromEntries(browserSettings.flatMap(([service, settings]) => (settings.lifetimes ? [[service, settings.lifetimes]] : [])));
  const sessions = createSessions({ database, actors, audit, sealer, lifetimes, now });
  const actorKeys = createActorKeys({ database, actors, audit, sealer, now });
  const sources = createActorSources({ database, actors, audit, now });
  const people = createPeople({ database, actors, sources, sessions, now });

  const useNonce = storedNonces(database);
  const parts = { sessions, people, sealer, useNonce, now };
  const browsers = new Map(browserSettings.map(([service, settings]) => [service, openBrowserService(service, settings, parts)] as const));

  const systemKeys = systemKeyring(() => signing);
  const mint = createTokenMint({ issuer, keyring: systemKeys, longestLife: tokenLifetime, clock: now });
  const tokens = createNarrowerTokens({ database, audit, mint });
  const verify = createTokenVerifier({
    issuers: new Map([...(options.issuers ?? []), [issuer, systemIssuer(systemKeys, tokenLifetime)]]),
    actorKeys: async (actor) => (await actorKeys.usable(actor)).map((key) => publicVerificationKey(key)),
    useNonce,
    longestActorLife: options.actorTokenLifetime ?? tokenLifetime,
    ...(options.clockLeeway === undefined ? {} : { leeway: options.clockLeeway }),
    clock: now,
  });
  const authenticate = createAuthenticator({ verify, actors, sources, sessions });
  const identify: IdentifyCaller = createCallerIdentification({ authenticate, sessions });

  const once: Once = async ({ key, actorId, method, path, body }, work) => {
    const digest = requestDigest(sealer, method, path, body as Json);
    const lifetime = options.idempotencyLifetimeMs === undefined ? {} : { lifetimeMs: options.idempotencyLifetimeMs };
    const request = { key, actorId, requestDigest: digest };
    const { outcome } = await withIdempotency(database, request, async () => ({ ...(await work()) }), { sealer, now, ...lifetime });
    return outcome satisfies StoredAnswer;
  };

  const purges = retentionTasks({ database, namespaces, actors, people, sessions, audit, now }, options.retention ?? KEPT);
  const syncing = actorTasks({ sources, namespaces }, options.configuredActors ?? NO_ACTORS);
  const destroying: Pick<Namespaces, 'destroyNextBatch'> = {
    async destroyNextBatch(batch) {
      const progress = await namespaces.destroyNextBatch(batch);
      // Once more: somebody may have used a data key between its destruction and the commit.
      keyring.forget();
      return progress;
    },
  };
  const background = {
    tasks: [
      ...keyTasks({ keys, reencryption, retirement, rotation, upkeep: options.keyUpkeep ?? UPKEEP }),
      ...labelTasks(carrying),
      ...namespaceTasks(destroying),
      ...purges.tasks,
      ...syncing.tasks,
    ],
    cron: [...keyCron, ...labelCron, ...namespaceCron, ...purges.cron, ...syncing.cron],
  };
  const tasks = createTasks({ database, audit, sealer, ...background, ...options.tasks, now });

  const healthChecks = { db: () => sql`select 1`.execute(database.db) };
  const operations = controlOperations({
    ...{ database, namespaces, keys, reencryption, actors, actorKeys, tokens, sessions, browsers, audit, tasks },
    healthChecks: { ...healthChecks, ...options.healthChecks },
    stopping: options.stopping ?? (() => false),
  });
  return {
    database,
    audit,
    namespaces,
    keys,
    reencryption,
    retirement,
    actors,
    actorKeys,
    sources,
    sessions,
    people,
    browsers,
    tasks,
    tokens,
    identify,
    once,
    operations,
  };
}
