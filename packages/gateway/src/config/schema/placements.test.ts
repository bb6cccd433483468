import { describe, test } from 'vitest';
import { expectProblems, FORWARD, gateway } from '../expected-problems.test.support.js';

const placement = (place: string): string =>
  gateway(FORWARD, 'credentials:', '  one:', '    source: { type: env, var: X }', `    bind: [{ hosts: [a.example], place: ${place} }]`);

describe('placements', () => {
  const PLACE = 'gateway.credentials.one.bind[0].place';
  test.each([
    ['a text', '‸Authorization', [[PLACE, 'expected a placement or a list of placements']]],
    ['an empty map', '{}', [[PLACE, 'expected exactly one of header, basic and query']]],
    ['an empty list', '[]', [[PLACE, 'expected at least one placement']]],
    ['two at once', '{ header: X-Key, query: key }', [[PLACE, 'expected exactly one of header, basic and query']]],
    ['a misspelled key', '{ ‸heder: X-Key }', [[`${PLACE}.heder`, 'unknown key, did you mean "header"?']]],
    ['a misspelled key in a list', '[{ query: a }, { ‸heder: X-Key }]', [[`${PLACE}[1].heder`, 'unknown key, did you mean "header"?']]],
    ['a header name that is no token', '{ header: ‸"X Key" }', [[`${PLACE}.header`, 'expected a header name']]],
    ['a format without the secret', '{ header: X-Key, format: ‸Bearer }', [[`${PLACE}.format`, 'holds neither {secret} nor {secret.FIELD}']]],
    [
      'a format with something else in braces',
      '{ header: X-Key, format: ‸"{secret} {user}" }',
      [[`${PLACE}.format`, 'only {secret} and {secret.FIELD}']],
    ],
    ['a format with a line break', '{ header: X-Key, format: ‸"{secret}\\n" }', [[`${PLACE}.format`, 'holds a control character']]],
    ['a format beyond ASCII', '{ header: X-Key, format: ‸"{secret}é" }', [[`${PLACE}.format`, 'outside printable ASCII']]],
    ['a format without a header', '{ query: key, format: ‸"{secret}" }', [[`${PLACE}.format`, 'format goes with header only']]],
    ['a user name with a colon', '{ basic: { username: ‸"a:b" } }', [[`${PLACE}.basic.username`, 'neither a colon nor a control character']]],
    ['basic without a user name', '{ ‸basic: {} }', [[`${PLACE}.basic.username`, 'is required']]],
    ['one header twice', '[{ header: X-Key }, ‸{ header: x-key }]', [[`${PLACE}[1]`, 'already fills the same place']]],
    ['basic over a header of its own', '[{ header: authorization }, ‸{ basic: { username: a } }]', [[`${PLACE}[1]`, 'already fills the same place']]],
  ] as const)('%s', (_, place, expected) => {
    const text = placement(place);
    expectProblems(place.includes('‸') ? text : text.replace('place', '‸place'), expected);
  });

  test.each([
    'Host',
    'content-length',
    'Transfer-Encoding',
    'CONNECTION',
    'Upgrade',
    'te',
    'Trailer',
    'Keep-Alive',
    'Proxy-Authorization',
    'proxy-x',
  ])('the header %s belongs to the gateway', (header) => {
    expectProblems(placement(`{ header: ‸${header} }`), [[`${PLACE}.header`, 'frames or routes messages']]);
    expectProblems(gateway(FORWARD, `sanitize: { sensitive_headers: [‸${header}] }`), [
      ['gateway.sanitize.sensitive_headers[0]', 'frames or routes messages'],
    ]);
  });
});
