import { resolve } from 'node:path';
import { ConfigError, formatProblems, type LoadedConfig, loadConfig } from '@sallyport/gateway';
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
  let loaded: LoadedConfig;
  try {
    loaded = await loadConfig(path);
  } catch (error) {
    if (output !== 'json' || !(error instanceof ConfigError)) throw error;
    printJson({ file: path, valid: false, code: error.code, message: error.message, hint: error.hint, problems: error.problems });
    return exitCodeOf(error);
  }
  const results = sources === true ? await trySources(loaded.gateway) : null;
  if (output === 'json') printJson({ file: path, valid: true, warnings: loaded.warnings, ...(results !== null && { sources: results }) });
  else process.stdout.write(describe(path, loaded, results));
  return results?.some(({ ok }) => !ok) === true ? 4 : 0;
}

function describe(path: string, { warnings }: LoadedConfig, results: readonly SourceResult[] | null): string {
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
