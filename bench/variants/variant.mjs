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

/** Narrows to the certificates that a TLS workload needs. @param {import('../upstream.mjs').Context} context */
export function certificatesOf({ certificates }) {
  if (certificates === null) throw new Error('this workload needs certificates');
  return certificates;
}
