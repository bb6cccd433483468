import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, start } from '../processes.mjs';
import { temporaryFolders } from '../upstream.mjs';
import { certificatesOf, reverseAccess } from './variant.mjs';

/**
 * nginx with one worker, a kept upstream pool, a token check, header injection and a JSON access log.
 * Its body buffers are 64 KB: with the default 4 or 8 KB, large plain bodies cost it more than twice the CPU.
 * @type {import('./variant.mjs').Variant}
 */
export const nginx = {
  name: 'nginx',
  title: 'nginx',
  can: ({ door }) => door === 'reverse',
  missing: ({ tools }) => (tools.nginx === null ? 'nginx is not installed' : null),
  start: async (context, workload, dir) => {
    const port = await freePort();
    const config = join(dir, 'nginx.conf');
    const log = join(dir, 'access.log');
    writeFileSync(config, configuration(context, workload, dir, port, log));
    const command = [context.tools.nginx ?? 'nginx', '-c', config, '-e', `${dir}/error.log`];
    return {
      server: start('nginx', command, { cores: context.cores.proxy }),
      access: reverseAccess(context, workload, port),
      logs: [log],
    };
  },
};

/**
 * @param {import('../upstream.mjs').Context} context
 * @param {import('../workloads.mjs').Workload} workload
 * @param {string} dir
 * @param {number} port
 * @param {string} log
 */
function configuration(context, { frontTls, upstreamTls }, dir, port, log) {
  const { upstream, token, secret } = context;
  const front = frontTls
    ? `listen 127.0.0.1:${port} ssl backlog=4096; ssl_certificate ${certificatesOf(context).cert}; ssl_certificate_key ${certificatesOf(context).key};
    ssl_protocols TLSv1.2 TLSv1.3;`
    : `listen 127.0.0.1:${port} backlog=4096;`;
  const behind = upstreamTls
    ? `proxy_pass https://pool; proxy_ssl_verify on; proxy_ssl_trusted_certificate ${certificatesOf(context).ca};
      proxy_ssl_name localhost; proxy_ssl_server_name on; proxy_ssl_protocols TLSv1.2 TLSv1.3; proxy_ssl_session_reuse on;`
    : 'proxy_pass http://pool;';
  return `daemon off; master_process off; worker_processes 1;
pid ${dir}/nginx.pid; error_log ${dir}/error.log warn;
events { worker_connections 24000; }
http {
  ${temporaryFolders(dir, 'nginx')}
  log_format json escape=json '{"time":"$time_iso8601","id":"$request_id","caller":"bench","client":"$remote_addr","method":"$request_method",'
    '"host":"$host","path":"$uri","status":$status,"bytes_in":$request_length,"bytes_out":$body_bytes_sent,"seconds":$request_time,'
    '"upstream":"$upstream_addr","upstream_status":"$upstream_status","upstream_seconds":"$upstream_response_time"}';
  access_log ${log} json buffer=64k flush=1s;
  keepalive_timeout 1h; keepalive_requests 1000000000;
  upstream pool {
    server 127.0.0.1:${upstreamTls ? upstream.tls : upstream.plain};
    keepalive 256; keepalive_requests 1000000000; keepalive_timeout 1h;
  }
  server {
    ${front}
    location / {
      if ($http_x_sallyport_token != "${token}") { return 407; }
      ${behind}
      proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host localhost;
      proxy_set_header X-Sallyport-Token ""; proxy_set_header Authorization "Bearer ${secret}";
      proxy_buffers 8 64k; proxy_busy_buffers_size 128k; proxy_max_temp_file_size 0;
    }
  }
}
`;
}
