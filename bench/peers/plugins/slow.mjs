// Signs each request, so that no answer can be kept.
import { createHmac } from 'node:crypto';

/** @param {{ secret: string }} options */
// biome-ignore lint/style/noDefaultExport: a plugin is the default export of its module.
export default ({ secret }) => {
  const credentials = new Map([['vendor-1', `Bearer ${secret}`]]);
  return {
    /** @param {{ vendorId: string }} context @param {{ method: string, url: URL, headers: Headers }} request */
    getCredentials: ({ vendorId }, { method, url, headers }) => {
      headers.set('Authorization', credentials.get(vendorId) ?? '');
      headers.set('X-Signature', createHmac('sha256', secret).update(`${method}\n${url.pathname}`).digest('hex'));
      return null;
    },
  };
};
