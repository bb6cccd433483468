import { SallyportError } from '@sallyport/sdk';

/** Where a bearer token is read from; the token itself is nowhere in the register. */
export type TokenReference = { readonly env: string } | { readonly file: string };

/** How the ops listener of an instance is reached. */
export interface Endpoint {
  /** `http://host:port` or `https://host:port`, without anything behind it. */
  readonly url: string;
  /** Absolute path of a PEM file with the authority that signed its certificate; null for the public ones. */
  readonly ca: string | null;
  readonly token: TokenReference | null;
}

/** One registered gateway, of Sallyport or of Chaperone. */
export interface Instance extends Endpoint {
  readonly name: string;
}

const NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/i;
const ADDRESS = /^(?:(https?):\/\/)?(\[[0-9a-f:.]+\]|[^\s/?#@:[\]]+):([0-9]{1,5})\/?$/i;

/** What is wrong with the command line: `fleet_invalid`. */
export function invalid(detail: string, hint: string): SallyportError {
  return new SallyportError('fleet_invalid', { detail, hint });
}

/** The name, checked: it stands in tables and as a key in files. Errors: `fleet_invalid`. */
export function instanceName(text: string): string {
  if (NAME.test(text)) return text;
  throw invalid(`${JSON.stringify(text)} is no name for an instance.`, 'Use up to 63 letters, digits, dots, hyphens and underscores, as in eu-1.');
}

/** The URL of `HOST:PORT`, `http://HOST:PORT` or `https://HOST:PORT`; IPv6 addresses stand in brackets. Errors: `fleet_invalid`. */
export function instanceUrl(text: string): string {
  const [, scheme = 'http', host = '', port = ''] = ADDRESS.exec(text) ?? [];
  const number = Number(port);
  const candidate = `${scheme.toLowerCase()}://${host}:${number}`;
  if (port === '' || number < 1 || number > 65_535 || !URL.canParse(candidate)) {
    throw invalid(
      `${JSON.stringify(text)} is no address of an ops listener.`,
      'Write it as HOST:PORT or https://HOST:PORT, as in gateway.internal:9090.',
    );
  }
  // With the port also where it is the usual one of the scheme, which URL leaves out.
  return `${scheme.toLowerCase()}://${new URL(candidate).hostname}:${number}`;
}

/** Host and port alone, for people. */
export function addressOf({ url }: Pick<Endpoint, 'url'>): string {
  return url.slice(url.indexOf('//') + 2);
}

/** Errors: `fleet_invalid` when a token would travel unencrypted over a network. */
export function checkToken({ url, token }: Endpoint): void {
  if (token === null || url.startsWith('https:')) return;
  const host = new URL(url).hostname;
  if (host === 'localhost' || host === '[::1]' || /^127\./.test(host)) return;
  throw invalid(`A token would go to ${addressOf({ url })} unencrypted.`, 'Use https://HOST:PORT for an instance that wants a token.');
}
