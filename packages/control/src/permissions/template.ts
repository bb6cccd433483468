import { intersect } from './algebra.js';
import { areBounded, nothing, type Permission, type Permissions, permissionsOf, requireBounded } from './permission.js';
import { isWithin, readMatcher } from './read-matcher.js';
import { beforeTemplates, hasChangingTemplate, hasTemplate, renderTemplate, type TemplateActor } from './template-text.js';

/**
 * What an actor may do: its stored permissions with its own facts in place, and never outside its own namespace and what lies below. An entry
 * whose template cannot be filled in, or does not give a namespace, allows nothing, and neither do more of them than an actor may have.
 */
export function renderPermissions(stored: readonly Permission[], actor: TemplateActor): Permissions {
  if (!areBounded(stored)) return nothing;
  return intersect(permissionsOf(stored.flatMap((entry) => renderEntry(entry, actor) ?? [])), within(actor.namespace));
}

/**
 * The most that stored permissions could ever come to mean for this actor, whatever its labels and annotations become. This is what a granter has to
 * hold: somebody who may only change labels must not turn a grant into a larger one afterwards. More of them than an actor may have are refused with
 * `permission_invalid`.
 */
export function widestPermissions(stored: readonly Permission[], actor: TemplateActor): Permissions {
  return intersect(permissionsOf(requireBounded(stored).flatMap((entry) => renderEntry(widen(entry), actor) ?? [])), within(actor.namespace));
}

/** The entries, by index, that name a namespace outside the actor's own, which they could never reach. */
export function entriesOutside(stored: readonly Permission[], actor: TemplateActor): readonly number[] {
  return stored.flatMap((entry, index) => {
    if (hasChangingTemplate(entry.namespace)) return [];
    const rendered = renderEntry(entry, actor);
    const path = rendered === null ? null : readMatcher(rendered.namespace)?.path;
    return path !== null && path !== undefined && isWithin(actor.namespace, path) ? [] : [index];
  });
}

function within(namespace: string): Permissions {
  return permissionsOf([{ namespace: `${namespace}.**`, resources: ['*'], verbs: ['*'] }]);
}

function renderEntry(entry: Permission, actor: TemplateActor): Permission | null {
  const namespace = hasTemplate(entry.namespace) ? renderTemplate(entry.namespace, actor) : entry.namespace;
  if (namespace === null || readMatcher(namespace) === null) return null;
  if (entry.resource_ids === undefined) return { ...entry, namespace };
  const ids = entry.resource_ids.flatMap((id) => renderTemplate(id, actor) ?? []);
  return ids.length === 0 ? null : { ...entry, namespace, resource_ids: ids };
}

function widen(entry: Permission): Permission {
  const { resource_ids: ids, ...rest } = entry;
  const namespace = hasChangingTemplate(entry.namespace) ? widenNamespace(entry.namespace) : entry.namespace;
  return ids === undefined || ids.some(hasChangingTemplate) ? { ...rest, namespace } : { ...rest, namespace, resource_ids: ids };
}

// `root.team_{{labels.team}}.x` may become any child of `root`; what stands before the last whole segment is all that is sure.
function widenNamespace(namespace: string): string {
  if (beforeTemplates(namespace) === '') return 'root.**';
  const sure = beforeTemplates(namespace).split('.').slice(0, -1).join('.');
  return `${sure}.**`;
}
