import { printable } from '../../control/printable.js';
import type { coloursFor } from '../../terminal.js';
import type { Difference } from './difference.js';
import type { Plan } from './plan.js';
import type { Step } from './step.js';

type Colours = Pick<ReturnType<typeof coloursFor>, 'green' | 'red' | 'yellow' | 'dim' | 'bold'>;

const LONGEST_VALUE = 200;
const signs = { create: '+', update: '~', delete: '-' } as const;
const colourOf = { '+': 'green', '~': 'yellow', '-': 'red' } as const;

/** A plan for people: each step with what it changes, and how many there are. */
export function planText({ steps, unchanged }: Plan, colours: Colours): string {
  const count = (action: Step['action']): number => steps.filter((step) => step.action === action).length;
  const summary =
    steps.length === 0
      ? `Nothing to do: ${unchanged} as described.`
      : `${count('create')} to create, ${count('update')} to change, ${count('delete')} to delete, ${unchanged} as described.`;
  return [...steps.flatMap((step) => stepLines(step, colours)), colours.bold(summary)].join('\n');
}

/** A plan for programs. */
export function planDocument({ steps, unchanged }: Plan): object {
  return {
    steps: steps.map(({ action, kind, name, place, differences }) => ({
      ...{ action, kind, name },
      ...(place !== undefined && { file: place.file, line: place.line }),
      differences: differences.map(({ path, before, after }) => ({ path: path.join('.'), before, after })),
    })),
    unchanged,
  };
}

/** A step in one line. */
export function stepTitle({ action, kind, name }: Pick<Step, 'action' | 'kind' | 'name'>, colours: Colours): string {
  return colours[colourOf[signs[action]]](`${signs[action]} ${printable(`${kind} ${name}`)}`);
}

function stepLines(step: Step, colours: Colours): readonly string[] {
  const { place, action, kind, differences } = step;
  const note = place === undefined ? (kind === 'Namespace' ? '  with everything in it and below it' : '') : `  ${place.file}:${place.line}`;
  const lines = action === 'delete' ? [] : differences.flatMap((difference) => differenceLine(difference, colours));
  return [`${stepTitle(step, colours)}${colours.dim(note)}`, ...lines.map((line) => `    ${line}`)];
}

function differenceLine({ path, before, after }: Difference, colours: Colours): readonly string[] {
  // Of something new, what it has nothing of says nothing.
  if (before === undefined && typeof after === 'object' && after !== null && Object.keys(after).length === 0) return [];
  const sign = before === undefined ? '+' : after === undefined ? '-' : '~';
  const values = [before, after].filter((value) => value !== undefined).map(shown);
  return [colours[colourOf[sign]](`${sign} ${printable(path.join('.'))}: ${values.join(' → ')}`)];
}

function shown(value: unknown): string {
  const text = printable(typeof value === 'string' ? value : JSON.stringify(value));
  return text.length > LONGEST_VALUE ? `${text.slice(0, LONGEST_VALUE)}…` : text;
}
