import { SallyportError } from '@sallyport/sdk';

/**
 * Every call to Acme is signed: the slow path, in plain JavaScript.
 *
 * @param {{ api_key?: string }} options
 * @returns {import('@sallyport/sdk').Plugin}
 */
export default function acme({ api_key: apiKey }) {
  if (!apiKey) throw new Error('the option api_key is needed');
  return {
    async getCredentials(context, request) {
      if (context.vendorId !== 'acme') throw new SallyportError('route_not_found', { detail: 'this plugin knows acme and nobody else' });
      const key = await crypto.subtle.importKey('raw', new TextEncoder().encode(apiKey), { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
      const signature = await crypto.subtle.sign('HMAC', key, new Uint8Array(await request.body.bytes()));
      request.headers.set('X-Acme-Signature', Buffer.from(signature).toString('hex'));
      return null;
    },
  };
}
