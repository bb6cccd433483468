import { once } from 'node:events';
import { join } from 'node:path';
import { benchDir } from './environment.mjs';
import { start } from './processes.mjs';

/** The name of this measurement, as `--only` takes it: it has no load, and no peers. */
export const lookupsName = 'lookups';

/** Nanoseconds of CPU time for one decision, by the number of entries. @typedef {{ title: string, nanoseconds: Record<string, number> }} LookupResults */

/**
 * Measures what decisions cost among 10 to 10,000 entries, in a process on the proxy's core.
 * @param {{ proxy: string | null }} cores
 * @returns {Promise<LookupResults[]>}
 * @throws {Error} when Sallyport is not built, or a lookup found nothing
 */
export async function measureLookups(cores) {
  const running = start('lookups', [process.execPath, join(benchDir, 'lookup-cases.mjs')], { cores: cores.proxy, stdio: 'pipe' });
  let text = '';
  running.child.stdout?.setEncoding('utf8').on('data', (more) => {
    text += more;
  });
  await once(running.child, 'close');
  if (text === '') throw new Error(`the lookups could not be measured (npm run build?): ${running.errors()}`);
  return JSON.parse(text);
}

/** How many times more the largest size costs than the smallest. @param {LookupResults} one */
export function growth({ nanoseconds }) {
  const sizes = Object.keys(nanoseconds).map(Number);
  return (nanoseconds[Math.max(...sizes)] ?? 0) / (nanoseconds[Math.min(...sizes)] ?? 1);
}
