import { SallyportError } from '@sallyport/sdk';
import { headerLine, type Placement } from './placement.js';

/** Sets `Authorization: Basic` (RFC 7617) with the material as the password. The user name may not hold a colon. */
export function basicPlacement(username: string): Placement {
  return {
    fields: ['authorization'],
    render(material) {
      const password = material.secret.reveal();
      // RFC 7617 §2: neither part may hold a control character; the encoding would hide it from the check of the line.
      if (/\p{Cc}/u.test(password)) throw new SallyportError('credential_unusable', { detail: 'the password holds a control character' });
      const encoded = Buffer.from(`${username}:${password}`, 'utf8').toString('base64');
      return { lines: headerLine('Authorization', `Basic ${encoded}`), parameter: null, values: [encoded, password] };
    },
  };
}
