import { dirname, join } from 'node:path';
import type { Section, ValueContext } from '@sallyport/gateway';
import { z } from 'zod';
import type { DatabaseOptions } from '../database/open-database.js';
import { parseProviderConfig } from '../keys/provider-config.js';
import { databaseSection } from './database-section.js';
import { doubtsAbout } from './doubts.js';
import type { KeyData } from './key-data.js';
import { logSection, rateLimitsSection, redisSection, retentionSection, shutdownSection, tasksSection } from './operation-sections.js';
import { servicesSection } from './services-section.js';
import { hostApplicationSection, signInSection } from './sign-in-section.js';
import { systemAuthSection } from './system-auth-section.js';

/** Where the global key is. */
interface GlobalKey extends KeyData {
  /** The file that `makeKeyFile` has to make before the database is used for the first time; null where somebody else sees to the key. */
  readonly madeIn: string | null;
}

/** The control plane's section of a valid configuration. Secrets are held in `Secret` or behind `reveal`; `null` means `off`. */
export type ControlConfig = z.output<ReturnType<typeof controlSchema>>;

/**
 * The section `control` of the configuration, for `loadConfig` of the gateway. The keys of what comes out are those of the file, but for what another
 * part takes as it is (the database, TLS, rules of keys and rates); durations are milliseconds, paths absolute.
 */
export const controlSection: Section<ControlConfig> = { schema: controlSchema, doubts: doubtsAbout };

function controlSchema(context: ValueContext) {
  return z
    .strictObject({
      database: databaseSection(context),
      services: servicesSection(context),
      system_auth: systemAuthSection(context),
      host_application: hostApplicationSection(),
      sign_in: signInSection(context),
      redis: redisSection(context).optional(),
      rate_limits: rateLimitsSection(),
      tasks: tasksSection(),
      retention: retentionSection(),
      log: logSection(context),
      shutdown: shutdownSection(),
    })
    .superRefine(({ database, system_auth: { global_key: key } }, issues) => {
      if (key !== undefined || database.provider === 'sqlite') return;
      const message = 'is required with postgres: several machines need the same key, and a database is worth nothing without its own';
      issues.addIssue({ code: 'custom', path: ['system_auth', 'global_key'], message });
    })
    .transform(({ system_auth, ...rest }) => {
      const given = system_auth.global_key;
      const global_key: GlobalKey = given === undefined ? keyBeside(rest.database) : { ...given, madeIn: null };
      return { ...rest, system_auth: { ...system_auth, global_key } };
    })
    .describe('The control plane.');
}

/** Beside the database, so that whoever moves or saves the one does so with the other. */
function keyBeside(database: DatabaseOptions): GlobalKey {
  const file = join(dirname(database.provider === 'sqlite' ? database.path : '.'), 'global.key');
  return { type: 'file', reveal: () => parseProviderConfig({ path: file }), madeIn: file };
}
