import { actors } from './actors.js';
import { audit } from './audit.js';
import { keys } from './keys.js';
import { namespaces } from './namespaces.js';
import { permissions } from './permissions.js';
import type { ResourceGroup } from './resource-command.js';
import { tasks } from './tasks.js';
import { tokens } from './tokens.js';

/** The resources of the control plane that the command line knows, each with its commands. */
export const resourceGroups: readonly ResourceGroup[] = [namespaces, actors, keys, permissions, tokens, tasks, audit];
