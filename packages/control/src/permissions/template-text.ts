import { isReservedKey, labelKeyFlaw } from '../labels/label-grammar.js';

const VARIABLE = /\{\{([^{}]*)\}\}/g;

/** The facts about an actor that a template may speak of. */
export interface TemplateActor {
  readonly id: string;
  readonly namespace: string;
  readonly external_id: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

const FIXED = ['id', 'external_id', 'namespace'] as const;

/** What is wrong with the templates in a text, as a clause for a message; null when nothing is. */
export function templateProblem(text: string): string | null {
  for (const [, name = ''] of text.matchAll(VARIABLE)) {
    if (!isVariable(variableName(name))) return `holds the unknown template variable \`${name.trim()}\``;
    if (variableName(name) === 'namespace' && !/^\s*\{\{/.test(text)) return 'may have the template of a namespace only at its beginning';
  }
  return /[{}]/.test(text.replace(VARIABLE, '')) ? 'holds a template that is not closed' : null;
}

/** True when the text has a template in it. */
export function hasTemplate(text: string): boolean {
  return text.includes('{{');
}

/** True when a template of the text speaks of labels or annotations, which change while the actor lives; everything else about it stays. */
export function hasChangingTemplate(text: string): boolean {
  return [...text.matchAll(VARIABLE)].some(([, name = '']) => !isFixed(variableName(name)));
}

/** The text before its first template. */
export function beforeTemplates(text: string): string {
  return text.split('{{', 1)[0] ?? '';
}

/**
 * The text with the actor's facts in place, or null when one is missing, unknown or not a plain name. A value is letters, digits, `_` and `-` only, so
 * that no label can bring a dot or a wildcard into a namespace; `{{namespace}}` alone is a path.
 */
export function renderTemplate(text: string, actor: TemplateActor): string | null {
  let whole = true;
  const rendered = text.replace(VARIABLE, (_, name: string) => {
    const value = factOf(variableName(name), actor);
    const plain = value !== undefined && (variableName(name) === 'namespace' || /^[A-Za-z0-9_-]+$/.test(value));
    whole &&= plain;
    return plain ? value : '';
  });
  return whole ? rendered : null;
}

// `{{actor.id}}` and `{{id}}` are one variable.
function variableName(text: string): string {
  return text.trim().replace(/^actor\./, '');
}

function isFixed(name: string): name is (typeof FIXED)[number] {
  return FIXED.some((fixed) => fixed === name);
}

function isVariable(name: string): boolean {
  return isFixed(name) || userKey(name) !== null;
}

/**
 * Only what is written on the actor itself, by somebody who may grant what it comes to: the labels of the system are handed down from its namespace,
 * and whoever may label that may be somebody much smaller.
 */
function userKey(name: string): { readonly map: 'labels' | 'annotations'; readonly key: string } | null {
  const [, map, key = ''] = /^(labels|annotations)\.(.+)$/.exec(name) ?? [];
  if (map === undefined || labelKeyFlaw(key) !== null || isReservedKey(key)) return null;
  return { map: map === 'labels' ? 'labels' : 'annotations', key };
}

function factOf(name: string, actor: TemplateActor): string | undefined {
  if (isFixed(name)) return actor[name];
  const user = userKey(name);
  return user !== null && Object.hasOwn(actor[user.map], user.key) ? actor[user.map][user.key] : undefined;
}
