import type { Column } from '../../control/output.js';
import { userLabels } from '../../control/user-labels.js';

interface Labelled {
  readonly labels: Readonly<Record<string, string>>;
}

/** The labels that users have set, as one writes them. */
export const labelsColumn: Column<Labelled> = {
  head: 'LABELS',
  cell: ({ labels }) =>
    Object.entries(userLabels(labels))
      .map(([key, value]) => `${key}=${value}`)
      .join(','),
};

/** A column of the member with this name, headed by it. */
export function column<Name extends string>(
  name: Name,
  head: string = name.toUpperCase().replaceAll('_', ' '),
): Column<Readonly<Partial<Record<Name, unknown>>>> {
  return { head, cell: (row) => row[name] };
}

/** A time to the second. */
export function timeColumn<Name extends string>(name: Name, head: string): Column<Readonly<Partial<Record<Name, string | null>>>> {
  return { head, cell: (row) => row[name]?.replace(/\.[0-9]+Z$/, 'Z') };
}
