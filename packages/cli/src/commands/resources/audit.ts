import { column, timeColumn } from './columns.js';
import { listCommand, namespaceFilter } from './list-command.js';
import type { ResourceGroup } from './resource-command.js';

/** `sallyport audit`. */
export const audit: ResourceGroup = {
  name: 'audit',
  summary: 'who changed what',
  description: 'The trail of administrative changes: who, what, before and after. Secrets stand in it as digests.',
  commands: [
    listCommand({
      summary: 'list administrative changes, the newest first',
      description: 'Lists administrative changes, the newest first. JSON and YAML have what each was before and after.',
      operation: 'listAuditEvents',
      filters: [
        namespaceFilter,
        { flags: '--actor-id <id>', description: 'only what this actor did' },
        { flags: '--action <action>', description: 'only this, such as namespaces.create' },
        { flags: '--resource-type <type>', description: 'only what was done to these' },
        { flags: '--resource-id <id>', description: 'only what was done to this' },
      ],
      columns: [
        timeColumn('created_at', 'TIME'),
        column('actor_id', 'ACTOR'),
        column('action'),
        column('namespace'),
        column('resource_id', 'RESOURCE'),
        column('request_id', 'REQUEST'),
      ],
      empty: 'There is no such change.',
      adminOnly: true,
      examples: ['sallyport audit list --namespace root.team.**', 'sallyport audit list --action actors.delete -o json'],
    }),
  ],
};
