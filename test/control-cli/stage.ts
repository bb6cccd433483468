import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { type Workplace, workplace } from '../../packages/cli/src/command-line.test.support.js';
import { systemRequester } from '../../packages/control/src/actors/actors.js';
import { migrate } from '../../packages/control/src/database/migrate.js';
import { openDatabase } from '../../packages/control/src/database/open-database.js';
import { type ServedControl, serveControl } from '../../packages/control/src/server/testing/served-control.test.support.js';

/** How a command ended. */
interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A control plane on SQLite that is served over HTTP, and a command line that signs as its administrator. */
export interface Stage {
  readonly control: ServedControl;
  readonly place: Workplace;
  /** The id of the administrator. */
  readonly opsId: string;
  /** Where the private key of the administrator is. */
  readonly privateKey: string;
  run(...args: readonly string[]): Promise<Ended>;
  /** What the command prints as JSON. Rejects unless its exit code is 0. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into documents of every kind.
  json(...args: readonly string[]): Promise<any>;
}

/** Opens a control plane that goes when the test ends; the work place goes with `cleanUp`. */
export async function servedPlane(): Promise<ServedControl> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-control-cli-'));
  const options = { provider: 'sqlite', path: join(folder, 'sallyport.db'), synchronous: 'normal' } as const;
  const database = openDatabase(options);
  await migrate(database);
  const control = await serveControl(database);
  onTestFinished(async () => {
    await control.close();
    await database.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return control;
}

/** A new key: the private half as PKCS#8, the public one as SPKI. */
export function newKeyPair(): { readonly privatePem: string; readonly publicPem: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return {
    privatePem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    publicPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  };
}

/** Opens the stage; `ops` of root may do everything. */
export async function openStage(): Promise<Stage> {
  const control = await servedPlane();
  const { privatePem, publicPem } = newKeyPair();
  const permissions = [{ namespace: 'root.**', resources: ['*'], verbs: ['*'] }];
  const { id } = await control.plane.actors.create({ namespace: 'root', external_id: 'ops', permissions }, systemRequester);
  await control.plane.actorKeys.add(id, { public_key: publicPem }, systemRequester);
  const place = workplace();
  const privateKey = place.file('ops.pem', privatePem);
  const config = { server: { admin_api: control.url(), api: control.url('api') }, actor: 'ops', private_key: privateKey };
  const env = { SALLYPORT_CLIENT_CONFIG: place.file('client.yaml', JSON.stringify(config)) };
  const run = (...args: readonly string[]): Promise<Ended> => place.run(args, env);
  return {
    ...{ control, place, opsId: id, privateKey, run },
    async json(...args) {
      const { code, stdout, stderr } = await run(...args, '-o', 'json');
      if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}:\n${stderr}`);
      return JSON.parse(stdout) as unknown;
    },
  };
}
