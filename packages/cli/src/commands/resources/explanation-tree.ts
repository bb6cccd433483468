import type { components, Result } from '@sallyport/client';
import { printable } from '../../control/printable.js';
import type { coloursFor } from '../../terminal.js';

type Explanation = Result<'explainPermission'>;
type Verdicts = Explanation['actor'];
type Colours = Pick<ReturnType<typeof coloursFor>, 'green' | 'red' | 'dim'>;

/** Why something is allowed or not, as a tree: what the actor may do, and what is left of it under its token, rule by rule. */
export function explanationTree(question: string, { allowed, actor, token }: Explanation, colours: Colours): string {
  const verdict = allowed ? colours.green('allowed') : colours.red('denied');
  const branches = [{ name: 'the actor', said: actor }, ...(token === undefined ? [] : [{ name: 'its token', said: token }])];
  const lines = branches.flatMap(({ name, said }, index) => branch(name, said, index === branches.length - 1, colours));
  return [`${printable(question)}: ${verdict}`, ...lines].join('\n');
}

function branch(name: string, said: Verdicts, last: boolean, colours: Colours): string[] {
  const below = said.entries.flatMap((entry, index) => {
    const end = index === said.entries.length - 1;
    return [
      `${end ? '└─' : '├─'} ${mark(entry.allows, colours)} ${ruleText(entry.permission)}`,
      ...(entry.allows ? [] : [`${end ? '  ' : '│ '}   ${colours.dim(printable(entry.reason))}`]),
    ];
  });
  return [
    `${last ? '└─' : '├─'} ${mark(said.allowed, colours)} ${name}: ${printable(said.reason)}`,
    ...below.map((line) => `${last ? '  ' : '│ '} ${line}`),
  ];
}

function mark(allows: boolean, colours: Colours): string {
  return allows ? colours.green('✓') : colours.red('✗');
}

function ruleText({ namespace, resources, verbs, resource_ids: ids, methods, paths }: components['schemas']['Permission']): string {
  const limits = [
    ...(ids === undefined ? [] : [`only ${ids.join(', ')}`]),
    ...(methods === undefined ? [] : [`methods ${methods.join(', ')}`]),
    ...(paths === undefined ? [] : [`paths ${paths.join(', ')}`]),
  ];
  return printable(`${namespace}: ${verbs.join(', ')} ${resources.join(', ')}${limits.length === 0 ? '' : ` (${limits.join('; ')})`}`);
}
