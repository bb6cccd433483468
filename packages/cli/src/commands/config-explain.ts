import { loadConfig } from '@sallyport/gateway';
import { requireConfig } from '../config-file.js';
import { type Explanation, explain } from '../explain/explain.js';
import { coloursFor, columns, printJson } from '../terminal.js';

/** The options of `sallyport config explain`. */
export interface ExplainOptions {
  config?: string;
  caller?: string;
  output: 'text' | 'json';
}

/** `sallyport config explain`: 0 whatever the answer is. */
export async function explainRequest(method: string, url: string, { config, caller, output }: ExplainOptions): Promise<number> {
  const { gateway } = await loadConfig(requireConfig(config));
  const explanation = await explain(gateway, { method: method.toUpperCase(), url, callerName: caller });
  if (output === 'json') printJson(explanation);
  else process.stdout.write(describe(explanation));
  return 0;
}

function describe({ method, url, caller, policy, tunnel, addresses, credential, bindings, error }: Explanation): string {
  const colours = coloursFor(process.stdout);
  const mark = (good: boolean): string => (good ? colours.green('✓') : colours.red('✗'));
  const heading = (text: string): string => colours.bold(text);
  const table = (rows: readonly (readonly string[])[]): string[] => (rows.length === 0 ? [] : [columns(rows)]);
  const credentials = caller.credentials === 'all' ? 'all credentials' : caller.credentials.join(', ') || 'no credentials';
  const decided = policy.rule === null ? `no rule decides, so the mode does (${policy.mode})` : `"${policy.rule}"`;
  return `${[
    heading(`${method} ${url}`),
    `  by ${caller.name} (${credentials})`,
    `${heading('policy')}: ${policy.verdict}, ${decided}`,
    ...table(policy.considered.map(({ rule, matched, why }) => [`  ${mark(matched)} ${rule}`, colours.dim(why)])),
    heading('addresses'),
    ...table(addresses.map(({ address, allowed, class: kind, reason }) => [`  ${mark(allowed)} ${address}`, kind, colours.dim(reason ?? '')])),
    `${heading('credential')}: ${tunnel ? 'none, the connection passes unseen' : (credential ?? 'none')}`,
    ...table(bindings.map(({ credential: name, binding, used, why }) => [`  ${mark(used)} ${name}, binding ${binding}`, colours.dim(why)])),
    error === null ? colours.green('It goes out.') : `${colours.red(`It does not go out (${error.code})`)}: ${error.detail}\n  ${error.hint}`,
  ].join('\n')}\n`;
}
