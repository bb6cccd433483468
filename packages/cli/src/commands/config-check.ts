import { resolve } from 'node:path';
import { ConfigError, formatProblems, type GatewayConfig, loadConfig } from '@sallyport/gateway';
import { requireConfig } from '../config-file.js';
import { exitCodeOf } from '../failure.js';
import { coloursFor, columns, printJson } from '../terminal.js';
import { type SourceResult, trySources } from './config-check-sources.js';

/** The options of `sallyport config check`. */
export interface CheckOptions {
  config?: string;
  sources?: true;
  output: 'text' | 'json';
}

/**
 * `sallyport config check`: 0 when the file is valid and, with `sources`, every credential can be had; 2 when it is not valid, 4 for a credential.
 */
export async function checkConfig(file: string | undefined, { config, sources, output }: CheckOptions): Promise<number> {
  const path = file === undefined ? requireConfig(config) : resolve(file);
  let loaded: Awaited<ReturnType<typeof loadEverySection>>;
  try {
    loaded = await loadEverySection(path);
  } catch (error) {
    if (output !== 'json' || !(error instanceof ConfigError)) throw error;
    printJson({ file: path, valid: false, code: error.code, message: error.message, hint: error.hint, problems: error.problems });
    return exitCodeOf(error);
  }
  const results = sources === true ? await sourcesOf(loaded.gateway) : null;
  if (output === 'json') printJson({ file: path, valid: true, warnings: loaded.warnings, ...(results !== null && { sources: results }) });
  else process.stdout.write(describe(path, loaded, results));
  return results?.some(({ ok }) => !ok) === true ? 4 : 0;
}

async function loadEverySection(path: string) {
  // The control plane is large, and most commands do without it.
  const { controlSection } = await import('@sallyport/control');
  return loadConfig(path, { control: controlSection });
}

/** Where the file has no gateway there are no sources. */
async function sourcesOf(gateway: GatewayConfig | null): Promise<SourceResult[]> {
  return gateway === null ? [] : trySources(gateway);
}

function describe(
  path: string,
  { warnings }: { readonly warnings: Parameters<typeof formatProblems>[0] },
  results: readonly SourceResult[] | null,
): string {
  const colours = coloursFor(process.stdout);
  const lines = [`${colours.green('ok')} ${path}`];
  if (warnings.length > 0) lines.push(`${colours.yellow('warning:')}`, formatProblems(warnings));
  if (results !== null) {
    const found = ({ ok, tried }: SourceResult): string => {
      if (!ok) return colours.red('failed');
      return `${colours.green('ok')}${tried === 'store' ? colours.dim(' (found in the store, and not presented)') : ''}`;
    };
    lines.push(columns(results.map((result) => [`  ${result.credential ?? `provider ${result.provider}`}`, result.source, found(result)])));
    for (const { detail, hint } of results.filter(({ ok }) => !ok)) lines.push(`  ${detail}`, `    ${colours.dim(hint ?? '')}`);
  }
  return `${lines.join('\n')}\n`;
}
