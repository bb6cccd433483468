import { createHash } from 'node:crypto';
import { type ColumnTypes, columnTypes } from './column-types.js';
import type { Dialect } from './schema.js';

/**
 * One step of the schema. A step that has been released is never changed: what it got wrong the next one puts right. Its statements are plain text,
 * so that they are the same whatever version of a query builder is installed.
 */
export interface Migration {
  /** Its place in the order, and the number of its file. */
  readonly number: number;
  readonly name: string;
  readonly statements: (types: ColumnTypes) => readonly string[];
}

/** Tells whether a step is still the one that was applied. The layout of its text does not count. */
export function checksumOf(migration: Migration, dialect: Dialect): string {
  const text = migration
    .statements(columnTypes(dialect))
    .map((statement) => statement.replace(/\s+/g, ' ').trim())
    .join(';\n');
  return createHash('sha256').update(text).digest('hex');
}
