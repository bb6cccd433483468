import { resolve } from 'node:path';
import { Credential } from '@sallyport/credentials';
import { ConfigError, formatProblems, type GatewayConfig, type LoadedConfig, loadConfig, makeSource } from '@sallyport/gateway';
import { asSallyportError } from '@sallyport/sdk';
import { requireConfig } from '../config-file.js';
import { exitCodeOf } from '../failure.js';
import { coloursFor, columns, printJson } from '../terminal.js';

/** The options of `sallyport config check`. */
export interface CheckOptions {
  config?: string;
  sources?: true;
  output: 'text' | 'json';
}

/** Whether one credential can be had. Holds no secret. */
interface SourceResult {
  readonly credential: string;
  readonly source: string;
  readonly ok: boolean;
  readonly code?: string;
  readonly detail?: string;
  readonly hint?: string;
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

/** Grants are not tried: to present a refresh token means to change it. */
async function trySources(config: GatewayConfig): Promise<SourceResult[]> {
  const sources = Object.entries(config.credentials).flatMap(([name, { source }]) => (source === undefined ? [] : [{ name, source }]));
  return Promise.all(
    sources.map(async ({ name, source }) => {
      const made = makeSource(source);
      const credential = new Credential({ name, source: made });
      try {
        await credential.resolve();
        return { credential: name, source: made.description, ok: true };
      } catch (thrown) {
        const { code, message, hint } = asSallyportError(thrown);
        return { credential: name, source: made.description, ok: false, code, detail: message, hint };
      } finally {
        credential.close();
      }
    }),
  );
}

function describe(path: string, { warnings }: LoadedConfig, results: readonly SourceResult[] | null): string {
  const colours = coloursFor(process.stdout);
  const lines = [`${colours.green('ok')} ${path}`];
  if (warnings.length > 0) lines.push(`${colours.yellow('warning:')}`, formatProblems(warnings));
  if (results !== null) {
    lines.push(columns(results.map(({ credential, source, ok }) => [`  ${credential}`, source, ok ? colours.green('ok') : colours.red('failed')])));
    for (const { detail, hint } of results.filter(({ ok }) => !ok)) lines.push(`  ${detail}`, `    ${colours.dim(hint ?? '')}`);
  }
  return `${lines.join('\n')}\n`;
}
