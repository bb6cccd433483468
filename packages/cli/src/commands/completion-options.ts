import type { DocumentedCommand } from '../documented-command.js';

/** The shells that there is a completion for. */
type Shell = 'bash' | 'zsh' | 'fish';

/** Adds `sallyport completion`. `done` takes the exit code. */
export function addCompletion(program: DocumentedCommand, done: (code: number) => void): void {
  const completion = program
    .command('completion')
    .summary('complete commands and options in your shell')
    .description('Prints a script that has your shell complete the commands, options and choices of this version.');
  for (const [shell, example] of Object.entries(examples) as [Shell, string][]) {
    completion
      .command(shell)
      .summary(`for ${shell}`)
      .description(`Prints the script for ${shell}.`)
      .withExamples(example)
      .action(async () => {
        const { printCompletion } = await import('./completion.js');
        done(printCompletion(program, shell));
      });
  }
}

const examples: Readonly<Record<Shell, string>> = {
  bash: 'source <(sallyport completion bash)',
  zsh: 'source <(sallyport completion zsh)',
  fish: 'sallyport completion fish > ~/.config/fish/completions/sallyport.fish',
};
