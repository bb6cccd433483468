import { SallyportError } from '@sallyport/sdk';

/** Whether the gateway should be sent requests, and what speaks against it. */
export interface ReadinessReport {
  readonly state: 'starting' | 'ready' | 'draining';
  /** Checks that fail at the moment, by name, each with a sentence for people. No secrets: anybody who reaches the listener can read them. */
  readonly failing: readonly { readonly name: string; readonly detail: string }[];
}

const SENTENCES = {
  starting: 'The gateway is starting.',
  ready: 'The gateway is running.',
  draining: 'The gateway is finishing what is in flight before it stops.',
} as const;

/** The reason not to send requests as an error of status 503 with the members `state` and `failing`; null when there is none. */
export function unreadiness({ state, failing }: ReadinessReport): SallyportError | null {
  if (state === 'ready' && failing.length === 0) return null;
  const details = failing.map(({ name, detail }) => `${name}: ${detail}`);
  return new SallyportError('not_ready', {
    detail: [SENTENCES[state], ...details].join(' '),
    hint: 'Ask again until the answer is 200; the members say what is being waited for.',
    members: { state, failing },
  });
}
