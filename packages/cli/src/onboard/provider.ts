import type { Secret } from '@sallyport/sdk';
import { SallyportError } from '@sallyport/sdk';
import type { AuthorizationServer } from 'oauth4webapi';

/** Everything that is asked of an authorization server, checked. */
export interface Provider {
  readonly server: AuthorizationServer;
  /** Whether `server.issuer` is what the server calls itself; otherwise it is only a name for messages, and nothing is compared with it. */
  readonly issuerKnown: boolean;
  readonly clientId: string;
  /** Null for a public client. */
  readonly clientSecret: Secret | null;
  /** How the secret travels: in the form or in the Authorization header (RFC 6749 §2.3.1). */
  readonly clientAuth: 'post' | 'basic';
  readonly scope: string | null;
  /** Sent with the authorization and the token request (RFC 8707, and Microsoft's first version). */
  readonly resource: string | null;
  /** Further parameters of the authorization request, never of the token request. */
  readonly extra: readonly (readonly [string, string])[];
  readonly pkce: boolean;
  readonly allowHttp: boolean;
}

/** As they may be in the paths of Microsoft: an id or a domain. */
const TENANT = /^[a-zA-Z0-9][a-zA-Z0-9.-]{0,252}$/;

/** What belongs to the protocol, or must never stand in an address that a browser remembers. */
const RESERVED: Readonly<Record<string, string>> = {
  scope: 'Use --scope for it.',
  resource: 'Use --resource for it.',
  ...Object.fromEntries(
    [
      ...['client_id', 'client_secret', 'response_type', 'response_mode', 'redirect_uri', 'state', 'nonce', 'code', 'grant_type', 'device_code'],
      ...['code_challenge', 'code_challenge_method', 'code_verifier', 'refresh_token', 'client_assertion', 'client_assertion_type'],
    ].map((name) => [name, 'Sallyport sets it itself.']),
  ),
};

/** What is wrong with the command line: `onboarding_invalid`. */
export function invalid(detail: string, hint: string): SallyportError {
  return new SallyportError('onboarding_invalid', { detail, hint });
}

/** An endpoint as it was given, checked. Errors: `onboarding_invalid`. */
export function endpoint(flag: string, text: string, allowHttp: boolean): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw invalid(`${flag} is not an absolute URL.`, `Write it as in ${flag} https://login.example.com/…`);
  }
  if (url.protocol === 'http:' && !allowHttp) {
    throw invalid(`${flag} is not https.`, 'Use the https address; --allow-http is for a server on a network that you trust.');
  }
  if (url.username !== '' || url.password !== '') {
    throw invalid(`${flag} carries a name or a password.`, 'Take it out; the client secret goes into SALLYPORT_ONBOARD_CLIENT_SECRET.');
  }
  if (url.hash !== '') throw invalid(`${flag} carries a fragment.`, 'Take out what begins with #.');
  return url.href;
}

/** The endpoints of Microsoft's first version, which hands out refresh tokens for many resources. Errors: `onboarding_invalid`. */
export function microsoftServer(base: string, tenant: string, allowHttp: boolean): AuthorizationServer {
  if (!TENANT.test(tenant)) {
    throw invalid(
      '--tenant is neither the id nor a domain of a tenant.',
      'Use letters, digits, dots and hyphens, beginning with a letter or a digit.',
    );
  }
  const url = new URL(endpoint('--endpoint', base, allowHttp));
  if (url.search !== '') throw invalid('--endpoint carries a query.', 'Take out what begins with a question mark.');
  const root = `${url.href.replace(/\/+$/, '')}/${tenant}/oauth2`;
  return { issuer: url.origin, authorization_endpoint: `${root}/authorize`, token_endpoint: `${root}/token` };
}

/** `k=v` as often as it was given; a value may hold anything. Errors: `onboarding_invalid`. */
export function extraParameters(given: readonly string[]): [string, string][] {
  const pairs = given.map((text): [string, string] => {
    const border = text.indexOf('=');
    if (border < 1) throw invalid('An --extra-param is not of the form name=value.', 'Write it as in --extra-param prompt=consent.');
    return [text.slice(0, border), text.slice(border + 1)];
  });
  for (const [index, [name]] of pairs.entries()) {
    const why = Object.hasOwn(RESERVED, name) ? RESERVED[name] : undefined;
    if (why !== undefined) throw invalid(`--extra-param cannot set ${JSON.stringify(name)}.`, why);
    if (pairs.findIndex(([other]) => other === name) !== index) {
      throw invalid(`--extra-param sets ${JSON.stringify(name)} twice.`, 'Parameters of OAuth may be there only once: leave one.');
    }
  }
  return pairs;
}
