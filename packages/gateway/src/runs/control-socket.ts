import { createHash } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { chmod, lstat, mkdir, rm } from 'node:fs/promises';
import type { Server } from 'node:http';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { SallyportError } from '@sallyport/sdk';

/**
 * Where the gateway that runs with a configuration can be found by other programs of the same user: a socket in `directory`, named after the file,
 * whichever way it was spelled.
 */
export function controlSocketPath(directory: string, configPath: string): string {
  return join(directory, `${createHash('sha256').update(canonical(configPath)).digest('hex').slice(0, 16)}.sock`);
}

/**
 * Opens the socket (0600) for a server, in a directory (0700, made when missing) that only this user can enter: who can connect is who may register
 * runs. What a gateway left behind that did not stop in order is cleared away. Errors: `bind_failed`, also when another gateway has the socket.
 */
export async function listenOnControlSocket(server: Server, path: string): Promise<void> {
  try {
    await requirePrivateDirectory(dirname(path));
    if (await answers(path)) throw unusable('another gateway runs with the same configuration', 'Stop one of them, or give each its own file.');
    await rm(path, { force: true });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, () => {
        server.off('error', reject);
        resolve();
      });
    });
    await chmod(path, 0o600);
  } catch (error) {
    if (error instanceof SallyportError) throw error;
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason';
    throw unusable(
      `${path} cannot be opened (${reason})`,
      'Check that the directory is on a file system that has sockets, and that you own it.',
      error,
    );
  }
}

async function requirePrivateDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const stats = await lstat(directory);
  if (!stats.isDirectory() || stats.uid !== process.getuid?.() || (stats.mode & 0o077) !== 0) {
    throw unusable(`others could use the directory ${directory}`, `It has to be yours alone: chmod 700 ${directory}`);
  }
}

/** Whether somebody accepts connections there. */
async function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

function canonical(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

function unusable(why: string, hint: string, cause?: unknown): SallyportError {
  return new SallyportError('bind_failed', { detail: `Runs cannot join this gateway: ${why}.`, hint, cause });
}
