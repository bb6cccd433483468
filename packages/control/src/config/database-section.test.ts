import { Secret } from '@sallyport/sdk';
import fc from 'fast-check';
import pg from 'pg';
import { describe, expect, test } from 'vitest';
import type { DatabaseOptions } from '../database/open-database.js';
import { control, controlOf, expectProblems, parsed } from './control-problems.test.support.js';
import { postgresUrl } from './database-section.js';

const KEY = 'system_auth: { global_key: { env_var: LONG } }';
const postgres = (keys: string): string => control(`database: { provider: postgres, ${keys} }`, KEY);

describe('the database', () => {
  test.each([
    ['without a provider', control('‸database: { path: x }'), [['database.provider', 'expected one of sqlite, postgres']]],
    ['of an unknown kind', control('database: { provider: ‸mysql }'), [['database.provider', 'expected one of sqlite, postgres']]],
    ['with keys of the other', control('database: { provider: sqlite, ‸url: x }'), [['database.url', 'unknown key; known here: provider, path']]],
    ['that syncs how?', control('database: { provider: sqlite, synchronous: ‸off }'), [['database.synchronous', 'expected full or normal']]],
    ['with nothing but its kind', control('‸database: { provider: postgres }', KEY), [['database', 'expected url, or user and database']]],
    [
      'with a url and a part',
      postgres('url: "postgres://me@localhost/x", ‸port: 5432'.replace('‸port: ', 'port: ‸')),
      [['database.port', 'cannot stand beside url']],
    ],
    ['with another url', postgres('url: ‸"mysql://me@localhost/x"'), [['database.url', 'expected a URL such as postgres://']]],
    ['beyond loopback in silence', postgres('url: ‸"postgres://me@db.example/x"'), [['database.url', 'says nothing of encryption']]],
    ['whose host says so', postgres('url: ‸"postgres://me@localhost/x?host=10.0.0.1"'), [['database.url', 'says nothing of encryption']]],
    [
      'with an authority that nobody asks',
      postgres('user: a, database: b, ca: ‸/dev/null'),
      [['database.ca', 'is not looked at with sslmode disable']],
    ],
    ['with half a verification', postgres('user: a, database: b, sslmode: ‸verify-ca'), [['database.sslmode', 'needs ca']]],
    ['with a host that is none', postgres('user: a, database: b, host: ‸"a/b"'), [['database.host', 'expected a host name']]],
    ['with a name that a URL cannot hold', postgres('user: a, database: ‸"a/b"'), [['database.database', 'expected letters']]],
    ['without a connection', postgres('user: a, database: b, max_connections: ‸0'), [['database.max_connections', 'from 1 to']]],
    ['with an empty password', postgres('user: a, database: b, password: ‸""'), [['database.password', 'the password is empty']]],
  ] as const)('%s is refused', (_, text, expected) => {
    expectProblems(text, expected);
  });

  test.each([
    ['this machine', 'user: me, database: x', 'sslmode=disable'],
    ['a socket', 'user: me, database: x, host: /run/postgresql', 'sslmode=disable'],
    ['another machine', 'user: me, database: x, host: db.example', 'sslmode=verify-full'],
  ])('%s is reached with what fits it', (_, keys, expected) => {
    const { database } = controlOf(postgres(keys));
    expect(urlOf(database)).toContain(expected);
  });

  test('encryption without verification is doubtful', () => {
    const { warnings } = parsed(postgres('user: me, database: x, host: db.example, sslmode: require'));
    expect(warnings.map(({ key, message }) => [key, message])).toEqual([
      ['control.database.sslmode', expect.stringContaining('without looking who')],
    ]);
    expect(parsed(postgres('url: "postgres://me@db.example/x?sslmode=disable"')).warnings).toEqual([]);
  });
});

function urlOf(database: DatabaseOptions): string {
  return database.provider === 'postgres' ? (database.url as Secret).reveal() : '';
}

test('the driver reads from the URL what stood in the parts', () => {
  const word = fc.string({ minLength: 1, maxLength: 30, unit: 'binary' }).filter((text) => !/[\0-\x1f\x7f]/.test(text) && text.isWellFormed());
  const host = fc.constantFrom('localhost', 'db.example', '10.0.0.1', '::1', '/run/postgresql', '/run/a b');
  const database = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.$-]{0,62}$/);
  fc.assert(
    fc.property(host, fc.integer({ min: 1, max: 65_535 }), word, word, database, (at, port, user, password, name) => {
      const url = postgresUrl({ host: at, port, user, password: new Secret(password), database: name, sslmode: 'disable', ca: null }).reveal();
      expect(URL.canParse(url)).toBe(true);
      const { connectionParameters: read } = new pg.Client({ connectionString: url }) as unknown as { connectionParameters: pg.ClientConfig };
      expect([read.host, read.port, read.user, read.password, read.database]).toEqual([at, port, user, password, name]);
    }),
  );
});
