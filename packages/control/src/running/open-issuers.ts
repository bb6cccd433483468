import { parsePublicKeys } from '../actors/public-key.js';
import type { ControlConfig } from '../config/control-section.js';
import { permissionsOf } from '../permissions/permission.js';
import { amongKeys, type FindKeys, type Issuer } from '../tokens/issuers.js';
import { remoteKeySet } from '../tokens/remote-key-set.js';
import { publicVerificationKey, sharedVerificationKey, type VerificationKey } from '../tokens/verification-key.js';

type IssuerConfig = ControlConfig['system_auth']['issuers'][number];

/** The issuers that are configured, by `iss`; `close` ends the connections to those whose keys are fetched. */
export async function openIssuers(
  configured: readonly IssuerConfig[],
): Promise<{ readonly issuers: ReadonlyMap<string, Issuer>; readonly close: () => Promise<void> }> {
  const issuers = new Map<string, Issuer>();
  const closing: (() => Promise<void>)[] = [];
  for (const config of configured) {
    const { issuer, namespace, longest_life: longestLife, single_use: singleUse, defines_actors_within: within } = config;
    const { findKeys, close } = await keysOf(config);
    if (close !== undefined) closing.push(close);
    issuers.set(issuer, {
      ...{ findKeys, namespace, longestLife: longestLife / 1000, singleUse },
      ...(within === undefined ? {} : { definesActorsWithin: permissionsOf(within) }),
    });
  }
  return { issuers, close: async () => void (await Promise.all(closing.map((close) => close()))) };
}

async function keysOf({ keys, jwks_url: url }: IssuerConfig): Promise<{ readonly findKeys: FindKeys; readonly close?: () => Promise<void> }> {
  if (url !== undefined) return remoteKeySet({ url });
  const all: VerificationKey[] = [];
  for (const { public_key: publicKey, shared_key: secret, kid, algorithm } of keys ?? []) {
    if (secret !== undefined) all.push(sharedVerificationKey(kid ?? '', secret, algorithm));
    for (const key of publicKey === undefined ? [] : await parsePublicKeys(publicKey)) all.push(publicVerificationKey(key, kid));
  }
  return { findKeys: amongKeys(all) };
}
