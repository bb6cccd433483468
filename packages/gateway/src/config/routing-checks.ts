import { didYouMean, nearestWords } from '@sallyport/credentials';
import { headerOfBinding } from './schema/credentials.js';
import type { GrantConfig } from './schema/grants.js';
import type { ProviderConfig } from './schema/providers.js';

type Path = readonly PropertyKey[];
type Named<T> = Readonly<Record<string, T>>;

/** What the checks look at. */
export interface RoutingSections {
  readonly credentials: Named<{ readonly grant?: GrantConfig | undefined; readonly bind: readonly Parameters<typeof headerOfBinding>[0][] }>;
  readonly token_stores: Named<{ readonly type: string }>;
  readonly mappings: Named<unknown>;
  readonly forward_targets: Named<unknown>;
  readonly providers: Named<ProviderConfig>;
  readonly routes: readonly { readonly provider?: string | undefined; readonly forward?: string | undefined }[];
  readonly default?: { readonly provider: string } | undefined;
  readonly plugin?: { readonly module?: unknown } | undefined;
}

interface Context {
  addIssue(issue: { code: 'custom'; path: PropertyKey[]; message: string }): void;
}

/** A name in one section that stands for something in another. */
interface Reference {
  readonly path: Path;
  readonly to: 'providers' | 'forward_targets' | 'token_stores' | 'mappings' | 'credentials';
  readonly name: string;
}

const words = {
  providers: 'provider',
  forward_targets: 'forward target',
  token_stores: 'token store',
  mappings: 'mapping',
  credentials: 'credential',
} as const;

/**
 * Names that stand for nothing, with the nearest that does; credentials that cannot be a provider's, stores of one token that are to hold several, and a
 * default beside a plugin. `sound` says whether a place has no problem of its own.
 */
export function checkRouting(sections: RoutingSections, sound: (path: Path, deep: boolean) => boolean, context: Context): void {
  const complain = (path: Path, message: string): void => context.addIssue({ code: 'custom', path: [...path], message });
  for (const { path, to, name } of references(sections, sound)) {
    if (!sound([to], false) || Object.hasOwn(sections[to], name)) continue;
    complain(path, `there is no ${words[to]} of this name${didYouMean(nearestWords(name, Object.keys(sections[to])))}`);
  }
  checkBound(sections, sound, complain);
  checkSingleTokens(sections, sound, complain);
  if (sound(['plugin'], true) && sound(['default'], true) && sections.default !== undefined && sections.plugin?.module !== undefined)
    complain(['default'], 'gateway.plugin takes the calls that no route matches; leave out one of the two');
}

/** The names of one section that are used in others. */
export function usedNames(sections: RoutingSections, to: Reference['to']): Set<string> {
  return new Set(
    references(sections, () => true)
      .filter((reference) => reference.to === to)
      .map(({ name }) => name),
  );
}

function references(sections: RoutingSections, sound: (path: Path, deep: boolean) => boolean): Reference[] {
  const found: Reference[] = [];
  for (const [name, { grant }] of soundEntries(sections, 'credentials', sound)) {
    if (grant?.type === 'refresh_token') found.push({ path: ['credentials', name, 'grant', 'store'], to: 'token_stores', name: grant.store });
  }
  for (const [name, provider] of soundEntries(sections, 'providers', sound)) {
    const path = ['providers', name];
    if ('store' in provider) found.push({ path: [...path, 'store'], to: 'token_stores', name: provider.store });
    if (provider.type === 'microsoft' && provider.mapping !== null)
      found.push({ path: [...path, 'tenant', 'mapping'], to: 'mappings', name: provider.mapping });
    if (provider.type === 'credential') found.push({ path: [...path, 'credential'], to: 'credentials', name: provider.credential });
  }
  if (sound(['routes'], false)) {
    sections.routes.forEach(({ provider, forward }, index) => {
      if (!sound(['routes', index], true)) return;
      if (provider !== undefined) found.push({ path: ['routes', index, 'provider'], to: 'providers', name: provider });
      if (forward !== undefined) found.push({ path: ['routes', index, 'forward'], to: 'forward_targets', name: forward });
    });
  }
  if (sections.default !== undefined && sound(['default'], true))
    found.push({ path: ['default', 'provider'], to: 'providers', name: sections.default.provider });
  return found;
}

function soundEntries<Section extends 'credentials' | 'providers'>(
  sections: RoutingSections,
  section: Section,
  sound: (path: Path, deep: boolean) => boolean,
): [string, RoutingSections[Section][string]][] {
  if (!sound([section], false)) return [];
  return (Object.entries(sections[section]) as [string, RoutingSections[Section][string]][]).filter(([name]) => sound([section, name], true));
}

type Complain = (path: Path, message: string) => void;

function checkBound(sections: RoutingSections, sound: (path: Path, deep: boolean) => boolean, complain: Complain): void {
  const credentials = new Map(soundEntries(sections, 'credentials', sound));
  for (const [name, provider] of soundEntries(sections, 'providers', sound)) {
    if (provider.type !== 'credential') continue;
    const bindings = credentials.get(provider.credential)?.bind;
    if (bindings === undefined || bindings.some((binding) => headerOfBinding(binding) !== null)) continue;
    complain(['providers', name, 'credential'], 'this credential has no binding that places it into a header for all methods and paths');
  }
}

/** A store of one token has it under any key: a second key would overwrite the first one's token. */
function checkSingleTokens(sections: RoutingSections, sound: (path: Path, deep: boolean) => boolean, complain: Complain): void {
  if (!sound(['token_stores'], true)) return;
  const holders = new Map<string, string>();
  const users = [
    ...soundEntries(sections, 'credentials', sound).map(([name, { grant }]) => ({
      path: ['credentials', name, 'grant', 'store'],
      name,
      user: grant,
    })),
    ...soundEntries(sections, 'providers', sound).map(([name, provider]) => ({ path: ['providers', name, 'store'], name, user: provider })),
  ];
  for (const { path, name, user } of users) {
    if (user === undefined || !('store' in user) || sections.token_stores[user.store]?.type !== 'file') continue;
    if (user.type === 'microsoft') {
      complain(path, 'this store holds one token, and there is one for each tenant; use a store of the type directory');
      continue;
    }
    const key = user.key ?? name;
    const holder = holders.get(user.store);
    if (holder !== undefined && holder !== key)
      complain(path, `this store holds one token, and that is for ${JSON.stringify(holder)}; use a store of the type directory`);
    holders.set(user.store, holder ?? key);
  }
}
