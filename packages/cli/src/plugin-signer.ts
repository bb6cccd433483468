import { createPluginHost, loadConfig } from '@sallyport/gateway';
import type { CertificateSigner } from '@sallyport/sdk';
import { requireConfig } from './config-file.js';

const LOAD_TIMEOUT = 30_000;

/** The plugin of a configuration as a signer; null when it has none, or one that does not sign. Errors: of the configuration, `plugin_load_failed`. */
export async function loadSigner(config: string | undefined): Promise<CertificateSigner | null> {
  const { gateway } = await loadConfig(requireConfig(config));
  const { plugin, limits } = gateway;
  if (plugin?.module === undefined) return null;
  const host = await createPluginHost({
    plugin: plugin.module.written,
    folder: plugin.module.folder,
    options: plugin.options,
    isolation: 'inline',
    timeoutMs: plugin.timeout,
    loadTimeoutMs: LOAD_TIMEOUT,
    bodyLimit: limits.plugin_body,
    onTrouble: (error) => process.stderr.write(`${error.message}\n`),
  });
  if (!host.methods.has('signCsr')) {
    await host.close();
    return null;
  }
  return { signCsr: (csr, { signal }) => host.signCsr(csr, signal) };
}
