import { describe, test } from 'vitest';
import { expectProblems, FORWARD, gateway } from '../expected-problems.test.support.js';

const credential = (source: string, bind = '{ hosts: [a.example], place: { query: key } }'): string =>
  gateway(FORWARD, 'credentials:', '  one:', `    source: ${source}`, `    bind: [${bind}]`);

describe('credentials', () => {
  test.each([
    [
      'a name that is none',
      gateway(FORWARD, 'credentials:', '  ‸_x: { source: { type: env, var: X }, bind: [{ hosts: [a.example], place: { query: key } }] }'),
      [['gateway.credentials._x', 'a name starts with']],
    ],
    [
      'no source',
      gateway(FORWARD, 'credentials:', '  ‸one: { bind: [{ hosts: [a.example], place: { query: key } }] }'),
      [['gateway.credentials.one.source', 'is required']],
    ],
    [
      'no type',
      credential('{ ‸var: X }').replace('‸', '').replace('source', '‸source'),
      [['gateway.credentials.one.source.type', 'is required: expected one of env, file, static, process']],
    ],
    [
      'a type that is none',
      credential('{ type: ‸vault, path: x }'),
      [['gateway.credentials.one.source.type', 'expected one of env, file, static, process']],
    ],
    ['a misspelled type key', credential('{ ‸typ: env, var: X }'), [['gateway.credentials.one.source.typ', 'unknown key, did you mean "type"?']]],
    [
      'a misspelled key of a type',
      credential('{ type: env, ‸vra: X }'),
      [['gateway.credentials.one.source.vra', 'unknown key, did you mean "var"?']],
    ],
    [
      'a key of another type',
      credential('{ type: env, var: X, ‸path: x }'),
      [['gateway.credentials.one.source.path', 'unknown key; known here: type, var']],
    ],
    ['an empty static value', credential('{ type: static, value: ‸"" }'), [['gateway.credentials.one.source.value', 'the credential is empty']]],
    [
      'a static value that is a number',
      credential('{ type: static, value: ‸12345 }'),
      [['gateway.credentials.one.source.value', 'expected the credential: a text, {env: NAME} or {file: path}']],
    ],
    [
      'a variable that is not set',
      credential('{ type: static, ‸value: { env: UNSET } }'),
      [['gateway.credentials.one.source.value', 'the environment variable UNSET is not set']],
    ],
    [
      'a file that is not there',
      credential('{ type: static, ‸value: { file: none } }'),
      [['gateway.credentials.one.source.value', 'the file cannot be read (ENOENT)']],
    ],
    [
      'both a variable and a file',
      credential('{ type: static, ‸value: { env: LONG, file: /dev/null } }'),
      [['gateway.credentials.one.source.value', 'expected exactly one of env and file']],
    ],
    [
      'a misspelled env',
      credential('{ type: static, value: { ‸evn: LONG } }'),
      [['gateway.credentials.one.source.value.evn', 'unknown key, did you mean "env"?']],
    ],
    [
      'an empty command',
      credential('{ type: process, ‸command: [] }'),
      [['gateway.credentials.one.source.command', 'expected at least the name of a program']],
    ],
    [
      'a command without a program',
      credential('{ type: process, ‸command: ["", x] }'),
      [['gateway.credentials.one.source.command', 'the name of the program is empty']],
    ],
    ['a command as one text', credential('{ type: process, command: ‸cat x }'), [['gateway.credentials.one.source.command', 'expected a list']]],
    [
      'a time without a unit',
      credential('{ type: process, command: [x], ttl: ‸30 }'),
      [['gateway.credentials.one.source.ttl', 'expected a duration such as']],
    ],
    [
      'no binding',
      gateway(FORWARD, 'credentials:', '  one:', '    source: { type: env, var: X }', '    ‸bind: []'),
      [['gateway.credentials.one.bind', 'expected at least one binding']],
    ],
    [
      'no hosts',
      credential('{ type: env, var: X }', '{ ‸hosts: [], place: { query: key } }'),
      [['gateway.credentials.one.bind[0].hosts', 'expected at least one host']],
    ],
    [
      'a host pattern that is none',
      credential('{ type: env, var: X }', '{ hosts: [a.example, ‸"a*.example"], place: { query: key } }'),
      [['gateway.credentials.one.bind[0].hosts[1]', 'The host pattern']],
    ],
    [
      'no methods',
      credential('{ type: env, var: X }', '{ hosts: [a.example], ‸methods: [], place: { query: key } }'),
      [['gateway.credentials.one.bind[0].methods', 'expected at least one method']],
    ],
    [
      'a method in small letters',
      credential('{ type: env, var: X }', '{ hosts: [a.example], methods: [‸get], place: { query: key } }'),
      [['gateway.credentials.one.bind[0].methods[0]', 'in capital letters']],
    ],
    [
      'a path that is none',
      credential('{ type: env, var: X }', '{ hosts: [a.example], paths: [‸v1], place: { query: key } }'),
      [['gateway.credentials.one.bind[0].paths[0]', 'has to begin with "/"']],
    ],
    [
      'a path that could not match',
      credential('{ type: env, var: X }', '{ hosts: [a.example], paths: [‸/a/../b], place: { query: key } }'),
      [['gateway.credentials.one.bind[0].paths[0]', 'dot segment']],
    ],
    ['no placement', credential('{ type: env, var: X }', '‸{ hosts: [a.example] }'), [['gateway.credentials.one.bind[0].place', 'is required']]],
    [
      'a switch that is neither',
      credential('{ type: env, var: X }', '{ hosts: [a.example], place: { query: key }, plaintext: ‸1 }'),
      [['gateway.credentials.one.bind[0].plaintext', 'expected true or false']],
    ],
  ] as const)('%s', (_, text, expected) => {
    expectProblems(text, expected);
  });
});
