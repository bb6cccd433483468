import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openFileLimit } from '../environment.mjs';
import { freePort, start } from '../processes.mjs';
import { certificatesOf, reverseAccess } from './variant.mjs';

/**
 * haproxy with one thread, a kept upstream pool, a token check, header injection and a JSON log line per request.
 * @type {import('./variant.mjs').Variant}
 */
export const haproxy = {
  name: 'haproxy',
  title: 'haproxy',
  can: ({ door }) => door === 'reverse',
  missing: ({ tools }) => (tools.haproxy === null ? 'haproxy is not installed' : null),
  start: async (context, workload, dir) => {
    const port = await freePort();
    const config = join(dir, 'haproxy.cfg');
    const log = join(dir, 'haproxy.log');
    writeFileSync(config, configuration(context, workload, port));
    const out = openSync(log, 'a');
    const server = start('haproxy', [context.tools.haproxy ?? 'haproxy', '-db', '-f', config], { cores: context.cores.proxy, stdio: out });
    closeSync(out);
    return { server, access: reverseAccess(context, workload, port), logs: [log] };
  },
};

const logFormat = [
  '{"time":"%tr","id":"%rt","caller":"bench","client":"%ci","method":"%HM","path":"%HP",',
  '"status":%ST,"bytes_in":%U,"bytes_out":%B,"ms":%Ta,"upstream":"%si:%sp"}',
].join('');

/**
 * @param {import('../upstream.mjs').Context} context
 * @param {import('../workloads.mjs').Workload} workload
 * @param {number} port
 */
function configuration(context, { frontTls, upstreamTls }, port) {
  const { upstream, token, secret } = context;
  const front = frontTls ? ` ssl crt ${certificatesOf(context).pair} alpn http/1.1` : '';
  const behind = upstreamTls ? ` ssl verify required ca-file ${certificatesOf(context).ca} sni str(localhost) verifyhost localhost` : '';
  // Its log goes to stdout, which is a file here; asking syslog would put a second process into the measurement.
  return `global
  nbthread 1
  maxconn 11000
  ulimit-n ${Math.min(openFileLimit(), 24_000)}
  no strict-limits
  log stdout format raw local0

defaults
  mode http
  log global
  option http-keep-alive
  timeout connect 10s
  timeout client 1h
  timeout server 1h
  timeout http-keep-alive 1h

frontend front
  bind 127.0.0.1:${port}${front}
  log-format '${logFormat}'
  http-request deny deny_status 403 unless { req.hdr(X-Sallyport-Token) -m str ${token} }
  http-request del-header X-Sallyport-Token
  http-request set-header Authorization "Bearer ${secret}"
  default_backend back

backend back
  http-reuse always
  server one 127.0.0.1:${upstreamTls ? upstream.tls : upstream.plain}${behind} pool-max-conn -1 pool-purge-delay 1h
`;
}
