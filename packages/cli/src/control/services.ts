/** A service of the control plane that a token can be for. The name is the audience too. */
export type Service = 'public' | 'api' | 'admin-api';

/** All of them. */
export const services: readonly Service[] = ['public', 'api', 'admin-api'];

/** Where something of the control plane can be reached: its services, and the two web applications. */
export type ServerName = 'public' | 'api' | 'admin_api' | 'marketplace' | 'admin_ui';

/** Every name that there is under `server:`. */
export const serverNames: readonly ServerName[] = ['public', 'api', 'admin_api', 'marketplace', 'admin_ui'];

/** The name of a service under `server:`. */
export function serverNameOf(service: Service): ServerName {
  return service === 'admin-api' ? 'admin_api' : service;
}

/** Where a service is when nothing says otherwise: on this machine, at its usual port. */
export const usualAddresses: Readonly<Record<Service, string>> = {
  public: 'http://127.0.0.1:8080',
  api: 'http://127.0.0.1:8081',
  'admin-api': 'http://127.0.0.1:8082',
};
