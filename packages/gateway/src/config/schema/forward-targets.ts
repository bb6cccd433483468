import { z } from 'zod';
import { isFieldValue } from '../../wire/head-writer.js';
import { duration, flag, name, secretValue, text, type ValueContext } from './values.js';

/** The forward targets by name: upstreams of the operator's own that routes can lead to. */
export function forwardTargetsSchema(context: ValueContext) {
  return z
    .record(
      name,
      z
        .strictObject({
          url: text('an https:// URL').describe('Where every call that is routed here goes, with path and query as they stand.'),
          timeout: duration().prefault('30s').describe('How long it may take until the head of the response is there.'),
          auth: authSchema(context).prefault({ type: 'none' }),
          insecure: flag().prefault(false).describe('Whether the URL may be http://.'),
        })
        .superRefine(({ url, insecure }, issues) => {
          const fault = urlFault(url, insecure);
          if (fault !== null) issues.addIssue({ code: 'custom', path: ['url'], message: fault });
        }),
    )
    .prefault({})
    .describe('Upstreams of your own that a route can lead to instead of the vendor, by name.');
}

function authSchema(context: ValueContext) {
  return z
    .discriminatedUnion('type', [
      z.strictObject({ type: z.literal('none').describe('Nothing is added.') }),
      z.strictObject({
        type: z.literal('bearer').describe('A bearer token in the Authorization header.'),
        token: secretValue(context, 'a token', (token) => {
          if (token === '') return 'the token is empty';
          return isFieldValue(token) ? null : 'the token holds a character that a header cannot carry';
        }).describe('The token.'),
      }),
    ])
    .describe('How the gateway says who it is.');
}

function urlFault(written: string, insecure: boolean): string | null {
  const url = URL.canParse(written) ? new URL(written) : null;
  // `https:///x` is read as if it were `https://x`.
  if (url === null || (/^https?:$/.test(url.protocol) && !/^https?:\/\/[^/?#\\]/i.test(written)))
    return 'expected an absolute URL such as https://router.example.com/in';
  if (url.username !== '' || url.password !== '') return 'a URL with a user name or a password; use auth instead';
  if (url.hash !== '') return 'a URL with a fragment, which is never sent';
  if (url.protocol === 'https:' || (insecure && url.protocol === 'http:')) return null;
  return url.protocol === 'http:' ? 'expected https://; http:// needs insecure: true' : 'expected https://';
}
