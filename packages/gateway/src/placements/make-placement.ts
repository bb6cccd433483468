import { basicPlacement } from './basic.js';
import { headerPlacement } from './header.js';
import type { Placement } from './placement.js';
import { queryPlacement } from './query.js';

/** A placement as the configuration has it. */
export type PlacementConfig = { readonly header: string; readonly format: string } | { readonly basic: { readonly username: string } } | { readonly query: string };

/** The placement that is described. */
export function makePlacement(config: PlacementConfig): Placement {
  if ('header' in config) return headerPlacement(config.header, config.format);
  return 'basic' in config ? basicPlacement(config.basic.username) : queryPlacement(config.query);
}
