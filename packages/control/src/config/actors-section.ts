import { configValues, type ValueContext } from '@sallyport/gateway';
import { z } from 'zod';
import { readActorDescription } from '../actors/actor.js';
import type { DeclaredActor } from '../actors/actor-sources.js';
import { checkAnnotations, checkUserLabels } from '../labels/label-grammar.js';
import { isNamespacePath, requireNamespacePath } from '../namespaces/namespace-path.js';
import { accepted, withoutUndefined } from './accepted.js';
import { permissionEntries } from './permission-entries.js';
import { publicKeysFault } from './public-keys.js';

const { parsedText, path, text, value } = configValues;

const texts = z.record(z.string(), z.string({ error: 'expected a text' }));

/** The actors that the file itself declares. */
export function actorsSection(context: ValueContext) {
  const actor = z
    .strictObject({
      external_id: text('an id').describe('What the host application calls it; the `sub` of its tokens.'),
      namespace: parsedText('a namespace', requireNamespacePath).prefault('root').describe('Where it is.'),
      public_keys: value(context, 'public keys')
        .superRefine((written, issues) => {
          const fault = publicKeysFault(written);
          if (fault !== null) issues.addIssue({ code: 'custom', message: fault });
        })
        .describe('The keys that it signs its tokens with: OpenSSH lines, PEM or a JWK.'),
      permissions: permissionEntries({ templates: true }).prefault([]).describe('What it may do; nothing when left out.'),
      labels: texts.optional().describe('Its labels.'),
      annotations: texts.optional().describe('Its annotations.'),
    })
    .transform((written, issues): DeclaredActor => {
      const { public_keys, permissions, ...rest } = withoutUndefined(written);
      accepted(() => readActorDescription(rest), issues, ['external_id']);
      if (rest.labels !== undefined) accepted(() => checkUserLabels(rest.labels ?? {}), issues, ['labels']);
      if (rest.annotations !== undefined) accepted(() => checkAnnotations(rest.annotations ?? {}), issues, ['annotations']);
      return { ...rest, permissions, public_keys };
    });
  return z
    .array(actor)
    .superRefine((actors, issues) => {
      actors.forEach(({ namespace, external_id }, index) => {
        const first = actors.findIndex((other) => other.namespace === namespace && other.external_id === external_id);
        if (first < index) issues.addIssue({ code: 'custom', path: [index, 'external_id'], message: `actors[${first}] is the same one` });
      });
    })
    .prefault([])
    .describe('Actors that are made and kept as they are here; one that is taken out of the list is deleted.');
}

/** Directories of public keys: each file `NAME.pub` is an actor. */
export function actorDirectoriesSection(context: ValueContext) {
  const directory = z.strictObject({
    keys_path: path(context).describe('The directory: each file `NAME.pub` in it is the actor NAME with the keys in it.'),
    permissions: permissionEntries({ templates: true }).prefault([]).describe('What each of these actors may do; nothing when left out.'),
  });
  return z
    .record(z.string().refine(isNamespacePath, 'expected a namespace such as root.team'), directory)
    .prefault({})
    .describe('Directories of public keys by namespace, as of operators who sign with their SSH keys. An actor whose file is gone is deleted.');
}
