import { createRenewal } from '../tls/renewal/renewal.js';
import { SidecarDoor } from './sidecar-door.js';

/** The sidecar as it is without any configuration, for what does not need a listener. Its certificate is not renewed. */
export function plainSidecarDoor(): SidecarDoor {
  return new SidecarDoor({
    headerPrefix: 'X-Connect',
    traceHeader: 'Connect-Request-ID',
    callerHeader: 'X-Sallyport-Token',
    insecureTargets: false,
    normalizeErrors: true,
    sensitiveHeaders: [],
    ops: { version: '1.2.3', renewal: createRenewal({ target: () => null, install: () => {}, onEvent: () => {} }) },
  });
}
