import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { type RawClient, rawClient } from '../../testing/raw-client.test.support.js';
import { echoed, plainScene, problem, type Scene, stopEverything } from '../../testing/scene.test.support.js';
import { echo } from '../../testing/scripted-upstream.test.support.js';
import { temporaryDirectory } from '../../testing/temporary-directory.test.support.js';
import { type ClientAuthority, clientAuthority, type Issued } from './client-authority.test.support.js';
import { call, mutualScene } from './mutual-scene.test.support.js';

afterEach(stopEverything);

const CALLERS = `callers:
  here: { loopback: true, credentials: all }
  web: { certificate: { san: "uri:spiffe://acme.example/web" } }
  named: { certificate: { subject: "CN=client" } }
  token: { token: a-token-that-is-alone }`;

/** A plain sidecar that trusts this machine to be its balancer. */
async function behind(further = '', proxies = '127.0.0.1'): Promise<{ scene: Scene; client: RawClient }> {
  const listener = `listeners: { sidecar: { port: 0, insecure_targets: true, trusted_proxies: ["${proxies}"]${further} }, ops: { port: 0 } }`;
  const scene = await plainScene(echo, `${listener}\n${CALLERS}`);
  return { scene, client: await rawClient(scene.gateway.sidecar) };
}

/** With authorities to verify against. */
async function verifying(header: string): Promise<{ scene: Scene; client: RawClient; clients: ClientAuthority }> {
  const clients = await clientAuthority('Clients');
  const ca = join(await temporaryDirectory(), 'ca.crt');
  await writeFile(ca, clients.cert);
  return { ...(await behind(`, forwarded_certificate: { header: ${header}, ca: ${JSON.stringify(ca)} }`)), clients };
}

const envoy = ({ cert }: Pick<Issued, 'cert'>): string => `X-Forwarded-Client-Cert: Cert="${encodeURIComponent(cert)}"`;
const bytes = ({ x509 }: Issued): string => `:${x509.raw.toString('base64')}:`;

describe('behind a balancer that tells what it verified', () => {
  test('the nearest element says who the caller is, and nothing of it goes upstream', async () => {
    const { scene, client } = await behind();
    const response = await call(client, scene, [
      'X-Forwarded-Client-Cert: By=spiffe://lb;URI=spiffe://acme.example/other',
      'X-Forwarded-Client-Cert: URI=spiffe://acme.example/admin,By=spiffe://lb;Hash=00;Subject="CN=x";URI=spiffe://acme.example/web',
      'Client-Cert: :AAAA:',
    ]);
    expect(response.status).toBe(200);
    expect(echoed(response).lines.filter((line) => /client-cert/i.test(line))).toEqual([]);
    expect(await scene.gateway.recorded(1)).toMatchObject({ caller: { name: 'web', kind: 'certificate' } });
  });

  test('each request on the shared connection is somebody of its own', async () => {
    const { scene, client } = await behind();
    const who = async (...lines: string[]) => {
      const { status } = await call(client, scene, lines);
      return status === 200 ? scene.gateway.exchanges.at(-1)?.caller?.name : scene.gateway.exchanges.at(-1)?.error;
    };
    expect(await who('X-Forwarded-Client-Cert: URI=spiffe://acme.example/web')).toBe('web');
    expect(await who('X-Forwarded-Client-Cert: Subject="CN=client"')).toBe('named');
    expect(await who('X-Forwarded-Client-Cert: URI=spiffe://acme.example/other')).toBe('client_certificate_unknown');
    // Not the loopback caller, although the balancer is on this machine.
    expect(await who()).toBe('client_certificate_required');
    expect(await who('X-Sallyport-Token: a-token-that-is-alone')).toBe('client_certificate_required');
    expect(await who('X-Forwarded-Client-Cert: URI=spiffe://acme.example/web')).toBe('web');
  });

  test.each([
    ['an element that is never closed, to swallow what the balancer adds', 'Subject="evil,By=spiffe://lb;Subject="CN=client"'],
    ['a quotation mark that the balancer would close', 'URI=spiffe://acme.example/web;Subject=",By=spiffe://lb;Hash=00;Subject="CN=x"'],
    ['two subjects', 'Subject="CN=client";Subject="CN=x"'],
    ['no key', 'CN=client'.replace('=', ' ')],
    ['an empty element at the end', 'URI=spiffe://acme.example/web,'],
    ['nothing', ''],
  ])('refuses %s', async (_, value) => {
    const { scene, client } = await behind();
    expect((await call(client, scene, [`X-Forwarded-Client-Cert: ${value}`])).field('X-Sallyport-Error')).toBe('client_certificate_malformed');
  });

  test.each(['By=spiffe://lb', 'Cert=""', 'Hash=;Subject="";URI=', 'Subject="not a name"'])(
    'a header that tells of nobody is no certificate: %s',
    async (value) => {
      const listener = 'listeners: { sidecar: { port: 0, insecure_targets: true, trusted_proxies: ["127.0.0.1"] }, ops: { port: 0 } }';
      const scene = await plainScene(echo, `${listener}\ncallers: { anyone: { certificate: any } }`);
      const client = await rawClient(scene.gateway.sidecar);
      expect((await call(client, scene, [`X-Forwarded-Client-Cert: Hash=${'ab'.repeat(32)}`])).status).toBe(200);
      expect(problem(await call(client, scene, [`X-Forwarded-Client-Cert: ${value}`])).code).toBe('client_certificate_required');
    },
  );

  test('serves nobody else, whatever they send', async () => {
    const { scene, client } = await behind('', '10.0.0.0/8');
    for (const lines of [[], ['X-Forwarded-Client-Cert: URI=spiffe://acme.example/web'], ['X-Sallyport-Token: a-token-that-is-alone']]) {
      const response = await call(client, scene, lines);
      expect(response.status).toBe(403);
      expect(problem(response).code).toBe('proxy_untrusted');
    }
    expect(scene.upstream.requests).toHaveLength(0);
  });

  test('the other header is not read', async () => {
    const { scene, client } = await behind(', forwarded_certificate: { header: Client-Cert }');
    const response = await call(client, scene, ['X-Forwarded-Client-Cert: URI=spiffe://acme.example/web']);
    expect(problem(response).code).toBe('client_certificate_required');
  });
});

