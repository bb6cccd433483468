import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { Secret } from '@sallyport/sdk';

/** Whether somebody sits there who can be asked. Questions go to standard error: standard output belongs to the result. */
export function canAsk(): boolean {
  return process.stdin.isTTY === true && process.stderr.isTTY === true;
}

/** Asks for a line; an empty one is the suggestion. Rejects when the input ends or Ctrl-C is pressed. */
export async function ask(question: string, suggestion?: string): Promise<string> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await lines.question(`${question}${suggestion === undefined ? '' : ` [${suggestion}]`}: `, { signal: endOf(lines) });
    return answer.trim() || (suggestion ?? '');
  } finally {
    lines.close();
  }
}

/** Asks for a line that is not shown. Rejects as `ask` does. */
export async function askSecret(question: string): Promise<Secret> {
  // The echo is written by readline itself, into this.
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: nowhere, terminal: true });
  process.stderr.write(`${question}: `);
  try {
    return new Secret(await lines.question('', { signal: endOf(lines) }));
  } finally {
    lines.close();
    process.stderr.write('\n');
  }
}

function endOf(lines: ReturnType<typeof createInterface>): AbortSignal {
  const end = new AbortController();
  lines.once('close', () => end.abort());
  lines.once('SIGINT', () => lines.close());
  return end.signal;
}

/** Asks whether something is to be done: only `y` and `yes` mean yes. `unasked` where nobody can be asked. */
export async function confirm(question: string): Promise<'yes' | 'no' | 'unasked'> {
  if (!canAsk()) return 'unasked';
  return /^y(?:es)?$/i.test(await ask(`${question} [y/N]`)) ? 'yes' : 'no';
}
