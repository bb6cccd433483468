import { z } from 'zod';

/** The label that says to which set something belongs that was applied with `--set`. */
export const OWNER_LABEL = 'sallyport.io/applied-by';

const map = z.record(z.string(), z.string());
const path = z
  .string()
  .max(512)
  .regex(/^root(?:\.[A-Za-z0-9_][A-Za-z0-9_-]*)*$/, 'is not the path of a namespace, such as root.team');
const marks = {
  labels: map.optional().describe('All of its labels. Those that it has stay when this is left out.'),
  annotations: map.optional().describe('All of its annotations. Those that it has stay when this is left out.'),
};
const apiVersion = z.literal('sallyport/v1').optional();
const inNamespace = { namespace: path.default('root').describe('Where it is.'), ...marks };

const permission = z
  .strictObject({
    namespace: z.string().describe('A path, or `PATH.**` with everything below it.'),
    resources: z.array(z.string()),
    verbs: z.array(z.string()),
    resource_ids: z.array(z.string()).optional(),
    methods: z.array(z.string()).optional(),
    paths: z.array(z.string()).optional(),
  })
  .describe('One rule of what is allowed.');

const namespaceManifest = z
  .strictObject({
    apiVersion,
    kind: z.literal('Namespace'),
    metadata: z.strictObject({ name: path.describe('The whole path.'), ...marks }),
    spec: z
      .strictObject({
        key: z
          .string()
          .regex(/^(?:root(?:\.[^/]+)?\/)?[A-Za-z0-9][A-Za-z0-9._-]*$/, 'is neither the name of a key in this namespace nor NAMESPACE/NAME')
          .nullable()
          .optional()
          .describe(
            'The key that it encrypts with, as NAME or NAMESPACE/NAME; null for that of the namespace above. It stays as it is when left out.',
          ),
      })
      .default({}),
  })
  .describe('A node of the tree that everything is in.');

const actorManifest = z
  .strictObject({
    apiVersion,
    kind: z.literal('Actor'),
    metadata: z.strictObject({ name: z.string().min(1).max(256).describe('Its external id.'), ...inNamespace }),
    spec: z
      .strictObject({
        permissions: z.array(permission).max(256).optional().describe('All that it may do. It stays as it is when left out.'),
        public_keys: z
          .array(z.strictObject({ public_key: z.string().min(1).max(65_536), name: z.string().min(1).max(256).optional() }))
          .optional()
          .describe(
            'All keys that it signs with: an OpenSSH line, PEM or a JWK each. Others that it has are revoked. They stay when this is left out.',
          ),
      })
      .default({}),
  })
  .describe('A user or a service account.');

const keyManifest = z
  .strictObject({
    apiVersion,
    kind: z.literal('Key'),
    metadata: z.strictObject({ name: z.string().regex(/^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/), ...inNamespace }),
    spec: z.strictObject({
      key_data: z
        .record(z.string(), z.unknown())
        .describe('Where its material is. What is secret in it is compared only where the server shows it to you; it belongs into no repository.'),
      state: z.enum(['active', 'disabled']).optional().describe('A disabled key encrypts nothing new. It stays as it is when left out.'),
    }),
  })
  .describe('What stored secrets are encrypted with.');

/** What may stand in a document to apply. */
export const manifestSchema = z.discriminatedUnion('kind', [namespaceManifest, actorManifest, keyManifest]);

/** Where a document begins. */
export interface Place {
  readonly file: string;
  readonly line: number;
}

/** A document to apply, and where it stands. */
export type Manifest = z.output<typeof manifestSchema> & { readonly place: Place };
export type NamespaceManifest = Extract<Manifest, { kind: 'Namespace' }>;
export type ActorManifest = Extract<Manifest, { kind: 'Actor' }>;
export type KeyManifest = Extract<Manifest, { kind: 'Key' }>;

/** What it is about, in one spelling: the path of a namespace, NAMESPACE/NAME of anything else. */
export function nameOf(manifest: Manifest): string {
  return manifest.kind === 'Namespace' ? manifest.metadata.name : `${manifest.metadata.namespace}/${manifest.metadata.name}`;
}

/** The JSON Schema (draft 2020-12) of a document. */
export function manifestJsonSchema(): object {
  return { title: 'A document for sallyport apply', ...z.toJSONSchema(manifestSchema, { io: 'input' }) };
}
