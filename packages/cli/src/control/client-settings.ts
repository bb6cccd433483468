import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { errorCode } from '@sallyport/credentials';
import { SallyportError } from '@sallyport/sdk';
import { absolute, type ClientConfig, readClientConfig } from './client-config.js';
import { isLoopback, parseServerUrl } from './server-url.js';
import { type Service, serverNameOf, usualAddresses } from './services.js';

/** What the command line says about whom to call and as whom; see `withClientOptions`. */
export interface ClientOptions {
  readonly clientConfig?: string;
  readonly server?: string;
  readonly actorNamespace?: string;
  readonly actor?: string;
  readonly privateKey?: string;
  readonly secretKey?: string;
  readonly ca?: string;
  readonly plaintext?: true;
}

/** Who signs, and the file with the key to do so. */
export interface Identity {
  readonly actor: string;
  readonly namespace: string;
  /** The `iss` of tokens: the actor itself, unless the key is that of a host that speaks for its actors. */
  readonly issuer: string;
  readonly key: { readonly kind: 'private' | 'secret'; readonly path: string };
  /** The `kid` of tokens; that of a private key is its thumbprint when nothing else is said. */
  readonly keyId: string | undefined;
}

/** Command line, environment and client configuration as one: the first of these that says something counts. */
export interface ClientSettings {
  readonly config: ClientConfig;
  /** The address of a service. A token is never sent in the clear beyond this machine unless `plaintext` allows it: `client_config_invalid`. */
  addressOf(service: Service): URL;
  /** Errors: `client_config_incomplete` when it is not said who asks or with which key. */
  identity(): Identity;
  /** The authorities to trust instead of the public ones, as PEM. Errors: `client_config_invalid`. */
  readAuthorities(): Promise<string | undefined>;
}

/** Puts the settings together. Errors: `client_config_invalid`. */
export async function clientSettings(options: ClientOptions, env: NodeJS.ProcessEnv = process.env): Promise<ClientSettings> {
  const config = await readClientConfig(options.clientConfig, env);
  const said = (option: string | undefined, variable: string, key: string | undefined): string | undefined =>
    option ?? (env[variable] === '' ? undefined : env[variable]) ?? key;
  const server = said(options.server, 'SALLYPORT_SERVER', undefined);
  const ca = said(options.ca === undefined ? undefined : resolve(options.ca), 'SALLYPORT_SERVER_CA', config.ca);
  const plaintext = options.plaintext ?? config.plaintext ?? false;

  return {
    config,
    addressOf(service) {
      const url = server === undefined ? (config.server[serverNameOf(service)] ?? new URL(usualAddresses[service])) : serverOf(server);
      if (url.protocol === 'https:' || isLoopback(url) || plaintext) return url;
      throw new SallyportError('client_config_invalid', {
        detail: `${url.href} is not encrypted, and a token would be sent there in the clear.`,
        hint: 'Use the https:// address; in a network that you trust, --plaintext (or `plaintext: true`) allows it.',
      });
    },
    identity() {
      const actor = said(options.actor, 'SALLYPORT_ACTOR', config.actor);
      const key = keyOf(options, config, env);
      if (actor === undefined || key === undefined) {
        throw new SallyportError('client_config_incomplete', {
          detail: actor === undefined ? 'It is not said which actor is asking.' : 'It is not said which key signs for the actor.',
        });
      }
      const namespace = said(options.actorNamespace, 'SALLYPORT_NAMESPACE', config.namespace) ?? 'root';
      return { actor, namespace, issuer: config.issuer ?? actor, key, keyId: config.key_id };
    },
    async readAuthorities() {
      if (ca === undefined) return undefined;
      try {
        return await readFile(ca, 'utf8');
      } catch (error) {
        throw new SallyportError('client_config_invalid', { detail: `The authority ${ca} cannot be read (${errorCode(error)}).`, cause: error });
      }
    },
  };
}

function serverOf(text: string): URL {
  const parsed = parseServerUrl(text);
  if ('url' in parsed) return parsed.url;
  throw new SallyportError('client_config_invalid', {
    detail: `The server ${JSON.stringify(text)} ${parsed.problem}.`,
    hint: 'Correct the address.',
  });
}

/** A key that is named further up hides both kinds below it. */
function keyOf(options: ClientOptions, config: ClientConfig, env: NodeJS.ProcessEnv): Identity['key'] | undefined {
  const levels = [
    [options.privateKey, options.secretKey, 'On the command line'],
    [env.SALLYPORT_PRIVATE_KEY, env.SALLYPORT_SECRET_KEY, 'In the environment'],
    [config.private_key, config.secret_key, 'In the client configuration'],
  ] as const;
  for (const [privateKey = '', secretKey = '', where] of levels) {
    if (privateKey !== '' && secretKey !== '') {
      throw new SallyportError('client_config_invalid', { detail: `${where} a private and a secret key are named.`, hint: 'Name one of them.' });
    }
    if (privateKey !== '') return { kind: 'private', path: absolute(privateKey, '.') };
    if (secretKey !== '') return { kind: 'secret', path: absolute(secretKey, '.') };
  }
  return undefined;
}
