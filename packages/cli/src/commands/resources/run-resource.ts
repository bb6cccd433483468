import { SallyportError } from '@sallyport/sdk';
import { confirm } from '../../control/ask.js';
import { withApiClient } from '../../control/open-client.js';
import { type OutputFormat, printList, printOne } from '../../control/output.js';
import { progressLine } from '../../control/progress-line.js';
import type { CommonOptions, ResourceCommand, Shown } from './resource-command.js';

/** Runs a command about a resource and prints what it shows. Errors: those of `withApiClient`, of the server, and `confirmation_required`. */
export async function runResource(command: ResourceCommand, args: readonly string[], options: CommonOptions): Promise<number> {
  const progress = progressLine(process.stderr);
  const shown = await withApiClient(
    options,
    options.service ?? 'admin-api',
    (client) =>
      command
        .run({
          client,
          args,
          options: options as never,
          confirm: async (question) => {
            if (options.yes !== true) await requireYes(question);
          },
          progress: (text) => progress.show(text),
        })
        .finally(() => progress.end()),
    command.alsoFor?.(options as never),
  );
  return print(shown, options.output);
}

async function requireYes(question: string): Promise<void> {
  const answer = await confirm(question);
  if (answer === 'yes') return;
  const detail = answer === 'no' ? 'It was not confirmed; nothing was done.' : 'Nobody can be asked here whether this is meant; nothing was done.';
  throw new SallyportError('confirmation_required', { detail });
}

function print(shown: Shown, format: OutputFormat): number {
  switch (shown.kind) {
    case 'list':
      printList(shown.items as readonly never[], shown.columns, format, shown.empty);
      if (shown.more === true) process.stderr.write(`There are more; --limit ${shown.items.length * 10} or --all shows them.\n`);
      return 0;
    case 'one':
      printOne({ ...shown.value }, format);
      return 0;
    case 'text':
      if (format === 'table') process.stdout.write(`${shown.text}\n`);
      else printOne({ ...shown.value }, format);
      return shown.code ?? 0;
    case 'done':
      process.stderr.write(`${shown.sentence}\n`);
      return 0;
  }
}
