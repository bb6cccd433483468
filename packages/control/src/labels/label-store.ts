import type { Kysely } from 'kysely';
import type { Queryable, Schema } from '../database/schema.js';
import type { Labels } from './label-grammar.js';

/** A resource that carries labels: its kind, as its domain calls it, and its id. */
export interface LabelledResource {
  readonly type: string;
  readonly id: string;
}

interface ResourceLabelsTable {
  resource_type: string;
  resource_id: string;
  key: string;
  value: string;
  system: number;
}

type LabelsSchema = { resource_labels: ResourceLabelsTable; resource_annotations: Omit<ResourceLabelsTable, 'system'> };

function labelTables(db: Queryable): Kysely<LabelsSchema> {
  const all: Kysely<Schema> = db;
  return all.withTables<LabelsSchema>();
}

/** Postgres takes at most 65,535 values in a statement, SQLite 32,766; a row has five. */
const ROWS_PER_INSERT = 1_000;

/** Puts these labels in the place of all of the resource's user labels, or of all its system labels. */
export async function replaceLabels(trx: Queryable, { type, id }: LabelledResource, labels: Labels, owner: 'user' | 'system'): Promise<void> {
  const system = owner === 'system' ? 1 : 0;
  const tables = labelTables(trx);
  await tables.deleteFrom('resource_labels').where('resource_type', '=', type).where('resource_id', '=', id).where('system', '=', system).execute();
  const rows = Object.entries(labels).map(([key, value]) => ({ resource_type: type, resource_id: id, key, value, system }));
  for (let at = 0; at < rows.length; at += ROWS_PER_INSERT) {
    await tables
      .insertInto('resource_labels')
      .values(rows.slice(at, at + ROWS_PER_INSERT))
      .execute();
  }
}

/** Puts these annotations in the place of all that the resource has. */
export async function replaceAnnotations(trx: Queryable, { type, id }: LabelledResource, annotations: Labels): Promise<void> {
  const tables = labelTables(trx);
  await tables.deleteFrom('resource_annotations').where('resource_type', '=', type).where('resource_id', '=', id).execute();
  const rows = Object.entries(annotations).map(([key, value]) => ({ resource_type: type, resource_id: id, key, value }));
  for (let at = 0; at < rows.length; at += ROWS_PER_INSERT) {
    await tables
      .insertInto('resource_annotations')
      .values(rows.slice(at, at + ROWS_PER_INSERT))
      .execute();
  }
}

/** Labels of the user and of the system, by resource, in one statement. A resource without any is not in the map. */
export async function readLabels(db: Queryable, type: string, ids: readonly string[]): Promise<ReadonlyMap<string, Labels>> {
  if (ids.length === 0) return new Map();
  const query = labelTables(db).selectFrom('resource_labels').select(['resource_id', 'key', 'value']).where('resource_type', '=', type);
  return byResource(await query.where('resource_id', 'in', ids).orderBy('resource_id').orderBy('key').execute());
}

/** Annotations by resource, in one statement. A resource without any is not in the map. */
export async function readAnnotations(db: Queryable, type: string, ids: readonly string[]): Promise<ReadonlyMap<string, Labels>> {
  if (ids.length === 0) return new Map();
  const query = labelTables(db).selectFrom('resource_annotations').select(['resource_id', 'key', 'value']).where('resource_type', '=', type);
  return byResource(await query.where('resource_id', 'in', ids).orderBy('resource_id').orderBy('key').execute());
}

/** Removes everything of a resource that is purged. */
export async function removeLabels(trx: Queryable, { type, id }: LabelledResource): Promise<void> {
  const tables = labelTables(trx);
  await tables.deleteFrom('resource_labels').where('resource_type', '=', type).where('resource_id', '=', id).execute();
  await tables.deleteFrom('resource_annotations').where('resource_type', '=', type).where('resource_id', '=', id).execute();
}

function byResource(rows: readonly { resource_id: string; key: string; value: string }[]): ReadonlyMap<string, Labels> {
  const found = new Map<string, Record<string, string>>();
  for (const { resource_id, key, value } of rows) {
    const labels = found.get(resource_id) ?? {};
    labels[key] = value;
    found.set(resource_id, labels);
  }
  return found;
}
