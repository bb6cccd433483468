// Fastify as it comes, with schemas for what comes in and goes out, answering the same JSON as the control plane from memory. With a key in its argument
// it verifies the token of each request first, and nothing else.
import { readFileSync } from 'node:fs';
import fastify from 'fastify';
import { importJWK, jwtVerify } from 'jose';

// Nobody is left to be served when whoever started this is gone.
process.stdin.once('close', () => process.exit()).resume();
const { answersFile, publicJwk } = JSON.parse(process.argv[2] ?? '');
const answers = JSON.parse(readFileSync(answersFile, 'utf8'));
const text = { type: 'string' };
const map = { type: 'object', additionalProperties: text };
const time = { type: 'string', format: 'date-time' };
const namespace = {
  type: 'object',
  properties: { path: text, name: text, state: text, labels: map, annotations: map, created_at: time, updated_at: time },
};
const permission = {
  type: 'object',
  properties: { namespace: text, resources: { type: 'array', items: text }, verbs: { type: 'array', items: text } },
};
const actor = {
  type: 'object',
  properties: {
    ...{ id: text, namespace: text, external_id: text, source: text, permissions: { type: 'array', items: permission } },
    ...{ labels: map, annotations: map, created_at: time, updated_at: time },
  },
};
const list = { type: 'object', properties: { items: { type: 'array', items: actor }, cursor: text } };

const app = fastify({ logger: false });
if (publicJwk !== null) {
  const key = await importJWK(publicJwk, 'EdDSA');
  app.addHook('onRequest', async ({ headers }) => {
    const [, token = ''] = /^Bearer (.+)$/.exec(headers.authorization ?? '') ?? [];
    await jwtVerify(token, key, { issuer: 'admin', audience: 'admin-api', algorithms: ['EdDSA'] });
  });
}
app.get('/namespaces/:path', { schema: { response: { 200: namespace } } }, async () => answers.get);
app.get(
  '/actors',
  { schema: { querystring: { type: 'object', properties: { limit: { type: 'integer' } } }, response: { 200: list } } },
  async () => answers.list,
);
app.post(
  '/namespaces',
  { schema: { body: { type: 'object', required: ['path'], properties: { path: text } }, response: { 201: namespace } } },
  async (_request, reply) => {
    reply.code(201);
    return answers.post;
  },
);
app.patch(
  '/actors/:id',
  { schema: { body: { type: 'object', properties: { annotations: map } }, response: { 200: actor } } },
  async () => answers.patch,
);
await app.listen({ host: '127.0.0.1', port: 0 });
console.log(JSON.stringify({ port: /** @type {import('node:net').AddressInfo} */ (app.server.address()).port }));
