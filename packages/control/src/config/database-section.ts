import { configValues, isLoopback, type ValueContext } from '@sallyport/gateway';
import { Secret } from '@sallyport/sdk';
import { z } from 'zod';
import type { PostgresOptions, SqliteOptions } from '../database/open-database.js';

const { duration, integer, oneOf, path, readableFile, secretValue, text } = configValues;

const SSL_MODES = ['disable', 'require', 'verify-ca', 'verify-full'] as const;
const DATABASE_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.$-]{0,62}$/;
const LONGEST_URL = 4_096;

/** Where Postgres is, in parts. */
interface PostgresParts {
  /** A name, an address, or the folder of a Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: Secret | null;
  readonly database: string;
  readonly sslmode: (typeof SSL_MODES)[number];
  /** Absolute path of a PEM file. */
  readonly ca: string | null;
}

/** The database: a file of SQLite, or Postgres. What comes out is what `openDatabase` takes. */
export function databaseSection(context: ValueContext) {
  return z
    .discriminatedUnion('provider', [sqliteSchema(context), postgresSchema(context)])
    .prefault({ provider: 'sqlite' })
    .describe('Where the control plane keeps what it knows.');
}

function sqliteSchema(context: ValueContext) {
  return z
    .strictObject({
      provider: z.literal('sqlite').describe('A file, for one machine; several processes may use it.'),
      path: path(context).prefault('~/.sallyport/sallyport.db').describe('The file; made on first start.'),
      synchronous: oneOf(['full', 'normal'])
        .prefault('full')
        .describe('`full`: what was committed survives a power cut. `normal`: faster, and the last moments may be lost in one.'),
      busy_timeout: duration(600_000).prefault('5s').describe('How long a writer waits for one in another process.'),
    })
    .transform(
      ({ busy_timeout, ...rest }): SqliteOptions => ({
        ...rest,
        busyTimeoutMs: busy_timeout,
      }),
    );
}

function postgresSchema(context: ValueContext) {
  return z
    .strictObject({
      provider: z.literal('postgres').describe('A server, for any number of machines.'),
      url: secretValue(context, 'the URL', complaintAboutUrl)
        .optional()
        .describe('`postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full`, in place of the parts below.'),
      host: text('a host').optional().describe('A name, an address, or the folder of a Unix socket; `localhost` when left out.'),
      port: integer(1, 65_535).optional().describe('Port of the server; 5432 when left out.'),
      user: text('a name').optional().describe('Who the control plane is there. Needed without `url`.'),
      password: secretValue(context, 'the password', (password) => (password === '' ? 'the password is empty' : null))
        .optional()
        .describe('The password of that user.'),
      database: text('a name')
        .regex(DATABASE_NAME, 'expected letters, digits, "_", ".", "$" and "-"; other names fit into a url')
        .optional()
        .describe('The database. Needed without `url`.'),
      sslmode: oneOf(SSL_MODES)
        .optional()
        .describe(
          '`verify-full` encrypts and verifies who the server is, `verify-ca` verifies its authority alone, `require` nothing; `disable` does not encrypt. `verify-full` when left out, `disable` for loopback addresses and sockets.',
        ),
      ca: readableFile(context).optional().describe('PEM file with the authorities of the server, with `verify-ca` and `verify-full`.'),
      max_connections: integer(1, 1_000).prefault(10).describe('Connections of one process.'),
      connect_timeout: duration(600_000).prefault('10s').describe('How long to wait for a connection.'),
      statement_timeout: duration(86_400_000).prefault('30s').describe('Longer statements are ended.'),
    })
    .transform(({ max_connections, connect_timeout, statement_timeout, url, provider, ...parts }, issues): PostgresOptions => {
      const bounds = { maxConnections: max_connections, connectTimeoutMs: connect_timeout, statementTimeoutMs: statement_timeout };
      if (url !== undefined) {
        for (const [key, part] of Object.entries(parts)) {
          if (part !== undefined) issues.addIssue({ code: 'custom', path: [key], message: 'cannot stand beside url, which says it' });
        }
        return { provider, url, ...bounds };
      }
      const { user, database, host = 'localhost', port = 5432 } = parts;
      const local = host.startsWith('/') || isLoopback(host);
      const { sslmode = local ? 'disable' : 'verify-full', ca = null, password = null } = parts;
      if (user === undefined || database === undefined) {
        issues.addIssue({ code: 'custom', message: 'expected url, or user and database' });
        return { provider, url: '', ...bounds };
      }
      if (!isHost(host)) issues.addIssue({ code: 'custom', path: ['host'], message: 'expected a host name, an address, or an absolute path' });
      if (ca !== null && !sslmode.startsWith('verify-'))
        issues.addIssue({ code: 'custom', path: ['ca'], message: `is not looked at with sslmode ${sslmode}; use verify-full` });
      if (sslmode === 'verify-ca' && ca === null)
        issues.addIssue({ code: 'custom', path: ['sslmode'], message: 'needs ca: any public authority would do otherwise' });
      return { provider, url: postgresUrl({ host, port, user, password, database, sslmode, ca }), ...bounds };
    });
}

/** The parts as the one URL that the driver reads, with the meanings that libpq gives to `sslmode`. */
export function postgresUrl({ host, port, user, password, database, sslmode, ca }: PostgresParts): Secret {
  const socket = host.startsWith('/');
  const name = socket ? 'localhost' : host.includes(':') ? `[${host}]` : host;
  const query = new URLSearchParams({
    sslmode,
    uselibpqcompat: 'true',
    ...(ca === null ? {} : { sslrootcert: ca }),
    ...(socket ? { host } : {}),
  });
  const secret = password === null ? '' : `:${encodeURIComponent(password.reveal())}`;
  return new Secret(`postgres://${encodeURIComponent(user)}${secret}@${name}:${port}/${database}?${query.toString()}`);
}

function isHost(host: string): boolean {
  if (host.startsWith('/')) return true;
  return !/[\s/?#@\\%[\]]/.test(host) && URL.canParse(`postgres://${host.includes(':') ? `[${host}]` : host}/`);
}

/** Says nothing of the URL itself, which holds the password. */
function complaintAboutUrl(written: string): string | null {
  const expected = 'expected a URL such as postgres://USER@HOST/DATABASE; what is not a letter or digit in a password is written %XX';
  if (written.length > LONGEST_URL || !/^postgres(?:ql)?:\/\//.test(written)) return expected;
  const url = URL.parse(written);
  if (url === null) return expected;
  const { searchParams } = url;
  const host = searchParams.get('host') ?? decodeURIComponent(url.hostname);
  const local = host === '' || host.startsWith('/') || isLoopback(host.replace(/^\[(.*)\]$/, '$1'));
  const chosen = ['sslmode', 'ssl', 'sslnegotiation'].some((key) => searchParams.has(key));
  if (!local && !chosen) return 'says nothing of encryption; add ?sslmode=verify-full, or ?sslmode=disable in a network that you trust';
  return null;
}
