import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errorCode, placeFile } from '@sallyport/credentials';
import { SallyportError } from '@sallyport/sdk';
import { isMap, isScalar, type Pair, parseDocument, type Scalar, YAMLMap } from 'yaml';
import { readIfPresent, todaysSpelling } from './client-config.js';
import type { Identity } from './client-settings.js';

/** What `sallyport login` has found out. */
export interface LoginRecord {
  readonly servers: Readonly<Record<string, string>>;
  readonly actor: string;
  readonly namespace: string;
  readonly key: Identity['key'];
  readonly ca?: string;
  readonly plaintext?: true;
}

/**
 * Writes it into a client configuration (0600, in one step); what else stands there stays, comments too. The keys it sets are written in the spelling of
 * today. Errors: `client_config_invalid`.
 */
export async function writeClientConfig(file: string, record: LoginRecord): Promise<void> {
  const document = parseDocument(
    (await readIfPresent(file)) ?? '# Who asks the control plane, with which key, and where it is. The key itself stays where it is.\n',
  );
  const root = isMap(document.contents) ? document.contents : new YAMLMap(document.schema);
  document.contents = root as typeof document.contents;
  const { servers, key, ...others } = record;
  const set = (mapping: YAMLMap, name: string, value: string | boolean): void => {
    const [first, ...others] = pairsOf(mapping, name);
    for (const { key: other } of others) mapping.delete(other);
    // In place, so that the comments around it stay.
    if (first === undefined) mapping.set(name, value);
    else {
      first.key.value = name;
      if (isScalar(first.value)) first.value.value = value;
      else first.value = document.createNode(value);
    }
  };
  const [server] = pairsOf(root, 'server').map(({ value }) => value);
  const known = isMap(server) ? server : new YAMLMap(document.schema);
  if (!isMap(server)) root.set('server', known);
  for (const [name, value] of Object.entries(servers)) set(known, name, value.replace(/\/$/, ''));
  for (const [name, value] of Object.entries(others)) set(root, name, value);
  for (const { key: other } of pairsOf(root, key.kind === 'private' ? 'secret_key' : 'private_key')) root.delete(other);
  set(root, `${key.kind}_key`, key.path);
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    await placeFile(file, document.toString(), { replace: true });
  } catch (error) {
    throw new SallyportError('client_config_invalid', {
      detail: `${file} cannot be written (${errorCode(error)}).`,
      hint: 'Check the path.',
      cause: error,
    });
  }
}

/** The pairs of a mapping that say this, in whatever spelling. */
function pairsOf(mapping: YAMLMap, name: string): Pair<Scalar<string>, unknown>[] {
  return mapping.items.filter(
    (pair): pair is Pair<Scalar<string>, unknown> =>
      isScalar(pair.key) && typeof pair.key.value === 'string' && todaysSpelling(pair.key.value) === name,
  );
}
