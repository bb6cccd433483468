import { describe, expect, test } from 'vitest';
import { control, controlOf, expectProblems, parsed } from './control-problems.test.support.js';

const PAIR = 'cert: /dev/null, key: /dev/null';
const pub = (keys: string): string => control(`services: { public: { ${keys} } }`);
const at = (key: string): string => `services.public.${key}`;

describe('a service', () => {
  test.each([
    ['of an unknown name', control('services: { ‸admin_apis: {} }'), [['services.admin_apis', 'did you mean "admin_api"']]],
    ['with half a pair', pub('tls: { cert: ‸/dev/null }'), [[at('tls.cert'), 'needs key: both or none']]],
    ['with the other half', pub('tls: { key: ‸/dev/null }'), [[at('tls.key'), 'needs cert: both or none']]],
    ['with no certificate', pub('‸tls: {}'), [[at('tls'), 'expected exactly one of cert with key, self_signed and acme']]],
    ['with two', pub(`‸tls: { ${PAIR}, self_signed: {} }`), [[at('tls'), 'expected exactly one of']]],
    ['with a file that is not there', pub('tls: { cert: ‸a.pem, key: /dev/null }'), [[at('tls.cert'), 'cannot be read (ENOENT)']]],
    [
      'whose terms nobody accepted',
      pub('tls: { ‸acme: { email: me@a.example, hosts: [a.example] } }'),
      [[at('tls.acme.accept_tos'), 'the terms of service']],
    ],
    [
      'whose terms were refused',
      pub('tls: { acme: { email: me@a.example, hosts: [a.example], accept_tos: ‸false } }'),
      [[at('tls.acme.accept_tos'), 'expected true']],
    ],
    [
      'with a certificate for another host',
      pub('base_url: https://b.example, tls: { acme: { email: me@a.example, hosts: ‸[a.example], accept_tos: true } }').replace(
        'hosts: ‸',
        '‸hosts: ',
      ),
      [[at('tls.acme.hosts'), 'b.example of base_url is not among them']],
    ],
    ['with TLS and a URL without', pub(`base_url: ‸http://a.example, tls: { ${PAIR} }`), [[at('base_url'), 'begins with https://']]],
    ['with a path in its URL', pub('base_url: ‸https://a.example/x'), [[at('base_url'), 'without a path']]],
    ['with a password in its URL', pub('base_url: ‸https://me:you@a.example'), [[at('base_url'), 'without a path']]],
    ['beyond loopback without a URL', pub('host: ‸0.0.0.0'), [[at('host'), 'say under which URL with base_url']]],
    ['whose cookie no browser takes', pub('cookie: { same_site: ‸none }'), [[at('cookie.same_site'), 'over https alone']]],
    ['with a cookie for elsewhere', pub('base_url: https://a.example, cookie: { domain: ‸b.example }'), [[at('cookie.domain'), 'is not below it']]],
    [
      'with a cookie for half a label',
      pub('base_url: https://xa.example, cookie: { domain: ‸a.example }'),
      [[at('cookie.domain'), 'is not below it']],
    ],
    ['open to every page', pub('cors: { allowed_origins: [‸"*"] }'), [[at('cors.allowed_origins[0]'), 'every web site']]],
    ['open to what is no origin', pub('cors: { allowed_origins: [‸app.example] }'), [[at('cors.allowed_origins[0]'), '']]],
    ['that believes no network', pub('trusted_proxies: [‸balancer]'), [[at('trusted_proxies[0]'), 'is not a network']]],
    ['whose sessions idle longer than they live', pub('session_timeout: ‸13h'), [[at('session_timeout'), 'is longer than session_lifetime']]],
    ['on the port of another', control('services: { api: { port: ‸8080 } }'), [['services.api.port', 'the service public has this address already']]],
    [
      'with the health of another',
      control('services: { public: { health_port: ‸8081 } }'.replace('health_port: ‸8081 } }', 'health_port: 8081 }, api: { port: ‸8081 } }')),
      [['services.api.port', 'the service public has']],
    ],
    [
      'with sessions where there are none',
      control('services: { worker: { ‸session_timeout: 1h } }'),
      [['services.worker.session_timeout', 'unknown key here']],
    ],
  ] as const)('%s is refused', (_, text, expected) => {
    expectProblems(text, expected);
  });

  test('may answer for its health where it answers everything', () => {
    expect(controlOf(pub('health_port: 8080')).services.public.health_port).toBe(8_080);
  });

  test('may be behind a balancer that speaks TLS', () => {
    const { control: config, warnings } = parsed(
      pub('host: 0.0.0.0, base_url: "https://a.example/", cookie: { domain: example, same_site: none }, trusted_proxies: [10.0.0.0/8]'),
    );
    expect(config?.services.public).toMatchObject({ base_url: 'https://a.example', cookie: { domain: 'example', same_site: 'none' } });
    expect(warnings).toEqual([]);
  });

  test('that others reach in the clear, and one that believes everybody, are doubtful', () => {
    const { warnings } = parsed(
      control(
        'services:',
        '  api: { host: 0.0.0.0 }',
        '  public: { host: 0.0.0.0, base_url: "http://a.example", trusted_proxies: [10.0.0.0/8, 0.0.0.0/0] }',
      ),
    );
    expect(warnings.map(({ line, key }) => [line, key])).toEqual([
      [3, 'control.services.api.host'],
      [4, 'control.services.public.host'],
      [4, 'control.services.public.trusted_proxies[1]'],
    ]);
  });

  test('on this machine is not, whatever it is called', () => {
    expect(parsed(pub('host: 0.0.0.0, base_url: "http://localhost:8080"')).warnings).toEqual([]);
  });
});
