import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';

/** Runs a server until its standard input ends, and prints the URL when the server is ready. */
export const postgresProgram = resolve(import.meta.dirname, '../../../../../test/postgres/postgres-server.mjs');

/** A Postgres server on this machine, for whoever started it. */
export interface PostgresServer {
  /** To which the name of a database is added. */
  readonly url: string;
  /** Ends every connection, and resolves when the server and its data are gone. */
  stop(): Promise<void>;
}

/** Starts a server on a free port. It also stops, and takes its data with it, when this process dies. */
export async function startPostgres(): Promise<PostgresServer> {
  // In a group of its own, so that Ctrl-C reaches only this process, which is still using it.
  const child = spawn(process.execPath, [postgresProgram], { detached: true, stdio: 'pipe' });
  const closed = once(child, 'close');
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  for await (const url of createInterface({ input: child.stdout })) {
    child.stdout.resume();
    return {
      url,
      stop: async () => {
        child.stdin.end();
        await closed;
      },
    };
  }
  await closed;
  throw new Error(`Postgres does not start:\n${errors}`);
}
