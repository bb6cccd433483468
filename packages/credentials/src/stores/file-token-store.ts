import { join, resolve } from 'node:path';
import { SallyportError } from '@sallyport/sdk';
import { abortable } from '../abortable.js';
import { asFileFailure, ensurePrivateFolder, fileFailure, isPrivateFolder } from './file-access.js';
import { type RecordPlace, readVersion, replaceVersion } from './file-versions.js';
import type { TokenStore } from './token-store.js';

const KEY = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/**
 * Keeps one record in a file, whatever the key. Also reads a file that holds nothing but the text of a token. The folder `PATH.versions` beside it
 * belongs to it and moves with it. Files are 0600 and folders 0700; a file that others can use, a symbolic link and a file of another user are refused.
 * Safe for any number of processes that see the same file system. A relative path counts from the working directory at the time the store is made.
 */
export function fileTokenStore(path: string): TokenStore {
  const file = resolve(path);
  const place = { file, versions: `${file}.versions` };
  return storeOf(`file ${path}`, async () => place);
}

/**
 * Keeps one record per key: in the file `DIR/KEY`, with its versions in `DIR/.versions/KEY`, each as `fileTokenStore` does. The folder itself has to be
 * private too. A key begins with a letter or a digit and goes on with up to 127 of these, `.`, `_` and `-`, so that none leads out of the folder; every
 * other key is a `token_store_failed` error. On a file system that does not tell upper from lower case, keys may not differ in case only.
 */
export function directoryTokenStore(dir: string): TokenStore {
  const folder = resolve(dir);

  async function placeOf(key: string, write: boolean): Promise<RecordPlace> {
    if (!KEY.test(key)) {
      const shown = JSON.stringify(key.slice(0, 64));
      throw fileFailure(
        folder,
        `cannot keep a token under the key ${shown}`,
        'Use 1 to 128 letters, digits and . _ - and begin with a letter or a digit.',
      );
    }
    const versions = join(folder, '.versions');
    try {
      if (write) await ensurePrivateFolder(versions);
      await isPrivateFolder(folder);
    } catch (error) {
      throw asFileFailure(folder, error);
    }
    return { file: join(folder, key), versions: join(versions, key) };
  }

  return storeOf(`files in ${dir}`, placeOf);
}

function storeOf(description: string, placeOf: (key: string, write: boolean) => Promise<RecordPlace>): TokenStore {
  return {
    description,
    // A file system that hangs holds the work, not the caller: nothing in Node can interrupt it.
    async read(key, signal) {
      signal.throwIfAborted();
      const reading = placeOf(key, false).then(readVersion);
      const stored = await abortable(reading, signal);
      if (stored === null)
        throw new SallyportError('token_not_found', { detail: `${description} has no token for ${JSON.stringify(key.slice(0, 64))}.` });
      return stored;
    },
    async replace(key, expected, record, signal) {
      signal.throwIfAborted();
      const writing = placeOf(key, true).then((place) => replaceVersion(place, expected, record));
      return await abortable(writing, signal);
    },
  };
}
