import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { errorCode } from '@sallyport/credentials';
import { SallyportError } from '@sallyport/sdk';
import { parse } from 'yaml';
import { type ClientOptions, clientSettings } from '../control/client-settings.js';
import { openSigner } from '../control/key-asking.js';
import { type OutputFormat, printOne } from '../control/output.js';
import type { Service } from '../control/services.js';
import { verifyWithPublicKey } from '../control/verify-token.js';

/** The options of `sallyport sign-jwt`. */
export interface SignJwtOptions extends ClientOptions {
  /** In seconds. */
  readonly expiresIn: number;
  readonly service: readonly Service[];
  readonly permissionsFile?: string;
  readonly singleUse?: true;
}

/** The options of `sallyport verify-jwt`. */
export interface VerifyJwtOptions {
  readonly publicKey: string;
  readonly service?: Service;
  readonly output: OutputFormat;
}

/** Servers accept no longer life of a token that an actor signs for itself, unless they are configured to. */
const ACCEPTED_LIFE = 3600;

/** `sallyport sign-jwt`. Errors: those of settings and key, `permission_invalid`, `token_request_invalid`. */
export async function signJwt(options: SignJwtOptions): Promise<number> {
  const { expiresIn, service, permissionsFile, singleUse } = options;
  const settings = await clientSettings(options);
  const permissions = permissionsFile === undefined ? undefined : await readPermissions(permissionsFile);
  const signer = await openSigner(settings);
  const { actor, issuer } = settings.identity();
  if (expiresIn > ACCEPTED_LIFE && actor === issuer) {
    process.stderr.write('A server refuses a token that lives longer than an hour, unless it is configured to accept it.\n');
  }
  const token = await signer.sign({
    audiences: service,
    lifetime: expiresIn,
    ...(singleUse === true && { singleUse }),
    ...(permissions !== undefined && { permissions }),
  });
  process.stdout.write(`${token.reveal()}\n`);
  return 0;
}

/** `sallyport verify-jwt`. Errors: `actor_key_invalid`, `token_invalid` and the others of a token that does not hold. */
export async function verifyJwt(given: string, { publicKey, service, output }: VerifyJwtOptions): Promise<number> {
  const token = (given === '-' ? await text(process.stdin) : given).trim();
  printOne(await verifyWithPublicKey(token, await readText(publicKey, 'actor_key_invalid'), service), output);
  return 0;
}

/** `sallyport sign-marketplace-login-url`. Errors: those of settings and key. */
export async function signMarketplaceLoginUrl(options: ClientOptions): Promise<number> {
  const settings = await clientSettings(options);
  const { marketplace } = settings.config.server;
  if (marketplace === undefined) {
    throw new SallyportError('client_config_incomplete', {
      detail: 'It is not said where the marketplace is.',
      hint: 'Write `server: { marketplace: https://… }` into the client configuration.',
    });
  }
  const signer = await openSigner(settings);
  const url = new URL(marketplace);
  url.searchParams.set('auth_token', (await signer.sign({ audiences: ['public'], lifetime: ACCEPTED_LIFE, singleUse: true })).reveal());
  process.stdout.write(`${url.href}\n`);
  return 0;
}

/** The list of the file, read as the server reads it: what it would refuse is found here. */
async function readPermissions(path: string): Promise<unknown> {
  const content = await readText(path, 'token_request_invalid');
  let list: unknown;
  try {
    list = parse(content, { maxAliasCount: 0 });
  } catch (cause) {
    throw new SallyportError('token_request_invalid', {
      detail: `${path} is neither JSON nor YAML.`,
      hint: 'Write a list of permissions into it.',
      cause,
    });
  }
  const { parsePermissions } = await import('@sallyport/control');
  return parsePermissions(list);
}

async function readText(path: string, code: 'token_request_invalid' | 'actor_key_invalid'): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new SallyportError(code, { detail: `${path} cannot be read (${errorCode(error)}).`, hint: 'Check the path.', cause: error });
  }
}
