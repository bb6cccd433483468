import type { AddressInfo } from 'node:net';
import type { Operation } from '../operation.js';
import { createServiceApp, type ServedRequest, type ServiceApp, type ServiceAppOptions } from '../service-app.js';
import type { ServedControl } from './served-control.test.support.js';

/** A service with operations that a test has made up, for the people of a control plane. */
export interface OwnService {
  readonly app: ServiceApp;
  readonly port: number;
  readonly url: string;
  readonly served: readonly ServedRequest[];
}

/** Opens `admin-api` with these operations instead of its own. `prepare` sees the app before it listens. */
export async function serveOperations(
  { plane }: ServedControl,
  operations: readonly Operation[],
  options: Partial<ServiceAppOptions> = {},
  prepare: (app: ServiceApp) => void = () => {},
): Promise<OwnService> {
  const served: ServedRequest[] = [];
  const app = await createServiceApp({
    ...{ service: 'admin-api', operations, version: '1.2.3', identify: plane.identify, once: plane.once },
    throttle: { charge: async () => {}, count: async () => ({}) },
    onServed: (request) => void served.push(request),
    ...options,
  });
  prepare(app);
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.server.address() as AddressInfo;
  return { app, port, url: `http://127.0.0.1:${port}`, served };
}
