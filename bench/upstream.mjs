import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { benchDir } from './environment.mjs';
import { waitUntilRight } from './probe.mjs';
import { freePort, start } from './processes.mjs';

/**
 * Where the upstream listens.
 * @typedef {{ plain: number, tls: number, program: 'nginx' | 'node' }} Upstream
 */

/**
 * What every variant is started with.
 * @typedef {object} Context
 * @property {string} dir folder of this run
 * @property {import('./environment.mjs').Tools} tools
 * @property {{ proxy: string | null, load: string | null }} cores
 * @property {string | null} goPrograms folder of the built Go peers
 * @property {import('./certificates.mjs').Certificates | null} certificates
 * @property {string} token what callers prove themselves with
 * @property {string} secret what the upstream demands as bearer token
 * @property {Upstream} upstream
 */

/** Address of the upstream for a workload. @param {Context} context @param {import('./workloads.mjs').Workload} workload */
export function upstreamUrl({ upstream }, { upstreamTls, path }) {
  return upstreamTls ? `https://localhost:${upstream.tls}${path}` : `http://127.0.0.1:${upstream.plain}${path}`;
}

/**
 * Starts the upstream: 1 KB from memory, 1 MB and 100 MB from files in the run's folder. It answers 401 to a request
 * without the secret, so a proxy that does not inject cannot score. Only /open, the same 1 KB, is for everybody: it is what a proxy without any
 * credential is measured with.
 * @param {Omit<Context, 'upstream'>} context
 * @returns {Promise<Upstream>}
 */
export async function startUpstream(context) {
  const files = join(context.dir, 'files');
  mkdirSync(files);
  writeFileSync(join(files, '1m'), Buffer.alloc(1_000_000, 'x'));
  writeFileSync(join(files, '100m'), Buffer.alloc(100_000_000, 'x'));
  const plain = await freePort();
  const tls = await freePort();
  const started = context.tools.nginx === null ? startNode(context, files, plain, tls) : startNginx(context, context.tools.nginx, files, plain, tls);
  const headers = { Authorization: `Bearer ${context.secret}` };
  const access = { url: `http://127.0.0.1:${plain}/1k`, headers, connect: null, token: '', caFile: () => null };
  await waitUntilRight(access, 1024, started);
  return { plain, tls, program: context.tools.nginx === null ? 'node' : 'nginx' };
}

/** @param {Omit<Context, 'upstream'>} context @param {string} nginx @param {string} files @param {number} plain @param {number} tls */
function startNginx(context, nginx, files, plain, tls) {
  const { certificates, secret, dir } = context;
  const config = join(dir, 'upstream.conf');
  // One TLS 1.3 suite, so that every variant does the same arithmetic on large bodies.
  const tlsServer =
    certificates === null
      ? ''
      : `listen 127.0.0.1:${tls} ssl backlog=4096;
    ssl_certificate ${certificates.cert};
    ssl_certificate_key ${certificates.key};
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
    ssl_session_cache shared:s:1m;`;
  writeFileSync(
    config,
    `daemon off; master_process off; worker_processes 1;
pid ${dir}/upstream.pid; error_log ${dir}/upstream-error.log warn;
events { worker_connections 16384; }
http {
  access_log off; sendfile on; tcp_nopush on; keepalive_timeout 1h; keepalive_requests 1000000000;
  ${temporaryFolders(dir, 'upstream')}
  open_file_cache max=16;
  map $http_authorization $knows { default 0; "Bearer ${secret}" 1; }
  map $uri $known { default $knows; /open 1; }
  server {
    listen 127.0.0.1:${plain} backlog=4096;
    ${tlsServer}
    root ${files}; default_type application/octet-stream;
    if ($known = 0) { return 401 "the secret is missing\\n"; }
    location = /1k { default_type application/json; return 200 "${'x'.repeat(1024)}"; }
    location = /open { default_type application/json; return 200 "${'x'.repeat(1024)}"; }
  }
}
`,
  );
  return start('upstream nginx', [nginx, '-c', config, '-e', `${dir}/upstream-error.log`], { cores: context.cores.load });
}

/** @param {Omit<Context, 'upstream'>} context @param {string} files @param {number} plain @param {number} tls */
function startNode(context, files, plain, tls) {
  const { certificates, secret } = context;
  const env = { BENCH_SECRET: secret, BENCH_FILES: files, BENCH_PLAIN: String(plain), BENCH_TLS: String(tls) };
  const withTls = certificates === null ? {} : { BENCH_CERT: certificates.cert, BENCH_KEY: certificates.key };
  return start('upstream node', [process.execPath, join(benchDir, 'peers', 'upstream.mjs')], {
    cores: context.cores.load,
    env: { ...env, ...withTls },
  });
}

/** nginx makes its five temporary folders at start, by default where only root may. @param {string} dir @param {string} name */
export function temporaryFolders(dir, name) {
  return ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${dir}/${name}-${kind};`).join(' ');
}
