import { vi } from 'vitest';

/** A command that runs in this process, with what it has printed so far. */
export interface Printed {
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** Resolves with the first match in standard error, now or later. */
  said(pattern: RegExp): Promise<RegExpExecArray>;
  restore(): void;
}

/** Takes what is printed from now on instead of the terminal. */
export function capture(): Printed {
  let [stdout, stderr] = ['', ''];
  const waiting: (() => void)[] = [];
  const taken = (keep: (text: string) => void) =>
    ((text: string | Uint8Array, ...rest: unknown[]) => {
      keep(String(text));
      for (const look of waiting.splice(0)) look();
      const last = rest.at(-1);
      if (typeof last === 'function') (last as () => void)();
      return true;
    }) as typeof process.stdout.write;
  const spies = [
    vi.spyOn(process.stdout, 'write').mockImplementation(
      taken((text) => {
        stdout += text;
      }),
    ),
    vi.spyOn(process.stderr, 'write').mockImplementation(
      taken((text) => {
        stderr += text;
      }),
    ),
  ];
  return {
    stdout: () => stdout,
    stderr: () => stderr,
    said: (pattern) =>
      new Promise((resolve) => {
        const look = (): void => {
          const found = pattern.exec(stderr);
          if (found === null) waiting.push(look);
          else resolve(found);
        };
        look();
      }),
    restore: () => {
      for (const spy of spies) spy.mockRestore();
    },
  };
}
