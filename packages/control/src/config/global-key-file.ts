import { randomBytes } from 'node:crypto';
import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errorCode, ifPresent, placeFile } from '@sallyport/credentials';
import { SallyportError } from '@sallyport/sdk';

const KEY_BYTES = 32;
const BITS_OF_OTHERS = 0o077;

/**
 * Sees to the file of a global key that nobody has configured. It is made only where `mayMake` says that nothing has been encrypted yet: 32 random bytes
 * as base64url, readable for its owner alone, complete and on disk before it has its name. What is there is never replaced; processes that start
 * together get the same. Throws `global_key_missing` when it is not there and may not be made, `global_key_exposed` when others can read it.
 */
export async function makeKeyFile(path: string, mayMake: () => Promise<boolean>): Promise<void> {
  if ((await ifPresent(stat(path))) === null) {
    if (!(await mayMake())) {
      throw new SallyportError('global_key_missing', { detail: `The key file ${path} is gone, and the database was encrypted with it.` });
    }
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    // Another process that starts now may have been faster, and its key is the key.
    await placeFile(path, `${randomBytes(KEY_BYTES).toString('base64url')}\n`, { replace: false }).catch((error: unknown) => {
      if (errorCode(error) !== 'EEXIST') throw error;
    });
  }
  // Windows has no such bits: there the mode says 0666 for every file.
  if (process.platform !== 'win32' && ((await stat(path)).mode & BITS_OF_OTHERS) !== 0) {
    throw new SallyportError('global_key_exposed', { detail: `The key file ${path} can be read by others than its owner.` });
  }
}
