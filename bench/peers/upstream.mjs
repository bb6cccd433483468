// The upstream where nginx is not installed: two processes of node:http and node:https.
import cluster from 'node:cluster';
import { createReadStream, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { join } from 'node:path';

const { BENCH_SECRET, BENCH_FILES = '', BENCH_PLAIN, BENCH_TLS, BENCH_CERT, BENCH_KEY } = process.env;
const small = Buffer.alloc(1024, 'x');
const files = new Map(['/1m', '/100m'].map((path) => [path, join(BENCH_FILES, path)]));

/** @type {import('node:http').RequestListener} */
function answer(request, response) {
  if (request.url !== '/open' && request.headers.authorization !== `Bearer ${BENCH_SECRET}`) {
    response.writeHead(401, { 'Content-Length': 0 }).end();
    return;
  }
  const file = files.get(request.url ?? '');
  if (file === undefined) {
    response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': small.length }).end(small);
    return;
  }
  response.writeHead(200, { 'Content-Type': 'application/octet-stream', 'Content-Length': statSync(file).size });
  createReadStream(file, { highWaterMark: 1 << 20 }).pipe(response);
}

/** @param {import('node:http').Server | import('node:https').Server} server @param {string | undefined} port */
function listen(server, port) {
  server.keepAliveTimeout = 3_600_000;
  server.listen({ host: '127.0.0.1', port: Number(port), backlog: 4096 });
}

if (cluster.isPrimary) {
  cluster.schedulingPolicy = cluster.SCHED_RR;
  for (let i = 0; i < 2; i++) cluster.fork();
  process.on('SIGTERM', () => {
    for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill('SIGTERM');
    process.exit(0);
  });
} else {
  listen(createServer(answer), BENCH_PLAIN);
  if (BENCH_CERT !== undefined && BENCH_KEY !== undefined) {
    listen(createTlsServer({ cert: readFileSync(BENCH_CERT), key: readFileSync(BENCH_KEY) }, answer), BENCH_TLS);
  }
}
