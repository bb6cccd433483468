import { SallyportError } from '@sallyport/sdk';
import { z } from 'zod';
import { parseAllowListKey, parseAllowListPath } from '../../policy/allow-list-key.js';
import { parsedText } from './values.js';

/** Path patterns by host key; at least one key. What comes out compiles. */
export function allowListSchema() {
  return z
    .record(z.string().superRefine(checkKey), z.array(parsedText('a path pattern', parseAllowListPath)))
    .superRefine((entries, issues) => {
      const keys = Object.keys(entries);
      if (keys.length === 0) issues.addIssue({ code: 'custom', message: 'expected at least one host; leave the key out to have no allow-list' });
      const seen = new Map<string, string>();
      for (const key of keys) {
        const { text } = parseAllowListKey(key);
        const earlier = seen.get(text);
        if (earlier === undefined) seen.set(text, key);
        else
          issues.addIssue({
            code: 'custom',
            path: [key],
            message: `this is the same host as ${JSON.stringify(earlier)} above; put all paths under one key`,
          });
      }
    })
    .describe(
      'Paths by host, as in `"*.example.com": [/v1/**]`. A `*` is exactly one label or segment, a `**` any number; without a port the default one of ' +
        'the scheme. What no rule decides may go out when any key that fits lists its path; an empty list denies its host.',
    );
}

function checkKey(key: string, issues: { addIssue(issue: { code: 'custom'; message: string }): void }): void {
  try {
    parseAllowListKey(key);
  } catch (error) {
    if (!(error instanceof SallyportError)) throw error;
    issues.addIssue({ code: 'custom', message: error.message });
  }
}
