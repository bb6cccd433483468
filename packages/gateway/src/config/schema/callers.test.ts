// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these texts are what the configuration fills in.
import { describe, expect, test } from 'vitest';
import { expectProblems, FORWARD, gateway, problemsOf } from '../expected-problems.test.support.js';

describe('callers', () => {
  test.each([
    ['neither token nor loopback', '‸ci: { credentials: all }', [['gateway.callers.ci', 'expected token, certificate or both of them']]],
    ['both', '‸ci: { token: { env: LONG }, loopback: true }', [['gateway.callers.ci', 'or else loopback']]],
    ['a text', 'ci: ‸xyz', [['gateway.callers.ci', 'expected a map']]],
    ['loopback: false', 'ci: { loopback: ‸false }', [['gateway.callers.ci.loopback', 'expected true']]],
    ['a short token', 'ci: { token: ‸fifteen-letters }', [['gateway.callers.ci.token', 'shorter than 16 characters']]],
    ['a short token from a variable', 'ci: { ‸token: { env: SHORT } }', [['gateway.callers.ci.token', 'shorter than 16 characters']]],
    ['a token that no header can carry', 'ci: { token: ‸"sixteen letters and a space" }', [['gateway.callers.ci.token', 'outside visible ASCII']]],
    ['a token used twice', 'a: { token: { env: LONG } }, b: { token: ‸"${LONG}" }', [['gateway.callers.b.token', 'the caller a has the same token']]],
    [
      'two loopback callers',
      'a: { loopback: true }, b: { loopback: ‸true }',
      [['gateway.callers.b.loopback', 'the caller a is the loopback caller already']],
    ],
    [
      'a credential that is not there',
      'a: { loopback: true, credentials: [github, ‸githb] }',
      [['gateway.callers.a.credentials[1]', 'there is no credential of this name, did you mean "github"?']],
    ],
    [
      'credentials that are one text',
      'a: { loopback: true, credentials: ‸github }',
      [['gateway.callers.a.credentials', 'expected a list of credential names, or all']],
    ],
    ['a certificate on loopback', '‸ci: { certificate: any, loopback: true }', [['gateway.callers.ci', 'or else loopback']]],
    ['some word for certificates', 'ci: { certificate: ‸all }', [['gateway.callers.ci.certificate', 'expected any, or a map']]],
    [
      'a certificate without anything',
      'ci: { ‸certificate: {} }',
      [['gateway.callers.ci.certificate', 'expected at least one of subject, issuer, san and fingerprint']],
    ],
    [
      'a subject that is none',
      'ci: { certificate: { subject: "CN=a,‸platform" } }',
      [['gateway.callers.ci.certificate.subject', 'expected an attribute such as CN']],
    ],
    [
      'a name without a kind',
      'ci: { certificate: { san: [dns:a.b.c, ‸d.e.f] } }',
      [['gateway.callers.ci.certificate.san[1]', 'expected dns:, uri:, ip: or email:']],
    ],
    ['a star for a domain', 'ci: { certificate: { san: ‸"dns:*.com" } }', [['gateway.callers.ci.certificate.san', 'two labels without one']]],
    ['no names', 'ci: { certificate: { ‸san: [] } }', [['gateway.callers.ci.certificate.san', 'expected at least one']]],
    [
      'a fingerprint that is none',
      'ci: { certificate: { fingerprint: ‸"ab:cd" } }',
      [['gateway.callers.ci.certificate.fingerprint', 'expected the SHA-256']],
    ],
    ['a key that is near', 'ci: { certificate: { ‸sans: dns:a.b } }', [['gateway.callers.ci.certificate.sans', 'did you mean "san"?']]],
    [
      'any certificate twice',
      'a: { certificate: any }, b: { certificate: ‸any }',
      [['gateway.callers.b.certificate', 'the caller a names the same certificates']],
    ],
    [
      'one certificate in two lists',
      'a: { certificate: { san: [dns:a.b.c, dns:d.e.f] } }, b: { ‸certificate: { san: "dns:D.E.F" } }',
      [['gateway.callers.b.certificate', 'the caller a names the same certificates']],
    ],
    ['a name that is none', '‸"a b": { loopback: true }', [['gateway.callers["a b"]', 'a name starts with']]],
  ] as const)('%s', (_, callers, expected) => {
    const github = 'credentials: { github: { source: { type: env, var: X }, bind: [{ hosts: [a.example], place: { query: key } }] } }';
    expectProblems(gateway(FORWARD, github, `callers: { ${callers} }`), expected);
  });

  test.each([
    ['any certificate', 'a: { certificate: any }'],
    [
      'every way to name one',
      'a: { certificate: { subject: "CN=a,O=b", issuer: CN=ca, san: ["uri:spiffe://a/**", "ip:10.0.0.1"], fingerprint: sha256:FINGERPRINT } }',
    ],
    ['a token beside it', 'a: { token: { env: LONG }, certificate: any }, b: { certificate: any }'],
    ['the same with another issuer', 'a: { certificate: { san: dns:a.b.c, issuer: CN=x } }, b: { certificate: { san: dns:a.b.c, issuer: CN=y } }'],
  ])('fine: %s', (_, callers) => {
    expect(problemsOf(gateway(FORWARD, `callers: { ${callers.replace('FINGERPRINT', 'ab'.repeat(32))} }`))).toEqual([]);
  });
});
