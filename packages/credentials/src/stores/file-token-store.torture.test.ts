import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TorturedPlace, tortureStore } from '../refresh/torture.test.support.js';
import { directoryTokenStore, fileTokenStore } from './file-token-store.js';
import type { TokenStore } from './token-store.js';

async function place(open: (folder: string) => TokenStore): Promise<TorturedPlace> {
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-tokens-'));
  return { open: () => open(folder), close: () => rm(folder, { recursive: true, force: true }) };
}

tortureStore('one file', () => place((folder) => fileTokenStore(join(folder, 'token'))));
tortureStore('a folder of files', () => place((folder) => directoryTokenStore(folder)));
