import { overlapsOf } from '../providers/route-finder.js';
import { usedNames } from './routing-checks.js';
import type { GatewayConfig } from './schema.js';
import type { Doubt } from './section.js';

const sections = ['providers', 'token_stores', 'mappings', 'forward_targets'] as const;

/** What of the routing is never used, and which routes only their order tells apart. */
export function doubtsAboutRouting(config: GatewayConfig): Doubt[] {
  const { routes, mappings } = config;
  const doubts: Doubt[] = [];
  for (const section of sections) {
    // Which forward targets a plugin leads to is known when it runs.
    if (section === 'forward_targets' && config.plugin !== undefined) continue;
    const used = usedNames(config, section);
    const meaning = section === 'providers' || section === 'forward_targets' ? 'no route leads to it' : 'nothing uses it';
    for (const name of Object.keys(config[section])) if (!used.has(name)) doubts.push({ path: [section, name], message: meaning });
  }
  if (routes.length > 0 && config.listeners.sidecar === undefined)
    doubts.push({ path: ['routes'], message: 'routes are for calls through the sidecar, and there is no listener for it' });
  for (const { first, second } of overlapsOf(routes)) {
    doubts.push({ path: ['routes', second], message: overlapMessage(`routes[${first}]`) });
  }
  for (const [name, rules] of Object.entries(mappings)) {
    for (const { first, second } of overlapsOf(rules)) {
      doubts.push({ path: ['mappings', name, second], message: overlapMessage(`${name}[${first}]`) });
    }
  }
  return doubts;
}

function overlapMessage(first: string): string {
  return `may match the same calls as ${first}, and neither is more specific: there ${first} decides, because it comes first`;
}
