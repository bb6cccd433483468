import type { BigIntStats } from 'node:fs';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { SallyportError } from '@sallyport/sdk';
import { abortable } from '../abortable.js';
import type { Material } from '../material.js';
import { decodeText, plainMaterial } from '../material.js';
import type { Source } from '../source.js';
import { errorCode, unavailable } from '../unavailable.js';
import { fileState, watchFile } from './file-watch.js';

/** Which file holds the secret. A relative path counts from the working directory at the time the source is made. */
export interface FileSourceOptions {
  readonly path: string;
}

const SIZE_LIMIT = 1024 * 1024;
const READ_ATTEMPTS = 5;

/**
 * The content of a regular UTF-8 file of at most 1 MiB, symbolic links followed; does not expire. `watch` reports in-place writes,
 * atomic renames and swapped links (as Kubernetes does). A fetch reads the file anew each time, and again when the file changed under it.
 */
export function fileSource({ path }: FileSourceOptions): Source {
  const absolute = resolve(path);
  return {
    type: 'file',
    description: `file ${path}`,
    // A file system that hangs holds the read, not the caller: nothing in Node can interrupt an open or a read.
    async fetch(signal: AbortSignal): Promise<Material> {
      signal.throwIfAborted();
      return await abortable(readMaterial(absolute), signal);
    },
    watch: (changed) => watchFile(absolute, changed),
  };
}

async function readMaterial(path: string): Promise<Material> {
  let handle: FileHandle | undefined;
  try {
    // Without O_NONBLOCK the opening of a FIFO would hold a thread of the pool until somebody writes to it.
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    return materialOf(await readStable(handle, path), path);
  } catch (error) {
    throw error instanceof SallyportError ? error : refusal(path, errorCode(error));
  } finally {
    await handle?.close();
  }
}

/** The bytes as they were while the file did not change: a writer that is in the middle of its work is not to be believed. */
async function readStable(handle: FileHandle, path: string): Promise<Buffer> {
  for (let attempt = 1; attempt <= READ_ATTEMPTS; attempt += 1) {
    const before = await handle.stat({ bigint: true });
    checkKind(before, path);
    const bytes = await readAll(handle, path);
    const after = await handle.stat({ bigint: true });
    if (fileState(before) === fileState(after)) return bytes;
  }
  throw unavailable(`The file ${path} keeps changing while it is read.`, 'Write the secret to a new file and rename that into place.');
}

function checkKind(stats: BigIntStats, path: string): void {
  if (stats.isDirectory()) throw unavailable(`${path} is a directory, not a file.`, 'Name the file inside the directory that holds the secret.');
  if (!stats.isFile()) throw unavailable(`${path} is not a regular file.`, 'Write the secret to a regular file, or use the process source.');
  if (stats.size > SIZE_LIMIT) throw tooLarge(path);
}

async function readAll(handle: FileHandle, path: string): Promise<Buffer> {
  const buffer = Buffer.alloc(SIZE_LIMIT + 1);
  let length = 0;
  for (;;) {
    const { bytesRead } = await handle.read(buffer, length, buffer.length - length, length);
    if (bytesRead === 0) return buffer.subarray(0, length);
    length += bytesRead;
    if (length > SIZE_LIMIT) throw tooLarge(path);
  }
}

function materialOf(bytes: Buffer, path: string): Material {
  const text = decodeText(bytes);
  if (text === null) throw unavailable(`The file ${path} is not UTF-8 text.`, 'Store the secret as text, for example in Base64.');
  const material = plainMaterial(text, null);
  if (material === null) throw unavailable(`The file ${path} is empty.`, 'Write the secret into the file.');
  return material;
}

function tooLarge(path: string): SallyportError {
  return unavailable(`The file ${path} is larger than 1 MiB.`, 'Name the file that holds the secret and nothing else.');
}

function refusal(path: string, code: string): SallyportError {
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return unavailable(`The file ${path} does not exist.`, 'Create the file, or correct the path of the source.');
    case 'EACCES':
    case 'EPERM':
      return unavailable(`The file ${path} may not be read.`, 'Let the user that Sallyport runs as read the file and enter its directories.');
    default:
      return unavailable(`The file ${path} cannot be read (${code}).`, 'Check the path and the file system.');
  }
}
