import { z } from 'zod';
import { duration, durationOrOff, integer, size } from './values.js';

/** How long each step may take. Milliseconds come out; null where `off` is allowed and written. */
export function timeoutsSchema() {
  return z
    .strictObject({
      head: duration().prefault('10s').describe('From the first byte of a request head to its last.'),
      idle: duration().prefault('5m').describe('Silence in the middle of a body, a tunnel or an upgraded connection.'),
      keep_alive: duration().prefault('2m').describe('Silence between two requests on one connection.'),
      connect: duration().prefault('10s').describe('Opening the TCP connection to an upstream.'),
      tls_handshake: duration().prefault('10s').describe('The TLS handshake, with clients and with upstreams.'),
      response_head: duration().prefault('5m').describe('From the end of the request to the head of the response.'),
      total: durationOrOff().prefault('off').describe('The whole exchange; `off` for no bound.'),
    })
    .prefault({})
    .describe('How long each step may take.');
}

/** How much the gateway holds at once. */
export function limitsSchema() {
  return z
    .strictObject({
      head_size: size(1_024, 1_048_576).prefault('32kb').describe('Bytes of a request or response head.'),
      header_count: integer(8, 10_000).prefault(100).describe('Header fields in a head.'),
      connections: integer(1, 1_000_000).prefault(10_000).describe('Connections from clients.'),
      connections_per_upstream: integer(1, 100_000).prefault(1_024).describe('Connections to one upstream.'),
      idle_per_upstream: integer(0, 100_000).prefault(64).describe('Unused connections kept open to one upstream.'),
      tunnels: integer(0, 1_000_000).prefault(5_000).describe('Tunnels and upgraded connections.'),
      normalized_body: size(1_024, 1_073_741_824).prefault('1mb').describe('Bytes of an error body that is replaced by a uniform one.'),
      plugin_body: size(1_024, 1_073_741_824).prefault('1mb').describe('Bytes of a body that a plugin may hold.'),
    })
    .prefault({})
    .describe('How much the gateway holds at once.');
}
