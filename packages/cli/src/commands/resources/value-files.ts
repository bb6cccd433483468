import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { errorCode } from '@sallyport/credentials';
import { SallyportError } from '@sallyport/sdk';
import type { PermissionRule } from './option-values.js';

/** The text of a file; `-` is standard input. Errors: `value_file_invalid`. */
export async function textFile(path: string): Promise<string> {
  try {
    return path === '-' ? await text(process.stdin) : await readFile(path, 'utf8');
  } catch (error) {
    throw invalid(path, `cannot be read (${errorCode(error)})`, error);
  }
}

/** The map in a file of JSON or YAML. Nothing of what is in it is shown when it is wrong: it may be secret. Errors: `value_file_invalid`. */
export async function mapFile(path: string): Promise<Record<string, unknown>> {
  const value = await parsedFile(path);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw invalid(path, 'does not hold a map of keys to values');
}

/** The permissions that the options name; undefined when they name none. What a rule may say is for the server to check. Errors: `value_file_invalid`. */
export async function permissionsOf(options: {
  readonly permission?: readonly PermissionRule[];
  readonly permissionsFile?: string;
}): Promise<PermissionRule[] | undefined> {
  const { permission = [], permissionsFile } = options;
  if (permissionsFile === undefined) return permission.length === 0 ? undefined : [...permission];
  const list = await parsedFile(permissionsFile);
  if (!Array.isArray(list)) throw invalid(permissionsFile, 'is no list of permissions');
  return [...permission, ...(list as PermissionRule[])];
}

async function parsedFile(path: string): Promise<unknown> {
  const { parse } = await import('yaml');
  const content = await textFile(path);
  try {
    return parse(content, { maxAliasCount: 0 });
  } catch (error) {
    throw invalid(path, 'is neither JSON nor YAML', error);
  }
}

function invalid(path: string, clause: string, cause?: unknown): SallyportError {
  return new SallyportError('value_file_invalid', {
    detail: `${path === '-' ? 'Standard input' : path} ${clause}.`,
    ...(cause !== undefined && { cause }),
  });
}
