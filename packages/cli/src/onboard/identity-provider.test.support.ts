import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import Provider, { type Configuration } from 'oidc-provider';

/** A real OpenID Connect server on loopback. */
export interface IdentityProvider {
  readonly issuer: string;
  close(): Promise<void>;
}

/** A secret that is worth looking for in what is printed. */
export const clientSecret = 'a-client-secret-for-tests';

const redirect_uris = ['http://127.0.0.1/callback'];
const grant_types = ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'];

/** Clients: `public` without a secret, `posting` and `basic`, which send theirs in the form or in the header. */
export async function startIdentityProvider(): Promise<IdentityProvider> {
  const server = createServer();
  await listening(server);
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const common = { redirect_uris, grant_types, response_types: ['code' as const], application_type: 'native' as const };
  const configuration: Configuration = {
    clients: [
      { ...common, client_id: 'public', token_endpoint_auth_method: 'none' },
      { ...common, client_id: 'posting', client_secret: clientSecret, token_endpoint_auth_method: 'client_secret_post' },
      { ...common, client_id: 'basic', client_secret: clientSecret, token_endpoint_auth_method: 'client_secret_basic' },
      { ...common, client_id: 'impatient', grant_types: ['authorization_code'], token_endpoint_auth_method: 'none' },
    ],
    scopes: ['openid', 'offline_access', 'read'],
    features: { deviceFlow: { enabled: true } },
    clientBasedCORS: () => false,
    pkce: { required: (_, client) => client.clientId === 'public' },
    cookies: { keys: ['a-key-for-tests'] },
  };
  const provider = new Provider(issuer, configuration);
  const handle = provider.callback();
  server.on('request', (request, response) => void handle(request, response));
  return {
    issuer,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

async function listening(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
}

/**
 * A person with a browser: follows redirects and submits each form (signing in as somebody, consenting) until the server sends it elsewhere, or has
 * nothing more to ask. Answers where it was sent, or null.
 */
export async function consentInBrowser(start: string, { refuse = false }: { refuse?: boolean } = {}): Promise<string | null> {
  const { origin } = new URL(start);
  const cookies = new Map<string, string>();
  let next: { url: string; form?: URLSearchParams } | null = { url: start };
  for (let step = 0; next !== null && step < 30; step += 1) {
    if (new URL(next.url).origin !== origin) return next.url;
    const response: Response = await fetch(next.url, {
      redirect: 'manual',
      headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
      ...(next.form !== undefined && { method: 'POST', body: next.form }),
    });
    for (const cookie of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
      if (value === '') cookies.delete(name);
      else cookies.set(name, value);
    }
    const location = response.headers.get('location');
    const html = await response.text();
    if (location !== null) next = { url: new URL(location, next.url).href };
    else next = refuse ? abortOf(html, next.url) : formOf(html, next.url);
  }
  return null;
}

function abortOf(html: string, base: string): { url: string; form?: URLSearchParams } | null {
  const link = /href="([^"]+\/abort)"/.exec(html)?.[1];
  if (link !== undefined) return { url: new URL(link, base).href };
  const form = formOf(html, base);
  if (form?.form !== undefined && html.includes('name="abort"')) {
    form.form.delete('confirm');
    form.form.set('abort', 'yes');
  }
  return form;
}

function formOf(html: string, base: string): { url: string; form: URLSearchParams } | null {
  const [, attributes = '', inner = ''] = /<form([^>]*)>([\s\S]*?)<\/form>/.exec(html) ?? [];
  const action = /action="([^"]*)"/.exec(attributes)?.[1];
  if (action === undefined) return null;
  const form = new URLSearchParams();
  for (const [input] of inner.matchAll(/<input[^>]*>/g)) {
    const name = /name="([^"]+)"/.exec(input)?.[1];
    if (name !== undefined) form.set(name, /value="([^"]*)"/.exec(input)?.[1] ?? 'somebody');
  }
  return { url: new URL(action, base).href, form };
}
