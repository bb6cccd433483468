import { upstreamUrl } from '../upstream.mjs';

/**
 * No proxy: what the client, the upstream and the kernel leave to be had. The client itself sends the secret.
 * @type {import('./variant.mjs').Variant}
 */
export const direct = {
  name: 'direct',
  title: 'direct',
  can: ({ kind }) => kind !== 'idle' && kind !== 'start',
  missing: () => null,
  start: async (context, workload) => ({
    server: null,
    access: {
      // With TLS on one side only, the direct connection speaks it too: it meets the same upstream.
      url: upstreamUrl(context, workload),
      headers: { Authorization: `Bearer ${context.secret}` },
      connect: null,
      token: '',
      caFile: () => context.certificates?.ca ?? null,
    },
    logs: [],
  }),
};
