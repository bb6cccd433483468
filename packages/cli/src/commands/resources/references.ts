import { type Client, pagesOf } from '@sallyport/client';
import { SallyportError } from '@sallyport/sdk';

/** What a reference to an actor or a key says: an id, or a name in a namespace. */
type Reference = { readonly id: string } | { readonly namespace: string; readonly name: string };

/** How references are written, for the help. */
export const referenceHelp = 'an id, NAMESPACE/NAME, or the name in root';

/** The id of the actor that is meant. Errors: `actor_not_found`. */
export async function actorId(client: Client, text: string): Promise<string> {
  const reference = readReference(text, 'act_');
  if ('id' in reference) return reference.id;
  const { namespace, name } = reference;
  return (await client.getActorByExternalId({ path: { external_id: name }, query: { namespace } })).data.id;
}

/** The id of the key that is meant; `key_global` is one. Errors: `key_not_found`. */
export async function keyId(client: Client, text: string): Promise<string> {
  const reference = readReference(text, 'key_');
  if ('id' in reference) return reference.id;
  const { namespace, name } = reference;
  for await (const page of pagesOf(client.listKeys, { query: { namespace, name } })) for (const { id } of page) return id;
  throw new SallyportError('key_not_found', { detail: `There is no key ${name} in ${namespace}.` });
}

function readReference(text: string, prefix: string): Reference {
  const [, namespace, name = ''] = /^(root(?:\.[^/]*)?)\/(.+)$/s.exec(text) ?? [];
  if (namespace !== undefined) return { namespace, name };
  return text.startsWith(prefix) ? { id: text } : { namespace: 'root', name: text };
}
