import { HistogramCells, type Sample } from './metric-cells.js';

const METHODS = ['getCredentials', 'modifyResponse', 'routeRequest', 'signCsr'] as const;
const RESULTS = ['answered', 'failed'] as const;

/** What a plugin was asked for. */
export type PluginCall = (typeof METHODS)[number];

/** How long plugins took, by what they were asked for. */
export interface PluginCells {
  /** Counts a call, with how long it took in milliseconds. Never throws. */
  readonly observe: (method: PluginCall, result: (typeof RESULTS)[number], durationMs: number) => void;
  /** What has been counted; nothing for calls that never occurred. */
  samples(): readonly Sample[];
}

/** Makes the cells, all at zero. */
export function createPluginCells(): PluginCells {
  const cells = METHODS.map(() => RESULTS.map(() => new HistogramCells()));
  return {
    observe(method, result, durationMs) {
      cells[METHODS.indexOf(method)][RESULTS.indexOf(result)].observe(durationMs);
    },
    samples() {
      return METHODS.flatMap((method, row) =>
        RESULTS.flatMap((result, column) => {
          const cell = cells[row][column];
          return cell.empty ? [] : cell.samples('sallyport_plugin_duration_seconds', { method, result });
        }),
      );
    },
  };
}
