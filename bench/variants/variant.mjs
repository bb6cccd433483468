import { upstreamUrl } from '../upstream.mjs';

/**
 * One way to get from the client to the upstream.
 * @typedef {object} Variant
 * @property {string} name as `--variants` takes it
 * @property {string} title as the table shows it
 * @property {(workload: import('../workloads.mjs').Workload) => boolean} can whether it can do this work at all
 * @property {(context: import('../upstream.mjs').Context) => string | null} missing why it cannot run on this machine; null when it can
 * @property {(context: import('../upstream.mjs').Context, workload: import('../workloads.mjs').Workload, dir: string) => Promise<Running>} start
 *   starts one process in a fresh folder; it need not be ready yet
 */

/**
 * A started variant.
 * @typedef {object} Running
 * @property {import('../processes.mjs').Started | null} server null for the direct connection
 * @property {import('../probe.mjs').Access} access
 * @property {string[]} logs files to cut back between measurements, so that memory does not fill up
 */

/**
 * Access to a plain reverse proxy on a port of this machine.
 * @param {import('../upstream.mjs').Context} context
 * @param {import('../workloads.mjs').Workload} workload
 * @param {number} port
 * @returns {import('../probe.mjs').Access}
 */
export function reverseAccess(context, { frontTls, path }, port) {
  return {
    url: frontTls ? `https://localhost:${port}${path}` : `http://127.0.0.1:${port}${path}`,
    headers: { 'X-Sallyport-Token': context.token },
    connect: null,
    token: context.token,
    caFile: () => context.certificates?.ca ?? null,
  };
}

/**
 * Access to a sidecar on a port of this machine: a call of one customer of one vendor.
 * @param {import('../upstream.mjs').Context} context
 * @param {import('../workloads.mjs').Workload} workload
 * @param {number} port
 * @returns {import('../probe.mjs').Access}
 */
export function sidecarAccess(context, workload, port) {
  return {
    url: `http://127.0.0.1:${port}/proxy`,
    headers: {
      'X-Connect-Target-URL': upstreamUrl(context, workload),
      'X-Connect-Vendor-ID': 'vendor-1',
      'X-Connect-Environment-ID': 'production',
      'X-Connect-Marketplace-ID': 'MP-12345',
      'X-Connect-Product-ID': 'PRD-123-456-789',
      'X-Connect-Subscription-ID': 'AS-1234-5678-9012',
      'X-Connect-Context-Data': Buffer.from(
        JSON.stringify({ TenantID: 'contoso.onmicrosoft.com', Resource: 'https://graph.microsoft.com' }),
      ).toString('base64'),
      'X-Sallyport-Token': context.token,
    },
    connect: null,
    token: context.token,
    caFile: () => null,
  };
}

/** Narrows to the certificates that a TLS workload needs. @param {import('../upstream.mjs').Context} context */
export function certificatesOf({ certificates }) {
  if (certificates === null) throw new Error('this workload needs certificates');
  return certificates;
}
