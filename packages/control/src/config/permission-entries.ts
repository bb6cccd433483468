import { configValues } from '@sallyport/gateway';
import { z } from 'zod';
import { type Permission, permissionSchema, permissionTemplateSchema } from '../permissions/permission.js';
import { withoutUndefined } from './accepted.js';

const { text } = configValues;

const MOST_ENTRIES = 256;

/** Permissions as the API has them, described; `templates` says whether the namespace and the ids may hold `{{external_id}}` and the like. */
export function permissionEntries({ templates }: { readonly templates: boolean }) {
  const rule = templates ? permissionTemplateSchema : permissionSchema;
  const entry = z
    .strictObject({
      namespace: text('a namespace').describe('The namespace, such as `root.team`; `root.team.**` with all below it.'),
      resources: z.array(text('a resource')).describe('Kinds of objects such as `connections`; `*` for all.'),
      verbs: z.array(text('a verb')).describe('Verbs such as `get`, `list` or `proxy`; `*` for all.'),
      resource_ids: z.array(text('an id')).optional().describe('Only these objects.'),
      methods: z.array(text('a method')).optional().describe('Only requests through a connection with these methods.'),
      paths: z.array(text('a path')).optional().describe('Only requests through a connection to paths such as `/repos/*/issues/**`.'),
    })
    .transform((written, issues): Permission => {
      const result = rule.safeParse(withoutUndefined(written));
      if (result.success) return result.data;
      for (const { path, message } of result.error.issues) issues.addIssue({ code: 'custom', path: [...path], message });
      return written as Permission;
    });
  return z.array(entry).max(MOST_ENTRIES, `is longer than ${MOST_ENTRIES}`);
}
