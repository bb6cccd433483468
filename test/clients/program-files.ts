import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('./programs/', import.meta.url));
const root = fileURLToPath(new URL('../../', import.meta.url));

/** The path of a program of this folder. */
export function programFile(name: string): string {
  return path.join(folder, name);
}

/** The path of something that was installed or built into `.cache`, whether it is there or not. */
export function cached(...parts: string[]): string {
  return path.join(root, '.cache', ...parts);
}

/** The path of something in `.cache`, or `otherwise` when it is not there. */
export function cachedOr(otherwise: string, ...parts: string[]): string {
  const file = cached(...parts);
  return existsSync(file) ? file : otherwise;
}

/** The version of an installed npm package; null when it is not there. */
export function packageVersionOf(name: string): string | null {
  try {
    const manifest = readFileSync(path.join(root, 'node_modules', name, 'package.json'), 'utf8');
    return (JSON.parse(manifest) as { version: string }).version;
  } catch {
    return null;
  }
}
