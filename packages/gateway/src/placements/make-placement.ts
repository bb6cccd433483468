import type { PlacementConfig } from '../config/schema/placements.js';
import { basicPlacement } from './basic.js';
import { headerPlacement } from './header.js';
import type { Placement } from './placement.js';
import { queryPlacement } from './query.js';

/** The placement that is described. */
export function makePlacement(config: PlacementConfig): Placement {
  if ('header' in config) return headerPlacement(config.header, config.format);
  return 'basic' in config ? basicPlacement(config.basic.username) : queryPlacement(config.query);
}
