import type { Answer, Client } from '@sallyport/client';
import { userLabels } from '../../control/user-labels.js';
import { changedMap } from './option-values.js';
import { type ResourceCommand, resourceCommand } from './resource-command.js';

type Kind = 'labels' | 'annotations';

interface Labelled {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** A resource whose labels and annotations can be changed. */
interface LabelledResource {
  /** As in `sallyport namespaces`. */
  readonly group: string;
  /** How one of them is named, and an example of it. */
  readonly argument: readonly [name: string, description: string];
  readonly example: string;
  readonly adminOnly?: true;
  readonly read: (client: Client, named: string) => Promise<Answer<Labelled>>;
  readonly write: (
    client: Client,
    named: string,
    change: { labels?: Record<string, string>; annotations?: Record<string, string> },
    ifMatch: string | undefined,
  ) => Promise<Answer<Labelled>>;
}

const MOST_ATTEMPTS = 5;

/** `label` and `annotate`: several changes are one. */
export function labelCommands(resource: LabelledResource): readonly ResourceCommand[] {
  return [labelCommand(resource, 'label', 'labels'), labelCommand(resource, 'annotate', 'annotations')];
}

function labelCommand({ group, argument, example, adminOnly, read, write }: LabelledResource, name: string, kind: Kind): ResourceCommand {
  return resourceCommand({
    name,
    summary: `set and remove ${kind}`,
    description: `Sets and removes ${kind}, all in one step: either every change is made, or none.`,
    ...(adminOnly !== undefined && { adminOnly }),
    args: [argument, ['<changes...>', 'key=value sets one, key- removes one']],
    examples: [`sallyport ${group} ${name} ${example} tier=gold legacy-`],
    run: async ({ client, args: [named = '', ...changes] }) => {
      for (let attempt = 1; ; attempt += 1) {
        const { data, etag } = await read(client, named);
        try {
          const changed = await write(client, named, { [kind]: changedMap(userLabels(data[kind]), changes) }, etag);
          return { kind: 'one', value: changed.data[kind] };
        } catch (error) {
          // Somebody else was faster: what they did stays, and this is added to it.
          if (attempt === MOST_ATTEMPTS || (error as { code?: unknown }).code !== 'precondition_failed') throw error;
        }
      }
    },
  });
}
