import { loadConfig, openPlugin } from '@sallyport/gateway';
import type { CertificateSigner } from '@sallyport/sdk';
import { requireConfig } from './config-file.js';

/** The plugin of a configuration as a signer; null when it has none, or one that does not sign. Errors: of the configuration, `plugin_load_failed`. */
export async function loadSigner(config: string | undefined): Promise<CertificateSigner | null> {
  const { gateway } = await loadConfig(requireConfig(config));
  const module = gateway.plugin?.module;
  if (module === undefined) return null;
  // In this thread: one of its own would keep the command from ending.
  const host = await openPlugin(module.written, gateway, {
    isolation: 'inline',
    onTrouble: (error) => process.stderr.write(`${error.message}\n`),
  });
  if (!host.methods.has('signCsr')) {
    await host.close();
    return null;
  }
  return { signCsr: (csr, { signal }) => host.signCsr(csr, signal) };
}
