import { z } from 'zod';
import { parseNetwork } from '../../policy/network.js';
import { FORWARDED_HEADERS } from '../../tls/mutual/forwarded-certificates.js';
import { listenHost, listenPort } from './listen-address.js';
import { flag, oneOf, parsedText, readableFile, token, type ValueContext } from './values.js';

const OPEN_TO_CALLERS = 'Address to listen on. Beyond loopback callers need a token or a client certificate.';

/** The listeners: where each door and the operations endpoints accept connections. */
export function listenersSchema(context: ValueContext) {
  return z
    .strictObject({
      forward: forwardSchema(context).optional(),
      sidecar: sidecarSchema(context).optional(),
      ops: opsSchema().optional(),
    })
    .describe('Where the gateway accepts connections. At least one of forward and sidecar.');
}

function forwardSchema(context: ValueContext) {
  return z
    .strictObject({
      host: listenHost(OPEN_TO_CALLERS),
      port: listenPort(9080),
      tls: tlsSchema(context),
      insecure_targets: flag().prefault(true).describe('Whether http:// targets may be called.'),
    })
    .describe('The forward proxy: CONNECT and absolute-form HTTP.');
}

function sidecarSchema(context: ValueContext) {
  return z
    .strictObject({
      host: listenHost(OPEN_TO_CALLERS),
      port: listenPort(8443),
      tls: tlsSchema(context),
      header_prefix: token('a header name prefix')
        .prefault('X-Connect')
        .describe('What the names of the context headers start with, without the hyphen.'),
      trace_header: token('a header name').prefault('Connect-Request-ID').describe('Header that carries the request id in and out.'),
      caller_header: token('a header name').prefault('X-Sallyport-Token').describe('Header that carries the caller token.'),
      insecure_targets: flag().prefault(false).describe('Whether http:// targets may be called.'),
      normalize_errors: flag().prefault(true).describe('Whether error bodies of upstreams are replaced by a uniform one.'),
      trusted_proxies: z
        .array(parsedText('a network', parseNetwork))
        .min(1, 'expected at least one network')
        .optional()
        .describe(
          'Addresses of the balancers that end TLS in front of this listener and tell of the client certificate. Nobody else is served then.',
        ),
      forwarded_certificate: forwardedSchema(context)
        .optional()
        .describe('How these balancers tell of it; read from `X-Forwarded-Client-Cert` and believed when left out.'),
    })
    .superRefine(({ trusted_proxies, forwarded_certificate }, issues) => {
      if (trusted_proxies === undefined && forwarded_certificate !== undefined)
        issues.addIssue({ code: 'custom', path: ['forwarded_certificate'], message: 'needs trusted_proxies: nobody would be believed without' });
    })
    .describe('The sidecar: /proxy with the target in a header.');
}

function opsSchema() {
  return z
    .strictObject({ host: listenHost('Address to listen on.'), port: listenPort(9090) })
    .describe('Health, readiness, version and metrics. It asks nobody for a token: keep it on a network that you trust.');
}

function tlsSchema(context: ValueContext) {
  return z
    .strictObject({
      cert: readableFile(context).describe('PEM file with the certificate and the chain of this listener.'),
      key: readableFile(context).describe('PEM file with the private key of the certificate.'),
      client_ca: files(context)
        .optional()
        .describe('PEM file, or several, with the authorities of the clients. Every client then needs a certificate, and TLS 1.3.'),
      crl: files(context).optional().describe('PEM or DER file, or several, with a revocation list of every one of these authorities.'),
      auto_rotate: flag().prefault(true).describe('Whether the platform may renew the certificate of the sidecar, over `/_ops/renew`.'),
      chain_ca: files(context)
        .optional()
        .describe('PEM file, or several, with the authorities that a renewed certificate has to come from; `client_ca` when left out.'),
    })
    .superRefine(({ client_ca, crl }, issues) => {
      if (client_ca === undefined && crl !== undefined)
        issues.addIssue({ code: 'custom', path: ['crl'], message: 'needs client_ca: without it no client certificate is asked for' });
    })
    .optional()
    .describe('Serves this listener over TLS. Certificate and key are both needed.');
}

function forwardedSchema(context: ValueContext) {
  return z
    .strictObject({
      header: oneOf(FORWARDED_HEADERS)
        .prefault('X-Forwarded-Client-Cert')
        .describe('The header that is read: the one of Envoy, or the one of RFC 9440.'),
      ca: files(context)
        .optional()
        .describe('PEM file, or several, with the authorities of the clients: the certificate has to be there in full and is verified here again.'),
      crl: files(context).optional().describe('PEM or DER file, or several, with a revocation list of every one of these authorities.'),
    })
    .superRefine(({ ca, crl }, issues) => {
      if (ca === undefined && crl !== undefined) issues.addIssue({ code: 'custom', path: ['crl'], message: 'needs ca: nothing is verified without' });
    });
}

function files(context: ValueContext) {
  return z
    .union([readableFile(context), z.array(readableFile(context)).min(1, 'expected at least one path')], {
      error: 'expected a path or a list of paths',
    })
    .transform((written) => (typeof written === 'string' ? [written] : written));
}
