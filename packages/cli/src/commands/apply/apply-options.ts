import { InvalidArgumentError } from 'commander';
import { formatOption, withClientOptions } from '../../control/client-options.js';
import type { DocumentedCommand } from '../../documented-command.js';
import type { ApplyOptions } from './apply.js';

/** Adds `sallyport apply` with its options and help. `done` takes the exit code. */
export function addApply(program: DocumentedCommand, done: (code: number) => void): void {
  const command = program
    .command('apply')
    .summary('make namespaces, actors and keys what files say')
    .description(
      'Compares the documents in files with what is there, shows the difference, and makes it so: what others need comes first. What is so already is ' +
        'left alone, so applying twice does nothing the second time. It stops at the first step that fails, and says what is done and what is not. ' +
        'With --plan nothing is changed, and the exit code is 2 when there is something to do and 1 when something is wrong.',
    )
    .option('-f, --filename <path>', 'a file, a directory with those below it, or - for standard input; can be repeated', repeated)
    .option('--plan', 'show what would be done, and do nothing')
    .option('--dry-run', 'the same')
    .option('--set <name>', 'mark what is applied as belonging to this set, by a label', setName)
    .option('--prune', 'delete what belongs to the set and is not in the files any more; asks before')
    .option('-y, --yes', 'delete without asking')
    .option('--schema', 'print the JSON Schema of the documents, and do nothing')
    .addOption(formatOption());
  withClientOptions(command)
    .withExamples(
      'sallyport apply -f access/ --plan',
      'sallyport apply -f access/ --set team-a --prune --yes',
      'sallyport apply --schema > sallyport-apply.schema.json',
    )
    .action(async (options: ApplyOptions) => {
      const { apply } = await import('./apply.js');
      done(await apply(options));
    });
}

function repeated(path: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), path];
}

function setName(text: string): string {
  // It is the value of a label.
  if (/^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/.test(text)) return text;
  throw new InvalidArgumentError('1 to 63 letters, digits, `.`, `_` and `-` are expected, with a letter or a digit at both ends.');
}