describe('behind a balancer that passes the certificate on', () => {
  test('it is verified again, with what was sent along', async () => {
    const { scene, client, clients } = await verifying('X-Forwarded-Client-Cert');
    const middle = await clients.intermediate('Middle');
    const leaf = await middle.issue();
    const ask = async (...lines: string[]) => {
      const response = await call(client, scene, lines);
      return response.status === 200 ? 200 : problem(response).code;
    };
    expect(await ask(envoy(await clients.issue()))).toBe(200);
    expect(await ask(envoy(leaf))).toBe('client_certificate_unacceptable');
    expect(await ask(`${envoy(leaf)};Chain="${encodeURIComponent(leaf.cert + middle.cert)}"`)).toBe(200);
    expect(await ask(envoy(await (await clientAuthority('Clients')).issue()))).toBe('client_certificate_unacceptable');
    expect(await ask(envoy(await clients.issue({ until: -60_000 })))).toBe('client_certificate_unacceptable');
    expect(await ask('X-Forwarded-Client-Cert: Subject="CN=client"')).toBe('client_certificate_required');
    // What it says beside the certificate counts for nothing.
    expect(await ask(`${envoy(await clients.issue({ subject: [{ CN: ['x'] }] }))};Subject="CN=client"`)).toBe('client_certificate_unknown');
    expect(await ask(`${envoy(await clients.issue())};Hash=${'0'.repeat(64)}`)).toBe('client_certificate_malformed');
    expect(await ask('X-Forwarded-Client-Cert: Cert="%ZZ"')).toBe('client_certificate_malformed');
    expect(await ask('X-Forwarded-Client-Cert: Cert="abc"')).toBe('client_certificate_malformed');
  });

  test('in the header of RFC 9440, which may be there only once', async () => {
    const { scene, client, clients } = await verifying('Client-Cert');
    const middle = await clients.intermediate('Middle');
    const leaf = await middle.issue();
    const ask = async (...lines: string[]) => {
      const response = await call(client, scene, lines);
      return response.status === 200 ? echoed(response).lines.filter((line) => /^client-cert/i.test(line)) : problem(response).code;
    };
    expect(await ask(`Client-Cert: ${bytes(await clients.issue())}`)).toEqual([]);
    expect(await ask(`Client-Cert: ${bytes(leaf)}`)).toBe('client_certificate_unacceptable');
    expect(await ask(`Client-Cert: ${bytes(leaf)}`, `Client-Cert-Chain: ${bytes(middle)}, ${bytes(clients)}`)).toEqual([]);
    expect(await ask(`Client-Cert: ${bytes(leaf)}`, `Client-Cert: ${bytes(await clients.issue())}`)).toBe('client_certificate_malformed');
    expect(await ask('Client-Cert: AAAA')).toBe('client_certificate_malformed');
    expect(await ask('Client-Cert: :AAAA:')).toBe('client_certificate_malformed');
  });
});

test('a listener without balancers ignores the header', async () => {
  const scene = await mutualScene();
  const client = await scene.client(await scene.clients.issue());
  expect((await call(client, scene, ['X-Forwarded-Client-Cert: nonsense"'])).status).toBe(200);
  client.close();
});
