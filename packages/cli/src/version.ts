import { readFileSync } from 'node:fs';

/** The version of this command and of every package that it is built from. */
export function version(): string {
  const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };
  return manifest.version;
}
