import { InvalidArgumentError } from 'commander';

/** A rule of what is allowed, as the API has it. */
export interface PermissionRule {
  readonly namespace: string;
  readonly resources: string[];
  readonly verbs: string[];
  readonly resource_ids?: string[];
}

/** Adds `key=value` to a map, for an option that can be repeated. */
export function mapOption(text: string, before: Readonly<Record<string, string>> | undefined): Readonly<Record<string, string>> {
  const [, key = '', value = ''] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
  if (key === '') throw new InvalidArgumentError('It is written as key=value.');
  return { ...before, [key]: value };
}

/** Adds a rule such as `root.team.** connections,actors get,list`, for an option that can be repeated. */
export function permissionOption(text: string, before: readonly PermissionRule[] | undefined): readonly PermissionRule[] {
  const [namespace = '', resources = '', verbs = '', ids, ...rest] = text.trim().split(/\s+/);
  const words = (list: string): string[] => list.split(',').filter((word) => word !== '');
  if (verbs === '' || rest.length > 0) {
    throw new InvalidArgumentError('It is written as "NAMESPACE RESOURCES VERBS [IDS]", with commas inside, such as "root.team.** actors get,list".');
  }
  const rule = { namespace, resources: words(resources), verbs: words(verbs), ...(ids !== undefined && { resource_ids: words(ids) }) };
  return [...(before ?? []), rule];
}

/** A number from 1 on. */
export function countOption(text: string): number {
  if (/^[1-9][0-9]{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('A number from 1 on is expected.');
}

/** What `key=value`, and `key-` for one that goes, make of a map. */
export function changedMap(before: Readonly<Record<string, string>>, changes: readonly string[]): Record<string, string> {
  const after = new Map(Object.entries(before));
  for (const change of changes) {
    const equals = change.indexOf('=');
    if (equals > 0) after.set(change.slice(0, equals), change.slice(equals + 1));
    else if (equals === -1 && change.length > 1 && change.endsWith('-')) after.delete(change.slice(0, -1));
    else throw new InvalidArgumentError(`${JSON.stringify(change)} is neither key=value nor key- (which removes the key).`);
  }
  return Object.fromEntries(after);
}
