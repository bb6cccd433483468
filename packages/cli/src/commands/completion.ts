import type { DocumentedCommand } from '../documented-command.js';
import { bashCompletion } from './completion-bash.js';
import { fishCompletion } from './completion-fish.js';
import { completionTables } from './completion-tables.js';
import { zshCompletion } from './completion-zsh.js';

const scripts = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } as const;

/** `sallyport completion SHELL`: the script on standard output. */
export function printCompletion(program: DocumentedCommand, shell: keyof typeof scripts): number {
  process.stdout.write(scripts[shell](completionTables(program)));
  return 0;
}
