import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { benchDir, repositoryDir } from '../environment.mjs';
import { freePort, start } from '../processes.mjs';
import { upstreamUrl } from '../upstream.mjs';
import { certificatesOf, sidecarAccess } from './variant.mjs';

const program = join(repositoryDir, 'packages', 'cli', 'bin', 'sallyport.mjs');
const built = join(repositoryDir, 'packages', 'cli', 'dist');

/**
 * Sallyport as a user runs it, with everything on: identity, a policy of 100 rules, injection, event log, metrics.
 * The reverse and sidecar workloads go through the sidecar door, the intercepted ones through the forward door.
 * @type {import('./variant.mjs').Variant}
 */
export const sallyport = {
  name: 'sallyport',
  title: 'Sallyport',
  can: () => true,
  missing: () => (existsSync(program) && existsSync(built) ? null : 'Sallyport is not built. Build it: npm run build'),
  start: async (context, workload, dir) => {
    const ports = { forward: await freePort(), sidecar: await freePort(), ops: await freePort() };
    const config = join(dir, 'sallyport.yaml');
    const log = join(dir, 'events.log');
    const authority = join(dir, 'authority');
    mkdirSync(authority, { mode: 0o700 });
    // JSON is YAML, and needs no writer.
    writeFileSync(config, JSON.stringify(configuration(context, workload, ports, authority, log), null, 2), { mode: 0o600 });
    const server = start('Sallyport', [process.execPath, program, 'serve', '--config', config], { cores: context.cores.proxy });
    return { server, access: access(context, workload, ports, authority), logs: [log] };
  },
};

/**
 * The one place that knows Sallyport's configuration.
 * @param {import('../upstream.mjs').Context} context
 * @param {import('../workloads.mjs').Workload} workload
 * @param {{ forward: number, sidecar: number, ops: number }} ports
 * @param {string} authority
 * @param {string} log
 */
function configuration(context, workload, ports, authority, log) {
  const { certificates, secret, token } = context;
  if (workload.door === 'sidecar') return withPlugin(context, workload, ports, authority, log);
  const tls = workload.frontTls ? { tls: { cert: certificatesOf(context).cert, key: certificatesOf(context).key } } : {};
  const fillers = Array.from({ length: 98 }, (_, i) => `allow api-${i}.example.com GET,POST /v1/**`);
  return {
    gateway: {
      listeners: {
        forward: { host: '127.0.0.1', port: ports.forward },
        sidecar: { host: '127.0.0.1', port: ports.sidecar, insecure_targets: true, normalize_errors: false, ...tls },
        ops: { host: '127.0.0.1', port: ports.ops },
      },
      authority: { dir: authority },
      policy: { mode: 'strict', rules: [...fillers, 'allow 127.0.0.1:* * /**', 'allow localhost:* * /** to 127.0.0.0/8'] },
      credentials: {
        bench: {
          source: { type: 'static', value: secret },
          bind: [{ hosts: ['127.0.0.1:*', 'localhost:*'], place: { header: 'Authorization', format: 'Bearer {secret}' }, plaintext: true }],
        },
      },
      callers: { bench: { token, credentials: ['bench'] } },
      ...(certificates === null ? {} : { upstream: { ca: [certificates.ca] } }),
      log: { file: log },
    },
  };
}

/**
 * The sidecar as a platform calls it: an allow-list of 100 hosts in the place of rules, and a plugin in that of credentials.
 * @param {import('../upstream.mjs').Context} context
 * @param {import('../workloads.mjs').Workload} workload
 * @param {{ sidecar: number, ops: number }} ports
 * @param {string} authority
 * @param {string} log
 */
function withPlugin(context, workload, ports, authority, log) {
  const { plugin } = workload;
  const fillers = Array.from({ length: 99 }, (_, i) => [`api-${i}.example.com`, ['/v1/**']]);
  const module = join(benchDir, 'peers', 'plugins', `${plugin === 'slow' ? 'slow' : 'fast'}.mjs`);
  const isolation = plugin === 'worker' ? 'worker' : 'inline';
  return {
    gateway: {
      listeners: {
        sidecar: { host: '127.0.0.1', port: ports.sidecar, insecure_targets: true },
        ops: { host: '127.0.0.1', port: ports.ops },
      },
      authority: { dir: authority },
      policy: { mode: 'strict', allow_list: { ...Object.fromEntries(fillers), [new URL(upstreamUrl(context, workload)).host]: ['/**'] } },
      ...(plugin === 'none' ? {} : { plugin: { module, isolation, options: { secret: context.secret } } }),
      callers: { bench: { token: context.token, credentials: [] } },
      log: { file: log },
    },
  };
}

/**
 * @param {import('../upstream.mjs').Context} context
 * @param {import('../workloads.mjs').Workload} workload
 * @param {{ forward: number, sidecar: number }} ports
 * @param {string} authority
 * @returns {import('../probe.mjs').Access}
 */
function access(context, workload, ports, authority) {
  const { token } = context;
  if (workload.door === 'sidecar') return sidecarAccess(context, workload, ports.sidecar);
  if (workload.door === 'intercept') {
    const connect = { host: '127.0.0.1', port: ports.forward };
    return { url: upstreamUrl(context, workload), headers: {}, connect, token, caFile: () => authorityCertificate(authority) };
  }
  return {
    url: workload.frontTls ? `https://localhost:${ports.sidecar}/proxy` : `http://127.0.0.1:${ports.sidecar}/proxy`,
    headers: { 'X-Connect-Target-URL': upstreamUrl(context, workload), 'X-Sallyport-Token': token },
    connect: null,
    token,
    caFile: () => context.certificates?.ca ?? null,
  };
}

/** The certificate that the gateway made at its first start; null while there is none. @param {string} dir */
function authorityCertificate(dir) {
  const files = readdirSync(dir).map((name) => join(dir, name));
  return files.find((file) => /\.(crt|pem)$/.test(file) && readFileSync(file, 'utf8').includes('BEGIN CERTIFICATE')) ?? null;
}
