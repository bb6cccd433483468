// Registered with `module.register` on a Node that does not read TypeScript. Runs in Node's loader thread.

import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { typeStripper } from './type-stripper.js';

interface Loaded {
  readonly format: string;
  readonly source?: string;
  readonly shortCircuit?: boolean;
}

/** Node's `load` hook: strips the types of every module in TypeScript, and leaves the rest to Node. */
export async function load(url: string, context: object, next: (url: string, context: object) => Promise<Loaded>): Promise<Loaded> {
  if (!/^file:[^?#]*\.m?ts(?:[?#]|$)/.test(url)) return await next(url, context);
  const file = fileURLToPath(url);
  const strip = typeStripper(file);
  if (strip === null) return await next(url, context);
  return { format: 'module', source: strip(await readFile(file, 'utf8'), file), shortCircuit: true };
}
