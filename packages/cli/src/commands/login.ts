import { resolve } from 'node:path';
import { SallyportError } from '@sallyport/sdk';
import { withClient } from '../control/api-client.js';
import { ask, canAsk } from '../control/ask.js';
import { absolute, readIfPresent, usualClientConfig } from '../control/client-config.js';
import { type ClientOptions, clientSettings } from '../control/client-settings.js';
import { openSigner } from '../control/key-asking.js';
import { parseServerUrl } from '../control/server-url.js';
import { writeClientConfig } from '../control/write-client-config.js';
import { coloursFor } from '../terminal.js';

/** The options of `sallyport login`. */
export interface LoginOptions extends ClientOptions {
  readonly api?: string;
  readonly public?: string;
  readonly verify: boolean;
}

/**
 * `sallyport login`. The file is written in one step, and only after the server has answered. Errors: `client_config_invalid`,
 * `client_config_incomplete`, `signing_key_invalid`, and those of the server.
 */
export async function login(given: LoginOptions): Promise<number> {
  const target = targetFile(given);
  const { clientConfig: _, ...others } = given;
  // A file that is named is written, so it need not be there yet; what stands in it is the suggestion.
  const options = await complete((await readIfPresent(target)) === null ? others : { ...others, clientConfig: target });
  const settings = await clientSettings(options, environment());
  const address = settings.addressOf('admin-api');
  const identity = settings.identity();
  const servers = { admin_api: address.href, ...extraServer('api', given.api), ...extraServer('public', given.public) };
  if (given.verify) {
    const signer = await openSigner(settings);
    const authorities = await settings.readAuthorities();
    await withClient({ address, authorities, token: () => signer.tokenFor('admin-api') }, (client) => client.getMe());
  }
  await writeClientConfig(target, {
    servers,
    actor: identity.actor,
    namespace: identity.namespace,
    key: identity.key,
    ...(given.ca !== undefined && { ca: resolve(given.ca) }),
    ...(given.plaintext === true && { plaintext: true }),
  });
  const said = given.verify ? `${address.origin} knows ${identity.actor}.` : 'The server was not asked.';
  process.stderr.write(`${coloursFor(process.stderr).green(said)} Written: ${target}\n`);
  return 0;
}

function targetFile({ clientConfig }: LoginOptions): string {
  const named = clientConfig ?? process.env.SALLYPORT_CLIENT_CONFIG;
  return named === undefined || named === '' ? usualClientConfig() : resolve(named);
}

/** Asks for what is neither given nor known. Where nobody can be asked, what is missing is said by whoever needs it. */
async function complete(options: ClientOptions): Promise<ClientOptions> {
  if (!canAsk()) return options;
  const env = environment();
  const { config } = await clientSettings(options, env);
  const server = options.server ?? env.SALLYPORT_SERVER ?? (await askServer(config.server.admin_api?.href));
  const actor = options.actor ?? env.SALLYPORT_ACTOR ?? (await ask('Actor (external id)', config.actor ?? env.USER));
  const actorNamespace = options.actorNamespace ?? env.SALLYPORT_NAMESPACE ?? (await ask('Namespace of the actor', config.namespace ?? 'root'));
  const named = [options.privateKey, options.secretKey, env.SALLYPORT_PRIVATE_KEY, env.SALLYPORT_SECRET_KEY].some((path) => path !== undefined);
  if (named || config.secret_key !== undefined) return { ...options, server, actor, actorNamespace };
  const privateKey = await ask('Private key (OpenSSH or PEM)', config.private_key ?? absolute('~/.ssh/id_ed25519', '.'));
  return { ...options, server, actor, actorNamespace, privateKey };
}

async function askServer(suggestion: string | undefined): Promise<string> {
  for (;;) {
    const text = await ask('Address of the admin API', suggestion ?? 'http://127.0.0.1:8082');
    const parsed = parseServerUrl(text);
    if ('url' in parsed) return text;
    process.stderr.write(`It ${parsed.problem}.\n`);
  }
}

function extraServer(name: 'api' | 'public', text: string | undefined): Record<string, string> {
  if (text === undefined) return {};
  const parsed = parseServerUrl(text);
  if ('url' in parsed) return { [name]: parsed.url.href };
  throw new SallyportError('client_config_invalid', { detail: `The address for --${name} ${parsed.problem}.`, hint: 'Correct the address.' });
}

/** Without the name of the file, which has been looked at. */
function environment(): NodeJS.ProcessEnv {
  const { SALLYPORT_CLIENT_CONFIG: _, ...others } = process.env;
  return others;
}
