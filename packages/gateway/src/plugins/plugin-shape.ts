import { editDistance } from '@sallyport/credentials';
import type { Plugin } from '@sallyport/sdk';
import type { PluginMethod } from './call-failure.js';
import { kindOf, shown } from './field-rules.js';

const methods: readonly PluginMethod[] = ['getCredentials', 'signCsr', 'modifyResponse', 'routeRequest'];
const members: readonly string[] = [...methods, 'forwardReferences'];

/** A misspelling differs from what was meant by no more than this many letters; case and underscores do not count. */
const FARTHEST = 2;

/** What is wrong with something that should be a plugin, as the rest of a sentence; null when it is one. */
export function shapeFault(candidate: unknown): string | null {
  if (typeof candidate !== 'object' || candidate === null || Array.isArray(candidate)) return `is ${kindOf(candidate)}, not an object with methods`;
  const found = candidate as Readonly<Record<string, unknown>>;
  for (const name of members) {
    if (found[name] !== undefined && typeof found[name] !== 'function') return `has a member ${name} that is ${kindOf(found[name])}, not a function`;
  }
  const missing = members.filter((name) => found[name] === undefined);
  for (const written of memberNames(candidate)) {
    const meant = members.includes(written) || typeof found[written] !== 'function' ? undefined : missing.find((name) => looksLike(written, name));
    if (meant !== undefined) return `has a method ${shown(written)}; it is spelled ${meant}`;
  }
  if (methods.every((name) => found[name] === undefined)) return `has none of the methods ${methods.join(', ')}`;
  return null;
}

/** The methods that a plugin has. */
export function methodsOf(plugin: Plugin): ReadonlySet<PluginMethod> {
  return new Set(methods.filter((name) => plugin[name] !== undefined));
}

/** The names of all members, those of a class included. */
function memberNames(candidate: object): string[] {
  const names: string[] = [];
  for (let level: object | null = candidate; level !== null && level !== Object.prototype; level = Object.getPrototypeOf(level) as object | null) {
    names.push(...Object.getOwnPropertyNames(level));
  }
  return names;
}

function looksLike(written: string, name: string): boolean {
  return editDistance(plain(written).slice(0, 64), plain(name)) <= FARTHEST;
}

function plain(name: string): string {
  return name.replaceAll('_', '').toLowerCase();
}
