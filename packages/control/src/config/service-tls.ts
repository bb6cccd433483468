import { configValues, type ValueContext } from '@sallyport/gateway';
import { z } from 'zod';
import type { ServerTlsConfig } from '../server/tls/server-tls.js';
import { withoutUndefined } from './accepted.js';
import { secureUrl } from './urls.js';

const { duration, integer, path, readableFile, secretValue, text, value } = configValues;

const HOST = /^(?=.{1,253}$)(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/;
const MAIL = /^[^\s@,?]{1,64}@[^\s@,?]{1,255}$/;
const MOST_HOSTS = 100;
const LONGEST_RENEWAL = 365 * 86_400_000;

/** How a service comes to its certificate: files, one of its own for development, or ACME. */
export function serviceTls(context: ValueContext) {
  return z
    .strictObject({
      cert: readableFile(context).optional().describe('PEM file with the certificate and its chain; read again when it changes.'),
      key: readableFile(context).optional().describe('PEM file with the private key of the certificate.'),
      self_signed: selfSignedSchema(context).optional().describe('A certificate of its own, for development.'),
      acme: acmeSchema(context).optional().describe('Certificates from Let’s Encrypt or another authority that speaks ACME.'),
    })
    .transform(({ cert, key, self_signed, acme }, issues): ServerTlsConfig => {
      const kinds = [cert ?? key, self_signed, acme].filter((kind) => kind !== undefined).length;
      if (kinds !== 1) issues.addIssue({ code: 'custom', message: 'expected exactly one of cert with key, self_signed and acme' });
      else if (cert === undefined && key !== undefined) issues.addIssue({ code: 'custom', path: ['key'], message: 'needs cert: both or none' });
      else if (cert !== undefined && key === undefined) issues.addIssue({ code: 'custom', path: ['cert'], message: 'needs key: both or none' });
      if (acme !== undefined) return { acme };
      return self_signed === undefined ? withoutUndefined({ cert, key }) : { self_signed };
    });
}

function selfSignedSchema(context: ValueContext) {
  return z
    .strictObject({
      dir: path(context).prefault('~/.sallyport/tls').describe('Directory that the certificate is kept in; made on first start.'),
      domain: text('a host name').optional().describe('A name it holds for besides `localhost` and the loopback addresses.'),
    })
    .transform(withoutUndefined);
}

function acmeSchema(context: ValueContext) {
  return z
    .strictObject({
      directory_url: secureUrl({ loopback: false }).optional().describe('The directory of the authority; that of Let’s Encrypt when left out.'),
      email: text('a mail address').regex(MAIL, 'expected a mail address').describe('Where the authority writes to when something is wrong.'),
      accept_tos: z
        .literal(true, { error: 'expected true: the terms of service of the authority have to be read and accepted' })
        .describe('That the terms of service of the authority were read and accepted: `true`.'),
      hosts: z
        .array(text('a host name').regex(HOST, 'expected a host name such as app.example.com'))
        .min(1, 'expected at least one host name')
        .max(MOST_HOSTS, `is longer than ${MOST_HOSTS}`)
        .describe('The names that certificates are asked for; nobody gets one for another name.'),
      dir: path(context).prefault('~/.sallyport/acme').describe('Directory that the account and the certificates are kept in.'),
      renew_before: duration(LONGEST_RENEWAL).prefault('30d').describe('How long before its end a certificate is renewed.'),
      http_host: text('an IP address').optional().describe('Address of the listener that answers the authority; all addresses when left out.'),
      http_port: integer(1, 65_535).prefault(80).describe('Port of that listener; authorities ask port 80.'),
      eab: z
        .strictObject({
          kid: value(context, 'a key id').describe('The id that the authority gave.'),
          hmac_key: secretValue(context, 'the key', (key) =>
            /^[A-Za-z0-9_-]{16,512}={0,2}$/.test(key) ? null : 'expected the key as the authority gave it, in base64url',
          ).describe('The key that the authority gave with it.'),
        })
        .optional()
        .describe('Binds the account to one that the authority knows already.'),
      ca: readableFile(context).optional().describe('PEM file with the authorities of the ACME server itself; those of the system when left out.'),
    })
    .transform(withoutUndefined);
}
