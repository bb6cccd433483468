import { join } from 'node:path';
import { freePort, start } from '../processes.mjs';
import { upstreamUrl } from '../upstream.mjs';
import { certificatesOf, reverseAccess, sidecarAccess } from './variant.mjs';

/** The standard-library Go proxies of `peers/go/proxy`, on one processor. @type {import('./variant.mjs').Variant} */
export const go = {
  name: 'go',
  title: 'Go',
  // Its plugin is a function of the same program: there is no other thread that it could be in.
  can: ({ plugin }) => plugin !== 'worker',
  missing: ({ goPrograms }) => (goPrograms === null ? 'go is not installed' : null),
  start: async (context, workload) => {
    const port = await freePort();
    const proxy = join(context.goPrograms ?? '', 'proxy');
    const { certificates, token, secret } = context;
    const env = { GOMAXPROCS: '1', BENCH_TOKEN: token, BENCH_SECRET: secret };
    const trust = certificates === null ? [] : ['-ca', certificates.ca];
    /** @param {string[]} args */
    const run = (args) => start('Go proxy', [proxy, '-listen', `127.0.0.1:${port}`, ...trust, ...args], { cores: context.cores.proxy, env });

    if (workload.door === 'intercept') {
      return {
        server: run(['-mode', 'mitm', '-ca-key', certificatesOf(context).caKey]),
        access: {
          url: upstreamUrl(context, workload),
          headers: {},
          connect: { host: '127.0.0.1', port },
          token,
          caFile: () => certificatesOf(context).ca,
        },
        logs: [],
      };
    }
    if (workload.door === 'sidecar') {
      const allowed = new URL(upstreamUrl(context, workload)).host;
      return {
        server: run(['-mode', 'sidecar', '-upstream', allowed, '-plugin', workload.plugin ?? 'none']),
        access: sidecarAccess(context, workload, port),
        logs: [],
      };
    }
    const front = workload.frontTls ? ['-cert', certificatesOf(context).cert, '-key', certificatesOf(context).key] : [];
    return {
      server: run(['-mode', 'reverse', '-upstream', new URL(upstreamUrl(context, workload)).origin, ...front]),
      access: reverseAccess(context, workload, port),
      logs: [],
    };
  },
};
