import type { Migration } from '../migration.js';

/** `system` is 1 for labels that the system wrote; the primary key answers what a resource has, the index which resources have a label. */
export const labels: Migration = {
  number: 201,
  name: 'labels',
  statements: ({ text, integer, tableEnd }) => [
    `create table resource_labels (
      resource_type ${text} not null,
      resource_id ${text} not null,
      key ${text} not null,
      value ${text} not null,
      system ${integer} not null,
      primary key (resource_type, resource_id, key)
    )${tableEnd}`,
    'create index resource_labels_value on resource_labels (resource_type, key, value, resource_id)',
    `create table resource_annotations (
      resource_type ${text} not null,
      resource_id ${text} not null,
      key ${text} not null,
      value ${text} not null,
      primary key (resource_type, resource_id, key)
    )${tableEnd}`,
  ],
};
