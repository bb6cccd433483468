/**
 * A request that all servers answer. `{pick}` stands for one of the names that the server has prepared, `{n}` for a number that is never the same.
 * @typedef {object} Request
 * @property {string} name
 * @property {string} title
 * @property {'GET' | 'POST' | 'PATCH'} method
 * @property {string} path
 * @property {string} body empty for none
 * @property {'tenants' | 'actors'} picks
 */

/** What is measured: two reads and two writes. @type {readonly Request[]} */
export const requests = [
  { name: 'get', title: 'GET /namespaces/root.x', method: 'GET', path: '/namespaces/root.x', body: '', picks: 'tenants' },
  { name: 'list', title: 'GET /actors?limit=20', method: 'GET', path: '/actors?limit=20', body: '', picks: 'actors' },
  { name: 'post', title: 'POST /namespaces', method: 'POST', path: '/namespaces', body: '{"path":"{pick}.n{n}"}', picks: 'tenants' },
  { name: 'patch', title: 'PATCH /actors/:id', method: 'PATCH', path: '/actors/{pick}', body: '{"annotations":{"seen":"n{n}"}}', picks: 'actors' },
];

/** Puts names into a template. @param {string} template @param {{ n: string, pick: string }} values */
export function fill(template, { n, pick }) {
  return template.replaceAll('{n}', n).replaceAll('{pick}', pick);
}

/** How many tenants and actors the servers prepare: writers of one row would only wait for each other. */
export const population = 64;
