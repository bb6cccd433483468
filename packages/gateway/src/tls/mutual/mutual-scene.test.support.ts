import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ConnectionOptions, connect } from 'node:tls';
import { RawClient } from '../../testing/raw-client.test.support.js';
import { plainScene, type Scene } from '../../testing/scene.test.support.js';
import { echo } from '../../testing/scripted-upstream.test.support.js';
import { temporaryDirectory } from '../../testing/temporary-directory.test.support.js';
import { type ClientAuthority, clientAuthority, type Issued, SERVER_AUTHENTICATION } from './client-authority.test.support.js';

/** A gateway that wants client certificates, and files that can be changed under it. */
export interface MutualScene extends Scene {
  readonly server: ClientAuthority;
  readonly clients: ClientAuthority;
  /** Writes one of its files. */
  write(name: 'server.crt' | 'server.key' | 'ca.crt' | 'ca.crl', content: string | Uint8Array): Promise<void>;
  /** Applies the configuration again, with the files as they are now. */
  reload(): Promise<void>;
  /** Speaks TLS with the sidecar; rejects when the handshake fails, or the connection is closed right after it. */
  client(identity: Pick<Issued, 'cert' | 'key'> | null, options?: ConnectionOptions): Promise<RawClient>;
}

const CALLERS = 'callers: { platform: { certificate: any, credentials: all } }';

/** Starts one. `listener` is added to its TLS section, `further` to the sidecar. */
export async function mutualScene(
  options: { crl?: boolean; callers?: string; door?: 'sidecar' | 'forward'; further?: string } = {},
): Promise<MutualScene> {
  const { crl = false, callers = CALLERS, door = 'sidecar', further = '' } = options;
  const directory = await temporaryDirectory();
  const [server, clients] = await Promise.all([clientAuthority('Servers'), clientAuthority('Clients')]);
  const own = await server.issue({
    subject: [{ CN: ['gateway'] }],
    names: [{ type: 'dns', value: 'gateway.test' }],
    purposes: [SERVER_AUTHENTICATION],
  });
  const write: MutualScene['write'] = (name, content) => writeFile(join(directory, name), content);
  await Promise.all([write('server.crt', own.cert), write('server.key', own.key), write('ca.crt', clients.cert)]);
  if (crl) await write('ca.crl', await clients.list());
  const at = (name: string): string => JSON.stringify(join(directory, name));
  const tls = `tls: { cert: ${at('server.crt')}, key: ${at('server.key')}, client_ca: ${at('ca.crt')}${crl ? `, crl: [${at('ca.crl')}]` : ''} }`;
  const insecure = door === 'sidecar' ? 'insecure_targets: true, ' : '';
  const sections = `listeners: { ${door}: { port: 0, ${insecure}${tls}${further} }, ops: { port: 0 } }\n${callers}`;
  const scene = await plainScene(echo, sections);
  return {
    ...scene,
    server,
    clients,
    write,
    reload: () => scene.gateway.reload(sections),
    async client(identity, options_ = {}) {
      const socket = connect({
        host: '127.0.0.1',
        port: scene.gateway[door],
        ca: server.cert,
        servername: 'gateway.test',
        ...(identity === null ? {} : { cert: identity.cert, key: identity.key }),
        ...options_,
      });
      await once(socket, 'secureConnect');
      return new RawClient(socket);
    },
  };
}

/** Calls the upstream through the sidecar. */
export function call(client: RawClient, scene: Scene, lines: readonly string[] = []): ReturnType<RawClient['request']> {
  return client.request('GET /proxy HTTP/1.1', ['Host: sidecar', `X-Connect-Target-URL: ${scene.origin}/`, ...lines]);
}
