import { isIP } from 'node:net';
import { z } from 'zod';
import { flag, integer, readableFile, text, token, type ValueContext } from './values.js';

const HOST_NAME = /^(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$/;

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
      host: hostSchema(),
      port: portSchema(9080),
      tls: tlsSchema(context),
      insecure_targets: flag().prefault(true).describe('Whether http:// targets may be called.'),
    })
    .describe('The forward proxy: CONNECT and absolute-form HTTP.');
}

function sidecarSchema(context: ValueContext) {
  return z
    .strictObject({
      host: hostSchema(),
      port: portSchema(8443),
      tls: tlsSchema(context),
      header_prefix: token('a header name prefix')
        .prefault('X-Connect')
        .describe('What the names of the context headers start with, without the hyphen.'),
      trace_header: token('a header name').prefault('Connect-Request-ID').describe('Header that carries the request id in and out.'),
      caller_header: token('a header name').prefault('X-Sallyport-Token').describe('Header that carries the caller token.'),
      insecure_targets: flag().prefault(false).describe('Whether http:// targets may be called.'),
      normalize_errors: flag().prefault(true).describe('Whether error bodies of upstreams are replaced by a uniform one.'),
    })
    .describe('The sidecar: /proxy with the target in a header.');
}

function opsSchema() {
  return z
    .strictObject({ host: hostSchema('Address to listen on.'), port: portSchema(9090) })
    .describe('Health, readiness, version and metrics. It asks nobody for a token: keep it on a network that you trust.');
}

function hostSchema(meaning = 'Address to listen on. Beyond loopback at least one caller with a token is required.') {
  return text('an IP address or a host name')
    .refine((host) => isIP(host) !== 0 || HOST_NAME.test(host), 'expected an IP address (IPv6 without brackets) or a host name')
    .prefault('127.0.0.1')
    .describe(meaning);
}

function portSchema(port: number) {
  return integer(0, 65_535).prefault(port).describe('Port to listen on; 0 takes any free one.');
}

function tlsSchema(context: ValueContext) {
  return z
    .strictObject({
      cert: readableFile(context).describe('PEM file with the certificate and the chain of this listener.'),
      key: readableFile(context).describe('PEM file with the private key of the certificate.'),
    })
    .optional()
    .describe('Serves this listener over TLS. Both files are needed.');
}
